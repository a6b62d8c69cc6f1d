"""What `tail` and `explain` find in the files: brute force is the judge, packed or not."""

import random
from pathlib import Path

import orjson
import pytest

from daemon.model.records import EventType
from daemon.shell.journal.journal_writer import Journal, segments
from daemon.shell.journal.line_history import WAITING_MAX, JournalHistory
from daemon.shell.journal.replay import recover
from daemon.shell.journal.segment_packing import pack, packable
from daemon.shell.journal.segments import find_line, lines_of


@pytest.fixture(params=["plain", "packed"])
def journal(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Ten thousand ticks and 43 commands among them."""
    rng = random.Random(5)
    found = recover(tmp_path)
    writer = Journal(
        tmp_path, run_id="r", mode="sim", exchange="sim", seq=found.seq, head=found.head,
        segment_bytes_max=300_000,
    )  # fmt: skip
    commands = set(rng.sample(range(10_000), 43))
    for number in range(10_000):
        if number == 9_000:
            writer.append(EventType.CHECKPOINT, {"state": {}}, ts_ns=1, session_id="")
        if number in commands:
            words = {"method": "note", "reason": 'says "event_type":"input" itself'}
            writer.append(EventType.COMMAND, words, ts_ns=1, session_id="")
        else:
            writer.append(EventType.INPUT, {"input": {"type": "X"}}, ts_ns=1, session_id="")
        if number % 50 == 0:
            writer.flush()
    writer.close()
    if request.param == "packed":
        for path in packable(tmp_path):
            pack(path)
    return tmp_path


def test_every_command_is_found_however_many_ticks_lie_between(journal: Path) -> None:
    lines = [line for path in segments(journal) for line in lines_of(path)]
    commands = [line for line in lines if orjson.loads(line)["event_type"] == "command"]
    assert len(commands) == 43
    history = JournalHistory(journal)
    found = history.search(["command"], [], 1_000, 0)
    assert (found.lines, found.is_whole) == (commands, True)
    assert history.search(["command"], [], 5, 0).lines == commands[-5:]
    facts = [line for line in lines if orjson.loads(line)["event_type"] != "input"]
    assert history.search([], ["input"], 20, 0).lines == facts[-20:]
    assert history.search([], ["input"], 20, 0).is_whole
    below = orjson.loads(commands[20])["seq"]
    assert history.search(["command"], [], 1_000, below).lines == commands[:20]
    assert history.search(["fill"], [], 5, 0).lines == []
    history.stop()


def test_any_line_is_found_by_its_number(journal: Path) -> None:
    lines = [line for path in segments(journal) for line in lines_of(path)]
    history = JournalHistory(journal)
    for seq in (1, 2, 4_711, 9_001, len(lines) - 1, len(lines)):
        assert history.find(seq).lines == [lines[seq - 1]], seq
    assert history.find(len(lines) + 1).lines == []
    assert history.find(len(lines) + 1).is_whole
    edges = [next(iter(lines_of(path))) for path in segments(journal)]
    for line in edges:
        assert history.find(orjson.loads(line)["seq"]).lines == [line]
    first = segments(journal)[0]
    assert find_line(segments(journal)[-1], 1) is None  # it begins later
    assert find_line(first, len(lines)) == b""
    history.stop()


def test_a_search_ends_with_its_time_and_says_so(journal: Path) -> None:
    history = JournalHistory(journal, search_s=0.0)
    assert not history.search(["fill"], [], 5, 0).is_whole
    assert not history.find(20_000).is_whole
    busy = [history.older(["fill"], [], 5, 0) for _ in range(4 * WAITING_MAX)]
    assert all(not one.result(timeout=60).is_whole for one in busy)
    history.stop()
    assert not history.older(["command"], [], 5, 0).result(timeout=60).is_whole


def test_a_segment_that_is_packed_meanwhile_is_looked_for_again(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, real, seen = JournalHistory(journal), segments, []

    def stale(directory: Path) -> list[Path]:
        seen.append(directory)
        found = real(directory)
        return [directory / "journal-000000.jsonl", *found] if len(seen) == 1 else found

    monkeypatch.setattr("daemon.shell.journal.line_history.segments", stale)
    assert len(history.search(["command"], [], 1_000, 0).lines) == 43
    assert len(seen) == 2
    history.stop()
