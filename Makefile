# make demo: see it work.  make test: everything that must hold.  make lint, make format: for developers.
# A virtual environment in .venv is made on first use and brought up to date when pyproject.toml changes.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_OUTPUT ?= demo-output

.PHONY: demo test lint format clean

demo: $(VENV)/.installed
	@sh packaging/install-qt-libraries.sh $(BIN)/python
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then \
		exec $(BIN)/deeplense-gui --demo; \
	else \
		echo "No display: running the same job without a window. It takes one to five minutes."; \
		$(BIN)/deeplense demo --headless $(DEMO_OUTPUT) && \
		echo "Catalogue, report and screenshot are in $(DEMO_OUTPUT)/ (open $(DEMO_OUTPUT)/report.html)"; \
	fi

test: $(VENV)/.installed-test lint
	@sh packaging/install-qt-libraries.sh $(BIN)/python
	@sh packaging/install-postgresql.sh
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "Installing the libraries: a few minutes the first time"
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar off -e .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	@echo "Installing the libraries: a few minutes the first time"
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar off -e ".[test]"
	@touch $@ $(VENV)/.installed

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python3"; exit 2; }
	@sh packaging/install-python-venv.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) $(DEMO_OUTPUT) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
