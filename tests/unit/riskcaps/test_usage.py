"""How full each cap is, worked out by hand for a small world; the bands; what the screen sums."""

from typing import Any

import pytest

from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.model.ids import instrument_id
from daemon.model.position import Balance
from riskcaps.gate.interceptor import Interceptor
from riskcaps.state.bands import FALL_AFTER_NS, Watch
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
    symbol_caps,
    tell,
    top,
    wish,
)

LTC = instrument_id("LTCUSDT", "sim")
SYMBOLS = ("BTCUSDT", "ETHUSDT", "XRPETH", "LTCUSDT")
ROOMY = symbol_caps(order_qty_base_max="3")
STEP_NS = 2 * NS_PER_MS


def world(**changes: Any) -> Interceptor:
    """Three pairs with prices, one of them quoted in ETH, and a fourth that has no price."""
    gate = tell(bare_gate(caps_of(dict.fromkeys(SYMBOLS, ROOMY), **changes)))
    small = {"notional_min": D(0)}
    gate.risk.on_instruments([instrument(name, **small) for name in (BTC, ETH, XRPETH, LTC)])
    gate.risk.on_balances(
        [Balance(one, D(5000), D(0)) for one in ("USDT", "BTC", "ETH", "XRP")], T0
    )
    gate.risk.on_top(top("9.99", "10.01", name=ETH), T0)
    gate.risk.on_top(top("0.99", "1.01", name=XRPETH), T0)
    return gate


def busy() -> Interceptor:
    """Bought 0.25 BTC and 1 XRP; open: buy 1 and sell 2 BTC, buy 3 XRP."""
    gate = world()
    for ago_s in (7200, 600, 30):
        gate.risk.windows.orders.add(T0 - ago_s * NS_PER_S)
    gate.risk.windows.cancels.add(T0 - 30 * NS_PER_S)
    gate.risk.on_fill(fill("elsewhere", "BUY", "0.25", "100"), T0)
    gate.risk.on_fill(fill("elsewhere", "BUY", "1", "1", name=XRPETH), T0)
    approve(gate, wish("BUY", "1", "99.00"))
    approve(gate, wish("SELL", "2", "101.00"))
    approve(gate, wish("BUY", "3", "0.98", instrument_id=XRPETH))
    for _ in range(2):
        gate.risk.windows.cancels.add(T0)
    gate.risk.behaviour.losses = {"ETHUSDT@sim": 1}
    gate.risk.behaviour.executions_since_human = 7
    gate.risk.behaviour.rejects = {"BTCUSDT@sim": 2, "ETHUSDT@sim": 1}
    return gate


def test_every_cap_of_a_small_world_by_hand() -> None:
    usage = {(one.cap, one.symbol): one.used for one in busy().risk.usage(T0)}
    # BTC short 1.75 and long 1.25 at 101, our highest price; XRP long 4 at 1.01 ETH of 10.01 USDT,
    # short -1 at 0.99 ETH of 9.99 USDT.
    xrp_long, xrp_short = D(4) * D("1.01") * D("10.01"), -D("0.99") * D("9.99")
    assert usage.pop(("exposure_gross_numeraire_max", "")) == D("176.75") + xrp_long
    assert usage.pop(("exposure_net_numeraire_max", "")) == D("176.75") + xrp_short
    assert D("176.75") + xrp_short > D("126.25") + xrp_long, "the short side is the worse"
    traded, is_open = D(25) + 301, (D(1) + D("2.94")) * D("10.01")
    assert usage.pop(("traded_notional_per_day_numeraire_max", "")) == traded + is_open
    for cap in ("loss_session", "loss_day", "drawdown"):
        assert usage.pop((f"{cap}_numeraire_max", "")) >= 0
    assert usage.pop(("order_to_trade_ratio_max", "")) >= 0
    wanted: dict[tuple[str, str], object] = {
        ("orders_open_max", ""): 3,
        ("orders_per_second_max", ""): 3,
        ("orders_per_minute_max", ""): 4,
        ("orders_per_hour_max", ""): 5,
        ("orders_per_day_max", ""): 6,
        ("cancels_per_second_max", ""): 2,
        ("messages_per_second_max", ""): 5,
        ("messages_per_minute_max", ""): 7,
        ("loss_streak_max", ""): 1,
        ("executions_without_human_max", ""): 7,
        ("venue_reject_streak_max", ""): 2,
    }
    for symbol, long, short, orders, value, qty in (
        ("BTCUSDT", "1.25", "1.75", 2, "176.75", "3.25"),
        ("XRPETH", "4", "0", 1, "4.04", "4"),
        ("ETHUSDT", "0", "0", 0, "0", "0"),
        ("LTCUSDT", "0", "0", 0, None, "0"),
    ):
        wanted |= {
            ("position_long_base_max", symbol): D(long),
            ("position_short_base_max", symbol): D(short),
            ("orders_open_max", symbol): orders,
            ("orders_per_minute_max", symbol): orders,
            ("traded_qty_per_day_base_max", symbol): D(qty),
        }
        if value is not None:
            wanted["exposure_quote_max", symbol] = D(value)
    assert usage == wanted


def test_the_long_side_when_it_is_the_worse_and_symbols_with_one_thing_only() -> None:
    gate = world()

    def exposure() -> tuple[object, object]:
        used = {one.cap: one.used for one in gate.risk.usage(T0) if not one.symbol}
        return used["exposure_gross_numeraire_max"], used["exposure_net_numeraire_max"]

    assert exposure() == (0, 0)
    approve(gate, wish("BUY", "1", "99.00"))
    assert exposure() == (D("100.01"), D("100.01")), "one open order and no position"
    gate.risk.on_fill(fill("elsewhere", "BUY", "2", "1", name=XRPETH), T0)
    both = D("100.01") + 2 * D("1.01") * D("10.01")
    assert exposure() == (both, both), "a position and no open order"
    gate.risk.on_fill(fill("elsewhere", "SELL", "3", "1", name=XRPETH), T0)
    short = D("1.01") * D("10.01")
    assert exposure() == (D("100.01") + short, D("100.01") - D("0.99") * D("9.99"))


def test_the_limits_that_fill_up_are_those_of_the_caps_less_the_reserve() -> None:
    gate = busy()
    limits = {one.cap: one.limit for one in gate.risk.usage(T0) if not one.symbol}
    assert limits.pop("messages_per_second_max") == 100 - 40
    assert limits.pop("messages_per_minute_max") == 1000 - 400
    assert len(limits) == 16
    assert limits == {cap: getattr(gate.risk.capset, cap) for cap in limits}
    none_left = world(messages_per_second_max=40, messages_per_minute_max=300)
    assert {one.limit for one in none_left.risk.usage(T0) if one.cap.startswith("messages")} == {0}


def test_what_cannot_be_valued_is_left_out() -> None:
    gate = busy()
    gate.risk.on_top(top("10.02", "10.01", name=ETH), T0)  # crossed: no rate
    caps = {one.cap for one in gate.risk.usage(T0)}
    assert "orders_open_max" in caps
    assert not caps & {"exposure_gross_numeraire_max", "exposure_net_numeraire_max"}
    assert "traded_notional_per_day_numeraire_max" not in caps
    assert gate.risk.ledger.equity is None
    assert "loss_day_numeraire_max" not in caps


@pytest.mark.parametrize(("qty", "passes"), [("0.050", True), ("0.051", False)])
def test_what_is_open_in_another_quote_counts_to_the_cap(qty: str, passes: bool) -> None:
    """The screen adds it up by itself, in front of the table."""
    gate = world(traded_notional_per_day_numeraire_max="29.9705")
    approve(gate, wish("BUY", "0.05", "99.00"))  # 4.95
    gate.risk.usage(T0)
    approve(gate, wish("BUY", "2", "1.00", instrument_id=XRPETH))  # 2 ETH: 20.02
    intent = wish("BUY", qty, "98.00")  # at the ask of 100.01: 5.0005
    if passes:
        approve(gate, intent, T0 + STEP_NS)
    else:
        assert deny(gate, intent, T0 + STEP_NS) == "traded_notional_per_day"


def test_a_symbol_in_another_quote_is_valued_anew_when_its_rate_moves() -> None:
    gate = world(exposure_gross_numeraire_max="100", exposure_net_numeraire_max="100")
    approve(gate, wish("BUY", "2", "1.00", instrument_id=XRPETH))  # 2 x 1.01 x 10.01 = 20.22
    approve(gate, wish("BUY", "0.1", "99.00"), T0 + STEP_NS)
    gate.risk.usage(T0 + STEP_NS)
    gate.risk.on_top(top("44.99", "45.01", T0 + STEP_NS, ETH), T0 + STEP_NS)  # 90.92 and 10.001
    answer = deny(gate, wish("BUY", "0.1", "98.00"), T0 + 2 * STEP_NS)
    assert answer == "exposure_gross"


# -------------------------------------------------------------------- bands
@pytest.mark.parametrize(
    ("limit", "ups"),
    [
        (D(100), [D(70), D(85), D(100), D(100)]),
        (D("0.5"), [D("0.35"), D("0.425"), D("0.5"), D("0.5")]),
        (12, [9, 11, 12, 12]),
        (1000, [700, 850, 1000, 1000]),
        (1, [1, 1]),
    ],
)
def test_the_next_step_is_exact_and_never_above_the_cap(limit: Any, ups: list[Any]) -> None:
    watch = Watch("cap", "", limit)
    seen = [watch.up]
    while watch.move(watch.up, 0):
        seen.append(watch.up)
    assert seen == ups
    assert all(type(up) is type(limit) for up in seen)
    assert watch.band == 100


def test_a_band_falls_only_after_five_seconds_below_and_each_fall_waits_again() -> None:
    wait = FALL_AFTER_NS
    for began_ns in (0, T0):
        watch = Watch("cap", "", D(100))
        assert watch.move(D(100), began_ns) is True
        assert watch.move(D(84), began_ns) is None
        assert watch.move(D(96), began_ns + wait) is None, "not low: what it waited is void"
        low_ns = began_ns + 2 * wait
        assert watch.move(D(84), low_ns) is None
        assert watch.move(D(84), low_ns + wait - 1) is None
        assert watch.move(D(84), low_ns + wait) is False
        assert (watch.band, watch.up) == (70, 85)
        again_ns = low_ns + 3 * wait
        assert watch.move(D(10), again_ns) is None
        assert watch.move(D(10), again_ns + wait - 1) is None
        assert watch.move(D(90), again_ns + wait) is True, "it rises at once"
        assert (watch.band, watch.up) == (85, 100)
        assert watch.move(D(10), again_ns + 2 * wait) is None
        assert watch.move(D(10), again_ns + 3 * wait) is False
        assert (watch.band, watch.up) == (0, 70)


@pytest.mark.parametrize(
    ("executions", "ratio", "grace"), [(0, "3", 5), (1, "3", 5), (3, "2.5", 5), (0, "2", 0)]
)
def test_the_ratio_of_orders_to_trades_is_full_exactly_when_the_next_order_is_denied(
    executions: int, ratio: str, grace: int
) -> None:
    """Judged by the interceptor itself: orders are approved one by one until it says no."""
    gate = world(order_to_trade_ratio_max=ratio, order_to_trade_grace_orders=grace)
    for _ in range(executions):
        gate.risk.windows.executions.add(T0)
    denied = False
    for n in range(40):
        used = next(
            one.used for one in gate.risk.usage(T0) if one.cap == "order_to_trade_ratio_max"
        )
        verdict = gate.review(wish("BUY", "0.01", f"{99 + n / 100:.2f}"), T0)
        denied = getattr(verdict, "reason", None) == "order_to_trade_ratio"
        assert (used >= D(ratio)) == denied, (n, used)
        if denied:
            break
    assert denied
