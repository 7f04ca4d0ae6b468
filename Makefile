# Every target runs in .venv, which is made on first use; a second call finds it ready.

PYTHON ?= python3
BENCH_COLLECTION ?= world
BENCH_OUT ?= kgraft-benchmark
CHAOS_INPUTS ?= 10000
WORKERS ?= auto
SITE ?=

BIN := .venv/bin
# As many processes as cores, each with one thread; tests are compiled once.
PYTEST = OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
REQUIREMENTS := pyproject.toml constraints.txt
# Stands while .venv is being changed. A run that was cut off leaves it behind, and the next run
# then makes .venv anew instead of trusting half of it.
UNFINISHED := .venv.unfinished

.DEFAULT_GOAL := help
.PHONY: help demo check test quick-tests lint docs bench chaos clean

help: ## list the targets
	@echo "Usage: make TARGET [VARIABLE=VALUE ...]"
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-8s%s\n", $$1, $$2 }'
	@echo
	@echo "Variables:"
	@echo "  PYTHON            Python 3.11 or newer that makes .venv      ($(PYTHON))"
	@echo "  BENCH_COLLECTION  collection or directory that bench runs on ($(BENCH_COLLECTION))"
	@echo "  BENCH_OUT         directory that bench writes to             ($(BENCH_OUT))"
	@echo "  SITE              --site-url URL --repository URL, for docs         ($(SITE))"
	@echo "  WORKERS           processes that run tests; 0 runs them in one ($(WORKERS))"
	@echo "  CHAOS_INPUTS      damaged inputs that chaos gives a reader   ($(CHAOS_INPUTS))"

demo: .venv/.run ## see two knowledge graphs improve a third
	$(BIN)/kgraft demo

check: .venv/.dev ## lint and run the quick tests side by side; for every change
	@$(MAKE) --no-print-directory -j2 lint quick-tests

test: .venv/.dev ## run all tests
	$(PYTEST)

quick-tests: .venv/.dev
	$(PYTEST) -q -m 'not slow and not chaos'

lint: .venv/.dev ## check style, format, types, and dependencies for known holes
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python scripts/audit.py constraints.txt

docs: .venv/.docs ## write the pages of files from docstrings, and build the site into site/
	$(BIN)/python scripts/architecture.py
	$(BIN)/python scripts/build_site.py $(SITE)

bench: .venv/.dev ## compare the systems on BENCH_COLLECTION; an interrupted run goes on
	$(BIN)/python -m kgraft benchmark $(BENCH_COLLECTION) --out $(BENCH_OUT)

chaos: .venv/.dev ## kill, starve and fuzz it; a quarter of an hour on two cores
	$(BIN)/python benchmarks/chaos.py --inputs $(CHAOS_INPUTS)

clean: ## remove .venv, caches and builds (never results)
	rm -rf .venv site $(UNFINISHED) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find src tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# With what serves the page that the demo names.
.venv/.run: $(REQUIREMENTS)
	$(call install,.[serve])
	@touch $@

# What is enough to develop is enough to run.
.venv/.dev: $(REQUIREMENTS)
	$(call install,.[dev])
	@touch .venv/.run $@

.venv/.docs: $(REQUIREMENTS)
	$(call install,.[docs])
	@touch $@

# $(call install,REQUIREMENT): install it, editable, at the tested versions.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "kgraft needs Python 3.11 or newer, which '$(PYTHON)' is not;" \
	         "name one that is: make PYTHON=python3.12 ..." >&2; exit 1; }
	@if [ -e $(UNFINISHED) ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	    echo "Making .venv with $$($(PYTHON) --version)"; \
	    touch $(UNFINISHED) && $(PYTHON) -m venv --clear .venv; \
	fi
	@touch $(UNFINISHED)
	@echo "Installing '$(1)' into .venv: the first time this downloads PyTorch and takes minutes"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '$(1)'
	@rm $(UNFINISHED)
endef
