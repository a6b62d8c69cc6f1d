"""Free space under the state directory, and waiting for it at boot.

A full disk is mended by a person who is not there yet. Until then the daemon stays where it can be
asked: one that runs halts and waits (`journal_writer.py`), one that boots waits here, having sent
nothing.
"""

import errno
import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from daemon.shell.process.sdnotify import Notifier

log = logging.getLogger("seatriald.disk")

BOOT_BYTES = 1024 * 1024
"""What a boot writes at most before it connects: identity, recovery, a checkpoint."""
WAIT_PERIOD_S = 2.0
WAIT_EXTENDS_US = 30_000_000
TOLD_EVERY = 30
"""One line in the log for so many looks: a minute."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Disk:
    """The free space under a directory, as a part of the status."""

    def __init__(self, directory: Path) -> None:
        """`directory` must be there when `status` is first asked."""
        self._directory = directory

    def status(self) -> Mapping[str, Any]:
        """Bytes that we may still write, and all there are; empty when the kernel will not say."""
        try:
            found = os.statvfs(self._directory)
        except OSError:
            return {}
        return {
            "disk_free_bytes": found.f_bavail * found.f_frsize,
            "disk_size_bytes": found.f_blocks * found.f_frsize,
        }


def await_room(state_dir: Path, notifier: Notifier) -> None:
    """Wait until a boot's own lines fit under `state_dir`, and report the wait."""
    looks = 0
    while full := _fault(state_dir):
        if looks % TOLD_EVERY == 0:
            log.error(
                "%s: %s; waiting until there is room, nothing is connected and no order of ours is "
                "sent; free space, or stop me (SIGTERM)", state_dir, full,
            )  # fmt: skip
        looks += 1
        notifier.extend_timeout(WAIT_EXTENDS_US)
        notifier.status(f"waiting: {full} under {state_dir}; nothing is connected")
        time.sleep(WAIT_PERIOD_S)


def is_full(error: BaseException) -> bool:
    """Whether an error comes from a full disk."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _FULL:
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def boot_again(environ: Mapping[str, str]) -> NoReturn:
    """Execute this process again with its arguments, after the disk ran full at boot.

    Locks, threads and half-built parts end with the old program; the next one waits for room.
    """
    time.sleep(WAIT_PERIOD_S)
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)  # noqa: S606


def _fault(state_dir: Path) -> str:
    """Why a boot's lines do not fit; empty when they do, or for whatever a boot says better."""
    place = state_dir
    while not place.exists() and place != place.parent:
        place = place.parent  # a boot that is refused has made no directory
    probe = place / f".room-{os.getpid()}"
    try:
        probe_fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        return os.strerror(error.errno) if error.errno in _FULL else ""
    try:
        os.posix_fallocate(probe_fd, 0, BOOT_BYTES)
    except OSError as error:
        return os.strerror(error.errno) if error.errno in _FULL else ""
    finally:
        os.close(probe_fd)
        probe.unlink(missing_ok=True)
    return ""
