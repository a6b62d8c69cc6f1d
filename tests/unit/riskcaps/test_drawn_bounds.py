"""What the screen drew for one order says nothing about the next: each change denies at once.

Every case first lets plain orders pass by the screen, so that its bounds are drawn, and then
changes one thing. The table alone would see the change; the screen must not stand before it.
"""

from collections.abc import Callable

import pytest

from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.model.enums import OrderStatus, OrderType, SymbolStatus, TimeInForce, TradingState
from daemon.model.ids import ClientOrderId, InstrumentId
from daemon.model.intents import CancelIntent, PlaceIntent
from daemon.model.market import TradeTick
from daemon.model.position import Balance
from riskcaps.gate.interceptor import CancelApproved, Interceptor
from tests.unit.riskcaps.kit import (
    BTC,
    ETH,
    T0,
    XRPETH,
    D,
    approve,
    bare_gate,
    caps_of,
    deny,
    fill,
    instrument,
    order,
    ready,
    symbol_caps,
    tell,
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
        gate.risk.on_known(name, T0 + 2)
        gate.risk.on_terminal(name, T0 + 3)
    gate.risk.on_balances([Balance("USDT", D(5000), D(0)), Balance("BTC", D(50), D(0))], T0 + 4)
    assert BTC in gate._fast_path._buys
    assert BTC in gate._fast_path._sells
    return gate


def budget(gate: Interceptor, **used: int) -> None:
    gate.risk.on_venue_budget(used, dict.fromkeys(used, 100), T1)


def tighten(gate: Interceptor, changes: dict[str, object]) -> None:
    gate.risk.set_capset(gate.risk.capset.tighten(changes))


def losses(gate: Interceptor) -> None:
    trade(gate, "BUY", "4", "115", T1)


CHANGES: list[tuple[str, Callable[[Interceptor], object], str]] = [
    ("blocked", lambda g: g.risk.block_symbol(BTC, "why"), "symbol_blocked"),
    ("halted", lambda g: g.risk.set_trading_state(TradingState.HALTED), "trading_halted"),
    ("halt flag", lambda g: g.risk.health.halt.close("why"), "halt_flag_closed"),
    ("reducing", lambda g: g.risk.set_trading_state(TradingState.REDUCING), "not_reducing"),
    ("journal", lambda g: g.risk.on_journal_health(False), "journal_unhealthy"),
    ("drift", lambda g: g.risk.on_clock(200_000_000, 0, T1), "clock_drift"),
    ("drift back", lambda g: g.risk.on_clock(-200_000_000, 0, T1), "clock_drift"),
    ("round trip", lambda g: g.risk.on_clock(0, 200_000_001, T1), "clock_drift"),
    ("status", lambda g: g.risk.on_instruments([instrument(status=SymbolStatus.HALT)]),
     "symbol_not_trading"),
    ("tick", lambda g: g.risk.on_instruments([instrument(tick=D("0.03"))]), "filter_tick"),
    ("lot", lambda g: g.risk.on_instruments([instrument(lot=D("0.3"))]), "filter_lot"),
    ("least quantity", lambda g: g.risk.on_instruments([instrument(qty_min=D(3))]), "filter_qty"),
    ("greatest quantity", lambda g: g.risk.on_instruments([instrument(qty_max=D("0.5"))]),
     "filter_qty"),
    ("least notional", lambda g: g.risk.on_instruments([instrument(notional_min=D(500))]),
     "filter_notional"),
    ("greatest notional", lambda g: g.risk.on_instruments([instrument(notional_max=D(50))]),
     "filter_notional"),
    ("price bounds", lambda g: g.risk.on_instruments([instrument(price_min=D(99_000))]),
     "filter_price"),
    ("one window of the budget", lambda g: budget(g, A=10, B=80), "venue_budget"),
    ("another window of the budget", lambda g: budget(g, A=80, B=10), "venue_budget"),
    ("the book is crossed", lambda g: g.risk.on_top(top("101", "100", T1), T1), "crossed_book"),
    ("the book is locked", lambda g: g.risk.on_top(top("100", "100", T1), T1), "crossed_book"),
    ("the book is empty", lambda g: g.risk.on_top(top("0", "100", T1), T1), "no_market_data"),
    ("the book moves up", lambda g: g.risk.on_top(top("120", "121", T1), T1), "price_collar"),
    ("the book moves down", lambda g: g.risk.on_top(top("80", "81", T1), T1), "price_collar"),
    ("balances", lambda g: g.risk.on_balances([Balance("USDT", D(10), D(0)),
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
    gate = drawn()
    open_before = gate.risk.books.open_worst_case(BTC)
    approve(gate, plain(side), T1)
    assert gate.risk.books.open_worst_case(BTC) != open_before, "the order is held"


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_a_reference_that_moves_or_ages_denies(side: str) -> None:
    gate = ready(caps_of(symbols={"BTCUSDT": symbol_caps(collar_reference="last")}))

    def refer(price: str, now_ns: int) -> None:
        gate.risk.on_trade(TradeTick(BTC, 1, wish().side, D(price), D(1), 0, now_ns), now_ns)

    refer("100", T0)
    approve(gate, wish(side, "0.1", "100.00"), T0)
    age_ns = 5000 * NS_PER_MS
    late = T0 + age_ns
    gate.risk.on_top(top("99.99", "100.01", late), late)
    approve(gate, wish(side, "0.1", "100.00"), late)
    gate.risk.on_top(top("99.99", "100.01", late + 1), late + 1)
    assert deny(gate, wish(side, "0.2", "100.00"), late + 1) == "no_reference_price"
    refer("120", late + 1)
    assert deny(gate, wish(side, "0.3", "100.00"), late + 1) == "price_collar"
    refer("0", late + 1)
    assert deny(gate, wish(side, "0.4", "100.00"), late + 1) == "no_reference_price"
    refer("100", late + 1 + age_ns)
    approve(gate, wish(side, "0.5", "100.00"), late + 1 + age_ns)
    refer("100", late + 2 + age_ns)  # a young trade does not make the book younger
    assert deny(gate, wish(side, "0.6", "100.00"), late + 2 + age_ns) == "stale_market_data"


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
    gate.risk.on_top(top("99.99", "100.01", T0 + 60 * NS_PER_S), T0 + 60 * NS_PER_S)
    late = wish(side, "0.2", "100.00")
    assert deny(gate, late, T0 + 60 * NS_PER_S) == "outside_trading_window"

    gate = drawn(trading_windows_utc=["Mon 20:00-20:01"])
    end = T0 + 60 * NS_PER_S - 1
    gate.risk.on_top(top("99.99", "100.01", end), end)
    approve(gate, wish(side, "0.1", "100.00"), end)


def test_all_losses_reached_and_none_latched_deny_what_was_drawn() -> None:
    """During `loss_confirm_ms` nothing is latched, and new risk is denied all the same."""
    data = caps_of(loss_confirm_ms=60_000, loss_day_numeraire_max="40",
                   drawdown_numeraire_max="40")  # fmt: skip
    gate = ready(data)
    approve(gate, wish("BUY", "0.1", "99.00"))
    trade(gate, "BUY", "4", "110", T1)
    rules = gate.risk.ledger.rules.values()
    assert all(rule.used >= rule.limit and not rule.latched for rule in rules)
    assert deny(gate, wish("BUY", "0.2", "99.00"), T1) == "loss_session"


def test_a_top_without_a_receipt_time_is_as_old_as_its_delivery() -> None:
    gate = drawn()
    late = T0 + 60 * NS_PER_S
    gate.risk.on_top(top("99.99", "100.01", 0), late)
    approve(gate, wish("BUY", "0.1", "99.00"), late)
    gate.risk.on_top(top("99.99", "100.01", 1), late)
    assert deny(gate, wish("BUY", "0.2", "99.00"), late) == "stale_market_data"


@pytest.mark.parametrize("fact", ["on_terminal", "on_known", "on_unknown", "on_cancel_sent"])
def test_no_fact_turns_the_gates_time_back_and_each_moves_it_on(fact: str) -> None:
    gate = drawn()
    name = approve(gate, wish("BUY", "0.1", "99.00"), T1)
    told = (None,) if fact == "on_cancel_sent" else (name,)
    getattr(gate.risk, fact)(*told, T0)
    assert gate.risk.now_ns == T1
    getattr(gate.risk, fact)(*told, T1 + 7)
    assert gate.risk.now_ns == T1 + 7


def test_a_crossed_book_does_not_move_what_a_position_is_marked_at() -> None:
    gate = ready()
    trade(gate, "BUY", "1", "100", T0)
    before = gate.risk.ledger.equity
    assert before == D("-0.01")
    for bid, ask in (("50", "50"), ("50", "49"), ("0", "50")):
        gate.risk.on_top(top(bid, ask, T1), T1)
        assert gate.risk.ledger.equity == before


def test_a_wipe_leaves_no_hold_no_position_and_no_debt() -> None:
    gate = drawn()
    approve(gate, wish("BUY", "0.1", "99.00"), T1)
    trade(gate, "BUY", "1", "100", T1)
    gate.risk.books.fees_owed["BNB"] = D(1)
    gate.risk.wipe("testnet", T1)
    assert (dict(gate.risk.books.holds), gate.risk.books.fees_owed) == ({}, {})
    assert len(gate.risk.books.active) == 0
    assert deny(gate, plain("BUY"), T1) == "balance_unknown"
    gate.risk.on_balances([Balance("USDT", D(5000), D(0)), Balance("BTC", D(50), D(0))], T1)
    for number in range(1, 9):
        approve(gate, wish("BUY", f"0.{number}", "99.00"), T1 + number * NS_PER_MS * 2)
    assert len(gate.risk.books.holds) == gate.risk.books.book(BTC).open_count == 8


@pytest.mark.parametrize("side", ["BUY", "SELL"])
@pytest.mark.parametrize("collar_bps", [500, 3000, 10_000, 20_000])
def test_the_collar_is_around_the_mid_and_not_a_step_wider(side: str, collar_bps: int) -> None:
    """Both sides of it, with the bounds drawn by an order just inside."""
    wide = {"order_notional_quote_max": "9000", "exposure_quote_max": "90000"}
    symbols = {"BTCUSDT": symbol_caps(collar_bps_max=collar_bps, **wide)}
    big = {"exposure_gross_numeraire_max": "90000", "exposure_net_numeraire_max": "90000"}
    gate = ready(caps_of(symbols=symbols, **big))
    gate.risk.on_instruments([instrument(notional_min=D("0.001"))])
    low, high = D(100) - D(collar_bps) / 100, D(100) + D(collar_bps) / 100
    for step, edge in ((D("-0.01"), high), (D("0.01"), low)):
        if edge <= 0:
            continue
        inside, outside = edge, edge - step
        approve(gate, wish(side, "0.1", str(inside + step)), T0)
        approve(gate, wish(side, "0.2", str(inside)), T0)
        assert deny(gate, wish(side, "0.3", str(outside)), T0) == "price_collar"
        for name in list(gate.risk.books.holds):
            gate.risk.on_terminal(name, T0)
    if collar_bps > 10_000:
        gate.risk.on_top(top("0", "100", T1), T1)
        assert deny(gate, wish(side, "0.4", "60.00"), T1) == "no_market_data"


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_bounds_of_one_type_and_time_in_force_are_not_anothers(side: str) -> None:
    gate = drawn(order_types=["LIMIT"], times_in_force=["GTC"])
    maker = wish(side, "0.3", "100.00", order_type=OrderType.LIMIT_MAKER)
    assert deny(gate, maker, T1) == "order_type_not_allowed"
    fleeting = wish(side, "0.3", "100.00", time_in_force=TimeInForce.IOC)
    assert deny(gate, fleeting, T1) == "time_in_force_not_allowed"
    approve(gate, wish(side, "0.3", "100.00"), T1)


@pytest.mark.parametrize(
    ("side", "usdt", "btc"), [("BUY", "10", "50000"), ("SELL", "50000", "0.5")]
)
@pytest.mark.parametrize("notional_min", ["0", "5"])
def test_each_side_spends_its_own_asset(side: str, usdt: str, btc: str, notional_min: str) -> None:
    gate = drawn()
    gate.risk.on_instruments([instrument(notional_min=D(notional_min))])
    gate.risk.on_balances([Balance("USDT", D(usdt), D(0)), Balance("BTC", D(btc), D(0))], T1)
    assert deny(gate, plain(side), T1) == "balance_insufficient"


def test_a_sell_spends_base_whatever_that_is_worth() -> None:
    gate = ready(caps_of(symbols={"BTCUSDT": symbol_caps(order_qty_base_max="50")}))
    gate.risk.on_instruments([instrument(notional_min=D("0.1"))])
    gate.risk.on_top(top("0.49", "0.51"), T0)
    gate.risk.on_balances([Balance("BTC", D(6), D(0))], T0)
    approve(gate, wish("SELL", "1", "0.50"))
    assert deny(gate, wish("SELL", "5.001", "0.50")) in {"balance_insufficient", "position_short"}
    gate.risk.on_balances([Balance("BTC", D("4"), D(0))], T0)
    assert deny(gate, wish("SELL", "3.5", "0.50")) == "balance_insufficient"


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_an_order_below_the_ask_is_valued_at_the_ask(side: str) -> None:
    gate = drawn()
    gate.risk.on_top(top("120.00", "140.00", T1), T1)
    assert deny(gate, wish(side, "2", "120.00"), T1) == "order_notional"
    approve(gate, wish(side, "1.7", "120.00"), T1)


def test_exposure_counts_the_dearest_of_ask_price_and_own_orders() -> None:
    """Above its last band a cap has no room between band and limit: the valuation decides."""
    wide = {"position_long_base_max": "50", "position_short_base_max": "50"}
    gate = ready(caps_of(symbols={"BTCUSDT": symbol_caps(**wide)}))
    trade(gate, "BUY", "5.5", "100")
    gate.risk.on_balances([Balance("USDT", D(5000), D(0)), Balance("BTC", D(50), D(0))], T0)
    late = T0 + 10 * NS_PER_S
    gate.risk.on_top(top("99.99", "100.01", late), late)
    assert gate.risk.books.book(BTC).watch["exposure_quote_max"].up == 600
    assert deny(gate, wish("BUY", "0.6", "95.00"), late) == "exposure_symbol"
    dear = approve(gate, wish("SELL", "0.1", "109.00"), late)
    assert dear in gate.risk.books.holds
    assert deny(gate, wish("BUY", "0.1", "95.00"), late) == "exposure_symbol"


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_turnover_counts_what_is_open_and_what_was_traded(side: str) -> None:
    gate = ready(caps_of(traded_notional_per_day_numeraire_max="300"))
    for number in range(2):
        approve(gate, wish(side, "0.9", "100.00"), T0 + number * 2 * NS_PER_MS)
    last = T0 + 4 * NS_PER_MS
    assert deny(gate, wish(side, "1.2", "100.00"), last) == "traded_notional_per_day"
    for name in list(gate.risk.books.holds):
        gate.risk.on_fill(fill(name, side, "0.9", "100"), last)
    assert deny(gate, wish(side, "1.2", "100.00"), last) == "traded_notional_per_day"
    approve(gate, wish(side, "1.1", "100.00"), last)


def test_an_order_found_before_the_symbols_are_known_weighs_on_its_asset() -> None:
    gate = bare_gate()
    gate.risk.adopt(order("early", "BUY", "1", "100", OrderStatus.SUBMITTED), T0)
    tell(gate)
    gate.risk.on_balances([Balance("USDT", D(205), D(0))], T0)
    assert deny(gate, wish("BUY", "1", "99.00")) == "balance_insufficient"
    gate.risk.on_balances([Balance("USDT", D(210), D(0))], T0)
    approve(gate, wish("BUY", "1", "99.00"))


def test_messages_of_an_earlier_second_or_minute_do_not_hold_a_cancel_back() -> None:
    gate = ready(caps_of(messages_per_second_max=6, messages_per_second_cancel_reserve=1,
                         messages_per_minute_max=9, messages_per_minute_cancel_reserve=1,
                         orders_per_second_max=5, orders_per_minute_max=8))  # fmt: skip
    mine = order("o")
    wanted = CancelIntent(strategy_id=mine.strategy_id, client_order_id=mine.client_order_id)
    for number in range(5):
        approve(gate, wish("BUY", "0.1", f"9{number}.00"))
    assert isinstance(gate.review_cancel(wanted, mine, T0), CancelApproved)
    answer = gate.review_cancel(wanted, mine, T0)
    assert str(getattr(answer, "reason", "")) == "messages_per_second"
    now_ns = T0 + NS_PER_S + 1
    for _ in range(3):
        assert isinstance(gate.review_cancel(wanted, mine, now_ns), CancelApproved)
    answer = gate.review_cancel(wanted, mine, now_ns)
    assert str(getattr(answer, "reason", "")) == "messages_per_minute"
    later = now_ns + 60 * NS_PER_S + 1
    for _ in range(5):
        assert isinstance(gate.review_cancel(wanted, mine, later), CancelApproved)


def test_opening_orders_between_losing_ones_do_not_end_the_streak() -> None:
    gate = ready(caps_of(loss_streak_max=3, loss_session_numeraire_max="900",
                         loss_day_numeraire_max="900", drawdown_numeraire_max="900"))  # fmt: skip
    for number in range(3):
        now_ns = T0 + number * NS_PER_S
        opened = approve(gate, wish("BUY", "1", "100.00"), now_ns)
        gate.risk.on_fill(fill(opened, "BUY", "1", "100"), now_ns)
        closed = approve(gate, wish("SELL", "1", "99.00"), now_ns)
        gate.risk.on_fill(fill(closed, "SELL", "1", "99"), now_ns)
    assert deny(gate, wish("BUY", "1", "100.00"), T0 + 4 * NS_PER_S) == "loss_streak"


def test_a_valuation_is_good_to_the_last_nanosecond_of_its_age() -> None:
    data = caps_of(symbols={"BTCUSDT": symbol_caps(), "ETHUSDT": symbol_caps()})
    gate = tell(bare_gate(data))
    gate.risk.on_instruments([instrument(), instrument(ETH)])
    gate.risk.on_top(top("9.99", "10.01", T0, ETH), T0)
    gate.risk.on_fill(fill("x", "BUY", "3", "10", name=ETH), T0)
    for after_ns, passes in ((10 * NS_PER_S, True), (10 * NS_PER_S + 1, False)):
        now_ns = T0 + after_ns
        gate.risk.on_top(top("99.99", "100.01", now_ns), now_ns)
        for intent in (wish("BUY", "0.1", "99.00"), wish("BUY", "0.1", None)):
            if passes:
                approve(gate, intent, now_ns)
            else:
                assert deny(gate, intent, now_ns) == "valuation_stale"


@pytest.mark.parametrize(
    ("spelling", "base", "quote"),
    [
        ("ETHBTC", "ETH", "BTC"),
        ("BTCETH", "BTC", "ETH"),
        ("ETHUSDT", "ETH", "USDT"),
        ("ETH", "", ""),
    ],
)
def test_assets_are_read_off_the_name_until_the_venue_has_told_them(
    spelling: str, base: str, quote: str
) -> None:
    name = InstrumentId(f"{spelling}@sim")
    gate = bare_gate(caps_of(conversions={"ETH": ["ETHUSDT"], "BTC": ["BTCUSDT"]}))
    gate.risk.adopt(order("early", "BUY", "2", "3", OrderStatus.SUBMITTED, instrument_id=name), T0)
    assert (gate.risk.books.book(name).base, gate.risk.books.book(name).quote) == (base, quote)
    assert gate.risk.books.account(quote).inflight == 6


def test_a_band_that_fell_is_told_when_it_rises_again() -> None:
    """What was drawn while the band was up is not what the next order is held to."""
    wide = dict.fromkeys(("exposure_gross_numeraire_max", "exposure_net_numeraire_max"), "5000")
    of_symbol = symbol_caps(
        exposure_quote_max="5000", position_long_base_max="50", market_data_age_ms_max=60_000
    )
    gate = ready(caps_of(
        symbols={"BTCUSDT": of_symbol}, **wide, traded_notional_per_day_numeraire_max="1000",
    ))  # fmt: skip
    now_ns = T0

    maker = {"order_type": OrderType.LIMIT_MAKER, "time_in_force": None}

    def fill_up(after_ns: int, **kind: object) -> list[ClientOrderId]:
        """Four orders of 198: the last one brings the turnover to 70 %."""
        nonlocal now_ns
        now_ns += after_ns
        return [
            approve(gate, wish("BUY", "2", "99.00", **kind), now_ns + number * 2 * NS_PER_MS)
            for number in range(4)
        ]

    def rose() -> bool:
        told = gate.risk.alerts.take()
        return any(one.band == 70 and one.rising for one in told)

    names = fill_up(0)
    assert rose()
    for name in names:
        gate.risk.on_terminal(name, now_ns + NS_PER_S)
    # Bounds of another type are drawn anew, and so while the band is up.
    small = approve(gate, wish("BUY", "0.1", "99.00", **maker), now_ns + NS_PER_S)
    gate.risk.on_terminal(small, now_ns + NS_PER_S)
    for later_s in (2, 8):
        gate.risk.on_terminal(ClientOrderId("nobody's"), now_ns + later_s * NS_PER_S)
    assert not gate.risk.alerts.watch["traded_notional_per_day_numeraire_max"].band
    fill_up(9 * NS_PER_S, **maker)
    assert rose()


def test_a_sell_at_no_price_that_was_found_open_meets_every_buy() -> None:
    gate = bare_gate()
    gate.risk.on_instruments([instrument()])
    gate.risk.adopt(order("found", "SELL", "1", None), T0)
    tell(gate)
    assert gate.risk.books.by_id[BTC].sell_pxs == [D(0)], "held before any price was known"
    assert deny(gate, wish("BUY", "1", "99.00")) == "self_trade"


def test_what_was_traded_counts_when_only_one_quote_asset_is_left() -> None:
    gate = ready(traded_notional_per_day_numeraire_max="1000")
    gate.risk.on_instruments([instrument(), instrument(XRPETH)])
    for side in ("BUY", "SELL"):
        trade(gate, side, "4.5", "100")
    approve(gate, wish("BUY", "0.2", "99.00"))
    gate.risk.on_instruments([instrument(XRPETH, quote="USDT")])
    assert list(gate.risk.books.quotes) == ["USDT"]
    assert deny(gate, wish("BUY", "1.5", "99.00"), T1) == "traded_notional_per_day"
