# Every target makes what it needs: a virtual environment in .venv, and the packages in it.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
CORE := src/spikeloss/_kernels
# A file of the tests stays in one worker.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile
# What XLA compiled in one run of the tests is read by the next.
COMPILED := JAX_COMPILATION_CACHE_DIR=$(CURDIR)/.venv/compiled

.PHONY: compare test slow long composed sanitize portable release check format docs bench bench-fresh bench-gpu clean

compare: .venv/lab .venv/core ## train the same network once per objective, and compare
	$(BIN)/spikeloss compare

test: .venv/dev .venv/core ## the tests, but not the slow ones
	$(PYTEST) -m 'not slow'

# Whole programs wait for each other: one worker more than there are cores.
slow: .venv/dev .venv/core ## whole programs, and what compiles for long
	$(PYTEST) -n 3 -m 'slow and not long'

long: .venv/dev .venv/core ## what others nearly cover: before a release
	$(PYTEST) -m long
	$(MAKE) composed

# The first four say themselves which kernels run, whatever the mode; to the others, which train and
# print, it is the matter of their losses.
APART := kernels core benchmarks counts lab. lab_ cli docs bench_gpu ranks testing
composed: .venv/dev ## the tests without the native core that may differ, but not the slow ones
	SPIKELOSS_KERNELS=off $(PYTEST) -m 'not slow and not alike' $(APART:%=--ignore-glob='*/test_%*') \
		$(if $(ONLY),-k '$(ONLY)')

sanitize: .venv/dev ## the native core under the sanitizers of memory and of undefined behaviour
	PYTHON=$(BIN)/python tests/sanitize.sh

portable: .venv/dev .venv/core ## the native core of other compilers, machines and systems, where their tools are
	PYTHONPATH=src $(BIN)/python tests/portable.py

release: ## build sdist and wheel into dist, check them, and try them in new environments
	$(PYTHON) tests/release.py

check: .venv/dev .venv/core ## format, lint, types, tests with and without the core, docs: for CI
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	rm -rf .venv/compiled
	SPIKELOSS_KERNELS=require $(COMPILED) $(MAKE) test
	SPIKELOSS_KERNELS=require $(COMPILED) $(MAKE) slow
	$(COMPILED) $(MAKE) composed ONLY='not jax and (test_values or test_whole or test_parts)'
	$(MAKE) sanitize
	$(MAKE) docs

format: .venv/dev ## put the code in the house's form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: .venv/dev ## the pages, in docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

bench: .venv/dev .venv/core ## speed against the peers and against a copy, into benchmarks/results and docs/speed.md
	$(BIN)/python benchmarks/speed.py --threads 1
	$(BIN)/python benchmarks/speed.py --threads 2
	$(BIN)/python benchmarks/records.py
	$(BIN)/python benchmarks/seam.py; missed=$$?; \
	$(BIN)/python benchmarks/report.py && exit $$missed

bench-gpu: ## speed on a CUDA device, with the torch of $(PYTHON), into benchmarks/results
	PYTHONPATH=src $(PYTHON) benchmarks/gpu.py

bench-fresh: .venv/dev ## whether the committed rows are as old as the code that they measure
	$(BIN)/python benchmarks/report.py --check

clean: ## remove what the targets made, but not the results of runs
	rm -rf .venv dist docs/_build docs/api .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/core: $(wildcard $(CORE)/core/*) $(CORE)/build.py | .venv/bin/python
	-$(BIN)/python $(CORE)/build.py
	touch $@

.venv/lab: pyproject.toml constraints.txt hatch_build.py | .venv/bin/python
	$(PIP) --editable '.[lab]'
	touch $@

.venv/dev: pyproject.toml constraints.txt examples/requirements.txt hatch_build.py | .venv/bin/python
	$(PIP) --editable '.[dev]'
	@$(PIP) pyspike 2>/dev/null || echo "no PySpike, which is built from source: its distances are left out"
	$(PIP) --no-deps --requirement examples/requirements.txt
	touch $@
