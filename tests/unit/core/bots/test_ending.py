"""Cancels, replaces and amends of bots: answered by what became of the order, never by hope."""

from decimal import Decimal

import pytest

from daemon.model.bots import BotRefusal, BotState, DenialSource, ReplaceMode
from daemon.model.effects import SendAmend, SendCancel, SendOrder, SendReplace
from daemon.model.enums import ReportSource, VenueOrderStatus
from daemon.model.inputs import (
    JournalFault,
    NotSent,
    VenueAmendReject,
    VenueCancelReject,
    VenueReject,
)
from daemon.model.reports import CancelReject, Reject
from tests.support.bot_stage import BotStage, bot_caps, ready
from tests.support.builders import BTC, command
from tests.support.screenplay import cancels, only

NOT_FOUND = BotRefusal.ORDER_NOT_FOUND


@pytest.fixture
def stage() -> BotStage:
    return ready()


def cancel_refused(cid: str, code: int = -2011, why: str = "Unknown order sent.") -> CancelReject:
    return CancelReject(client_order_id=cid, instrument_id=BTC, code=code, reason=why, ts_recv_ns=0)


# ---------------------------------------------------------------------- cancels
@pytest.mark.parametrize("by", ["own", "venue", "both"])
def test_a_cancel_is_answered_by_the_end_of_its_order(stage: BotStage, by: str) -> None:
    cid = stage.rest("a1", venue_id="77")
    own = None if by == "venue" else "a1"
    venue = None if by == "own" else "77"
    effects = stage.tell(
        stage.asks_cancel(own, venue_order_id=venue, new_client_order_id="my-cancel")
    )
    assert cancels(effects) == [cid]
    assert stage.last is None
    stage.tell(stage.canceled(cid))
    row = stage.row()
    assert (row.client_order_id, row.cancel_client_order_id) == ("a1", "my-cancel")
    assert row.status is VenueOrderStatus.CANCELED
    assert stage.heard()[-1] == ("a1", "CANCELED", "CANCELED")


def test_a_cancel_that_came_before_its_order_is_sent_again_when_the_order_appears(
    stage: BotStage,
) -> None:
    cid = stage.place("a1")
    assert cancels(stage.tell(stage.asks_cancel("a1"))) == [cid]
    stage.tell(VenueCancelReject(cancel_refused(cid)))  # the placement is still on its way
    effects = stage.tell(stage.ack(cid, source=ReportSource.STREAM))
    assert cancels(effects) == [cid], "at once, not when the next question is due"
    assert cancels(stage.tell(stage.ack(cid))) == [], "and once"
    stage.tell(stage.canceled(cid))
    assert stage.row().status is VenueOrderStatus.CANCELED


def test_a_cancel_that_comes_too_late_says_that_there_was_nothing_to_cancel(
    stage: BotStage,
) -> None:
    cid = stage.rest("a1")
    stage.tell(stage.asks_cancel("a1"))
    stage.tell(VenueCancelReject(cancel_refused(cid)))
    assert stage.last is None, "-2011 proves nothing"
    stage.tell(stage.trade(cid, 1, "0.1"))
    assert stage.denial().reason == NOT_FOUND
    stage.tell(stage.asks_cancel("a1"))
    assert stage.denial().reason == NOT_FOUND, "it has ended"


@pytest.mark.parametrize("named", ["own", "venue"])
def test_nobody_cancels_anothers_order(stage: BotStage, named: str) -> None:
    stage.rest("a1", venue_id="77")
    own, venue = ("a1", None) if named == "own" else (None, "77")
    effects = stage.tell(stage.asks_cancel(own, bot="cx", venue_order_id=venue))
    assert not only(SendCancel, effects)
    assert stage.denial().reason == NOT_FOUND


def test_two_ids_that_do_not_fit_name_no_order(stage: BotStage) -> None:
    stage.rest("a1", venue_id="77")
    stage.rest("a2", venue_id="78", price="98.00")
    stage.tell(stage.asks_cancel("a2", venue_order_id="77"))
    assert stage.denial().reason == NOT_FOUND


def test_repeated_cancels_leave_once_count_once_and_are_all_answered() -> None:
    stage = ready(capset=bot_caps(cancels_per_second_max=1))
    cid = stage.rest("a1")
    sent: list[str] = []
    asked = [stage.asks_cancel("a1") for _ in range(5)]
    for one in asked:
        sent += cancels(stage.tell(one))
    assert sent == [cid]
    stage.tell(stage.canceled(cid))
    assert all(stage.answers[one.request].rows for one in asked)


@pytest.mark.parametrize("trouble", ["halted", "killed", "suspended", "journal", "revoked"])
def test_a_cancel_passes_whatever_forbids_placements(stage: BotStage, trouble: str) -> None:
    cid = stage.rest("a1")
    if trouble == "suspended":
        stage.switch(BotState.SUSPENDED)
    elif trouble == "revoked":
        stage.switch(BotState.REVOKED)
    elif trouble == "journal":
        stage.gate.risk.on_journal_health(ok=False)
    else:
        stage.halt.close("drill")
    assert not only(SendOrder, stage.tell(stage.asks("a2", price="98.00")))
    assert stage.last is not None
    assert stage.last.denial is not None
    assert cancels(stage.tell(stage.asks_cancel("a1"))) == [cid]
    stage.tell(stage.canceled(cid))
    assert stage.row().status is VenueOrderStatus.CANCELED


def test_a_cancel_after_a_kill_joins_the_kills_own_cancel(stage: BotStage) -> None:
    cid = stage.rest("a1")
    assert cancels(stage.tell(command("kill", "drill"))) == [cid]
    assert cancels(stage.tell(stage.asks_cancel("a1"))) == []
    stage.tell(stage.canceled(cid))
    assert stage.row().status is VenueOrderStatus.CANCELED


def test_no_cap_on_placements_holds_a_cancel() -> None:
    stage = ready(capset=bot_caps(orders_per_second_max=1, orders_per_minute_max=2))
    cid = stage.rest("a1")
    stage.tell(stage.asks("a2", price="98.00"))
    assert stage.denial().reason.startswith("orders_per_")
    assert cancels(stage.tell(stage.asks_cancel("a1"))) == [cid]


def test_cancel_all_is_a_cancel_for_each_own_order_of_the_symbol(stage: BotStage) -> None:
    first, second = stage.rest("a1", venue_id="1"), stage.rest("a2", venue_id="2", price="98.00")
    stage.rest("b1", bot="cx", venue_id="3", price="97.00")
    assert cancels(stage.tell(stage.asks_cancel_all())) == [first, second]
    stage.tell(stage.canceled(first))
    assert stage.last is None
    stage.tell(stage.canceled(second))
    answered = stage.last
    assert answered is not None
    assert [one.client_order_id for one in answered.rows] == ["a1", "a2"]
    stage.tell(stage.asks_cancel_all())
    assert stage.denial().reason == NOT_FOUND


# ---------------------------------------------------------------------- replaces
def test_a_replace_is_one_request_and_both_halves_are_answered(stage: BotStage) -> None:
    old = stage.rest("a1")
    request, new = stage.replace("a1", "a2", price="98.50", qty="0.2")
    stage.tell(stage.canceled(old, ReportSource.REPLY))
    assert request not in stage.answers
    stage.tell(stage.ack(new, venue_id="2"))
    answered = stage.answers[request]
    assert answered.denial is None
    assert answered.cancel_denial is None
    assert answered.cancel_row is not None
    assert answered.cancel_row.client_order_id == "a1"
    assert (answered.rows[0].client_order_id, str(answered.rows[0].price)) == ("a2", "98.50")
    (line,) = [one for one in stage.facts_of("order_approved") if one["qty"] == "0.2"]
    assert line["owner"]["request"] == request


@pytest.mark.parametrize("mode", ReplaceMode)
def test_the_mode_goes_to_the_venue(stage: BotStage, mode: ReplaceMode) -> None:
    stage.rest("a1")
    effects = stage.tell(stage.asks_replace("a1", "a2", price="98.50", mode=mode))
    (sent,) = only(SendReplace, effects)
    assert sent.replace.mode is mode


def test_a_failed_cancel_with_stop_on_failure_ends_both_halves(stage: BotStage) -> None:
    old = stage.rest("a1")
    request, new = stage.replace("a1", "a2", price="98.50")
    stage.tell(VenueCancelReject(cancel_refused(old)))
    stage.tell(
        VenueReject(
            Reject(
                client_order_id=new,
                instrument_id=BTC,
                code=0,
                reason="not attempted",
                ts_recv_ns=0,
            )
        )
    )
    answered = stage.answers[request]
    assert answered.cancel_denial is not None
    assert answered.cancel_denial.code == -2011
    assert answered.denial is None, "not attempted"
    assert not answered.rows


def test_nothing_to_cancel_is_not_attempted_or_placed_alone(stage: BotStage) -> None:
    stage.tell(stage.asks_replace("gone", "a2", mode=ReplaceMode.STOP_ON_FAILURE))
    answered = stage.last
    assert answered is not None
    assert answered.cancel_denial is not None
    assert not answered.rows
    assert answered.denial is None
    (sent,) = only(
        SendOrder, stage.tell(stage.asks_replace("gone", "a3", mode=ReplaceMode.ALLOW_FAILURE))
    )
    stage.tell(stage.ack(sent.order.client_order_id))
    answered = stage.last
    assert answered is not None
    assert answered.cancel_denial is not None
    assert answered.rows[0].client_order_id == "a3"


def test_a_replace_of_what_is_being_canceled_fails_as_a_whole(stage: BotStage) -> None:
    stage.rest("a1")
    stage.tell(stage.asks_cancel("a1"))
    stage.tell(stage.asks_replace("a1", "a2", price="98.50"))
    answered = stage.last
    assert answered is not None
    assert answered.cancel_denial is not None
    assert answered.cancel_denial.reason == BotRefusal.IN_PROGRESS
    assert (answered.denial, answered.rows) == (None, ())


def test_a_denied_placement_does_not_keep_the_cancel_from_leaving(stage: BotStage) -> None:
    old = stage.rest("a1")
    effects = stage.tell(stage.asks_replace("a1", "a2", qty="2"))
    assert cancels(effects) == [old]
    assert not only(SendReplace, effects)
    stage.tell(stage.canceled(old))
    answered = stage.last
    assert answered is not None
    assert answered.denial is not None
    assert answered.cancel_row is not None
    assert answered.denial.reason == "order_qty"
    assert answered.cancel_row.status is VenueOrderStatus.CANCELED


def test_an_id_that_a_wiped_venue_gives_again_is_the_new_orders() -> None:
    stage = ready()
    old = stage.place("a1")
    stage.tell(stage.ack(old, venue_id="7"))
    stage.tell(stage.canceled(old))
    stage.after(1_500)
    new = stage.place("a2")
    stage.tell(stage.ack(new, venue_id="7"))
    effects = stage.tell(stage.asks_cancel(None, venue_order_id="7"))
    assert [one.cancel.client_order_id for one in only(SendCancel, effects)] == [new]


@pytest.mark.parametrize(
    ("price", "reason"), [("98.503", "filter_tick"), ("98.50", "orders_per_second")]
)
def test_filters_and_rates_are_looked_at_before_the_cancel_and_nothing_is_done(
    price: str, reason: str
) -> None:
    stage = ready(capset=bot_caps(orders_per_second_max=1))
    old = stage.rest("a1")
    if reason.startswith("filter"):
        stage.after(1_500)
    effects = stage.tell(stage.asks_replace("a1", "a2", price=price))
    assert cancels(effects) == []
    assert stage.status_of(old) == "ACCEPTED"
    answered = stage.last
    assert answered is not None
    assert answered.denial is not None
    assert answered.denial.reason == reason
    assert (answered.cancel_denial, answered.cancel_row, answered.rows) == (None, None, ())


def test_a_replace_that_never_left_leaves_the_order_as_it_was(stage: BotStage) -> None:
    old = stage.rest("a1")
    request, new = stage.replace("a1", "a2", price="98.50")
    stage.tell(NotSent(old, BTC, "replace", "budget"), NotSent(new, BTC, "place", "budget"))
    answered = stage.answers[request]
    assert answered.cancel_denial is not None
    assert answered.cancel_denial.source is DenialSource.LINK
    assert stage.status_of(old) == "ACCEPTED"


# ---------------------------------------------------------------------- amends
def test_an_amend_is_answered_when_the_venue_has_said_the_smaller_quantity(
    stage: BotStage,
) -> None:
    cid = stage.rest("a1", qty="0.5")
    assert only(SendAmend, stage.tell(stage.asks_amend("a1", "0.2")))
    assert stage.last is None
    stage.tell(stage.ack(cid, qty="0.2"))
    assert (stage.row().qty, stage.row().amends) == (Decimal("0.2"), 1)
    assert stage.heard()[-1] == ("a1", "REPLACED", "NEW")


def test_a_refused_amend_says_why_and_the_order_stays(stage: BotStage) -> None:
    cid = stage.rest("a1", qty="0.5")
    stage.tell(stage.asks_amend("a1", "0.9"))
    assert stage.denial().source is DenialSource.CAPS
    stage.tell(stage.asks_amend("a1", "0.2"))
    stage.tell(VenueAmendReject(cancel_refused(cid, -2038, "no")))
    assert stage.denial().code == -2038
    assert stage.order(cid).qty == Decimal("0.5")
    stage.tell(stage.asks_amend("other", "0.2"))
    assert stage.denial().reason == NOT_FOUND


def test_a_journal_that_refuses_denies_placements_with_its_own_reason(stage: BotStage) -> None:
    stage.tell(JournalFault("disk"))
    stage.tell(stage.asks("a1"))
    assert stage.denial().source is DenialSource.CAPS
