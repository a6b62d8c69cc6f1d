"""What outlives the process: restore(state()) is a twin, and so is the fold of journal lines."""

import json
from collections.abc import Callable, Mapping
from decimal import InvalidOperation
from typing import Any

import pytest

from daemon.model.amounts import NS_PER_S
from daemon.model.ids import ClientOrderId
from daemon.model.plain_values import to_plain
from riskcaps.gate.interceptor import Approved, Interceptor
from tests.unit.riskcaps.kit import (
    BTC,
    T0,
    D,
    approve,
    bare_gate,
    caps_of,
    deny,
    fill,
    order,
    ready,
    tell,
    top,
    wish,
)  # fmt: skip

Step = Callable[[Interceptor, int], object]


def place(side: str, qty: str, price: str) -> Step:
    return lambda gate, now: approve(gate, wish(side, qty, price), now)


def oldest(gate: Interceptor) -> ClientOrderId:
    return next(iter(gate.risk.books.holds))


STORY: list[Step] = [
    place("BUY", "1", "99.00"),
    lambda g, now: g.risk.on_known(oldest(g), now),
    lambda g, now: g.risk.on_fill(fill(oldest(g), "BUY", "0.4", "99", fee="0.0004", fee_asset="BTC",
                                  exec_id="1"), now),
    place("SELL", "0.3", "101.00"),
    lambda g, now: g.risk.on_cancel_sent(None, now),
    lambda g, now: g.risk.on_unknown(list(g.risk.books.holds)[1], now),
    lambda g, now: g.risk.on_fill(fill(list(g.risk.books.holds)[1], "SELL", "0.1", "98", fee="0.01",
                                  exec_id="2"), now),
    lambda g, now: g.risk.on_terminal(list(g.risk.books.holds)[1], now),
    lambda g, now: g.risk.on_leaves(oldest(g), D("0.2")),
    lambda g, now: g.risk.on_fill(fill("late", "BUY", "0.5", "97", fee="0.001", fee_asset="BNB",
                                  exec_id="3"), now),
    lambda g, now: g.risk.block_symbol(BTC, "gate down"),
    lambda g, now: g.risk.unblock_symbol(BTC),
    lambda g, now: g.risk.adopt(order("found", "SELL", "0.2", "103"), now),
    lambda g, now: g.risk.start_session(now),
    lambda g, now: g.risk.re_enable("ada", now),
    lambda g, now: g.risk.ledger.rebase("deposit"),
    lambda g, now: g.risk.on_venue_reject(ClientOrderId("found"), now),
    place("SELL", "0.2", "104.00"),
]  # fmt: skip


def at(step: int) -> int:
    return T0 + step * NS_PER_S


def twin_of(gate: Interceptor) -> Interceptor:
    twin = bare_gate()
    twin.restore(json.loads(json.dumps(gate.state())))
    return twin


def told_again(gate: Interceptor, now_ns: int) -> Interceptor:
    tell(gate, now_ns)
    gate.risk.on_top(top("8", "9", now_ns, name=BTC.replace("BTC", "BNB")), now_ns)  # type: ignore[arg-type]
    return gate


@pytest.mark.parametrize("cut", range(len(STORY) + 1))
def test_a_restart_at_any_point_makes_an_equal_twin(cut: int) -> None:
    gate = ready()
    for step in range(cut):
        gate.risk.on_top(top("99.99", "100.01", at(step)), at(step))
        STORY[step](gate, at(step))
    twin = twin_of(gate)
    assert twin.state() == gate.state()
    assert deny(twin, wish(), at(cut)) == "trading_halted"
    told_again(gate, at(cut))
    told_again(twin, at(cut))
    for step in range(cut, len(STORY)):
        for one in (gate, twin):
            one.risk.on_top(top("99.99", "100.01", at(step)), at(step))
            STORY[step](one, at(step))
        assert twin.state() == gate.state()
    for price in ("99.50", "100.40"):
        intent = wish("BUY", "0.3", price)
        ours, theirs = gate.review(intent, at(99)), twin.review(intent, at(99))
        assert as_numbers(theirs.decision) == as_numbers(ours.decision)


def as_numbers(value: Any) -> Any:
    """Amounts by value: a sum rebuilt from parts may write its zero as 0 instead of 0.00."""
    if isinstance(value, Mapping):
        return {key: as_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_numbers(item) for item in value]
    try:
        return D(value)
    except (InvalidOperation, TypeError):
        return value


def test_an_approved_line_is_folded_to_the_same_state() -> None:
    gate = ready()
    tell(twin := bare_gate())
    for i, price in enumerate(("99.00", "98.00")):
        answer = gate.review(wish("BUY", "1", price), T0 + i)
        assert isinstance(answer, Approved)
        twin.restore_approved(line_of(answer), T0 + i)
        twin.restore_approved(line_of(answer), T0 + i)
    assert twin.state() == gate.state()
    approve(gate, wish("BUY", "0.5", "97.00"), T0 + 9)
    assert approve(twin, wish("BUY", "0.5", "97.00"), T0 + 9) == list(gate.risk.books.holds)[-1]


def line_of(answer: Approved) -> dict[str, Any]:
    sent = answer.order
    fields = {
        "client_order_id": sent.client_order_id,
        "instrument_id": sent.instrument_id,
        "side": sent.side,
        "order_type": sent.order_type,
        "qty": sent.qty,
        "price": sent.price,
        "decision": dict(answer.decision),
    }
    return json.loads(json.dumps(to_plain(fields)))


def test_a_market_orders_line_holds_at_the_price_of_its_decision() -> None:
    gate, twin = ready(), bare_gate()
    answer = gate.review(wish("BUY", "1", price=None), T0)
    tell(twin)
    twin.restore_approved(line_of(answer), T0)
    assert twin.state() == gate.state()


def test_ids_of_another_run_do_not_move_the_counter() -> None:
    gate = ready()
    answer = gate.review(wish(), T0)
    fields = {**line_of(answer), "client_order_id": "stgate00o002000000zz"}
    twin = bare_gate()
    twin.restore_approved(fields, T0)
    assert twin.risk.ids.counter == 0
    twin.restore_approved({**fields, "client_order_id": "stgate00o001000000zz"}, T0)
    assert twin.risk.ids.counter == 35 * 36 + 35


def test_windows_survive_and_a_restart_refills_none() -> None:
    gate = ready(caps_of(orders_per_hour_max=2))
    for price in ("99.00", "98.00"):
        approve(gate, wish(qty="0.1", price=price))
    twin = bare_gate(caps_of(orders_per_hour_max=2))
    twin.restore(gate.state())
    later_ns = T0 + 3600 * NS_PER_S
    tell(twin, later_ns)
    assert deny(twin, wish(qty="0.1", price="97.00"), later_ns) == "orders_per_hour"
    tell(twin, later_ns + 1)
    approve(twin, wish(qty="0.1", price="97.00"), later_ns + 1)


def test_a_question_asked_a_day_later_leaves_the_state_of_the_last_fact_as_it_was() -> None:
    """What has left a window by now still stands in the state, which is cut at the last fact."""
    gate = ready()
    name = approve(gate, wish("BUY", "1"))
    gate.risk.on_fill(fill(name, "BUY", "1"), T0)
    gate.risk.on_cancel_sent(None, T0)
    before = json.dumps(gate.state())
    later_ns = T0 + 2 * 86_400 * NS_PER_S
    tell(gate, later_ns)
    deny(gate, wish("BUY", "0.0001"), later_ns)
    assert gate.risk.usage(later_ns)
    after = json.loads(json.dumps(gate.state()))
    del after["equity"]
    told = json.loads(before)
    del told["equity"]  # the day's opening moves with the market, and has its own record
    assert after == told
    assert told["turnover"]["USDT"]


def test_latches_survive_a_restart() -> None:
    gate = ready(caps_of(venue_reject_streak_max=1))
    gate.risk.on_venue_reject(approve(gate, wish()), T0)
    twin = bare_gate(caps_of(venue_reject_streak_max=1))
    twin.restore(gate.state())
    tell(twin)
    assert deny(twin, wish(price="99.00")) == "venue_reject_streak"
    twin.risk.ledger.latch("drawdown_numeraire_max")
    twin.risk.re_enable("ada", T0)
    approve(twin, wish(price="99.00"))
    twin.risk.ledger.latch("drawdown_numeraire_max")
    assert deny(twin, wish(price="98.00")) == "drawdown"
    fields = {"peak": "0", "day": 1, "day_open": "0", "session_open": "0", "rebased": "deposit"}
    twin.risk.ledger.apply(fields)
    approve(twin, wish(price="98.00"))


def test_equity_lines_are_folded_to_the_same_peak_and_baselines() -> None:
    gate = ready()
    twin = bare_gate()
    gate.risk.on_fill(fill("x", "BUY", "2", "90"), T0)
    record = gate.risk.valuation.take_record()
    assert record is not None
    twin.risk.ledger.apply(json.loads(json.dumps(record.to_plain())))
    assert twin.risk.ledger.state() == gate.risk.ledger.state()
    assert gate.risk.valuation.take_record() is None


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version"):
        bare_gate().restore({"version": 99})
