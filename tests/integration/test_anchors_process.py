"""A real daemon with a witness, a file elsewhere and a sink that never answers."""

import hashlib
import json
import signal
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from control.tool.client import call
from daemon.shell.anchors.anchor_sender import RECEIPTS_NAME
from evidence.evidence_commands import evidence_group
from tests.support.box import Box
from tests.support.journal_lines import journal_lines
from tests.support.witnessed import Witnessed, WitnessProcess


@pytest.fixture
def witness(tmp_path):
    witnessed = Witnessed(tmp_path / "witness")
    process = WitnessProcess(witnessed)
    yield witnessed, process
    process.end(signal.SIGKILL)


@pytest.fixture
def silent():
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


def tables(witnessed: Witnessed, address: str, silent: str, elsewhere: Path) -> str:
    secret = elsewhere.with_name("secret")
    secret.touch(mode=0o600)
    secret.write_text("not a secret")
    elsewhere.touch()
    return f"""
[anchors.sinks.witness]
kind = "witness"
url = "{address}"
key = "{witnessed.box_pem}"
witness_key = "{witnessed.witness_pub}"
period_ms = 1_000

[anchors.sinks.elsewhere]
kind = "file"
path = "{elsewhere}"

[anchors.sinks.silent]
kind = "webhook"
url = "{silent}"
secret_file = "{secret}"
"""


def judged(journal: Path, witnessed: Witnessed, address: str) -> tuple[dict, dict]:
    given = ("--witness", address, "--witness-key", str(witnessed.witness_pub))
    done = CliRunner().invoke(evidence_group, ["verify", str(journal), *given, "--json"])
    [found] = json.loads(done.output)["journals"].values()
    return found["intact"], found["complete"]


def rewritten(lines: list[bytes], without: int) -> list[bytes]:
    """The lines without one, numbered and chained anew, and then some more."""
    head, out = "0" * 64, []
    more = [line for line in lines[-40:] for _ in range(2)]
    for seq, line in enumerate([*lines[:without], *lines[without + 1 :], *more], 1):
        record = json.loads(line)
        chained = json.dumps({**record, "seq": seq, "prev": head}, separators=(",", ":")).encode()
        head = hashlib.sha256(chained).hexdigest()
        out.append(chained)
    return out


def test_heads_leave_the_box_as_it_runs_and_no_order_waits_for_them(tmp_path, witness, silent):
    witnessed, process = witness
    elsewhere = tmp_path / "elsewhere.jsonl"
    with Box(tmp_path / "box", tables=tables(witnessed, process.address, silent, elsewhere)) as box:
        box.must("start", "--reason", "to be followed", "--yes")
        box.until(lambda status: sum(status["orders"].values()) >= 4)
        told = box.until(lambda status: status["anchors"]["sinks"]["witness"]["acked"] >= 3)
        sinks = told["anchors"]["sinks"]
        assert (sinks["silent"]["acked"], told["anchors"]["refused"]) == (0, [])
        assert sinks["elsewhere"]["acked_seq"] > 0
        assert "anchored " in box.must("status")
        box.signal_daemon(signal.SIGKILL)
        box.wait_daemon()
        before = sinks["witness"]["acked_seq"]
        box.start_daemon()
        told = box.until(lambda s: s["anchors"]["sinks"]["witness"]["acked_seq"] > before)
        assert told["anchors"]["refused"] == []
        box.must("start", "--reason", "once more", "--yes")
        box.must("stop", "--reason", "done")
        box.signal_daemon(signal.SIGTERM)
        assert box.wait_daemon() == 0
        state = box.directory / "state"
        lines = [
            line
            for path in sorted((state / "journal").glob("journal-*.jsonl"))
            for line in path.read_bytes().splitlines()
        ]
    kept = [json.loads(line) for line in (state / RECEIPTS_NAME).read_bytes().splitlines()]
    assert kept[-1]["receipt"]["seq"] == len(lines), "the run's last line, too"
    assert json.loads(elsewhere.read_bytes().splitlines()[-1])["seq"] == len(lines)

    intact, _ = judged(state / "journal", witnessed, process.address)
    assert intact["verdict"] == "OK"
    assert any(f"up to seq {len(lines)}" in remark for remark in intact["remarks"])
    forged = tmp_path / "forged"
    forged.mkdir()
    first = kept[0]["receipt"]["seq"]
    (forged / "journal-000001.jsonl").write_bytes(
        b"".join(line + b"\n" for line in rewritten(lines, without=first + 1))
    )
    intact, _ = judged(forged, witnessed, process.address)
    second = kept[1]["receipt"]["seq"]
    assert any(f"anchor_differs, first at seq {second}" in why for why in intact["reasons"])


ANCHOR = """
[strategies.anchor]
class = "anchor"
symbols = ["BTCUSDT"]
params = { quiet_s = 1, away_bps = 7, stands = true }
"""


def quiet_session(box: Box) -> None:
    """A session up to the moment when the anchor order stands at the venue."""
    box.must("start", "--reason", "to close the stretch", "--yes")
    box.until(lambda status: any(o["status"] == "ACCEPTED" for o in status["open_orders"]))
    box.must("stop", "--reason", "closed", "--yes")
    box.until(lambda status: not status["session_id"])


def as_the_venue_has_it(box: Box) -> dict:
    """What the accountant says of a box's journal against the simulated venue's list."""
    ledger = box.directory / "ledger.json"
    ledger.write_text(json.dumps(box.sim.ledger()))
    given = ["--venue-history", str(ledger), "--json"]
    done = CliRunner().invoke(
        evidence_group, ["verify", str(box.directory / "state/journal"), *given]
    )
    [found] = json.loads(done.output)["journals"].values()
    return found


def test_with_the_venue_alone_an_order_closes_what_stands_before_and_the_end(tmp_path):
    """A drill, then a session of nothing but the anchor order: the stop's own lines are left."""
    with Box(tmp_path / "box", strategy="quiet", tables=ANCHOR) as box:
        quiet_session(box)
        call(box.socket, "drill", drill="cap-rejection", reason="to be covered")
        open_end = as_the_venue_has_it(box)
        assert open_end["intact"]["verdict"] == "UNANCHORED"
        assert "drill cap-rejection passed" in str(open_end["intact"]["reasons"])
        quiet_session(box)
        closed = as_the_venue_has_it(box)
        lines = journal_lines(box.directory / "state")
    assert closed["intact"]["verdict"] == "OK", closed
    assert closed["venue_anchors"]["misfits"] == 0
    first = closed["venue_anchors"]["after_last_anchor"]["first_seq"]
    turn = next(line for line in lines if line["seq"] == first)
    assert turn["input"]["method"] == "stop", "the turn whose cancel is the last anchor"
