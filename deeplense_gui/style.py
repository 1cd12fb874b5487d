"""How the window looks: one theme of named colours, the palette and style sheet made from it, icons and fonts.

Dark is the default because stamps are judged against black; light is there for bright rooms and for print.
Widgets that paint themselves take their colours from ``theme()``, never from literals of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from string import Template

from PySide6.QtCore import QByteArray, QSize, Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QAbstractButton, QApplication, QWidget

FAMILIES = ("Inter", "SF Pro Text", "Segoe UI", "Noto Sans", "Cantarell", "DejaVu Sans")
FIXED_FAMILIES = ("JetBrains Mono", "SF Mono", "Cascadia Mono", "Consolas", "DejaVu Sans Mono")

# Told apart by people with red-green blindness too: they differ in lightness as well as in hue.
GRADE_COLOURS = {"A": "#4ade80", "B": "#facc15", "C": "#fb923c", "X": "#a1a8b3"}
UNGRADED_COLOUR = "#5bb8ff"
_BEST_TO_WORST = tuple(GRADE_COLOURS[grade] for grade in "ABC")
_grades: dict[str, str] = dict(GRADE_COLOURS)


@dataclass(frozen=True, slots=True)
class Theme:
    """Named colours; the names are those of ``resources/style/window.qss``."""

    name: str
    window: str
    panel: str
    base: str
    raised: str
    hover: str
    border: str
    text: str
    muted: str
    disabled: str
    accent: str
    accent_text: str
    selection: str
    good: str
    warning: str
    error: str
    canvas: str
    no_data: str


DARK = Theme(
    name="dark",
    window="#15181e",
    panel="#1b1f27",
    base="#11141a",
    raised="#262b35",
    hover="#313846",
    border="#303643",
    text="#dde2ea",
    muted="#98a1b0",
    disabled="#5d6572",
    accent="#5aa9ff",
    accent_text="#07111d",
    selection="#24486f",
    good="#4ade80",
    warning="#facc15",
    error="#ff7a70",
    canvas="#07090c",
    no_data="#2d2436",
)
LIGHT = Theme(
    name="light",
    window="#f1f3f6",
    panel="#fafbfc",
    base="#ffffff",
    raised="#e6e9ee",
    hover="#d9dee6",
    border="#c6ccd6",
    text="#1b212b",
    muted="#5a6474",
    disabled="#a3abb8",
    accent="#1769c2",
    accent_text="#ffffff",
    selection="#bcd8f6",
    good="#1a7f45",
    warning="#946200",
    error="#b8281d",
    canvas="#0b0d11",
    no_data="#2d2436",
)
THEMES = {theme.name: theme for theme in (DARK, LIGHT)}
_current = DARK


def theme() -> Theme:
    """The theme last applied; dark before any was."""
    return _current


def system_theme() -> str:
    """``"light"`` where the desktop asks for it, else ``"dark"``."""
    hints = QGuiApplication.styleHints()
    return "light" if hints is not None and hints.colorScheme() == Qt.ColorScheme.Light else "dark"


def apply(application: QApplication, name: str = "dark") -> Theme:
    """Give the whole application a theme, ``"dark"``, ``"light"`` or ``"system"``; returns the one in force."""
    global _current
    _current = THEMES[system_theme() if name == "system" else name]
    application.setStyle("Fusion")
    application.setPalette(palette(_current))
    application.setFont(font())
    application.setStyleSheet(style_sheet(_current))
    return _current


def font(*, points: float = 10.0, bold: bool = False) -> QFont:
    """The font of the window."""
    chosen = QFont()
    chosen.setFamilies(FAMILIES)
    chosen.setPointSizeF(points)
    chosen.setBold(bold)
    return chosen


def fixed_font(*, points: float = 9.5) -> QFont:
    """A font whose digits stand under each other, for coordinates and values."""
    chosen = QFont()
    chosen.setFamilies(FIXED_FAMILIES)
    chosen.setStyleHint(QFont.StyleHint.Monospace)
    chosen.setPointSizeF(points)
    return chosen


def palette(colours: Theme) -> QPalette:
    """The Qt palette of a theme: what native painting and item views use."""
    role = QPalette.ColorRole
    made = QPalette()
    for key, value in {
        role.Window: colours.window,
        role.WindowText: colours.text,
        role.Base: colours.base,
        role.AlternateBase: colours.panel,
        role.Text: colours.text,
        role.Button: colours.raised,
        role.ButtonText: colours.text,
        role.BrightText: colours.error,
        role.Highlight: colours.selection,
        role.HighlightedText: colours.text,
        role.Link: colours.accent,
        role.LinkVisited: colours.accent,
        role.ToolTipBase: colours.raised,
        role.ToolTipText: colours.text,
        role.PlaceholderText: colours.muted,
        role.Mid: colours.border,
        role.Dark: colours.border,
    }.items():
        made.setColor(key, QColor(value))
    for key in (role.WindowText, role.Text, role.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, key, QColor(colours.disabled))
    return made


def style_sheet(colours: Theme) -> str:
    """The style sheet of a theme."""
    folder = files("resources").joinpath("style")
    values = {item.name: getattr(colours, item.name) for item in fields(colours)}
    return Template(folder.joinpath("window.qss").read_text("utf-8")).substitute(
        values, icons=Path(str(folder)).as_posix()
    )


def set_grades(levels: Sequence[tuple[str, bool | None]]) -> None:
    """Give each grade a colour: best first, with whether it calls a lens; none for the four letters.

    Green over yellow to orange by rank, greys for those that say it is no lens.
    """
    _grades.clear()
    lenses = [name for name, lens in levels if lens is not False]
    for rank, name in enumerate(lenses):
        _grades[name] = _between(rank / max(len(lenses) - 1, 1))
    for rank, name in enumerate(name for name, lens in levels if lens is False):
        _grades[name] = QColor(GRADE_COLOURS["X"]).darker(100 + 30 * rank).name()
    _grades.update({name: colour for name, colour in GRADE_COLOURS.items() if not levels})


def _between(place: float) -> str:
    """The colour at a place of 0 (best) to 1 on the way from the best to the worst."""
    step = min(int(place * (len(_BEST_TO_WORST) - 1)), len(_BEST_TO_WORST) - 2)
    share = place * (len(_BEST_TO_WORST) - 1) - step
    ends = (QColor(colour).getRgb()[:3] for colour in _BEST_TO_WORST[step : step + 2])
    return QColor(*(round((1 - share) * a + share * b) for a, b in zip(*ends, strict=True))).name()


def grade_colours() -> dict[str, str]:
    """The colours of the grades of the project, best first."""
    return dict(_grades)


def grade_colour(grade: str | None) -> QColor:
    """The colour of a grade (of its first letter, if it is no grade itself); that of the ungraded for others."""
    name = grade or ""
    return QColor(_grades.get(name) or _grades.get(name[:1].upper()) or UNGRADED_COLOUR)


def grade_ink(grade: str | None) -> QColor:
    """The colour of a grade as writing on a button: darker in the light theme."""
    colour = grade_colour(grade)
    return colour.darker(190) if theme() is LIGHT else colour


def icon(name: str, colour: str | None = None) -> QIcon:
    """The icon ``resources/icons/<name>.svg`` drawn in a colour, that of text by default; greyed when disabled."""
    made = _icon(name, colour or theme().text, theme().disabled)
    if colour is None:
        _names[made.cacheKey()] = name
    return made


def renew_icons(window: QWidget) -> None:
    """Draw the icons of all buttons of a window in the colours of the theme now in force."""
    for button in window.findChildren(QAbstractButton):
        name = _names.get(button.icon().cacheKey())
        if name is not None:
            button.setIcon(icon(name))


_names: dict[int, str] = {}


@lru_cache(maxsize=512)
def _icon(name: str, colour: str, disabled: str) -> QIcon:
    made = QIcon()
    made.addPixmap(_drawn(name, colour, 32), QIcon.Mode.Normal)
    made.addPixmap(_drawn(name, disabled, 32), QIcon.Mode.Disabled)
    return made


def icon_names() -> list[str]:
    """The names that ``icon`` takes."""
    folder = files("resources").joinpath("icons")
    return sorted(entry.name.removesuffix(".svg") for entry in folder.iterdir() if entry.name.endswith(".svg"))


@lru_cache(maxsize=256)
def _drawn(name: str, colour: str, side: int) -> QPixmap:
    source = files("resources").joinpath("icons", f"{name}.svg").read_text("utf-8")
    pixmap = QPixmap(QSize(side, side))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(source.replace("currentColor", colour).encode())).render(painter)
    painter.end()
    return pixmap
