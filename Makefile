# Set-up and the daily commands. `make` alone says what there is.
#
#   make demo TORCH_INDEX=URL     take torch from this package index (CPU-only builds, other CUDA versions)
#   make test TESTS="-k store"    arguments for pytest
#   make test JOBS=0              in one process; needed when FLYWHEEL_TEST_... name servers (CONTRIBUTING.md)

VENV    := .venv
PY      := $(VENV)/bin/python
STAMP   := $(VENV)/.installed
EXTRAS  ?= embedded,models,dev
PIP     := $(PY) -m pip install --disable-pip-version-check --no-input --quiet -c constraints.txt
INDEX   := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
TESTS   ?=
JOBS    ?= 2
CHAOS   ?=

# PaddleOCR's own environment. Its OpenCV wants a desktop's libraries, so the same one without them is laid over it;
# of rapidocr the files of the models are wanted, not what it depends on.
PADDLE       := .venv-paddle
PADDLE_STAMP := $(PADDLE)/.installed
PADDLE_PIP   := $(PADDLE)/bin/python -m pip install --disable-pip-version-check --no-input --quiet --no-compile -c constraints-paddle.txt

.PHONY: help venv demo test coverage paddle-venv test-paddle hooks lint format types imports chaos bench up down constraints clean distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv ## the whole loop on a drawn sample corpus: nothing else is needed
	$(VENV)/bin/flywheel demo

test: venv ## every test, against real servers that it starts itself
	$(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(TESTS)

# Counting lines adds 2-6 % of CPU time by sys.monitoring (from Python 3.12 on), 44 % by the tracer of 3.11; measured on
# rooms that run in one process (2026-11-24). So `make test` does without, and .ci/run counts.
SYSMON = $(shell $(PY) -c 'import sys; print("COVERAGE_CORE=sysmon" if sys.version_info >= (3, 12) else "")')

coverage: venv ## every test, and which lines they ran
	$(SYSMON) $(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --cov --cov-report=term $(TESTS)

venv: $(STAMP) ## the virtual environment in .venv, with pinned versions

$(STAMP): pyproject.toml constraints.txt
	@deploy/make-venv $(VENV)
	@echo "installing into $(VENV): a few minutes the first time"
	@$(PIP) $(INDEX) "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	@$(PIP) $(INDEX) -e ".[$(EXTRAS)]"
	@touch $@

test-paddle: paddle-venv ## PaddleOCR's tests, in its environment
	$(PADDLE)/bin/python -m pytest tests/paddle --confcutdir=tests/paddle $(TESTS)

paddle-venv: $(PADDLE_STAMP) ## PaddleOCR's environment in .venv-paddle, with pinned versions

$(PADDLE_STAMP): pyproject.toml constraints-paddle.txt
	@deploy/make-venv $(PADDLE)
	@echo "installing into $(PADDLE): a minute or two the first time"
	@$(PADDLE_PIP) -e ".[paddle]" onnx pytest pytest-timeout
	@$(PADDLE_PIP) --no-deps opencv-contrib-python-headless rapidocr
	@touch $@

hooks: venv ## git hooks: ruff before a commit, mypy and import-linter before a push
	@$(PIP) "pre-commit>=4,<5"
	$(VENV)/bin/pre-commit install

lint: venv ## ruff: faults and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: venv ## ruff: put the format right
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

types: venv ## mypy --strict
	$(VENV)/bin/mypy

imports: venv ## import-linter: which room may know which
	$(VENV)/bin/lint-imports

chaos: venv ## kill, flush, freeze and cut things while work goes on
	FLYWHEEL_CHAOS=full $(PY) -m pytest tests/chaos $(CHAOS)

bench: venv ## every benchmark; JSON lines
	@for file in benchmarks/*.py; do echo "# $$file" >&2; $(PY) $$file || exit 1; done

up: venv ## the embedded stack, in the background
	$(VENV)/bin/flywheel up --detach

down: venv ## ... and its end
	$(VENV)/bin/flywheel down

constraints: ## constraints.txt anew, from what .venv holds
	{ sed '/^[^#]/,$$d' constraints.txt; $(PY) -m pip freeze --exclude-editable | sed 's/^torch==\([^+]*\).*/torch==\1/'; } > constraints.new
	mv constraints.new constraints.txt

clean: ## caches and build products
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean ## ... and the virtual environments
	rm -rf $(VENV) $(PADDLE)
