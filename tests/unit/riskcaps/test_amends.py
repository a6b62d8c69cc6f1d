"""An amend is refused for each of its own reasons, at the edge of each, and in their order."""

from decimal import Decimal
from typing import Any

import pytest

from daemon.model.amounts import NS_PER_S
from daemon.model.enums import OrderStatus, TradingState
from daemon.model.ids import StrategyId, VenueOrderId
from daemon.model.intents import ENGINE, OPERATOR, AmendIntent, CancelIntent
from daemon.model.orders import Order
from riskcaps.gate.interceptor import AmendApproved, CancelApproved, Denied, Interceptor
from tests.unit.riskcaps.kit import (
    BTC,
    STRATEGY,
    T0,
    D,
    approve,
    bare_gate,
    caps_of,
    instrument,
    order,
    ready,
    symbol_caps,
    tell,
    wish,
)

MINUTE_NS = 60 * NS_PER_S


def resting(qty: str = "2", **changes: Any) -> Order:
    """An order that the venue has."""
    return order(qty=qty, **{"venue_order_id": VenueOrderId("7"), **changes})


def ask(
    gate: Interceptor,
    target: Order,
    qty: object = "1",
    strategy: StrategyId = STRATEGY,
    now_ns: int = T0,
) -> str:
    """What the gate says: empty for yes."""
    less: Any = D(qty) if isinstance(qty, str) else qty
    intent = AmendIntent(strategy_id=strategy, client_order_id=target.client_order_id, qty=less)
    answer = gate.review_amend(intent, target, now_ns)
    if isinstance(answer, AmendApproved):
        assert (answer.amend.qty, answer.amend.ts_ns) == (less, now_ns)
        return ""
    assert isinstance(answer, Denied)
    return str(answer.reason)


def cancel(gate: Interceptor, times: int, now_ns: int = T0) -> None:
    intent = CancelIntent(strategy_id=OPERATOR, client_order_id=order().client_order_id)
    for _ in range(times):
        assert isinstance(gate.review_cancel(intent, resting(), now_ns), CancelApproved)


@pytest.mark.parametrize("status", list(OrderStatus))
def test_only_what_rests_at_the_venue_is_amended(status: OrderStatus) -> None:
    rests = status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)
    assert ask(ready(), resting(status=status)) == ("" if rests else "order_not_open")


def test_an_order_without_the_venues_id_is_not_amended() -> None:
    assert ask(ready(), resting(venue_order_id=None)) == "order_not_open"


@pytest.mark.parametrize(
    ("strategy", "answer"),
    [(STRATEGY, ""), (OPERATOR, ""), (ENGINE, ""), (StrategyId("other"), "not_owner")],
)
def test_its_owner_and_the_roads_of_people_may(strategy: StrategyId, answer: str) -> None:
    assert ask(ready(), resting(), strategy=strategy) == answer


def test_it_is_refused_in_a_halt_like_all_that_is_no_cancel() -> None:
    gate = ready()
    gate.risk.health.halt.close("why")
    assert ask(gate, resting()) == "halt_flag_closed"
    gate = ready()
    gate.risk.set_trading_state(TradingState.HALTED)
    assert ask(gate, resting()) == "trading_halted"
    gate.risk.set_trading_state(TradingState.REDUCING)
    assert ask(gate, resting()) == ""
    gate.risk.on_journal_health(False)
    assert ask(gate, resting()) == "journal_unhealthy"


@pytest.mark.parametrize("qty", [1.0, 1, D("NaN"), D("Infinity"), D(0), D(-1)])
def test_a_quantity_that_is_none(qty: object) -> None:
    assert ask(ready(), resting(), qty) == "malformed_order"


@pytest.mark.parametrize(
    ("qty", "traded", "claimed", "answer"),
    [
        ("2", "0", "0", "amend_not_smaller"),
        ("2.001", "0", "0", "amend_not_smaller"),
        ("1.999", "0", "0", ""),
        ("0.001", "0", "0", ""),
        ("0.5", "0.5", "0", "amend_not_smaller"),
        ("0.501", "0.5", "0", ""),
        ("0.5", "0", "0.5", "amend_not_smaller"),
        ("0.501", "0", "0.5", ""),
        ("0.6", "0.7", "0.5", "amend_not_smaller"),
        ("0.6", "0.5", "0.7", "amend_not_smaller"),
    ],
)
def test_below_what_it_is_and_above_what_has_traded(
    qty: str, traded: str, claimed: str, answer: str
) -> None:
    target = resting(cum_qty=D(traded), venue_cum_qty=D(claimed))
    assert ask(ready(), target, qty) == answer


@pytest.mark.parametrize(
    ("qty", "answer"),
    [
        ("0.4", "filter_qty"),
        ("0.5", ""),
        ("0.55", "filter_lot"),
        ("0.6", ""),
        ("1.05", "filter_lot"),
    ],
)
def test_what_the_venue_would_refuse_is_not_asked(qty: str, answer: str) -> None:
    gate = ready()
    gate.risk.on_instruments([instrument(qty_min=D("0.5"), lot=D("0.1"))])
    assert ask(gate, resting(), qty) == answer


def test_an_order_is_amended_no_oftener_than_the_venue_lets() -> None:
    gate = ready()
    gate.risk.on_instruments([instrument(amends_max=2)])
    assert not ask(gate, resting(amends=1))
    assert ask(gate, resting(amends=2)) == "filter_amends"
    gate.risk.on_instruments([instrument(amends_max=0)])
    assert not ask(gate, resting(amends=99)), "zero is off"


def test_an_instrument_that_is_not_known_is_denied() -> None:
    gate = tell(bare_gate(), leave_out="instruments")
    assert ask(gate, resting()) == "instrument_unknown"
    stranger = resting(instrument_id=type(BTC)("NOWHERE@sim"))
    assert ask(ready(), stranger) == "instrument_unknown"


def roomy(**changes: Any) -> Interceptor:
    """Message caps are what a test says (1 is in reserve), and nothing else is near."""
    caps = {
        "cancels_per_second_max": 1000,
        "messages_per_second_max": 1000,
        "messages_per_second_cancel_reserve": 1,
        "messages_per_minute_max": 1000,
        "messages_per_minute_cancel_reserve": 1,
        **changes,
    }
    return ready(caps_of(symbols={"BTCUSDT": symbol_caps()}, **caps))


def test_it_counts_as_a_cancel_does_and_is_counted_itself() -> None:
    gate = roomy(cancels_per_second_max=3)
    cancel(gate, 1)
    assert [ask(gate, resting()) for _ in range(3)] == ["", "", "cancels_per_second"]
    assert ask(gate, resting(), now_ns=T0 + NS_PER_S) == "cancels_per_second"
    assert ask(gate, resting(), now_ns=T0 + NS_PER_S + 1) == ""


def test_an_order_is_no_cancel() -> None:
    gate = roomy(cancels_per_second_max=1)
    approve(gate, wish("BUY", "0.5", "99.00"))
    assert ask(gate, resting()) == ""


@pytest.mark.parametrize(
    ("window", "code"), [("second", "messages_per_second"), ("minute", "messages_per_minute")]
)
def test_the_messages_are_for_orders_too_and_a_reserve_stays_for_cancels(
    window: str, code: str
) -> None:
    gate = roomy(**{f"messages_per_{window}_max": 5, f"messages_per_{window}_cancel_reserve": 2})
    approve(gate, wish("BUY", "0.5", "99.00"))
    assert [ask(gate, resting()) for _ in range(3)] == ["", "", code]
    cancel(gate, 1)
    later_ns = T0 + (NS_PER_S if window == "second" else MINUTE_NS)
    assert ask(gate, resting(), now_ns=later_ns) == code
    assert ask(gate, resting(), now_ns=later_ns + 1) == ""


def test_a_minute_holds_what_a_second_has_forgotten() -> None:
    gate = roomy(messages_per_second_max=3, messages_per_minute_max=4)
    assert [ask(gate, resting(), now_ns=T0 + n) for n in range(3)] == [
        "", "", "messages_per_second",
    ]  # fmt: skip
    later_ns = T0 + 2 * NS_PER_S
    assert [ask(gate, resting(), now_ns=later_ns + n) for n in range(2)] == [
        "", "messages_per_minute",
    ]  # fmt: skip


def test_nothing_is_released_by_a_yes() -> None:
    gate = ready()
    name = approve(gate, wish("BUY", "2"))
    gate.risk.on_known(name, T0)
    assert ask(gate, resting(client_order_id=name)) == ""
    assert gate.risk.books.open_worst_case(BTC) == (Decimal(2), Decimal(0))
