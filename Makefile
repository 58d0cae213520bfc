# make setup | demo | test | coverage | lint | clean | help        (see `make help`)
VENV := .venv
PY := $(VENV)/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# OPS=compiled builds mmcv's operators; IMAGES=folder runs the demo on own images; PIP_ARGS goes to pip install
OPS ?=
IMAGES ?=
PIP_ARGS ?=
ARGS ?=

# set up again only when one of these files says something else
KEY := $(shell cat requirements.txt pyproject.toml Makefile | cksum | cut -d ' ' -f 1)
STAMP := $(VENV)/.set-up-$(KEY)

.PHONY: help setup ops demo test coverage lint clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup: $(STAMP) ops ## make .venv with everything in it; OPS=compiled also builds mmcv's compiled operators
	@echo "$(VENV) is set up"

$(STAMP):
	@test -x $(PY) || for python in $(PYTHON) python3 python3.12 python3.11 python3.10 python3.13; do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || continue; \
	  echo "making $(VENV) with $$python"; $$python -m venv $(VENV); break; done
	@test -x $(PY) || { echo "Python 3.10 or newer is needed: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	$(PY) -m pip install -q --upgrade "pip>=24"
	$(PY) -m pip install --no-compile $(PIP_ARGS) -r requirements.txt
	$(PY) -m pip install -q --no-deps --no-build-isolation -e .
	$(PY) -m aligndet.ops.startup
	$(PY) -c 'import aligndet, mmcv.ops, mmdet.models'
	@rm -f $(VENV)/.set-up-*
	@touch $@

ops: $(STAMP)
ifeq ($(OPS),compiled)
	$(PY) -m aligndet.ops.compiled
	$(PY) -m aligndet.ops.startup
else ifneq ($(OPS),)
	$(error OPS=$(OPS) is unknown: leave it out for the stand-in, or give OPS=compiled)
else
	@:
endif

demo: setup ## the whole road on generated images; IMAGES=folder takes your own
	$(PY) tools/demo.py $(if $(IMAGES),--images "$(IMAGES)") $(ARGS)

test: setup ## all tests, a process per core; ARGS="-k name" goes to pytest
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --dist worksteal $(ARGS)

coverage: setup ## pre-train one config per family of mmdet for a step; ARGS=--all tries all
	$(PY) tools/coverage.py --jobs 2 $(ARGS)

lint: setup ## ruff (style, format) and mypy (types), without exclusions
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

clean: ## remove caches and build products; keeps .venv, data and work_dirs
	rm -rf .cache build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
