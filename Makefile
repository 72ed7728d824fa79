# make demo | test | lab | release | messages | docs | bench: each makes the environment it needs first, once.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The first Python that is new enough; PYTHON=... on the command line overrides it.
PYTHON := $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: demo test test-slow lab release messages docs bench clean
.DEFAULT_GOAL := demo

demo: $(READY)
	@$(BIN)/python -m course.demo

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow"

# What takes minutes: every solved lesson at the scale that learners run it. Before a release.
test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

lab: $(READY)
	@$(BIN)/course lab

release: $(READY)
	@$(BIN)/course release

# Every text that learners read, for translators: course/locale/course.pot
messages: $(READY)
	@$(BIN)/python -m course.locale.extract

# The tables of docs/grading.md, from the code that they describe.
docs: $(READY)
	@$(BIN)/python docs/tables.py

bench: $(READY)
	@$(BIN)/python tests/benchmarks/bench_checks.py
	@$(BIN)/python tests/benchmarks/bench_start.py
	@$(BIN)/python tests/benchmarks/bench_grading.py

clean:
	rm -rf build $(VENV)

# The environment is made again when what it is made of changes.
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer was found. Install one (python.org, or your system's" \
		"package manager), or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) could not make a virtual environment. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Installing into $(VENV), once. This takes a few minutes."
	@$(BIN)/python -m pip install --disable-pip-version-check \
		--constraint constraints.txt --editable '.[dev]' || { \
		echo "Installing failed; pip's words are above. Without a network, connect and run the same command again:" \
		"what was installed is kept. With less than 8 GB of disk free, see 'A smaller install' in the README."; exit 1; }
	@touch $@
