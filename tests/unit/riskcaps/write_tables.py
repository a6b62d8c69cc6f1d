"""Write the generated documents of the risk gate.

    python -m tests.unit.riskcaps.write_tables caps       deploy/caps/README.md, docs/RULES.md
    python -m tests.unit.riskcaps.write_tables controls   docs/CONTROLS.md, from a test run

`controls` runs every test that the control map names, and refuses to write when one of them has
failed or did not run: a clause is met by a passing test or not at all.
"""

import sys
from pathlib import Path

import pytest

from riskcaps.gate.table import rules_table
from riskcaps.words.control_map import CLAUSES, control_map_table
from riskcaps.words.denials import reasons_table
from riskcaps.words.explain import caps_table

ROOT = Path(__file__).parents[3]
CAPS_FILE = ROOT / "deploy" / "caps" / "README.md"
RULES_FILE = ROOT / "docs" / "RULES.md"
CONTROLS_FILE = ROOT / "docs" / "CONTROLS.md"

CAPS_HEAD = """# Caps and denials

Generated (`python -m tests.unit.riskcaps.write_tables caps`); a test fails when it is stale.

Four presets stand beside this file: `testnet-strict.toml`, `bots.toml` (for bots at the gateway:
stops at the exchange that only reduce), `live-pilot.toml` (smallest notional) and `tiny.toml` (for
the demo: strategies constantly run into it). A cap that is not set is zero,
and zero denies. Amounts are written as text. `unlimited` is a word, and strict mode (the default)
refuses it. A running daemon takes stricter values only; loosening is an edited config and a
restart. What `seatrial caps set` tightened holds over every restart until a value of the file's
`[caps]` is edited, and then all that it tightened ends together. Clauses are the numbers
of `docs/CONTROLS.md`.

## Caps

"""
REASONS_HEAD = """
## Denials

The first rule that fails is the verdict. The order of the rules and the formula of each are in
`docs/RULES.md`; `python -m evidence.recheck JOURNAL` decides again by them.

"""
RULES_HEAD = """# Rules of a placement

Generated from `riskcaps/gate/table.py` (`python -m tests.unit.riskcaps.write_tables caps`); a test
fails when it is stale. The first rule that fails, from above, is the verdict; a rule that comes
after it is not asked. The inputs are the keys of a decision as `riskcaps/gate/gate_inputs.py`
describes them, caps are named as in the configuration, filters as in
`daemon/model/instrument.py`. Times in ms are compared in ns. `evidence/judge/redecide.py` writes
the same rules a second time, on purpose.

What the rules read beside the inputs:

* `px` is the price. Without one it is far\\*(10000 + or - market_slippage_bps)/10000, + for
  buys, where far is ask (buy) or bid (sell), for a stop type max(stop_price, ask) or
  min(stop_price, bid), with trailing_bps that \\*(10000 + or - trailing_bps)/10000. Of a pegged
  order it is ref\\*(10000 + or - collar_bps_max)/10000.
* `ref` is (bid + ask)/2, or reference_px where the caps say `collar_reference = "last"`.
* `room` is -position - buys_open (buy) or position - sells_open (sell); reducing: 0 < qty <=
  room. Where only reducing may pass, with `reduce_oversized = "cut"` and floor(room, lot) > 0, qty
  becomes that, and is reducing.
* `long` is position + buys_open, `short` is sells_open - position; `value_px` is
  max(px, ask, own_px[2]).
* worst(l, s, hi, bid) is max(l, s, 0)\\*hi\\*rate_high. Of the others hi is max(highest open price,
  ask); of this symbol value_px.

"""
CONTROLS_HEAD = """# Control map

Generated from `riskcaps/words/control_map.py` and a run of the tests that it names
(`python -m tests.unit.riskcaps.write_tables controls`). Every clause is met by a cap or a
drill with passing tests, or is out of scope with a reason.

Public sources: RTS 6, 7 and 25 are the delegated regulations (EU) 2017/589, 2017/584 and 2017/574
(<https://eur-lex.europa.eu>). SEC rule 15c3-5 is 17 CFR 240.15c3-5 (<https://www.ecfr.gov>), and
the order on Knight Capital is 34-70694 (<https://www.sec.gov>). FINRA's is regulatory notice 15-09
(<https://www.finra.org>). FIA's are its guide of 2015 and its paper of July 2024
(<https://www.fia.org>). CME's stand in its client wiki (<https://www.cmegroup.com>). Nasdaq's are
its pre-trade risk management and rule Equity 6 (<https://listingcenter.nasdaq.com>). NI 23-103 and
UMIR 7.1 are Canada's. Clauses 34 and 40 were read in secondary sources only.

"""


def caps_document() -> str:
    """`deploy/caps/README.md` as it must read."""
    return CAPS_HEAD + caps_table() + REASONS_HEAD + reasons_table()


def rules_document() -> str:
    """`docs/RULES.md` as it must read."""
    return RULES_HEAD + rules_table()


def controls_document(outcomes: dict[str, str]) -> str:
    """`docs/CONTROLS.md` with these outcomes."""
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
        RULES_FILE.write_text(rules_document())
    elif sys.argv[1:] == ["controls"]:
        sys.exit(write_controls())
    else:
        sys.exit(__doc__)
