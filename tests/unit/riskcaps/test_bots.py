"""Caps of one bot bind its orders, count nothing of others, and never loosen the account's."""

import json
from typing import Any

import pytest

from daemon.model.amounts import NS_PER_MS
from daemon.model.enums import TradingState
from daemon.model.halt import HaltFlag
from daemon.model.ids import ClientOrderIdFactory, StrategyId, run_id
from daemon.model.intents import OPERATOR, CancelIntent, PlaceIntent
from daemon.model.position import Balance
from evidence.judge.redecide import Redecision
from riskcaps.gate.interceptor import Approved, CancelApproved, Denied, Interceptor
from riskcaps.words.capset import CapConfigError, capset_from_mapping
from tests.unit.riskcaps.kit import (
    BTC,
    T0,
    D,
    approve,
    caps_of,
    deny,
    fill,
    instrument,
    order,
    ready,
    symbol_caps,
    tell,
    top,
    wish,
)

A, B = StrategyId("bot:a"), StrategyId("bot:b")


def gate_with(bots: dict[str, Any], **changes: Any) -> Interceptor:
    return ready({**caps_of(**changes), "bots": bots})


def by(bot: StrategyId, side: str = "BUY", qty: str = "1", **changes: Any) -> PlaceIntent:
    return wish(side, qty, changes.pop("price", "100.00"), strategy_id=bot, **changes)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"symbols": {"BTCUSDT": {"order_qty_base_max": "0.5"}}}, "order_qty"),
        ({"symbols": {"BTCUSDT": {"order_notional_quote_max": "60"}}}, "order_notional"),
        ({"symbols": {"BTCUSDT": {"position_long_base_max": "0.5"}}}, "position_long"),
        ({"symbols": {"BTCUSDT": {"exposure_quote_max": "60"}}}, "exposure_symbol"),
        ({"symbols": {"BTCUSDT": {"sides": ["SELL"]}}}, "side_not_allowed"),
        ({"symbols": {"BTCUSDT": {"order_types": ["MARKET"]}}}, "order_type_not_allowed"),
        ({"symbols": {"BTCUSDT": {"orders_open_max": 0}}}, "orders_open_symbol"),
        ({"orders_open_max": 0}, "orders_open_total"),
        ({"exposure_gross_numeraire_max": "60"}, "exposure_gross"),
        ({"exposure_net_numeraire_max": "60"}, "exposure_net"),
        ({"orders_per_minute_max": 0}, "orders_per_minute"),
        ({"messages_per_second_max": 40}, "messages_per_second"),
        ({"traded_notional_per_day_numeraire_max": "60"}, "traded_notional_per_day"),
        ({"symbols_traded_max": 0}, "symbols_traded"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_bots_cap_binds_its_orders_and_nobody_elses(table: dict[str, Any], reason: str) -> None:
    gate = gate_with({"a": table})
    answer = gate.review(by(A), T0)
    assert isinstance(answer, Denied)
    assert answer.reason == reason
    assert answer.context["bot"] == "a"
    assert answer.decision["verdict"] == reason
    approve(gate, by(B))
    approve(gate, wish("BUY", "0.9"))


def test_what_others_do_fills_no_cap_of_a_bot() -> None:
    gate = gate_with({"a": {"orders_open_max": 1}, "b": {"orders_open_max": 1}})
    first = approve(gate, by(A))
    approve(gate, by(B))
    approve(gate, wish("BUY", "0.5"))
    assert deny(gate, by(A, qty="0.2")) == "orders_open_total"
    gate.risk.on_known(first, T0)
    gate.risk.on_terminal(first, T0)
    approve(gate, by(A, qty="0.2"))
    assert deny(gate, by(B, qty="0.2")) == "orders_open_total"


def test_the_same_order_of_two_bots_is_no_duplicate_and_of_one_bot_is() -> None:
    gate = gate_with({"a": {"duplicate_window_ms": 1000}, "b": {}})
    for bot in (A, B):
        approve(gate, by(bot))
    later = T0 + 500 * NS_PER_MS
    assert deny(gate, by(A), later) == "duplicate_order"
    approve(gate, by(B), later)  # the account's own window is over


def test_a_table_that_is_not_stricter_is_refused_with_its_place() -> None:
    table = {"orders_open_max": 99, "symbols": {"BTCUSDT": {"order_qty_base_max": "3", "x": 1}}}
    with pytest.raises(CapConfigError) as caught:
        capset_from_mapping({**caps_of(), "bots": {"a": table}})
    keys = [one.key for one in caught.value.violations]
    assert keys == [
        "bots.a.orders_open_max",
        "bots.a.symbols.BTCUSDT.order_qty_base_max",
        "bots.a.symbols.BTCUSDT.x",
    ]


def test_bots_stand_in_the_hash_and_a_set_without_them_hashes_as_before() -> None:
    plain = capset_from_mapping(caps_of())
    bound = capset_from_mapping({**caps_of(), "bots": {"a": {"orders_open_max": 1}}})
    assert "bots" not in plain.to_plain()
    assert plain.hash != bound.hash
    assert capset_from_mapping(json.loads(json.dumps(bound.to_plain()))).hash == bound.hash


def test_an_account_that_is_tightened_below_a_bots_table_binds_the_bot() -> None:
    gate = gate_with({"a": {"orders_open_max": 2}})
    gate.risk.set_capset(gate.risk.capset.tighten({"orders_open_max": 1}))
    approve(gate, by(A))
    assert deny(gate, by(A, qty="0.2")) == "orders_open_total"


def test_a_bots_rejects_deny_that_bot_and_lengthen_no_streak_of_the_account() -> None:
    gate = gate_with({"a": {"venue_reject_streak_max": 2}})
    first, second = (approve(gate, by(A, qty=f"0.{number + 1}")) for number in range(2))
    assert gate.risk.on_venue_reject(first, T0) == ()
    (notice,) = gate.risk.on_venue_reject(second, T0)
    assert gate.risk.behaviour.reject_streak == 0
    assert deny(gate, by(A)) == "venue_reject_streak"
    assert (notice.bot, notice.cap, notice.kind) == ("a", "venue_reject_streak_max", "breach")
    approve(gate, by(B))
    gate.risk.bots.by_name["a"].re_enable("ada", T0)
    approve(gate, by(A))


def test_cancels_of_a_bot_have_its_own_budget_and_fold_into_it() -> None:
    gate = gate_with({"a": {"cancels_per_second_max": 1}, "b": {}})
    twin = gate_with({"a": {"cancels_per_second_max": 1}, "b": {}})
    names = {bot: approve(gate, by(bot)) for bot in (A, B)}
    for bot, name in names.items():
        assert approve(twin, by(bot)) == name
    mine, other = (order(str(names[bot]), strategy_id=bot) for bot in (A, B))
    cancel = CancelIntent(strategy_id=A, client_order_id=names[A])
    assert isinstance(gate.review_cancel(cancel, mine, T0), CancelApproved)
    denied = gate.review_cancel(cancel, mine, T0)
    assert isinstance(denied, Denied)
    assert denied.reason == "cancels_per_second"
    others = CancelIntent(strategy_id=B, client_order_id=names[B])
    assert isinstance(gate.review_cancel(others, other, T0), CancelApproved)
    operator = CancelIntent(strategy_id=OPERATOR, client_order_id=names[A])
    assert isinstance(gate.review_cancel(operator, mine, T0), CancelApproved), "people always may"
    for bot in (A, B, A):
        twin.risk.on_cancel_sent(names[bot], T0)
    assert twin.state() == gate.state()


def test_the_loss_of_the_day_is_what_was_realised_and_what_is_open() -> None:
    gate = gate_with({"a": {"loss_day_numeraire_max": "3"}})
    bought = approve(gate, by(A, qty="1"))
    gate.risk.on_fill(fill(bought, "BUY", "1", "100"), T0)
    gate.risk.on_top(top("97.00", "97.10", T0 + 1), T0 + 1)  # 3 lost
    assert deny(gate, by(A, qty="0.2", price="97.00"), T0 + 1) == "loss_day"
    approve(gate, by(A, "SELL", "0.5", price="98.00"), T0 + 1)  # reducing passes
    approve(gate, by(B, qty="0.2", price="97.00"), T0 + 1)
    gate.risk.on_top(top("99.99", "100.01", T0 + 2), T0 + 2)
    approve(gate, by(A, qty="0.3", price="97.50"), T0 + 2)


def test_a_bot_reduces_its_own_position_only() -> None:
    """While trading is REDUCING, what shrinks the account's position may grow a bot's own."""
    gate = gate_with({"a": {}, "b": {}})
    name = approve(gate, by(A, qty="1"))
    gate.risk.on_fill(fill(name, "BUY", "1", "100"), T0)
    gate.risk.set_trading_state(TradingState.REDUCING)
    assert deny(gate, by(B, "SELL", "0.5", price="101.00")) == "not_reducing"
    approve(gate, by(A, "SELL", "0.5", price="101.00"))


def test_a_restart_forgets_nothing_of_a_bot() -> None:
    bots = {"a": {"orders_open_max": 2, "orders_per_day_max": 3}}
    gate = gate_with(bots)
    first = approve(gate, by(A))
    gate.risk.on_fill(fill(first, "BUY", "1", "100"), T0)
    second = approve(gate, by(A, qty="0.5"))
    deny(gate, by(A, qty="1.9", price="50.00"))  # a denied wish is no fact
    state = json.loads(json.dumps(gate.state()))
    twin = Interceptor(
        capset=capset_from_mapping({**caps_of(), "bots": bots}),
        ids=ClientOrderIdFactory(run_id("gate00", 1)),
        halt=HaltFlag(),
    )
    twin.restore(state)
    assert twin.state() == gate.state()
    tell(twin)
    for one in (gate, twin):
        approve(one, by(A, qty="0.4"))
        assert deny(one, by(A, qty="0.3")) == "orders_open_total"
        one.risk.on_terminal(second, T0)
        assert deny(one, by(A, qty="0.3")) == "orders_per_day"
        assert one.risk.bots.by_name["a"].books.position(BTC) == 1
    assert twin.state() == gate.state()


def test_the_line_of_an_approval_folds_into_the_same_state() -> None:
    bots = {"a": {"orders_open_max": 2}}
    gate, twin = gate_with(bots), gate_with(bots)
    answer = gate.review(by(A), T0)
    assert isinstance(answer, Approved)
    order = answer.order
    line = {
        "client_order_id": order.client_order_id, "strategy_id": "bot:a", "instrument_id": BTC,
        "side": "BUY", "order_type": "LIMIT", "qty": "1", "price": "100.00", "stop_price": None,
        "decision": answer.decision,
    }  # fmt: skip
    twin.restore_approved(json.loads(json.dumps(line)), T0)
    assert twin.state() == gate.state()


def test_old_checkpoints_know_no_bots_and_sets_without_bots_write_none() -> None:
    gate = ready()
    approve(gate, wish())
    assert not {"bots", "owners"} & set(gate.state())
    with_bots = gate_with({"a": {}})
    with_bots.restore(json.loads(json.dumps(gate.state())))
    assert with_bots.risk.bots.by_name["a"].books.holds == {}


def test_the_accountant_decides_a_bots_order_from_the_line_alone() -> None:
    gate = gate_with({"a": {"symbols": {"BTCUSDT": {"position_long_base_max": "1.5"}}}})
    gate.risk.on_balances([Balance("USDT", D(5000), D(0))], T0)
    for number, verdict in enumerate(("approved", "position_long")):
        answer = gate.review(by(A, qty=f"1.{number}"), T0 + number)
        decision = json.loads(json.dumps(answer.decision))
        context = json.loads(json.dumps(dict(gate.risk.contexts.of(BTC).plain)))
        assert decision["verdict"] == verdict
        assert Redecision({**decision, **context}).verdict() == verdict
        loosened = {**context, "portfolio_caps": {**context["portfolio_caps"], "bots": {}}}
        assert Redecision({**decision, **loosened}).verdict() == "approved"
    assert instrument().symbol == "BTCUSDT"
    assert symbol_caps()["position_long_base_max"] == "5"
