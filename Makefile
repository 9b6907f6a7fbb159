# Project commands. `make test` and `make lint` build the environment first if it is missing.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
# Tiny arrays gain nothing from threads and lose much on a busy machine.
export OMP_NUM_THREADS ?= 1

.PHONY: help env test lint format bench coverage clean

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

env: $(VENV)/.ready ## the environment: pinned versions, the package, what tests need

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev,panda,train]"
	touch $@

test: env ## all tests
	$(BIN)/python -m pytest

lint: env ## ruff and pyright
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/pyright

format: env ## rewrite the code in the house's format
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

coverage: env ## branch coverage of the core, at least 95 %
	$(BIN)/python -m pytest tests/geometry tests/tasks tests/rewards tests/data tests/cli tests/evaluation \
	  --cov=maniplvm.geometry --cov=maniplvm.tasks --cov=maniplvm.rewards --cov=maniplvm.data \
	  --cov-report=term-missing:skip-covered --cov-fail-under=95

bench: env ## reward speed against public packages -> results/rewards_speed.json
	$(BIN)/python benchmarks/rewards_speed.py

clean: ## remove the environment and caches
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .coverage
