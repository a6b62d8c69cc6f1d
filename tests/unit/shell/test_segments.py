"""Segments, plain and packed: every reader finds the same lines; a packing cut short loses none."""

import contextlib
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from daemon.model.records import GENESIS, EventType
from daemon.shell.journal import segment_packing
from daemon.shell.journal.journal_writer import Journal, JournalError, segments
from daemon.shell.journal.replay import recover
from daemon.shell.journal.segment_packing import (
    HousekeepingBusyError,
    StoppedError,
    housekeeping,
    last_checkpoint_segment,
    look,
    pack,
    packable,
)
from daemon.shell.journal.segments import CHUNK_BYTES, chunks_of, newest_lines, tail_of
from evidence.read.journal_reader import JournalReader
from evidence.read.journal_sources import streams_of


def write(directory: Path, lines: int, *, checkpoint_every: int = 0, seed: int = 1) -> None:
    """A journal of small segments, continued where it ends."""
    rng = random.Random(seed)
    found = recover(directory)
    journal = Journal(
        directory,
        run_id=f"r{seed}",
        mode="sim",
        exchange="sim",
        seq=found.seq,
        head=found.head,
        segment_bytes_max=20_000,
    )
    for number in range(lines):
        if checkpoint_every and number % checkpoint_every == checkpoint_every - 1:
            journal.append(EventType.CHECKPOINT, {"state": {}}, ts_ns=1, session_id="")
        fields = {"method": f"m{number}", "reason": "x" * rng.randrange(200)}
        kind = EventType.COMMAND if rng.random() < 0.1 else EventType.CLOCK
        journal.append(kind, fields, ts_ns=1, session_id="")
        if rng.random() < 0.3:
            journal.flush()
    journal.close()


def plain_of(directory: Path) -> bytes:
    return b"".join(chunk for path in segments(directory) for chunk in chunks_of(path))


def chain_of(directory: Path) -> Any:
    reader = JournalReader(streams_of([directory])[0].files)
    for _ in reader.records():
        pass
    return reader.chain


def test_packing_keeps_every_byte_for_boot_evidence_and_tail(tmp_path: Path) -> None:
    write(tmp_path, 600, checkpoint_every=100)
    before, recovered = plain_of(tmp_path), recover(tmp_path)
    wanted = packable(tmp_path)
    assert len(wanted) > 3
    for path in wanted:
        assert pack(path) > 0
        assert not path.exists()
    assert plain_of(tmp_path) == before
    assert recover(tmp_path) == recovered
    chain = chain_of(tmp_path)
    assert not chain.faults.counts
    assert (chain.last_seq, chain.last_hash) == (recovered.seq, recovered.head)
    write(tmp_path, 10, seed=2)
    assert not chain_of(tmp_path).faults.counts


def test_nothing_from_the_last_checkpoint_on_is_packed(tmp_path: Path) -> None:
    write(tmp_path, 300)
    assert last_checkpoint_segment(tmp_path) == 0
    assert packable(tmp_path) == []
    write(tmp_path, 150, checkpoint_every=100, seed=2)
    limit = last_checkpoint_segment(tmp_path)
    texts = {path: b'"event_type":"checkpoint"' in path.read_bytes() for path in segments(tmp_path)}
    assert [int(path.stem[-6:]) for path, has in texts.items() if has] == [limit]
    assert all(int(path.stem[-6:]) < limit for path in packable(tmp_path))


def test_words_of_a_checkpoint_inside_data_are_none(tmp_path: Path) -> None:
    write(tmp_path, 50)
    found = recover(tmp_path)
    journal = Journal(
        tmp_path, run_id="r", mode="sim", exchange="sim", seq=found.seq, head=found.head
    )
    context = {"event_type": "checkpoint"}
    journal.append(EventType.INCIDENT_OPENED, {"context": context}, ts_ns=1, session_id="")
    journal.close()
    assert last_checkpoint_segment(tmp_path) == 0


STEPS = ("open", "fsync", "check", "replace", "sync", "unlink")


def cut_at(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Die at one step of a packing, leaving what a kill leaves (no clean-up runs)."""

    class Killed(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    if step == "open":
        monkeypatch.setattr(zstandard.ZstdCompressor, "compressobj", die, raising=False)
    targets = {
        "fsync": (segment_packing.os, "fsync"),
        "check": (segment_packing, "_check"),
        "sync": (segment_packing, "sync_directory"),
    }
    if step in targets:
        monkeypatch.setattr(*targets[step], die)
    if step == "replace":
        monkeypatch.setattr(Path, "replace", die)
    real_unlink = Path.unlink

    def unlink(path: Path, *, missing_ok: bool = False) -> None:
        if path.name.startswith("."):
            return  # a killed process sweeps nothing
        if step == "unlink":
            raise Killed
        real_unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_packing_that_is_cut_at_any_step_leaves_a_readable_journal(
    tmp_path: Path, step: str
) -> None:
    write(tmp_path, 400, checkpoint_every=100)
    before, recovered = plain_of(tmp_path), recover(tmp_path)
    target = packable(tmp_path)[0]
    with pytest.MonkeyPatch.context() as patched:
        cut_at(patched, step)
        with pytest.raises(BaseException):  # noqa: B017, PT011 - a private class stands for the kill
            pack(target)
    assert plain_of(tmp_path) == before
    assert recover(tmp_path) == recovered
    assert not chain_of(tmp_path).faults.counts
    assert segment_packing.look(tmp_path) > 0
    assert plain_of(tmp_path) == before
    assert not chain_of(tmp_path).faults.counts
    assert not packable(tmp_path)
    left = {path.name for path in tmp_path.iterdir() if path.name.startswith(".")}
    assert left == {".lock", ".housekeeping.lock"}


def test_a_disk_that_gives_other_bytes_back_keeps_the_plain_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 300, checkpoint_every=100)
    target, before = packable(tmp_path)[0], plain_of(tmp_path)
    real = segment_packing.chunks_of

    def damaged(path: Path) -> Iterator[bytes]:
        for chunk in real(path):
            yield chunk if path == target else chunk.replace(b"r1", b"r2")

    monkeypatch.setattr(segment_packing, "chunks_of", damaged)
    with pytest.raises(OSError, match="does not unpack to the same bytes"):
        pack(target)
    assert plain_of(tmp_path) == before
    assert target.exists()


def test_one_process_at_a_time_and_an_end_that_does_not_wait(tmp_path: Path) -> None:
    write(tmp_path, 300, checkpoint_every=100)
    with housekeeping(tmp_path), pytest.raises(HousekeepingBusyError, match="another process"):
        segment_packing.look(tmp_path)
    with pytest.raises(StoppedError):
        pack(packable(tmp_path)[0], stop=lambda: True)
    assert packable(tmp_path)[0].exists()


def test_a_damaged_packed_segment_is_named_at_boot(tmp_path: Path) -> None:
    write(tmp_path, 300)  # no checkpoint: a boot reads all of it
    target = segments(tmp_path)[1]
    pack(target)
    packed = target.with_name(target.name + ".zst")
    body = packed.read_bytes()
    packed.write_bytes(body[: len(body) // 2])
    with pytest.raises(JournalError, match=r"packed segment is damaged.*restore it"):
        recover(tmp_path)


@pytest.mark.parametrize("is_packed", [False, True])
def test_the_newest_lines_are_those_that_a_plain_reading_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_packed: bool
) -> None:
    monkeypatch.setattr("daemon.shell.journal.segments.CHUNK_BYTES", 1_024)
    assert CHUNK_BYTES > 1_024
    rng = random.Random(3)
    for trial in range(60):
        lines = [b"%d" % n + b"x" * rng.choice((0, 5, 300, 3_000)) for n in range(trial)]
        path = tmp_path / "journal-000001.jsonl"
        torn = b"" if trial % 2 or is_packed else b"torn" * rng.randrange(600)
        path.write_bytes(b"".join(line + b"\n" for line in lines) + torn)
        if is_packed:
            packed = path.with_name(path.name + ".zst")
            packed.write_bytes(zstandard.ZstdCompressor().compress(path.read_bytes()))
            path.unlink()
            path = packed
        wanted = [line for line in lines if b"7" in line]
        for count in (1, 3, 1_000):
            found = newest_lines(path, count, lambda line: b"7" in line, needles=(b"7",))
            assert found == wanted[-count:], (trial, count)
        body = b"".join(chunks_of(path))
        assert tail_of(path, 700) == body[-700:].splitlines()
        path.unlink()
    assert GENESIS


def test_a_process_that_is_killed_while_it_packs_loses_nothing(tmp_path: Path) -> None:
    write(tmp_path, 6_000, checkpoint_every=1_000)
    before, recovered = plain_of(tmp_path), recover(tmp_path)
    words = [sys.executable, "-m", "control.main", "journal", "compress", "--dir", str(tmp_path)]
    rng, kills = random.Random(9), 0
    for _ in range(5):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        left = len(packable(tmp_path)) - rng.randrange(1, 6)
        while process.poll() is None and len(packable(tmp_path)) > left:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(rng.random() / 100)
        kills += process.poll() is None
        process.kill()
        process.wait()
        assert plain_of(tmp_path) == before
        assert recover(tmp_path) == recovered
        assert not chain_of(tmp_path).faults.counts
    assert kills > 0
    look(tmp_path)
    assert not packable(tmp_path)
    assert plain_of(tmp_path) == before
