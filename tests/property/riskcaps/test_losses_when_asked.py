"""A loss that is worked out when somebody asks is the one that is worked out with each mark.

The oracle is the ledger itself with nothing settled before a mark, so that it compares every limit
each time, and is asked for every loss after it.
"""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from riskcaps.state.alerts import Alerts
from riskcaps.state.behaviour import Behaviour
from riskcaps.state.drawdown import EquityLedger
from riskcaps.state.windows import DAY_NS
from tests.support.builders import T0
from tests.support.builders import caps as caps_of

EQUITIES = st.one_of(
    st.integers(-4, 2).map(lambda fives: Decimal(5 * fives)),  # the limits, exactly
    st.decimals(-16, 11, places=2),
    st.decimals(-1, 1, places=3),
    st.none(),
)
MOVES = st.one_of(
    st.tuples(st.just("mark"), EQUITIES),
    st.tuples(st.just("mark"), EQUITIES),
    st.tuples(st.just("mark"), EQUITIES),
    st.tuples(st.just("ask"), st.none()),
    st.tuples(st.just("pass"), st.sampled_from([1, 10**9, DAY_NS])),
    st.tuples(st.sampled_from(["start_session", "re_enable", "apply", "rebase", "caps"]), EQUITIES),
)


def shown(ledger: EquityLedger) -> dict[str, Any]:
    rules = ledger.rules.values()
    return {
        "losses": [(one.used, one.reached, one.latched, one.first_ns) for one in rules],
        "equity": ledger.equity,
        "due": ledger.due,
        **ledger.state(),
    }


def move(ledger: EquityLedger, what: str, value: Any, now_ns: int) -> Any:
    if what == "mark":
        return [rule.cap for rule in ledger.mark(value, now_ns)]
    if what == "rebase":
        return ledger.rebase("a wipe")
    if what == "apply":
        fields = {"peak": "6", "day": ledger.day, "day_open": "-2", "session_open": "3"}
        return ledger.apply(fields)
    if what == "caps":
        return ledger.set_caps(caps_of(loss_session_numeraire_max=str(abs(value or 1))))
    return getattr(ledger, what)()


@settings(max_examples=300, deadline=None)
@given(st.lists(MOVES, min_size=10, max_size=40))
def test_a_ledger_that_waits_to_be_asked_says_the_same(moves: list[tuple[str, Any]]) -> None:
    waits, asked = EquityLedger(), EquityLedger()
    alerts, behaviour, now_ns = Alerts(), Behaviour(), T0
    caps = caps_of(
        loss_session_numeraire_max="20", loss_day_numeraire_max="30",
        drawdown_numeraire_max="25", loss_confirm_ms=1000, loss_streak_max=9,
        executions_without_human_max=9,
    )  # fmt: skip
    alerts.set_caps(caps)
    for one in (waits, asked):
        one.set_caps(caps)
    verdicts = waits.verdict_version
    told = [(rule.reached, rule.latched) for rule in asked.rules.values()]
    for what, value in moves:
        if what == "pass":
            now_ns += value
        elif what != "ask":
            asked._is_settled = False
            assert move(waits, what, value, now_ns) == move(asked, what, value, now_ns)
            reaches = alerts.fill_reaches_band(behaviour, waits)
            assert reaches == alerts.fill_reaches_band(behaviour, asked)
            said = [(rule.reached, rule.latched) for rule in asked.rules.values()]
            assert said == told or waits.verdict_version != verdicts
            told, verdicts = said, waits.verdict_version
        if what != "mark":  # then it waits
            assert shown(waits) == shown(asked)
    assert shown(waits) == shown(asked)
    assert isinstance(waits.rules["drawdown"].used, Decimal)
