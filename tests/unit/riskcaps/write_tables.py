"""Write the generated documents of the risk gate.

    python -m tests.unit.riskcaps.write_tables caps       deploy/caps/README.md
    python -m tests.unit.riskcaps.write_tables controls   deploy/CONTROLS.md, from a test run

`controls` runs every test that the control map names, and refuses to write when one of them has
failed or did not run: a clause is met by a passing test or not at all.
"""

import sys
from pathlib import Path

import pytest

from riskcaps.control_map import CLAUSES, control_map_table
from riskcaps.denials import reasons_table
from riskcaps.explain import caps_table

ROOT = Path(__file__).parents[3]
CAPS_FILE = ROOT / "deploy" / "caps" / "README.md"
CONTROLS_FILE = ROOT / "deploy" / "CONTROLS.md"

CAPS_HEAD = """# Caps and denials

Generated (`python -m tests.unit.riskcaps.write_tables caps`); a test fails when it is stale.

Four presets stand beside this file: `testnet-strict.toml`, `bots.toml` (for bots at the gateway:
stops at the exchange that only reduce), `live-pilot.toml` (smallest notional) and `tiny.toml` (for
the demo: strategies constantly run into it). A cap that is not set is zero,
and zero denies. Amounts are written as text. `unlimited` is a word, and strict mode (the default)
refuses it. A running daemon takes stricter values only; loosening is an edited config and a
restart. Clauses are the numbers of `deploy/CONTROLS.md`.

## Caps

"""
REASONS_HEAD = """
## Denials

The first rule that fails is the verdict. The order of the rules and the formula of each are in the
docstring of `riskcaps/decision.py`; `python -m evidence.recheck JOURNAL` decides again by them.

"""
CONTROLS_HEAD = """# Control map

Generated from `riskcaps/control_map.py` and a run of the tests that it names
(`python -m tests.unit.riskcaps.write_tables controls`). Every clause of the control list is met by
a cap or a drill with passing tests, or is out of scope with a reason.

"""


def caps_document() -> str:
    """`deploy/caps/README.md` as it must read."""
    return CAPS_HEAD + caps_table() + REASONS_HEAD + reasons_table()


def controls_document(outcomes: dict[str, str]) -> str:
    """`deploy/CONTROLS.md` with these outcomes."""
    return CONTROLS_HEAD + control_map_table(outcomes)


def named_tests() -> list[str]:
    """Every test that the map names, once."""
    return sorted({test for clause in CLAUSES for test in clause.tests})


class Outcomes:
    """A pytest plugin: what became of each test."""

    def __init__(self) -> None:
        self.seen: dict[str, set[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            path, _, name = report.nodeid.partition("::")
            plain = name.partition("[")[0]
            for key in (path, f"{path}::{plain}"):
                self.seen.setdefault(key, set()).add(report.outcome)

    def of(self, test: str) -> str:
        """One word for a path or a test: the worst of its outcomes."""
        seen = self.seen.get(test, set())
        for outcome in ("failed", "passed", "skipped"):
            if outcome in seen:
                return outcome
        return "NOT RUN"


def write_controls() -> int:
    """Run the map's tests and write the document; 1 when a clause is not proved."""
    outcomes = Outcomes()
    paths = sorted({test.partition("::")[0] for test in named_tests()})
    pytest.main(["-q", "--no-header", *paths], plugins=[outcomes])
    result = {test: outcomes.of(test) for test in named_tests()}
    bad = {test: outcome for test, outcome in result.items() if outcome in {"failed", "NOT RUN"}}
    for test, outcome in bad.items():
        print(f"{test}: {outcome}")
    if not bad:
        CONTROLS_FILE.write_text(controls_document(result))
    return 1 if bad else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["caps"]:
        CAPS_FILE.write_text(caps_document())
    elif sys.argv[1:] == ["controls"]:
        sys.exit(write_controls())
    else:
        sys.exit(__doc__)
