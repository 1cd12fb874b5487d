import pytest
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication, QPushButton, QWidget

from deeplense_gui import style
from deeplense_gui.session import GRADES


@pytest.fixture(autouse=True)
def _restore(qapp):
    yield
    qapp.setStyleSheet("")
    style.apply(qapp, "dark")
    qapp.setStyleSheet("")


def contrast(first: str, second: str) -> float:
    """The contrast ratio of the accessibility guidelines (WCAG 2.1, 1.4.3)."""

    def luminance(name: str) -> float:
        parts = [
            value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4
            for value in QColor(name).getRgbF()[:3]
        ]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    bright, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", style.THEMES)
def test_applying_a_theme_colours_the_whole_application(qapp: QApplication, name: str) -> None:
    applied = style.apply(qapp, name)
    assert style.theme() is applied
    assert qapp.palette().color(QPalette.ColorRole.Window).name() == applied.window
    assert "$" not in qapp.styleSheet().split("*/", 1)[1]


@pytest.mark.parametrize("theme", style.THEMES.values(), ids=lambda theme: theme.name)
@pytest.mark.parametrize("ground", ["window", "panel", "base", "raised", "selection"])
def test_text_can_be_read(theme: style.Theme, ground: str) -> None:
    assert contrast(theme.text, getattr(theme, ground)) >= 4.5


@pytest.mark.parametrize("theme", style.THEMES.values(), ids=lambda theme: theme.name)
@pytest.mark.parametrize("name", ["muted", "accent", "error", "warning"])
def test_lesser_text_can_be_read_on_panels(theme: style.Theme, name: str) -> None:
    assert contrast(getattr(theme, name), theme.panel) >= 4.5


def test_the_system_chooses_where_it_is_asked(qapp: QApplication) -> None:
    assert style.apply(qapp, "system").name in style.THEMES


@pytest.mark.parametrize("name", style.icon_names())
def test_each_icon_draws_something_in_its_colour(qapp: QApplication, name: str) -> None:
    image = style.icon(name, "#ff0000").pixmap(32, 32).toImage()
    colours = {
        image.pixelColor(x, y).name() for x in range(32) for y in range(32) if image.pixelColor(x, y).alpha() > 200
    }
    assert colours == {"#ff0000"}


def test_grades_have_colours_of_their_own(qapp: QApplication) -> None:
    colours = [style.grade_colour(grade).name() for grade in (*GRADES, None)]
    assert len(set(colours)) == len(colours)
    assert style.grade_colour("A2") == style.grade_colour("A")


def test_widgets_show_under_either_theme(qtbot, qapp: QApplication) -> None:
    button = QPushButton("Scan")
    qtbot.addWidget(button)
    for name in style.THEMES:
        style.apply(qapp, name)
        button.show()
        assert not button.grab().isNull()


def test_icons_follow_the_theme(qapp, qtbot):
    window = QWidget()
    qtbot.addWidget(window)
    style.apply(qapp, "dark")
    button = QPushButton(style.icon("undo"), "Undo", window)
    dark = button.icon().pixmap(16).toImage()
    style.apply(qapp, "light")
    style.renew_icons(window)
    assert button.icon().pixmap(16).toImage() != dark
    style.apply(qapp, "dark")
    style.renew_icons(window)
    assert button.icon().pixmap(16).toImage() == dark
