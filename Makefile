# Every target makes what it needs: a virtual environment in .venv, and the packages in it.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: compare test slow check format docs bench clean

compare: .venv/lab ## train the same network once per objective, and compare
	$(BIN)/spikeloss compare

test: .venv/dev ## the tests, but not the slow ones; a file stays in one worker
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow'

slow: .venv/dev ## whole programs, and what compiles for long
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

check: .venv/dev ## format, lint, types, tests, slow tests, docs: what CI runs
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(MAKE) test
	$(MAKE) slow
	$(MAKE) docs

format: .venv/dev ## put the code in the house's form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: .venv/dev ## the pages, in docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

bench: .venv/dev ## speed against snnTorch and by hand, into benchmarks/results
	OMP_WAIT_POLICY=passive $(BIN)/python benchmarks/speed.py
	OMP_WAIT_POLICY=passive $(BIN)/python benchmarks/records.py
	OMP_WAIT_POLICY=passive $(BIN)/python benchmarks/seam.py; missed=$$?; \
	$(BIN)/python benchmarks/report.py && exit $$missed

clean: ## remove what the targets made, but not the results of runs
	rm -rf .venv docs/_build docs/api .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/lab: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) --editable '.[lab]'
	touch $@

.venv/dev: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) --editable '.[dev]'
	touch $@
