# make setup | demo | test | openmmlab | mutants | fuzz | faults | coverage | lint | wheel | clean | help    (see `make help`)
VENV := .venv
PY := $(VENV)/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# OPS=compiled builds mmcv's operators; IMAGES=folder runs the demo on own images; PIP_ARGS goes to pip install
OPS ?=
IMAGES ?=
PIP_ARGS ?=
ARGS ?=

# the claim stands once, in pyproject.toml: requires-python = ">=3.A,<3.B"
OLDEST := $(shell sed -n 's/^requires-python = ">=3\.\([0-9]*\),<3\.[0-9]*"/\1/p' pyproject.toml)
BEYOND := $(shell sed -n 's/^requires-python = ">=3\.[0-9]*,<3\.\([0-9]*\)"/\1/p' pyproject.toml)
VERSIONS := $(addprefix 3.,$(shell seq $(OLDEST) $$(($(BEYOND) - 1))))
CANDIDATES := $(if $(PYTHON),"$(PYTHON)",$(addprefix python,$(VERSIONS)) python3 python)
SUPPORTED := import sys; sys.exit(not (3, $(OLDEST)) <= sys.version_info[:2] < (3, $(BEYOND)))

# set up again only when one of these files says something else
KEY := $(shell cat requirements.txt pyproject.toml Makefile | cksum | cut -d ' ' -f 1)
STAMP := $(VENV)/.set-up-$(KEY)

.PHONY: help setup ops demo test openmmlab mutants fuzz faults coverage lint wheel clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup: $(STAMP) ops ## make .venv with everything in it; OPS=compiled also builds mmcv's compiled operators
	@echo "$(VENV) is set up. Now: . $(VENV)/bin/activate    (or call $(VENV)/bin/aligndet)"

$(STAMP):
	@test -x $(PY) || for python in $(CANDIDATES); do \
	  "$$python" -c 'import ensurepip, venv; $(SUPPORTED)' 2>/dev/null || continue; \
	  echo "making $(VENV) with $$python"; "$$python" -m venv $(VENV) && break; done
	@test -x $(PY) || { echo "No supported Python $(if $(PYTHON),at $(PYTHON),on PATH). One of $(VERSIONS) with its" \
	  "module venv would do: make setup PYTHON=/path/to/python$(lastword $(VERSIONS))" >&2; exit 1; }
	@$(PY) -c '$(SUPPORTED)' || { echo "$(VENV) is of $$($(PY) -V), which is not one of $(VERSIONS). Remove $(VENV)" \
	  "and run make setup again" >&2; exit 1; }
	$(PY) -m pip install -q --upgrade "pip>=24"
	$(PY) -m pip install $(PIP_ARGS) -r requirements.txt
	$(PY) -m pip install -q --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/lib/python3*/site-packages/aligndet_ops.pth  # of a version before 0.2
	$(PY) -c 'import aligndet, mmcv.ops, mmdet.models'
	@rm -f $(VENV)/.set-up-*
	@touch $@

ops: $(STAMP)
ifeq ($(OPS),compiled)
	$(PY) -m aligndet.ops.compiled
else ifneq ($(OPS),)
	$(error OPS=$(OPS) is unknown: leave it out for the stand-in, or give OPS=compiled)
else
	@:
endif

demo: setup ## the whole job on generated images; IMAGES=folder takes your own
	$(PY) -m aligndet demo $(if $(IMAGES),--images "$(IMAGES)") $(ARGS)

test: setup ## all tests, a process per core; ARGS="-k name" goes to pytest
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --dist worksteal $(ARGS)

openmmlab: ## the smoke tests on OpenMMLab's own packages, in .venv-openmmlab; ARGS="tests -k name" goes to pytest
	.ci/openmmlab $(ARGS)

mutants: setup ## do the tests notice a change in the method's core? ARGS=momentum tries one part
	$(PY) benchmarks/mutants.py $(ARGS)

fuzz: setup ## damaged labels, images, stores, checkpoints, configs through the commands: no traceback, no hang, exit 0 or 2; ARGS="--seed 1"
	OMP_NUM_THREADS=1 $(PY) benchmarks/fuzz.py $(ARGS)

faults: setup ## every stage killed, stopped, damaged and moved, then gone on with: equal to an unbroken run? ARGS="--tries 1"
	OMP_NUM_THREADS=1 $(PY) benchmarks/faults.py $(ARGS)

coverage: setup ## is every family of mmdet's detectors served? one pre-training step of each
	$(PY) -m aligndet check --zoo --workers 2 $(ARGS)

lint: setup ## ruff (style, format) and mypy (types), without exclusions
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

wheel: setup ## wheel and source distribution in dist/
	rm -rf build dist
	$(PY) -m pip wheel -q --no-deps --no-build-isolation -w dist .
	$(PY) -c 'from setuptools import build_meta; build_meta.build_sdist("dist")'
	@ls dist

clean: ## remove caches and build products; keeps .venv and .venv-openmmlab, data and work_dirs
	rm -rf .cache build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
