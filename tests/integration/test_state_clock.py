"""A box whose clock was ahead for one boot: named, refused, and mended by an operator's word."""

import hashlib
import json
import signal
from pathlib import Path

import orjson

from daemon.model.records import GENESIS
from daemon.shell.process.clock import SystemClock
from evidence.read.journal_reader import JournalReader
from evidence.read.journal_sources import streams_of
from tests.integration.test_state_restored import command, own_ids, trade, used
from tests.support.box import Box

HOUR_NS = 3_600 * 10**9


def shift(state: Path, since_seq: int, by_ns: int) -> None:
    """Make the lines from one on look as if the clock had been ahead; the chain is made good."""
    path = state / "journal/journal-000001.jsonl"
    prev, out, heads = GENESIS, [], {}
    for line in path.read_bytes().splitlines():
        record = orjson.loads(line)
        if record["seq"] >= since_seq:
            record["ts_ns"] += by_ns
        record["prev"] = prev
        made = orjson.dumps(record)
        prev = hashlib.sha256(made).hexdigest()
        heads[record["seq"]] = prev
        out.append(made)
    path.write_bytes(b"\n".join(out) + b"\n")
    anchors = state / "journal/anchors.jsonl"
    kept = [orjson.loads(line) for line in anchors.read_bytes().splitlines()]
    lines = [orjson.dumps({**one, "head": heads[one["seq"]]}) for one in kept]
    anchors.write_bytes(b"\n".join(lines) + b"\n")


def test_a_clock_that_was_ahead_is_named_and_set_right_without_shortening_a_window(
    tmp_path: Path,
) -> None:
    with Box(tmp_path) as box:
        trade(box, 4)
        state = tmp_path / "state"
        journal = state / "journal/journal-000001.jsonl"
        first_end = len(journal.read_bytes().splitlines())
        box.start_daemon()
        trade(box, 3)
        shift(state, first_end + 1, 30 * HOUR_NS)  # the whole second run
        truth = len(own_ids(box))

        checked = json.loads(
            command("state", "check", "--config", str(box.config), "--json").stdout
        )
        assert "ahead of this machine's clock" in checked["clock"]
        doctor = command("doctor", "--config", str(box.config))
        assert doctor.returncode == 1
        assert "ahead of this machine's clock" in doctor.stdout

        box.start_daemon()
        status = box.until(lambda status: bool(status["clock_problem"]))
        assert "state accept" in status["clock_problem"]
        refused = box.tool("start", "--yes")
        assert refused.exit_code != 0
        assert "clock_drift" in refused.output
        box.signal_daemon(signal.SIGTERM)
        assert box.wait_daemon() == 0

        done = command(
            "state", "accept", "--config", str(box.config), "--reason", "the clock was ahead"
        )
        assert done.returncode == 0, done.stderr
        box.start_daemon()
        status = box.until(lambda status: status["gate_state"] == "READY")
        assert not status["clock_problem"]
        assert abs(status["ts_ns"] - SystemClock().now_ns()) < HOUR_NS
        for cap in ("orders_per_hour_max", "orders_per_day_max"):
            assert used(box, cap) >= truth
        trade(box, 2)
        box.start_daemon()
        assert used(box, "orders_per_day_max") >= len(own_ids(box))
        box.signal_daemon(signal.SIGTERM)
        box.wait_daemon()
        reader = JournalReader(streams_of([state / "journal"])[0].files)
        kinds = {type(record).__name__ for record in reader.records()}
        assert "StateAcceptedLine" in kinds
        assert "clock_backwards" not in reader.chain.faults.plain()
