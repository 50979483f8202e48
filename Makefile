# GPT, paper by paper. `make help` lists what can be made.

PYTHON ?= python3
VENV   ?= .venv
RUN     = $(VENV)/bin/python
SANITIZE = --nbval-sanitize-with tests/nbval_sanitize.cfg
# what JupyterLab is started with, for example LAB="--no-browser --port 9999"
LAB    ?=

.DEFAULT_GOAL := help
.PHONY: help lab test test-fast test-notebooks claims lint notebooks costs bench

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-15s %s\n", $$1, $$2}' Makefile

lab: $(VENV)/.installed ## open JupyterLab on the first notebook
	$(VENV)/bin/jupyter lab $(LAB) notebooks/00_start_here.ipynb

test: lint test-fast test-notebooks ## everything: lint, unit tests, every notebook

test-fast: $(VENV)/.installed ## the unit tests alone
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n logical --maxprocesses 4 --dist loadfile

test-notebooks: $(VENV)/.installed ## run every notebook, compare every output
	$(RUN) -m pytest --nbval notebooks $(SANITIZE)

claims: $(VENV)/.installed ## every claim under three more seeds, and on one thread
	$(RUN) -m tools.claims notebooks/*.ipynb

lint: $(VENV)/.installed ## the form of the code
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check

notebooks: $(VENV)/.installed ## execute the notebooks anew and store them
	$(RUN) -m tools.notebooks notebooks/*.ipynb

costs: $(VENV)/.installed ## measure each notebook's seconds and memory
	$(RUN) -m benchmarks.costs

bench: $(VENV)/.installed ## our speed against the peers', in one run
	$(RUN) -m benchmarks

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet -c constraints.txt -e ".[test]"
	touch $@
