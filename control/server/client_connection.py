"""One client's socket on the control loop: lines in, answers out, every wait with a deadline.

Rules of this file:
1. One line of one client a turn: nobody's pile of lines stands before another's.
2. What is not understood is answered once and closed; what is too slow or too big likewise.
3. Nothing here awaits: the loop calls in, and slow clients cost a buffer of bounded size.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Protocol

from control.control_errors import ProtocolErrorCode
from control.peer_identity import ControlConfig
from control.protocol import ErrorReply, LineSplitter, encode_dropped, encode_event, encode_fault
from control.server.request_handler import Answer, Caller, Subscription

_READ_BYTES = 64 * 1024
_FATAL_CODES = frozenset(
    {
        ProtocolErrorCode.PARSE_ERROR,
        ProtocolErrorCode.LINE_TOO_LONG,
        ProtocolErrorCode.TOO_SLOW,
        ProtocolErrorCode.TOO_MANY_CLIENTS,
    }
)
_EVENT_BACKLOG_BYTES = 256 * 1024


class ConnectionServer(Protocol):
    """What a connection needs of its server."""

    config: ControlConfig

    def line(self, connection: "ClientConnection", line: bytes) -> float:
        """Handle one whole line; returns the seconds that the next line has to wait."""

    def refused(self, connection: "ClientConnection", fault: ErrorReply) -> None:
        """Record a fault below the level of requests."""

    def gone(self, connection: "ClientConnection") -> None:
        """The connection is closed."""


class ClientConnection:
    """A connected client."""

    def __init__(
        self,
        host: ConnectionServer,
        sock: socket.socket,
        caller: Caller,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.caller = caller
        self.in_flight = 0
        self.subscription: Subscription | None = None
        self.closed = False
        self._host = host
        self._sock = sock
        self._loop = loop
        self._splitter = LineSplitter()
        self._out = bytearray()
        self._dropped = 0
        self._ended = False  # the client has said all that it wants to say
        self._closing = False  # close as soon as the output has left
        self._reading = False
        self._read_timer: asyncio.TimerHandle | None = None
        self._read_timer_is_idle = True
        self._write_timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Start reading at once: a kill must not wait for the loop's next turn."""
        self.on_readable()

    # ------------------------------------------------------------------ in

    def on_readable(self) -> None:
        """Read what arrived and handle the first line."""
        try:
            data = self._sock.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            self._work()
            return
        except OSError:
            self.close()
            return
        if data:
            self._splitter.feed(data)
        else:
            self._ended = True
        self._work()

    def _work(self) -> None:
        """Handle one line and schedule the next; read again when no whole line is left."""
        if self.closed or self._closing:
            return
        try:
            line = self._splitter.next_line()
        except ErrorReply as fault:
            self.refuse(fault)
            return
        if line is not None:
            self._pause_reading()
            delay_s = self._host.line(self, line)
            if delay_s:
                self._loop.call_later(delay_s, self._work)
            else:
                self._loop.call_soon(self._work)
            return
        if self._ended:
            self._pause_reading()
            if self._splitter.pending:
                self.refuse(
                    ErrorReply(ProtocolErrorCode.PARSE_ERROR, "the last line has no end; closing")
                )
            else:
                self._close_when_answered()
            return
        self._resume_reading()

    def _pause_reading(self) -> None:
        if self._reading:
            self._loop.remove_reader(self._sock)
            self._reading = False
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _resume_reading(self) -> None:
        if not self._reading:
            self._loop.add_reader(self._sock, self.on_readable)
            self._reading = True
        if self._splitter.pending:
            if self._read_timer is None or self._read_timer_is_idle:
                self._arm_read_timer(self._host.config.line_deadline_s, idle=False)
        elif self._read_timer is None or not self._read_timer_is_idle:
            self._arm_read_timer(self._host.config.idle_deadline_s, idle=True)

    def _arm_read_timer(self, delay_s: float, *, idle: bool) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
        self._read_timer_is_idle = idle
        self._read_timer = self._loop.call_later(delay_s, self._read_deadline, delay_s)

    def _read_deadline(self, delay_s: float) -> None:
        self._read_timer = None
        if self._splitter.pending:
            message = f"a line was begun and not ended within {delay_s:g} s; closing"
        elif self.in_flight or self.subscription is not None:
            self._arm_read_timer(delay_s, idle=True)
            return
        else:
            message = f"nothing was asked for {delay_s:g} s; closing"
        self.refuse(ErrorReply(ProtocolErrorCode.TOO_SLOW, message))

    # ------------------------------------------------------------------ out

    def send(self, data: bytes) -> None:
        """Queue a whole line; a client that does not read is cut off by size and by time."""
        if self.closed:
            return
        if not self._out:
            try:
                sent = self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self.close()
                return
            if sent == len(data):
                return
            data = data[sent:]
            self._loop.add_writer(self._sock, self._on_writable)
            self._arm_write_timer()
        self._out += data
        if len(self._out) > self._host.config.output_bytes_max:
            self.close()

    def _on_writable(self) -> None:
        try:
            sent = self._sock.send(self._out)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
            return
        del self._out[:sent]
        if self._out:
            self._arm_write_timer()
            return
        self._loop.remove_writer(self._sock)
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        if self._closing:
            self.close()
        elif self._ended:
            self._close_when_answered()

    def _arm_write_timer(self) -> None:
        """Restart the write deadline, which runs from the last byte that the client took."""
        if self._write_timer is not None:
            self._write_timer.cancel()
        self._write_timer = self._loop.call_later(self._host.config.write_deadline_s, self.close)

    def offer_events(
        self, lines: list[bytes], dropped: int, passes: Callable[[bytes], bool]
    ) -> None:
        """Send new journal lines to a subscriber; count those that it is too slow for."""
        self._dropped += dropped
        for line in lines:
            if not passes(line):
                continue
            if len(self._out) > _EVENT_BACKLOG_BYTES:
                self._dropped += 1
                continue
            if self._dropped:
                self.send(encode_dropped(self._dropped))
                self._dropped = 0
            self.send(encode_event(line))

    # ------------------------------------------------------------------ end

    def answered(self, answer: Answer) -> None:
        """A request that was in flight has its answer."""
        self.in_flight -= 1
        if isinstance(answer, bytes):
            self.send(answer)
        if self._ended:
            self._close_when_answered()

    def refuse(self, fault: ErrorReply) -> None:
        """Record and answer a fault of the connection itself."""
        self._host.refused(self, fault)
        self.fail(fault)

    def fail(self, fault: ErrorReply) -> None:
        """Answer with the fault; close after it when nothing sensible can follow."""
        self.send(encode_fault(fault))
        if fault.code in _FATAL_CODES or self.caller.role is None:
            self.finish()

    def finish(self) -> None:
        """Close when the output has left (or its deadline has passed)."""
        self._closing = True
        self._pause_reading()
        if not self._out:
            self.close()

    def _close_when_answered(self) -> None:
        if not self.in_flight and not self._out:
            self.close()

    def close(self) -> None:
        """Close now. Commands in flight continue; only their answers are lost."""
        if self.closed:
            return
        self.closed = True
        self._pause_reading()
        if self._write_timer is not None:
            self._write_timer.cancel()
        with contextlib.suppress(OSError, ValueError):
            self._loop.remove_writer(self._sock)
        self._sock.close()
        self._host.gone(self)
