"""Everything that keeps READY, or a start, away has a name; what concerns one symbol does not."""

from collections.abc import Callable

import pytest

from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.model.effects import SendOrder, TakeSnapshot
from daemon.model.enums import GateState, Link, ReportSource
from daemon.model.ids import ClientOrderId
from daemon.model.inputs import (
    ClockSampled,
    InstrumentsLoaded,
    LinkDown,
    LinkUp,
    RateLimited,
    SnapshotFailed,
    VenueReport,
)
from daemon.model.readiness import NotReady
from daemon.model.reports import Mute
from tests.support.builders import BTC, ETH, command, instrument, report, wish
from tests.support.screenplay import Stage, only, replies, snapshots

LOADED = InstrumentsLoaded((instrument("BTCUSDT"), instrument("ETHUSDT")))
WEB = report("web_1", source=ReportSource.QUERY)


def without(link: Link) -> Stage:
    stage = Stage().ready()
    stage.tell(LinkDown(link, "reset by peer"))
    return stage


def banned() -> Stage:
    stage = Stage().ready()
    until_ns = stage.now_ns + 3_600 * NS_PER_S
    stage.tell(RateLimited(418, -1003, "ban", until_ns, "IP banned"))
    return stage


def without_instruments() -> Stage:
    stage = Stage()
    stage.tell(ClockSampled(0, NS_PER_MS))
    stage.tell(LinkUp(Link.REST), LinkUp(Link.MARKET), LinkUp(Link.ORDER))
    return stage


def without_a_round() -> Stage:
    return Stage().ready_links()


def with_a_failed_round() -> Stage:
    stage = Stage().ready_links()
    stage.tell(SnapshotFailed("boot: paused by the venue (ban)"))
    return stage


def with_history_unread() -> Stage:
    stage = Stage().ready_links()
    stage.snapshot(unread="trades of BTCUSDT, up to id 9 so far")
    return stage


def with_a_difference() -> Stage:
    stage = Stage().ready()
    stage.tell(command("reconcile"))
    stage.snapshot(reason="operator", open_orders=(WEB,))
    return stage


def with_a_gap() -> Stage:
    stage = Stage().ready()
    stage.tell(command("reconcile"))
    stage.snapshot(reason="operator", balances={"USDT": "100000", "BTC": "99", "ETH": "100"})
    return stage


def not_clean() -> Stage:
    """Finding 59: a foreign order, its incident resolved, and it is still there."""
    stage = with_a_difference()
    stage.after(500)
    stage.snapshot(reason="confirm", open_orders=(WEB,))
    assert stage.incidents() == ["foreign_order"]
    stage.asked.clear()
    stage.after(500)
    return stage


def resolved(stage: Stage) -> Stage:
    incident = stage.facts_of("incident_opened")[0]["incident_id"]
    stage.tell(command("incident-resolve", incident_id=incident, root_cause="looked"))
    return stage


SCENES: dict[NotReady, Callable[[], Stage]] = {
    NotReady.BANNED: banned,
    NotReady.LINK_REST: lambda: without(Link.REST),
    NotReady.LINK_MARKET: lambda: without(Link.MARKET),
    NotReady.LINK_ORDER: lambda: without(Link.ORDER),
    NotReady.INSTRUMENTS: without_instruments,
    NotReady.NO_ROUND: without_a_round,
    NotReady.ROUND_FAILED: with_a_failed_round,
    NotReady.UNREAD: with_history_unread,
    NotReady.TO_CONFIRM: with_a_gap,
    NotReady.NOT_CLEAN: not_clean,
    NotReady.RESOLVED: lambda: resolved(not_clean()),
}


def test_every_reason_has_its_words_and_its_scene() -> None:
    assert set(SCENES) == set(NotReady)


@pytest.mark.parametrize("reason", list(NotReady))
def test_status_prints_it_and_start_quotes_it(reason: NotReady) -> None:
    stage = SCENES[reason]()
    shown = stage.engine.status(stage.now_ns)["not_ready"]
    assert reason.value in [one["reason"] for one in shown]
    assert reason.text in " ".join(one["text"] for one in shown)
    refused = replies(stage.tell(command("start")))[0]
    if reason is NotReady.NOT_CLEAN:
        assert refused.error_code == "incident_open"
        return
    assert refused.error_code == "not_ready"
    assert f"{reason.value}: {reason.text}" in refused.error_message
    assert stage.engine.session_id == ""


@pytest.mark.parametrize("reason", [r for r in NotReady if not r.value.startswith("not_clean")])
def test_a_gate_that_is_not_ready_always_names_a_reason(reason: NotReady) -> None:
    stage = SCENES[reason]()
    status = stage.engine.status(stage.now_ns)
    if status["gate_state"] != GateState.READY.value:
        assert status["not_ready"]


def test_no_start_while_a_foreign_order_stands_though_its_incident_is_resolved() -> None:
    stage = resolved(not_clean())
    for _ in range(3):
        refused = replies(stage.tell(command("start")))[0]
        assert refused.error_code in {"not_ready", "incident_open"}
        while stage.asked:
            stage.snapshot(reason=stage.asked.popleft(), open_orders=(WEB,))
        stage.after(100)
    assert not [one for _, effects in stage.turns for one in effects if isinstance(one, SendOrder)]
    assert stage.facts_of("session_start") == []


def test_reconcile_says_why_it_is_not_clean_and_when_it_failed() -> None:
    stage = Stage().ready()
    stage.tell(command("reconcile", command_id="c1"))
    found = replies(stage.snapshot(reason="operator", open_orders=(WEB,)))[0]
    assert (found.result["clean"], "web_1" in found.result["why"]) == (False, True)
    assert "reconcile" not in found.result["why"], "that is what was typed"
    assert "incident list" in found.result["why"]
    stage.after(500)
    stage.tell(command("reconcile", command_id="c2"))
    failed = replies(stage.tell(SnapshotFailed("no budget")))[0]
    assert (failed.command_id, failed.error_code) == ("c2", "not_ready")
    assert "no budget" in failed.error_message


@pytest.mark.parametrize("method", ["re-arm", "re-enable"])
def test_what_lets_orders_pass_again_needs_clean_books_too(method: str) -> None:
    stage = Stage().ready()
    stage.tell(command("kill", "drill"))
    stage.snapshot(reason="kill")
    stage.tell(command("reconcile", command_id="c2"))
    stage.snapshot(reason="operator", open_orders=(WEB,))
    refused = replies(stage.tell(command(method, "looked")))[0]
    assert (refused.error_code, "web_1" in refused.error_message) == ("not_ready", True)


def test_a_start_that_an_unclean_round_overtakes_does_not_begin() -> None:
    stage = Stage().ready()
    stage.tell(command("reconcile"))
    assert replies(stage.tell(command("start", "test")))[0].error_code == ""
    stage.snapshot(reason="operator", open_orders=(WEB,))
    stage.after(0)
    assert stage.puppet is None, "no strategy was built"
    assert stage.engine.trading_state.value == "HALTED"


# ---------------------------------------------------------------- one order, one symbol
def mute(cid: str, *, refused: bool = True) -> Mute:
    return Mute(
        client_order_id=ClientOrderId(cid),
        instrument_id=BTC,
        reason="Invalid symbol. (code -1121, status 400)",
        refused=refused,
    )


def test_an_order_that_is_not_answered_about_blocks_its_symbol_alone_and_is_named() -> None:
    stage = Stage(unknown_incident_ns=3 * NS_PER_S).ready().start()
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid)))
    stage.tell(command("reconcile"))
    stage.snapshot(reason="operator", mute=(mute(cid),))
    stage.after(400)
    stage.tell(command("reconcile"))
    stage.snapshot(reason="operator", mute=(mute(cid),))
    assert stage.status_of(cid) == "UNKNOWN"
    assert stage.engine.gate_state is GateState.READY
    assert "-1121" in stage.engine.status(stage.now_ns)["symbols_blocked"]["BTCUSDT"]
    assert not only(SendOrder, stage.wishes(wish(price="98.00")))
    assert only(SendOrder, stage.wishes(wish(iid=ETH, price="98.00")))
    stage.after(4_000)
    assert stage.incidents() == ["unknown_order"]
    assert "-1121" in stage.facts_of("incident_opened")[0]["msg"]
    assert stage.engine.session_id, "the others trade on"
    assert stage.gate.risk.books.holds[cid].leaves, "what may be open counts"
    stage.tell(VenueReport(report(cid, source=ReportSource.QUERY)))
    assert stage.engine.status(stage.now_ns)["symbols_blocked"] == {}


def test_one_silence_about_an_order_that_the_stream_has_shown_changes_nothing() -> None:
    stage = Stage().ready().start()
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid)))
    for _ in range(2):
        stage.tell(command("reconcile"))
        stage.snapshot(reason="operator", mute=(mute(cid, refused=False),))
        stage.after(400)
    assert stage.status_of(cid) == "ACCEPTED"


def test_a_symbol_that_is_not_answered_about_is_blocked_alone_and_no_stop_is_called_empty() -> None:
    stage = Stage().ready().start()
    no = (("BTCUSDT", "archived (code -1130, status 400)"),)
    stage.tell(command("reconcile"))
    stage.snapshot(reason="operator", mute_symbols=no)
    assert stage.engine.gate_state is GateState.READY
    assert "archived" in stage.engine.status(stage.now_ns)["symbols_blocked"]["BTCUSDT"]
    assert not only(SendOrder, stage.wishes(wish()))
    assert only(SendOrder, stage.wishes(wish(iid=ETH)))
    stage.tell(command("reconcile"))
    stage.snapshot(reason="operator")
    assert only(SendOrder, stage.wishes(wish(price="98.50")))


# ---------------------------------------------------------------- others on the account
def test_two_hundred_and_forty_foreign_orders_in_a_minute_ask_for_six_rounds() -> None:
    stage = Stage().ready().start()
    rounds: list[TakeSnapshot] = []
    for n in range(240):
        effects = [*stage.tell(VenueReport(report(f"web_{n}")))]
        effects += stage.after(250)
        for asked in only(TakeSnapshot, effects):
            rounds.append(asked)
            stage.snapshot(reason=asked.reason)
    assert 1 <= len(rounds) <= 7
    assert all(one.routine for one in rounds)
    assert stage.engine.status(stage.now_ns)["others"]["order_events"] == 240
    assert snapshots(stage.tell(command("reconcile"))) == ["operator"], "a human does not wait"
    assert not stage.turns[-1][1][-1].routine  # type: ignore[union-attr]
