# `make demo` and `make test` work in a fresh clone on a machine that has Python 3.11 and make, and nothing else.
# Belongs here: how the environments are made and what is run in them. Not here: what the runs do (`plate_assets`, `tests`).

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo ui test test-without-alibi lint format bench docs pictures home clean

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3,$(shell command -v $(name))))
VENV := .venv
VENV_WITHOUT_ALIBI := .venv-without-alibi
BIN := $(VENV)/bin

# Everything the platform keeps, Dagster's history included. Only the targets that run it see them: tests have homes of their own.
demo ui pictures: export PLATE_ASSETS_HOME ?= $(CURDIR)/plate_assets_home
demo ui: export DAGSTER_HOME ?= $(PLATE_ASSETS_HOME)/dagster
PORT ?= 3000
# A selection for the two test targets: `make test TESTS=tests/plates`.
TESTS ?=

help: ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 22

demo: $(BIN)/installed home ## Simulate plates and take them through a whole night, to the report
	$(BIN)/plate-assets demo

ui: $(BIN)/installed home ## Serve what the demo made (or your own home) on localhost, with the daemon; history stays
	@echo "Opening http://127.0.0.1:$(PORT) (PLATE_ASSETS_HOME=$(PLATE_ASSETS_HOME)); stop with Ctrl-C"
	$(BIN)/dagster dev --workspace workspace.yaml --host 127.0.0.1 --port $(PORT)

test: lint ## Lint, check types, and run every test in the standard environment
	$(BIN)/python -m pytest $(TESTS)

# Opened pages, killed processes and the second drift engine do not depend on numpy's version.
test-without-alibi: $(VENV_WITHOUT_ALIBI)/bin/installed ## Run the core tests without alibi-detect, on numpy 2
	$(VENV_WITHOUT_ALIBI)/bin/python -m pytest -m "not alibi and not browser and not processes" $(TESTS)

lint: $(BIN)/installed ## Lint, check the format and the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(BIN)/installed ## Mend what can be mended by machine
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(BIN)/installed ## Measure: ratios side by side, as JSON
	$(BIN)/python -m benchmarks

docs: $(BIN)/installed ## Write the pages of docs/ that come from the code; the pictures are taken by `make pictures`
	$(BIN)/python -m docs

pictures: $(BIN)/installed ## Take the pictures of docs/ from what the demo made, with chromium
	$(BIN)/python -m docs.take_pictures

# Dagster reads its configuration from DAGSTER_HOME only; `demo` and `ui` say which.
home:
	@mkdir -p "$(DAGSTER_HOME)"
	@cp dagster.yaml "$(DAGSTER_HOME)/dagster.yaml"

clean: ## Remove both environments; what the platform keeps stays
	rm -rf $(VENV) $(VENV_WITHOUT_ALIBI)

# The stamp is written last: an installation that was interrupted starts again, one that is done takes no time.
$(BIN)/installed: pyproject.toml constraints/with-alibi.txt
	$(call install,$(VENV),with-alibi,alibi$(comma)dev)

$(VENV_WITHOUT_ALIBI)/bin/installed: pyproject.toml constraints/without-alibi.txt
	$(call install,$(VENV_WITHOUT_ALIBI),without-alibi,dev)

comma := ,
define install
	@test -n "$(PYTHON)" || { echo "Python 3.11 is needed, and none was found: install it, or say make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) -V), and 3.11 (or 3.12) is needed: say make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(1) || { echo "$(PYTHON) cannot make a virtual environment: on Debian install python3.11-venv"; exit 1; }
	@echo "Installing into $(1); the first time takes a few minutes"
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints/$(2).txt -e '.[$(3)]'
	@$(1)/bin/python -m pip check
	@touch $@
endef
