"""Take one input away: the gate denies, with a type. Nothing missing is ever a pass."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.model.enums import SymbolStatus, TradingState
from daemon.model.ids import instrument_id
from daemon.model.order_features import OrderExtras
from daemon.model.position import Balance
from riskcaps.gate.interceptor import Approved, Interceptor
from riskcaps.words.capset import PORTFOLIO_CAPS, SYMBOL_CAPS, capset_from_mapping
from tests.unit.riskcaps.kit import (
    BTC,
    CAPS,
    ETH,
    SYMBOL,
    T0,
    XRPETH,
    D,
    approve,
    bare_gate,
    caps_of,
    deny,
    fill,
    instrument,
    ready,
    symbol_caps,
    tell,
    top,
    wish,
)  # fmt: skip

# Not measures: what they choose has a strict default, or nothing to deny.
CHOICES = {"collar_reference", "reduce_oversized", "loss_confirm_ms", "order_to_trade_grace_orders"}
CHOICES |= {key for key in PORTFOLIO_CAPS if key.endswith("_action")}
NOT_NEEDED_HERE = {"conversions", "balance_free_min", "cancels_per_second_max"}


def test_with_every_input_the_gate_approves() -> None:
    assert isinstance(ready().review(wish(), T0), Approved)


@pytest.mark.parametrize("key", sorted(set(SYMBOL) - CHOICES))
def test_without_a_cap_of_the_symbol_every_order_is_denied(key: str) -> None:
    data = caps_of(symbols={"BTCUSDT": symbol_caps(**{key: None})})
    gate = ready(data)
    sides = {"position_long_base_max": ["BUY"], "position_short_base_max": ["SELL"]}
    for side in sides.get(key, ["BUY", "SELL"]):
        denied = deny(gate, wish(side))
        assert denied, key
    if SYMBOL_CAPS[key].required:
        assert denied == "cap_not_set"


@pytest.mark.parametrize("key", sorted(set(CAPS) - CHOICES - NOT_NEEDED_HERE))
def test_without_a_cap_of_the_portfolio_every_order_is_denied(key: str) -> None:
    gate = ready(caps_of(**{key: None}))
    denied = {deny(gate, wish("BUY")), deny(gate, wish("SELL"))}
    if key == "numeraire" or PORTFOLIO_CAPS[key].required:
        by_rule = {"clock_offset_ms_max": "clock_drift"}  # an earlier rule denies already
        assert denied == {by_rule.get(key, "cap_not_set")}


@pytest.mark.parametrize("key", sorted(k for k in SYMBOL_CAPS if SYMBOL_CAPS[k].kind != "choice"))
def test_a_cap_of_zero_denies_like_one_that_is_not_set(key: str) -> None:
    empty: Any = [] if SYMBOL_CAPS[key].kind in {"names", "windows"} else 0
    gate = ready(caps_of(symbols={"BTCUSDT": symbol_caps(**{key: empty})}))
    iceberg = OrderExtras(iceberg_qty=Decimal("0.1")) if key == "order_features" else None
    assert deny(gate, wish("SELL" if "short" in key else "BUY", extras=iceberg))


def test_an_empty_set_of_caps_denies_everything() -> None:
    no_drift = {"clock_offset_ms_max": 100}
    assert deny(tell(bare_gate({})), wish()) == "clock_drift"
    assert deny(tell(bare_gate(no_drift)), wish()) == "symbol_not_allowed"
    bare_symbol = {**no_drift, "symbols": {"BTCUSDT": {}}}
    assert deny(tell(bare_gate(bare_symbol)), wish()) == "cap_not_set"


def test_without_conversions_a_foreign_quote_is_denied() -> None:
    symbols = {"XRPETH": symbol_caps(order_notional_quote_max="1", exposure_quote_max="5")}
    for conversions, reason in ((CAPS["conversions"], ""), ({}, "rate_missing")):
        gate = tell(bare_gate(caps_of(symbols=symbols, conversions=conversions)))
        gate.risk.on_instruments(
            [instrument(XRPETH, tick=D("0.00001"), price_min=D(0), notional_min=D(0)),
             instrument(ETH)]
        )  # fmt: skip
        gate.risk.on_balances([Balance("ETH", D(10), D(0)), Balance("XRP", D(10), D(0))], T0)
        gate.risk.on_top(top("0.00099", "0.00101", name=XRPETH), T0)
        order = wish("BUY", "1", "0.00100", instrument_id=XRPETH)
        assert deny(gate, order) == "rate_missing"  # no price of ETHUSDT yet
        gate.risk.on_top(top("2000", "2001", name=ETH), T0)
        if reason:
            assert deny(gate, order) == reason
        else:
            approve(gate, order)


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("instruments", "instrument_unknown"),
        ("top", "no_market_data"),
        ("balances", "balance_unknown"),
        ("clock", "clock_unknown"),
        ("journal", "journal_unhealthy"),
        ("trading_state", "trading_halted"),
    ],
)
def test_without_one_fact_every_order_is_denied(missing: str, reason: str) -> None:
    gate = tell(bare_gate(), leave_out=missing)
    assert deny(gate, wish("BUY")) == reason
    assert deny(gate, wish("SELL")) == reason
    tell(gate)
    approve(gate, wish("BUY"))


AGES: list[tuple[str, int, str]] = [
    ("the book", 5000 * NS_PER_MS, "stale_market_data"),
    ("the clock", 600 * NS_PER_S, "clock_stale"),
]


@pytest.mark.parametrize(("what", "limit_ns", "reason"), AGES)
def test_what_is_one_nanosecond_too_old_is_missing(what: str, limit_ns: int, reason: str) -> None:
    gate = ready()
    late_ns = T0 + limit_ns
    if what == "the clock":
        gate.risk.on_top(top("99.99", "100.01", late_ns), late_ns)
    approve(gate, wish(), late_ns)
    if what == "the clock":
        gate.risk.on_top(top("99.99", "100.01", late_ns + 1), late_ns + 1)
    assert deny(gate, wish(price="99.00"), late_ns + 1) == reason


def test_a_book_is_as_old_as_its_receipt() -> None:
    gate = ready()
    late_ns = T0 + 6 * NS_PER_S
    gate.risk.on_top(top("99.99", "100.01", T0), late_ns)
    assert deny(gate, wish(), late_ns) == "stale_market_data"


Break = Callable[[Interceptor], object]
BROKEN: list[tuple[str, Break, str]] = [
    ("halt flag", lambda g: g.risk.health.halt.close("kill"), "halt_flag_closed"),
    ("halted", lambda g: g.risk.set_trading_state(TradingState.HALTED), "trading_halted"),
    ("journal", lambda g: g.risk.on_journal_health(False), "journal_unhealthy"),
    ("drift ahead", lambda g: g.risk.on_clock(99_500_000, 1_000_001, T0), "clock_drift"),
    ("drift behind", lambda g: g.risk.on_clock(-100_000_001, 0, T0), "clock_drift"),
    ("crossed", lambda g: g.risk.on_top(top("100.02", "100.01"), T0), "crossed_book"),
    ("locked", lambda g: g.risk.on_top(top("100.01", "100.01"), T0), "crossed_book"),
    ("no bid", lambda g: g.risk.on_top(top("0", "100.01"), T0), "no_market_data"),
    (
        "symbol halted",
        lambda g: g.risk.on_instruments([instrument(status=SymbolStatus.BREAK)]),
        "symbol_not_trading",
    ),
    ("blocked", lambda g: g.risk.block_symbol(BTC, "gate"), "symbol_blocked"),
    (
        "no asset",
        lambda g: g.risk.on_balances([Balance("USDT", D(0), D(0))], T0),
        "balance_insufficient",
    ),
    (
        "venue budget",
        lambda g: g.risk.on_venue_budget({"ORDERS": 80}, {"ORDERS": 100}, T0),
        "venue_budget",
    ),
]


@pytest.mark.parametrize(("what", "spoil", "reason"), BROKEN, ids=[row[0] for row in BROKEN])
def test_each_bad_state_denies(what: str, spoil: Break, reason: str) -> None:
    gate = ready()
    spoil(gate)
    assert deny(gate, wish("BUY")) == reason


def test_drift_counts_half_the_round_trip_exactly() -> None:
    gate = ready()
    gate.risk.on_clock(99_500_000, 1_000_000, T0)
    assert approve(gate, wish()) in gate.risk.books.holds


def test_a_halt_flag_closed_by_another_thread_is_seen_at_once() -> None:
    gate = ready()
    approve(gate, wish())
    gate.risk.health.halt.close("kill")
    assert deny(gate, wish(price="99.00")) == "halt_flag_closed"
    gate.risk.health.halt.open()
    approve(gate, wish(price="98.00"))


def test_a_symbol_without_caps_is_not_allowed_whatever_is_known_of_it() -> None:
    gate = ready()
    gate.risk.on_instruments([instrument(ETH)])
    gate.risk.on_top(top("99", "101", name=ETH), T0)
    assert deny(gate, wish(instrument_id=ETH)) == "symbol_not_allowed"
    unheard = instrument_id("DOGEUSDT", "sim")
    assert deny(gate, wish(instrument_id=unheard)) == "symbol_not_allowed"


def test_equity_that_cannot_be_valued_denies_new_risk_but_not_reducing() -> None:
    gate = ready(conversions={"ETH": ["ETHUSDT"]})
    gate.risk.on_fill(fill("x", "BUY", "1", "100", fee="0.001", fee_asset="BNB"), T0)
    assert deny(gate, wish("BUY")) == "equity_unknown"
    approve(gate, wish("SELL", "1"))


def test_a_portfolio_that_cannot_be_valued_denies_new_risk() -> None:
    symbols = {"BTCUSDT": symbol_caps(), "ETHUSDT": symbol_caps()}
    gate = tell(bare_gate(caps_of(symbols=symbols)))
    gate.risk.on_instruments([instrument(ETH)])
    gate.risk.on_top(top("99.99", "100.01", name=ETH), T0)
    gate.risk.on_fill(fill("x", "BUY", "0.5", "100", name=ETH), T0)
    approve(gate, wish("BUY"))
    late_ns = T0 + 10 * NS_PER_S + 1
    gate.risk.on_top(top("99.99", "100.01", late_ns), late_ns)
    assert deny(gate, wish("BUY", price="99.00"), late_ns) == "valuation_stale"


def test_boot_state_is_halted_whatever_the_caps_say() -> None:
    gate = Interceptor(
        capset=capset_from_mapping(caps_of()),
        ids=bare_gate().risk.ids,
        halt=bare_gate().risk.health.halt,
    )
    assert gate.risk.health.trading_state is TradingState.HALTED
    assert deny(gate, wish()) == "trading_halted"
