# Everything runs in .venv, made on first use from python3 (3.11 or later) and the pins of constraints.txt.
# PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS, ... are pip's own: with PyTorch's index of CPU builds as an extra
# index, torch comes without CUDA.
PYTHON ?= python3
SEISFLOW_SHARED ?= ../shared
export SEISFLOW_SHARED := $(abspath $(SEISFLOW_SHARED))

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SOURCES := seisflow tests benchmarks docs
BENCHMARKS := $(filter-out benchmarks/real_%,$(wildcard benchmarks/*.py))

.PHONY: demo test lint format docs real bench clean
.DELETE_ON_ERROR:

demo: .venv/installed  ## synthetic network-day with known truth, through the whole workflow
	$(BIN)/seisflow demo --json

test: .venv/installed-test .venv-services/installed  ## the test suite, two files at a time; PYTEST_ARGS are passed on
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

lint: .venv/installed-dev  ## style, types, import contracts, docstrings, documentation
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	find seisflow -name '*.py' -exec $(BIN)/numpydoc lint {} +
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

format: .venv/installed-dev  ## put the source in order
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

docs: .venv/installed-dev  ## build the documentation, without a network
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

real: .venv/installed  ## the Iceland 2014 dike swarm, where the real data are
	@if [ -d "$(SEISFLOW_SHARED)/data" ]; then \
	    $(BIN)/python benchmarks/real_iceland.py; \
	else \
	    echo "skipped: real data are not here, there is no folder $(SEISFLOW_SHARED)/data (set SEISFLOW_SHARED)"; \
	fi

bench: .venv/installed-bench  ## every benchmark, short
	@set -e; for script in $(BENCHMARKS); do echo "$$script"; $(BIN)/python $$script --quick; done

clean:  ## what was built, not .venv
	rm -rf build docs/_build docs/reference/tables seisflow-demo .mypy_cache .pytest_cache .ruff_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "seisflow needs Python 3.11 or later")'
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e '.[association]'
	@touch $@

# The S3 server of the tests pins its botocore exactly, and has an environment of its own.
.venv-services/installed: tests/services/ministack.txt
	$(PYTHON) -m venv .venv-services
	.venv-services/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Each set stands on the one before, so that `make -j` never installs twice at once.
.venv/installed-test: .venv/installed
	$(INSTALL) -e '.[association,test]'
	@touch $@

.venv/installed-dev: .venv/installed-test
	$(INSTALL) -e '.[association,test,dev]'
	@touch $@

.venv/installed-bench: .venv/installed-dev
	$(INSTALL) -e '.[association,test,dev,bench]'
	@touch $@
