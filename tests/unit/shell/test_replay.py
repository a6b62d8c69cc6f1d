"""What a boot reads of its journal: the end, and only what the chain vouches for."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.model.records import EventType
from daemon.shell.journal import replay
from daemon.shell.journal.journal_writer import Journal, JournalError, segments
from daemon.shell.journal.replay import recover

TS = 1_700_000_000_000_000_000


def written(directory: Path, kinds: str, **more: int) -> Path:
    """A journal of heartbeats (h), inputs (i) and checkpoints (c); returns its last segment."""
    journal = Journal(directory, run_id="abc123-1", mode="sim", exchange="sim", **more)
    for number, kind in enumerate(kinds):
        event_type = {"h": EventType.HEARTBEAT, "i": EventType.INPUT, "c": EventType.CHECKPOINT}
        fields = {"state": {"at": number}} if kind == "c" else {"pad": "x" * 100, "at": number}
        journal.append(event_type[kind], fields, ts_ns=TS + number, session_id="")
        journal.flush()
    journal.close()
    return segments(directory)[-1]


def edited(path: Path, change: Callable[[list[bytes]], None]) -> None:
    lines = path.read_bytes().splitlines()
    change(lines)
    path.write_bytes(b"\n".join(lines) + b"\n")


def test_the_place_of_the_checkpoint_is_told(tmp_path: Path) -> None:
    written(tmp_path, "hhchihh")
    found = recover(tmp_path)
    assert (found.checkpoint_seq, found.seq, found.ts_ns) == (3, 7, TS + 6)
    assert [fact["at"] for fact in found.facts] == [3, 5, 6]
    assert found.checkpoint == {"at": 2}


@pytest.mark.parametrize("what", ["a fact", "an input", "the checkpoint itself"])
def test_a_changed_line_is_refused_though_it_can_be_read(tmp_path: Path, what: str) -> None:
    path = written(tmp_path, "hhchihh")
    place = {"a fact": 3, "an input": 4, "the checkpoint itself": 2}[what]

    def change(lines: list[bytes]) -> None:
        lines[place] = lines[place].replace(b'"at":', b'"at":1')
        json.loads(lines[place])

    edited(path, change)
    with pytest.raises(JournalError, match="does not continue the chain"):
        recover(tmp_path)


@pytest.mark.parametrize("place", [3, 4, 5])
def test_a_removed_line_is_refused(tmp_path: Path, place: int) -> None:
    path = written(tmp_path, "hhchihh")
    edited(path, lambda lines: lines.__delitem__(place))
    with pytest.raises(JournalError, match="does not continue the chain"):
        recover(tmp_path)


def test_a_segment_that_is_missing_is_refused(tmp_path: Path) -> None:
    written(tmp_path, "chhhhhhhh", segment_bytes_max=800)
    middle = segments(tmp_path)[1]
    assert len(segments(tmp_path)) >= 3
    middle.unlink()
    with pytest.raises(JournalError, match="does not continue the chain"):
        recover(tmp_path)


def test_a_journal_without_a_checkpoint_begins_at_its_beginning(tmp_path: Path) -> None:
    path = written(tmp_path, "hhhh")
    assert [fact["at"] for fact in recover(tmp_path).facts] == [0, 1, 2, 3]
    edited(path, lambda lines: lines.__delitem__(0))
    with pytest.raises(JournalError, match="does not continue the chain"):
        recover(tmp_path)


def test_what_lies_before_the_checkpoint_is_not_read(tmp_path: Path) -> None:
    path = written(tmp_path, "hhhch")
    edited(path, lambda lines: lines.__setitem__(0, b"garbage"))
    assert recover(tmp_path).checkpoint == {"at": 3}


@pytest.mark.parametrize("kinds", ["h" * 30, "c" + "h" * 30, "h" * 15 + "c" + "h" * 15, "hc"])
@pytest.mark.parametrize("read_bytes", [1, 7, 250, 1_000, 3_000])
def test_however_little_is_read_at_once_the_same_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: str, read_bytes: int
) -> None:
    path = written(tmp_path, kinds)
    whole = recover(tmp_path)
    torn = b'{"seq":99,"ts":"2023'
    with path.open("ab") as out:
        out.write(torn)
    monkeypatch.setattr(replay, "_WINDOW_BYTES", replay._OVERLAP_BYTES + read_bytes)
    monkeypatch.setattr(replay, "_TAIL_READ_BYTES", read_bytes)
    found = recover(tmp_path)
    assert found.torn_bytes == len(torn)
    found.torn_bytes, found.torn_sha256 = 0, ""
    assert found == whole


@pytest.mark.parametrize(
    ("word", "damage"),
    [
        (b'"schema":1', b'"schema":null'),
        (b'"schema":1', b'"schema":"1"'),
        (b'"seq":', b'"sec":'),
        (b'"ts_ns":1', b'"ts_ns":1.5e300,"x":1'),
        (b'"event_type":', b'"event":'),
        (b'"state":{"at":2}', b'"state":7'),
    ],
)
def test_a_damaged_envelope_of_the_last_line_is_told_with_the_mend(
    tmp_path: Path, word: bytes, damage: bytes
) -> None:
    """No line after it carries its hash, so the chain says nothing of it."""
    path = written(tmp_path, "hhc")

    def change(lines: list[bytes]) -> None:
        assert word in lines[-1]
        lines[-1] = lines[-1].replace(word, damage)

    edited(path, change)
    with pytest.raises(JournalError, match=r"state accept --set-aside|not continue"):
        recover(tmp_path)
