"""A real daemon's journal: idle it writes next to nothing, closed segments are packed and archived
beside it, a kill -9 and a boot later all of it still verifies, and its commands are found."""

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from daemon.cli.journal_commands import journal_group
from daemon.shell.journal.segment_packing import packable
from daemon.shell.journal.segments import is_packed, lines_of, segments
from evidence.report.report import build_report
from tests.support.box import Box
from tests.support.sim_process import SimProcess

KEPT = '[journal]\nkeep_ticks = "all"\nsegment_bytes_max = 65536\n'


def busy_box(directory: Path, strategy: str, tables: str = "") -> Box:
    """A box at a venue with much to tell."""
    box = Box(directory, strategy=strategy, tables=tables)
    box.sim = SimProcess(seed=7, flow_rate=150)
    return box


def lines_in(box: Box) -> list[dict[str, Any]]:
    journal = box.directory / "state" / "journal"
    return [json.loads(line) for path in segments(journal) for line in lines_of(path)]


def test_an_idle_box_writes_heartbeats_and_its_ring_has_the_ticks(tmp_path: Path) -> None:
    with busy_box(tmp_path, "quiet") as box:
        began = box.status()["journal_seq"]
        status = box.until(lambda one: one.get("ticks_thinned", 0) > 300)
        assert (status["ticks"], status["ticks_kept_for"]) == ("thinned", [])
        assert status["journal_bytes"] > 0
        lines = lines_in(box)
        kinds = Counter(one["event_type"] for one in lines if one["seq"] > began)
        beats = kinds.pop("heartbeat")
        told = [one["input"]["type"] for one in lines if one["event_type"] == "input"]
        assert not {"MarketData", "PublicTrade", "BudgetSampled"} & set(told)
        # What else an idle box says: a comparison with the venue and the clock, now and then.
        assert sum(kinds.values()) <= 2 * beats + 8, kinds
        assert lines[0]["ticks"] == "thinned"
        box.signal_daemon(signal.SIGTERM)
        assert box.wait_daemon() == 0
        assert (tmp_path / "state" / "ticks-ring.jsonl").stat().st_size > 0


def test_packed_archived_killed_and_booted_it_still_verifies(tmp_path: Path) -> None:
    with busy_box(tmp_path, "quoter", KEPT) as box:
        journal = tmp_path / "state" / "journal"
        box.must("start", "--yes")
        box.until(lambda one: one["journal_seq"] > 1_500)
        commands = [one["seq"] for one in lines_in(box) if one["event_type"] == "command"]
        assert commands
        assert commands[0] < box.status()["journal_seq"] - 1_000  # the ring has it no longer
        shown = box.must("tail", "-n", "1000", "--type", "command", "--no-follow", "--json")
        assert [json.loads(line)["seq"] for line in shown.splitlines()] == commands
        one = json.loads(box.must("tail", "--seq", "2", "--json"))
        assert (one["seq"], one["event_type"]) == (2, "recovery")
        assert "recovery" in box.must("explain", "2", "--why", "a first boot")
        absent = box.tool("tail", "--seq", "99999999")
        assert absent.exit_code == 1
        assert "there is no line 99999999" in absent.stderr
        box.must("stop", "--reason", "enough")
        box.signal_daemon(signal.SIGTERM)
        assert box.wait_daemon() == 0
        before = lines_in(box)
        box.start_daemon()  # its last checkpoint is the one of the orderly end
        box.until(lambda _: not packable(journal))  # the daemon packs by itself
        assert sum(map(is_packed, segments(journal))) >= 3
        words = ["archive", "--config", str(box.config), "--to", str(tmp_path / "away"), "--json"]
        moved = CliRunner().invoke(journal_group, words)  # waits for the packer
        assert moved.exit_code == 0, moved.output
        assert len(json.loads(moved.stdout)["moved"]) >= 3
        assert box.status()["gate_state"] == "READY"
        gone = box.tool("tail", "--seq", "2")
        assert gone.exit_code == 1
        assert "it is archived" in gone.stderr
        box.signal_daemon(signal.SIGKILL)
        box.wait_daemon()
        box.start_daemon()
        box.signal_daemon(signal.SIGTERM)
        assert box.wait_daemon() == 0
        for inputs in ([journal], [tmp_path / "away", journal]):
            (judged,) = build_report(inputs).journals
            chain = judged.account.chain
            assert not chain.faults.counts
            assert chain.first_seq == 1
            assert chain.lines > len(before)
            assert not judged.verdicts.intact.failed
            assert not judged.verdicts.complete.failed
