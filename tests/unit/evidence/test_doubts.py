"""How a doubt about an order ends: no outcome can be put in another's place."""

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from daemon.model.records import EventType
from evidence.folds.order_fold import OrdersFold
from evidence.folds.told_fold import ToldFold
from evidence.read.journal_reader import decoded
from evidence.report.report import build_report
from tests.support.journal_maker import JournalMaker, encode

STATES = {"absent": "REJECTED", "not_sent": "CANCELED", "adopted": "ACCEPTED"}
INPUTS: dict[str, dict[str, Any]] = {
    "absent": {"type": "OrderAbsent", "absent": {}},
    "not_sent": {"type": "NotSent", "request": "place"},
}


def problems(fold: OrdersFold | ToldFold, maker: JournalMaker) -> dict[str, int]:
    """What a fold finds in the lines, and how often."""
    handlers = fold.handlers()
    for record in decoded(encode(maker.records)):
        if (handler := handlers.get(type(record))) is not None:
            handler(record)
    return fold.problems.counts


def begun() -> JournalMaker:
    maker = JournalMaker()
    maker.run_start(ticks="all", heartbeat_period_ms=1000)
    maker.session_start()
    return maker


def in_doubt(state: str, outcome: str, *, told: str = "", order: object = None) -> JournalMaker:
    """An order that became UNKNOWN, then `state`; its doubt is said to have ended as `outcome`."""
    maker = begun()
    cid = maker.approve("BTCUSDT", "BUY", "0.01", "3000")
    maker.state(cid, "UNKNOWN", "silence")
    maker.wait()
    if told:
        made = {**INPUTS[told], "client_order_id": cid, "absent": {"client_order_id": cid}}
        if told != "absent":
            del made["absent"]
        maker.write(EventType.INPUT, input=made)
    maker.state(cid, state, "reject" if state == "REJECTED" else "ack")
    more = {} if order is None else {"order": order}
    maker.write(
        EventType.ORDER_RESOLVED, client_order_id=cid, symbol="BTCUSDT", outcome=outcome,
        proof="as it is", **more,
    )  # fmt: skip
    return maker


@pytest.mark.parametrize("outcome", ["absent", "not_sent"])
def test_an_end_of_a_doubt_with_its_state_and_its_input_is_right(outcome: str) -> None:
    made = in_doubt(STATES[outcome], outcome, told=outcome)
    assert problems(OrdersFold(), made) == {}
    assert problems(ToldFold(), made) == {}


@pytest.mark.parametrize(("true", "stated"), list(permutations(STATES, 2)))
def test_no_outcome_stands_for_another(true: str, stated: str) -> None:
    made = in_doubt(STATES[true], stated, order={"qty": "0.01"})
    assert problems(OrdersFold(), made) == {"outcome_differs": 1}


def test_an_outcome_that_nobody_knows_is_a_problem() -> None:
    assert problems(OrdersFold(), in_doubt("REJECTED", "lost")) == {"outcome_differs": 1}


@pytest.mark.parametrize(("true", "stated"), [("absent", "not_sent"), ("not_sent", "absent")])
def test_state_and_outcome_changed_together_lack_the_input(true: str, stated: str) -> None:
    made = in_doubt(STATES[stated], stated, told=true)
    assert problems(OrdersFold(), made) == {}
    assert problems(ToldFold(), made) == {"input_absent": 1}


def test_an_order_that_the_venue_has_shown_was_neither_absent_nor_unsent() -> None:
    maker = begun()
    cid = maker.approve("BTCUSDT", "BUY", "0.01", "3000")
    maker.accept(cid)
    maker.cancel(cid)
    maker.write(EventType.ORDER_RESOLVED, client_order_id=cid, outcome="not_sent", proof="")
    assert problems(OrdersFold(), maker) == {"outcome_differs": 1}


@pytest.mark.parametrize("order", [None, {"qty": "0.01"}])
def test_an_order_that_returns_is_adopted_with_all_that_it_is_held_for(order: object) -> None:
    maker = in_doubt("REJECTED", "absent")
    cid = maker.records[-1]["client_order_id"]
    common = {"client_order_id": cid, "symbol": "BTCUSDT"}
    maker.write(
        EventType.ORDER_STATE, **common, old="REJECTED", new="ACCEPTED", order_id="9",
        why="open there", cum_qty="0", venue_cum_qty="0", source="snapshot",
    )  # fmt: skip
    more = {} if order is None else {"order": order}
    maker.write(EventType.ORDER_RESOLVED, **common, outcome="adopted", proof="", **more)
    fold = OrdersFold()
    assert problems(fold, maker) == ({} if order else {"outcome_differs": 1})
    assert list(fold.open) == [cid], "it works, and its end is awaited"


@pytest.mark.parametrize(("state", "kind"), [("REJECTED", "absent"), ("CANCELED", "not_sent")])
@pytest.mark.parametrize("is_last", [True, False])
def test_a_kill_before_the_line_of_a_doubts_end_is_no_fault_of_the_journal(
    state: str, kind: str, is_last: bool, tmp_path: Path
) -> None:
    """An order ends unseen by the venue in the last line of a run, or in the last but one."""
    maker = begun()
    cid = maker.approve("BTCUSDT", "BUY", "0.01", "3000")
    maker.state(cid, "UNKNOWN", "silence")
    maker.wait()
    maker.write(EventType.INPUT, input={**INPUTS[kind], "client_order_id": cid})
    maker.state(cid, state, "reject")
    if not is_last:
        maker.deny()
    maker.run_start(ticks="all", heartbeat_period_ms=1000)

    fold = OrdersFold()
    problems(fold, maker)
    is_unproven = not is_last and state == "REJECTED"
    assert fold.audit().counts == ({"reject_absent": 1} if is_unproven else {})
    journal, books = maker.save(tmp_path)
    reasons = " ".join(build_report([journal], ledger=books).reasons)
    assert ("orders missing from ledger" in reasons) is (not is_last and state == "CANCELED")


@pytest.mark.parametrize(("state", "kind"), [("REJECTED", "absent"), ("CANCELED", "not_sent")])
@pytest.mark.parametrize("is_last", [True, False])
def test_a_refusal_that_was_never_heard_is_no_absent_line_of_a_run_that_was_killed(
    state: str, kind: str, is_last: bool, tmp_path: Path
) -> None:
    """The venue refused it, the answer was lost, a query found none, and the kill came then.

    What "never left" is not refused there: such an end explains no refusal.
    """
    maker = begun()
    cid = maker.approve("BTCUSDT", "BUY", "0.01", "3000")
    maker.state(cid, "UNKNOWN", "silence")
    maker.wait()
    maker.write(EventType.INPUT, input={**INPUTS[kind], "client_order_id": cid})
    maker.state(cid, state, "reject")
    if not is_last:
        maker.deny()
    maker.ledger["rejects"].append(
        {"client_order_id": cid, "code": -2010, "msg": "no balance", "endpoint": "order.place"}
    )
    maker.run_start(ticks="all", heartbeat_period_ms=1000)
    journal, books = maker.save(tmp_path)
    reasons = " ".join(build_report([journal], ledger=books).reasons)
    is_explained = is_last and state == "REJECTED"
    assert ("rejects missing from journal" in reasons) is not is_explained
