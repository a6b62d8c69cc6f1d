"""What the lines before say of the gate and a session's end, and the books of an order's type."""

from pathlib import Path

import pytest

from daemon.model.records import EventType
from evidence.folds.state_fold import StatesFold
from evidence.read.journal_reader import decoded
from evidence.report.report import build_report
from tests.support.journal_maker import JournalMaker, encode


def problems(maker: JournalMaker) -> list[str]:
    """What the fold of states finds in the lines; the place of each left out."""
    fold = StatesFold()
    handlers = fold.handlers()
    for record in decoded(encode(maker.records)):
        if (handler := handlers.get(type(record))) is not None:
            handler(record)
    found = [one for each in fold.problems.examples.values() for one in each]
    return [one.partition(": ")[2] for one in found]


def begun() -> JournalMaker:
    maker = JournalMaker()
    maker.run_start(heartbeat_period_ms=1000)
    return maker


def gate(maker: JournalMaker, old: str, new: str) -> None:
    maker.write(EventType.GATE_STATE, old=old, new=new, why="")


@pytest.mark.parametrize("link", ["order", "market"])
@pytest.mark.parametrize("is_told", [True, False])
def test_a_gate_is_not_ready_while_a_link_is_lost(link: str, is_told: bool) -> None:
    maker = begun()
    maker.write(EventType.CONNECTED, link=link)
    gate(maker, "DOWN", "READY")
    maker.write(EventType.DISCONNECTED, link=link, msg="lost")
    if is_told:
        gate(maker, "READY", "STALE")
    maker.now_ns += 7_000_000
    maker.write(EventType.RECONNECT, link=link, outage_ms=7)
    assert problems(maker) == ([] if is_told else [f"{link} was lost, and the gate stayed READY"])


@pytest.mark.parametrize("is_again", [True, False])
def test_a_link_that_was_lost_before_it_was_up_comes_up_for_the_first_time(
    *, is_again: bool
) -> None:
    """A venue that refuses the boot's first requests."""
    maker = begun()
    maker.write(EventType.DISCONNECTED, link="rest", msg="429")
    maker.write(EventType.CONNECTED, link="rest")
    if is_again:
        maker.write(EventType.CONNECTED, link="rest")
    assert problems(maker) == (["rest is up for the first time, again"] if is_again else [])


@pytest.mark.parametrize("is_told", [True, False])
def test_a_heartbeat_of_an_outage_does_not_say_ready(is_told: bool) -> None:
    maker = begun()
    maker.write(EventType.CONNECTED, link="order")
    gate(maker, "DOWN", "READY")
    maker.write(EventType.DISCONNECTED, link="order", msg="lost")
    if is_told:
        gate(maker, "READY", "STALE")
    maker.write(
        EventType.HEARTBEAT, trading_state="HALTED", gate_state="STALE" if is_told else "READY",
        open_orders=0, unknown_orders=0, queue_age_ms=0, period_ms=1000,
    )  # fmt: skip
    found = [one for one in problems(maker) if "READY" in one]
    assert found == ([] if is_told else ["order was lost, and the gate stayed READY"])


@pytest.mark.parametrize(
    ("reason", "is_right"),
    [("crash: the daemon ended inside the session", True), ("stop: planned", False)],
)
def test_a_session_of_a_run_before_ended_in_a_crash(reason: str, is_right: bool) -> None:
    maker = begun()
    maker.session_start()
    maker.run_start(heartbeat_period_ms=1000)
    maker.write(EventType.SESSION_STOP, reason=reason, by="engine", duration_ms=0)
    found = [one for one in problems(maker) if "run before" in one]
    assert (found == []) is is_right


@pytest.mark.parametrize(
    ("name", "is_right"), [("quoter", True), ("engine", True), ("other", False)]
)
def test_an_order_is_of_a_strategy_that_its_session_names(name: str, is_right: bool) -> None:
    maker = begun()
    maker.session_start()
    maker.approve("BTCUSDT", "BUY", "0.01", "3000")
    line = maker.records[-1]
    line["strategy_id"] = name
    found = [one for one in problems(maker) if "does not name" in one]
    assert (found == []) is is_right


def test_an_order_of_another_type_than_the_venues_is_a_difference(tmp_path: Path) -> None:
    maker = JournalMaker()
    maker.run_start()
    maker.session_start()
    cid = maker.approve("BTCUSDT", "BUY", "0.01", "3000")
    maker.accept(cid)
    maker.cancel(cid)
    maker.session_stop()
    maker.run_stop()
    journal, ledger = maker.save(tmp_path / "right")
    assert build_report([journal], ledger=ledger).reasons == []
    maker.ledger["orders"][0]["type"] = "STOP_LOSS_LIMIT"
    journal, ledger = maker.save(tmp_path / "wrong")
    reasons = build_report([journal], ledger=ledger).reasons
    assert any("LIMIT here, STOP_LOSS_LIMIT there" in one for one in reasons), reasons
