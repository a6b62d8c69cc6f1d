# Two commands matter: `make demo` and `make test`. Each creates what it needs; the second time is quick.
PYTHON ?= python3
VENV := .venv
PYTHONS ?= python3.11 python3.12 python3.13
BIN := $(VENV)/bin
ARGS ?=
LOCKS := requirements.lock requirements-dev.lock
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
# A lock names all that is needed, so nothing is resolved; pip would compile on one core alone (COMPILE has two).
LOCKED := $(PIP) --require-hashes --no-deps --no-compile -r
# The pins of one section of requirements-dev.lock, for pip.
group = sed -n '/^\# group $(1)$$/,/^\# group /p' requirements-dev.lock
STAMP := $(VENV)/.locked
RUNS := $(VENV)/.runs
# Bytecode beside the sources: each start of a tree without it takes 0.2 s more, and the tests make hundreds.
COMPILE := $(BIN)/python -m compileall -q -j 2 daemon control riskcaps evidence
# More than cores: the tests wait for processes of their own more than they work.
WORKERS ?= 7
PYTEST_ONE := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
PYTEST := $(PYTEST_ONE) -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

.PHONY: venv demo test test-bots test-clients hammer test-pythons fuzz campaign soak mutation test-system check locks fmt bench bench-stop controls tripwires honest liars docs kill-sweep trials trials-proof dist deb image clean

$(STAMP): $(LOCKS) pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked packages for development into $(VENV) (once, about a minute)"
	@{ cat requirements.lock; $(call group,dev); } > $(VENV)/.dev.txt
	@$(LOCKED) $(VENV)/.dev.txt
	@$(PIP) --no-build-isolation --no-deps -e .
	@$(COMPILE) $(VENV)/lib
	@touch $@ $(RUNS)

# What the product itself needs, and nothing to develop it with: a tenth of the other.
$(RUNS): requirements.lock pyproject.toml
	@test -x $(BIN)/python || { echo "making a virtual environment in $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing the $$(grep -c '^[a-z].*==' requirements.lock) packages that seatrial runs on into $(VENV) (once, about 20 s)"
	@$(LOCKED) requirements.lock
	@$(PIP) --no-build-isolation --no-deps -e .
	@$(COMPILE) $(VENV)/lib
	@touch $@

# The product in .venv, and nothing started.
venv: $(RUNS)

demo: $(RUNS)
	$(BIN)/seatrial demo $(ARGS)

# While one core checks, the other writes the tests' bytecode once for all workers: each would do it by itself.
test: $(STAMP)
	@$(COMPILE) tests/support
	@$(PYTEST_ONE) --collect-only -qq > /dev/null & $(MAKE) --no-print-directory check && wait
	$(PYTEST) $(ARGS)

# On every interpreter of PYTHONS that is here, in an environment of its own (.venv-3.12 and so on).
# The workflow's matrix does the same with one interpreter a job; `.ci/run` tests python3 alone.
test-pythons:
	@ran=; for python in $(PYTHONS); do \
	  version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || \
	    { echo "$$python is not here: not tested"; continue; }; \
	  echo "Python $$version"; \
	  $(MAKE) --no-print-directory test VENV=.venv-$$version PYTHON="$$python" || exit 1; \
	  ran="$$ran $$version"; \
	done; test -n "$$ran" && echo "passed on$$ran"

# freqtrade, unmodified, in an environment of its own: the scene of the lost answers, both roads.
# (make hammer: the gateway under 1,000 requests a second for a minute.)
BOTS_VENV := .venv-bots

$(BOTS_VENV)/.freqtrade: tests/trials/subjects/freqtrade.lock
	@test -x $(BOTS_VENV)/bin/python || $(PYTHON) -m venv $(BOTS_VENV)
	@echo "installing freqtrade into $(BOTS_VENV) (once, about a minute)"
	@$(BOTS_VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

test-bots: $(STAMP) $(BOTS_VENV)/.freqtrade
	PATH="$(CURDIR)/$(BOTS_VENV)/bin:$$PATH" $(BIN)/seatrial demo --bot freqtrade $(ARGS)

# Nautilus and hummingbot, unmodified and from their snippets, through the gateway, each in an environment of its own
# (.venv-trials/, from its lock; they need Python 3.12).
test-clients: $(STAMP)
	@if python3.12 -c "" 2> /dev/null; then $(BIN)/python -m pytest tests/clients -m clients $(ARGS); \
	else echo "python3.12 is not here: Nautilus and hummingbot are left out"; fi

hammer: $(STAMP)
	SEATRIAL_HAMMER_S=60 $(BIN)/python -m pytest tests/integration/test_gateway_hammer.py $(ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Both lock files from pyproject.toml, by one resolution; needs uv.
locks: $(STAMP)
	$(BIN)/python -m tests.support.write_locks

fmt: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/.bench $(VENV)/.fuzz $(VENV)/.judges $(VENV)/.docs: $(VENV)/.%: $(STAMP)
	@$(call group,$*) > $(VENV)/.$*.txt
	@$(PIP) --require-hashes -r $(VENV)/.$*.txt
	@touch $@

# The documents as a site in build/site; a link that leads nowhere fails. Building needs no network.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --config-file deploy/mkdocs.yml
	@echo "open build/site/index.html"

fuzz: $(VENV)/.fuzz
	$(BIN)/python -m tests.fuzz $(ARGS)

bench: $(VENV)/.bench
	$(BIN)/python -m tests.bench --doc $(ARGS)

bench-stop: $(STAMP)
	$(BIN)/python -m tests.bench.stop $(ARGS)

campaign: $(STAMP)
	@$(COMPILE) tests/support
	$(PYTEST) -m campaign $(ARGS)

# Half an hour of faults and hostile clients; memory, descriptors and threads have to stay flat.
soak: $(STAMP)
	$(BIN)/python -m tests.soak $(ARGS)

# What `make test` leaves out: a booted systemd, packages in clean machines, images, a new user's way. Three at a
# time: half of it is waiting.
test-system: $(VENV)/.judges
	SEATRIAL_SYSTEM=1 $(BIN)/python -m pytest tests/system -n 3 --dist loadgroup -v --durations 12 $(ARGS)

mutation: $(STAMP)
	$(BIN)/python -m tests.mutation.run $(ARGS)

controls: $(STAMP)
	$(BIN)/python -m tests.unit.riskcaps.write_tables caps
	$(BIN)/python -m tests.unit.riskcaps.write_tables controls

# Stops without a cause, measured in seeded worlds, and the page of triggers.
tripwires: $(STAMP)
	$(BIN)/python -m tests.sim.write_tripwires worlds
	$(BIN)/python -m tests.sim.write_tripwires page

# The standard course for each subject, and its tables in docs/trials/. Each public program gets an environment of its
# own (.venv-trials/) from its lock; a course takes ten minutes, AT_ONCE of them run together.
trials: $(STAMP)
	$(BIN)/python -m tests.trials.subjects_run $(ARGS)

# Every trial can fail: one bot of ours passes, each of its mutants is found out. A quarter of an hour.
trials-proof: $(STAMP)
	$(BIN)/python -m pytest tests/trials -m proof -n 4 $(ARGS)

# Honest seeded sessions of eight kinds, each of which the accountant must agree with (2 minutes).
honest: $(STAMP)
	$(BIN)/python -m tests.support.honest --sessions 3000 $(ARGS)

# Every lie of the suite in every story, and all pairs of them (8 minutes).
liars: $(STAMP)
	$(BIN)/python -m tests.support.lie_player $(ARGS)

kill-sweep: $(STAMP)
	$(BIN)/python -m tests.support.kill_sweep --points all $(ARGS)

dist: $(STAMP)
	deploy/build-dist.sh dist

deb: $(STAMP)
	deploy/build-deb.sh dist

image: $(STAMP)
	deploy/build-image.sh

clean:
	rm -rf $(VENV) .venv-* build dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis bench.json demo-run
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
