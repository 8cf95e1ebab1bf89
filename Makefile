# make book    the rendered book, from nothing          make test    tests of a change, from nothing
# make lab     the chapters in JupyterLab               make test-all  slow journeys as well
# make lint    ruff and mypy
# make pair    notebooks from their scripts             make weights train again what ships
# make bench   the benchmarks                           make studies over training seeds: hours
# make live    the live pages, through Voila            make clean   remove what was built

VENV    ?= .venv
PYTHON  ?= $(shell for p in python3 python3.12 python3.11; do \
             $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null \
             && echo $$p && break; done)
BIN     := $(VENV)/bin
READY   := $(VENV)/.ready
BUILD   ?= build
# Where Python may keep no bytecode of its own, every chapter would compile its imports anew.
COMPILE := $(if $(PYTHONDONTWRITEBYTECODE),--compile-bytecode)
export VX_CACHE ?= $(CURDIR)/$(BUILD)/cache
export YOLO_AUTOINSTALL := false

.PHONY: book test test-all lab live lint pair weights bench studies pins clean setup

book: $(READY)
	$(BIN)/vx book --out $(BUILD) $(ARGS)

# Slow journeys (browsers, clusters, killed processes) are left to test-all.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

test: $(READY)
	$(PYTEST) -m "not slow" $(ARGS)

test-all: $(READY)
	$(PYTEST) $(ARGS)

lab: $(READY)
	$(BIN)/jupyter lab --ip 127.0.0.1 --notebook-dir book $(ARGS)

# With a template that asks nothing of the network, and without JupyterLab's other extensions.
live: $(READY)
	JUPYTER_PATH=$(CURDIR)/book/live/_jupyter $(BIN)/voila book/live --template=offline --classic-tree \
	  --Voila.ip=127.0.0.1 --VoilaConfiguration.extension_allowlist @jupyter-widgets/jupyterlab-manager \
	  --VoilaConfiguration.extension_allowlist @voila-dashboards/widgets-manager8 \
	  --VoilaConfiguration.extension_allowlist anywidget $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

pair: $(READY)
	$(BIN)/vx pair

# Every card names the command that made its weights; networks first, then the detector.
weights: $(READY)
	for card in vxhelpers/models/weights/*.json vxhelpers/concept_sets/detectors/*.json; do \
	  run=$$($(BIN)/python -c 'import json, sys; print(json.load(open(sys.argv[1]))["command"])' $$card); \
	  echo "$$run"; PATH="$(CURDIR)/$(BIN):$$PATH" sh -c "$$run" || exit 1; \
	done

bench: $(READY)
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

# Trains the networks of further seeds where they are missing, and goes on where it was stopped.
studies: $(READY)
	for script in studies/*_planted.py; do $(BIN)/python $$script || exit 1; done

# Only after a change of pyproject.toml: solve the versions anew.
pins:
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --fork-strategy fewest --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
	  --quiet --output-file requirements.txt

setup: $(READY)

$(READY): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.5"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps $(COMPILE) -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

clean:
	rm -rf $(BUILD) .pytest_cache .mypy_cache .ruff_cache
