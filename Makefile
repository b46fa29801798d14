# Everything that a target needs, it installs itself: into .venv, from the lock files.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTHON ?= $(shell for candidate in python3 python3.13 python3.12 python3.11; do \
	$$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$candidate && break; done)
ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PIP_COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes \
	--allow-unsafe --strip-extras --no-emit-options

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-containers test-chaos check format bench lock clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(INSTALLED) ## Make .venv with the pinned dependencies (quick when it is up to date)

demo: venv ## Show the whole path on real servers, with a worker killed half-way and an audit
	@$(BIN)/points-worker demo

test: venv ## Run all tests but the chaos tier
	$(BIN)/pytest -m "not chaos"

test-containers: venv ## Run the tests in containers, and those that need RabbitMQ 4
	POINTS_TEST_SERVERS=docker $(BIN)/pytest -m "" tests/containers tests/integration/broker \
		tests/end_to_end tests/chaos

test-chaos: venv ## Run the long tests that kill, freeze and stop things
	$(BIN)/pytest -m chaos

check: venv ## Check style, types and who imports whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: venv ## Put the code into its format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: venv ## Measure throughput, latency and CPU per adjustment
	@$(BIN)/python -m tests.benchmarks

lock: venv ## Resolve the dependencies anew and pin them by hash
	$(PIP_COMPILE) --upgrade --output-file requirements.lock pyproject.toml
	$(PIP_COMPILE) --upgrade --output-file requirements-build.lock \
		--only-build-deps --build-deps-for wheel --build-deps-for editable pyproject.toml
	$(BIN)/python -c 'import tomllib; \
		group = tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"]; \
		print("-c $(CURDIR)/requirements.lock", "-c $(CURDIR)/requirements-build.lock", *group, sep="\n")' \
		| $(PIP_COMPILE) --upgrade --output-file requirements-dev.lock --no-annotate pyproject.toml -

clean: ## Remove what can be made again, .venv included
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): requirements-dev.lock requirements-build.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed, and none was found."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || [ -x $(BIN)/python ] || { \
		echo "Installing python3-venv with apt-get: $(PYTHON) cannot make environments without it."; \
		$(ROOT) apt-get update -qq && $(ROOT) apt-get install -y -qq python3-venv >/dev/null; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned dependencies into $(VENV) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements-dev.lock -r requirements-build.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
