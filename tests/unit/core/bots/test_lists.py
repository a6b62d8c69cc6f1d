"""An OCO of a bot: placed whole, held once, told as one list, ended as one, and durable."""

import json
from decimal import Decimal
from typing import Any

import pytest

from daemon.core.engine_config import BotSpec
from daemon.model.bots import BotDenial, BotRefusal, BotState, BotSwitched, DenialSource
from daemon.model.copies import replace
from daemon.model.effects import (
    BotListChanged,
    BotOrderChanged,
    SendAmend,
    SendCancel,
    SendOrderList,
    SendReplace,
)
from daemon.model.enums import OrderStatus, OrderType, ReportSource, Side, TimeInForce
from daemon.model.enums import VenueOrderStatus as Status
from daemon.model.inputs import (
    BotCancelList,
    BotPlace,
    BotPlaceList,
    InstrumentsLoaded,
    NotSent,
    OrderAbsent,
    OutcomeUnknown,
    VenueReject,
    VenueReport,
)
from daemon.model.list_legs import Contingency
from daemon.model.reject_kind import RejectKind
from daemon.model.reports import NotFound, Reject
from tests.support.bot_stage import FT, BotStage, ready
from tests.support.builders import BTC, instrument
from tests.support.screenplay import only

REPLY, STREAM = ReportSource.REPLY, ReportSource.STREAM


def oco(
    stage: BotStage, name: str = "pair", *, qty: str = "0.1", side: Side = Side.SELL, **more: Any
) -> BotPlaceList:
    """Above rests at 103, below is a stop at 97."""
    stage.requests += 1
    shared: dict[str, Any] = {
        "bot": "ft", "request": stage.requests, "instrument_id": BTC, "side": side,
        "qty": Decimal(qty),
    }  # fmt: skip
    above = BotPlace(
        **shared, client_order_id=f"{name}-up", order_type=OrderType.LIMIT_MAKER,
        price=Decimal(103),
    )  # fmt: skip
    below = BotPlace(
        **{**shared, **more}, client_order_id=f"{name}-down",
        order_type=OrderType.STOP_LOSS_LIMIT, price=Decimal("96.9"), stop_price=Decimal(97),
        time_in_force=TimeInForce.GTC,
    )  # fmt: skip
    return BotPlaceList(
        bot="ft", request=stage.requests, list_id=name, contingency=Contingency.OCO,
        orders=(above, below),
    )  # fmt: skip


@pytest.fixture
def stage() -> BotStage:
    """The bot holds 0.1."""
    return holding()


def holding(*specs: BotSpec, **changes: Any) -> BotStage:
    made = ready(*specs, **changes)
    kinds = frozenset(OrderType)
    symbols = ("BTCUSDT", "ETHUSDT")
    made.tell(InstrumentsLoaded(tuple(instrument(one, order_types=kinds) for one in symbols)))
    cid = made.rest("entry", price="100.10")
    made.tell(made.trade(cid, 1, "0.1", price="100.10"))
    made.changes.clear()
    return made


def sent(stage: BotStage, **what: Any) -> tuple[str, str]:
    """An OCO that must leave; our ids of its legs."""
    (effect,) = only(SendOrderList, stage.tell(oco(stage, **what)))
    first, second = (one.client_order_id for one in effect.order_list.orders)
    return first, second


def ack(stage: BotStage, *legs: str, source: ReportSource = REPLY) -> None:
    for number, cid in enumerate(legs, start=11):
        told = stage.ack(cid, venue_id=str(number), source=source)
        stage.tell(VenueReport(listed(told.report)))


def listed(report: Any, list_id: str = "5") -> Any:
    return replace(report, venue_list_id=list_id)


def resting(stage: BotStage, **what: Any) -> tuple[str, str]:
    legs = sent(stage, **what)
    ack(stage, *legs)
    return legs


# ---------------------------------------------------------------------- placing
def test_both_lines_stand_before_one_request_leaves(stage: BotStage) -> None:
    effects = stage.tell(oco(stage))
    (leaves,) = only(SendOrderList, effects)
    lines = stage.facts_of("order_approved")[-2:]
    assert [one["client_order_id"] for one in lines] == [
        one.client_order_id for one in leaves.order_list.orders
    ]
    assert [one["order_list"] for one in lines] == [
        {"list_id": leaves.order_list.list_id, "contingency": "OCO", "leg": leg, "legs": 2,
         "bot_list_id": "pair"}
        for leg in (0, 1)
    ]  # fmt: skip
    assert [one["owner"]["client_order_id"] for one in lines] == ["pair-up", "pair-down"]
    kinds = [type(one).__name__ for one in effects]
    assert "Record" in kinds[: kinds.index("SendOrderList")]
    assert stage.last is None, "nothing is proven yet"


def test_the_worse_leg_is_held_not_the_sum(stage: BotStage) -> None:
    legs = resting(stage)
    book = stage.gate.risk.books.book(BTC)
    assert (book.sells_open, book.open_count) == (Decimal("0.1"), 2)
    told = stage.trade(legs[0], 2, "0.04", price="103")
    stage.tell(VenueReport(listed(told.report)))
    assert book.sells_open == Decimal("0.06") == book.position


def test_the_answer_has_both_orders_and_the_events_are_those_of_the_venue(stage: BotStage) -> None:
    first, second = sent(stage)
    ack(stage, first)
    assert stage.last is None, "half of a list is no answer"
    assert not stage.changes, "and no event: the list comes before its orders"
    told = stage.ack(second, venue_id="12")
    effects = stage.tell(VenueReport(listed(told.report)))
    told_kinds = [one for one in effects if isinstance(one, BotListChanged | BotOrderChanged)]
    assert [type(one).__name__ for one in told_kinds] == [
        "BotListChanged", "BotOrderChanged", "BotOrderChanged",
    ]  # fmt: skip
    assert stage.last is not None
    rows = stage.last.rows
    assert [(one.client_order_id, one.venue_order_id, one.venue_list_id) for one in rows] == [
        ("pair-up", "11", "5"), ("pair-down", "12", "5"),
    ]  # fmt: skip


def test_a_trade_of_one_leg_ends_the_list_when_the_other_has_expired(stage: BotStage) -> None:
    first, second = resting(stage)
    stage.tell(stage.trade(first, 2, "0.1", price="103"))
    expired = stage.ack(second, venue_id="12", status=Status.EXPIRED, source=STREAM)
    effects = stage.tell(expired)
    (ended,) = only(BotListChanged, effects)
    assert ended.is_done
    assert [str(one.status) for one in ended.rows] == ["FILLED", "EXPIRED"]
    assert type(effects[-1]).__name__ in ("BotListChanged", "BotBalances")
    assert stage.gate.risk.books.holds == {}
    assert stage.gate.risk.books.groups == {}


def test_a_refused_list_is_refused_with_both_orders(stage: BotStage) -> None:
    for cid in sent(stage):
        no = Reject(
            client_order_id=cid, instrument_id=BTC, code=-2010, reason="not correct",
            ts_recv_ns=0, kind=RejectKind.BUSINESS,
        )  # fmt: skip
        stage.tell(VenueReject(no))
    denial = stage.denial()
    assert (denial.source, denial.code) == (DenialSource.VENUE, -2010)
    assert not stage.changes
    assert stage.gate.risk.books.holds == {}


def test_a_list_that_never_left_holds_nothing(stage: BotStage) -> None:
    for cid in sent(stage):
        stage.tell(NotSent(cid, BTC, "place", "down"))
    assert stage.denial().source is DenialSource.LINK
    assert stage.gate.risk.books.holds == {}


def test_an_order_that_does_not_pass_keeps_the_other_from_leaving(stage: BotStage) -> None:
    before = len(stage.facts_of("order_approved"))
    effects = stage.tell(oco(stage, qty="0.2"))  # the stop would open a short: it must reduce
    assert not only(SendOrderList, effects)
    assert len(stage.facts_of("order_approved")) == before, "nothing was minted"
    assert stage.gate.risk.books.holds == {}
    assert isinstance(stage.denial(), BotDenial)


def test_where_a_count_stops_the_second_the_first_is_ended_as_never_sent() -> None:
    stage = holding()
    stage.gate.risk.set_capset(stage.gate.risk.capset.tighten({"orders_open_max": 1}))
    effects = stage.tell(oco(stage))
    assert not only(SendOrderList, effects)
    (line,) = stage.facts_of("order_resolved")
    assert line["outcome"] == "not_sent"
    assert stage.denial().reason == "orders_open_total"
    assert stage.gate.risk.books.holds == {}
    assert not stage.changes, "its bot never hears of the first: it has no order"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"qty": Decimal("0.05")}, BotRefusal.MALFORMED),
        ({"side": Side.BUY}, BotRefusal.MALFORMED),
        ({"client_order_id": "pair-up"}, BotRefusal.DUPLICATE_ORDER_ID),
    ],
)
def test_orders_that_do_not_go_together_are_refused(
    stage: BotStage, change: dict[str, Any], reason: BotRefusal
) -> None:
    asked = oco(stage)
    above, below = asked.orders
    stage.tell(replace(asked, orders=(above, replace(below, **change))))
    assert stage.denial().reason == reason


def test_the_id_of_an_open_list_is_not_used_twice(stage: BotStage) -> None:
    resting(stage, qty="0.06")
    again = oco(stage, name="other", qty="0.06")
    stage.tell(replace(again, list_id="pair"))
    assert stage.denial().reason == BotRefusal.DUPLICATE_ORDER_ID


# ---------------------------------------------------------------------- ending
def test_one_cancel_ends_the_list_and_answers_with_it(stage: BotStage) -> None:
    first, second = resting(stage)
    stage.requests += 1
    effects = stage.tell(
        BotCancelList(bot="ft", request=stage.requests, instrument_id=BTC, list_id="pair")
    )
    assert [one.cancel.client_order_id for one in only(SendCancel, effects)] == [first]
    stage.tell(stage.canceled(first, REPLY))
    assert stage.last is None, "its sibling may still trade"
    stage.tell(stage.canceled(second, REPLY))
    assert stage.last is not None
    assert {str(one.status) for one in stage.last.rows} == {"CANCELED"}


def test_a_cancel_of_one_leg_waits_for_the_whole_list(stage: BotStage) -> None:
    first, second = resting(stage)
    stage.tell(stage.asks_cancel("pair-down"))
    stage.tell(stage.canceled(second, REPLY))
    assert stage.last is None
    stage.tell(stage.canceled(first, REPLY))
    assert stage.last is not None
    assert len(stage.last.rows) == 2


def test_a_sibling_that_is_not_gone_is_asked_about_and_canceled_itself(stage: BotStage) -> None:
    first, second = resting(stage)
    stage.tell(stage.asks_cancel_all())
    stage.tell(stage.canceled(first))
    effects = stage.after(60_000)
    asked = [type(one).__name__ for one in effects if getattr(one, "client_order_id", "") == second]
    assert "QueryOrder" in asked, "the venue said nothing of the other leg: it is asked"


@pytest.mark.parametrize("by", ["list", "venue", "both"])
def test_a_list_is_found_by_either_of_its_ids(stage: BotStage, by: str) -> None:
    resting(stage)
    stage.requests += 1
    effects = stage.tell(
        BotCancelList(
            bot="ft",
            request=stage.requests,
            instrument_id=BTC,
            list_id=None if by == "venue" else "pair",
            venue_list_id=None if by == "list" else "5",
        )
    )
    assert only(SendCancel, effects)


def test_another_bots_list_is_nobodys(stage: BotStage) -> None:
    resting(stage)
    stage.requests += 1
    stage.tell(BotCancelList(bot="cx", request=stage.requests, instrument_id=BTC, list_id="pair"))
    assert stage.denial().reason == BotRefusal.ORDER_NOT_FOUND


def test_a_leg_is_amended_alone_and_the_other_still_counts_whole(stage: BotStage) -> None:
    legs = resting(stage)
    assert only(SendAmend, stage.tell(stage.asks_amend("pair-up", "0.05")))
    told = stage.ack(legs[0], venue_id="11", source=STREAM)
    stage.tell(VenueReport(replace(listed(told.report), qty=Decimal("0.05"))))
    assert stage.gate.risk.books.book(BTC).sells_open == Decimal("0.1")


def test_nothing_of_a_list_that_waits_for_its_entry_is_made_smaller(stage: BotStage) -> None:
    """Its exits would sell more than it brings, and no cap was asked about that."""
    (effect,) = only(SendOrderList, stage.tell(oto(stage)))
    ack(stage, *(one.client_order_id for one in effect.order_list.orders))
    for name in ("pair-in", "pair-up"):
        assert not only(SendAmend, stage.tell(stage.asks_amend(name, "0.05")))
        assert stage.denial().reason == BotRefusal.LIST_PENDING


def test_a_replaced_leg_takes_its_list_with_it_and_pays_for_the_new_order() -> None:
    """All that the bot has is in the pair: the order that takes its place spends it again."""
    stage = holding(replace(FT, capital={"USDT": Decimal(100), "BTC": Decimal(0)}))
    first, second = resting(stage)
    asked = stage.asks_replace("pair-down", "new", side=Side.SELL, qty="0.1", price="104")
    (effect,) = only(SendReplace, stage.tell(asked))
    assert effect.replace.target == second
    for cid in (first, second):
        stage.tell(VenueReport(listed(stage.canceled(cid).report)))
    assert stage.balances["ft"]["BTC"] == ("0", "0.1")


def test_a_gone_bots_protecting_stop_keeps_its_list(stage: BotStage) -> None:
    resting(stage)
    effects = stage.tell(BotSwitched(bot="ft", state=BotState.GONE, reason="test", cancel=True))
    assert not only(SendCancel, effects), "to cancel the other leg would end the stop"
    stage.switch(BotState.SUSPENDED, cancel=True)
    assert len(stage.facts_of("cancel_requested")) == 1, "a suspension ends it, by one cancel"


# ---------------------------------------------------------------------- OTO
def oto(stage: BotStage, *, pair: bool = True) -> BotPlaceList:
    """A buy at 98, and behind it what sells the 0.1 that the bot holds already."""
    made = oco(stage)
    first = replace(
        made.orders[0], client_order_id="pair-in", side=Side.BUY, order_type=OrderType.LIMIT,
        price=Decimal(98), time_in_force=TimeInForce.GTC,
    )  # fmt: skip
    behind = made.orders if pair else made.orders[:1]
    return replace(made, contingency=Contingency.OTO, orders=(first, *behind))


def test_what_is_pending_is_held_from_the_start_and_told_as_pending(stage: BotStage) -> None:
    (effect,) = only(SendOrderList, stage.tell(oto(stage)))
    legs = [one.client_order_id for one in effect.order_list.orders]
    ack(stage, *legs)
    book = stage.gate.risk.books.book(BTC)
    assert (book.buys_open, book.sells_open) == (Decimal("0.1"), Decimal("0.1")), "of a pair one"
    assert book.open_count == 3
    assert stage.last is not None
    assert [row.is_pending for row in stage.last.rows] == [False, True, True]
    stage.changes.clear()
    effects = stage.tell(stage.trade(legs[0], 2, "0.1", price="98"))
    told = [one for one in effects if isinstance(one, BotListChanged | BotOrderChanged)]
    assert [
        type(one).__name__ if isinstance(one, BotListChanged) else one.exec_type.value
        for one in told
    ] == ["TRADE", "BotListChanged", "NEW", "NEW"]
    stage.tell(stage.ack(legs[1], venue_id="12", source=STREAM))
    assert not any(row.is_pending for row in stage.engine.bot_views()[0].orders)


def test_a_gone_bots_bracket_that_has_not_begun_is_ended(stage: BotStage) -> None:
    """The bot holds as much as its pending stop sells; the entry would buy more all the same."""
    (effect,) = only(SendOrderList, stage.tell(oto(stage)))
    ack(stage, *(one.client_order_id for one in effect.order_list.orders))
    effects = stage.tell(BotSwitched(bot="ft", state=BotState.GONE, reason="test", cancel=True))
    assert only(SendCancel, effects)


@pytest.mark.parametrize("brought", ["0.0999", "0.1"])
def test_what_an_entry_pays_for_has_its_quantity_when_the_venue_says_it(brought: str) -> None:
    """OPO: until then it is held at the entry's own, and shown with none."""
    stage = no_short(holding(FT))
    flat = stage.place("flat", side=Side.SELL, qty="0.1", price="100.00")
    stage.tell(stage.trade(flat, 9, "0.1", price="100.00"))
    asked = oto(stage, pair=False)
    (effect,) = only(SendOrderList, stage.tell(replace(asked, pays=True)))
    assert effect.order_list.pays
    entry, behind = (one.client_order_id for one in effect.order_list.orders)
    pending = stage.ack(behind, venue_id="12")
    stage.tell(VenueReport(listed(stage.ack(entry, venue_id="11").report)))
    stage.tell(VenueReport(replace(listed(pending.report), qty=Decimal(0))))
    assert stage.last is not None
    assert [(row.qty, row.is_pending) for row in stage.last.rows] == [
        (Decimal("0.1"), False), (Decimal(0), True),
    ]  # fmt: skip
    stage.changes.clear()
    stage.tell(stage.trade(entry, 2, "0.1", price="98"))
    assert [kind for name, kind, _ in stage.heard() if name == "pair-up"] == []
    stage.tell(VenueReport(replace(listed(pending.report), qty=Decimal(brought))))
    (told,) = [one for one in stage.changes if one.row.client_order_id == "pair-up"]
    assert (told.exec_type.value, told.row.qty) == ("NEW", Decimal(brought))
    book = stage.gate.risk.books.book(BTC)
    assert (book.sells_open, book.open_count) == (Decimal(brought), 1)
    assert not only(SendAmend, stage.tell(stage.asks_amend("pair-up", "0.05")))
    assert stage.denial().reason == BotRefusal.LIST_PENDING


def test_its_turn_is_told_once_whichever_comes_first(stage: BotStage) -> None:
    (effect,) = only(SendOrderList, stage.tell(oto(stage, pair=False)))
    legs = [one.client_order_id for one in effect.order_list.orders]
    ack(stage, *legs)
    stage.changes.clear()
    stage.tell(stage.trade(legs[0], 2, "0.1", price="98"))
    stage.tell(stage.ack(legs[1], venue_id="12", source=STREAM))
    stage.tell(stage.ack(legs[1], venue_id="12", source=STREAM))
    kinds = [(name, kind) for name, kind, _ in stage.heard()]
    assert kinds.count(("pair-up", "NEW")) == 1


def no_short(stage: BotStage) -> BotStage:
    stage.gate.risk.set_capset(
        stage.gate.risk.capset.tighten({"symbols.BTCUSDT.position_short_base_max": "0"})
    )
    return stage


def selling(asked: BotPlaceList, qty: str) -> BotPlaceList:
    first, *behind = asked.orders
    more = tuple(replace(one, qty=Decimal(qty)) for one in behind)
    return replace(asked, orders=(first, *more))


def test_what_is_held_and_what_the_entry_brings_may_be_sold_and_no_more(stage: BotStage) -> None:
    no_short(stage)
    effects = stage.tell(selling(oto(stage, pair=False), "0.201"))
    assert not only(SendOrderList, effects)
    assert stage.denial().reason == "position_short"
    assert stage.gate.risk.books.holds == {}
    assert only(SendOrderList, stage.tell(selling(oto(stage, pair=False), "0.2")))


@pytest.mark.parametrize("traded", ["nothing", "a part", "all"])
def test_a_bracket_around_a_new_entry(traded: str) -> None:
    """Nothing is held: its stop reduces what the entry brings. Nothing beside it may be sold."""
    stage = no_short(holding(replace(FT, stops_reduce_only=True)))
    flat = stage.place("flat", side=Side.SELL, qty="0.1", price="100.00")
    stage.tell(stage.trade(flat, 9, "0.1", price="100.00"))
    (effect,) = only(SendOrderList, stage.tell(oto(stage)))
    legs = [one.client_order_id for one in effect.order_list.orders]
    ack(stage, *legs)
    book = stage.gate.risk.books.book(BTC)
    assert (book.sells_open, book.short_worst()) == (Decimal("0.1"), 0), "turnover counts it whole"
    stage.tell(stage.asks("naked", side=Side.SELL, qty="0.1", price="104"))
    assert stage.denial().reason == "position_short"
    if traded != "nothing":
        stage.tell(stage.trade(legs[0], 2, "0.04" if traded == "a part" else "0.1", price="98"))
    assert book.short_worst() == 0
    stage.tell(stage.asks("naked", side=Side.SELL, qty="0.1", price="105"))
    assert stage.denial().reason == "position_short"
    if traded == "all":
        return
    stage.tell(VenueReport(listed(stage.canceled(legs[0]).report)))
    assert book.short_worst() == -book.position, "what waits for an entry that ended never sells"


def test_an_exit_that_is_told_before_its_entry_is_no_breach() -> None:
    stage = no_short(holding(FT))
    flat = stage.place("flat", side=Side.SELL, qty="0.1", price="100.00")
    stage.tell(stage.trade(flat, 9, "0.1", price="100.00"))
    (effect,) = only(SendOrderList, stage.tell(oto(stage, pair=False)))
    entry, leaves = (one.client_order_id for one in effect.order_list.orders)
    ack(stage, entry, leaves)
    effects = stage.tell(stage.trade(leaves, 3, "0.1", price="103"))
    assert not stage.facts_of("incident_opened"), effects
    assert stage.gate.risk.books.book(BTC).short_worst() == 0
    stage.tell(stage.trade(entry, 2, "0.1", price="98"))
    assert not stage.facts_of("incident_opened")
    assert Decimal(stage.position()) == 0


# ---------------------------------------------------------------------- durable
@pytest.mark.parametrize("moment", ["in flight", "resting", "half traded", "in doubt"])
def test_after_a_crash_the_list_is_known_as_before(stage: BotStage, moment: str) -> None:
    legs = sent(stage)
    if moment != "in flight":
        ack(stage, *legs)
    if moment == "half traded":
        stage.tell(stage.trade(legs[0], 2, "0.04", price="103"))
    if moment == "in doubt":
        for cid in legs:
            stage.tell(OutcomeUnknown(cid, BTC, "place", "lost"))
    twin = stage.reborn()
    mine, theirs = (one.gate.risk.books for one in (stage, twin))
    assert theirs.book(BTC).sells_open == mine.book(BTC).sells_open
    assert {k: [h.client_order_id for h in g] for k, g in theirs.groups.items()} == {
        k: [h.client_order_id for h in g] for k, g in mine.groups.items()
    }
    for cid in legs:
        order = twin.order(cid)
        assert order.order_list == stage.order(cid).order_list
        assert order.order_list is not None
        assert (order.order_list.bot_list_id, order.bot_order_id[:5]) == ("pair", "pair-")
        assert order.venue_list_id == stage.order(cid).venue_list_id
    state = json.loads(json.dumps(twin.engine.state()))
    third = BotStage(*stage.config.bots, capset=stage.gate.risk.capset)
    third.engine.restore(state)
    assert third.engine.state() == twin.engine.state()


def test_of_a_list_that_was_never_at_the_venue_no_end_is_told_after_a_crash(
    stage: BotStage,
) -> None:
    """The venue has refused it, and the daemon was killed between the lines of its two orders."""
    first, second = sent(stage)
    refused = Reject(
        client_order_id=first, instrument_id=BTC, code=-2010, reason="not correct", ts_recv_ns=0
    )
    stage.tell(VenueReject(refused))
    twin = stage.reborn()
    twin.ready()
    twin.after(3_000)
    absent = NotFound(client_order_id=second, instrument_id=BTC, ts_recv_ns=twin.now_ns)
    effects = twin.tell(OrderAbsent(absent))
    assert twin.order(second).status is OrderStatus.REJECTED
    assert not only(BotListChanged, effects)


def test_an_allotment_pays_for_the_worse_leg_alone() -> None:
    """All that the bot has can be sold by the pair, and not a lot more beside it."""
    spec = replace(FT, capital={"USDT": Decimal(100), "BTC": Decimal(0)})
    stage = holding(spec)
    resting(stage)
    assert stage.balances["ft"]["BTC"] == ("0", "0.1")
    stage.tell(stage.asks("more", side=Side.SELL, qty="0.001", price="104"))
    assert stage.denial().reason == BotRefusal.ALLOTMENT_EXCEEDED


def test_an_allotment_of_quote_alone_pays_for_a_bracket() -> None:
    """Its exits sell what its entry buys; with an entry of its own side both are paid for."""
    spec = replace(FT, capital={"USDT": Decimal(30)})
    stage = holding(spec)
    flat = stage.place("flat", side=Side.SELL, qty="0.1", price="100.00")
    stage.tell(stage.trade(flat, 9, "0.1", price="100.00"))
    asked = oto(stage, pair=False)
    first, behind = asked.orders
    low = replace(behind, side=Side.BUY, order_type=OrderType.LIMIT, price=Decimal(97),
                  time_in_force=TimeInForce.GTC, qty=Decimal("0.3"))  # fmt: skip
    stage.tell(replace(asked, orders=(first, low)))
    assert stage.denial().reason == BotRefusal.ALLOTMENT_EXCEEDED, "9.8 and 29.1 are more than 30"
    assert not only(SendOrderList, stage.tell(selling(oto(stage), "0.101")))
    assert stage.denial().reason == BotRefusal.ALLOTMENT_EXCEEDED
    (effect,) = only(SendOrderList, stage.tell(oto(stage)))
    legs = [one.client_order_id for one in effect.order_list.orders]
    ack(stage, *legs)
    assert stage.balances["ft"]["BTC"] == ("0", "0")
    stage.tell(stage.trade(legs[0], 2, "0.1", price="98"))
    assert stage.balances["ft"]["BTC"] == ("0", "0.1"), "the exits hold it now"
