"""``python -m engine.cli``."""

from engine.cli.program import app

if __name__ == "__main__":
    app()
