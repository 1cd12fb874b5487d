"""The project's own papers: packaging files agree with pyproject.toml, and the installed Qt is a sound one."""

import configparser
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {
    "pyside6-essentials": "pyside6",
    "torch": "pytorch",
    "astropy": "astropy-base",
    "matplotlib": "matplotlib-base",
}


def requirement(line: str) -> tuple[str, str]:
    """Name and version range of a requirement, however it is written."""
    name, versions = re.fullmatch(r"\s*-?\s*([\w.-]+)\s*(.*)", line).groups()
    return name.lower(), versions.replace(" ", "")


def test_the_conda_recipe_asks_for_the_same_libraries() -> None:
    recipe = (ROOT / "packaging/conda/recipe.yaml").read_text()
    run = re.search(r"  run:\n((?:    - .*\n)+)", recipe)[1].splitlines()
    wanted = {CONDA_NAMES.get(n, n): v for n, v in map(requirement, PROJECT["dependencies"])}
    assert dict(map(requirement, run)) == wanted | {"python": PROJECT["requires-python"]}


def test_versions_agree() -> None:
    version = PROJECT["version"]
    assert f'version: "{version}"' in (ROOT / "packaging/conda/recipe.yaml").read_text()
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
    release = ET.parse(next((ROOT / "packaging").glob("*.metainfo.xml"))).find("releases/release")
    assert release.get("version") == version


def test_the_desktop_entry_starts_the_window() -> None:
    entry = configparser.RawConfigParser()
    entry.optionxform = str
    entry.read(next((ROOT / "packaging").glob("*.desktop")))
    assert entry["Desktop Entry"]["Exec"].split()[0] in PROJECT["gui-scripts"]


def pages() -> list[Path]:
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_of_the_guide_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_of_the_guide_exist(page: Path) -> None:
    """Each ``deeplense`` command in a code block is one the program knows, with options that it takes."""
    from typer.main import get_command

    from engine.cli import app

    commands = get_command(app).commands
    for block in re.findall(r"```(?:sh|bash|console)\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = line.split("#")[0].split()
            if words[:1] != ["deeplense"] or len(words) == 1 or words[1].startswith("-"):
                continue
            known = {option for p in commands[words[1]].params for option in (*p.opts, *p.secondary_opts)} | {"--help"}
            assert {w.split("=")[0] for w in words[2:] if w.startswith("--")} <= known, line


def test_qt_keeps_its_references_to_none() -> None:
    """Some PySide6 releases drop a reference to None in each void call, until Python aborts."""
    code = """
import sys
from PySide6.QtCore import QObject
thing = QObject()
before = sys.getrefcount(None)
for _ in range(10_000):
    thing.setObjectName("x")
sys.exit(sys.getrefcount(None) < before - 1_000)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
