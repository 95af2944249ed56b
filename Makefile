# Set-up, demo and checks. Nothing but make and Python 3.10 to 3.12 is needed.
PYTHON ?= python3
PORT ?= 8500
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

.PHONY: demo tensorboard test lint types tests readme test-slow lock clean

# Every demo is a run of its own: nothing is overwritten.
demo: NAME := demo-$(shell date +%Y%m%d-%H%M%S)
demo: $(VENV)/.installed
	$(BIN)/python -m tfpipe.train --strategy mirrored --output runs/$(NAME)
	$(BIN)/python -m tfpipe.evaluate runs/$(NAME)
	$(BIN)/python -m tfpipe.export runs/$(NAME) --to models/$(NAME)
	@$(BIN)/python -m serving.server --port=$(PORT) --model_name=support \
		--model_base_path=models/$(NAME) --file_system_poll_wait_seconds=0 & server=$$!; \
	trap "kill $$server 2>/dev/null; wait $$server" EXIT; trap "exit 130" INT; trap "exit 143" TERM; \
	$(BIN)/python -m serving.client wait --target localhost:$(PORT) --model support \
		--timeout none --pid $$server || { status=$$?; trap - EXIT; \
		kill $$server 2>/dev/null; wait $$server || status=$$?; exit $$status; }; \
	$(BIN)/python -m serving.client classify --target localhost:$(PORT) --model support \
		"Where is my parcel?" "My card was charged twice" "I want to talk to a person" \
		"Can you cancel what I ordered this morning?" "Who wins the match tonight?"

tensorboard: $(VENV)/.installed
	$(BIN)/tensorboard --logdir runs

test: lint types tests readme

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

tests: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "not slow and not readme" --numprocesses 2 --dist loadfile

readme: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m readme tests/test_readme.py

test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slow

# Every lock file pins and hashes all it needs, so that pip resolves nothing (--no-deps).
$(VENV)/.installed: requirements.lock requirements-starter.lock \
		pyproject.toml setup.py tfpipe/__init__.py
	$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13) and "tfpipe needs Python 3.10 to 3.12; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --require-hashes -r requirements-starter.lock
	$(INSTALL) --no-build-isolation -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(INSTALL) --require-hashes -r requirements-dev.lock
	touch $@

# Needs uv (pip install uv). One lock for every supported Python and system; no index is named.
lock:
	uv pip compile pyproject.toml --universal --python-version 3.10 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate -o requirements.lock
	awk '/^[a-z]/ { keep = /^(grpcio|numpy|protobuf|typing-extensions)==/ } keep' \
		requirements.lock > requirements-client.lock
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.10 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
