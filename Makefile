# Set-up, demo and checks. Nothing but make and Python 3.10 to 3.12 is needed.
PYTHON ?= python3
PORT ?= 8500
# That of the demo: multilingual, or the small starter; of multilingual fewer epochs than by default.
MODEL ?= multilingual
EPOCHS := $(if $(filter multilingual,$(MODEL)),--epochs 4)
VENV := .venv
BIN := $(VENV)/bin
# Python compiles a module at its first import: most of what is installed is never imported.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile

.PHONY: demo support picture tensorboard test lint types tests readme test-slow test-old-servers test-pythons docs docs-serve client \
	lock clean

# Every demo is a run of its own: nothing is overwritten.
demo: NAME := demo-$(shell date +%Y%m%d-%H%M%S)
demo: $(VENV)/.installed
	$(BIN)/python -m tfpipe.train --strategy mirrored --model $(MODEL) $(EPOCHS) --output runs/$(NAME)
	$(BIN)/python -m tfpipe.evaluate runs/$(NAME)
	$(BIN)/python -m tfpipe.export runs/$(NAME) --to models/$(NAME) --no-measure-serving
	@$(BIN)/python -m serving.server --port=$(PORT) --model_name=support \
		--model_base_path=models/$(NAME) --file_system_poll_wait_seconds=0 & server=$$!; \
	trap "kill $$server 2>/dev/null; wait $$server" EXIT; trap "exit 130" INT; trap "exit 143" TERM; \
	$(BIN)/python -m serving.client wait --target localhost:$(PORT) --model support \
		--timeout none --pid $$server || { status=$$?; trap - EXIT; \
		kill $$server 2>/dev/null; wait $$server || status=$$?; exit $$status; }; \
	$(BIN)/python -m serving.client classify --target localhost:$(PORT) --model support \
		"Where is my parcel?" "My card was charged twice" "I want to talk to a person" \
		"Can you cancel what I ordered this morning?" "Who wins the match tonight?" \
		"我的包裹到哪儿了？" "为什么扣了我两次钱？" "我想转人工客服"

# The customer-service page on the sample, whose models are made at the first start.
support: $(VENV)/.installed
	$(BIN)/python -m tfpipe.apps.support --model $(MODEL)

# Of the page that `make support` has started, for the README.
picture: $(VENV)/.installed-dev
	$(BIN)/python docs/support_picture.py http://localhost:8080 docs/support.png

tensorboard: $(VENV)/.installed
	$(BIN)/tensorboard --logdir runs

test: lint types tests

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

tests: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "not slow and not old_servers" --numprocesses 2 --dist loadfile --no-loadscope-reorder

# The README's commands as they stand; `make tests` runs them with a tiny model.
readme: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m readme tests/test_readme.py

test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slow

# Exports against plain TensorFlow of earlier years, each in an environment of its own.
OLD_SERVERS := 2.13.1 2.16.2
test-old-servers: $(VENV)/.installed-dev
	@for version in $(OLD_SERVERS); do \
		folder=build/old-servers/$$version; \
		[ -f $$folder/.installed ] && continue; \
		for minor in 3.11 3.10; do \
			python=python$$minor; \
			$$python -c "" 2>/dev/null && break; \
			python=$$(uv python find --no-python-downloads $$minor 2>/dev/null) && break; \
		done; \
		if [ -z "$$python" ]; then echo "neither Python 3.11 nor 3.10 is here: $$version is skipped"; continue; fi; \
		$$python -m venv --clear $$folder || exit 1; \
		$$folder/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile \
			-r tests/old_servers/$$version.txt || exit 1; \
		touch $$folder/.installed; \
	done
	$(BIN)/python -m pytest -m old_servers tests/test_old_servers.py

# The quick tests on every supported Python, each with a virtual environment of its own.
test-pythons:
	@for version in 3.10 3.11 3.12; do \
		python=python$$version; \
		$$python -c "" 2>/dev/null || python=$$(uv python find --no-python-downloads $$version 2>/dev/null); \
		if [ -z "$$python" ]; then echo "Python $$version is not on this machine: skipped"; continue; fi; \
		echo "Python $$version: $$python"; \
		$(MAKE) --no-print-directory tests PYTHON=$$python VENV=.venv-$$version || exit 1; \
	done

# A wheel and a source distribution of the client alone, in dist/.
client: $(VENV)/.installed
	$(BIN)/python distributions/client/build.py dist

# The pages and the API reference, into site/. Warnings, such as of a link that leads nowhere, are
# errors; nothing is fetched.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@if grep -rEn '<(script|link|img|iframe)[^>]*(src|href)=.?(https?:)?//|(url|@import) *\(?.?https?://' \
		site --include='*.html' --include='*.css'; then \
		echo "error: the pages above load from other hosts" >&2; exit 1; fi
	@echo "open site/index.html, or with search: make docs-serve"

docs-serve: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

# Every lock file pins and hashes all it needs, so that pip resolves nothing (--no-deps).
$(VENV)/.installed: requirements.lock requirements-starter.lock requirements-multilingual.lock \
		pyproject.toml setup.py tfpipe/__init__.py
	$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13) and "tfpipe needs Python 3.10 to 3.12; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --require-hashes -r requirements-starter.lock -r requirements-multilingual.lock
	$(INSTALL) --no-build-isolation -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(INSTALL) --require-hashes -r requirements-dev.lock
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed requirements-docs.lock
	$(INSTALL) --require-hashes -r requirements-docs.lock
	touch $@

# Needs uv (pip install uv). One lock for every supported Python and system; no index is named.
# That of the docs has only what requirements.lock lacks.
lock: COMPILE := uv pip compile pyproject.toml --universal --python-version 3.10 \
	--generate-hashes --no-emit-index-url --no-header --no-annotate
lock:
	$(COMPILE) -o requirements.lock
	awk '/^[a-z]/ { keep = /^(grpcio|numpy|protobuf|typing-extensions)==/ } keep' \
		requirements.lock > requirements-client.lock
	$(COMPILE) --extra dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) --extra docs -c requirements-dev.lock -o requirements-docs.lock
	awk '/^[a-z]/ { keep = NR > FNR && !($$0 in locked) } NR == FNR { locked[$$0] } keep' \
		requirements.lock requirements-docs.lock > requirements-docs.lock.new
	mv requirements-docs.lock.new requirements-docs.lock

clean:
	rm -rf $(VENV) .venv-3.* build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
