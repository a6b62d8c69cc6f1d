"""Reconciliation: facts are booked; differences are classified, must stand twice, then stop us."""

import pytest

from daemon.model.amounts import NS_PER_S
from daemon.model.copies import replace
from daemon.model.enums import GateState, Link, ReportSource, VenueOrderStatus
from daemon.model.ids import instrument_id
from daemon.model.inputs import (
    LinkDown,
    LinkUp,
    SnapshotFailed,
    SnapshotTaken,
    VenueReport,
)
from daemon.model.reports import NotFound
from tests.support.builders import BTC, command, fill, report, snapshot, wish
from tests.support.screenplay import Stage, cancels, replies, snapshots

V = VenueOrderStatus
HELD = {"USDT": "100000", "BTC": "100", "ETH": "100"}


@pytest.fixture
def stage() -> Stage:
    return Stage().ready().start()


def ask(stage: Stage) -> None:
    assert snapshots(stage.tell(command("reconcile"))) == ["operator"]


def taken(**what: object) -> SnapshotTaken:
    return SnapshotTaken(snapshot(reason="operator", **what))  # type: ignore[arg-type]


def confirmed(stage: Stage, **what: object) -> None:
    """The same snapshot twice, the confirmation time apart."""
    ask(stage)
    stage.tell(taken(**what))
    assert stage.incidents() == [], "once is not enough"
    assert snapshots(stage.after(500)) == ["confirm"]
    stage.tell(SnapshotTaken(snapshot(reason="confirm", **what)))  # type: ignore[arg-type]


def test_a_missed_fill_is_booked_once_and_marked_recovered(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid)))
    one = fill(cid, 3, "0.04")
    still = report(cid, V.PARTIALLY_FILLED, cum="0.04", source=ReportSource.QUERY)
    held = {"USDT": "99996.04", "BTC": "100.04", "ETH": "100"}
    ask(stage)
    stage.tell(taken(balances=held, open_orders=(still,), fills=(one,)))
    stage.tell(VenueReport(report(cid, V.PARTIALLY_FILLED, cum="0.04", fills=(one,))))
    assert [(f["recovered"], f["qty"]) for f in stage.facts_of("fill")] == [(True, "0.04")]
    assert stage.facts_of("reconciled")[-1]["clean"] is True
    assert stage.facts_of("reconciled")[-1]["recovered_fills"] == 1


def test_a_recovered_fill_without_a_client_id_finds_its_order_by_the_venues_id(
    stage: Stage,
) -> None:
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid, venue_id="77")))
    one = fill("", 3, "0.1", venue_id="77")
    done = report(cid, V.FILLED, cum="0.1", source=ReportSource.QUERY, venue_id="77")
    ask(stage)
    stage.tell(
        taken(
            balances={"USDT": "99990.1", "BTC": "100.1", "ETH": "100"},
            statuses=(done,),
            fills=(one,),
        )
    )
    assert stage.status_of(cid) == "FILLED"
    assert stage.position() == "0.1"
    assert stage.facts_of("reconciled")[-1]["clean"] is True


def test_money_that_moved_without_a_trade_of_ours_halts_when_it_stands_twice(
    stage: Stage,
) -> None:
    confirmed(stage, balances={**HELD, "BTC": "99"})
    assert stage.incidents() == ["position_mismatch"]
    assert stage.engine.trading_state.value == "HALTED"
    difference = stage.facts_of("reconciled")[-1]["differences"][0]
    assert (difference["class"], difference["ours"], difference["venue"]) == ("real", "100", "99")


def test_a_difference_that_does_not_stand_is_forgotten(stage: Stage) -> None:
    ask(stage)
    stage.tell(taken(balances={**HELD, "BTC": "99"}))
    stage.after(500)
    stage.tell(SnapshotTaken(snapshot(reason="confirm")))
    assert stage.incidents() == []
    assert stage.engine.trading_state.value == "ACTIVE"


def test_another_difference_each_time_is_motion_and_not_a_mismatch(stage: Stage) -> None:
    ask(stage)
    stage.tell(taken(balances={**HELD, "BTC": "99"}))
    stage.after(500)
    stage.tell(SnapshotTaken(snapshot(reason="confirm", balances={**HELD, "BTC": "99.5"})))
    assert stage.incidents() == []


def test_a_foreign_order_is_reported_halts_and_is_not_touched(stage: Stage) -> None:
    theirs = report("web_1", source=ReportSource.QUERY)
    confirmed(stage, open_orders=(theirs,))
    assert stage.incidents() == ["foreign_order"]
    assert all("web_1" not in cancels(effects) for _, effects in stage.turns)


def test_an_order_of_ours_on_a_symbol_that_we_no_longer_trade_is_adopted_and_canceled(
    stage: Stage,
) -> None:
    """As after a symbol was taken out of the configuration while its order rested."""
    elsewhere = instrument_id("XRPUSDT", "sim")
    cid = f"st{stage.config.instance}-1-9"
    ours = replace(report(cid, source=ReportSource.QUERY), instrument_id=elsewhere)
    ask(stage)
    stage.tell(taken(open_orders=(ours,)))
    assert stage.incidents() == ["unknown_own_order"]
    assert cid in [one for _, effects in stage.turns for one in cancels(effects)]
    assert [order["client_order_id"] for order in stage.engine.status(stage.now_ns)["open_orders"]]


def test_resolving_a_mismatch_takes_the_venues_balances_over(stage: Stage) -> None:
    confirmed(stage, balances={**HELD, "BTC": "99"})
    incident = stage.facts_of("incident_opened")[0]["incident_id"]
    stage.answer_all(balances={**HELD, "BTC": "99"})
    refused = replies(stage.tell(command("start")))[0]
    assert refused.error_code == "incident_open"
    assert incident in refused.error_message
    stage.tell(command("incident-resolve", incident_id=incident, root_cause="deposit"))
    stage.answer_all(balances={**HELD, "BTC": "99"})
    stage.quote()
    ok = replies(stage.tell(command("start")))[0]
    assert ok.error_code == "", ok.error_message
    assert stage.facts_of("incident_resolved")[0]["root_cause"] == "deposit"


def test_a_testnet_wipe_is_told_apart_and_begins_a_new_epoch_once_resolved(
    stage: Stage,
) -> None:
    cid = stage.place(wish()).client_order_id
    one = fill(cid, 900, "0.04")
    stage.tell(VenueReport(report(cid, V.PARTIALLY_FILLED, cum="0.04", fills=(one,))))
    stage.after(3000)
    stage.quote()
    gone = NotFound(client_order_id=cid, instrument_id=BTC, ts_recv_ns=0)
    confirmed(stage, balances={"USDT": "10000", "BTC": "1", "ETH": "100"}, absent=(gone,))
    assert set(stage.incidents()) == {"testnet_wipe"}
    assert {d["class"] for d in stage.facts_of("reconciled")[-1]["differences"]} == {"wipe"}
    incident = stage.facts_of("incident_opened")[0]["incident_id"]
    stage.tell(command("incident-resolve", incident_id=incident, root_cause="testnet reset"))
    assert stage.status_of(cid) == "CANCELED"
    assert stage.position() == "0"
    assert stage.engine._ctx.books.last_trade == {}


def test_a_failed_snapshot_proves_nothing_and_is_asked_again_ever_slower() -> None:
    stage = Stage().ready_links()
    waits = []
    asked_at = stage.now_ns
    for _ in range(4):
        stage.tell(SnapshotFailed("boot: deadline"))
        while not snapshots(stage.after(100)):
            pass
        waits.append((stage.now_ns - asked_at) // 1_000_000)
        asked_at = stage.now_ns
    assert stage.engine.gate_state is GateState.RECONCILING
    assert waits == sorted(waits)
    assert waits[-1] > waits[0]


def test_after_a_reconnect_a_snapshot_asked_before_it_is_not_believed(stage: Stage) -> None:
    ask(stage)
    stage.tell(LinkDown(Link.ORDER, "reset"))
    assert stage.engine.gate_state is GateState.STALE
    assert stage.engine.trading_state.value == "REDUCING"
    assert snapshots(stage.tell(LinkUp(Link.ORDER))) == ["reconnect"]
    stage.tell(SnapshotTaken(snapshot(reason="audit")))
    assert stage.engine.gate_state is GateState.RECONCILING


def test_ready_again_only_after_the_gap_is_filled(stage: Stage) -> None:
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid)))
    stage.tell(LinkDown(Link.ORDER, "reset"))
    stage.after(100)
    assert snapshots(stage.tell(LinkUp(Link.ORDER))) == ["reconnect"]
    assert stage.puppet is not None
    stage.wishes(wish(price="98.00"))
    assert stage.puppet.denials == ["symbol_blocked"]
    done = report(cid, V.FILLED, cum="0.1", source=ReportSource.QUERY)
    held = {"USDT": "99990.1", "BTC": "100.1", "ETH": "100"}
    stage.tell(
        SnapshotTaken(
            snapshot(
                reason="reconnect", balances=held, statuses=(done,), fills=(fill(cid, 1, "0.1"),)
            )
        )
    )
    assert stage.engine.gate_state is GateState.READY
    assert stage.engine.trading_state.value == "ACTIVE"
    assert stage.status_of(cid) == "FILLED"
    assert stage.facts_of("reconnect")[0]["outage_ms"] == 100


def test_a_lost_market_feed_needs_no_comparison(stage: Stage) -> None:
    stage.tell(LinkDown(Link.MARKET, "reset"))
    assert stage.engine.gate_state is GateState.STALE
    assert snapshots(stage.tell(LinkUp(Link.MARKET))) == []
    assert stage.engine.gate_state is GateState.READY


def test_the_audit_runs_by_itself() -> None:
    stage = Stage(audit_period_ns=5 * NS_PER_S).ready().start()
    assert snapshots(stage.after(4000)) == []
    assert snapshots(stage.after(2000)) == ["audit"]


def test_an_operators_reconcile_answers_with_what_it_found(stage: Stage) -> None:
    ask(stage)
    effects = stage.tell(taken(balances={**HELD, "ETH": "101"}))
    answer = replies(effects)[0].result
    assert answer["clean"] is False
    assert answer["differences"][0]["symbol"] == "ETH"


GIFT = {**HELD, "ETH": "101"}
TRADED = {**GIFT, "USDT": "99990.1", "BTC": "100.1"}


def resolved_while_a_trade_is_owed(stage: Stage) -> tuple[str, dict[str, object]]:
    """A deposit has stopped us; the order then fills, and its trade is not told yet."""
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid)))
    resting = report(cid, source=ReportSource.QUERY)
    confirmed(stage, balances=GIFT, open_orders=(resting,))
    stage.answer_all(balances=GIFT, open_orders=(resting,))
    incident = stage.facts_of("incident_opened")[0]["incident_id"]
    stage.tell(command("incident-resolve", incident_id=incident, root_cause="deposit"))
    filled = report(cid, V.FILLED, cum="0.1", source=ReportSource.QUERY)
    return cid, {"balances": TRADED, "statuses": (filled,)}


def bases(stage: Stage) -> list[bool]:
    return [fact["basis_set"] for fact in stage.facts_of("reconciled")]


def test_balances_that_hold_an_owed_trade_are_taken_over_when_it_is_booked(stage: Stage) -> None:
    cid, ahead = resolved_while_a_trade_is_owed(stage)
    before = len(bases(stage))
    stage.answer_all(**ahead)
    assert set(bases(stage)[before:]) == {False}
    refused = replies(stage.tell(command("start")))[0]
    assert "a trade is owed" in refused.error_message
    trade = fill(cid, 3, "0.1")
    stage.tell(VenueReport(report(cid, V.FILLED, cum="0.1", fills=(trade,))))
    ahead["fills"] = (trade,)
    stage.answer_all(**ahead)
    assert bases(stage)[before:].count(True) == 1
    stage.tell(command("reconcile"))
    stage.answer_all(**ahead)
    assert stage.incidents() == ["position_mismatch"], "the deposit, and nothing after it"
    assert stage.position() == "0.1"
    stage.tell(command("reconcile"))
    stage.answer_all(**{**ahead, "balances": {**TRADED, "BTC": "99.1"}})
    assert stage.incidents() == ["position_mismatch"] * 2, "a true loss still stops us"


def test_a_trade_that_never_comes_keeps_no_balances_from_being_taken_over(stage: Stage) -> None:
    _, ahead = resolved_while_a_trade_is_owed(stage)
    before = len(bases(stage))
    stage.answer_all(**ahead)
    assert set(bases(stage)[before:]) == {False}
    stage.after(stage.config.unknown_settle_ns // 1_000_000)
    stage.answer_all(**ahead)
    assert bases(stage)[-1]
