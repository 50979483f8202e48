# GPT, paper by paper. `make help` lists what can be made.

PYTHON ?= python3
VENV   ?= .venv
RUN     = $(VENV)/bin/python
# what JupyterLab is started with as well, for example LAB="--no-browser --port 9999"
LAB    ?=
# Small models gain little by a second thread: one each, and as many at a time as cores,
# but at most 8, for a notebook may take 1 GB.
SIDE_BY_SIDE = OMP_NUM_THREADS=1 $(RUN) -m pytest -n logical --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help lab test test-fast test-browser test-notebooks claims lint notebooks \
	costs bench

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-15s %s\n", $$1, $$2}' Makefile

lab: $(VENV)/.installed ## open JupyterLab on the first notebook
	$(VENV)/bin/jupyter lab --notebook-dir=. $(LAB) notebooks/00_start_here.ipynb

test: lint test-fast test-browser test-notebooks ## everything: lint, unit tests, browser, notebooks

test-fast: $(VENV)/.installed ## the unit tests alone
	$(SIDE_BY_SIDE) --maxprocesses 4 --ignore tests/browser

test-browser: $(VENV)/.installed ## the notebooks in a real browser, where there is one
	OMP_NUM_THREADS=1 $(RUN) -m pytest -rs tests/browser

test-notebooks: $(VENV)/.installed ## run every notebook, compare every output
	$(SIDE_BY_SIDE) --maxprocesses 8 --no-loadscope-reorder --nbval notebooks \
		--nbval-sanitize-with tests/nbval_sanitize.cfg

lint: $(VENV)/.installed ## the form of the code, and the arrows between its folders
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(VENV)/bin/lint-imports --no-cache --no-logo

claims: $(VENV)/.installed ## every claim under drawn seeds, and on two threads
	$(RUN) -m tools.claims notebooks/*.ipynb

notebooks: $(VENV)/.installed ## execute the notebooks anew and store them
	$(RUN) -m tools.notebooks notebooks/*.ipynb

costs: $(VENV)/.installed ## measure each notebook's seconds and memory
	$(RUN) -m tools.costs

bench: $(VENV)/.installed ## our speed against the peers', in one run
	$(RUN) -m benchmarks

# The version is checked before anything is made. An environment that was not finished,
# perhaps by another Python, is made anew; a finished one is brought up to date.
$(VENV)/.installed: pyproject.toml constraints.txt
	@version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' \
		2>/dev/null) || version="not there"; \
	case $$version in 3.1[1-4]) ;; *) \
		echo "$(PYTHON) is $$version, but the course needs Python 3.11 to 3.14:" \
			"name one, as in make PYTHON=python3.12" >&2; \
		exit 1 ;; \
	esac
	@if [ -e $(VENV) ] && [ ! -e $(VENV)/pyvenv.cfg ]; then \
		echo "$(VENV) is no virtual environment: move it away, or name another" \
			"folder, as in make VENV=venv" >&2; \
		exit 1; \
	fi
	[ -e $@ ] || $(PYTHON) -m venv --clear $(VENV)
	$(RUN) -m pip install --quiet -c constraints.txt -e ".[test]"
	touch $@
