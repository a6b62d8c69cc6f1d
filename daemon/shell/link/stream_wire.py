"""The wire of one market connection: `websockets`' protocol without its sockets, on our transport.

Rules of this file:
1. `websockets` speaks: handshake, pings, close, fragments, limits, everything we send. Only a whole
   text frame that stands alone is cut out here: nearly all frames are, and there are thousands.
2. A read is one batch. Of the streams in `newest_of` a read's messages come newest first: the
   engine keeps the newest top anyway, so what is older need not be decoded.
3. Nothing is queued: a batch is told in the turn it arrives in, and a large one pauses the reading
   until the pump had time for it.
4. The loss is told once, through `gone`; an error of ours in a batch comes out of it.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator
from typing import cast

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

FRAME_MAX_BYTES = 16 * 1024 * 1024
EVENTS_PER_TURN = 128
"""So many of a read's messages does the pump take per loop iteration; reading waits accordingly."""
_WHOLE_TEXT = 0x81
_SIZE_16, _SIZE_64, _MASKED = 126, 127, 128
_NAME_AT = len('{"stream":"')
_QUOTE = 34


class StreamWire(asyncio.Protocol):
    """Bytes in, batches of whole messages out. Made by the loop's `create_connection`."""

    def __init__(
        self,
        url: str,
        *,
        newest_of: Collection[bytes],
        on_batch: Callable[[list[bytes], list[Iterator[bytes]]], None],
    ) -> None:
        """`on_batch` gets a read's messages, and those of each stream in `newest_of` apart."""
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        """Done when frames may come; or the handshake's error."""
        self.gone: asyncio.Future[str] = loop.create_future()
        """Why the connection is lost; or an error that was raised by `on_batch`."""
        self.reads = 0
        """How often bytes came: signs of life, pongs included."""
        self._brain = ClientProtocol(parse_uri(url), max_size=FRAME_MAX_BYTES)
        self._newest_of = frozenset(newest_of)
        self._on_batch = on_batch
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._rest = bytearray()
        """The beginning of a frame that is not whole yet."""
        self._wanted = 0
        """Its length, where that is known."""
        self._parts: list[bytes] = []
        self._pauses = 0

    # ---------------------------------------------------------------- what the session asks
    def send_text(self, payload: bytes) -> None:
        """Write one text message, unless the connection is lost."""
        if self._brain.state is State.OPEN and not self.gone.done():
            self._brain.send_text(payload)
            self._write()

    def ping(self) -> None:
        """Ask whether the other side lives; whatever it sends is an answer."""
        if self._brain.state is State.OPEN and not self.gone.done():
            self._brain.send_ping(b"")
            self._write()

    def abort(self, reason: str) -> None:
        """Lose the connection now. No closing handshake: a half-open peer would never answer it."""
        if not self.gone.done():
            self.gone.set_result(reason)
        self._refuse(ConnectionError(reason))
        if self._transport is not None:
            self._transport.abort()

    # ---------------------------------------------------------------- asyncio's callbacks
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP, and TLS where there is any, stand: shake hands."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._brain.send_request(self._brain.connect())
        self._write()

    def data_received(self, data: bytes) -> None:
        """One read: all its whole frames are told before this returns."""
        self.reads += 1
        try:
            if not self.opened.done():
                data = self._shake_hands(data)
            if data and not self.gone.done():
                self._cut(data)
        except BaseException as error:  # noqa: BLE001 - crash-only: `gone` carries it out of the loop
            if not self.gone.done():
                self.gone.set_exception(error)
            self.abort("an error of ours")

    def eof_received(self) -> None:
        """The other side closed; asyncio closes our half."""
        if not self.opened.done():
            self._brain.receive_eof()
            self._judge_handshake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, for whatever reason."""
        self.abort("connection lost" if exc is None else f"connection lost: {exc}")

    def pause_writing(self) -> None:
        """The kernel takes no more bytes, though all we write are pongs and questions."""
        self.abort("the venue takes no more bytes")

    # ---------------------------------------------------------------- handshake
    def _shake_hands(self, data: bytes) -> bytes:
        """Feed the answer line by line, so that the first frame stays ours; returns the rest."""
        while data and not self.opened.done():
            end = data.find(b"\n") + 1 or len(data)
            self._brain.receive_data(data[:end])
            data = data[end:]
            self._judge_handshake()
        return data

    def _judge_handshake(self) -> None:
        self._brain.events_received()  # the answer itself: the brain has judged it
        refused = self._brain.handshake_exc
        if refused is not None:
            self._refuse(refused)
            self.abort("the handshake failed")
        elif self._brain.state is State.OPEN:
            self.opened.set_result(None)

    def _refuse(self, why: Exception) -> None:
        if not self.opened.done():
            self.opened.set_exception(why)
            self.opened.exception()  # seen: whoever opened may have stopped waiting

    # ---------------------------------------------------------------- frames
    def _cut(self, data: bytes) -> None:
        """Tell every frame that is whole; keep the beginning of the one that is not."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                return
            data = bytes(self._rest)
            self._rest.clear()
        self._wanted = 0
        newest_of, parts = self._newest_of, self._parts
        batch: list[bytes] = []
        newest: dict[bytes, list[tuple[int, int]]] = {}
        at, end = 0, len(data)
        while end - at >= 2:
            size = data[at + 1]
            if data[at] != _WHOLE_TEXT or size >= _SIZE_64 or parts:
                stop = self._frame_stop(data, at)
                if stop > end:
                    break
                batch += self._ask_brain(data[at:stop])
                at = end if self.gone.done() else stop
                continue
            start = at + 2
            if size == _SIZE_16:
                if end - at < 4:
                    break
                size = data[at + 2] << 8 | data[at + 3]
                start = at + 4
            stop = start + size
            if stop > end:
                self._wanted = stop - at
                break
            mark = data.find(_QUOTE, start + _NAME_AT, stop)
            name = data[start + _NAME_AT : mark] if mark > 0 else b""
            if name in newest:
                newest[name].append((start, stop))
            elif name in newest_of:
                newest[name] = [(start, stop)]
            else:
                batch.append(data[start:stop])
            at = stop
        if at < end:
            self._rest += data[at:]
        if batch or newest:
            self._on_batch(batch, [_backwards(data, spans) for spans in newest.values()])
            if len(batch) > EVENTS_PER_TURN:
                self._breathe(len(batch) // EVENTS_PER_TURN)

    def _frame_stop(self, data: bytes, at: int) -> int:
        """Where the frame at `at` ends, as its head says; one byte past `data` when that is cut."""
        size, head = data[at + 1] & 0x7F, 2
        if size >= _SIZE_16:
            width = 2 if size == _SIZE_16 else 8
            head += width
            if len(data) - at < head:
                return len(data) + 1
            size = int.from_bytes(data[at + 2 : at + head], "big")
        if size > FRAME_MAX_BYTES or data[at + 1] >= _MASKED:
            return at + head  # the head is enough for the brain to refuse it
        self._wanted = head + size
        return at + head + size

    def _ask_brain(self, frame: bytes) -> list[bytes]:
        """A frame that is no whole text: control, binary, a fragment, or against the rules."""
        brain = self._brain
        brain.receive_data(frame)
        whole: list[bytes] = []
        for event in brain.events_received():
            if isinstance(event, Frame) and event.opcode in (
                Opcode.TEXT,
                Opcode.BINARY,
                Opcode.CONT,
            ):
                self._parts.append(bytes(event.data))
                if event.fin:
                    whole.append(b"".join(self._parts))
                    self._parts.clear()
        self._write()
        if brain.parser_exc is not None:
            self.abort(f"not WebSocket: {brain.parser_exc}")
        elif brain.close_rcvd is not None:
            self.abort(f"closed by the venue: {brain.close_rcvd.code}")
        return whole

    def _write(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        for data in self._brain.data_to_send():
            if data:
                transport.write(data)

    # ---------------------------------------------------------------- pace
    def _breathe(self, turns: int) -> None:
        """Read again after so many iterations of the loop."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if not self._pauses:
            transport.pause_reading()
            self._loop.call_soon(self._breathed)
        self._pauses += turns

    def _breathed(self) -> None:
        self._pauses -= 1
        if self._pauses > 0:
            self._loop.call_soon(self._breathed)
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()


def _backwards(data: bytes, spans: list[tuple[int, int]]) -> Iterator[bytes]:
    for start, stop in reversed(spans):
        yield data[start:stop]
