# Every target does its own set-up: a virtual environment in .venv, made again when a requirements file changes.
# Needed beforehand: make and any Python from 3.11 on. What else is fetched goes to the cache folder outside the clone.

.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
PYTHON := $(VENV)/bin/python
REQUIREMENTS := requirements.txt requirements-dev.txt constraints.txt
# `cksum` is everywhere, and this is no matter of security: pip checks what it installs.
STAMP := $(VENV)/installed-$(shell cat $(REQUIREMENTS) | cksum | cut -d' ' -f1)
CACHE := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/gatehouse
export PLAYWRIGHT_BROWSERS_PATH ?= $(CACHE)/browsers
ARGS ?=
# Three workers keep two cores busy, because tests wait as well; a file stays in one, with sandboxes of its own.
TESTS := $(PYTHON) -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

.PHONY: help demo test check soak bench schema up format clean setup browser

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## onboard the five vendors in a simulated tenant and sign a person in to each
	@$(PYTHON) -m sandbox demo $(ARGS)

test: setup browser ## run all tests; ARGS="-k word" runs some
	@$(TESTS) $(ARGS)

check: setup browser ## format, lint, types, import contracts and tests: what must pass before a merge
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(TESTS) $(ARGS)

soak: setup ## every kill, every pair of kills, every failure, three years: takes hours; GATEHOUSE_SEED=2 draws others
	@GATEHOUSE_SOAK=1 $(PYTHON) -m pytest tests/kills tests/writers tests/storms tests/years \
		tests/stories/test_vault_outage.py tests/rules/test_lives.py $(ARGS)

bench: setup ## measure ours beside the plain way
	@$(PYTHON) -m benchmarks $(ARGS)
	@$(PYTHON) -m benchmarks.round_trips
	@$(PYTHON) -m benchmarks.sweep
	@$(PYTHON) -m benchmarks.leavers
	@$(PYTHON) -m benchmarks.bulk

schema: setup ## write the JSON Schema of vendor profiles for editors
	@mkdir -p docs
	@$(PYTHON) -m vendors.schema > docs/vendor-profile.schema.json.new
	@mv docs/vendor-profile.schema.json.new docs/vendor-profile.schema.json

up: setup ## start the sandbox and keep it running; endpoints in state.json
	@$(PYTHON) -m sandbox up --state-file state.json $(ARGS)

format: setup ## format the code
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix-only --quiet .

clean: ## remove the virtual environment and what the tools left behind
	@rm -rf $(VENV) build state.json
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

setup: $(STAMP)

# A command named python3.12 may be there and not work (pyenv's are), so each is asked for its version.
$(STAMP): $(REQUIREMENTS)
	@for python in python3.11 python3.12 python3.13 python3; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -x $(PYTHON) ]; then :; \
	elif [ -n "$$found" ]; then echo "Making $(VENV) with $$found (once)."; $$found -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; \
	else echo "Gatehouse needs Python 3.11 or newer; none was found as python3 or python3.11 to python3.13." >&2; exit 1; fi
	@echo "Installing the requirements."
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@rm -f $(VENV)/installed-* && touch $@

# The machine's own chromium, else Playwright's; without either the browser tests are skipped and say so.
browser: setup
	@command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 \
		|| [ -e "$(CACHE)/browser-tried" ] \
		|| { mkdir -p "$(CACHE)"; touch "$(CACHE)/browser-tried"; \
		     echo "Fetching a browser for the tests of the hand-off page (once)."; \
		     $(PYTHON) -m playwright install --only-shell chromium >/dev/null 2>&1 \
		     || echo "No browser could be fetched: its tests will be skipped. Installing chromium makes them run."; }
