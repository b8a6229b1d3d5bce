# One verb per chore; `make help` lists them. CI calls nothing else.
# Every environment is made here, from pyproject.toml alone: Python >= 3.10 and make are all that is needed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := .venv-codegen-plugins
CODEGEN := .venv-codegen
PEERS := .venv-peers
FUZZ := .venv-fuzz
FUZZ_SECONDS ?= 120
ROUNDS ?= 30
PYTEST := $(BIN)/python -m pytest -n 2 -q

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types generate check-generated test-wheel test-lowest test-portable interop browser tools fuzz reliability bench docs build clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

# Makes the environment $(1) with a current pip, or says what is missing.
define new-venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "eas-grpc needs Python 3.10 or later; $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.12 $@" >&2; exit 1; }
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1) || \
		{ echo "python3 cannot make environments here: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@$(1)/bin/python -m pip install -U pip
endef

$(VENV)/runtime: pyproject.toml
	@echo "setting up $(VENV) ..."
	$(call new-venv,$(VENV))
	@$(BIN)/python -m pip install -e '.[serve]'
	@touch $@

$(VENV)/dev: $(VENV)/runtime
	@echo "setting up the development tools ..."
	@$(BIN)/python -m pip install -e '.[serve]' --group dev
	@touch $@

$(CODEGEN)/ready: pyproject.toml
	$(call new-venv,$(CODEGEN))
	@$(CODEGEN)/bin/python -m pip install --group codegen
	@touch $@

$(PLUGINS)/ready: pyproject.toml
	$(call new-venv,$(PLUGINS))
	@$(PLUGINS)/bin/python -m pip install --group codegen-plugins
	@touch $@

$(PEERS)/ready: pyproject.toml
	@echo "setting up the clients of others ..."
	$(call new-venv,$(PEERS))
	@$(PEERS)/bin/python -m pip install --group peers
	@$(PEERS)/bin/python -m pip install --no-deps --group peers-alone
	@touch $@

# Not marked as ready where atheris cannot be had: `make fuzz` says so, and tries again the next time.
$(FUZZ)/ready: pyproject.toml
	@echo "setting up $(FUZZ) ..."
	$(call new-venv,$(FUZZ))
	@$(FUZZ)/bin/python -m pip install -e '.[serve]'
	@if $(FUZZ)/bin/python -m pip install --only-binary :all: --group fuzz; then touch $@; fi

setup: $(VENV)/dev $(CODEGEN)/ready $(PLUGINS)/ready  ## make all environments

demo: $(VENV)/runtime  ## start a local server, make real calls to it, see one refused
	@$(BIN)/python examples/demo.py

test: setup  ## unit, integration and rule tests, with branch coverage
	@rm -f .coverage .coverage.*
	@$(PYTEST) tests --ignore tests/interop --ignore tests/browser --cov --cov-report= --durations 8
	@$(BIN)/coverage report --fail-under 95

lint: $(VENV)/dev $(CODEGEN)/ready  ## style, formatting, layers, protos
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/eas-grpc lint --protoc-python $(CODEGEN)/bin/python

types: $(VENV)/dev  ## mypy (strict) and pyright
	@$(BIN)/mypy
	@$(BIN)/pyright

# The messages of the official interop cases are the scoreboard's own, and no part of the product.
GENERATE = $(BIN)/eas-grpc generate --protoc-python $(CODEGEN)/bin/python --plugins-bin $(PLUGINS)/bin
INTEROP = reliability/protos --out reliability/pb --package reliability.pb --client both

generate: setup  ## compile protos/ into generated/, the commands into docs/cli.md and the man page
	@$(GENERATE)
	@$(GENERATE) $(INTEROP)
	@$(BIN)/python -m eas_grpc.cli._pages

check-generated: setup  ## prove that generated/ is what protos/ gives, and the pages what the commands say
	@$(GENERATE) --check
	@$(GENERATE) $(INTEROP) --check
	@$(BIN)/python -m eas_grpc.cli._pages --check

build: $(VENV)/dev  ## sdist and wheel into dist/
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist . >/dev/null
	@ls dist

test-wheel: build $(CODEGEN)/ready $(PLUGINS)/ready  ## install the wheel elsewhere and run the tests there
	@scripts/test-wheel

test-lowest: $(VENV)/dev  ## unit tests on the lowest versions allowed
	@scripts/test-lowest

test-portable: setup  ## one portable tree on every protobuf and grpcio that it is for
	@scripts/test-portable

interop: setup $(PEERS)/ready  ## clients and servers that others wrote, in other languages
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n 2 -q tests/interop

browser: setup  ## the gateway's live page and load's report in headless Chromium (Debian's)
	@$(BIN)/python -m pytest -q tests/browser

tools:  ## install Debian's programs that some tests run, where that is possible; without them those tests are skipped
	@scripts/debian-tools || true

fuzz: $(FUZZ)/ready  ## everything that parses what others send, against what coverage suggests (FUZZ_SECONDS=120)
	@$(FUZZ)/bin/python fuzz/run.py --seconds $(FUZZ_SECONDS)

reliability: setup $(FUZZ)/ready  ## the scoreboard: short form, or `make reliability FORM=--long ONLY=C1,C3 SEED=1`
	@scripts/debian-tools || true
	@$(BIN)/python -m reliability $(FORM) --only "$(ONLY)" --seed $(or $(SEED),1)

bench: setup $(PEERS)/ready  ## cost of calls, tensors and generating against the bare library and a peer, as ratios (ROUNDS=30 PART=calls)
	@$(BIN)/python -m benchmarks --rounds $(ROUNDS) $(if $(PART),--only $(PART)) --chart benchmarks/tensors.png

docs: setup  ## run the code in README and docs
	@$(BIN)/python -m pytest -q tests/rules/test_docs.py

clean:  ## remove everything that make has made
	rm -rf $(VENV) $(CODEGEN) $(PLUGINS) $(PEERS) $(FUZZ) .venv-portable .venv-wheel .venv-lowest dist build .coverage* .mypy_cache \
		.pytest_cache .ruff_cache .hypothesis tests/interop/.build tests/interop/*/node_modules reliability/.build
