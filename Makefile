# Needs Python 3.11 or later with its venv module, GNU make and git; everything else is installed
# into .venv and, for the sandbox's portal, into the user's cache. pip's own settings are respected.

PYTHON ?= python3
VENV   ?= .venv
UV     ?= uv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
ARGS   ?=
SEED   ?= 0

PIP     := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet --progress-bar off
COMPILE := $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11

# what the caller's shell adds must not change what is tested
unexport PYTHONPATH
unexport PYTHONHOME

# side by side, as each waits for half of its time; one alone is run by its own name
STORMS := storm-memory storm-portal storm-folder storm-minute storm-steps

.DEFAULT_GOAL := help
.PHONY: help demo test check bench words storm $(STORMS) packages ship lock clean

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1#/p' $(firstword $(MAKEFILE_LIST)) | awk -F'#' '{ printf "%-14s %s\n", $$1, $$2 }'
	@echo "  ARGS=… is passed on, as in: make test ARGS='-k sandbox'"

demo: $(READY)  ## see files being published on a real portal on this machine (KEEP=1: then play with it)
	@KEEP=$(KEEP) $(BIN)/python deploy/sandbox/demo.py

test: $(READY)  ## run all the tests, against a real portal on this machine
	@$(BIN)/python deploy/sandbox --install-only
	@$(BIN)/python -m pytest -n 3 -m 'not alone and not storm and not ship' $(ARGS)
	@$(BIN)/python -m pytest -m 'alone and not storm' tests/integration tests/fault tests/e2e

check: $(READY)  ## style, types, architecture, documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/docs

words: $(READY)  ## gather what people read, say what is not translated yet, compile the catalogues
	@$(BIN)/python tests/wording.py update

storm: $(READY)  ## two hours of storms: worlds in memory, worlds on a real portal, every step broken (SEED=…)
	@$(BIN)/python deploy/sandbox --install-only
	@+$(MAKE) --no-print-directory -j $(words $(STORMS)) $(STORMS)

storm-memory: $(READY)
	@$(BIN)/python tests/years.py
	@$(BIN)/python tests/storm/simulate.py --worlds 5000 --seed $(SEED)

storm-portal: $(READY)
	@$(BIN)/python tests/storm/portal.py --seed $(SEED) $(ARGS)

storm-folder: $(READY)
	@$(BIN)/python tests/storm/churn.py --lives 30 --seed $(SEED)

storm-minute: $(READY)
	@$(BIN)/python -m pytest -m storm tests/fault/test_same_minute.py

storm-steps: $(READY)
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m storm tests/fault --ignore tests/fault/test_same_minute.py

packages: $(READY)  ## build dist/*.deb, *.rpm and the bill of materials (ARGS='--python 3.13')
	@$(BIN)/python deploy/package/build.py $(ARGS)

ship: $(READY)  ## boot servers and containers, install what we ship, and see it publish (root)
	@$(BIN)/python deploy/sandbox --install-only
	@$(BIN)/python -m pytest -p no:randomly tests/ship $(ARGS)

bench: $(READY)  ## speed and memory beside curl and others, into docs/performance.md (ARGS=--short: a minute; --long: all)
	@cd tests && $(abspath $(BIN))/python -m bench $(ARGS)

lock:  ## choose the newest versions allowed again, with their hashes (needs uv)
	$(COMPILE) --upgrade -o requirements.lock pyproject.toml
	$(COMPILE) --upgrade -o tests/requirements.lock -c requirements.lock pyproject.toml tests/requirements.in
	$(COMPILE) --upgrade -o deploy/sandbox/requirements.lock deploy/sandbox/requirements.in

clean:  ## remove what make has made here (the sandbox's portal stays in the user's cache)
	rm -rf $(VENV) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): tests/requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { \
	  echo "make: $(PYTHON) is not there. Install Python 3.11 or later, or say which: make PYTHON=…"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $$($(PYTHON) --version) is too old: 3.11 or later is needed. Say which: make PYTHON=…"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: $(PYTHON) has no venv module. Install it (Debian, Ubuntu: apt install python3-venv)."; exit 1; }
	@echo "Preparing $(VENV), once…"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) --require-hashes -r tests/requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@
