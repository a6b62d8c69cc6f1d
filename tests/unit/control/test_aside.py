"""Work beside a process: nobody waits for it, and it does not stay for ever."""

import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.tool import isolated_work

DEADLINE_S = 60.0


def test_what_is_told_before_the_deadline_is_heard() -> None:
    work = isolated_work.Aside(lambda: iter(["one", 2]))
    try:
        assert list(work.answers(DEADLINE_S)) == ["one", 2]
    finally:
        work.close()


def test_work_that_hangs_ends_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated_work, "LIFE_S_MAX", 1)
    nobody_writes = tmp_path / "config"
    os.mkfifo(nobody_writes)

    def hangs() -> Iterator[str]:
        yield str(os.getpid())
        yield nobody_writes.read_text()

    work = isolated_work.Aside(hangs)
    pid = int(next(work.answers(DEADLINE_S)))
    process = os.pidfd_open(pid)
    try:
        ended, _, _ = select.select([process], [], [], DEADLINE_S)
        assert ended, "the process hangs still"
    finally:
        os.close(process)
        work.close()


def test_nobody_waits_for_work_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated_work, "LIFE_S_MAX", 120)
    nobody_writes = tmp_path / "config"
    os.mkfifo(nobody_writes)
    began = time.monotonic()
    work = isolated_work.Aside(lambda: iter([nobody_writes.read_text()]))
    assert list(work.answers(0.1)) == []
    work.close()
    assert time.monotonic() - began < 60, "we waited for the disk"
