"""One incident, from the storm to the next session, with a venue that refuses for rate."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from control.control_errors import RpcError
from daemon.model.incident_note import MARKER
from tests.support.stop_stage import StopStage

STORM = 5


def unresolved(stage: StopStage) -> list[dict[str, Any]]:
    return [one for one in stage.status().get("incidents", []) if not one["resolved_by"]]


def at_rest(stage: StopStage) -> bool:
    status = stage.status()
    return bool(status["trading_state"] == "HALTED" and not status["ending"])


def refusals(stage: StopStage) -> int:
    """Refusals for rate that the journal tells of."""
    lines = (stage.state_dir / "journal").glob("*.jsonl")
    return sum(path.read_text().count('"event_type":"rate_limit"') for path in lines)


def refused(stage: StopStage, number: int) -> bool:
    """Whether so many refusals have come; until then the strategy wishes one order more."""
    stage.signal("place")
    return refusals(stage) >= number


@pytest.mark.slow
def test_from_storm_to_note_to_the_next_session(tmp_path: Path) -> None:
    symbols = ("BTCUSDT", "ETHUSDT")
    with StopStage(tmp_path, symbols=symbols, orders_per_symbol=20) as stage:
        stage.start_daemon()
        # Each time that orders may leave again, the venue refuses the next one.
        for number in range(1, STORM + 1):
            stage.sim.admin_post("strike", kind="limit_429", seconds=1)
            if number == 1:
                stage.call("start", reason="walk-through")
            stage.until(lambda n=number: refused(stage, n), "a refusal for rate")
            calm_s = time.monotonic() + 1.5
            if number < STORM:
                stage.until(lambda at=calm_s: time.monotonic() > at, "the pause is over")
        (incident,) = stage.until(lambda: unresolved(stage), "an incident")
        assert incident["trigger"] == "rate_limit_storm"

        # Halted, canceled, compared: the ledger is the judge.
        stage.clear_signals()
        stage.until(lambda: at_rest(stage), "the stop has come to rest")
        assert stage.venue_open() == []
        with pytest.raises(RpcError, match="unresolved"):
            stage.call("start", reason="too early")

        # The pack is there, and its note says what the ledger says.
        pack = stage.state_dir / "incidents" / incident["incident_id"]
        note = pack / "note.md"
        stage.until(lambda: note.exists() and "last: clean" in note.read_text(), "the note")
        text = note.read_text()
        for said in ("rate_limit_storm", "OPEN: the next start is refused", "Trading was halted"):
            assert said in text
        assert text.count("to fill in") == 3
        extract = [json.loads(line) for line in (pack / "journal.jsonl").read_text().splitlines()]
        assert sum(line["event_type"] == "rate_limit" for line in extract) >= STORM
        assert json.loads((pack / "status.json").read_text())["environment"] == "sim"
        note.write_text(text + "Called the venue.\n")

        # Killed on top of it: re-arming waits for the incident.
        assert stage.kill()["verified"] is True
        stage.until(lambda: stage.status()["latched"] and at_rest(stage), "latched, at rest")
        with pytest.raises(RpcError, match="resolve incident"):
            stage.call("re-arm", reason="too early")
        stage.call("incident-note", incident_id=incident["incident_id"], text="filters moved")
        stage.call(
            "incident-resolve",
            incident_id=incident["incident_id"],
            root_cause="the venue refused for rate",
            remediation="waited until it was back",
            follow_up="ask for filters more often",
        )
        said = ("refused for rate", "waited until", "more often", "filters moved", "Called the")
        stage.until(lambda: all(one in note.read_text() for one in said), "the resolved note")
        assert "to fill in" not in note.read_text()
        assert note.read_text().count(MARKER) == 1
        with pytest.raises(RpcError, match="re-arm first"):
            stage.call("start", reason="still latched")
        stage.re_arm()

        # And again.
        stage.until(lambda: time.monotonic() > calm_s, "the storm is over")
        stage.fill()
        assert len(stage.venue_open()) == 40
        assert unresolved(stage) == []
