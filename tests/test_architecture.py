"""Imports run one way; heavy libraries stay behind the doors of their rooms."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from pytest_archon import archrule
from pytest_archon.collect import collect_imports, walk, walk_runtime

import deeplense_gui
import engine

# Each row may import itself and the rows above it, never a row below.
ENGINE_LAYERS = (
    ("engine.types", "engine.errors", "engine.device"),
    ("engine.images", "engine.models", "engine.simulate", "engine.catalogue"),
    ("engine.detect", "engine.interpret", "engine.train", "engine.export"),
    ("engine.exchange", "engine.tuning"),
    ("engine.demo",),
    ("engine.cluster", "engine.cli"),
)
GUI_LAYERS = (
    ("deeplense_gui.jobs", "deeplense_gui.preferences", "deeplense_gui.style", "deeplense_gui.filters"),
    ("deeplense_gui.work",),
    ("deeplense_gui.session",),
    ("deeplense_gui.grading_actions", "deeplense_gui.models", "deeplense_gui.widgets"),
    ("deeplense_gui.interop_actions", "deeplense_gui.stamp_actions"),
    ("deeplense_gui.actions", "deeplense_gui.interop_menus"),
    ("deeplense_gui.panels", "deeplense_gui.dialogs"),
    ("deeplense_gui.asking", "deeplense_gui.focus_keys"),
    ("deeplense_gui.docks",),
    ("deeplense_gui.main_window",),
    ("deeplense_gui.screenshot",),
    ("deeplense_gui.__main__",),
)
HEAVY = {
    "torch": ("engine.device", "engine.models", "engine.interpret", "engine.train"),
    "torchvision": ("engine.models", "engine.train"),
    "timm": ("engine.models", "engine.train"),
    "captum": ("engine.interpret",),
    "lenstronomy": ("engine.simulate", "engine.interpret.lens_model"),
    "sqlalchemy": ("engine.catalogue",),
    "psycopg": ("engine.catalogue",),
    "dask": ("engine.cluster",),
    "distributed": ("engine.cluster",),
    "pyvo": ("engine.exchange",),
    "requests": ("engine.exchange",),
    "PySide6": (),
    "pyqtgraph": (),
}


def tree(*rooms: str) -> list[str]:
    """Glob patterns for rooms and all they contain."""
    return [pattern for room in rooms for pattern in (room, f"{room}.*")]


def modules(package: object) -> set[str]:
    return set(collect_imports(package, walk))


def below(layers: tuple[tuple[str, ...], ...]) -> list[tuple[str, tuple[str, ...]]]:
    """Each room that exists, with the rooms it must not import."""
    names = modules(engine) | modules(deeplense_gui)
    return [
        (room, tuple(r for layer in layers[i + 1 :] for r in layer))
        for i, layer in enumerate(layers)
        for room in layer
        if room in names and i + 1 < len(layers)
    ]


@pytest.mark.parametrize(("room", "forbidden"), below(ENGINE_LAYERS))
def test_the_engine_imports_one_way(room: str, forbidden: tuple[str, ...]) -> None:
    rule = archrule(f"{room} knows nothing of what is built on it").match(*tree(room))
    rule.should_not_import(*tree(*forbidden)).check(engine, only_direct_imports=True)


@pytest.mark.parametrize(("room", "forbidden"), below(GUI_LAYERS))
def test_the_window_imports_one_way(room: str, forbidden: tuple[str, ...]) -> None:
    rule = archrule(f"{room} knows nothing of what is built on it").match(*tree(room))
    rule.should_not_import(*tree(*forbidden)).check(deeplense_gui, only_direct_imports=True, skip_type_checking=True)


@pytest.mark.parametrize(("package", "layers"), [(engine, ENGINE_LAYERS), (deeplense_gui, GUI_LAYERS)])
def test_every_module_has_its_place(package: object, layers: tuple[tuple[str, ...], ...]) -> None:
    rooms = {room for layer in layers for room in layer} | {package.__name__}
    assert {".".join(name.split(".")[:2]) for name in modules(package)} <= rooms


@pytest.mark.parametrize("package", [engine, deeplense_gui])
def test_no_room_imports_itself_in_a_circle(package: object) -> None:
    graph: dict[str, set[str]] = {}
    for name, imports in collect_imports(package, walk_runtime).items():
        room = ".".join(name.split(".")[:2])
        others = {".".join(i.split(".")[:2]) for i in imports if i.startswith(f"{package.__name__}.")}
        graph.setdefault(room, set()).update(others - {room, package.__name__})
    graph.pop(package.__name__, None)  # the package itself offers its rooms' public names, lazily
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("library", HEAVY)
def test_heavy_libraries_stay_in_their_rooms(library: str) -> None:
    rule = archrule(f"{library} stays in its rooms").match("engine", "engine.*").exclude(*tree(*HEAVY[library]))
    rule.should_not_import(*tree(library)).check(engine, only_direct_imports=True)


def test_the_engine_knows_no_window() -> None:
    archrule("no window").match("engine", "engine.*").should_not_import(*tree("deeplense_gui")).check(
        engine, only_direct_imports=True
    )


def test_panels_do_not_know_each_other() -> None:
    panels = {name for name in modules(deeplense_gui) if name.startswith("deeplense_gui.panels.")}
    for panel in panels:
        others = [other for other in panels if other != panel and not other.startswith(f"{panel}.")]
        if others:
            rule = archrule(f"{panel} knows no other panel").match(panel)
            rule.should_not_import(*others).check(deeplense_gui, only_direct_imports=True)


def test_only_session_and_jobs_call_the_engine() -> None:
    rule = archrule("the window sees types").match("deeplense_gui", "deeplense_gui.*")
    rule = rule.exclude(*tree("deeplense_gui.session"), *tree("deeplense_gui.work"), "deeplense_gui.jobs")
    rule = rule.exclude("deeplense_gui.widgets.*").should_not_import("engine", "engine.*")
    # `import engine` alone tells its version; its public names are for the session.
    rule.may_import("engine", "engine.types", "engine.errors").check(deeplense_gui, only_direct_imports=True)
    for path in Path(deeplense_gui.__path__[0]).rglob("*.py"):
        taken = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)]
        assert (
            path.parent.name in {"session", "work"}
            or path.name == "jobs.py"
            or not any(node.module == "engine" for node in taken)
        ), path


def test_widgets_see_types_tiles_and_what_is_drawn_over_them() -> None:
    rule = archrule("widgets see types, tiles and what is drawn over them").match("deeplense_gui.widgets.*")
    rule = rule.should_not_import("engine", "engine.*")
    drawn = ("scaling", "pyramid", "wavelengths", "positions", "grid", "contours", "shapes")
    rule = rule.may_import("engine.types", "engine.errors", *(f"engine.images.{name}" for name in drawn))
    rule.check(deeplense_gui, only_direct_imports=True)


def test_the_window_does_not_import_torch() -> None:
    rule = archrule("no torch").match("deeplense_gui", "deeplense_gui.*")
    rule = rule.exclude(*tree("deeplense_gui.work"))  # runs in the worker, and warms it up
    rule.should_not_import(*tree("torch", "timm", "captum", "lenstronomy", "sqlalchemy")).check(
        deeplense_gui, only_direct_imports=True
    )


@pytest.mark.parametrize("module", ["engine", "engine.cli"])
def test_a_light_start(module: str) -> None:
    code = f"import sys, {module}; print(*(set(sys.modules) & {{'torch', 'astropy', 'dask'}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not loaded.stdout.split()


SOURCES = sorted(p for package in (engine, deeplense_gui) for p in Path(package.__path__[0]).rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: "/".join(p.parts[-3:]))
def test_plain_code(path: Path) -> None:
    """No print, no catch-all (but for the job runner, which reports it), no module that is a drawer for anything."""
    assert path.stem not in {"utils", "helpers", "misc", "common"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"{path}:{node.lineno} prints"
        if isinstance(node, ast.ExceptHandler) and path.name != "jobs.py":
            caught = ast.unparse(node.type) if node.type else "everything"
            assert caught not in {"everything", "Exception", "BaseException"}, f"{path}:{node.lineno} catches {caught}"
