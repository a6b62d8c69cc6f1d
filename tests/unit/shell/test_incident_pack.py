"""Incident packs: written from the journal, kept up to date, safe against what others wrote."""

import hashlib
from pathlib import Path
from typing import Any

import orjson
import pytest

from daemon.model.incident_note import MARKER, TIMELINE_MAX
from daemon.model.records import EventType
from daemon.shell.journal.incident_pack import IncidentPacks

S = 1_000_000_000
T0 = 1_700_000_000 * S
ID = "abc123-1-i1"


class World:
    """A journal that grows by hand, and the packs that follow it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.seq = 0
        (directory / "journal").mkdir()
        self.journal = directory / "journal" / "journal-000001.jsonl"
        self.packs = IncidentPacks(
            directory, status=lambda: {"gate_state": "READY"}, run_id="later", binding={}
        )

    def line(self, kind: str, at_s: float, **fields: Any) -> dict[str, Any]:
        self.seq += 1
        made = {
            "seq": self.seq,
            "ts": f"T+{at_s:g}",
            "ts_ns": T0 + int(at_s * S),
            "run_id": "r",
            "session_id": "r-s1",
            "exchange": "sim",
            "event_type": kind,
            **fields,
        }
        with self.journal.open("ab") as out:
            out.write(orjson.dumps(made) + b"\n")
        return made

    def story(self) -> None:
        self.line("run_start", -500, version="0.1.0", caps_hash="cafe", packages={"x": "1"})
        self.line("timeout", -400, msg="long ago")
        self.line("input", -1, input={"type": "TimerFired"})
        self.line("order_reject", -1, is_anomaly=True, msg="first refusal")
        self.line(
            "incident_opened",
            0,
            incident_id=ID,
            trigger="reject_storm",
            msg="venue rejects | `rm -rf`\n# Not a title",
            symbol="",
            context={"count": 15},
        )
        self.line("trading_state", 0.25, old="ACTIVE", new="HALTED", why="incident")
        self.line("cancel_requested", 0.26, client_order_id="o1")
        self.line("session_stop", 2, reason="incident")
        self.line("reconciled", 3, clean=True, differences=[])

    def note(self) -> str:
        return (self.directory / "incidents" / ID / "note.md").read_text()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_note_tells_the_story_from_the_journal(world: World) -> None:
    world.story()
    assert world.packs.write(ID) is False, "it is not resolved"
    note = world.note()
    for said in (
        "# Incident abc123-1-i1",
        "reject_storm",
        "OPEN: the next start is refused",
        "**Caps hash:** cafe",
        "1 order_reject",
        "halted 250 ms after",
        "1 order(s) were asked to be canceled",
        "last: clean",
        "- count: 15",
        "first refusal",
    ):
        assert said in note, said
    assert note.count("to fill in") == 3
    assert "long ago" not in note, "more than a minute before is not of this incident"
    assert "TimerFired" not in note
    assert note.endswith(MARKER + "\n")


def test_text_of_others_cannot_break_the_note(world: World) -> None:
    world.story()
    world.packs.write(ID)
    note = world.note()
    assert "\n# Not a title" not in note
    assert "`rm -rf`" not in note
    assert note.count("\n# ") == 0
    assert note.count(MARKER) == 1


def test_a_resolution_is_written_in_and_the_hand_written_part_is_kept(world: World) -> None:
    world.story()
    world.packs.write(ID)
    path = world.directory / "incidents" / ID / "note.md"
    path.write_text(world.note() + "\nI called the venue at three.\n")
    world.line("explanation", 300, incident_id=ID, why="they said sorry", by="ann")
    world.line("order_approved", 301, client_order_id="after-it-all")
    world.line(
        "incident_resolved",
        400,
        incident_id=ID,
        by="ann",
        root_cause="filters changed",
        remediation="reloaded",
        follow_up="ask hourly",
    )
    assert world.packs.write(ID) is True
    note = world.note()
    for said in ("resolved T+400 by ann", "filters changed", "reloaded", "ask hourly", "sorry"):
        assert said in note
    assert "to fill in" not in note
    assert "after-it-all" not in note
    assert note.endswith("\nI called the venue at three.\n")


def test_the_extract_is_byte_for_byte_and_summed(world: World) -> None:
    world.story()
    world.packs.write(ID)
    directory = world.directory / "incidents" / ID
    extract = (directory / "journal.jsonl").read_bytes()
    assert extract in world.journal.read_bytes()
    assert orjson.loads((directory / "status.json").read_bytes()) == {"gate_state": "READY"}
    sums = dict(
        reversed(row.split("  ")) for row in (directory / "SHA256SUMS").read_text().splitlines()
    )
    assert set(sums) == {"journal.jsonl", "status.json"}
    assert sums["journal.jsonl"] == hashlib.sha256(extract).hexdigest()


def test_a_long_storm_stays_readable(world: World) -> None:
    world.story()
    for number in range(2_000):
        world.line("order_reject", 1, msg=f"no {number}")
    world.packs.write(ID)
    note = world.note()
    assert note.count("| order_reject |") <= TIMELINE_MAX
    assert "lines are left out here" in note


def test_damaged_lines_are_passed_over(world: World) -> None:
    world.story()
    with world.journal.open("ab") as out:
        out.write(b'{"seq": 99, "event_type"\n\xff\xfe\n[]\n')
    world.packs.write(ID)
    assert "reject_storm" in world.note()


def test_an_incident_that_the_journal_does_not_hold_yet_writes_nothing(world: World) -> None:
    world.line("run_start", 0)
    assert world.packs.write(ID) is False
    assert not (world.directory / "incidents").exists()


def test_the_thread_writes_what_is_queued_before_it_ends(world: World) -> None:
    world.story()
    world.packs.start(())
    world.packs.on_record(EventType.INCIDENT_OPENED, {"incident_id": ID}, T0)
    for _ in range(1_000):
        world.packs.on_record(EventType.KILL, {"step": "latched"}, T0)
    world.packs.stop()
    assert "reject_storm" in world.note()


def test_a_pack_that_a_crash_prevented_is_written_by_the_next_boot(world: World) -> None:
    world.story()
    world.packs.start((ID,))
    world.packs.stop()
    assert "reject_storm" in world.note()
