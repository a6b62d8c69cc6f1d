"""A session from boot to stop, at the stage."""

from daemon.model.enums import GateState, TradingState, VenueOrderStatus
from daemon.model.inputs import VenueReport
from tests.support.builders import command, fill, report, snapshot, wish
from tests.support.screenplay import Stage, cancels, replies, snapshots


def test_boot_is_halted_and_a_start_without_links_is_refused_with_a_sentence() -> None:
    stage = Stage()
    refused = replies(stage.tell(command("start")))[0]
    assert stage.engine.trading_state is TradingState.HALTED
    assert refused.error_code == "not_ready"
    assert "DOWN" in refused.error_message


def test_links_instruments_and_one_clean_snapshot_make_ready() -> None:
    stage = Stage().ready()
    assert stage.engine.gate_state is GateState.READY
    assert stage.engine.trading_state is TradingState.HALTED
    assert [f["new"] for f in stage.facts_of("gate_state")] == [
        "CONNECTING",
        "RECONCILING",
        "READY",
    ]


def test_a_session_from_start_through_a_fill_to_stop() -> None:
    stage = Stage().ready().start()
    assert stage.engine.session_id == f"{stage.config.run}-s1"
    order = stage.place(wish(qty="0.2"))
    cid = order.client_order_id
    assert stage.status_of(cid) == "SUBMITTED"
    stage.tell(VenueReport(report(cid, qty="0.2")))
    assert stage.status_of(cid) == "ACCEPTED"
    trade = fill(cid, 7, "0.05")
    stage.tell(
        VenueReport(
            report(cid, VenueOrderStatus.PARTIALLY_FILLED, cum="0.05", fills=(trade,), qty="0.2")
        )
    )
    assert stage.status_of(cid) == "PARTIALLY_FILLED"
    assert stage.position() == "0.05"
    effects = stage.tell(command("stop", "done", command_id="c9"))
    assert cancels(effects) == [cid]
    assert replies(effects) == []
    effects = stage.tell(VenueReport(report(cid, VenueOrderStatus.CANCELED, cum="0.05", qty="0.2")))
    assert snapshots(effects) == ["stop"]
    effects = stage.snapshot(balances={"USDT": "99995.05", "BTC": "100.05", "ETH": "100"})
    reply = replies(effects)[0]
    assert (reply.command_id, reply.error_code) == ("c9", "")
    assert reply.result["verified_empty"] is True
    stop = stage.facts_of("session_stop")[0]
    assert (stop["orders"], stop["fills"], stop["session_id"]) == (1, 1, f"{stage.config.run}-s1")
    assert stage.engine.session_id == ""
    assert stage.halt.closed
    assert stage.incidents() == []
    assert snapshot().balances
