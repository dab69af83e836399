# Every command of the project. `make demo` and `make test` need nothing but Python 3.11 or 3.12, pip, make and git.

PYTHON ?= python3
EXTRA ?= base
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
DOCS := .venv-docs
export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export UV_LINK_MODE ?= copy
export UV_COMPILE_BYTECODE ?= 1
export DO_NOT_TRACK := 1

.PHONY: help install demo serve test test-quick check format spelling docs readme bench bench-track bench-scale learn lock clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-12s %s\n", $$1, $$2}'

install: $(VENV)/.installed-$(EXTRA) $(VENV)/.models  ## install into .venv; EXTRA=dev adds the tests' tools, EXTRA=cluster vLLM

$(BIN)/uv:
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 13) else "Python 3.11 or 3.12 is needed; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet uv

$(VENV)/.installed-%: requirements/%.txt pyproject.toml $(BIN)/uv
	$(BIN)/uv pip install --require-hashes -r $<
	$(BIN)/uv pip install --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.models: tasks/pretrained/models.py | $(BIN)/uv
	$(BIN)/python -m tasks.pretrained && touch $@ || true

demo: install  ## build the sample dataset from a Prefect deployment, start to finish
	$(BIN)/stvg demo

serve: install  ## keep a Prefect server with UI and deployments up
	$(BIN)/stvg serve

test: $(VENV)/.installed-dev $(VENV)/.models  ## run all tests in WORKERS processes; TIMES=file writes where the time goes
	$(BIN)/pytest --numprocesses $(WORKERS) $(if $(TIMES),--times $(TIMES))

test-quick: $(VENV)/.installed-dev $(VENV)/.models  ## run the tests that start no server, cluster, browser or training
	$(BIN)/pytest --numprocesses $(WORKERS) -m "not heavy" $(if $(TIMES),--times $(TIMES))

check: $(VENV)/.installed-dev  ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.installed-dev  ## format and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(DOCS)/.installed: requirements/docs.txt $(BIN)/uv
	$(BIN)/uv venv --quiet --allow-existing $(DOCS)
	$(BIN)/uv pip install --python $(DOCS)/bin/python --require-hashes -r $<
	touch $@

spelling: $(DOCS)/.installed  ## look for misspelt words; what is none is listed in pyproject.toml
	$(DOCS)/bin/typos

docs: $(DOCS)/.installed  ## build the documentation into site/; links and anchors are checked
	$(DOCS)/bin/zensical build --strict --clean

readme: $(VENV)/.installed-dev  ## follow README and the tutorials in a fresh clone with an empty home: half an hour
	$(BIN)/python -m bench readme

bench: $(VENV)/.installed-dev  ## measure the quick figures of bench/; results in bench/results/
	$(BIN)/python -m bench

bench-track: $(VENV)/.installed-dev  ## measure the tracker beside the official predictor: under 25 minutes on a CPU
	$(BIN)/python -m bench track gpu

bench-scale: $(VENV)/.installed-dev  ## measure ten thousand videos and fifty killed drivers: under 25 minutes
	$(BIN)/python -m bench scale scale_kills

learn: $(VENV)/.installed-dev  ## see that learning is real: three seeds, up to an hour; docs/results/learn
	$(BIN)/python -m rl.learn

lock: $(BIN)/uv  ## resolve anew and export the pins; uv.lock itself stays uncommitted
	$(BIN)/uv lock
	for set in "base" "dev --group dev" "cluster --extra cluster"; do set -- $$set; name=$$1; shift; \
	  $(BIN)/uv export --quiet --locked --no-emit-project --no-default-groups --group build --no-header --no-annotate \
	    $$@ -o requirements/$$name.txt >/dev/null; done
	$(BIN)/uv export --quiet --locked --no-emit-project --only-group docs --no-header --no-annotate -o requirements/docs.txt >/dev/null

clean:  ## remove the environment and local state; datasets stay
	rm -rf $(VENV) $(DOCS) .stvg site
