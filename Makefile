# make demo        a hub with priced machines on this computer, in a virtual environment of its own
# make test        everything CI runs: lint, then the tests, which say what they skipped and how to have it
# make coverage    how much of rules/ and ledger/ their own tests run; fails below a floor
# make site        the documentation as a site, in build/site
# make soak        long days with a kill every few seconds, as root with Docker
#
# ARGS goes to the command: make demo ARGS='--port 8080', make test ARGS='tests/rules -x'. PYTHON and VENV choose the interpreter
# and the folder of the environment.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=
# Test files run side by side: most of their time they wait for processes. JOBS=0 is one process, for a debugger.
JOBS ?= 3
bin := $(VENV)/bin

.PHONY: demo test coverage soak lint format docs site clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed-demo $(VENV)/.installed-lab
	$(bin)/gradienthub demo $(ARGS)

test: lint
	$(bin)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

# In one process: what a test of these rooms runs, it runs there. The floor is in pyproject.toml.
coverage: $(VENV)/.installed-test
	$(bin)/coverage run -m pytest --quiet tests/rules tests/ledger $(ARGS)
	$(bin)/coverage report

# A long day with KILLS of hub, keeper and engine, and as many of hubs that fill and claim warm servers: half an hour and more.
KILLS ?= 200
soak: $(VENV)/.installed-test
	GRADIENTHUB_SOAK=$(KILLS) $(bin)/python -m pytest -s tests/soak tests/spawners/test_warm.py -k "billed or killed" $(ARGS)

# In the order of what is fixed fastest.
lint: $(VENV)/.installed-test
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/mypy benchmarks/*.py
	$(bin)/lint-imports

format: $(VENV)/.installed-test
	$(bin)/ruff check --fix-only .
	$(bin)/ruff format .

# The reference pages are made from the help texts in the code; a test fails when they lag behind.
docs: $(VENV)/.installed-test
	$(bin)/python docs/generate.py

# The theme prints an advertisement of another program at each build.
site: $(VENV)/.installed-test
	NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) build dist *.egg-info labextension/build labextension/*.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find gradienthub labextension tests docs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# Installed editable: only a change of what is installed, not of the code, is a reason to install again.
$(VENV)/.installed-%: setup.cfg setup.py pyproject.toml | $(VENV)/bin/python
	$(bin)/python -m pip install --disable-pip-version-check --quiet --editable '.[$*]'
	@touch $@

# What the demo's notebooks show inside of JupyterLab. The tests build and install it for themselves, as an image does.
$(VENV)/.installed-lab: $(shell find labextension -type f -not -path '*/build/*' -not -path '*.egg-info/*' -not -path '*__pycache__*') | $(VENV)/bin/python
	$(bin)/python -m pip install --disable-pip-version-check --quiet ./labextension
	@touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
