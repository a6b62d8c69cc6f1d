"""What the screen drew for one order says nothing about the next: each change denies at once.

Every case first lets plain orders pass by the screen, so that its bounds are drawn, and then
changes one thing. The table alone would see the change; the screen must not stand before it.
"""

from collections.abc import Callable

import pytest

from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.model.enums import SymbolStatus, TradingState
from daemon.model.intents import PlaceIntent
from daemon.model.market import TradeTick
from daemon.model.position import Balance
from riskcaps.interceptor import Interceptor
from tests.unit.riskcaps.kit import (
    BTC,
    T0,
    D,
    approve,
    caps_of,
    deny,
    instrument,
    ready,
    symbol_caps,
    top,
    trade,
    wish,
)

T1 = T0 + 5 * NS_PER_MS


def drawn(**changes: object) -> Interceptor:
    """A gate whose bounds for plain buys and sells are drawn."""
    gate = ready(caps_of(symbols={"BTCUSDT": symbol_caps(**changes)}))
    for number, side in enumerate(("BUY", "SELL")):
        name = approve(gate, wish(side, "0.1", "99.00" if side == "BUY" else "101.00"), T0 + number)
        gate.on_known(name, T0 + 2)
        gate.on_terminal(name, T0 + 3)
    gate.on_balances([Balance("USDT", D(5000), D(0)), Balance("BTC", D(50), D(0))], T0 + 4)
    book = gate.book(BTC)
    assert book.buy_lane is not None
    assert book.sell_lane is not None
    return gate


def budget(gate: Interceptor, **used: int) -> None:
    gate.on_venue_budget(used, dict.fromkeys(used, 100), T1)


def tighten(gate: Interceptor, changes: dict[str, object]) -> None:
    gate.set_capset(gate.capset.tighten(changes))


def losses(gate: Interceptor) -> None:
    trade(gate, "BUY", "4", "115", T1)


CHANGES: list[tuple[str, Callable[[Interceptor], object], str]] = [
    ("blocked", lambda g: g.block_symbol(BTC, "why"), "symbol_blocked"),
    ("halted", lambda g: g.set_trading_state(TradingState.HALTED), "trading_halted"),
    ("halt flag", lambda g: g.halt.close("why"), "halt_flag_closed"),
    ("reducing", lambda g: g.set_trading_state(TradingState.REDUCING), "not_reducing"),
    ("journal", lambda g: g.on_journal_health(False), "journal_unhealthy"),
    ("drift", lambda g: g.on_clock(200_000_000, 0, T1), "clock_drift"),
    ("drift back", lambda g: g.on_clock(-200_000_000, 0, T1), "clock_drift"),
    ("round trip", lambda g: g.on_clock(0, 200_000_001, T1), "clock_drift"),
    ("status", lambda g: g.on_instruments([instrument(status=SymbolStatus.HALT)]),
     "symbol_not_trading"),
    ("tick", lambda g: g.on_instruments([instrument(tick=D("0.03"))]), "filter_tick"),
    ("lot", lambda g: g.on_instruments([instrument(lot=D("0.3"))]), "filter_lot"),
    ("least quantity", lambda g: g.on_instruments([instrument(qty_min=D(3))]), "filter_qty"),
    ("greatest quantity", lambda g: g.on_instruments([instrument(qty_max=D("0.5"))]),
     "filter_qty"),
    ("least notional", lambda g: g.on_instruments([instrument(notional_min=D(500))]),
     "filter_notional"),
    ("greatest notional", lambda g: g.on_instruments([instrument(notional_max=D(50))]),
     "filter_notional"),
    ("price bounds", lambda g: g.on_instruments([instrument(price_min=D(99_000))]),
     "filter_price"),
    ("one window of the budget", lambda g: budget(g, A=10, B=80), "venue_budget"),
    ("another window of the budget", lambda g: budget(g, A=80, B=10), "venue_budget"),
    ("the book is crossed", lambda g: g.on_top(top("101", "100", T1), T1), "crossed_book"),
    ("the book is locked", lambda g: g.on_top(top("100", "100", T1), T1), "crossed_book"),
    ("the book is empty", lambda g: g.on_top(top("0", "100", T1), T1), "no_market_data"),
    ("the book moves up", lambda g: g.on_top(top("120", "121", T1), T1), "price_collar"),
    ("the book moves down", lambda g: g.on_top(top("80", "81", T1), T1), "price_collar"),
    ("balances", lambda g: g.on_balances([Balance("USDT", D(10), D(0)),
                                          Balance("BTC", D("0.5"), D(0))], T1),
     "balance_insufficient"),
    ("losses", losses, "loss_session"),
    ("caps of the symbol", lambda g: tighten(g, {"symbols.BTCUSDT.order_qty_base_max": "0.5"}),
     "order_qty"),
    ("caps of the value", lambda g: tighten(
        g, {"symbols.BTCUSDT.order_notional_quote_max": "60"}), "order_notional"),
    ("caps of the portfolio", lambda g: tighten(g, {"exposure_gross_numeraire_max": "50"}),
     "exposure_gross"),
    ("caps of the rates", lambda g: tighten(g, {"orders_per_day_max": 2}), "orders_per_day"),
    ("caps of the turnover", lambda g: tighten(
        g, {"traded_notional_per_day_numeraire_max": "50"}), "traded_notional_per_day"),
]  # fmt: skip


@pytest.mark.parametrize("side", ["BUY", "SELL"])
@pytest.mark.parametrize(
    ("change", "reason"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES]
)
def test_a_change_denies_what_was_drawn_before(
    change: Callable[[Interceptor], object], reason: str, side: str
) -> None:
    gate = drawn()
    change(gate)
    if reason == "loss_session" and side == "SELL":
        approve(gate, plain(side), T1)  # it reduces, and the action of the cap is no mere denial
    else:
        assert deny(gate, plain(side), T1) == reason


def plain(side: str) -> PlaceIntent:
    return wish(side, "1", "100.00")


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_without_a_change_it_passes(side: str) -> None:
    approve(drawn(), plain(side), T1)


@pytest.mark.parametrize("side", ["BUY", "SELL"])
@pytest.mark.parametrize("reference", ["last", "mark"])
def test_a_reference_that_moves_or_ages_denies(side: str, reference: str) -> None:
    gate = ready(caps_of(symbols={"BTCUSDT": symbol_caps(collar_reference=reference)}))
    other = "mark" if reference == "last" else "last"

    def refer(what: str, price: str, now_ns: int) -> None:
        if what == "last":
            gate.on_trade(TradeTick(BTC, 1, wish().side, D(price), D(1), 0, now_ns), now_ns)
        else:
            gate.on_mark(BTC, D(price), now_ns)

    refer(reference, "100", T0)
    refer(other, "500", T0)
    approve(gate, wish(side, "0.1", "100.00"), T0)
    age_ns = 5000 * NS_PER_MS
    late = T0 + age_ns
    gate.on_top(top("99.99", "100.01", late), late)
    approve(gate, wish(side, "0.1", "100.00"), late)
    gate.on_top(top("99.99", "100.01", late + 1), late + 1)
    assert deny(gate, wish(side, "0.2", "100.00"), late + 1) == "no_reference_price"
    refer(reference, "120", late + 1)
    assert deny(gate, wish(side, "0.3", "100.00"), late + 1) == "price_collar"
    refer(reference, "0", late + 1)
    assert deny(gate, wish(side, "0.4", "100.00"), late + 1) == "no_reference_price"


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_it_ends_with_the_age_of_the_book_the_clock_and_the_window(side: str) -> None:
    gate = drawn()
    age_ns = 5000 * NS_PER_MS
    approve(gate, wish(side, "0.1", "100.00"), T0 + age_ns)
    assert deny(gate, wish(side, "0.2", "100.00"), T0 + age_ns + 1) == "stale_market_data"

    gate = drawn(market_data_age_ms_max=3_600_000)
    clock_ns = 600_000 * NS_PER_MS
    approve(gate, wish(side, "0.1", "100.00"), T0 + clock_ns)
    assert deny(gate, wish(side, "0.2", "100.00"), T0 + clock_ns + 1) == "clock_stale"

    gate = drawn(trading_windows_utc=["Mon 20:00-20:01"])
    approve(gate, wish(side, "0.1", "100.00"), T0 + 4 * NS_PER_S)
    gate.on_top(top("99.99", "100.01", T0 + 60 * NS_PER_S), T0 + 60 * NS_PER_S)
    late = wish(side, "0.2", "100.00")
    assert deny(gate, late, T0 + 60 * NS_PER_S) == "outside_trading_window"

    gate = drawn(trading_windows_utc=["Mon 20:00-20:01"])
    end = T0 + 60 * NS_PER_S - 1
    gate.on_top(top("99.99", "100.01", end), end)
    approve(gate, wish(side, "0.1", "100.00"), end)


def test_all_losses_reached_and_none_latched_deny_what_was_drawn() -> None:
    """During `loss_confirm_ms` nothing is latched, and new risk is denied all the same."""
    data = caps_of(loss_confirm_ms=60_000, loss_day_numeraire_max="40",
                   drawdown_numeraire_max="40")  # fmt: skip
    gate = ready(data)
    approve(gate, wish("BUY", "0.1", "99.00"))
    trade(gate, "BUY", "4", "110", T1)
    rules = gate.ledger.rules.values()
    assert all(rule.used >= rule.limit and not rule.latched for rule in rules)
    assert deny(gate, wish("BUY", "0.2", "99.00"), T1) == "loss_session"


def test_a_top_without_a_receipt_time_is_as_old_as_its_delivery() -> None:
    gate = drawn()
    late = T0 + 60 * NS_PER_S
    gate.on_top(top("99.99", "100.01", 0), late)
    approve(gate, wish("BUY", "0.1", "99.00"), late)
    gate.on_top(top("99.99", "100.01", 1), late)
    assert deny(gate, wish("BUY", "0.2", "99.00"), late) == "stale_market_data"


@pytest.mark.parametrize("fact", ["on_terminal", "on_known", "on_unknown", "on_cancel_sent"])
def test_no_fact_turns_the_gates_time_back_and_each_moves_it_on(fact: str) -> None:
    gate = drawn()
    name = approve(gate, wish("BUY", "0.1", "99.00"), T1)
    told = () if fact == "on_cancel_sent" else (name,)
    getattr(gate, fact)(*told, T0)
    assert gate.now_ns == T1
    getattr(gate, fact)(*told, T1 + 7)
    assert gate.now_ns == T1 + 7


def test_a_crossed_book_does_not_move_what_a_position_is_marked_at() -> None:
    gate = ready()
    trade(gate, "BUY", "1", "100", T0)
    before = gate.ledger.equity
    assert before == D("-0.01")
    for bid, ask in (("50", "50"), ("50", "49"), ("0", "50")):
        gate.on_top(top(bid, ask, T1), T1)
        assert gate.ledger.equity == before


def test_a_wipe_leaves_no_hold_no_position_and_no_debt() -> None:
    gate = drawn()
    approve(gate, wish("BUY", "0.1", "99.00"), T1)
    trade(gate, "BUY", "1", "100", T1)
    gate.fees_owed["BNB"] = D(1)
    gate.wipe("testnet", T1)
    assert (dict(gate.holds), gate.fees_owed) == ({}, {})
    assert len(gate.held) == 0
    assert deny(gate, plain("BUY"), T1) == "balance_unknown"
    gate.on_balances([Balance("USDT", D(5000), D(0)), Balance("BTC", D(50), D(0))], T1)
    for number in range(1, 9):
        approve(gate, wish("BUY", f"0.{number}", "99.00"), T1 + number * NS_PER_MS * 2)
    assert len(gate.holds) == gate.book(BTC).open_count == 8
