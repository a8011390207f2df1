.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
TRACE ?=
# Tests wait for processes a third of their time: one more than two processors.
WORKERS ?= 3
# Else every process of a machine that keeps no compiled modules compiles the product for itself, which is half a start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: compose-env image-check help setup setup-dev up up-split demo test check soak bench format requirements clean docs

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(VENV)/runtime.stamp: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit("Guildhall needs Python 3.11 or newer: make PYTHON=python3.11 setup") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/dev.stamp: requirements.txt requirements-dev.txt $(VENV)/runtime.stamp
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

setup: $(VENV)/runtime.stamp ## install what running needs into .venv, nothing else

setup-dev: $(VENV)/dev.stamp ## install what tests and checks need as well

up: setup ## start everything in one process on http://127.0.0.1:8000 (PORT=…), data under ./data
	@$(BIN)/python -m services up --port $(PORT)

up-split: setup-dev ## the four services as processes on PostgreSQL and Kafka in a throw-away directory (needs Java and Maven)
	@$(BIN)/python -m services up-split

demo: setup ## replay a simulated community (or TRACE=file) into a throw-away installation and print a summary
	@$(BIN)/python -m services demo $(if $(TRACE),--trace $(TRACE),)

test: setup-dev ## run every test that can run here; name what was skipped
	@$(BIN)/python -m pytest -m "not soak" -n $(WORKERS) --dist worksteal

check: setup-dev ## format, lint, types, import contracts
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

compose-env: setup ## passwords, secret key, a certificate for docker-compose.yml, once: .env, settings.env, deploy/gateway/tls
	@$(BIN)/python -m deploy.compose_env

image-check: setup-dev ## build deploy/Dockerfile and run every service from it (needs root, buildah, debootstrap; no Docker)
	@$(BIN)/python -m deploy.local.image_check

soak: setup-dev ## the long runs: 50 kills on both engines, a million records (bounded; prints its seeds)
	@GUILDHALL_CRASH_KILLS=50 $(BIN)/python -m pytest -m soak -s

bench: setup-dev ## measure, and print ratios
	@$(BIN)/python -m bench

format: setup-dev ## rewrite the code the way `make check` wants it
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix .

docs: setup-dev ## generate what is checked in: event schemas, the gateway's configuration, the dashboards
	@$(BIN)/python -m kit.schemas docs/event-schemas
	@$(BIN)/python -m services gateway-config --metrics-bind :8404 > deploy/gateway/haproxy.cfg
	@$(BIN)/python -m deploy.grafana.make deploy/grafana/dashboards

requirements: setup-dev ## compile the pinned requirements from pyproject.toml
	@$(BIN)/pip-compile --quiet --strip-extras --no-emit-options --no-header --annotation-style=line -o requirements.txt pyproject.toml
	@$(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --no-emit-options --no-header --annotation-style=line --extra dev -c requirements.txt -o requirements-dev.txt pyproject.toml

clean: ## remove what was built or cached (never ./data)
	@rm -rf $(VENV) .work .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
