"""The way of a hold: taken before the bytes leave, turned into position, released by the venue."""

import json
from typing import Any

import pytest

from daemon.model.amounts import NS_PER_S
from daemon.model.enums import OrderStatus, OrderType
from daemon.model.ids import ClientOrderId
from riskcaps.gate.interceptor import Interceptor
from riskcaps.state.risk_state import EXEC_IDS_KEPT
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
    symbol_caps,
    tell,
    trade,
    wish,
)  # fmt: skip


def worst(gate: object) -> tuple[str, str]:
    long_qty, short_qty = gate.risk.books.open_worst_case(BTC)  # type: ignore[attr-defined]
    return str(long_qty.normalize() + 0), str(short_qty.normalize() + 0)


def test_a_fill_turns_the_hold_into_position_and_the_end_releases_the_rest() -> None:
    gate = ready()
    name = approve(gate, wish("BUY", "2"))
    assert worst(gate) == ("2", "0")
    gate.risk.on_fill(fill(name, "BUY", "0.5"), T0)
    assert worst(gate) == ("2", "-0.5")
    assert gate.risk.books.position(BTC) == D("0.5")
    gate.risk.on_terminal(name, T0)
    assert worst(gate) == ("0.5", "-0.5")
    assert not gate.risk.books.holds


def test_a_full_fill_ends_the_hold_and_later_words_change_nothing() -> None:
    gate = ready()
    name = approve(gate, wish("SELL", "1"))
    gate.risk.on_fill(fill(name, "SELL", "1"), T0)
    after = worst(gate)
    assert after == ("-1", "1")
    gate.risk.on_known(name, T0)
    gate.risk.on_unknown(name, T0)
    gate.risk.on_terminal(name, T0)
    gate.risk.on_leaves(name, D(0))
    assert worst(gate) == after


def test_a_fill_told_twice_moves_nothing() -> None:
    gate = ready()
    name = approve(gate, wish("BUY", "2"))
    for _ in range(2):
        gate.risk.on_fill(fill(name, "BUY", "0.5", exec_id="BTC:1"), T0)
    assert gate.risk.books.position(BTC) == D("0.5")
    assert gate.state()["executions"] == [T0]


def test_the_memory_of_executions_is_bounded() -> None:
    gate = ready()
    for i in range(2 * EXEC_IDS_KEPT + 10):
        gate.risk.on_fill(fill("x", "BUY" if i % 2 else "SELL", "0.1"), T0)
        assert len(gate.risk.exec_ids) < 2 * EXEC_IDS_KEPT
    assert len(gate.risk.exec_ids) >= EXEC_IDS_KEPT == len(gate.state()["exec_ids"])


def test_a_late_fill_after_the_end_still_moves_the_position() -> None:
    gate = ready()
    name = approve(gate, wish("BUY", "2"))
    gate.risk.on_terminal(name, T0)
    gate.risk.on_fill(fill(name, "BUY", "2"), T0)
    assert worst(gate) == ("2", "-2")


def test_a_fill_larger_than_the_order_moves_all_of_it_and_releases_no_more_than_was_held() -> None:
    gate = ready()
    name = approve(gate, wish("BUY", "1"))
    gate.risk.on_fill(fill(name, "BUY", "1.5"), T0)
    assert worst(gate) == ("1.5", "-1.5")


def test_an_unknown_order_keeps_its_hold_and_blocks_its_symbol_until_it_is_known() -> None:
    gate = ready()
    name = approve(gate, wish("BUY", "2"))
    gate.risk.on_unknown(name, T0)
    gate.risk.on_unknown(name, T0)
    assert worst(gate) == ("2", "0")
    assert deny(gate, wish("SELL", "0.1", "101.00")) == "unknown_order_open"
    gate.risk.on_known(name, T0)
    approve(gate, wish("SELL", "0.1", "101.00"))
    second = approve(gate, wish("BUY", "1", "98.00"))
    gate.risk.on_unknown(second, T0)
    gate.risk.on_terminal(second, T0)  # proved absent
    approve(gate, wish("SELL", "0.1", "102.00"))
    assert worst(gate) == ("2", "0.2")


def test_a_known_order_may_become_unknown_and_a_fill_does_not_make_it_known() -> None:
    gate = ready()
    name = approve(gate, wish("BUY", "2"))
    gate.risk.on_known(name, T0)
    gate.risk.on_unknown(name, T0)
    gate.risk.on_fill(fill(name, "BUY", "1"), T0)
    assert deny(gate, wish("SELL", "0.1", "101.00")) == "unknown_order_open"
    gate.risk.on_fill(fill(name, "BUY", "1"), T0)
    approve(gate, wish("SELL", "0.1", "101.00"))


def test_an_amend_shrinks_the_hold_and_never_grows_it() -> None:
    gate = ready()
    name = approve(gate, wish("BUY", "2"))
    gate.risk.on_leaves(name, D("0.5"))
    assert worst(gate) == ("0.5", "0")
    gate.risk.on_leaves(name, D(5))
    assert worst(gate) == ("0.5", "0")
    gate.risk.on_leaves(name, D(-1))
    assert worst(gate) == ("0", "0")
    assert not gate.risk.books.holds


@pytest.mark.parametrize(
    ("status", "blocked"),
    [
        (OrderStatus.APPROVED, False),
        (OrderStatus.SUBMITTED, False),
        (OrderStatus.ACCEPTED, False),
        (OrderStatus.PENDING_CANCEL, False),
        (OrderStatus.UNKNOWN, True),
    ],
)
def test_an_order_found_at_the_venue_is_held_once(status: OrderStatus, blocked: bool) -> None:
    gate = ready()
    found = order("found", "BUY", "3", status=status, cum_qty=D(1))
    gate.risk.adopt(found, T0)
    gate.risk.adopt(found, T0)
    assert worst(gate) == ("2", "0")
    answer = deny(gate, wish("BUY", "1.5")) if blocked else ""
    assert answer == ("unknown_order_open" if blocked else "")
    gate.risk.on_terminal(ClientOrderId("found"), T0)
    assert worst(gate) == ("0", "0")


def test_what_is_over_or_empty_is_not_adopted() -> None:
    gate = ready()
    gate.risk.adopt(order("a", status=OrderStatus.FILLED), T0)
    gate.risk.adopt(order("b", qty="1", cum_qty=D(1)), T0)
    assert not gate.risk.books.holds


def test_an_adopted_market_order_is_held_at_the_ask_or_its_trigger() -> None:
    gate = ready()
    gate.risk.adopt(order("m", price=None), T0)
    gate.risk.adopt(order("s", price=None, order_type=OrderType.STOP_LOSS, stop_price=D(120)), T0)
    assert [str(h.px) for h in gate.risk.books.holds.values()] == ["100.01", "120"]


def test_sides_never_net_against_each_other() -> None:
    gate = ready(caps_of(symbols={"BTCUSDT": symbol_caps(position_long_base_max="2")}))
    approve(gate, wish("BUY", "2", "99.00"))
    approve(gate, wish("SELL", "2", "101.00"))
    assert deny(gate, wish("BUY", "0.1", "98.00")) == "position_long"


def test_what_the_position_has_is_room_for_the_other_side() -> None:
    gate = ready()
    trade(gate, "BUY", "5", "100")
    assert deny(gate, wish("BUY", "0.1")) == "position_long"
    for price in ("101.00", "102.00"):
        approve(gate, wish("SELL", "2", price))
    assert worst(gate) == ("5", "-1")


def test_an_old_hold_is_valued_at_the_market_of_now() -> None:
    gate = ready()
    approve(gate, wish("BUY", "2", "99.00"))
    approve(gate, wish("BUY", "2", "98.00"))
    later_ns = T0 + NS_PER_S
    usage = {(u.cap, u.symbol): u.used for u in gate.risk.usage(later_ns)}
    assert usage["exposure_quote_max", "BTCUSDT"] == 4 * D("100.01")
    assert usage["position_long_base_max", "BTCUSDT"] == 4
    assert usage["orders_open_max", ""] == 2


def test_a_fee_in_base_shrinks_the_position_and_one_elsewhere_does_not() -> None:
    gate = ready()
    gate.risk.on_fill(fill("a", "BUY", "1", "100", fee="0.001", fee_asset="BTC"), T0)
    assert gate.risk.books.position(BTC) == D("0.999")
    gate.risk.on_fill(fill("b", "BUY", "1", "100", fee="0.1", fee_asset="USDT"), T0)
    gate.risk.on_fill(fill("c", "BUY", "1", "100", fee="0.001", fee_asset="BNB"), T0)
    assert gate.risk.books.position(BTC) == D("2.999")
    position = gate.risk.books.positions()[BTC]
    assert position.fees_quote == D("0.2")
    assert gate.risk.books.fees_owed == {"BNB": D("0.001")}


def breaches(notices: Any) -> list[str]:
    return [notice.cap for notice in notices if notice.kind == "breach"]


def test_a_sells_fee_in_base_is_no_breach_exactly_at_the_cap_and_anything_more_is() -> None:
    def short(*, restart: bool = False) -> tuple[Interceptor, str]:
        gate = ready(caps_of(symbols={"BTCUSDT": symbol_caps(position_short_base_max="1")}))
        first = approve(gate, wish("SELL", "0.4", "101.00"))
        second = approve(gate, wish("SELL", "0.6", "102.00"))
        told = gate.risk.on_fill(
            fill(first, "SELL", "0.4", "101", fee="0.001", fee_asset="BTC"), T0
        )
        told += gate.risk.on_fill(
            fill(second, "SELL", "0.3", "102", fee="0.002", fee_asset="BTC"), T0
        )
        assert breaches(told) == []
        if not restart:
            return gate, second
        twin = bare_gate(caps_of(symbols={"BTCUSDT": symbol_caps(position_short_base_max="1")}))
        twin.restore(json.loads(json.dumps(gate.state())))
        return tell(twin), second

    for restart in (False, True):
        gate, second = short(restart=restart)
        told = gate.risk.on_fill(
            fill(second, "SELL", "0.3", "102", fee="0.002", fee_asset="BTC"), T0
        )
        assert (gate.risk.books.position(BTC), breaches(told)) == (D("-1.005"), [])
        # The fees have taken their room: the next sell is measured with them.
        assert deny(gate, wish("SELL", "0.06", "103.00")) == "position_short"
        lie = gate.risk.on_fill(fill(second, "SELL", "0.001", "102"), T0)
        assert breaches(lie) == ["position_short_base_max"]
    # A buy in between gives no room to a later lie: the next approved sell starts a new count.
    gate, second = short()
    approve(gate, wish("BUY", "0.5", "99.00"))
    gate.risk.on_fill(fill(second, "SELL", "0.3", "102"), T0)
    gate.risk.on_fill(fill("x", "BUY", "0.5", "99"), T0)
    approve(gate, wish("SELL", "0.4", "103.00"))
    told = gate.risk.on_fill(fill("y", "SELL", "0.498", "103"), T0)
    assert (gate.risk.books.position(BTC), breaches(told)) == (
        D("-1.001"),
        ["position_short_base_max"],
    )


@pytest.mark.parametrize(("have", "against"), [("BUY", "SELL"), ("SELL", "BUY")])
def test_a_fill_that_turns_the_position_over_and_past_the_cap_is_a_breach(
    have: str, against: str
) -> None:
    gate = ready(
        caps_of(
            symbols={
                "BTCUSDT": symbol_caps(position_short_base_max="1", position_long_base_max="1")
            }
        )
    )
    trade(gate, have, "1", "100")
    assert breaches(gate.risk.on_fill(fill("late", against, "0.9"), T0)) == []
    assert breaches(gate.risk.on_fill(fill("later", against, "1.1"), T0)) == []
    assert len(breaches(gate.risk.on_fill(fill("last", against, "0.1"), T0))) == 1
    gate = ready(
        caps_of(
            symbols={
                "BTCUSDT": symbol_caps(position_short_base_max="1", position_long_base_max="1")
            }
        )
    )
    trade(gate, have, "1", "100")
    assert len(breaches(gate.risk.on_fill(fill("at once", against, "2.001"), T0))) == 1


def test_a_wipe_begins_a_new_epoch_but_forgives_no_attempt() -> None:
    gate = ready(caps_of(orders_per_hour_max=1))
    name = approve(gate, wish("BUY", "1"))
    gate.risk.on_fill(fill(name, "BUY", "0.4"), T0)
    gate.risk.wipe("testnet wipe", T0)
    assert worst(gate) == ("0", "0")
    assert gate.risk.equity(T0).equity == 0
    assert gate.risk.valuation.take_record().rebased == "testnet wipe"
    assert deny(gate, wish("BUY", "1")) == "balance_unknown"
