# `make demo` and `make test` need Python 3.11 or newer, make and a package registry, nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo test test-privacy test-neo4j check serve bench neo4j neo4j-stop lock schemas sdl graph-doc clean

setup: $(STAMP)

$(STAMP): requirements.lock dev/uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Consentric needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r dev/uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP)
	$(BIN)/consentric demo

test: $(STAMP)
	$(BIN)/python -m pytest

# The random sequences of hostile steps, 10,000 of them instead of the few in `make test`. Takes some minutes.
test-privacy: $(STAMP)
	CONSENTRIC_SEQUENCES=$${CONSENTRIC_SEQUENCES:-10000} $(BIN)/python -m pytest --override-ini timeout=7200 tests/hostile

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

serve: $(STAMP)
	$(BIN)/consentric serve

bench: $(STAMP)
	@for script in walk ingest profile_query withdrawal timing; do echo "== benchmarks/$$script.py"; $(BIN)/python benchmarks/$$script.py || exit 1; done

# A real Neo4j on loopback, without Docker. Needs Java 17 or 21 and Maven. NEO4J_PORT sets its port.
neo4j: $(STAMP)
	@$(BIN)/python dev/neo4j/server.py start

neo4j-stop: $(STAMP)
	@$(BIN)/python dev/neo4j/server.py stop

# The tests marked `store`, on a fresh Neo4j that is stopped afterwards. TESTS selects some of them.
test-neo4j: $(STAMP)
	@$(BIN)/python dev/neo4j/server.py run -- $(BIN)/python -m pytest -m store $(TESTS)

# After a change of dependencies in pyproject.toml: pins what is new and keeps the rest.
lock: $(STAMP)
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --extra dev pyproject.toml -o requirements.lock

schemas: $(STAMP)
	$(BIN)/python -m api.collection.schemas

sdl: $(STAMP)
	$(BIN)/python -m api.graphql.sdl

graph-doc: $(STAMP)
	$(BIN)/python -m api.reference

clean:
	rm -rf .venv .consentric .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info
