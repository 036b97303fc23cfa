# Everything here needs only Python 3.11 or newer with pip, and make. PYTHON names the interpreter that makes .venv.

PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=
UPGRADE ?=
UV = uv==0.13.9

VENV = .venv
PEERS = .venv-bench
BIN = $(VENV)/bin
PIP = $(PYTHON) -m pip --disable-pip-version-check --python
# A file of tests stays with one process: what it sets up once, it sets up once. In order: the long ones come early. More
# processes than most machines of CI have cores: the tests wait for what they start as long as they compute.
PARALLEL = -n 5 --dist loadfile --no-loadscope-reorder $(HANGS)
# A test that hangs ends its process after so many seconds, and is named, with where each thread was: a run always ends.
HANGS = --max-worker-restart=0 -o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true
PEERLOCK = --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
LOCK = --all-extras --group build $(PEERLOCK)
# Text("…", name=…) and Plural("one", "many", n) of hookrow.lang, by every name they go by; they take literals only.
KEYWORDS = --no-default-keywords -k Text:1 -k Say:1 -k Plural:1,2 -k SayPlural:1,2
POT = --no-location --sort-output --project=Hookrow --version= --copyright-holder="Hookrow authors" --msgid-bugs-address=
UPDATE = --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --no-wrap
SAY = @printf '\n== %s\n'
# A lock is installed as it stands, nothing resolved: an older pip takes `coverage[toml]` for another requirement than the
# pinned `coverage`, and refuses it as soon as a newer release is there. Whether it is complete is asked afterwards.
INSTALL = install -qq --no-user --no-deps
LOCKED = $(INSTALL) --require-hashes
TYPED = PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright --verifytypes hookrow --ignoreexternal
# By another name: what names $(MAKE) itself is run by `make -n` too, and here that would be the tests.
TYPES = $(MAKE) --no-print-directory types
SOUND = said=$$($(PIP) $(BIN)/python check) || { echo "$$said"; exit 1; }

# Relative to where they are written: Python 3.11 does not start in the locale C with a folder's Cyrillic name there.
SOURCES = ../../../../engine ../../../../tui

# What somebody's own Python is to look at would be taken for installed, or imported instead of it.
unexport PYTHONHOME PYTHONPATH PYTHONSAFEPATH PYTHONOPTIMIZE PYTHONUTF8 PYTHONWARNINGS PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo run test check lint types torture coverage bench bench-full example lock i18n clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.app ## fire the nine sample events at local receivers and show what happened
	@$(BIN)/hookrow demo

run: $(VENV)/.app ## open the terminal interface on ./hooks.db (made from the example if there is none)
	@test -e hooks.db || cp hooks.db.example hooks.db
	@$(BIN)/hookrow

test: $(VENV)/.dev tests/__pycache__ ## run the tests; PYTEST_ARGS="tests/engine -k veto" for some of them
	@$(BIN)/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

check: $(VENV)/.dev tests/__pycache__ lint ## everything that CI runs: lint, format, import contracts, types, tests
	$(SAY) "tests, and beside them types"
	@said=$$(mktemp); $(TYPES) >"$$said" 2>&1 & types=$$!; \
	trap 'kill $$types 2>/dev/null; rm -f "$$said"' EXIT; trap 'exit 130' INT; \
	$(BIN)/python -m pytest $(PARALLEL) $(PYTEST_ARGS); tested=$$?; \
	wait $$types || { cat "$$said"; exit 1; }; exit $$tested

coverage: $(VENV)/.dev ## the tests once more, with what lines and branches they reach: a third dearer
	@$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term $(PYTEST_ARGS)

lint: $(VENV)/.dev ## ruff and the import contracts
	$(SAY) "ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	$(SAY) "import contracts"
	@$(BIN)/lint-imports

types: $(VENV)/.dev ## mypy on the source, pyright on what a service's author sees: every public type is known
	$(SAY) "types"
	@$(BIN)/mypy
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@said=$$($(TYPED)) && echo "$$said" | grep '^Type completeness' || { echo "$$said"; exit 1; }

torture: $(VENV)/.dev ## the long hostile tests
	@$(BIN)/python -m pytest -m torture $(PYTEST_ARGS)

bench: $(VENV)/.dev $(PEERS)/.made ## the table of goals: against the limit and what people would use instead; BENCH_ARGS="a d"
	@$(BIN)/python -m bench $(BENCH_ARGS)

bench-full: $(VENV)/.dev $(PEERS)/.made ## the same with 5 million firings, growth and a soak of ten minutes; BENCH_ARGS=--write keeps it
	@$(BIN)/python -m bench --full $(BENCH_ARGS)

example: $(VENV)/.app ## make hooks.db.example anew
	@$(BIN)/python -m hookrow.cli.example.example hooks.db.example

lock: $(VENV)/.runtime ## compile both lock files from pyproject.toml; UPGRADE=--upgrade takes newer versions
	@$(PIP) $(BIN)/python $(INSTALL) $(UV)
	@$(BIN)/uv pip compile -q $(UPGRADE) $(LOCK) pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q $(UPGRADE) $(LOCK) --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	@$(BIN)/uv pip compile -q $(UPGRADE) $(PEERLOCK) bench/requirements.txt -o bench/requirements.lock

i18n: $(VENV)/.dev ## gather the messages into the .po files and compile them
	@set -e; for package in engine/hookrow tui/hookrow_tui; do \
		domain=$$(basename $$package); po=$$package/locale/ru/LC_MESSAGES/$$domain; pot=$(VENV)/$$domain.pot; \
		$(BIN)/pybabel -q extract $(KEYWORDS) $(POT) -o $$pot $$package; \
		if test -e $$po.po; then \
			$(BIN)/pybabel -q update $(UPDATE) -l ru -i $$pot -o $$po.po; \
		else \
			mkdir -p $$(dirname $$po); $(BIN)/pybabel -q init -l ru --no-wrap -i $$pot -o $$po.po; \
		fi; \
		$(BIN)/pybabel compile --statistics -i $$po.po -o $$po.mo; \
	done

clean: ## remove .venv and every cache
	@rm -rf $(VENV) $(PEERS) build dist .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find engine tui tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# In a fresh clone one process compiles the tests, and not each of those that run them.
tests/__pycache__: | $(VENV)/.dev
	@$(BIN)/python -m pytest --collect-only -qq >/dev/null || true

# The environment, made in layers so that a change redoes only what depends on it. `pip --python` works from pip 22.3 on
# and needs no pip inside the environment. Stale hashes, or a file that no index should have, stop it.
$(VENV)/.runtime: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Hookrow needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(SAY) "making $(VENV), once: about half a minute"
	@$(PYTHON) -m venv --clear --without-pip $(VENV)
	@$(PIP) $(BIN)/python $(LOCKED) -r requirements.lock
	@touch $@

$(VENV)/.app: pyproject.toml $(VENV)/.runtime
	@$(PIP) $(BIN)/python $(INSTALL) --no-build-isolation -e .
	@printf '%s\n' $(SOURCES) > $$(echo $(VENV)/lib/*/site-packages/_hookrow.pth)
	@$(SOUND)
	@$(BIN)/python -m compileall -q engine tui
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.app
	$(SAY) "adding the tools for development"
	@$(PIP) $(BIN)/python $(LOCKED) -r requirements-dev.lock
	@$(SOUND)
	@touch $@

# What the benchmarks compare with, apart from the product. Where it can't be had they say so and measure without it.
$(PEERS)/.made: bench/requirements.lock $(VENV)/.runtime
	$(SAY) "making $(PEERS), once: the task queues that are compared with"
	@rm -rf $(PEERS)
	@if $(PYTHON) -m venv --without-pip $(PEERS) && $(PIP) $(PEERS)/bin/python $(LOCKED) -r bench/requirements.lock; \
	then touch $@; else rm -rf $(PEERS); echo "They can't be had here: Hookrow is measured alone."; fi
