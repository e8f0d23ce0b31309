# Needs Python 3.11 or later with venv, pip, and make.  Everything else is installed into .venv by the first target run.

PYTHON ?= python3
VENV := .venv
BENCH_VENV := .bench-venv
BIN := $(VENV)/bin
# Newer than pyproject.toml: what it asks for is installed.
READY := $(VENV)/.ready
BENCH_READY := $(BENCH_VENV)/.ready
FUZZ_READY := $(VENV)/.fuzz-ready

.DEFAULT_GOAL := help
.PHONY: help run test check format docs coverage fuzz abuse bench autobahn clean

help:
	@echo 'make run       serve examples/hello.py on http://127.0.0.1:8000'
	@echo 'make test      run the tests'
	@echo 'make check     lint, formatting, types, import contracts, documentation'
	@echo 'make format    mend what lint and formatting can mend by themselves'
	@echo 'make docs      serve the documentation on http://127.0.0.1:8001'
	@echo 'make coverage  run the tests with branch coverage'
	@echo 'make fuzz      search for what the fast lanes misread, two minutes; make fuzz FUZZ="-max_total_time=600" is longer'
	@echo 'make abuse     attack the server and measure it, some 15 minutes; make abuse ATTACKS="--quick" is faster'
	@echo 'make bench     measure it side by side with its peers, some 25 minutes; make bench BENCH="--quick" is faster'
	@echo 'make autobahn  let the Autobahn|Testsuite judge its WebSockets; make autobahn WSTEST=path/to/wstest'
	@echo 'make clean     remove everything that is generated, .venv too'

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,speed,testing]'
	touch $@

run: $(READY)
	$(BIN)/trioframe run examples/hello.py

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict --quiet

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)
	$(BIN)/mkdocs serve --dev-addr 127.0.0.1:8001

coverage: $(READY)
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage report

# By itself, as nothing else needs it and not every system has it.
$(FUZZ_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary atheris --editable '.[fuzz]' || \
		{ echo 'make fuzz needs atheris, and there is none for this Python on this system: try Linux and CPython'; exit 1; }
	touch $@

fuzz: $(FUZZ_READY)
	$(BIN)/python fuzz/head_target.py $(FUZZ)
	$(BIN)/python fuzz/frames_target.py $(FUZZ)

abuse: $(READY)
	$(BIN)/python benchmarks/abuse.py $(ATTACKS)

# Of the same Python as the project's own environment: otherwise the ratios would say nothing.
$(BENCH_READY): benchmarks/peers.txt | $(READY)
	test -x $(BENCH_VENV)/bin/python || $(BIN)/python -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/peers.txt
	touch $@

bench: $(READY) $(BENCH_READY)
	$(BIN)/python benchmarks/bench.py $(BENCH)

# The suite is no dependency: it needs a Python that is long out of use.  CONTRIBUTING.md tells where to get it.
autobahn: $(READY)
	@test -n '$(WSTEST)' || { echo 'make autobahn needs WSTEST=path/to/wstest; see CONTRIBUTING.md'; exit 1; }
	$(BIN)/python conformance/autobahn.py --wstest '$(WSTEST)' $(AUTOBAHN)

clean:
	rm -rf $(VENV) $(BENCH_VENV) build dist site htmlcov .coverage .coverage.* .hypothesis
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find trioframe tests examples benchmarks conformance -type d -name __pycache__ -prune -exec rm -rf {} +
