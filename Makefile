# One entrance: every target sets up what it needs, and a second run starts at once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export OMP_NUM_THREADS ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-slow lint type docs bench gpu clean

demo: $(STAMP)  ## train on the built-in world, discover, intervene, retrieve; writes runs/demo/report.html
	$(BIN)/ctvae demo

# Small tensors: a second thread waits more than it helps.
test: OMP_NUM_THREADS = 1
test: $(STAMP)  ## the tests that fit in ten minutes
	$(BIN)/python -m pytest -q

test-slow: $(STAMP)  ## the learning tests
	$(BIN)/python -m pytest -q -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: $(STAMP)
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs: docs/_build/html/index.html"

bench: $(STAMP)  ## re-measure the figures of docs/explanation/benchmarks.md
	$(BIN)/python -m benchmarks

gpu: $(STAMP)  ## the same tests on an accelerator
	$(BIN)/python -m pytest -q --device cuda

$(STAMP): pyproject.toml constraints.txt
	@echo "setting up $(VENV) (once, a few minutes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq -e '.[dev,docs]' -c constraints.txt
	@touch $@

clean:
	rm -rf $(VENV) docs/_build runs
