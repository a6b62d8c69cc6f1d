"""A ban of the venue has a name: in the gate, in status, in answers, and over a restart."""

from daemon.core.engine import Engine
from daemon.model.amounts import NS_PER_S
from daemon.model.enums import GateState, TradingState
from daemon.model.inputs import RateLimited, SnapshotFailed, VenueReport
from tests.support.builders import command, config, engine, report, wish
from tests.support.screenplay import Stage, replies


def banned(stage: Stage, scope: str = "ban", seconds: int = 3600) -> Stage:
    until_ns = stage.now_ns + seconds * NS_PER_S
    stage.tell(RateLimited(418, -1003, scope, until_ns, "IP banned"))
    return stage


def test_a_ban_closes_the_gate_until_it_is_over() -> None:
    stage = banned(Stage().ready().start(), seconds=30)
    assert stage.engine.gate_state is GateState.BANNED
    assert stage.engine.trading_state is TradingState.REDUCING
    status = stage.engine.status(stage.now_ns)
    assert status["gate_state"] == "BANNED"
    assert status["venue_pause"]["left_ms"] == 30_000
    assert "banned this address until" in status["venue_pause"]["text"]
    stage.after(31_000)
    assert stage.engine.gate_state is GateState.READY
    assert stage.engine.trading_state is TradingState.ACTIVE
    assert stage.engine.status(stage.now_ns)["venue_pause"] is None


def test_commands_quote_the_ban_instead_of_waiting() -> None:
    stage = banned(Stage().ready())
    for method in ("start", "reconcile"):
        (reply,) = replies(stage.tell(command(method)))
        assert reply.error_code == "not_ready"
        assert "banned this address until" in reply.error_message
        assert "3600 s left" in reply.error_message
    (reply,) = replies(stage.tell(command("cancel-all")))
    assert "banned" in reply.result["note"]


def test_a_reconcile_that_waits_when_the_ban_comes_is_answered() -> None:
    stage = Stage().ready()
    assert not replies(stage.tell(command("reconcile")))
    stage.after(100)
    banned(stage)
    (reply,) = replies(stage.tell(SnapshotFailed("operator: paused by the venue")))
    assert (reply.error_code, "banned" in reply.error_message) == ("not_ready", True)


def test_a_stop_under_a_ban_says_why_orders_are_left() -> None:
    stage = Stage(stop_deadline_ns=2 * NS_PER_S).ready().start()
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid)))
    banned(stage)
    stage.tell(command("stop"))
    (reply,) = replies(stage.after(3_000))
    assert reply.error_code == "not_empty"
    assert "banned this address until" in reply.error_message


def test_a_pause_for_weight_is_named_but_is_no_ban() -> None:
    stage = banned(Stage().ready(), scope="weight", seconds=40)
    assert stage.engine.gate_state is GateState.READY
    assert "paused all requests until" in stage.engine.status(stage.now_ns)["venue_pause"]["text"]
    (reply,) = replies(stage.tell(command("start")))
    assert "paused all requests" in reply.error_message
    stage.after(41_000)
    assert not replies(stage.tell(command("start")))[0].error_code


def test_a_pause_of_placements_only_stops_nothing_else() -> None:
    stage = banned(Stage().ready(), scope="orders")
    assert stage.engine.status(stage.now_ns)["venue_pause"] is None


def test_a_ban_outlives_the_daemon() -> None:
    stage = banned(Stage().ready())
    folded, _, _ = engine(config())
    for fact in stage.facts:
        folded.apply_fact(fact)
    restored, _, _ = engine(config())
    restored.restore(stage.engine.state())
    for again in (folded, restored):
        assert again.venue_pause == stage.engine.venue_pause
        again.finish_recovery(stage.now_ns)
        assert told_at_boot(again, stage.now_ns) == "BANNED"


def test_a_checkpoint_of_an_older_build_has_no_ban() -> None:
    state = Stage().ready().engine.state()
    del state["pause"]
    restored, _, _ = engine(config())
    restored.restore(state)
    assert restored.venue_pause.until_ns == 0


def told_at_boot(again: Engine, now_ns: int) -> str:
    stage = Stage()
    stage.engine, stage.now_ns = again, now_ns
    stage.after(1)
    stage.tell(SnapshotFailed("boot"))
    return str(again.status(now_ns)["gate_state"])
