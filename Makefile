# Two commands are enough on a fresh machine: `make quickstart` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
OFFLINE := HF_HUB_OFFLINE=1

.PHONY: install quickstart test lint studies torture benchmarks clean

install: .venv/.installed

.venv/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "limbeck needs Python 3.11 or newer, got " + sys.version.split()[0] + ". Say which one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	# torch first and alone: the build for this machine then satisfies everything that follows.
	$(BIN)/pip install --quiet --disable-pip-version-check $$(grep '^torch==' requirements.txt)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

quickstart: install
	$(BIN)/limbeck run quickstart

test: install lint
	$(OFFLINE) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

studies: install
	$(OFFLINE) $(BIN)/python -m pytest -m study -s

torture: install
	$(OFFLINE) OMP_NUM_THREADS=1 $(BIN)/python -m tests.torture $(if $(QUICK),--quick)

clean:
	rm -rf .venv runs .pytest_cache .mypy_cache .ruff_cache
