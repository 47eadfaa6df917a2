# Everything a person does here is two words; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One more than there are processors: tests wait for other processes a fifth of their time.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.DEFAULT_GOAL := help
.PHONY: help demo test ui lint bench clean

help: ## what there is to do
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "rag-pipeline needs Python 3.11 to 3.13; choose one with: make PYTHON=python3.12 ..."; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (about a minute the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=24'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(VENV)/.installed ## index this repository, change it, search it as two callers
	@$(BIN)/python demo.py

test: $(VENV)/.installed ## the whole test suite, in parallel, on a real Postgres
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q

ui: $(VENV)/.installed ## the Dagster UI of this checkout's index
	@$(BIN)/rag-pipeline dev

lint: $(VENV)/.installed ## ruff and pyright
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright

bench: $(VENV)/.installed ## measure, side by side, and write docs/benchmarks.md
	@$(BIN)/python -m benchmarks

clean: ## stop the embedded Postgres and remove this checkout's index and environment
	@test ! -x $(BIN)/rag-pipeline || $(BIN)/rag-pipeline db stop || true
	@rm -rf .rag $(VENV)
