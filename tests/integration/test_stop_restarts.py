"""After a kill, no way of coming back trades: ended in order, killed, another host, power lost.

`systemctl restart`, the watchdog, the OOM killer, a package upgrade: tests/system/test_boot.py.
"""

import json
import shutil
import signal
from pathlib import Path

import pytest

from control.control_errors import RpcError
from tests.support.stop_stage import StopStage

pytestmark = pytest.mark.slow


def killed(stage: StopStage) -> None:
    stage.start_daemon()
    stage.fill()
    assert stage.kill("for good")["verified"] is True
    stage.until(lambda: stage.status().get("latched"), "the engine has heard")


def end_in_order(stage: StopStage) -> None:
    assert stage.daemon is not None
    stage.send_signal(signal.SIGTERM)
    assert stage.daemon.wait(60) == 0


def move_to_another_host(stage: StopStage) -> None:
    """The state directory is restored elsewhere: other inodes, another path, no /run."""
    stage.kill_hard()
    elsewhere = stage.directory / "restored" / "state"
    shutil.copytree(stage.state_dir, elsewhere, ignore=shutil.ignore_patterns("*.sock"))
    shutil.rmtree(stage.state_dir)
    stage.state_dir = elsewhere
    stage.socket = elsewhere / "control.sock"
    stage.write_config()


def lose_power(stage: StopStage) -> None:
    """Only what was fsynced is there: the latch is; of the journal nothing that tells of it.

    No anchor and no mark outlives the line that it names: they are written after it is durable.
    """
    stage.kill_hard()
    (journal,) = sorted((stage.state_dir / "journal").glob("journal-*.jsonl"))
    lines = journal.read_bytes().splitlines(keepends=True)
    told = next(i for i, line in enumerate(lines) if b"for good" in line)
    journal.write_bytes(b"".join(lines[:told]))
    anchors = journal.parent / "anchors.jsonl"
    heads = [json.loads(line) for line in anchors.read_text().splitlines()]
    kept = [head for head in heads if head["seq"] <= told]
    anchors.write_text("".join(json.dumps(head) + "\n" for head in kept))
    mark = stage.state_dir / "identity.json"
    known = json.loads(mark.read_text())
    anchored = max((head["seq"] for head in kept), default=0)
    mark.write_text(json.dumps({**known, "seq": anchored, "anchored": anchored}))


def lose_the_latch_directory(stage: StopStage) -> None:
    """Somebody tidies up: the journal still knows."""
    stage.kill_hard()
    shutil.rmtree(stage.state_dir / "kill-latch")


@pytest.mark.parametrize(
    "come_back",
    [end_in_order, StopStage.kill_hard, move_to_another_host, lose_power, lose_the_latch_directory],
)
def test_it_comes_back_halted_and_no_start_is_taken(tmp_path: Path, come_back: object) -> None:
    with StopStage(tmp_path, symbols=("BTCUSDT",), orders_per_symbol=3) as stage:
        killed(stage)
        assert callable(come_back)
        come_back(stage)
        stage.clear_signals()
        stage.start_daemon()
        status = stage.until(
            lambda: stage.status() if stage.status().get("latched") else {}, "it says so"
        )
        assert status["trading_state"] == "HALTED"
        assert "for good" in status["latch_reason"]
        stage.until(lambda: stage.status().get("ending") == "", "it has come to rest")
        with pytest.raises(RpcError, match="re-arm first"):
            stage.call("start", reason="too early")
        assert stage.venue_open() == []
