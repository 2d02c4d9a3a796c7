# The verbs people type. `make run` and `make test` need Python 3.11 or newer and nothing else.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
CONFIG ?= training/configs/sentiment-en.toml
PYTEST_WORKERS ?= 2
SECONDS ?= 3
SHELL_SCRIPTS := .ci/run scripts/check-container deploy/seal-environment

.DEFAULT_GOAL := help
.PHONY: help run test lint format train bench sbom profile clean

help: ## Say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-8s %s\n", $$1, $$2}'

run: .venv/serving ## Serve the bundled packages on 127.0.0.1:8000 (SLUICE_HOST, SLUICE_PORT)
	$(BIN)/sluice serve

test: .venv/dev .venv/clients.made ## Install everything and run the whole suite
	$(BIN)/pytest -n $(PYTEST_WORKERS)

lint: .venv/dev ## Formatting, style, types, architecture, dependencies, security, container and monitoring files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml app training benchmarks deploy scripts
	$(BIN)/hadolint Dockerfile
	$(BIN)/shellcheck $(SHELL_SCRIPTS)

format: .venv/dev ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

train: .venv/dev ## Make the package of CONFIG from the labelled text in SLUICE_DATA
	$(BIN)/sluice-train prepare $(CONFIG)
	if grep -q '^\[pretrain\]' $(CONFIG); then $(BIN)/sluice-train pretrain $(CONFIG); fi
	if grep -q '^\[distill\]' $(CONFIG); then $(BIN)/sluice-train distill $(CONFIG); fi
	$(BIN)/sluice-train train $(CONFIG)
	$(BIN)/sluice-train export $(CONFIG)
	$(BIN)/sluice-train pack $(CONFIG)

bench: .venv/dev ## Measure this service and write docs/performance and docs/decoding: ten minutes at SECONDS=3 (needs wrk)
	$(BIN)/python -m benchmarks --seconds $(SECONDS)
	$(BIN)/python -m benchmarks.figures --seconds $(SECONDS)
	$(BIN)/python -m benchmarks.batches
	$(BIN)/python -m benchmarks.curves --seconds $(SECONDS)
	$(BIN)/python -m benchmarks.graphs
	$(BIN)/python -m benchmarks.processes --seconds $(SECONDS)
	$(BIN)/python -m benchmarks.profile --seconds $(SECONDS) --page docs/performance.md
	$(BIN)/python -m benchmarks.start
	$(BIN)/python -m benchmarks.decoding --seconds $(SECONDS)
	$(BIN)/python -m benchmarks.targets

profile: .venv/dev ## Say where a request's time goes, in microseconds of CPU (needs wrk)
	$(BIN)/python -m benchmarks.profile

sbom: .venv/dev ## List what serving is made of in sbom.json (CycloneDX), for a scanner
	$(BIN)/cyclonedx-py requirements --output-reproducible --output-format JSON --output-file sbom.json requirements.txt

clean: ## Remove the environment and every cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sluice needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv

.venv/serving: requirements.txt pyproject.toml | .venv/bin/python
	$(PIP) install -r requirements.txt
	$(PIP) install --no-deps --editable .
	touch $@

# clients of the Open Inference Protocol, which want older packages than the rest
.venv/clients.made: tests/clients/requirements.txt | .venv/bin/python
	$(PYTHON) -m venv .venv/clients
	.venv/clients/bin/pip --disable-pip-version-check --quiet install -r tests/clients/requirements.txt
	touch $@

# torch comes first: what is installed after it takes the build that is there
.venv/dev: requirements-dev.txt .venv/serving | .venv/bin/python
	$(PIP) install $(shell grep '^torch==' requirements-dev.txt)
	$(PIP) install -r requirements-dev.txt
	touch $@
