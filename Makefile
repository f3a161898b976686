# Everything a developer or a newcomer types. Each target sets up what it needs in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests sync thousands of small files: in memory where there is such a folder.
SCRATCH := $(shell test -w /dev/shm && echo /dev/shm || echo /tmp)

.PHONY: demo test check bench services clean

$(VENV)/installed: pyproject.toml
	@echo "installing into $(VENV), then compiling kernels: once, about two minutes"
	@$(PYTHON) -m venv $(VENV)
	@PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --editable .
	@$(BIN)/millstream warm
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --editable '.[test]'
	@touch $@

## make demo: log lines to windowed answers to Parquet files, in a folder demo-data; LOGS='glob' takes your own files
demo: $(VENV)/installed
	@$(BIN)/python examples/log_aggregation/demo.py

# Bytecode is kept whatever the environment says: it halves the time until the first test of the next run.
## make test: the tests that fit in a few minutes; make test ALL=1 runs the slow ones too, and more examples and seeds
test: $(VENV)/installed-test
	TMPDIR=$(SCRATCH) PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -q -n auto --dist loadfile $(if $(ALL),,-m "not slow") $(ARGS)

## make check: style and types
check: $(VENV)/installed-test
	mkdir -p .mypy && ln -sfn .. .mypy/millstream
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -m millstream -m millstream.embedded -p millstream.core -p millstream.connect -p millstream.streams -p millstream.dsl -p millstream.cli

## make services: fetch the real servers that tests and benchmarks start (Kafka, HDFS)
services: $(VENV)/installed-test
	bash tests/services/install.sh
	PYTHONPATH=tests $(BIN)/python -m services fetch

## make bench: every benchmark beside its peers on this machine; writes benchmarks/RESULTS.md
bench: $(VENV)/installed-test services
	PYTHONPATH=tests $(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) demo-data build .mypy .mypy_cache
