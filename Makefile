# `make help` lists the targets. Nothing needs to be installed first but Python 3.11+ and make.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
STAMP := .venv/.installed
CACHE := $(or $(LANDSCAPE_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/landscape)
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check
CODE := landscape_cli experiments conf tests benchmarks examples

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## create .venv with the pinned dependencies
	@:

$(STAMP): requirements.lock pyproject.toml
	@for python in python3.11 python3.12 python3.13 python3 python; do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  echo "installing into .venv with $$($$python --version)"; \
	  $$python -m venv .venv && exit 0; \
	done; echo "landscape needs Python 3.11 or newer" >&2; exit 2
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --editable .
	@touch $@

run: install  ## train, find strings, draw the figure; ARGS="model=... pairs=..."
	@$(BIN)/landscape run geodesic $(ARGS)

# Tests compile longer than they run, and the plainest code, which runs slower, compiles soonest.
PLAIN := --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1
# Programs that do not say which line an operation is from are written 3 % sooner.
test: install  ## the quick tests, a process a core; ARGS="-k word"
	@JAX_PLATFORMS=cpu XLA_FLAGS="$(XLA_FLAGS) $(PLAIN)" JAX_TRACEBACK_IN_LOCATIONS_LIMIT=0 \
	  OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

test-slow: install  ## the tests that take minutes
	@JAX_PLATFORMS=cpu $(BIN)/python -m pytest -m slow $(ARGS)

test-gpu: install  ## the tests that need a GPU
	@JAX_PLATFORMS=cuda,cpu $(BIN)/python -m pytest -m gpu $(ARGS)

check: test lint format-check types  ## what CI runs

lint: install  ## ruff's rules
	@$(BIN)/ruff check --quiet $(CODE)

format: install  ## rewrite the layout of all code
	@$(BIN)/ruff format $(CODE)

format-check: install  ## is the layout as `make format` leaves it?
	@$(BIN)/ruff format --quiet --check $(CODE)

types: install  ## the type checker
	@$(BIN)/pyright --warnings

bench: install  ## time what matters; prints a table and saves JSON
	@$(BIN)/python -m benchmarks.bench $(ARGS)

lock: install  ## renew requirements.lock from pyproject.toml
	@$(PIP) install uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --extra dev pyproject.toml --output-file requirements.lock

clean:  ## remove .venv and everything built; outputs/ stays
	@rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-cache:  ## remove the compiled programs kept between runs
	@rm -rf "$(CACHE)/jax"

.PHONY: help install run test test-slow test-gpu check lint format format-check types bench lock clean clean-cache
