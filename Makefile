# make demo | check | test | lint | bench: nothing but Python 3.11 to 3.13 and make is needed.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin

# The newest supported Python that can make virtual environments.
find_python = for p in python3.13 python3.12 python3.11 python3; do \
	  $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	    >/dev/null 2>&1 && { command -v $$p; exit 0; }; \
	done; \
	echo 'make: no Python 3.11, 3.12 or 3.13 with venv and pip found' >&2; exit 1

.PHONY: demo check test lint format bench clean

demo: $(VENV)/.installed
	@$(BIN)/touchline demo $(ARGS)

# Format, lint, types and unit tests: no test that starts a process or waits for a timeout (marked),
# and not the thousands of schedules in tests/properties.
check: lint
	@$(BIN)/pytest -n 2 --dist worksteal -m "not integration" --ignore tests/properties $(ARGS)

# Two files at a time: most tests wait for processes. Each side has a Kafka and a ClickHouse. The
# files keep the order of tests/conftest.py, the longest first.
test: lint
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/.installed
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(VENV)/.installed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.installed
	@$(BIN)/python -m benchmarks $(ARGS)

# The stamp: installed once, and again only when the dependencies change.
$(VENV)/.installed: pyproject.toml
	@python="$$($(find_python))" && echo "make: installing into $(VENV) with $$python" && \
	  "$$python" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
