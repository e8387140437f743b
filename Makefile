# make search   a first Pareto front on this machine, from nothing but Python 3.11
# make test     lint, types, imports, tests        make test-all   the slow ones too
# make check    lint, types and imports alone      make clean      forget the environments
# make gpu      checks of the GPU path on this machine, in eight minutes at most, and outputs/gpu.json
# make bench-peers   other optimizers, each in an environment of its own, for benchmarks/peers/run.py
# make docs     the site of documentation, in site/, with its links checked
# make pictures the pictures of the README, with tmux and Chromium
# make oracles  our published networks against torchvision's and timm's, in an environment of its own

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
# One test more at once than there are cores, as many wait for processes, and four at most; torch's own threads would
# only get in each other's way.
WORKERS ?= $(shell cores=$$(nproc 2>/dev/null || echo 2); echo $$((cores < 3 ? cores + 1 : 4)))
TESTS = OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadgroup
PEERS := $(patsubst benchmarks/peers/requirements/%.txt,.venv-peers/%/ready,$(wildcard benchmarks/peers/requirements/*.txt))
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: search pictures docs gpu check test test-all oracles bench-peers clean
.DELETE_ON_ERROR:

search: $(VENV)/ready
	$(BIN)/nas search budget.minutes=4 $(ARGS)

pictures: $(VENV)/ready-dev
	$(BIN)/python docs/pictures/make.py $(ARGS)

docs: $(VENV)/ready-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

gpu: $(VENV)/ready
	$(BIN)/python benchmarks/gpu.py $(ARGS)

check: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

test: check
	$(TESTS) -m "not slow"

test-all: check
	$(TESTS)

oracles: $(VENV)-oracles/ready
	$(VENV)-oracles/bin/python tests/oracles/published.py

$(VENV)-oracles/ready: tests/oracles/requirements.txt
	$(PYTHON) -m venv $(VENV)-oracles
	$(VENV)-oracles/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	touch $@

bench-peers: $(PEERS)

.venv-peers/%/ready: benchmarks/peers/requirements/%.txt
	$(PYTHON) -m venv .venv-peers/$*
	.venv-peers/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(PIP) --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-oracles .venv-peers build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
