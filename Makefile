# Two commands matter: `make demo` and `make test`. Each creates what it needs; the second time is quick.
PYTHON ?= python3
VENV := .venv
PYTHONS ?= python3.11 python3.12 python3.13
BIN := $(VENV)/bin
ARGS ?=
LOCK := requirements-dev.lock
STAMP := $(VENV)/.locked
RUNS := $(VENV)/.runs

.PHONY: demo test test-pythons fuzz campaign soak mutation test-system check fmt bench bench-stop controls tripwires kill-sweep trials trials-proof dist deb image clean

$(STAMP): $(LOCK) pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked packages for development into $(VENV) (once, about a minute)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@ $(RUNS)

# What the product itself needs, and nothing to develop it with: a tenth of the other.
$(RUNS): requirements.lock pyproject.toml
	@test -x $(BIN)/python || { echo "making a virtual environment in $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing the $$(grep -c '^[a-z].*==' requirements.lock) packages that seatrial runs on into $(VENV) (once, about 20 s)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

demo: $(RUNS)
	$(BIN)/seatrial demo $(ARGS)

test: check
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

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

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fmt: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/.bench: requirements-bench.lock $(STAMP)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock
	@touch $@

$(VENV)/.fuzz: requirements-fuzz.lock $(STAMP)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-fuzz.lock
	@touch $@

fuzz: $(VENV)/.fuzz
	$(BIN)/python -m tests.fuzz $(ARGS)

bench: $(VENV)/.bench
	$(BIN)/python -m tests.bench $(ARGS)

bench-stop: $(STAMP)
	$(BIN)/python -m tests.bench.stop $(ARGS)

campaign: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m campaign $(ARGS)

# Half an hour of faults and hostile clients; memory, descriptors and threads have to stay flat.
soak: $(STAMP)
	$(BIN)/python -m tests.soak $(ARGS)

$(VENV)/.judges: requirements-judges.lock $(STAMP)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-judges.lock
	@touch $@

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
	$(BIN)/python -m pytest tests/trials -m campaign -n 4 $(ARGS)

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
