"""A wanted cancel is seen through, and is never a storm."""

import pytest

from daemon.model.effects import Reply
from daemon.model.enums import Link, VenueOrderStatus
from daemon.model.enums import ReportSource as From
from daemon.model.inputs import (
    LinkDown,
    NotSent,
    OutcomeUnknown,
    VenueCancelReject,
    VenueReport,
)
from daemon.model.intents import CancelIntent
from daemon.model.reports import CancelReject
from tests.support.builders import BTC, command, report, wish
from tests.support.screenplay import QueryOrder, Stage, cancels, only

V = VenueOrderStatus


@pytest.fixture
def stage() -> Stage:
    return Stage(cancel_attempts_max=4).ready().start()


def resting(stage: Stage) -> str:
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid)))
    return cid


def test_wishing_a_cancel_twice_sends_it_once(stage: Stage) -> None:
    cid = resting(stage)
    wished = CancelIntent(strategy_id=wish().strategy_id, client_order_id=cid)
    assert cancels(stage.wishes(wished, wished)) == [cid]
    assert cancels(stage.wishes(wished)) == []


def test_a_strategy_cannot_cancel_what_is_not_its_own(stage: Stage) -> None:
    cid = resting(stage)
    stage.order(cid).strategy_id = "other"
    wished = CancelIntent(strategy_id=wish().strategy_id, client_order_id=cid)
    assert cancels(stage.wishes(wished)) == []


def test_an_unanswered_cancel_is_queried_and_sent_again_when_the_order_still_lives(
    stage: Stage,
) -> None:
    cid = resting(stage)
    stage.tell(command("cancel-all"))
    effects = stage.tell(OutcomeUnknown(cid, BTC, "cancel", "deadline"))
    assert [q.client_order_id for q in only(QueryOrder, effects)] == [cid]
    assert cancels(effects) == []
    stage.tell(VenueReport(report(cid, source=From.QUERY)))
    assert cancels(stage.after(300)) == [cid]


def test_a_cancel_that_never_left_is_sent_again_later(stage: Stage) -> None:
    cid = resting(stage)
    stage.tell(command("cancel-all"))
    assert cancels(stage.tell(NotSent(cid, BTC, "cancel", "no link"))) == []
    assert stage.status_of(cid) == "ACCEPTED"
    assert cancels(stage.after(400)) == [cid]


def test_refusals_back_off_and_end_in_one_incident(stage: Stage) -> None:
    cid = resting(stage)
    sent = len(cancels(stage.tell(command("cancel-all"))))
    no = CancelReject(client_order_id=cid, instrument_id=BTC, code=-2011, reason="?", ts_recv_ns=0)
    for _ in range(100):
        effects = stage.after(200)
        for effect in only(QueryOrder, effects):
            effects += stage.tell(VenueReport(report(effect.client_order_id, source=From.QUERY)))
        sent += len(cancels(effects))
        if cancels(effects):
            effects = stage.tell(VenueCancelReject(no))
            for effect in only(QueryOrder, effects):
                more = stage.tell(VenueReport(report(effect.client_order_id, source=From.QUERY)))
                sent += len(cancels(more))
    assert 4 <= sent <= 30, "20 s at a slowest pace of one a second"
    assert stage.incidents().count("cancel_stuck") == 1


def test_a_cancel_waits_for_the_link(stage: Stage) -> None:
    cid = resting(stage)
    stage.tell(LinkDown(Link.ORDER, "gone"))
    assert cancels(stage.tell(command("cancel-all"))) == []
    assert stage.status_of(cid) == "ACCEPTED"


def test_cancel_all_of_one_symbol_leaves_the_other(stage: Stage) -> None:
    cid = resting(stage)
    other = stage.place(wish(iid="ETHUSDT@sim"))
    assert cancels(stage.tell(command("cancel-all", symbol="ETHUSDT"))) == [other.client_order_id]
    assert stage.status_of(cid) == "ACCEPTED"


def test_cancel_all_of_a_stranger_is_refused(stage: Stage) -> None:
    reply = stage.tell(command("cancel-all", symbol="DOGEUSDT"))[-1]
    assert reply.error_code == "bad_params"
    assert "BTCUSDT" in reply.error_message


def test_cancel_all_without_a_link_says_that_nothing_has_left(stage: Stage) -> None:
    resting(stage)
    stage.tell(LinkDown(Link.ORDER, "gone"))
    (reply,) = only(Reply, stage.tell(command("cancel-all")))
    assert "link is down: the cancels leave when" in reply.result["note"]
