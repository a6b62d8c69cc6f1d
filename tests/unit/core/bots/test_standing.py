"""Bots apart from each other: money, states, streaks; and all of it after a crash."""

from decimal import Decimal

import pytest

from control.tool.incident_view import incident_lines
from daemon.core.engine_config import BotSpec
from daemon.model.bots import BotRefusal, BotState, BotThrottled, DenialSource, ReplaceMode
from daemon.model.effects import SendOrder
from daemon.model.enums import OrderType, ReportSource, Side, VenueOrderStatus
from daemon.model.inputs import (
    BalancesChanged,
    InstrumentsLoaded,
    OutcomeUnknown,
    SnapshotTaken,
    VenueReject,
)
from daemon.model.position import Balance
from daemon.model.reject_kind import RejectKind
from daemon.model.reports import Reject
from riskcaps.state.bands import CapNotice
from tests.support.bot_stage import CX, FT, BotStage, bot_caps, ready
from tests.support.builders import BTC, caps, command, fill, instrument, snapshot
from tests.support.screenplay import cancels, only, replies

RICH = BotSpec(name="ft", symbols=("BTCUSDT",), capital={"USDT": Decimal(100)})
POOR = BotSpec(name="cx", symbols=("BTCUSDT",), capital={"USDT": Decimal(30)})


def refused(cid: str, kind: RejectKind = RejectKind.FAULT) -> VenueReject:
    return VenueReject(
        Reject(
            client_order_id=cid, instrument_id=BTC, code=-2010, reason="no", ts_recv_ns=0, kind=kind
        )
    )


# ---------------------------------------------------------------------- money
def test_an_allotment_moves_with_the_bots_own_fills_and_holds_alone() -> None:
    stage = ready(RICH, POOR)
    assert stage.balances["ft"]["USDT"] == ("100", "0")
    assert stage.balances["cx"]["USDT"] == ("30", "0")
    cid = stage.rest("a1", qty="0.5", price="99.00")
    assert stage.balances["ft"]["USDT"] == ("50.500", "49.500")
    stage.tell(stage.trade(cid, 1, "0.2", fee="0.1"))
    assert stage.balances["ft"]["USDT"] == ("50.400", "29.700")
    assert stage.balances["ft"]["BTC"] == ("0.2", "0")
    stage.tell(stage.canceled(cid))
    assert stage.balances["ft"]["USDT"] == ("80.100", "0")
    assert stage.balances["cx"]["USDT"] == ("30", "0"), "nobody else's"


def test_more_than_the_allotment_is_refused_before_the_caps_are_asked() -> None:
    stage = ready(RICH, POOR)
    stage.tell(stage.asks("a1", bot="cx", qty="0.4"))
    denial = stage.denial()
    assert (denial.source, denial.reason) == (DenialSource.DOOR, BotRefusal.ALLOTMENT_EXCEEDED)
    assert (denial.context["used"], denial.context["limit"]) == ("39.6", "30")
    stage.tell(stage.asks("a2", bot="cx", side=Side.SELL, price="101.00"))
    assert stage.denial().reason == BotRefusal.ALLOTMENT_EXCEEDED, "it owns no BTC"
    assert only(SendOrder, stage.tell(stage.asks("a3", bot="cx", qty="0.3")))


def test_a_fully_allotted_order_is_replaced_at_equal_size_and_holds_once() -> None:
    stage = ready(RICH)
    old = stage.rest("a1", qty="1", price="99.00")
    assert stage.balances["ft"]["USDT"] == ("1.00", "99.00")
    request, new = stage.replace("a1", "a2", price="98.00", qty="1")
    assert stage.balances["ft"]["USDT"] == ("1.00", "99.00"), "the larger of the two, not both"
    book = stage.gate.risk.books.book(BTC)
    assert book.buys_open == Decimal(2), "the caps hold both: the old one may trade meanwhile"
    stage.tell(stage.canceled(old, ReportSource.REPLY), stage.ack(new, venue_id="2"))
    assert stage.answers[request].denial is None
    assert stage.balances["ft"]["USDT"] == ("2.00", "98.00")


def test_where_the_new_order_goes_whatever_becomes_of_the_old_both_are_paid_for() -> None:
    stage = ready(RICH)
    stage.rest("a1", qty="1", price="99.00")
    mode = ReplaceMode.ALLOW_FAILURE
    stage.tell(stage.asks_replace("a1", "a2", price="98.00", qty="1", mode=mode))
    assert not stage.facts_of("order_approved")[1:], "the old one may be filled: it is not free"


def test_a_market_order_to_buy_is_paid_for_at_the_collars_edge() -> None:
    """The ask is 100.10, the collar 5 %: the allotment of 100 pays for 0.95 and not for 0.96."""
    stage = ready(RICH)
    stage.tell(stage.asks("a1", qty="0.96", price=None))
    assert stage.denial().reason == BotRefusal.ALLOTMENT_EXCEEDED
    cid = stage.place("a2", qty="0.95", price=None)
    stage.tell(stage.trade(cid, 1, "0.95", price="105.1"))
    assert Decimal(stage.balances["ft"]["USDT"][0]) >= 0
    assert Decimal("0.95") * Decimal("105.1") <= 100, "even at that edge it is within it"


def test_never_more_is_free_than_the_account_has() -> None:
    stage = ready(RICH, balances={"USDT": "100000", "BTC": "1"})
    stage.tell(BalancesChanged((Balance("USDT", Decimal(60), Decimal(99_940)),), 1))
    assert stage.balances["ft"]["USDT"] == ("60", "0")


def test_allotments_that_exceed_the_account_keep_a_start_away() -> None:
    stage = BotStage(RICH, POOR).ready(USDT="120", BTC="1")
    (answer,) = replies(stage.tell(command("start", "x")))
    assert "130 USDT, the account has 120" in answer.error_message
    assert stage.engine.status(stage.now_ns)["allotments_short"]


def test_when_balances_fall_below_the_allotments_nothing_more_is_spent_of_them() -> None:
    stage = ready(RICH, POOR)
    stage.tell(BalancesChanged((Balance("USDT", Decimal(120), Decimal(0)),), 1))
    stage.tell(stage.asks("a1", qty="0.1"))
    assert stage.denial().reason == BotRefusal.ALLOTMENT_EXCEEDED
    stage.tell(BalancesChanged((Balance("USDT", Decimal(100_000), Decimal(0)),), 2))
    assert only(SendOrder, stage.tell(stage.asks("a2", qty="0.1")))


def test_without_capital_a_bot_sees_the_accounts_balances() -> None:
    stage = ready(FT)
    assert stage.balances["ft"]["USDT"] == ("100000", "0")


# ---------------------------------------------------------------------- positions and views
def test_positions_and_views_are_each_bots_own() -> None:
    stage = ready(FT, CX)
    mine = stage.rest("same", venue_id="1", qty="0.2")
    other = stage.rest("same", bot="cx", venue_id="2", side=Side.SELL, price="101.00")
    stage.tell(stage.trade(mine, 1, "0.2", venue_id="1"))
    stage.tell(stage.trade(other, 2, "0.1", price="101.00", venue_id="2"))
    views = {view.bot: view for view in stage.engine.bot_views()}
    assert [one.own_id for one in views["ft"].orders] == [mine]
    assert [one.own_id for one in views["cx"].orders] == [other]
    told = stage.engine.status(stage.now_ns)["bots"]
    assert told["ft"]["positions"]["BTCUSDT"]["qty"] == "0.2"
    assert told["cx"]["positions"]["BTCUSDT"]["qty"] == "-0.1"
    assert stage.position() == "0.1"


def test_a_round_trip_is_realised_at_average_cost_less_fees() -> None:
    stage = ready(FT)
    for number, (own_id, price) in enumerate([("b1", "99.00"), ("b2", "97.00")]):
        cid = stage.rest(own_id, price=price, venue_id=str(number))
        stage.tell(stage.trade(cid, number, "0.1", price=price, venue_id=str(number), fee="0.01"))
    cid = stage.rest("s1", side=Side.SELL, price="101.00", qty="0.15", venue_id="9")
    stage.tell(stage.trade(cid, 9, "0.15", price="101.00", venue_id="9", fee="0.02"))
    told = stage.engine.status(stage.now_ns)["bots"]["ft"]["positions"]["BTCUSDT"]
    assert told == {"qty": "0.05", "realised_pnl": "0.41", "fees_quote": "0.04"}


# ---------------------------------------------------------------------- states
def test_a_suspended_bot_may_not_place_and_the_others_go_on() -> None:
    stage = ready(FT, CX)
    mine = stage.rest("a1", venue_id="1")
    stage.rest("a1", bot="cx", venue_id="2", price="98.00")
    stage.switch(BotState.SUSPENDED, cancel=True)
    (line,) = stage.facts_of("bot_switched")
    assert line["canceled"] == [mine]
    assert stage.status_of(mine) == "PENDING_CANCEL"
    stage.tell(stage.asks("a2", price="97.00"))
    assert stage.denial().reason == BotRefusal.SUSPENDED
    assert only(SendOrder, stage.tell(stage.asks("a2", bot="cx", price="96.00")))
    stage.switch(BotState.ACTIVE)
    assert only(SendOrder, stage.tell(stage.asks("a3", price="95.50")))


def test_revoked_is_for_good_and_silence_lifts_no_suspension() -> None:
    stage = ready(FT, CX)
    stage.switch(BotState.SUSPENDED)
    stage.switch(BotState.GONE)
    stage.tell(stage.asks("a1"))
    assert stage.denial().reason == BotRefusal.SUSPENDED
    stage.switch(BotState.REVOKED)
    stage.switch(BotState.ACTIVE)
    stage.tell(stage.asks("a2"))
    assert stage.denial().reason == BotRefusal.REVOKED


def test_who_is_gone_loses_its_orders_but_not_the_stop_that_protects_it() -> None:
    stage = ready(BotSpec(name="ft", symbols=("BTCUSDT",), stops_reduce_only=False), CX)
    stage.tell(
        InstrumentsLoaded((instrument(order_types=frozenset(OrderType)), instrument("ETHUSDT")))
    )
    bought = stage.rest("b1", venue_id="1")
    stage.tell(stage.trade(bought, 1, "0.1", venue_id="1"))
    stop = {"side": Side.SELL, "order_type": OrderType.STOP_LOSS_LIMIT, "price": "97.00"}
    kept = stage.rest("s1", venue_id="2", stop_price=Decimal("98.00"), **stop)
    beyond = stage.rest(
        "s2", venue_id="3", stop_price=Decimal("98.50"), **(stop | {"price": "97.50"})
    )
    plain = stage.rest("b2", venue_id="4", price="96.00")
    stage.switch(BotState.GONE, cancel=True)
    (line,) = stage.facts_of("bot_switched")
    assert line["canceled"] == [beyond, plain]
    assert stage.status_of(kept) == "ACCEPTED"
    assert only(SendOrder, stage.tell(stage.asks("b3", price="96.50"))), "it is back"
    assert stage.facts_of("bot_switched")[-1]["state"] == "active"


def test_faulty_orders_in_a_row_suspend_that_bot_alone() -> None:
    stage = ready(
        BotSpec(name="ft", symbols=("BTCUSDT",), reject_streak_max=3),
        CX,
        capset=bot_caps(venue_reject_streak_max=2),
    )
    for number in range(3):
        stage.tell(refused(stage.place(f"a{number}", price=f"9{6 + number}.00")))
    assert stage.facts_of("bot_switched")[-1]["reason"] == "3 faulty orders in a row"
    stage.tell(stage.asks("a9"))
    assert stage.denial().reason == BotRefusal.SUSPENDED
    assert only(SendOrder, stage.tell(stage.asks("c1", bot="cx"))), "the account's streak is none"
    assert stage.incidents() == []


def test_post_only_refusals_are_no_streak_and_no_storm() -> None:
    stage = ready(BotSpec(name="ft", symbols=("BTCUSDT",), reject_streak_max=3), CX)
    for number in range(20):
        cid = stage.place(f"a{number}", price=f"97.{number:02d}")
        stage.tell(refused(cid, RejectKind.BUSINESS))
    assert only(SendOrder, stage.tell(stage.asks("last", price="96.55")))
    assert stage.incidents() == []


def test_losing_orders_in_a_row_suspend_the_bot_and_cancel_its_orders() -> None:
    stage = ready(
        BotSpec(name="ft", symbols=("BTCUSDT",), loss_streak_max=2),
        CX,
        capset=bot_caps(loss_streak_max=1),
    )
    resting = stage.rest("r", price="96.00", venue_id="77")
    for number in range(2):
        stage.after(5)  # two equal orders are a duplicate within the window
        bought = stage.rest(f"b{number}", price="100.00", venue_id=f"1{number}")
        stage.tell(stage.trade(bought, 2 * number, "0.1", price="100.00", venue_id=f"1{number}"))
        sold = stage.rest(f"s{number}", side=Side.SELL, price="99.00", venue_id=f"2{number}")
        stage.tell(stage.trade(sold, 2 * number + 1, "0.1", price="99.00", venue_id=f"2{number}"))
    (line,) = stage.facts_of("bot_switched")
    assert line["reason"] == "2 orders in a row closed at a loss"
    assert line["canceled"] == [resting]
    assert stage.incidents() == [], "the account's streak is none of it"


def test_a_breach_of_a_bots_own_cap_suspends_that_bot_and_halts_nobody() -> None:
    stage = ready(FT, CX)
    mine = stage.rest("a1")
    text = "loss_day of ft: 21 of 20"
    stage.engine._ctx.ledger.notices.append(
        CapNotice("breach", "loss_day_numeraire_max", "", 100, True, "21", "20", "halt", text, "ft")
    )
    stage.quote()
    (line,) = stage.facts_of("bot_switched")
    assert (line["state"], line["reason"], line["canceled"]) == ("suspended", text, [mine])
    assert stage.incidents() == []
    assert stage.reborn().engine.state_hash() == stage.engine.state_hash()
    assert only(SendOrder, stage.tell(stage.asks("c1", bot="cx", price="98.00")))


def test_the_reject_streak_of_a_bots_own_caps_suspends_it_alone() -> None:
    stage = ready(FT, CX, capset=bot_caps(bots={"ft": {"venue_reject_streak_max": 2}}))
    mine = stage.rest("r", price="96.00", venue_id="9")
    for number in range(2):
        stage.tell(refused(stage.place(f"a{number}", price=f"9{7 + number}.00")))
    (line,) = stage.facts_of("bot_switched")
    assert (line["bot"], line["state"], line["canceled"]) == ("ft", "suspended", [mine])
    assert "venue_reject_streak_max" in line["reason"]
    (alert,) = [one for one in stage.facts_of("cap_alert") if one["kind"] == "breach"]
    assert (alert["bot"], alert["cap"]) == ("ft", "venue_reject_streak_max")
    assert stage.incidents() == []
    assert only(SendOrder, stage.tell(stage.asks("c1", bot="cx", price="98.00")))


def test_the_same_order_is_a_duplicate_of_its_own_bots_only() -> None:
    stage = ready(FT, CX, capset=bot_caps(duplicate_window_ms=1000))
    for bot in ("ft", "cx"):
        assert only(SendOrder, stage.tell(stage.asks("a1", bot=bot)))
        stage.tell(stage.asks("a2", bot=bot))
        assert stage.denial().reason == "duplicate_order"


def test_two_bots_do_not_trade_with_each_other() -> None:
    """At the venue they are one account: a trade between them would be a wash trade."""
    stage = ready(FT, CX)
    stage.rest("a1", price="99.00")
    stage.tell(stage.asks("b1", bot="cx", side=Side.SELL, price="99.00"))
    assert stage.denial().reason == "self_trade"
    assert only(SendOrder, stage.tell(stage.asks("b2", bot="cx", side=Side.SELL, price="99.01")))


def test_what_is_kept_away_is_one_line_and_a_tally() -> None:
    stage = ready(FT)
    stage.tell(BotThrottled(bot="ft", count=900, window_ms=1000))
    assert stage.facts_of("bot_throttled")[0]["count"] == 900
    assert stage.engine.status(stage.now_ns)["bots"]["ft"]["throttled"] == 900


# ---------------------------------------------------------------------- after a crash
def scene() -> BotStage:
    stage = ready(RICH, CX)
    filled = stage.rest("a1", venue_id="1", qty="0.3")
    stage.tell(stage.trade(filled, 1, "0.2", venue_id="1", fee="0.01"))
    stage.rest("a2", bot="cx", venue_id="2", price="98.00")
    doubt = stage.place("a3", price="97.00")
    stage.tell(OutcomeUnknown(doubt, BTC, "place", "lost"))
    stage.tell(stage.asks("a4", qty="2"))
    stage.tell(stage.asks("a5", iid=instrument("BNBUSDT").instrument_id))
    stage.switch(BotState.SUSPENDED, bot="cx")
    return stage


def test_the_fold_of_the_facts_is_the_engine_that_was_never_interrupted() -> None:
    stage = scene()
    twin = stage.reborn()
    assert twin.engine.state_hash() == stage.engine.state_hash()
    third = BotStage(*stage.config.bots)
    third.engine.restore(stage.engine.state())
    assert third.engine.state_hash() == stage.engine.state_hash()
    assert [view.orders for view in twin.engine.bot_views()] == [
        view.orders for view in stage.engine.bot_views()
    ]


def test_after_a_crash_its_own_ids_find_its_orders_and_a_doubt_has_its_owner() -> None:
    stage = scene().reborn()
    (ft, cx) = stage.engine.bot_views()
    by_id = {one.client_order_id: one for one in ft.orders}
    assert (by_id["a1"].venue_order_id, str(by_id["a1"].cum_qty)) == ("1", "0.2")
    assert [one.trade_id for one in by_id["a1"].fills] == [1]
    assert by_id["a3"].status is None, "in doubt is neither yes nor no"
    assert by_id["a3"].in_doubt
    assert (cx.state, cx.reason) == (BotState.SUSPENDED, "test")
    stage.ready_links()
    doubt = by_id["a3"].own_id
    stage.tell(
        SnapshotTaken(
            snapshot(
                open_orders=(
                    stage.ack(by_id["a1"].own_id, cum="0.2", source=ReportSource.QUERY).report,
                    stage.ack(cx.orders[0].own_id, venue_id="2", source=ReportSource.QUERY).report,
                    stage.ack(doubt, venue_id="3", source=ReportSource.QUERY).report,
                )
            )
        )
    )
    assert ("a3", "NEW", "NEW") in stage.heard(), "what was in doubt is told when it is proven"
    assert stage.order(doubt).strategy_id == "bot:ft"
    assert stage.status_of(doubt) in {"ACCEPTED", "PENDING_CANCEL"}
    stage.tell(stage.asks_cancel("a1"))
    assert stage.status_of(by_id["a1"].own_id) == "PENDING_CANCEL"
    stage.tell(stage.asks_cancel("a2", bot="cx"))
    assert cancels(stage.turns[-1][1]) or stage.status_of(cx.orders[0].own_id) == "PENDING_CANCEL"


def test_finished_orders_are_forgotten_together_with_all_that_was_kept_of_them() -> None:
    stage = ready(FT, orders_retained=3)
    for number in range(6):
        price = f"97.0{number}"
        cid = stage.rest(f"a{number}", venue_id=str(number), price=price)
        stage.tell(stage.trade(cid, number, "0.1", venue_id=str(number), price=price))
    (view,) = stage.engine.bot_views()
    assert [one.client_order_id for one in view.orders] == ["a3", "a4", "a5"]
    assert len(stage.engine.state()["bots"]["fills"]) == 3


def test_a_state_without_bots_is_as_it_was_before_there_were_any() -> None:
    assert "bots" not in BotStage().engine.state()
    assert caps().hash == caps().hash


@pytest.mark.parametrize("status", [VenueOrderStatus.EXPIRED, VenueOrderStatus.CANCELED])
def test_an_end_that_nobody_asked_for_is_told(status: VenueOrderStatus) -> None:
    stage = ready(FT)
    cid = stage.rest("a1")
    stage.tell(stage.ack(cid, status=status, source=ReportSource.STREAM))
    assert stage.heard()[-1] == ("a1", status.value, status.value)


# ---------------------------------------------------------------------- what the operator is told
def test_an_incident_about_a_bots_order_names_the_bot_for_good() -> None:
    stage = ready(FT, CX)
    mine = stage.rest("a1", bot="cx", qty="0.1")
    stage.tell(stage.trade(mine, 1, "0.1"))
    over = stage.ack(
        mine, status=VenueOrderStatus.FILLED, cum="0.2", source=ReportSource.STREAM,
        fills=(fill(mine, 2, "0.1", "99.00", side=Side.BUY, ts_ns=stage.now_ns),),
    )  # fmt: skip
    stage.tell(over)
    (told,) = stage.engine.status(stage.now_ns)["incidents"]
    assert (told["trigger"], told["context"]["bot"]) == ("overfill", "cx")
    assert "bot       cx" in list(incident_lines(told))


def test_the_use_of_a_bots_own_caps_is_its_own_orders_alone() -> None:
    tables = {"ft": {"orders_open_max": 2, "loss_day_numeraire_max": "20"}}
    stage = ready(FT, CX, capset=bot_caps(bots=tables))
    stage.rest("a1", venue_id="1")
    stage.rest("b1", bot="cx", venue_id="2", price="98.00")
    told = stage.engine.status(stage.now_ns)["bots"]
    used = {row["cap"]: (row["used"], row["limit"]) for row in told["ft"]["caps"]}
    assert used == {"orders_open_max": ("1", "2"), "loss_day_numeraire_max": ("0", "20")}
    assert told["cx"]["caps"] == []
    before = stage.engine.state_hash()
    stage.engine.status(stage.now_ns)
    assert stage.engine.state_hash() == before
