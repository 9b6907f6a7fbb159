# Project commands. `make test` and `make lint` build the environment first if it is missing.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
NO_PANDA := note: robosuite is not installed, and its tests are skipped. One of its packages needs a C compiler and \
headers (Debian: apt-get install -y gcc python3-dev linux-libc-dev)
# Threads make operations on small arrays slower on a busy machine.
export OMP_NUM_THREADS ?= 1
THREADS ?= 2
JOBS ?= 2

.PHONY: help env engines-env quickstart test test-engines lint format embedded bench bench-sim bench-execution bench-embedded \
  bench-quickstart bench-clone bench-table bench-report bench-grpo bench-evaluate bench-memory real-shape gpu-check evidence chaos \
  data pages images coverage clean

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

env: $(VENV)/.ready ## create the environment with pinned versions

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable ".[dev,sim,train]"
	$(INSTALL) --editable ".[panda]" || echo "$(NO_PANDA)"
	touch $@

# verl and ms-swift ask for other versions than this package, and than each other: one environment each.
engines-env: .venv-engines/.ready .venv-swift/.ready ## environments of verl and ms-swift (13 GB)

.venv-engines/.ready: CONSTRAINTS = constraints-engines.txt
.venv-engines/.ready: PACKAGES = verl "ray[default]" tensordict TransferQueue pyzmq fastapi uvicorn cachetools
.venv-swift/.ready: CONSTRAINTS = constraints-swift.txt
.venv-swift/.ready: PACKAGES = ms_swift
.venv-engines/.ready .venv-swift/.ready: constraints-engines.txt constraints-swift.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) \
	  $(PACKAGES) torch torchvision transformers msgspec qwen-vl-utils pydantic pyyaml pillow rich typer
	touch $@

quickstart: env ## train the shipped model on six new tasks with GRPO, and write a report (15 min)
	OMP_NUM_THREADS=$(THREADS) $(BIN)/maniplvm quickstart --out runs/quickstart

test: env ## run all tests
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

test-engines: env engines-env ## run exported recipes on the real verl and ms-swift (10 min)
	$(BIN)/python -m pytest tests_engines

lint: env ## run ruff and pyright
	$(BIN)/ruff format --check src tests tests_engines benchmarks
	$(BIN)/ruff check src tests tests_engines benchmarks
	$(BIN)/pyright

format: env ## format the code with ruff
	$(BIN)/ruff format src tests tests_engines benchmarks
	$(BIN)/ruff check --fix src tests tests_engines benchmarks

coverage: env ## measure branch coverage of the core (at least 95 %)
	$(BIN)/python -m pytest tests/geometry tests/tasks tests/rewards tests/data tests/cli tests/evaluation \
	  --cov=maniplvm.geometry --cov=maniplvm.tasks --cov=maniplvm.rewards --cov=maniplvm.data \
	  --cov-report=term-missing:skip-covered --cov-fail-under=95

bench: env ## reward speed compared with public packages -> results/rewards_speed.json
	$(BIN)/python benchmarks/rewards_speed.py

bench-sim: env ## experts, views, boxes and traces of every task -> results/simulation*.json (15 min)
	$(BIN)/python benchmarks/simulation.py --world metaworld --seeds 20 --out results/simulation.json
	$(BIN)/python benchmarks/simulation.py --world robosuite --seeds 10 --out results/simulation_robosuite.json
	$(BIN)/python -m maniplvm.experiments.pages simulation

bench-execution: env ## success rates of good and bad traces in physics -> results/*execution.json (12 min)
	$(BIN)/python benchmarks/execution.py --out results/execution.json --plot docs/images/execution_noise.png
	$(BIN)/python benchmarks/shipped_execution.py --out results/shipped_execution.json

embedded: env ## pretrain the shipped model from scratch in build/embedded (hours; resumable)
	test -d build/embedded-data || $(BIN)/maniplvm simulate --out build/embedded-data --name embedded-data \
	  --splits train --per-task 180 --views 4 --size 192 --seed 1 --workers 2
	$(BIN)/maniplvm pretrain-embedded --data build/embedded-data --out build/embedded --processes 2

bench-embedded: env ## evaluate the shipped model and baselines -> results/embedded.json (8 min)
	$(BIN)/python benchmarks/embedded.py --out results/embedded.json

chaos: env ## interruptions, full disks, odd input and attacks -> results/reliability.json (30 min)
	$(BIN)/python -m benchmarks.reliability --jobs $(JOBS)

bench-quickstart: env ## the quickstart with an SFT control, three seeds -> results/quickstart.json (1 h)
	$(BIN)/python benchmarks/quickstart.py --jobs 2 --controls 1 --out results/quickstart.json
	$(BIN)/python -m maniplvm.experiments.pages quickstart

bench-clone: env ## time quickstart and test in a fresh clone -> results/fresh_clone.json (25 min)
	$(BIN)/python benchmarks/fresh_clone.py --out results/fresh_clone.json

bench-table: env ## compare models on all simulator splits -> results/simulator_table.json (TRAINED=folder)
	$(BIN)/python benchmarks/simulator_table.py $(if $(TRAINED),--model $(TRAINED)) --out results/simulator_table.json
	$(BIN)/python -m maniplvm.experiments.pages simulator-table

bench-report: env ## time and size of a report of 5,000 samples -> results/report_speed.json (2 min)
	$(BIN)/python benchmarks/report_speed.py --out results/report_speed.json

bench-grpo: env ## shared prefix compared with stock TRL -> results/shared_prefix.json
	$(BIN)/python benchmarks/shared_prefix.py --out results/shared_prefix.json
	$(BIN)/python -m maniplvm.experiments.pages shared-prefix

bench-evaluate: env ## evaluation compared with one sample at a time -> results/evaluate_speed.json (20 min)
	$(BIN)/python benchmarks/evaluate_speed.py --out results/evaluate_speed.json

bench-memory: env ## memory estimates of the recipes -> results/memory.json
	$(BIN)/python benchmarks/memory_estimates.py

real-shape: env ## published shapes with random weights on a CPU -> results/real_shape.json (1 h, 20 GB)
	OMP_NUM_THREADS=$(THREADS) $(BIN)/python benchmarks/real_shape.py --out results/real_shape.json

gpu-check: env ## what only a GPU can show -> results/gpu_check.json (9 min on one 80 GB GPU)
	$(BIN)/python benchmarks/gpu_check.py --out results/gpu_check.json

pages: env ## write the generated tables, numbers and figures of README and docs
	$(BIN)/python -m maniplvm.experiments.pages

evidence: env ## compare GRPO with SFT, all arms -> results/evidence/ (6 h; resumable; TIER=main for one tier)
	$(BIN)/maniplvm experiment recipes/experiments/evidence.yaml --jobs $(JOBS) $(if $(TIER),--only $(TIER))
	$(BIN)/python -m maniplvm.experiments.pages evidence numbers

data: env ## generate the shipped data set in build/sim-small (10 min)
	$(BIN)/maniplvm simulate --world all --out build/sim-small --name sim-small --size 160 --views 2 \
	  --per-task train=15 --per-task id_test=4 --per-task adapt=25 --per-task adapt_test=18 \
	  --per-task ood_tasks=14 --per-task ood_robot=25 --workers 2

images: env ## write the images of README and docs
	$(BIN)/maniplvm score docs/examples/predictions.jsonl --data datasets/sim-small --sheet docs/images/scored.jpg
	$(BIN)/maniplvm doctor --data datasets/sim-small --split train --task trajectory --preset paper --preset dense \
	  --preset docs/examples/published-constants.yaml --out docs/images/doctor.png --json results/doctor.json \
	  || test $$? -eq 1  # the doctor finds issues in the published constants
	$(BIN)/python benchmarks/simulation_images.py --out docs/images
	$(BIN)/python benchmarks/execution_gif.py --out docs/images/execution.gif

clean: ## remove the environment and caches
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .coverage
