"""Packages are imported by several threads of the window at once, in any order."""

from __future__ import annotations

import subprocess
import sys

import pytest

import engine.catalogue

CODE = """
import sys, threading, time
from importlib.abc import MetaPathFinder

class Slow(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "engine.catalogue.queries":
            begun.set()
            time.sleep(0.3)  # meanwhile the other thread waits for this one

begun = threading.Event()
sys.meta_path.insert(0, Slow())
failed = []

def load(code):
    try:
        exec(code)
    except ImportError as error:
        failed.append(error)

first = threading.Thread(target=load, args=("import engine.catalogue.identity, engine.catalogue.queries",))
first.start()
begun.wait()
load("from engine.catalogue.store import Project")
first.join()
sys.exit(str(failed) if failed else 0)
"""


def test_a_project_is_opened_while_another_thread_imports_what_a_scan_needs():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_all_names_of_the_catalogue_are_there_and_no_others():
    for name in engine.catalogue.__all__:
        assert getattr(engine.catalogue, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Catalogue'"):
        _ = engine.catalogue.Catalogue
