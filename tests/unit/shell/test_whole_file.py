"""A file that is there whole or not at all."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.shell.process.whole_file import write_whole


def test_what_was_there_stays_until_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write_whole(path, [b"first"])

    def cut_short() -> Iterator[bytes]:
        yield b"second"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_whole(path, cut_short())
    assert path.read_bytes() == b"first"
    write_whole(path, [b"th", b"ird"])
    assert path.read_bytes() == b"third"
    assert [one.name for one in tmp_path.iterdir()] == ["keys.json"]


def test_nobody_else_reads_it_unless_that_is_asked_for(tmp_path: Path) -> None:
    leftover = tmp_path / "a.partial"
    leftover.touch(0o666)
    write_whole(tmp_path / "a", [b"secret"])
    write_whole(tmp_path / "b", [b"ledger"], 0o644)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "b")]
    assert modes == [0o600, 0o644 & ~_umask()]


def _umask() -> int:
    os.umask(mask := os.umask(0))
    return mask
