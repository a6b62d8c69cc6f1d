"""What our orders take from the balances, from approval to the venue's own word."""

from decimal import Decimal

import pytest

from daemon.model.enums import OrderStatus, Side
from daemon.model.ids import ClientOrderId
from daemon.model.position import Balance
from riskcaps.gate.interceptor import Interceptor
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
    trade,
    wish,
)  # fmt: skip


def taken(gate: Interceptor, asset: str = "USDT") -> tuple[Decimal, Decimal, Decimal]:
    account = gate.risk.books.accounts[asset]
    return account.inflight, account.unsettled, account.open_notional


def test_a_buy_takes_quote_and_a_sell_takes_base() -> None:
    gate = ready()
    approve(gate, wish("BUY", "2", "99.00"))
    approve(gate, wish("SELL", "1.5", "101.00"))
    assert taken(gate) == (198, 0, 198 + D("151.5"))
    assert taken(gate, "BTC") == (D("1.5"), 0, 0)


def test_fills_before_the_acknowledgement_are_spent_until_the_venue_speaks() -> None:
    gate = ready()
    name = approve(gate, wish("BUY", "2", "99.00"))
    other = approve(gate, wish("BUY", "1", "98.00"))
    gate.risk.on_fill(fill(name, "BUY", "0.5", "98.50"), T0)
    assert taken(gate) == (99 * D("1.5") + 98, 99 * D("0.5"), 99 * D("1.5") + 98)
    gate.risk.on_fill(fill(name, "BUY", "0.5", "98.50"), T0)
    assert taken(gate)[1] == 99
    gate.risk.on_known(name, T0)
    assert taken(gate) == (98, 198, 197)
    gate.risk.on_known(other, T0)
    assert taken(gate) == (0, 296, 197)
    gate.risk.on_fill(fill(name, "BUY", "1", "98.50"), T0)
    assert taken(gate) == (0, 296, 98)
    gate.risk.on_balances([Balance("USDT", D(4700), D(98))], T0)
    assert taken(gate) == (0, 0, 98)
    gate.risk.on_terminal(other, T0)
    assert taken(gate) == (0, 0, 0)


@pytest.mark.parametrize("end", ["terminal", "reject", "leaves"])
def test_what_never_reached_the_venue_gives_its_hold_back_whole(end: str) -> None:
    gate = ready()
    keep = approve(gate, wish("SELL", "0.3", "103.00"))
    name = approve(gate, wish("SELL", "2", "101.00"))
    {
        "terminal": lambda: gate.risk.on_terminal(name, T0),
        "reject": lambda: gate.risk.on_venue_reject(name, T0),
        "leaves": lambda: gate.risk.on_leaves(name, D(0)),
    }[end]()
    assert taken(gate, "BTC") == (D("0.3"), 0, 0)
    assert list(gate.risk.books.holds) == [keep]
    assert gate.risk.books.open_worst_case(BTC) == (0, D("0.3"))


def test_a_wipe_forgets_what_was_taken() -> None:
    gate = ready()
    approve(gate, wish("BUY", "2", "99.00"))
    gate.risk.on_known(approve(gate, wish("BUY", "1", "98.00")), T0)
    gate.risk.wipe("wipe", T0)
    tell(gate)
    assert taken(gate) == (0, 0, 0)
    approve(gate, wish("BUY", "2", "97.00"))
    assert taken(gate) == (194, 0, 194)


def test_a_restored_hold_takes_what_it_took() -> None:
    gate = ready()
    gate.risk.on_known(approve(gate, wish("BUY", "2", "99.00")), T0)
    approve(gate, wish("BUY", "1", "98.00"))
    twin = bare_gate()
    twin.restore(gate.state())
    assert taken(twin) == (98, 0, 296)


@pytest.mark.parametrize(
    ("status", "inflight"),
    [(OrderStatus.APPROVED, 198), (OrderStatus.SUBMITTED, 198), (OrderStatus.UNKNOWN, 198),
     (OrderStatus.ACCEPTED, 0), (OrderStatus.PENDING_CANCEL, 0)],
)  # fmt: skip
def test_an_adopted_order_takes_what_the_venue_has_not_locked(
    status: OrderStatus, inflight: int
) -> None:
    gate = ready()
    gate.risk.adopt(order("found", "BUY", "2", "99.00", status=status), T0)
    assert taken(gate) == (inflight, 0, 198)
    assert gate.risk.books.holds[ClientOrderId("found")].px == 99
    assert gate.risk.books.book(BTC).stops_open == 0


def test_an_order_adopted_before_any_price_is_held_all_the_same() -> None:
    gate = bare_gate()
    gate.risk.adopt(order("m", price=None), T0)
    assert gate.risk.books.open_worst_case(BTC) == (1, 0)


def test_several_unknown_orders_each_block() -> None:
    gate = ready()
    names = [approve(gate, wish(qty="0.1", price=f"9{i}.00")) for i in (7, 8)]
    for name in names:
        gate.risk.on_unknown(name, T0)
    gate.risk.on_terminal(names[0], T0)
    assert deny(gate, wish(qty="0.1", price="96.00")) == "unknown_order_open"
    gate.risk.on_known(names[1], T0)
    approve(gate, wish(qty="0.1", price="96.00"))


def test_fees_owed_add_up() -> None:
    gate = ready()
    for i in range(3):
        gate.risk.on_fill(fill("x", "BUY", "1", fee=f"0.00{i}", fee_asset="BNB"), T0)
    assert gate.risk.books.fees_owed == {"BNB": D("0.003")}


def test_positions_tell_average_profit_and_fees() -> None:
    gate = ready()
    assert gate.risk.books.position(BTC) == 0
    assert gate.risk.books.positions() == {}
    trade(gate, "BUY", "2", "100")
    gate.risk.on_fill(fill("x", "BUY", "2", "101", fee="0.5"), T0)
    gate.risk.on_fill(fill("x", "SELL", "1", "102", fee="0.25"), T0)
    position = gate.risk.books.positions()[BTC]
    assert position.instrument_id == BTC
    assert (position.qty, position.avg_px) == (3, D("100.5"))
    assert (position.realised_pnl, position.fees_quote) == (D("1.5") - D("0.75"), D("0.75"))
    assert gate.risk.books.position(BTC) == 3
    trade(gate, "SELL", "5", "102")
    assert gate.risk.books.positions()[BTC].qty == -2
    assert gate.risk.books.positions()[BTC].avg_px == 102


def test_a_side_of_a_fill_is_the_fills_own() -> None:
    gate = ready()
    gate.risk.on_fill(fill("x", Side.SELL.value, "1", "100"), T0)
    assert gate.risk.books.position(BTC) == -1


def test_a_block_without_a_reason_blocks() -> None:
    gate = ready()
    gate.risk.block_symbol(BTC, "")
    assert deny(gate, wish()) == "symbol_blocked"
    assert gate.review(wish(), T0).context == {"why": "blocked"}
    gate.risk.unblock_symbol(BTC)
    approve(gate, wish())
    assert gate.state()["books"][BTC]["blocked"] == ""


def test_the_state_says_what_it_holds() -> None:
    gate = ready(caps_of(duplicate_window_ms=1000))
    trade(gate, "BUY", "1", "90")
    gate.risk.on_top(tell(gate).risk.books.by_id[BTC].top, T0)  # type: ignore[arg-type]
    name = approve(gate, wish("BUY", "2", "99.00"))
    gate.review(wish("BUY", "1", price=None), T0)
    gate.risk.on_venue_reject(ClientOrderId("other"), T0)
    state = gate.state()
    assert state["equity"] == {
        "peak": "9.99", "day": T0 // 86_400_000_000_000, "day_open": "0", "session_open": "0",
        "latched": [],
    }  # fmt: skip
    assert state["holds"][name] == {
        "instrument_id": BTC, "is_buy": True, "is_stop": False, "leaves": "2", "px": "99.00",
        "phase": "in_flight", "reserved": True, "realised": "0", "reduced": False,
    }  # fmt: skip
    assert state["behaviour"] == {
        "executions_since_human": 1, "reject_streaks": {}, "loss_streaks": {},
        "duplicates": [[T0, BTC, True, "99.00", "2"], [T0, BTC, True, None, "1"]],
    }  # fmt: skip
    assert state["orders"] == [T0, 0]
    assert state["books"][BTC]["traded"] == [[T0, "1"]]
    assert state["turnover"] == {"USDT": [[T0, "90"]]}
    twin = bare_gate(caps_of(duplicate_window_ms=1000))
    twin.restore(state)
    tell(twin)
    twin.risk.on_terminal(name, T0)
    assert deny(twin, wish("BUY", "2", "99.00")) == "duplicate_order"
    assert deny(twin, wish("BUY", "1", price=None)) == "duplicate_order"


def test_duplicates_are_forgotten_with_their_window() -> None:
    gate = ready(caps_of(duplicate_window_ms=10))
    ms = 1_000_000
    for i in range(5):
        approve(gate, wish(qty="0.1", price="99.00"), T0 + 11 * ms * i)
    assert len(gate.state()["behaviour"]["duplicates"]) == 1
    approve(gate, wish(qty="0.2", price="98.00"), T0 + 44 * ms)
    assert len(gate.state()["behaviour"]["duplicates"]) == 2
