"""The control map and the tables for people: complete, and naming only what is there."""

import re
from pathlib import Path

from riskcaps.words.capset import PORTFOLIO_CAPS, SYMBOL_CAPS, CapSet, capset_from_mapping
from riskcaps.words.control_map import CLAUSES, control_map_table
from riskcaps.words.denials import DenyReason
from riskcaps.words.explain import caps_table, explain_rows
from tests.unit.riskcaps.kit import T0, approve, caps_of, ready, wish
from tests.unit.riskcaps.write_tables import (
    CAPS_FILE,
    CONTROLS_FILE,
    RULES_FILE,
    caps_document,
    controls_document,
    named_tests,
    rules_document,
)

ROOT = Path(__file__).parents[3]


def test_every_clause_is_met_with_tests_or_out_of_scope_with_a_reason() -> None:
    assert [clause.number for clause in CLAUSES] == list(range(1, 41))
    for clause in CLAUSES:
        assert bool(clause.tests and clause.met_by) != bool(clause.out_of_scope), clause.number


def test_every_test_that_the_map_names_is_there() -> None:
    for clause in CLAUSES:
        for test in clause.tests:
            path, _, name = test.partition("::")
            text = (ROOT / path).read_text()
            assert re.search(rf"def {name or 'test_'}|TestCase", text), f"{clause.number}: {test}"


def test_every_cap_and_every_reason_names_clauses_of_the_map_that_are_met() -> None:
    met = {clause.number for clause in CLAUSES if not clause.out_of_scope}
    named = {spec.clauses for spec in (*PORTFOLIO_CAPS.values(), *SYMBOL_CAPS.values())}
    named |= {reason.clauses for reason in DenyReason}
    for clauses in named:
        assert {int(number) for number in clauses.split(", ")} <= met, clauses


def test_the_table_tells_what_a_run_said_and_what_it_did_not_run() -> None:
    run = {CLAUSES[0].tests[0]: "7 passed"}
    table = control_map_table(run)
    assert f"`{CLAUSES[0].tests[0]}`: 7 passed" in table
    assert f"`{CLAUSES[0].tests[1]}`: NOT RUN" in table
    assert control_map_table().count("\n") == 42
    assert "NOT RUN" not in control_map_table()


def test_explain_shows_each_cap_with_its_use_and_says_what_denies() -> None:
    gate = ready()
    approve(gate, wish("BUY", "2"))
    rows = explain_rows(gate.risk.capset, gate.risk.usage(T0))
    assert len(rows) == len(PORTFOLIO_CAPS) + len(SYMBOL_CAPS)
    row = next(r for r in rows if (r.cap, r.symbol) == ("position_long_base_max", "BTCUSDT"))
    assert (row.value, row.used, row.percent, row.unit) == ("5", "2", "40 %", "base")
    assert all(r.text and r.clauses for r in rows)
    key = "symbols.BTCUSDT.position_long_base_max"
    tight = {r.cap: r for r in explain_rows(gate.risk.capset, (), {key: "3"}) if r.config}
    assert [(r.symbol, r.cap, r.value, r.config) for r in tight.values()] == [
        ("BTCUSDT", "position_long_base_max", "3", "5")
    ]
    empty = {r.cap: r.value for r in explain_rows(CapSet())}
    assert empty["exposure_gross_numeraire_max"] == "0: denies"
    assert empty["clock_age_ms_max"] == "0: denies"
    assert empty["numeraire"] == "not set: denies"
    loose = capset_from_mapping(
        caps_of(orders_per_day_max="unlimited", drawdown_numeraire_max="unlimited"), strict=False
    )
    values = {r.cap: r.value for r in explain_rows(loose)}
    assert values["orders_per_day_max"] == values["drawdown_numeraire_max"] == "unlimited"
    assert values["conversions"] == "BNB BNBUSDT, ETH ETHUSDT"
    assert values["balance_free_min"] == "USDT 10"


def test_the_table_of_caps_names_every_key() -> None:
    table = caps_table()
    for key in (*PORTFOLIO_CAPS, *SYMBOL_CAPS):
        assert f"{key}`" in table


def test_the_generated_documents_are_not_stale() -> None:
    assert CAPS_FILE.read_text() == caps_document(), "write_tables caps"
    assert RULES_FILE.read_text() == rules_document(), "write_tables caps"
    written = CONTROLS_FILE.read_text()
    outcomes = dict(re.findall(r"`(tests/[^`]+)`: (\w+)", written))
    assert written == controls_document(outcomes), "write_tables controls"
    assert set(outcomes) == set(named_tests())
    assert set(outcomes.values()) <= {"passed", "skipped"}
