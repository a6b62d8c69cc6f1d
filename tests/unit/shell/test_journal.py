"""The journal: chain, order, faults, rotation, recovery. The kernel's own files are the judge."""

import asyncio
import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.model.records import GENESIS, EventType
from daemon.shell.journal import journal_writer as journal_module
from daemon.shell.journal.journal_writer import Journal, JournalError, segments
from daemon.shell.journal.replay import recover

TS = 1_700_000_000_123_456_789
DEADLINE_S = 60


def make(directory: Path, **options: object) -> Journal:
    return Journal(directory, run_id="abc123-1", mode="sim", exchange="sim", **options)  # type: ignore[arg-type]


def write(journal: Journal, count: int, kind: EventType = EventType.HEARTBEAT) -> None:
    for n in range(count):
        journal.append(kind, {"n": n}, ts_ns=TS + n, session_id="s")


def lines(directory: Path) -> list[bytes]:
    return b"".join(path.read_bytes() for path in segments(directory)).splitlines()


def assert_chain(found: list[bytes]) -> None:
    previous = GENESIS
    for number, line in enumerate(found, start=1):
        record = json.loads(line)
        assert record["seq"] == number
        assert record["prev"] == previous
        assert list(record)[-1] == "prev"
        previous = hashlib.sha256(line).hexdigest()


def test_lines_are_chained_and_stamped(tmp_path: Path) -> None:
    journal = make(tmp_path)
    write(journal, 3)
    journal.close()
    found = lines(tmp_path)
    assert_chain(found)
    first = json.loads(found[0])
    assert first["ts"] == "2023-11-14T22:13:20.123456Z"
    assert (first["level"], first["is_error"], first["is_anomaly"]) == ("info", False, False)


def test_nothing_reaches_the_file_before_flush_and_all_of_it_after(tmp_path: Path) -> None:
    journal = make(tmp_path)
    write(journal, 2)
    assert journal.path.stat().st_size == 0
    journal.flush()
    assert len(lines(tmp_path)) == 2
    journal.close()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    journal = make(tmp_path)
    with pytest.raises(JournalError, match="another seatriald is running"):
        make(tmp_path)
    journal.close()
    make(tmp_path).close()


def test_a_full_disk_keeps_what_fits_in_whole_lines_and_every_other_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make(tmp_path)
    write(journal, 2)
    journal.flush()
    real = os.write

    calls = 0

    def full(fd: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            return real(fd, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    write(journal, 3)
    with pytest.raises(JournalError, match="No space left"):
        journal.flush()
    assert journal.fault
    assert_chain(lines(tmp_path))
    assert len(lines(tmp_path)) == 3, "half of three lines is one whole line"
    assert journal.pending_lines == 2
    mended: list[bool] = []
    journal.on_mended = lambda: mended.append(journal.pending_lines == 0)
    monkeypatch.setattr(os, "write", real)
    journal.flush()
    assert not journal.fault
    assert mended == [True]
    journal.close()
    assert_chain(lines(tmp_path))
    assert len(lines(tmp_path)) == 5


def test_a_real_full_disk_takes_what_fits_of_a_backlog_and_the_rest_when_there_is_room(
    tmp_path: Path,
) -> None:
    """RLIMIT_FSIZE in a child stands for the disk: the kernel itself refuses, line by line."""
    code = """
import resource, signal, sys
from pathlib import Path
from daemon.model.records import EventType
from daemon.shell.journal.journal_writer import Journal, JournalError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(Path(sys.argv[1]), run_id="r", mode="sim", exchange="sim")
for number in range(5_000):
    journal.append(EventType.INPUT, {"input": number}, ts_ns=number + 1, session_id="")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    journal.flush()
    sys.exit(9)
except JournalError as error:
    assert "5000 lines" not in str(error), error
print(journal.pending_lines, flush=True)
body = journal.path.read_bytes()
assert body.endswith(b"}\\n") and body.count(b"\\n") == 5_000 - journal.pending_lines
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.flush()
journal.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert 4_000 < int(done.stdout) < 5_000
    found = lines(tmp_path)
    assert len(found) == 5_000
    assert_chain(found)


def test_an_anchor_that_does_not_fit_is_a_fault_and_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make(tmp_path)
    real = os.write

    def no_anchors(fd: int, data: bytes) -> int:
        if b'"segment"' in data[:20]:
            return real(fd, data[:7])
        return real(fd, data)

    monkeypatch.setattr(os, "write", no_anchors)
    journal.append(EventType.SESSION_STOP, {}, ts_ns=1, session_id="s")
    with pytest.raises(JournalError, match="No space left"):
        journal.flush()
    assert (journal.pending_lines, bool(journal.fault)) == (0, True)
    monkeypatch.setattr(os, "write", real)
    journal.flush()
    assert not journal.fault
    journal.close()
    anchor = json.loads((tmp_path / "anchors.jsonl").read_text())
    assert (anchor["seq"], anchor["head"]) == (journal.seq, journal.head)


def test_segments_rotate_with_an_anchor_and_one_chain(tmp_path: Path) -> None:
    journal = make(tmp_path, segment_bytes_max=2_000)
    for _ in range(12):
        write(journal, 1)
        journal.flush()
    journal.close()
    assert len(segments(tmp_path)) > 1
    assert_chain(lines(tmp_path))
    anchors = [json.loads(a) for a in (tmp_path / "anchors.jsonl").read_text().splitlines()]
    assert len(anchors) == len(segments(tmp_path)) - 1
    for anchor, path in zip(anchors, segments(tmp_path), strict=False):
        last = path.read_bytes().splitlines()[-1]
        assert anchor["head"] == hashlib.sha256(last).hexdigest()
        assert anchor["seq"] == json.loads(last)["seq"]


def test_the_head_is_anchored_when_a_session_ends(tmp_path: Path) -> None:
    journal = make(tmp_path)
    write(journal, 2)
    write(journal, 1, EventType.SESSION_STOP)
    journal.flush()
    write(journal, 1)
    journal.close()
    anchors = [json.loads(a) for a in (tmp_path / "anchors.jsonl").read_text().splitlines()]
    third = lines(tmp_path)[2]
    head = hashlib.sha256(third).hexdigest()
    assert anchors == [
        {"segment": "journal-000001.jsonl", "seq": 3, "head": head, "run_id": "abc123-1"}
    ]


async def test_flushed_lines_become_durable_while_it_runs(tmp_path: Path) -> None:
    journal = make(tmp_path)
    durable: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    journal.on_durable = lambda seq: loop.call_soon_threadsafe(durable.put_nowait, seq)
    write(journal, 4)
    journal.flush()
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        running = group.create_task(journal.run(), name="journal")
        assert await durable.get() == 4  # flushed before it ran
        write(journal, 2)
        journal.flush()
        write(journal, 1)  # not flushed: not durable
        assert await durable.get() == 6
        running.cancel()
    assert journal.durable_seq == 6
    journal.close()
    assert len(lines(tmp_path)) == 7


async def test_inputs_alone_wait_a_little_and_a_fact_takes_them_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hundreds of ticks a second are no reason to sync hundreds of times."""
    journal = make(tmp_path)
    durable: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    journal.on_durable = lambda seq: loop.call_soon_threadsafe(durable.put_nowait, seq)
    monkeypatch.setattr(journal_module, "INPUTS_WAIT_S", 3_600)
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        running = group.create_task(journal.run(), name="journal")
        assert await durable.get() == 0  # it begins with what was there
        for _ in range(3):
            write(journal, 1, EventType.INPUT)
            journal.flush()
        assert len(lines(tmp_path)) == 3  # with the kernel all the same
        write(journal, 1)
        journal.flush()
        assert await durable.get() == 4
        monkeypatch.setattr(journal_module, "INPUTS_WAIT_S", 0.01)
        write(journal, 1, EventType.INPUT)
        journal.flush()
        assert await durable.get() == 5
        running.cancel()
    journal.close()


async def test_what_was_only_written_becomes_durable_with_the_next_flush(tmp_path: Path) -> None:
    """A turn writes before its order leaves, and asks for the disk when the order has left."""
    journal = make(tmp_path)
    durable: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    journal.on_durable = lambda seq: loop.call_soon_threadsafe(durable.put_nowait, seq)
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        running = group.create_task(journal.run(), name="journal")
        assert await durable.get() == 0  # it begins with what was there
        write(journal, 2)
        journal.write()
        assert len(lines(tmp_path)) == 2
        journal.flush()  # nothing is pending
        assert await durable.get() == 2
        running.cancel()
    journal.close()


async def test_many_writes_share_a_sync_and_all_become_durable(tmp_path: Path) -> None:
    journal = make(tmp_path, segment_bytes_max=10_000)
    rounds: list[int] = []
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_durable(seq: int) -> None:
        rounds.append(seq)
        if seq == 300:
            loop.call_soon_threadsafe(done.set)

    journal.on_durable = on_durable
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        running = group.create_task(journal.run(), name="journal")
        for _ in range(300):
            write(journal, 1)
            journal.flush()
            await asyncio.sleep(0)
        await done.wait()
        running.cancel()
    journal.close()
    assert rounds == sorted(rounds)
    assert len(rounds) < 300  # gathered
    assert len(segments(tmp_path)) > 2  # and segments were closed meanwhile
    assert_chain(lines(tmp_path))


async def test_a_failed_fdatasync_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = make(tmp_path)
    write(journal, 1)
    journal.flush()

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    with pytest.raises(JournalError, match="Input/output error"):
        async with asyncio.timeout(DEADLINE_S):
            await journal.run()
    assert journal.durable_seq == 0
    assert "Input/output error" in journal.fault
    monkeypatch.undo()
    journal.close()


async def test_pending_lines_are_tried_again_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make(tmp_path)
    monkeypatch.setattr(journal_module, "RETRY_PERIOD_S", 0.01)
    durable = asyncio.Event()
    loop = asyncio.get_running_loop()
    journal.on_durable = lambda seq: loop.call_soon_threadsafe(durable.set) if seq == 2 else None
    write(journal, 2)

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(JournalError):
            journal.flush()
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        running = group.create_task(journal.run(), name="journal")
        await durable.wait()
        running.cancel()
    assert not journal.fault
    journal.close()


def test_recovery_cuts_the_torn_tail_and_continues_the_chain(tmp_path: Path) -> None:
    journal = make(tmp_path)
    write(journal, 3)
    journal.close()
    torn = b'{"seq":4,"ts":"2023'
    with segments(tmp_path)[-1].open("ab") as out:
        out.write(torn)
    found = recover(tmp_path)
    assert (found.seq, found.torn_bytes) == (3, len(torn))
    assert found.torn_sha256 == hashlib.sha256(torn).hexdigest()
    again = make(tmp_path, seq=found.seq, head=found.head)
    write(again, 2)
    again.close()
    assert_chain(lines(tmp_path))
    assert len(lines(tmp_path)) == 5


def test_recovery_starts_at_the_last_checkpoint_and_skips_inputs(tmp_path: Path) -> None:
    journal = make(tmp_path, segment_bytes_max=2_000)
    write(journal, 5)
    journal.append(EventType.CHECKPOINT, {"state": {"at": 1}}, ts_ns=TS, session_id="")
    write(journal, 2)
    journal.flush()
    journal.append(EventType.CHECKPOINT, {"state": {"at": 2}}, ts_ns=TS, session_id="")
    journal.append(EventType.INPUT, {"input": {"type": "X"}}, ts_ns=TS, session_id="")
    write(journal, 3)
    journal.close()
    found = recover(tmp_path)
    assert found.checkpoint == {"at": 2}
    assert [f["event_type"] for f in found.facts] == ["heartbeat"] * 3
    assert found.seq == 13


def test_the_words_of_a_checkpoint_in_a_lines_data_are_no_checkpoint(tmp_path: Path) -> None:
    journal = make(tmp_path)
    journal.append(EventType.CHECKPOINT, {"state": {"at": 1}}, ts_ns=TS, session_id="")
    write(journal, 1)
    told = {"input": {"type": "Command", "params": {"event_type": "checkpoint"}}}
    journal.append(EventType.INPUT, told, ts_ns=TS, session_id="")
    write(journal, 1)
    journal.close()
    found = recover(tmp_path)
    assert found.checkpoint == {"at": 1}
    assert len(found.facts) == 2


def test_recovery_reaches_back_over_segments(tmp_path: Path) -> None:
    journal = make(tmp_path, segment_bytes_max=1_000)
    journal.append(EventType.CHECKPOINT, {"state": {"at": 1}}, ts_ns=TS, session_id="")
    for _ in range(9):
        write(journal, 1)
        journal.flush()
    journal.close()
    assert len(segments(tmp_path)) >= 3
    found = recover(tmp_path)
    assert found.checkpoint == {"at": 1}
    assert len(found.facts) == 9


def test_a_damaged_line_is_refused_with_its_place(tmp_path: Path) -> None:
    journal = make(tmp_path)
    write(journal, 3)
    journal.close()
    path = segments(tmp_path)[-1]
    body = path.read_bytes().splitlines()
    body[1] = b"garbage"
    path.write_bytes(b"\n".join(body) + b"\n")
    with pytest.raises(JournalError, match=r"journal-000001.jsonl: line 2 .* damaged"):
        recover(tmp_path)


def test_an_unwritable_directory_is_a_clear_error(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(JournalError, match="Not a directory"):
        make(blocker / "journal")


def test_a_line_reads_alike_whichever_way_it_was_encoded(tmp_path: Path) -> None:
    """Fields that repeat an envelope key take the slow way; both ways give the same envelope."""
    journal = make(tmp_path)
    kind = EventType.ORDER_REJECT
    journal.append(kind, {"code": 1}, ts_ns=TS, session_id="s-1")
    journal.append(kind, {"code": 1, "mode": "sim"}, ts_ns=TS, session_id="s-1")
    journal.append(kind, {}, ts_ns=TS, session_id="s-1")
    journal.append(kind, {"code": 1}, ts_ns=TS + 1_000_000_000, session_id="s-2")
    journal.close()
    found = lines(tmp_path)
    assert_chain(found)
    quick, slow, bare, other = (json.loads(line) for line in found)
    assert {**quick, "seq": 0, "prev": ""} == {**slow, "seq": 0, "prev": ""}
    assert list(quick)[:12] == list(slow)[:12] == list(bare)[:12]
    assert quick["is_anomaly"] is True
    assert other["session_id"] == "s-2"
    assert (quick["ts"], other["ts"]) == (
        "2023-11-14T22:13:20.123456Z",
        "2023-11-14T22:13:21.123456Z",
    )
