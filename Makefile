# The one way to set up, serve, test and measure. `make` alone lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run test test-all check

PORT ?= 8501
INDEX ?= indexes/default
DATA ?= ../shared/data
# TORCH=cpu or TORCH=cu128 (any folder of download.pytorch.org/whl) picks that build; empty takes what pip finds.
TORCH ?=
VENV := .venv
# Tests run in as many processes, one thread each: threads of several processes would wait for one another.
CORES ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$(( n > 4 ? 4 : n )))
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet -c constraints.txt \
	$(if $(TORCH),--extra-index-url https://download.pytorch.org/whl/$(TORCH))

# The first of these that is new enough and can make environments (Debian splits ensurepip off).
PYTHONS := python3 python3.11 python3.12 python3.13 python3.14 python
PYTHON ?= $(shell for p in $(PYTHONS); do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: port-is-free $(VENV)/.run ## set up, ingest examples/handbook, serve the chat on http://localhost:8501 (PORT=8502)
	@$(VENV)/bin/rag add examples/handbook --index $(INDEX) || echo "Some files did not go in; the lines above say why."
	@exec $(VENV)/bin/rag app --index $(INDEX) --port $(PORT)

test: $(VENV)/.dev ## run the tests (the slow ones excepted)
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(CORES) --dist loadfile

test-all: $(VENV)/.dev ## run every test: journeys in a browser, crashes, training
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -m "not gpu" -n $(CORES) --dist loadfile

check: $(VENV)/.dev ## the definition of done: style, types, spelling, tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/codespell
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(CORES) --dist loadfile

bench-%: $(VENV)/.dev ## measure one claim of the README: make bench-answers DATA=path
	@test -f benchmarks/$*.py || { echo "no benchmark $*; there are:" $(patsubst benchmarks/%.py,%,$(wildcard benchmarks/[a-z]*.py)) >&2; exit 2; }
	@$(VENV)/bin/python -m benchmarks.$* --data $(DATA)

# --- set-up; the stamps make a second run skip pip ---------------------------------------------------------------------

.PHONY: port-is-free
port-is-free:
	@if (exec 3<>/dev/tcp/localhost/$(PORT)) 2>/dev/null; then \
		echo "Port $(PORT) is busy: another program (perhaps an earlier make run) is listening on it." >&2; \
		echo "Stop it, or choose another port: make run PORT=$$(( $(PORT) + 1 ))" >&2; exit 1; fi

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Groundling needs Python 3.11 or newer with venv; found:" >&2; \
		for p in $(PYTHONS); do command -v $$p >/dev/null && echo "  $$p: $$($$p --version 2>&1)" >&2; done; \
		echo "Install one (Debian: apt-get install python3 python3-venv) or name it: make run PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing the pinned dependencies (a few minutes the first time) ..."
	@$(PIP) -e ".[formats,ocr,app]"
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing the pinned dependencies and the tools for tests (a few minutes the first time) ..."
	@$(PIP) -e ".[formats,ocr,app,train,dev]"
	@touch $(VENV)/.run $@
