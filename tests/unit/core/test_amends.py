"""An amend makes an order smaller; until the venue has said so the larger quantity counts."""

from decimal import Decimal
from typing import Any

import pytest

from daemon.model.effects import Record, SendAmend
from daemon.model.enums import ReportSource as From
from daemon.model.enums import VenueOrderStatus
from daemon.model.inputs import (
    NotSent,
    OutcomeUnknown,
    VenueAmendReject,
    VenueReport,
)
from daemon.model.intents import AmendIntent, CancelIntent
from daemon.model.reports import CancelReject
from tests.support.builders import BTC, caps, command, engine, report, wish
from tests.support.screenplay import QueryOrder, Stage, cancels, only

HALF = Decimal("0.5")
ROOMY = caps(order_qty_base_max="9", position_long_base_max="9")


@pytest.fixture
def stage() -> Stage:
    return Stage(capset=ROOMY).ready().start()


def resting(stage: Stage, qty: str = "1") -> str:
    cid = stage.place(wish(qty=qty)).client_order_id
    stage.tell(VenueReport(report(cid, qty=qty)))
    return cid


def amend(cid: str, qty: Decimal = HALF) -> AmendIntent:
    return AmendIntent(strategy_id=wish().strategy_id, client_order_id=cid, qty=qty, reason="less")


def held(stage: Stage) -> Decimal:
    return stage.gate.risk.books.open_worst_case(BTC)[0]


def smaller(cid: str, qty: str = "0.5", **changes: Any) -> VenueReport:
    return VenueReport(report(cid, qty=qty, **changes))


def refusal(cid: str, code: int = -2038) -> VenueAmendReject:
    return VenueAmendReject(
        CancelReject(client_order_id=cid, instrument_id=BTC, code=code, reason="no", ts_recv_ns=0)
    )


def test_its_line_stands_before_it_leaves_and_nothing_is_released_by_asking(stage: Stage) -> None:
    cid = resting(stage)
    effects = stage.wishes(amend(cid))
    kinds = [type(e) for e in effects if isinstance(e, Record | SendAmend)]
    assert kinds.index(Record) < kinds.index(SendAmend)
    (sent,) = only(SendAmend, effects)
    assert (sent.amend.qty, sent.amend.venue_order_id) == (HALF, stage.order(cid).venue_order_id)
    (line,) = stage.facts_of("amend_requested")
    assert (line["old_qty"], line["qty"], line["cum_qty"]) == ("1", "0.5", "0")
    assert stage.order(cid).qty == 1
    assert held(stage) == 1, "the larger quantity counts until the venue has answered"


@pytest.mark.parametrize("source", [From.REPLY, From.STREAM, From.QUERY, From.RECOVERED])
def test_the_venues_word_releases_the_rest(stage: Stage, source: From) -> None:
    cid = resting(stage)
    stage.wishes(amend(cid))
    stage.tell(smaller(cid, source=source))
    assert stage.order(cid).qty == HALF
    assert held(stage) == HALF
    assert stage.status_of(cid) == "ACCEPTED"
    (line,) = stage.facts_of("order_amended")
    assert (line["old_qty"], line["qty"], line["source"]) == ("1", "0.5", source.value)
    stage.tell(smaller(cid))
    assert len(stage.facts_of("order_amended")) == 1, "told twice, booked once"


def test_an_older_report_makes_nothing_larger(stage: Stage) -> None:
    cid = resting(stage)
    stage.wishes(amend(cid))
    stage.tell(smaller(cid))
    stage.tell(VenueReport(report(cid, qty="1")))
    assert stage.order(cid).qty == HALF
    assert held(stage) == HALF


def test_silence_keeps_the_larger_quantity_until_a_query(stage: Stage) -> None:
    cid = resting(stage)
    stage.wishes(amend(cid))
    effects = stage.tell(OutcomeUnknown(cid, BTC, "amend", "deadline"))
    assert [q.client_order_id for q in only(QueryOrder, effects)] == [cid]
    assert held(stage) == 1
    assert stage.status_of(cid) == "ACCEPTED", "the order itself is not in doubt"
    stage.tell(VenueReport(report(cid, qty="0.5", source=From.QUERY)))
    assert held(stage) == HALF
    assert stage.incidents() == []


def test_silence_about_an_amend_that_never_arrived(stage: Stage) -> None:
    cid = resting(stage)
    stage.wishes(amend(cid))
    stage.tell(OutcomeUnknown(cid, BTC, "amend", "deadline"))
    stage.tell(VenueReport(report(cid, qty="1", source=From.QUERY)))
    assert held(stage) == 1
    assert only(SendAmend, stage.wishes(amend(cid))), "it may be wished again"


def test_a_refused_amend_leaves_the_order_as_it_was(stage: Stage) -> None:
    cid = resting(stage)
    stage.wishes(amend(cid))
    effects = stage.tell(refusal(cid))
    assert [q.client_order_id for q in only(QueryOrder, effects)] == [cid]
    assert (stage.order(cid).qty, held(stage)) == (1, 1)
    (line,) = stage.facts_of("amend_reject")
    assert (line["by"], line["code"]) == ("venue", -2038)


def test_one_that_never_left(stage: Stage) -> None:
    cid = resting(stage)
    stage.wishes(amend(cid))
    stage.tell(NotSent(cid, BTC, "amend", "no link"))
    assert stage.facts_of("amend_reject")[0]["by"] == "link"
    assert (stage.order(cid).qty, held(stage)) == (1, 1)
    assert only(SendAmend, stage.wishes(amend(cid)))


def test_one_amend_at_a_time(stage: Stage) -> None:
    cid = resting(stage)
    assert len(only(SendAmend, stage.wishes(amend(cid), amend(cid, Decimal("0.4"))))) == 1


@pytest.mark.parametrize(
    ("qty", "code"),
    [
        (Decimal(1), "amend_not_smaller"),
        (Decimal(2), "amend_not_smaller"),
        (Decimal(0), "malformed_order"),
        (Decimal("NaN"), "malformed_order"),
        (Decimal("0.5001"), "filter_lot"),
    ],
)
def test_only_smaller(stage: Stage, qty: Decimal, code: str) -> None:
    cid = resting(stage)
    assert only(SendAmend, stage.wishes(amend(cid, qty))) == []
    (line,) = stage.facts_of("amend_reject")
    assert (line["by"], line["msg"]) == ("caps", code)


def test_never_below_what_has_traded(stage: Stage) -> None:
    cid = resting(stage)
    stage.tell(VenueReport(report(cid, VenueOrderStatus.PARTIALLY_FILLED, qty="1", cum="0.6")))
    assert only(SendAmend, stage.wishes(amend(cid))) == []
    assert stage.facts_of("amend_reject")[0]["msg"] == "amend_not_smaller"


def test_a_strategy_cannot_amend_what_is_not_its_own(stage: Stage) -> None:
    cid = resting(stage)
    stage.order(cid).strategy_id = "other"
    assert only(SendAmend, stage.wishes(amend(cid))) == []
    assert stage.facts_of("amend_reject") == [], "it does not even see it"


def test_nothing_is_amended_after_a_kill(stage: Stage) -> None:
    cid = resting(stage)
    order = stage.order(cid)
    stage.halt.close("kill")
    answer = stage.gate.review_amend(amend(cid), order, stage.now_ns)
    assert str(answer.reason) == "halt_flag_closed"
    stage.halt.open()
    stage.tell(command("stop"))
    answer = stage.gate.review_amend(amend(cid), order, stage.now_ns)
    assert str(answer.reason) in {"trading_halted", "order_not_open"}


def test_a_cancel_does_not_wait_for_an_amend(stage: Stage) -> None:
    cid = resting(stage)
    wished = CancelIntent(strategy_id=wish().strategy_id, client_order_id=cid)
    assert cancels(stage.wishes(amend(cid), wished)) == [cid]
    stage.tell(smaller(cid))
    assert (stage.status_of(cid), held(stage)) == ("PENDING_CANCEL", HALF)


def test_the_amended_whole_is_filled(stage: Stage) -> None:
    cid = resting(stage)
    stage.wishes(amend(cid))
    stage.tell(smaller(cid, status=VenueOrderStatus.FILLED, cum="0.5"))
    assert stage.status_of(cid) == "FILLED"
    assert held(stage) == HALF, "the fills themselves are still owed"


def test_it_counts_as_a_message_and_not_as_an_order(stage: Stage) -> None:
    cid = resting(stage)
    orders, cancels_before = (
        stage.gate.risk.windows.orders.counts(stage.now_ns),
        stage.gate.risk.windows.messages(stage.now_ns),
    )
    stage.wishes(amend(cid))
    assert stage.gate.risk.windows.orders.counts(stage.now_ns) == orders
    assert stage.gate.risk.windows.messages(stage.now_ns)[0] == cancels_before[0] + 1


def test_a_recovered_twin_knows_the_smaller_order(stage: Stage) -> None:
    first, second = resting(stage), resting(stage, "2")
    stage.wishes(amend(first))
    stage.tell(smaller(first))
    stage.wishes(amend(second))
    twin, gate, _ = engine(stage.config, ROOMY)
    for fact in stage.facts:
        twin.apply_fact(fact)
    assert twin._ctx.books.orders[first].qty == HALF
    assert gate.risk.books.open_worst_case(BTC) == stage.gate.risk.books.open_worst_case(BTC)
    assert twin.state_hash() == stage.engine.state_hash()
