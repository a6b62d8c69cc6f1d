"""The WebSocket API without an event loop: the connection of a stop in a process of its own.

Importing an event loop and a client for one takes longer than such a stop has to wait for the
venue. It is a client's half of RFC 6455 and nothing more: no compression, no extensions.

Rules of this file:
1. Nothing waits without a deadline: neither name look-up, connect, TLS, handshake, nor an answer.
2. Many requests may be under way: `ask` yields a `Pending`, and whoever drives it (`BlockingWaits`)
   reads until that has its answer.
3. A frame that is not the protocol's or not the venue's language ends the connection.
4. TLS is that of every session of ours: the system's authorities, the host's own name. To read
   all of them takes longer than the venue's answer, so only those that the venue names are read.
"""

import binascii
import contextlib
import errno
import hashlib
import os
import select
import socket
import struct
from collections import deque
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from daemon.errors import AnswerLost, NotConnected, SeatrialError, Undecodable, VenueRefusal
from daemon.shell.process.clock import Clock
from daemon.venues.contract import WsReply
from daemon.venues.hosts import CheckedAddress, check_peer
from daemon.venues.requests import WsRequest

if TYPE_CHECKING:  # a stop waits for every import
    from daemon.venues.adapter import StopCodec

FRAME_MAX_BYTES = 16 * 1024 * 1024
_HEAD_MAX_BYTES = 64 * 1024
_BODY_MAX_BYTES = 4096
_READ_BYTES = 64 * 1024
_NEXT_ADDRESS_NS = 100_000_000
"""So long the next address waits for one that is silent (RFC 8305: 100 ms at least)."""
_CONTINUATION, _TEXT, _CLOSE, _PING, _PONG = 0, 1, 8, 9, 10
_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Pending:
    """A request without its answer; `answer` is that, or why there is none."""

    def __init__(self, session: "BlockingSession", until_ns: int, deadline_s: float) -> None:
        self.session = session
        self.until_ns = until_ns
        self.deadline_s = deadline_s
        self.answer: WsReply | SeatrialError | None = None

    def __await__(self) -> Generator["Pending", WsReply, WsReply]:
        return (yield self)


class BlockingSession:
    """One connection, used by one thread."""

    def __init__(
        self, environment: str, endpoint: CheckedAddress, codec: "StopCodec", clock: Clock
    ) -> None:
        """Wire it; nothing is connected before `open`."""
        self.lost = False
        self._environment = environment
        self._endpoint = endpoint
        self._path = codec.path if endpoint.path in {"", "/"} else endpoint.path
        self._decode = codec.decode
        self._clock = clock
        self._sock: socket.socket | None = None
        self._tls_waits: dict[type[OSError], int] = {}
        self._buffer = bytearray()
        self._parts = bytearray()
        self._asked: dict[str, Pending] = {}

    async def open(
        self, *, connect_deadline_s: float, ping_idle_s: float, ping_reply_s: float
    ) -> None:
        """Connect. The pings are for connections that idle; every request here has a deadline.

        Raises:
            VenueRefusal: the venue answered the handshake with another status than 101.
            NotConnected: the network, TLS or the handshake failed.
            HostRefused: the address is not in the table.
        """
        del ping_idle_s, ping_reply_s
        endpoint = self._endpoint
        check_peer(self._environment, endpoint.host, endpoint.port)
        until_ns = self._clock.monotonic_ns() + int(connect_deadline_s * 1e9)
        try:
            self._sock = self._connected(until_ns)
            self._secure(until_ns)
            self._shake_hands(until_ns)
        except VenueRefusal:
            self.close("never opened")
            raise
        except (OSError, ValueError, EOFError) as error:
            self.close("never opened")
            raise NotConnected(
                f"{endpoint.host}:{endpoint.port}: {type(error).__name__} {error}".strip()
            ) from error

    async def ask(self, request: WsRequest, *, deadline_s: float) -> WsReply:
        """Send a request and wait for its answer.

        Raises:
            NotConnected: no byte left. AnswerLost: no answer before the deadline.
        """
        if self._sock is None:
            raise NotConnected("the WebSocket API is not connected")
        until_ns = self._clock.monotonic_ns() + int(deadline_s * 1e9)
        pending = self._asked[request.request_id] = Pending(self, until_ns, deadline_s)
        try:
            try:
                self._send(_TEXT, request.payload, until_ns)
            except OSError as error:
                self.close(f"{type(error).__name__} {error}")
                raise AnswerLost(f"the WebSocket API: {error}") from error
            return await pending
        finally:
            self._asked.pop(request.request_id, None)

    def read(self, until_ns: int) -> None:
        """Take what has arrived, or wait for it until then, and give each answer to its request."""
        try:
            with contextlib.suppress(TimeoutError):
                self._fill(until_ns)
            for payload in self._messages():
                message = self._decode(payload, self._clock.now_ns())
                if isinstance(message, WsReply) and message.request_id in self._asked:
                    self._asked[message.request_id].answer = message
        except (OSError, ValueError, EOFError, Undecodable) as error:
            self.close(f"{type(error).__name__} {error}"[:200])
        now_ns = self._clock.monotonic_ns()  # whatever else the venue says meanwhile
        for pending in self._asked.values():
            if pending.until_ns <= now_ns:
                pending.answer = pending.answer or AnswerLost(
                    f"no answer to a session request within {pending.deadline_s:g} s"
                )

    def close(self, reason: str) -> None:
        """End the connection; whoever waits for an answer is told that there is none."""
        sock, self._sock = self._sock, None
        self.lost = True
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()
        for pending in self._asked.values():
            pending.answer = pending.answer or AnswerLost(f"the WebSocket API: {reason}")

    # ---------------------------------------------------------------- connect
    def _connected(self, until_ns: int) -> socket.socket:
        """A connection to the first address that takes one.

        An address that is silent is waited for while the next ones are tried: how many the name
        has shortens the time of none.
        """
        addresses = deque(self._addresses(until_ns))
        failure: OSError = ConnectionError("the name has no address")
        trying: dict[int, socket.socket] = {}
        poll = select.poll()
        try:
            while addresses or trying:
                wait_until_ns = until_ns
                if addresses:
                    wait_until_ns = min(until_ns, self._clock.monotonic_ns() + _NEXT_ADDRESS_NS)
                    try:
                        sock = _connecting(*addresses.popleft())
                    except OSError as error:
                        failure = error
                        continue
                    trying[sock.fileno()] = sock
                    poll.register(sock, select.POLLOUT)
                left_ns = wait_until_ns - self._clock.monotonic_ns()
                for descriptor, _ in poll.poll(max(0, left_ns) / 1e6):
                    poll.unregister(descriptor)
                    sock = trying.pop(descriptor)
                    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not code:
                        return sock
                    sock.close()
                    failure = OSError(code, os.strerror(code))
                if trying and self._clock.monotonic_ns() >= until_ns:
                    raise TimeoutError("no answer in time")
        finally:
            for sock in trying.values():
                sock.close()
        raise failure

    def _addresses(self, until_ns: int) -> list[tuple[int, tuple[Any, ...]]]:
        """Family and address of each. A resolver takes no deadline: another process asks it."""
        # As bytes: a text would be encoded by a codec that is slow to import.
        name, port = self._endpoint.host.encode("ascii"), self._endpoint.port

        def found(flags: int = 0) -> list[tuple[int, tuple[Any, ...]]]:
            asked = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=flags)
            return [(int(family), address) for family, _, _, _, address in asked]

        def work() -> Iterator[Any]:
            try:
                yield found()
            except OSError as error:
                yield str(error)

        with contextlib.suppress(socket.gaierror):
            return found(socket.AI_NUMERICHOST)
        from control.tool.isolated_work import Aside  # noqa: PLC0415 - a number needs none

        aside = Aside(work)
        told = next(aside.answers((until_ns - self._clock.monotonic_ns()) / 1e9), None)
        aside.close()
        if told is None:
            raise TimeoutError("the name look-up gives no answer")
        if isinstance(told, str):
            raise ConnectionError(f"the name look-up fails: {told}")
        return list(told)

    def _secure(self, until_ns: int) -> None:
        if self._endpoint.scheme != "wss" or self._sock is None:
            return
        import ssl  # noqa: PLC0415 - a venue on loopback needs none

        from daemon.shell.process.tls_context import tls_of, tls_on_demand  # noqa: PLC0415 - as above

        self._tls_waits = {
            ssl.SSLWantReadError: select.POLLIN,
            ssl.SSLWantWriteError: select.POLLOUT,
        }
        try:
            self._wrap(tls_on_demand(), until_ns)
        except ssl.SSLCertVerificationError:  # by those that are quick to read; now by all
            self._sock.close()
            self._sock = self._connected(until_ns)
            self._wrap(tls_of(self._endpoint.scheme), until_ns)

    def _wrap(self, context: Any, until_ns: int) -> None:
        secured = context.wrap_socket(
            self._sock, server_hostname=self._endpoint.host, do_handshake_on_connect=False
        )
        self._sock = secured
        self._io(secured.do_handshake, select.POLLIN, until_ns)

    def _shake_hands(self, until_ns: int) -> None:
        host = f"[{self._endpoint.host}]" if ":" in self._endpoint.host else self._endpoint.host
        key = binascii.b2a_base64(os.urandom(16), newline=False)
        self._write(
            b"GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n"
            % (self._path.encode("ascii"), host.encode("ascii"), self._endpoint.port, key),
            until_ns,
        )
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _HEAD_MAX_BYTES:
                raise ValueError("the answer to the handshake is too long")
            self._fill(until_ns)
        first, *lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        headers = {
            name.strip().lower(): text.strip()
            for name, _, text in (one.partition(":") for one in lines)
        }
        status = int(first.split(" ", 2)[1]) if first.startswith("HTTP/1.1 ") else 0
        if status != 101:
            self._refused(status, headers, until_ns)
        digest = hashlib.sha1(key + _ACCEPT_GUID, usedforsecurity=False).digest()
        if headers.get("sec-websocket-accept", "").encode() != binascii.b2a_base64(
            digest, newline=False
        ):
            raise ValueError("the answer to the handshake is not for it")

    def _refused(self, status: int, headers: dict[str, str], until_ns: int) -> None:
        told = headers.get("content-length", "")
        size = min(int(told), _BODY_MAX_BYTES) if told.isdigit() else _BODY_MAX_BYTES
        with contextlib.suppress(OSError, EOFError):  # what has come by then is enough
            while len(self._buffer) < size:
                self._fill(until_ns)
        body = bytes(self._buffer[:size])
        raise VenueRefusal.of_handshake(
            self._endpoint.host, status, body, headers.get("retry-after")
        )

    # ---------------------------------------------------------------- bytes and frames
    def _send(self, kind: int, payload: bytes, until_ns: int) -> None:
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | kind, 0x80 | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x80 | kind, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | kind, 0x80 | 127, size)
        mask = os.urandom(4)
        stream = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        masked = (int.from_bytes(payload, "big") ^ stream).to_bytes(size, "big")
        self._write(head + mask + masked, until_ns)

    def _messages(self) -> Iterator[bytes]:
        """The whole messages that the buffer holds; pings are answered, the rest is left in it."""
        while (frame := self._frame()) is not None:
            kind, is_last, payload = frame
            if kind == _PING:
                self._send(_PONG, payload, self._clock.monotonic_ns() + 1_000_000_000)
            elif kind == _CLOSE:
                code = int.from_bytes(payload[:2], "big")
                raise EOFError(f"closed by the venue: {code}")
            elif kind in (_TEXT, _CONTINUATION):
                self._parts += payload
                if len(self._parts) > FRAME_MAX_BYTES:
                    raise ValueError("a message is too long")
                if is_last:
                    whole = bytes(self._parts)
                    self._parts.clear()
                    yield whole

    def _frame(self) -> tuple[int, bool, bytes] | None:
        """Take one frame from the buffer: its kind, whether its message ends, its payload."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, size, start = buffer[0], buffer[1], 2
        if first & 0x70 or size & 0x80:
            raise ValueError("a frame that no server may send")
        if size > 125:
            start += 2 if size == 126 else 8
            if len(buffer) < start:
                return None
            size = int.from_bytes(buffer[2:start], "big")
        if size > FRAME_MAX_BYTES:
            raise ValueError("a frame is too long")
        if len(buffer) < start + size:
            return None
        payload = bytes(buffer[start : start + size])
        del buffer[: start + size]
        return first & 0x0F, bool(first & 0x80), payload

    def _fill(self, until_ns: int) -> None:
        """Add what arrives to the buffer."""
        if self._sock is None:
            raise EOFError("not connected")
        data = self._io(partial(self._sock.recv, _READ_BYTES), select.POLLIN, until_ns)
        if not data:
            raise EOFError("connection lost")
        self._buffer += data

    def _write(self, data: bytes, until_ns: int) -> None:
        if self._sock is None:
            raise ConnectionError("not connected")
        view = memoryview(data)
        while view:
            view = view[self._io(partial(self._sock.send, view), select.POLLOUT, until_ns) :]

    def _io(self, act: Callable[[], Any], event: int, until_ns: int) -> Any:
        """Do it as soon as the socket lets us."""
        while True:
            try:
                return act()
            except BlockingIOError:
                wanted = event
            except OSError as error:  # TLS says by its type what it waits for
                if type(error) not in self._tls_waits:
                    raise
                wanted = self._tls_waits[type(error)]
            if self._sock is not None:
                self._wait(self._sock, wanted, until_ns)

    def _wait(self, sock: socket.socket, event: int, until_ns: int) -> None:
        poll = select.poll()
        poll.register(sock, event)
        left_ns = until_ns - self._clock.monotonic_ns()
        if left_ns <= 0 or not poll.poll(left_ns / 1e6):
            raise TimeoutError("no answer in time")


def _connecting(family: int, address: tuple[Any, ...]) -> socket.socket:
    """A socket that connects, or is connected.

    Raises:
        OSError: it cannot, as where the machine has no such network.
    """
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(address)
        if code not in {0, errno.EINPROGRESS}:
            raise OSError(code, os.strerror(code))
    except OSError:
        sock.close()
        raise
    return sock
