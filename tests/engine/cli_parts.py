"""The command line run within the process, and a tiny network for it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.cli import main
from tests.engine.test_predict import write_model


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str


class CommandLine:
    """``deeplense`` with arguments; its standard error is no terminal."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Outcome:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        printed = self._capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Outcome(ended.value.code, printed.out, printed.err)


def tiny_model(folder: Path) -> Path:
    """A network of random weights that scores stamps of 32 pixels in any band."""
    write_model(folder)
    return folder
