"""Equity, peaks, losses and latches; streaks and the throttle; bands before denials."""

from decimal import Decimal
from typing import Any

import pytest

from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.model.intents import OPERATOR
from riskcaps.gate.interceptor import Denied, Interceptor
from riskcaps.state.bands import FALL_AFTER_NS, CapNotice, Watch
from tests.unit.riskcaps.kit import (
    BTC,
    ETH,
    T0,
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
    trade,
    wish,
)  # fmt: skip


def breaches(notices: tuple[CapNotice, ...]) -> list[tuple[str, str]]:
    return [(n.cap, n.action) for n in notices if n.kind == "breach"]


def test_equity_is_marked_on_the_wrong_side_of_the_book() -> None:
    gate = ready()
    trade(gate, "BUY", "2", "100")
    assert gate.risk.equity(T0).equity == 2 * (D("99.99") - 100)
    trade(gate, "SELL", "4", "100")
    assert gate.risk.equity(T0).equity == -2 * (D("100.01") - 100)


def test_realised_unrealised_and_fees_add_up_to_the_cash_that_was_paid() -> None:
    gate = ready()
    cash = Decimal(0)
    trades = [
        ("BUY", "3", "90", "0.27", "USDT"), ("SELL", "1", "95", "0.095", "USDT"),
        ("BUY", "1.001", "97", "0.001", "BTC"), ("SELL", "5.5", "101.03", "0.1", "USDT"),
        ("BUY", "0.7", "99.99", "0.0007", "BTC"),
    ]  # fmt: skip
    for side, qty, price, fee, asset in trades:
        sign = -1 if side == "BUY" else 1
        cash += sign * D(qty) * D(price) - (D(fee) if asset == "USDT" else 0)
        gate.risk.on_fill(fill("x", side, qty, price, fee=fee, fee_asset=asset), T0)
    position = gate.risk.books.position(BTC)
    view = gate.risk.equity(T0)
    assert view.equity == cash + position * D("100.01" if position < 0 else "99.99")
    assert view.realised + view.unrealised - view.fees == view.equity


def test_an_average_that_does_not_divide_loses_nothing() -> None:
    gate = ready()
    trade(gate, "BUY", "1", "100")
    trade(gate, "BUY", "2", "100.01")
    trade(gate, "SELL", "1", "100.02")
    trade(gate, "SELL", "2", "100.03")
    assert gate.risk.equity(T0).equity == D("100.02") + 2 * D("100.03") - 100 - 2 * D("100.01")
    assert gate.risk.books.positions()[BTC].avg_px == 0


def test_quotes_and_fees_in_other_assets_are_converted_against_us() -> None:
    symbols = {"BTCUSDT": symbol_caps(), "BTCETH": symbol_caps()}
    gate = ready(caps_of(symbols=symbols))
    btceth = BTC.replace("USDT", "ETH")
    gate.risk.on_instruments([instrument(btceth, quote="ETH", base="BTC"), instrument(ETH)])  # type: ignore[arg-type]
    gate.risk.on_top(top("49", "51", name=ETH), T0)
    gate.risk.on_top(top("1.9", "2.1", name=btceth), T0)  # type: ignore[arg-type]
    gate.risk.on_fill(fill("x", "BUY", "1", "2", name=btceth), T0)  # type: ignore[arg-type]
    assert gate.risk.equity(T0).equity == (D("1.9") - 2) * 51  # a loss at the high rate
    gate.risk.on_top(top("2.2", "2.3", name=btceth), T0)  # type: ignore[arg-type]
    assert gate.risk.equity(T0).equity == (D("2.2") - 2) * 49  # a gain at the low one
    gate.risk.on_top(top("59", "61", name=ETH), T0)
    assert gate.risk.equity(T0).equity == (D("2.2") - 2) * 59  # the rate alone has moved


LOSSES = [
    ("loss_session_numeraire_max", "loss_session"),
    ("loss_day_numeraire_max", "loss_day"),
    ("drawdown_numeraire_max", "drawdown"),
]
WIDE = {"loss_session_numeraire_max": "900", "loss_day_numeraire_max": "900",
        "drawdown_numeraire_max": "900"}  # fmt: skip


def losing(gate: Interceptor, bid: str, now_ns: int = T0) -> tuple[CapNotice, ...]:
    ask = str(D(bid) + D("0.02"))
    return gate.risk.on_top(top(bid, ask, now_ns), now_ns)


@pytest.mark.parametrize(("cap", "reason"), LOSSES)
@pytest.mark.parametrize("action", ["reduce_only", "deny", "halt", "halt_and_flatten"])
def test_a_loss_at_its_cap_denies_new_risk_and_asks_for_its_action(
    cap: str, reason: str, action: str
) -> None:
    changes: dict[str, Any] = {**WIDE, cap: "10", f"{reason}_action": action}
    gate = ready(caps_of(**changes))
    trade(gate, "BUY", "1", "100")
    assert breaches(losing(gate, "90.01")) == []
    approve(gate, wish("BUY", "0.1", "90.00"))
    assert breaches(losing(gate, "90.00")) == [(cap, action)]
    assert deny(gate, wish("BUY", "0.1", "89.99")) == reason
    reducing = gate.review(wish("SELL", "0.5", "90.50"), T0)
    assert (str(getattr(reducing, "reason", ""))) == (reason if action == "deny" else "")
    for name in list(gate.risk.books.holds):
        gate.risk.on_terminal(name, T0)
    assert breaches(losing(gate, "95.00")) == []
    assert deny(gate, wish("BUY", "0.1", "94.00")) == reason  # latched
    gate.risk.re_enable("ada", T0)
    approve(gate, wish("BUY", "0.1", "94.00"))


def test_re_enabling_does_not_forgive_a_loss_that_is_still_there() -> None:
    gate = ready(caps_of(**{**WIDE, "drawdown_numeraire_max": "10"}))
    trade(gate, "BUY", "1", "100")
    losing(gate, "90.00")
    gate.risk.re_enable("ada", T0)
    assert deny(gate, wish("BUY", "0.1", "89.99")) == "drawdown"
    assert breaches(losing(gate, "89.00")) == [("drawdown_numeraire_max", "halt")]
    gate.risk.ledger.rebase("deposit")
    approve(gate, wish("BUY", "0.1", "88.99"))
    view = gate.risk.valuation.take_record()
    assert view is not None
    assert (view.rebased, view.drawdown, view.peak) == ("deposit", 0, view.equity)


def test_one_bad_tick_denies_but_does_not_stop() -> None:
    changes = {**WIDE, "drawdown_numeraire_max": "10", "loss_confirm_ms": 500}
    gate = ready(caps_of(**changes))
    trade(gate, "BUY", "1", "100")
    ms = NS_PER_MS
    assert breaches(losing(gate, "80.00")) == []
    assert deny(gate, wish("BUY", "0.1", "80.00")) == "drawdown"
    assert breaches(losing(gate, "99.00", T0 + 499 * ms)) == []
    approve(gate, wish("BUY", "0.1", "98.00"), T0 + 499 * ms)
    assert breaches(losing(gate, "80.00", T0 + 600 * ms)) == []
    assert breaches(losing(gate, "81.00", T0 + 1099 * ms)) == []
    assert breaches(losing(gate, "82.00", T0 + 1100 * ms)) == [("drawdown_numeraire_max", "halt")]
    assert breaches(losing(gate, "83.00", T0 + 1200 * ms)) == []  # told once


def test_drawdown_counts_from_the_peak_and_the_peak_moves_in_recorded_steps() -> None:
    gate = ready(caps_of(**{**WIDE, "drawdown_numeraire_max": "10"}))
    trade(gate, "BUY", "1", "100")
    gate.risk.valuation.take_record()
    losing(gate, "105.00")
    assert gate.risk.valuation.take_record().peak == 5
    losing(gate, "105.01")  # a thousandth of the cap: not above the step
    assert gate.risk.valuation.take_record() is None
    losing(gate, "105.02")
    assert gate.risk.valuation.take_record().peak == D("5.02")
    losing(gate, "95.03")
    approve(gate, wish("BUY", "0.1", "95.00"))
    losing(gate, "95.02")
    assert deny(gate, wish("BUY", "0.1", "94.00")) == "drawdown"


def test_the_days_loss_begins_anew_at_midnight_and_the_sessions_when_it_starts() -> None:
    gate = ready(caps_of(**{**WIDE, "loss_day_numeraire_max": "10", "loss_session_numeraire_max":
                            "12", "loss_day_action": "deny"}, clock_age_ms_max=10**9))  # fmt: skip
    trade(gate, "BUY", "1", "100")
    losing(gate, "91.00")
    midnight_ns = T0 + 4 * 3600 * NS_PER_S
    losing(gate, "90.50", midnight_ns)
    approve(gate, wish("BUY", "0.1", "90.00"), midnight_ns)  # 0.5 of the new day
    losing(gate, "88.00", midnight_ns)
    assert deny(gate, wish("BUY", "0.1", "87.00"), midnight_ns) == "loss_session"
    gate.risk.start_session(midnight_ns)
    approve(gate, wish("BUY", "0.1", "86.00"), midnight_ns)
    losing(gate, "81.00", midnight_ns)
    assert deny(gate, wish("BUY", "0.1", "80.00"), midnight_ns) == "loss_day"


def test_a_crossed_book_marks_nothing() -> None:
    gate = ready(caps_of(**{**WIDE, "drawdown_numeraire_max": "10"}))
    trade(gate, "BUY", "1", "100")
    assert breaches(gate.risk.on_top(top("50", "40"), T0)) == []
    assert gate.risk.equity(T0).equity == D("-0.01")


# ------------------------------------------------------------------ throttle and streaks
def test_executions_throttle_until_a_named_human_re_enables() -> None:
    gate = ready(caps_of(executions_without_human_max=2))
    trade(gate, "BUY", "1", "100")
    approve(gate, wish("SELL", "0.1", "101.00"))
    trade(gate, "BUY", "1", "100")
    assert deny(gate, wish("SELL", "0.1", "102.00")) == "executions_need_human"
    assert deny(gate, wish("BUY", "0.1", strategy_id=OPERATOR)) == "executions_need_human"
    approve(gate, wish("SELL", "0.1", "103.00", strategy_id=OPERATOR))  # people may reduce
    with pytest.raises(ValueError, match="name of a human"):
        gate.risk.re_enable("", T0)
    gate.risk.re_enable("ada", T0)
    approve(gate, wish("SELL", "0.1", "102.00"))


def test_a_streak_of_rejects_latches_and_one_acceptance_before_it_clears() -> None:
    gate = ready(caps_of(venue_reject_streak_max=2, venue_reject_streak_action="deny"))
    first = approve(gate, wish(price="99.00"))
    second = approve(gate, wish(price="98.00"))
    third = approve(gate, wish("BUY", "0.1", "97.00"))
    assert breaches(gate.risk.on_venue_reject(first, T0)) == []
    gate.risk.on_known(third, T0)
    assert breaches(gate.risk.on_venue_reject(second, T0)) == []
    fourth = approve(gate, wish(price="96.00"))
    fifth = approve(gate, wish("BUY", "0.1", "95.00"))
    assert breaches(gate.risk.on_venue_reject(fourth, T0)) == [("venue_reject_streak_max", "deny")]
    gate.risk.on_known(fifth, T0)
    assert deny(gate, wish(price="94.00")) == "venue_reject_streak"
    gate.risk.re_enable("ada", T0)
    approve(gate, wish(price="94.00"))


def test_losing_orders_in_a_row_are_counted_once_each_however_they_fill() -> None:
    gate = ready(caps_of(loss_streak_max=2, loss_streak_action="halt_and_flatten"))
    trade(gate, "BUY", "5", "100")

    def sell(prices: list[str], *, fee: str = "0") -> list[tuple[str, str]]:
        seen: list[tuple[str, str]] = []
        price = f"{94 + gate.risk.windows.orders.counts(gate.risk.now_ns)[0]}.00"
        name = approve(gate, wish("SELL", "1", price))
        for px in prices:
            qty = str(D(1) / len(prices))
            seen += breaches(gate.risk.on_fill(fill(name, "SELL", qty, px, fee=fee), T0))
        return seen

    assert sell(["99", "99.5"]) == []
    assert gate.risk.behaviour.loss_streak == 1
    assert sell(["101", "99.5"]) == []  # together a gain
    assert gate.risk.behaviour.loss_streak == 0
    assert sell(["100.05"], fee="0.1") == []  # a loss by its fee
    assert sell(["99"]) == [("loss_streak_max", "halt_and_flatten")]
    assert deny(gate, wish("SELL", "0.1", "105.00")) == "loss_streak"
    gate.risk.re_enable("ada", T0)
    approve(gate, wish("SELL", "0.1", "105.00"))


def test_an_order_that_adds_ends_no_streak() -> None:
    gate = ready()
    name = approve(gate, wish("BUY", "1"))
    gate.risk.on_fill(fill(name, "BUY", "1", "100", fee="1"), T0)
    assert gate.risk.behaviour.loss_streak == 0


# ------------------------------------------------------------------ bands
def test_bands_rise_before_anything_is_denied_and_fall_with_hysteresis() -> None:
    gate = ready(
        caps_of(symbols={"BTCUSDT": symbol_caps(position_long_base_max="1", orders_open_max=50)})
    )
    told: list[tuple[int, bool]] = []

    def look() -> list[tuple[int, bool]]:
        notices = gate.risk.alerts.take()
        return [(n.band, n.rising) for n in notices if n.cap == "position_long_base_max"]

    for i in range(8):
        approve(gate, wish("BUY", "0.1", f"99.{i:02d}"))
        told += look()
    assert told == [(70, True)]
    approve(gate, wish("BUY", "0.06", "98.00"))
    assert look() == [(85, True)]
    assert deny(gate, wish("BUY", "0.2", "97.00")) == "position_long"
    assert look() == []


def test_a_watch_tells_each_step_once_and_falls_five_points_below_after_five_seconds() -> None:
    watch = Watch("cap", "", Decimal(200))
    seen = []
    now_ns = 0
    for used in (139, 140, 150, 169, 170, 161, 160, 159, 140, 131, 130, 129, 200, 201, 191, 189, 0):
        for _ in range(2):
            moved = watch.move(Decimal(used), now_ns)
            if moved is not None:
                seen.append((used, watch.band, moved))
            now_ns += FALL_AFTER_NS
    assert seen == [
        (140, 70, True), (170, 85, True), (159, 70, False), (129, 0, False),
        (200, 100, True), (189, 85, False), (0, 0, False),
    ]  # fmt: skip


def test_a_use_that_comes_back_within_five_seconds_is_not_told_again() -> None:
    watch = Watch("orders_per_second_max", "", 10)
    told = []
    for tenth in range(100):  # ten seconds of a window that fills and empties
        moved = watch.move(8 if tenth % 10 < 5 else 0, tenth * NS_PER_S // 10)
        told += [] if moved is None else [moved]
    assert told == [True]
    assert watch.move(0, 14_400_000_000) is None
    assert watch.move(0, 14_500_000_000) is False


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 7, 10, 100])
def test_the_next_step_of_a_count_is_never_above_its_limit(limit: int) -> None:
    watch = Watch("cap", "", limit)
    for used in range(limit + 1):
        watch.move(used, 0)
        assert watch.up <= limit
    assert watch.band == (100 if limit else 0)


def test_a_market_move_raises_an_alert_within_a_second() -> None:
    gate = ready()
    trade(gate, "BUY", "4", "100")
    gate.risk.alerts.take()
    later_ns = T0 + NS_PER_S
    notices = gate.risk.on_top(top("130.00", "130.02", later_ns), later_ns)
    assert ("exposure_quote_max", "BTCUSDT", 85) in {(n.cap, n.symbol, n.band) for n in notices}
    assert all(n.text and n.used and n.limit for n in notices)


def test_the_fill_of_a_held_order_tells_its_bands_at_once() -> None:
    """Executions at 70 %, and a loss at 85 %, in the very turn of the fill that brought them."""
    gate = ready(
        caps_of(**{**WIDE, "executions_without_human_max": 3, "drawdown_numeraire_max": "10"})
    )
    assert gate.risk.on_clock(0, 0, T0) == ()  # the periodic look is over for this second

    def filled(price: str, px: str) -> set[tuple[str, int]]:
        name = approve(gate, wish("BUY", "1", price))
        return {(n.cap, n.band) for n in gate.risk.on_fill(fill(name, "BUY", "1", px), T0)}

    assert filled("100.00", "100") == set()
    assert filled("99.00", "99") == set()  # two of three are 66 %
    assert filled("108.00", "108.60") == {
        ("executions_without_human_max", 100),
        ("drawdown_numeraire_max", 85),
    }


def test_a_fill_beyond_the_position_cap_is_a_breach_that_halts() -> None:
    gate = ready()
    notices = gate.risk.on_fill(fill("late", "BUY", "5.001"), T0)
    assert breaches(notices) == [("position_long_base_max", "halt")]
    assert breaches(gate.risk.on_fill(fill("back", "SELL", "5.001"), T0)) == []
    assert breaches(gate.risk.on_fill(fill("late", "SELL", "5.001"), T0)) == [
        ("position_short_base_max", "halt")
    ]


def test_tightened_caps_bind_at_once() -> None:
    gate = ready()
    approve(gate, wish("BUY", "2"))
    gate.risk.set_capset(gate.risk.capset.tighten({"symbols.BTCUSDT.position_long_base_max": "3"}))
    assert deny(gate, wish("BUY", "1.001", "99.00")) == "position_long"
    answer = gate.review(wish("BUY", "1", "99.00"), T0)
    context = gate.risk.contexts.of(BTC)
    assert answer.decision["context"] == context.digest
    assert context.plain["caps_hash"] == gate.risk.capset.hash
    assert context.plain["caps"]["position_long_base_max"] == "3"


def test_of_several_reached_losses_the_one_that_denies_all_denies_reducing_too() -> None:
    changes = {**WIDE, "loss_session_numeraire_max": "5", "loss_day_numeraire_max": "6",
               "loss_day_action": "deny"}  # fmt: skip
    gate = ready(caps_of(**changes))
    trade(gate, "BUY", "1", "100")
    losing(gate, "94.50")
    approve(gate, wish("SELL", "0.1", "95.00"))
    losing(gate, "93.50")
    assert deny(gate, wish("SELL", "0.1", "96.00")) == "loss_day"


def test_an_even_order_is_no_loss() -> None:
    gate = ready(caps_of(loss_streak_max=1))
    trade(gate, "BUY", "1", "100")
    name = approve(gate, wish("SELL", "0.5", "101.00"))
    gate.risk.on_fill(fill(name, "SELL", "0.5", "100"), T0)
    assert gate.risk.behaviour.loss_streak == 0
    fee_elsewhere = approve(gate, wish("SELL", "0.5", "102.00"))
    gate.risk.on_fill(fill(fee_elsewhere, "SELL", "0.5", "100", fee="1", fee_asset="BNB"), T0)
    assert gate.risk.behaviour.loss_streak == 0


def test_a_session_starts_from_the_equity_of_now_and_says_so() -> None:
    gate = ready(caps_of(**WIDE))
    trade(gate, "BUY", "1", "90")
    gate.risk.valuation.take_record()
    gate.risk.start_session(T0)
    record = gate.risk.valuation.take_record()
    assert record is not None
    assert record.to_plain()["session_open"] == "9.99"
    assert record.to_plain()["rebased"] == ""
    assert gate.risk.valuation.take_record() is None
    gate.risk.ledger.rebase("deposit")
    gate.risk.valuation.take_record()
    gate.risk.start_session(T0)
    assert gate.risk.valuation.take_record().rebased == ""


def test_a_rebase_that_was_folded_opens_the_latches() -> None:
    gate = ready(caps_of(**WIDE))
    gate.risk.ledger.latch("drawdown_numeraire_max")
    fields = {"peak": "5", "day": 3, "day_open": "1", "session_open": None, "rebased": ""}
    gate.risk.ledger.apply(fields)
    assert gate.risk.ledger.state() == {
        "peak": "5", "day": 3, "day_open": "1", "session_open": None, "latched": ["drawdown"],
    }  # fmt: skip
    gate.risk.ledger.apply({**fields, "rebased": "deposit"})
    assert gate.risk.ledger.state()["latched"] == []


def test_equity_after_a_restart_waits_for_prices() -> None:
    gate = ready(caps_of(**WIDE))
    trade(gate, "BUY", "1", "90")
    twin = bare_gate(caps_of(**WIDE))
    twin.restore(gate.state())
    assert twin.risk.equity(T0).equity is None
    assert twin.risk.equity(T0).drawdown is None
    tell(twin)
    assert twin.risk.equity(T0) == gate.risk.equity(T0)
    flat = ready(caps_of(**WIDE))
    trade(flat, "BUY", "1", "90")
    trade(flat, "SELL", "1", "95")
    again = bare_gate(caps_of(**WIDE))
    again.restore(flat.state())
    assert again.risk.equity(T0).equity == 5


def test_equity_that_is_unknown_names_the_price_that_is_missing() -> None:
    """A fee in a third asset, one fill, and the denial says what to add (field report)."""
    gate = ready(caps_of(conversions={"ETH": ["ETHUSDT"]}))
    assert gate.risk.valuation.unvalued() == {}
    gate.risk.on_fill(fill("x", "BUY", "1", "100", fee="0.01", fee_asset="BNB"), T0)
    verdict = gate.review(wish("BUY", "0.1"), T0)
    assert isinstance(verdict, Denied)
    assert verdict.reason.value == "equity_unknown"
    said = verdict.context["BNB"]
    assert 'add BNB = ["BNBUSDT"] to [caps.conversions], "BNBUSDT" to venue.symbols' in said
    assert gate.risk.valuation.unvalued() == {"BNB": said}


def test_a_declared_path_whose_symbol_is_silent_or_not_watched_is_named() -> None:
    gate = ready(caps_of(conversions={"BNB": ["BNBUSDT"]}))
    gate.risk.on_fill(fill("x", "BUY", "1", "100", fee="0.01", fee_asset="BNB"), T0)
    assert "BNBUSDT" in gate.risk.valuation.unvalued()["BNB"]
