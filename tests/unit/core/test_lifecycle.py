"""The lifecycle table, row by row where newcomers forget, and as a whole where rules must hold."""

import itertools
from decimal import Decimal

import pytest

from daemon.core.lifecycle import TABLE, ImpossibleTransition, Trigger, advance
from daemon.model.enums import OrderStatus, VenueOrderStatus
from daemon.model.ids import VenueOrderId
from daemon.model.inputs import (
    NotSent,
    OrderAbsent,
    OutcomeUnknown,
    VenueCancelReject,
    VenueReject,
    VenueReport,
)
from daemon.model.reports import CancelReject, NotFound, Reject
from tests.support.builders import BTC, command, fill, report, wish
from tests.support.screenplay import QueryOrder, Stage, cancels, only

V = VenueOrderStatus


def refused(cid: str, code: int = -2011) -> VenueCancelReject:
    return VenueCancelReject(CancelReject(client_order_id=cid, instrument_id=BTC, code=code,
                                          reason="Unknown order sent.", ts_recv_ns=0))  # fmt: skip


def absent(cid: str) -> OrderAbsent:
    return OrderAbsent(NotFound(client_order_id=cid, instrument_id=BTC, ts_recv_ns=0))


@pytest.fixture
def stage() -> Stage:
    return Stage().ready().start()


# ---------------------------------------------------------------- the table as a whole
def test_no_row_leads_out_of_a_finished_order_without_an_alarm_or_late_fills() -> None:
    for (status, trigger), row in TABLE.items():
        if status.is_terminal and row.new is not status:
            assert row.alarm or (trigger is Trigger.FILL and "late fills" in row.note), (
                status,
                trigger,
            )


def test_silence_and_refused_cancels_never_end_an_order() -> None:
    for (status, trigger), row in TABLE.items():
        if trigger in (Trigger.SILENCE, Trigger.CANCEL_REFUSED, Trigger.CANCEL_SENT):
            assert row.new.is_terminal == status.is_terminal, (status, trigger)


def test_unknown_becomes_rejected_only_by_the_venues_no_or_a_proof_of_absence() -> None:
    roads = {t for (s, t), row in TABLE.items()
             if s is OrderStatus.UNKNOWN and row.new is OrderStatus.REJECTED}  # fmt: skip
    assert roads == {Trigger.REJECT, Trigger.ABSENT}


def test_every_open_status_can_be_told_everything_that_the_venue_may_say_of_a_live_order() -> None:
    live = [s for s in OrderStatus if not s.is_terminal and s is not OrderStatus.APPROVED]
    said = [Trigger.ACK, Trigger.PARTIAL, Trigger.FILL, Trigger.CANCEL, Trigger.EXPIRE]
    for status, trigger in itertools.product(live, said):
        assert (status, trigger) in TABLE


def test_what_is_not_listed_is_impossible_and_says_so() -> None:
    with pytest.raises(ImpossibleTransition, match="an order that is FILLED cannot take reject"):
        advance(OrderStatus.FILLED, Trigger.REJECT, VenueOrderId("1"), Decimal(1))


# ---------------------------------------------------------------- the rows newcomers forget
def test_fill_before_the_acknowledgement(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    one = fill(cid, 1, "0.04")
    stage.tell(VenueReport(report(cid, V.PARTIALLY_FILLED, cum="0.04", fills=(one,))))
    assert stage.status_of(cid) == "PARTIALLY_FILLED"
    stage.tell(VenueReport(report(cid, V.NEW)))
    assert stage.status_of(cid) == "PARTIALLY_FILLED"
    assert stage.position() == "0.04"


def test_fill_after_canceled_is_booked_and_marked_late(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid)), VenueReport(report(cid, V.CANCELED)))
    late = fill(cid, 1, "0.04")
    stage.tell(VenueReport(report(cid, V.PARTIALLY_FILLED, cum="0.04", fills=(late,))))
    assert stage.status_of(cid) == "CANCELED"
    assert stage.position() == "0.04"
    assert [f["late"] for f in stage.facts_of("fill")] == [True]
    assert stage.incidents() == []


def test_late_fills_that_add_up_to_the_whole_make_it_filled(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid)), VenueReport(report(cid, V.CANCELED)))
    stage.tell(VenueReport(report(cid, V.FILLED, cum="0.1", fills=(fill(cid, 1, "0.1"),))))
    assert stage.status_of(cid) == "FILLED"
    assert stage.incidents() == []


def test_cancel_refused_because_already_filled(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid)))
    assert cancels(stage.tell(command("cancel-all"))) == [cid]
    assert stage.status_of(cid) == "PENDING_CANCEL"
    effects = stage.tell(refused(cid))
    assert [q.client_order_id for q in only(QueryOrder, effects)] == [cid]
    assert stage.status_of(cid) == "ACCEPTED"
    stage.tell(VenueReport(report(cid, V.FILLED, cum="0.1", fills=(fill(cid, 1, "0.1"),))))
    assert stage.status_of(cid) == "FILLED"
    assert cancels(stage.after(5000)) == []


def test_duplicate_exec_id_moves_nothing(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    one = fill(cid, 1, "0.04")
    trade = VenueReport(report(cid, V.PARTIALLY_FILLED, cum="0.04", fills=(one,)))
    stage.tell(trade)
    facts = len(stage.facts)
    stage.tell(trade, trade)
    assert len(stage.facts) == facts
    assert stage.position() == "0.04"


def test_our_own_order_that_the_books_do_not_have_is_adopted_and_is_an_incident(
    stage: Stage,
) -> None:
    cid = "stabc123-0-5"
    one = fill(cid, 9, "0.04")
    stage.tell(VenueReport(report(cid, V.PARTIALLY_FILLED, cum="0.04", fills=(one,))))
    assert stage.status_of(cid) == "PENDING_CANCEL", "the incident cancels everything of ours"
    assert stage.position() == "0.04"
    assert stage.incidents() == ["unknown_own_order"]


def test_a_foreign_order_is_neither_booked_nor_touched(stage: Stage) -> None:
    one = fill("somebody", 9, "0.04")
    effects = stage.tell(VenueReport(report("somebody", V.PARTIALLY_FILLED, fills=(one,))))
    assert stage.position() == "0"
    assert "somebody" not in cancels(effects)
    assert stage.engine._ctx.books.orders == {}


@pytest.mark.parametrize(
    ("said", "cum", "becomes"),
    [
        (V.NEW, "0", "ACCEPTED"),
        (V.PARTIALLY_FILLED, "0.04", "PARTIALLY_FILLED"),
        (V.FILLED, "0.1", "FILLED"),
        (V.CANCELED, "0", "CANCELED"),
        (V.EXPIRED, "0", "EXPIRED"),
    ],
)
def test_unknown_to_any_real_state(stage: Stage, said: V, cum: str, becomes: str) -> None:
    cid = stage.place(wish()).client_order_id
    stage.tell(OutcomeUnknown(cid, BTC, "place", "deadline"))
    assert stage.status_of(cid) == "UNKNOWN"
    fills = () if cum == "0" else (fill(cid, 1, cum),)
    stage.tell(VenueReport(report(cid, said, cum=cum, fills=fills)))
    assert stage.status_of(cid) == becomes
    assert stage.incidents() == []


def test_unknown_becomes_rejected_only_when_asked_after_the_settling_time(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    effects = stage.tell(OutcomeUnknown(cid, BTC, "place", "deadline"))
    assert only(QueryOrder, effects), "asked at once"
    stage.tell(absent(cid))
    assert stage.status_of(cid) == "UNKNOWN", "too early: the request may still arrive"
    stage.after(1500)
    stage.tell(absent(cid))
    assert stage.status_of(cid) == "UNKNOWN"
    assert only(QueryOrder, stage.after(1500)), "asked again, after the settling time"
    stage.tell(absent(cid))
    assert stage.status_of(cid) == "REJECTED"
    resolved = stage.facts_of("order_resolved")[0]
    assert resolved["outcome"] == "absent"
    assert "2" in resolved["proof"]


# ---------------------------------------------------------------- the other four words
def test_an_unknown_order_keeps_its_hold_and_blocks_its_symbol(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    long_before, _ = stage.gate.risk.books.open_worst_case(BTC)
    stage.tell(OutcomeUnknown(cid, BTC, "place", "deadline"))
    stage.wishes(wish(price="98.00"))
    assert stage.gate.risk.books.open_worst_case(BTC) == (long_before, 0)
    assert stage.puppet is not None
    assert stage.puppet.denials == ["unknown_order_open"]
    stage.tell(VenueReport(report(cid, V.CANCELED)))
    assert stage.place(wish(price="98.00"))


def test_silence_after_the_stream_has_answered_is_moot(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid)), OutcomeUnknown(cid, BTC, "place", "deadline"))
    assert stage.status_of(cid) == "ACCEPTED"


def test_no_answer_at_all_is_unknown_after_the_deadline(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    stage.after(900)
    assert stage.status_of(cid) == "SUBMITTED"
    stage.after(300)
    assert stage.status_of(cid) == "UNKNOWN"


def test_never_sent_is_canceled_with_proof_and_its_hold_is_released(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    stage.tell(NotSent(cid, BTC, "place", "halt flag closed"))
    assert stage.status_of(cid) == "CANCELED"
    assert stage.facts_of("order_resolved")[0]["outcome"] == "not_sent"
    assert stage.gate.risk.books.open_worst_case(BTC) == (0, 0)
    assert stage.puppet is not None
    assert stage.puppet.reports[-1].venue_status is V.CANCELED


def test_a_definite_no_releases_the_hold_and_tells_the_strategy(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    no = Reject(client_order_id=cid, instrument_id=BTC, code=-2010,
                reason="Account has insufficient balance", ts_recv_ns=0)  # fmt: skip
    stage.tell(VenueReject(no))
    assert stage.status_of(cid) == "REJECTED"
    assert stage.gate.risk.books.open_worst_case(BTC) == (0, 0)
    assert stage.puppet is not None
    assert stage.puppet.reports[-1].venue_status is V.REJECTED
    assert stage.facts_of("order_reject")[0]["code"] == -2010


def test_duplicate_order_sent_proves_that_the_first_one_landed(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    no = Reject(client_order_id=cid, instrument_id=BTC, code=-2010,
                reason="Duplicate order sent.", ts_recv_ns=0)  # fmt: skip
    stage.tell(VenueReject(no))
    assert stage.status_of(cid) == "UNKNOWN"
    assert stage.gate.risk.books.open_worst_case(BTC)[0] > 0


def test_it_lives_after_a_no_is_followed_and_is_an_incident(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    no = Reject(client_order_id=cid, instrument_id=BTC, code=-1, reason="no", ts_recv_ns=0)
    stage.tell(VenueReject(no))
    stage.tell(VenueReport(report(cid)))
    assert stage.incidents() == ["lifecycle"]
    assert stage.gate.risk.books.open_worst_case(BTC)[0] > 0, "its hold is back"


def test_fills_owed_are_fetched_and_never_invented(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid, V.CANCELED, cum="0.06")))
    assert stage.status_of(cid) == "CANCELED"
    assert stage.position() == "0"
    assert stage.gate.risk.books.open_worst_case(BTC)[0] == wish().qty * 6 / 10, (
        "what it owes stays held"
    )
    asked = only(QueryOrder, stage.after(250))
    assert [q.client_order_id for q in asked] == [cid]
    fetched = (fill(cid, 1, "0.02"), fill(cid, 2, "0.04"))
    stage.tell(VenueReport(report(cid, V.CANCELED, cum="0.06", fills=fetched)))
    assert stage.position() == "0.06"
    assert stage.gate.risk.books.open_worst_case(BTC)[0] == wish().qty * 6 / 10, (
        "now it is position"
    )
    assert only(QueryOrder, stage.after(3000)) == []


def test_an_impossible_report_is_an_incident_and_changes_no_status(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid, V.FILLED, cum="0.1", fills=(fill(cid, 1, "0.1"),))))
    stage.tell(VenueReport(report(cid, V.REJECTED)))
    assert stage.status_of(cid) == "FILLED"
    assert stage.incidents() == ["lifecycle"]


def test_more_than_the_whole_is_booked_and_is_an_incident(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    over = (fill(cid, 1, "0.1"), fill(cid, 2, "0.1"))
    stage.tell(VenueReport(report(cid, V.FILLED, cum="0.2", fills=over)))
    assert stage.position() == "0.2"
    assert "overfill" in stage.incidents()


def test_a_status_that_we_do_not_know_moves_nothing_and_is_queried(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid)))
    stage.tell(VenueReport(report(cid, V.UNRECOGNISED, reason="PENDING_NEW")))
    assert stage.status_of(cid) == "ACCEPTED"
    assert [q.client_order_id for q in only(QueryOrder, stage.after(250))] == [cid]
