"""The table of rules as a table: complete, numbered, documented, and changed by no rule."""

import re
from pathlib import Path

import pytest

from riskcaps.gate import fast_path
from riskcaps.gate.bot_scope import PARTS
from riskcaps.gate.gate_inputs import inputs_of
from riskcaps.gate.rule import Case, Rule
from riskcaps.gate.table import RULES, STEPS, first_failing
from riskcaps.words.control_map import CLAUSES
from riskcaps.words.denials import DenyReason
from tests.unit.riskcaps.kit import BTC, T0, approve, ready, trade, wish

EVIDENCE = Path(__file__).parents[3] / "evidence" / "judge"
NOT_OF_PLACEMENTS = {
    DenyReason.CANCELS_PER_SECOND, DenyReason.ORDER_NOT_OPEN, DenyReason.AMEND_NOT_SMALLER,
    DenyReason.NOT_OWNER, DenyReason.FILTER_AMENDS,
}  # fmt: skip
"""What only a cancel or an amend is denied for (amends.py)."""


def test_every_number_has_its_row_and_every_reason_its_rule() -> None:
    numbers = {n for rule in RULES for n in range(rule.number, (rule.last or rule.number) + 1)}
    assert numbers == set(range(1, 56))
    given = {reason for rule in RULES for reason in rule.reasons}
    assert given == set(DenyReason) - NOT_OF_PLACEMENTS


def test_every_row_says_when_it_denies_what_it_reads_and_a_clause_that_is_met() -> None:
    gate = ready()
    approve(gate, wish())
    answer = gate.review(wish(qty="0.1"), T0)
    of_some = {"extras", "cover", "covered"}
    keys = set(answer.decision) | {"caps", "portfolio_caps", "filters"} | of_some
    met = {clause.number for clause in CLAUSES if not clause.out_of_scope}
    for rule in RULES:
        assert (rule.check.__doc__ or "").strip(), rule.number
        unknown = set(rule.inputs.split(", ")) - keys
        assert not unknown, (rule.number, unknown)
        assert {int(one) for one in rule.clauses.split(", ")} <= met, rule.number
    assert set(PARTS) <= set(answer.decision)


def test_every_row_is_on_the_fast_path_kept_bounded_counted_or_asked() -> None:
    asked = {rule.number for rule in fast_path._REST}
    kept = {rule.number for rule in RULES if rule.kept}
    for rule in RULES:
        ways = [rule.number in fast_path.BOUNDED, rule.number in asked, rule.number in kept]
        assert any(ways), rule.number
    assert asked == {55}, "a bound would make these cheaper"


def test_the_accountant_knows_every_reason_of_a_placement() -> None:
    text = "".join(path.read_text() for path in EVIDENCE.glob("redecide*.py"))
    for reason in set(DenyReason) - NOT_OF_PLACEMENTS:
        stem = re.sub(r"_(second|minute|hour|day|long|short)(?=$|_symbol)", "_", reason.value)
        assert reason.value in text or stem in text, reason


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_no_rule_changes_what_it_looks_at(side: str) -> None:
    gate = ready()
    trade(gate, "BUY", "2", "100")
    approve(gate, wish("BUY", "0.5", "99.00"))
    risk = gate.risk
    book = risk.books.by_id[BTC]
    for intent in (wish(side, "1", "100.00"), wish(side, "1", None), wish(side, "9", "300.00")):
        case = Case(risk, inputs_of(risk, book, intent, T0), book)
        state = gate.state()
        for step in STEPS:
            if not isinstance(step, Rule):
                step(case)
                continue
            before = _seen(case)
            step.check(case)
            step.reaches_band(case)
            assert _seen(case) == before, step.number
        assert gate.state() == state
        assert risk.alerts.due is False
    assert first_failing(Case(risk, inputs_of(risk, book, wish(qty="0.1"), T0), book)) is None


def _seen(case: Case) -> dict[str, object]:
    out = {name: getattr(case, name) for name in (*Case.__annotations__, *vars(case))}
    given = case.given
    out |= {name: getattr(given, name) for name in type(given).__slots__}
    return {
        name: repr(value) for name, value in out.items() if name not in {"risk", "book", "given"}
    }
