"""A bot's placement: its door, the caps, and an answer that the fold can stand for."""

from decimal import Decimal
from typing import Any

import pytest

from daemon.model.bots import BotRefusal, DenialSource
from daemon.model.effects import BotAnswered, Record, RefreshInstruments, SendOrder
from daemon.model.enums import (
    Link,
    OrderType,
    ReportSource,
    Side,
    TimeInForce,
    VenueOrderStatus,
)
from daemon.model.ids import instrument_id
from daemon.model.inputs import (
    InstrumentsLoaded,
    LinkDown,
    NotSent,
    OrderAbsent,
    OutcomeUnknown,
    VenueReject,
)
from daemon.model.reject_kind import RejectKind
from daemon.model.reports import NotFound, Reject
from tests.support.bot_stage import BotStage, kinds, ready
from tests.support.builders import BTC, fill, instrument
from tests.support.screenplay import only

STREAM, REPLY, QUERY = ReportSource.STREAM, ReportSource.REPLY, ReportSource.QUERY


@pytest.fixture
def stage() -> BotStage:
    return ready()


def refused(
    cid: str, code: int = -2010, why: str = "no", kind: RejectKind = RejectKind.FAULT
) -> VenueReject:
    return VenueReject(
        Reject(
            client_order_id=cid, instrument_id=BTC, code=code, reason=why, ts_recv_ns=0, kind=kind
        )
    )


def test_an_approved_orders_line_names_its_owner_and_stands_before_it_leaves(
    stage: BotStage,
) -> None:
    effects = stage.tell(stage.asks("a1"))
    assert "Record" in kinds(effects)
    assert kinds(effects).index("Record") < kinds(effects).index("SendOrder")
    (line,) = stage.facts_of("order_approved")
    assert line["strategy_id"] == "bot:ft"
    assert line["owner"] == {"bot": "ft", "client_order_id": "a1", "request": 1}
    assert stage.last is None, "nothing is proven yet"


def test_a_reply_answers_with_the_bots_own_id_and_the_venues(stage: BotStage) -> None:
    cid = stage.place("a1")
    stage.tell(stage.ack(cid, venue_id="77"))
    row = stage.row()
    assert (row.client_order_id, row.venue_order_id, row.status) == (
        "a1", "77", VenueOrderStatus.NEW,
    )  # fmt: skip
    assert row.own_id == cid != "a1"
    assert stage.heard() == [("a1", "NEW", "NEW")]
    (line,) = stage.facts_of("bot_answered")
    assert line["orders"] == [{"client_order_id": cid, "status": "NEW", "cum_qty": "0"}]


@pytest.mark.parametrize(
    ("what", "reason", "asks_again"),
    [
        ({"price": "98.503"}, "filter_tick", 1),
        ({"qty": "0.0000001"}, "filter_qty", 1),
        ({"qty": "100000"}, "filter_qty", 1),
        ({"qty": "1000"}, "order_qty", 0),
    ],
)
def test_a_denial_by_a_filter_has_the_venues_list_read_again(
    stage: BotStage, what: dict[str, str], reason: str, asks_again: int
) -> None:
    effects = stage.tell(stage.asks("a1", **what))
    assert stage.facts_of("order_denied")[-1]["deny_reason"] == reason
    assert [one.instrument_id for one in only(RefreshInstruments, effects)] == [BTC] * asks_again


@pytest.mark.parametrize("source", [STREAM, QUERY])
def test_what_another_road_proves_answers_when_the_reply_lags(
    stage: BotStage, source: ReportSource
) -> None:
    cid = stage.place("a1")
    stage.tell(stage.ack(cid, source=source))
    assert stage.last is None, "the reply may still come, with the fills"
    stage.after(240)
    assert stage.last is None
    stage.after(20)
    assert stage.row().status is VenueOrderStatus.NEW


def test_a_reply_that_tells_nothing_new_is_the_answer_at_once(stage: BotStage) -> None:
    cid = stage.place("a1")
    stage.tell(stage.ack(cid, source=STREAM))
    assert stage.last is None
    stage.tell(stage.ack(cid, source=REPLY))
    assert stage.row().status is VenueOrderStatus.NEW, "the stream was first: no grace is due"


def test_an_answer_lost_by_the_venue_is_answered_by_the_stream(stage: BotStage) -> None:
    cid = stage.place("a1")
    stage.tell(OutcomeUnknown(cid, BTC, "place", "dropped"))
    assert stage.last is None
    assert stage.status_of(cid) == "UNKNOWN"
    stage.tell(stage.ack(cid, source=STREAM))
    stage.after(250)
    assert stage.row().status is VenueOrderStatus.NEW


def test_a_late_reply_does_not_answer_with_what_has_passed(stage: BotStage) -> None:
    cid = stage.place("a1")
    stage.tell(stage.ack(cid, source=STREAM))
    stage.tell(stage.canceled(cid))
    assert stage.row().status is VenueOrderStatus.CANCELED
    stage.tell(stage.ack(cid, source=REPLY))  # it says NEW; nobody is told so
    assert stage.heard() == [("a1", "NEW", "NEW"), ("a1", "CANCELED", "CANCELED")]


@pytest.mark.parametrize(
    ("price", "tif"), [(None, None), ("101.00", TimeInForce.IOC), ("101.00", TimeInForce.FOK)]
)
def test_what_ends_at_once_is_answered_by_its_end_with_all_fills(
    stage: BotStage, price: str | None, tif: TimeInForce | None
) -> None:
    cid = stage.place("a1", price=price, tif=tif)
    stage.tell(stage.ack(cid, source=STREAM))
    stage.tell(stage.trade(cid, 5, "0.04", price="100.10"))
    stage.after(1000)
    assert stage.last is None
    stage.tell(stage.trade(cid, 6, "0.06", price="100.20"))
    row = stage.row()
    assert row.status is VenueOrderStatus.FILLED
    assert row.cum_qty == Decimal("0.1")
    assert [(one.trade_id, str(one.qty), str(one.price)) for one in row.fills] == [
        (5, "0.04", "100.10"),
        (6, "0.06", "100.20"),
    ]
    assert row.cum_quote == Decimal("0.04") * Decimal("100.10") + Decimal("0.06") * Decimal(
        "100.20"
    )
    assert stage.heard() == [
        ("a1", "NEW", "NEW"), ("a1", "TRADE", "PARTIALLY_FILLED"), ("a1", "TRADE", "FILLED"),
    ]  # fmt: skip


def test_an_end_with_fills_owed_is_not_answered_before_they_are_booked(stage: BotStage) -> None:
    cid = stage.place("a1", price=None)
    stage.tell(stage.ack(cid, status=VenueOrderStatus.FILLED, cum="0.1", source=STREAM))
    assert stage.last is None
    stage.tell(
        stage.ack(
            cid,
            status=VenueOrderStatus.FILLED,
            cum="0.1",
            fills=(fill(cid, 9, "0.1", "100.10"),),
            source=QUERY,
        )
    )
    assert [one.trade_id for one in stage.row().fills] == [9]


def test_one_report_with_two_fills_is_two_trades_each_with_its_own_row(stage: BotStage) -> None:
    cid = stage.place("a1", price=None)
    both = (fill(cid, 1, "0.04", "100"), fill(cid, 2, "0.06", "101"))
    stage.tell(stage.ack(cid, status=VenueOrderStatus.FILLED, cum="0.1", fills=both))
    trades = [one for one in stage.changes if one.fill is not None]
    assert [(str(one.row.cum_qty), str(one.row.status)) for one in trades] == [
        ("0.04", "PARTIALLY_FILLED"),
        ("0.10", "FILLED"),
    ]


# ---------------------------------------------------------------------- refusals
def test_a_denial_by_a_cap_names_it_and_nothing_leaves(stage: BotStage) -> None:
    effects = stage.tell(stage.asks("a1", qty="2"))
    assert not only(SendOrder, effects)
    denial = stage.denial()
    assert (denial.source, denial.reason) == (DenialSource.CAPS, "order_qty")
    assert denial.context["limit"] == "1"
    (line,) = stage.facts_of("order_denied")
    assert line["owner"] == {"bot": "ft", "client_order_id": "a1", "request": 1}


def test_a_used_id_is_refused_while_its_order_may_live_and_free_afterwards(
    stage: BotStage,
) -> None:
    cid = stage.place("a1")
    for moment in ("in flight", "unknown", "open"):
        if moment == "unknown":
            stage.tell(OutcomeUnknown(cid, BTC, "place", "lost"))
        elif moment == "open":
            stage.tell(stage.ack(cid))
        stage.tell(stage.asks("a1", price="98.00"))
        assert stage.denial().reason == BotRefusal.DUPLICATE_ORDER_ID, moment
    stage.tell(stage.asks("a1", bot="cx", price="97.00"))
    assert stage.last is None, "another bot has ids of its own"
    stage.tell(stage.canceled(cid))
    assert only(SendOrder, stage.tell(stage.asks("a1", price="96.00")))


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ({"bot": "nobody"}, BotRefusal.UNKNOWN_BOT),
        ({"bot": "cx", "iid": instrument_id("ETHUSDT", "sim")}, BotRefusal.UNKNOWN_SYMBOL),
        ({"iid": instrument_id("BNBUSDT", "sim")}, BotRefusal.UNKNOWN_SYMBOL),
        ({"qty": None}, BotRefusal.MALFORMED),
        ({"quote_qty": Decimal(5)}, BotRefusal.MALFORMED),
        ({"qty": None, "quote_qty": Decimal(50)}, BotRefusal.MALFORMED),
        ({"qty": None, "price": None, "quote_qty": Decimal("NaN")}, BotRefusal.MALFORMED),
    ],
)
def test_the_door_refuses_in_one_line_and_the_gate_is_not_asked(
    stage: BotStage, what: dict[str, Any], reason: BotRefusal
) -> None:
    effects = stage.tell(stage.asks("a1", **what))
    assert stage.denial().reason == reason
    assert [one.event_type for one in effects if isinstance(one, Record)] == ["bot_refused"]


def test_the_venues_no_is_the_answer_in_its_own_words(stage: BotStage) -> None:
    cid = stage.place("a1")
    stage.tell(refused(cid, -2010, "Order would immediately match and take."))
    denial = stage.denial()
    assert (denial.source, denial.code) == (DenialSource.VENUE, -2010)
    assert denial.msg == "Order would immediately match and take."
    assert stage.heard() == [], "a refused placement is no event at the venue either"


def test_a_refusal_after_the_bots_patience_is_told_on_the_stream_as_well(stage: BotStage) -> None:
    cid = stage.place("a1")
    stage.after(899)
    stage.after(1)
    stage.tell(refused(cid, -2010, "no"))
    assert stage.denial().code == -2010
    assert stage.heard() == [("a1", "REJECTED", "REJECTED")]


def test_what_never_left_is_answered_so(stage: BotStage) -> None:
    cid = stage.place("a1")
    stage.tell(NotSent(cid, BTC, "place", "no link"))
    assert (stage.denial().source, stage.denial().msg) == (DenialSource.LINK, "no link")


def test_a_duplicate_at_the_venue_is_doubt_and_no_answer(stage: BotStage) -> None:
    cid = stage.place("a1")
    stage.tell(refused(cid, -2010, "Duplicate order sent."))
    assert stage.last is None
    assert stage.status_of(cid) == "UNKNOWN"


def test_proof_of_absence_after_doubt_is_told_on_the_stream_too(stage: BotStage) -> None:
    cid = stage.place("a1")
    stage.tell(OutcomeUnknown(cid, BTC, "place", "lost"))
    stage.after(3500)  # the last query was asked after the settling time
    stage.tell(OrderAbsent(NotFound(client_order_id=cid, instrument_id=BTC, ts_recv_ns=0)))
    assert stage.denial().source is DenialSource.LINK
    assert stage.heard() == [("a1", "REJECTED", "REJECTED")]


def test_without_a_session_it_is_denied_and_told_so() -> None:
    stage = BotStage().ready()
    stage.tell(stage.asks("a1"))
    assert stage.denial().source is DenialSource.CAPS
    assert stage.denial().reason in {"trading_halted", "halt_flag_closed"}


# ---------------------------------------------------------------------- tests, quantities in quote
def test_a_test_order_is_decided_and_leaves_nothing_behind(stage: BotStage) -> None:
    before = stage.engine.state_hash()
    effects = stage.tell(stage.asks("t1", is_test=True))
    assert kinds(effects) == ["BotAnswered"]
    assert stage.last == BotAnswered(bot="ft", request=1)
    stage.tell(stage.asks("t2", qty="2", is_test=True))
    assert stage.denial().reason == "order_qty"
    assert stage.engine.state_hash() == before


def test_a_quantity_in_quote_is_held_at_its_worst_and_shrinks_to_what_it_was(
    stage: BotStage,
) -> None:
    (sent,) = only(
        SendOrder, stage.tell(stage.asks("q1", qty=None, price=None, quote_qty=Decimal(50)))
    )
    order = sent.order
    assert order.terms is not None
    assert order.terms.quote_qty == Decimal(50)
    assert order.qty * Decimal("100.00") * Decimal("0.95") >= 50, "the collar's lower edge"
    assert order.qty * Decimal("100.00") * Decimal("0.95") < 50 + Decimal("0.1"), "up to a lot"
    cid = order.client_order_id
    done = (fill(cid, 1, "0.499", "100.10"),)
    stage.tell(stage.ack(cid, status=VenueOrderStatus.FILLED, cum="0.499", fills=done, qty="0.499"))
    row = stage.row()
    assert (str(row.qty), row.quote_qty, row.amends) == ("0.499", Decimal(50), 0)
    assert stage.heard() == [("q1", "NEW", "NEW"), ("q1", "TRADE", "FILLED")]
    assert stage.gate.risk.books.open_worst_case(BTC)[0] == 0 or not stage.gate.risk.books.holds
    assert stage.incidents() == []


def test_a_venue_that_never_says_the_base_quantity_is_believed_by_its_fills(
    stage: BotStage,
) -> None:
    cid = stage.place("q1", qty=None, price=None, quote_qty=Decimal(50))
    done = (fill(cid, 1, "0.499", "100.10"),)
    stage.tell(stage.ack(cid, status=VenueOrderStatus.FILLED, cum="0.499", fills=done, qty="0"))
    assert (str(stage.row().qty), stage.row().status) == ("0.499", VenueOrderStatus.FILLED)
    assert not stage.gate.risk.books.holds


def test_a_quantity_in_quote_cannot_be_cut_to_a_position_and_is_refused(stage: BotStage) -> None:
    stage.tell(LinkDown(Link.MARKET, "lost"))
    assert not only(
        SendOrder, stage.tell(stage.asks("q1", qty=None, price=None, quote_qty=Decimal(50)))
    )
    assert stage.denial().reason == BotRefusal.MALFORMED


STOP: dict[str, Any] = {
    "side": Side.SELL,
    "price": "97.00",
    "stop_price": Decimal("98.00"),
    "order_type": OrderType.STOP_LOSS_LIMIT,
}


def test_a_stop_order_protects_what_is_held_and_opens_nothing(stage: BotStage) -> None:
    everything = instrument(order_types=frozenset(OrderType))
    stage.tell(InstrumentsLoaded((everything, instrument("ETHUSDT"))))
    stage.tell(stage.asks("s0", **STOP))
    assert stage.denial().reason == "not_reducing"
    bought = stage.rest("b1", venue_id="1")
    stage.tell(stage.trade(bought, 1, "0.1", venue_id="1"))
    cid = stage.place("s1", **STOP)
    assert stage.last is None
    stage.tell(stage.ack(cid, venue_id="2"))
    assert stage.row().stop_price == Decimal("98.00")
