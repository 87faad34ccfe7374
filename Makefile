# One recipe each for a person and for CI. Needs only make and Python 3.11, 3.12 or 3.13.
#
#   make demo    install what unquiet needs and run its two-week story
#   make test    install the test tools too and run the tests
#   make check   everything that CI asks: lint, format, types, layers, tests
#   make screenshots  every page of the demo at two sizes, light and dark, into build/screenshots (needs Chromium)
#   make docs    write the generated pages of docs/reference and the pictures of output anew
#   make lock    write requirements/*.txt anew from pyproject.toml (needs the network)
#   make clean   remove the environment, caches and results
#
# PYTHON=python3.12 chooses the interpreter of a new environment; PYTEST_ARGS="-k store -x" reaches pytest.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
PYTEST_ARGS ?=
PYTEST_WORKERS ?= 2
UV := uv>=0.9,<1

CANDIDATES := $(PYTHON) python3.13 python3.12 python3.11 python3
# wordllama publishes no wheels for Python 3.14 yet, and its source needs a compiler.
USABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
# Locked wheels only, every file held to its hash, no questions asked.
INSTALL := $(BIN)/python -m pip install --no-input --disable-pip-version-check --quiet --require-hashes --only-binary :all:
INSTALL_SELF := $(BIN)/python -m pip install --no-input --disable-pip-version-check --quiet \
	--no-deps --no-build-isolation --editable .

.PHONY: help demo test check lint types layers screenshots docs bench-env lock clean
.DELETE_ON_ERROR:

help:
	@sed -n '3,11s/^# \{0,1\}//p' Makefile

demo: $(VENV)/.installed
	@$(BIN)/unquiet demo

test: $(VENV)/.installed-dev
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal $(PYTEST_ARGS)

check: lint types layers test

lint: $(VENV)/.installed-dev
	@echo "==> ruff: rules and format"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	@echo "==> pyright, strict"
	@$(BIN)/pyright

layers: $(VENV)/.installed-dev
	@echo "==> import-linter: who may know whom"
	@$(BIN)/lint-imports --no-cache

screenshots: $(VENV)/.installed-dev
	@$(BIN)/unquiet demo >/dev/null
	@$(BIN)/python tests/screenshots.py .unquiet/demo/store build/screenshots

docs: $(VENV)/.installed-dev
	@$(BIN)/python docs/generate.py
	@$(BIN)/python docs/pictures.py

bench-env: $(VENV)/.installed-bench

# One stamp a step: an interrupted step leaves none and is done again, a finished one is not.
$(VENV)/.created:
	@python=; for name in $(CANDIDATES); do \
		if "$$name" -c "$(USABLE)" >/dev/null 2>&1; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "unquiet needs Python 3.11, 3.12 or 3.13 with its venv module." >&2; \
		found=$$($(PYTHON) --version 2>&1) || found="no usable $(PYTHON)"; \
		echo "Found: $$found. Tried: $(CANDIDATES)." >&2; \
		echo "On Debian and Ubuntu: apt install python3 python3-venv. Elsewhere: make PYTHON=/path/to/python3.12 ..." >&2; \
		exit 1; \
	fi; \
	if $(BIN)/python -c "$(USABLE)" >/dev/null 2>&1 && $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		echo "==> Using the environment in $(VENV) ($$($(BIN)/python --version))"; \
	else \
		echo "==> Creating $(VENV) with $$("$$python" --version)"; \
		"$$python" -m venv --clear $(VENV); \
	fi
	@touch $@

$(VENV)/.installed: requirements/runtime.txt pyproject.toml | $(VENV)/.created
	@echo "==> Installing unquiet and $$(grep -c '==' requirements/runtime.txt) locked packages (once; a minute or two)"
	@$(INSTALL) --requirement requirements/runtime.txt
	@$(INSTALL_SELF)
	@touch $@

$(VENV)/.installed-dev: requirements/dev.txt pyproject.toml | $(VENV)/.created
	@echo "==> Installing unquiet, its test tools and what they need (once; a minute or two)"
	@$(INSTALL) --requirement requirements/dev.txt
	@$(INSTALL_SELF)
	@touch $(VENV)/.installed $@

$(VENV)/.installed-bench: requirements/bench.txt $(VENV)/.installed-dev
	@echo "==> Installing the rivals that the benchmarks compare with"
	@$(INSTALL) --requirement requirements/bench.txt
	@touch $@

# One resolution for Python 3.11 and later on every platform. dev.txt and bench.txt are held to the versions of the file
# before them, so that the three can share one environment. `make lock UPGRADE=--upgrade` takes newer versions.
LOCK := $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links $(UPGRADE) pyproject.toml

lock: | $(VENV)/.created
	@$(BIN)/python -m pip install --no-input --disable-pip-version-check --quiet --only-binary :all: "$(UV)"
	@mkdir -p requirements
	$(LOCK) --group build --output-file requirements/runtime.txt
	$(LOCK) --group build --group dev --constraints requirements/runtime.txt --output-file requirements/dev.txt
	$(LOCK) --group build --group bench --constraints requirements/dev.txt --output-file requirements/bench.txt
	@if grep -nE '://|^-|@ file' requirements/*.txt; then \
		echo "A lock file names an address or a path: see above." >&2; exit 1; \
	fi
	@echo "==> $$(grep -c '==' requirements/runtime.txt) packages to run, $$(grep -c '==' requirements/dev.txt) to develop"

# .unquiet holds the history of scans: it is the user's, not ours to remove.
clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
