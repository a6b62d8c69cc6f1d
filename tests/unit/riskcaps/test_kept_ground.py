"""What is kept between decisions and between marks moves with the fact that nobody thinks of."""

import orjson

from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.model.ids import instrument_id
from riskcaps.gate.interceptor import Approved, Interceptor
from riskcaps.state.windows import DAY_NS
from tests.unit.riskcaps.kit import (
    T0,
    approve,
    caps_of,
    fill,
    instrument,
    ready,
    symbol_caps,
    top,
    trade,
    wish,
)

BNB = instrument_id("BNBUSDT", "sim")


def with_fee_leg(**changes: object) -> Interceptor:
    """A gate that has bought 4 BTC, and knows an instrument that values fees alone."""
    table = {"BTCUSDT": symbol_caps(), "BNBUSDT": symbol_caps()}
    gate = ready(caps_of(table, **changes))
    gate.risk.on_instruments([instrument(BNB)])
    gate.risk.on_top(top("600", "601", T0, BNB), T0)
    assert BNB in gate.risk.books.leg_ids - gate.risk.books.quote_leg_ids
    trade(gate, "BUY", "4", "100")
    return gate


def lost(gate: Interceptor, now_ns: int) -> list[str]:
    """The breaches that a tick of the fees' instrument tells."""
    told = gate.risk.on_top(top("600", "601", now_ns, BNB), now_ns)
    return [one.cap for one in told if one.kind == "breach"]


def test_a_loss_is_confirmed_by_the_next_tick_of_whatever_makes_a_rate() -> None:
    gate = with_fee_leg(loss_confirm_ms=300)
    gate.risk.on_top(top("85", "85.01", T0 + 1), T0 + 1)
    assert lost(gate, T0 + 300 * NS_PER_MS) == []
    assert "loss_session_numeraire_max" in lost(gate, T0 + 301 * NS_PER_MS)


def test_a_limit_that_is_tightened_below_the_loss_falls_due_with_the_next_tick() -> None:
    gate = with_fee_leg()
    gate.risk.on_top(top("98", "98.01", T0 + 1), T0 + 1)
    assert lost(gate, T0 + 2) == []
    gate.risk.set_capset(gate.risk.capset.tighten({"loss_day_numeraire_max": "5"}))
    assert lost(gate, T0 + 3) == ["loss_day_numeraire_max"]


def test_a_new_day_opens_with_the_next_tick_of_whatever_makes_a_rate() -> None:
    gate = with_fee_leg()
    gate.risk.on_top(top("98", "98.01", T0 + 1), T0 + 1)
    day_ns = (T0 // DAY_NS + 1) * DAY_NS
    lost(gate, day_ns)
    assert gate.risk.equity(day_ns).day == day_ns // DAY_NS
    assert gate.risk.equity(day_ns).day_open == -8


def quiet(gate: Interceptor) -> int:
    """A moment at which nothing is due: a sweep has just been, and all was taken."""
    now_ns = T0 + 5 * NS_PER_S
    gate.risk.on_top(top("99.99", "100.01", now_ns), now_ns)
    assert gate.risk.alerts.quiet_until_ns > now_ns + 1
    return now_ns + 1


def test_a_streak_of_rejects_is_told_in_the_turn_that_completes_it() -> None:
    gate = ready()
    ids = [approve(gate, wish(price=str(99 + n))) for n in range(3)]
    now_ns = quiet(gate)
    told = [gate.risk.on_venue_reject(one, now_ns) for one in ids]
    assert [[one.cap for one in some] for some in told] == [[], [], ["venue_reject_streak_max"]]


def test_a_decision_keeps_what_was_known_when_it_was_made() -> None:
    gate = ready()
    gate.risk.on_venue_budget({"ORDERS": 1}, {"ORDERS": 100}, T0)
    answer = gate.review(wish(), T0)
    assert isinstance(answer, Approved)
    told = answer.decision
    text = orjson.dumps(told)
    gate.risk.on_venue_budget({"ORDERS": 2}, {"ORDERS": 100}, T0 + 1)
    gate.risk.on_venue_reject(answer.order.client_order_id, T0 + 1)
    trade(gate, "BUY", "1", "101")
    gate.risk.on_top(top("98", "99", T0 + 1), T0 + 1)
    assert gate.review(wish(price="98.50"), T0 + 1).decision["standing"]["budget"] == {
        "ORDERS": [2, 100]
    }
    assert orjson.dumps(told) == text == orjson.dumps(answer.decision)


def test_a_fill_beyond_the_position_cap_is_told_in_its_own_turn() -> None:
    gate = ready()
    cid = approve(gate, wish(qty="1"))
    now_ns = quiet(gate)
    told = gate.risk.on_fill(fill(cid, "BUY", "6", "100"), now_ns)
    assert "position_long_base_max" in [one.cap for one in told if one.kind == "breach"]
