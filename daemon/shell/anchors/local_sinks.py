"""Sinks on this machine: a file of another user, the system's log."""

import asyncio
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemon.shell.anchors.sink import Head, SinkError

SYSLOG_SOCKET = Path("/dev/log")
_PRIORITY = 13 * 8 + 5
"""Facility log audit, severity notice (RFC 5424)."""


class FileSink:
    """Appends a line to a file that is there already, and waits until it is on the disk."""

    def __init__(self, path: Path) -> None:
        """`path` belongs to another user; this one may only append."""
        self._path = path

    async def send(self, head: Head) -> Mapping[str, Any]:
        """Append one JSON line."""
        await asyncio.to_thread(self._append, json.dumps(head.plain()).encode() + b"\n")
        return {}

    async def close(self) -> None:
        """Nothing is held open."""

    def _append(self, line: bytes) -> None:
        file_fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            if os.write(file_fd, line) < len(line):
                raise SinkError(f"{self._path}: took a part of the line; free space there")
            os.fsync(file_fd)
        finally:
            os.close(file_fd)


class SyslogSink:
    """Sends a datagram to the log daemon's socket (journald and rsyslog listen there).

    A log does not answer: the head counts as kept when the kernel has handed it over.
    """

    def __init__(self, path: Path = SYSLOG_SOCKET, *, tag: str) -> None:
        """`tag` names this box in the log."""
        self._path = path
        self._tag = tag

    async def send(self, head: Head) -> Mapping[str, Any]:
        """Log one line."""
        text = f"<{_PRIORITY}>{self._tag}: seatrial anchor {json.dumps(head.plain())}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as opened:
            opened.setblocking(False)
            await asyncio.get_running_loop().sock_connect(opened, str(self._path))
            await asyncio.get_running_loop().sock_sendall(opened, text.encode())
        return {}

    async def close(self) -> None:
        """Nothing is held open."""
