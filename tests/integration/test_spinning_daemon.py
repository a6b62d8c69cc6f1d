"""A daemon whose main loop never sleeps, between real processes: it trades, and is stopped."""

from pathlib import Path

import pytest

from tests.support.stop_stage import StopStage


@pytest.mark.slow
def test_a_spinning_daemon_answers_and_is_killed(tmp_path: Path) -> None:
    always = {"process": {"spin_us": 1_000_000}}
    with StopStage(tmp_path, orders_per_symbol=2, round_trip=False, settings=always) as stage:
        stage.start_daemon()
        stage.fill()
        assert len(stage.venue_open()) == 20
        assert stage.status()["trading_state"] == "ACTIVE"
        result = stage.kill()
        assert result["verified"] is True, result
        assert stage.venue_open() == []
        stage.until(lambda: stage.status().get("latched"), "the daemon says that it is latched")
