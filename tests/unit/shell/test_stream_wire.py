"""The wire of market streams: judged by `websockets`' own protocol and server, on both loops."""

import asyncio
import contextlib
import itertools
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from websockets.utils import accept_key

from daemon.errors import Undecodable
from daemon.model.market import TopOfBook, TradeTick
from daemon.shell.link.stream_session import GARBAGE_MAX, MarketSession
from daemon.shell.link.stream_wire import EVENTS_PER_TURN, FRAME_MAX_BYTES, StreamWire
from daemon.shell.process.clock import SystemClock
from daemon.venues.contract import MarketEvent
from daemon.venues.hosts import EndpointKind, check_endpoint
from tests.support.adapters import spot

URL = "ws://127.0.0.1:1/stream"
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
OPENING: dict[str, float] = {"connect_deadline_s": 5, "ping_idle_s": 60, "ping_reply_s": 60}


class Pipe(asyncio.Transport):
    """A transport that remembers what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.calls: list[str] = []

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return "abort" in self.calls

    def abort(self) -> None:
        self.calls.append("abort")

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


class Told:
    """A wire after its handshake, and every read's messages."""

    def __init__(self, newest_of: tuple[bytes, ...] = ()) -> None:
        self.reads: list[tuple[list[bytes], list[list[bytes]]]] = []
        self.pipe = Pipe()
        self.wire = StreamWire(URL, newest_of=newest_of, on_batch=self._take)
        self.wire.connection_made(self.pipe)
        key = bytes(self.pipe.written).split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
        self.answer = shaken(key)
        self.pipe.written.clear()

    def _take(self, batch: list[bytes], newest: list[Iterator[bytes]]) -> None:
        self.reads.append((batch, [list(one) for one in newest]))

    def shake(self) -> "Told":
        self.wire.data_received(self.answer)
        assert self.wire.opened.done()
        return self

    @property
    def messages(self) -> list[bytes]:
        return [payload for batch, _ in self.reads for payload in batch]

    def written_frames(self) -> list[Frame]:
        """What we wrote, as a server reads it."""
        judge = ServerProtocol(state=OPEN)
        judge.receive_data(bytes(self.pipe.written))
        assert judge.parser_exc is None
        return [event for event in judge.events_received() if isinstance(event, Frame)]


def shaken(key: bytes) -> bytes:
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept_key(key.decode()).encode() + b"\r\n\r\n"
    )


def frame(payload: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=False)


def ticker(name: str, number: int) -> bytes:
    return f'{{"stream":"{name}","data":{{"u":{number}}}}}'.encode()


def on_loop(test: Callable[[], Awaitable[None]], name: str = "asyncio") -> None:
    async def run() -> None:
        await test()

    with asyncio.Runner(loop_factory=LOOPS[name]) as runner:
        runner.run(run())


def judged(data: bytes) -> list[bytes]:
    """The messages in `data`, as `websockets` reads them."""
    judge = ClientProtocol(parse_uri(URL), state=OPEN, max_size=FRAME_MAX_BYTES)
    judge.receive_data(data)
    whole: list[bytes] = []
    parts: list[bytes] = []
    for event in judge.events_received():
        assert isinstance(event, Frame)
        if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            parts.append(bytes(event.data))
            if event.fin:
                whole.append(b"".join(parts))
                parts.clear()
    return whole


SIZES = st.sampled_from([0, 1, 10, 11, 12, 60, 125, 126, 127, 300, 65_535, 65_536, 70_000])
ITEMS = st.one_of(
    st.tuples(st.sampled_from(["text", "binary", "pieces", "plain"]), SIZES),
    st.tuples(st.just("ping"), st.integers(0, 125)),
    st.tuples(st.just("ticker"), st.integers(0, 9)),
)


def wired(kind: str, size: int) -> bytes:
    body = b"x" * size
    if kind == "pieces":
        half = size // 2
        first = frame(body[:half], fin=False)
        return first + frame(b"p", Opcode.PING) + frame(body[half:], Opcode.CONT)
    if kind == "ticker":
        return frame(ticker("btcusdt@bookTicker", size))
    if kind == "ping":
        return frame(body, Opcode.PING)
    return frame(body, Opcode.BINARY if kind == "binary" else Opcode.TEXT)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    marks = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(marks)]


@given(st.lists(ITEMS, min_size=1, max_size=8), st.lists(st.integers(0, 10**6), max_size=12))
def test_however_the_bytes_are_cut_the_messages_are_the_same(
    items: list[tuple[str, int]], cuts: list[int]
) -> None:
    data = b"".join(wired(kind, size) for kind, size in items)

    async def test() -> None:
        told = Told().shake()
        for piece in pieces(data, cuts):
            told.wire.data_received(piece)
        assert told.messages == judged(data)
        pings = sum(kind in ("ping", "pieces") for kind, _ in items)
        assert [one.opcode for one in told.written_frames()] == [Opcode.PONG] * pings
        assert not told.wire.gone.done()

    on_loop(test)


@given(
    st.lists(st.tuples(st.sampled_from(["a@x", "b@x", "t"]), st.integers(0, 9)), max_size=30),
    st.lists(st.integers(0, 10**6), max_size=6),
)
def test_of_a_read_the_newest_comes_first_and_nothing_is_lost(
    items: list[tuple[str, int]], cuts: list[int]
) -> None:
    data = b"".join(frame(ticker(name, number)) for name, number in items)

    async def test() -> None:
        told = Told(newest_of=(b"a@x", b"b@x")).shake()
        for piece in pieces(data, cuts):
            told.wire.data_received(piece)
        assert told.messages == [ticker("t", number) for name, number in items if name == "t"]
        for name in ("a@x", "b@x"):
            seen = [
                payload
                for _, newest in told.reads
                for one in newest
                if name.encode() in one[0]
                for payload in reversed(one)
            ]
            assert seen == [ticker(name, number) for of, number in items if of == name]

    on_loop(test)


REFUSED = {
    "masked": b"\x81\x82\x00\x00\x00\x00hi",
    "a reserved bit": b"\xc1\x02hi",
    "no such opcode": b"\x83\x02hi",
    "a continuation of nothing": frame(b"x", Opcode.CONT),
    "a text inside a fragment": frame(b"x", fin=False) + frame(b"y"),
    "a long control frame": b"\x89\x7e" + struct.pack("!H", 200) + b"x" * 200,
    "larger than allowed": b"\x81\x7f" + struct.pack("!Q", FRAME_MAX_BYTES + 1),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_against_the_rules_ends_the_connection(what: str) -> None:
    told = Told().shake()
    told.wire.data_received(frame(b"before") + REFUSED[what])
    assert told.messages == [b"before"]
    assert "not WebSocket" in await told.wire.gone
    assert told.pipe.calls == ["abort"]


async def test_a_close_is_answered_and_what_came_before_is_told() -> None:
    told = Told().shake()
    told.wire.data_received(frame(b"last") + frame(struct.pack("!H", 1008) + b"no", Opcode.CLOSE))
    assert (told.messages, await told.wire.gone) == ([b"last"], "closed by the venue: 1008")
    assert [one.opcode for one in told.written_frames()] == [Opcode.CLOSE]


async def test_frames_in_the_packet_of_the_handshake_are_not_lost() -> None:
    told = Told()
    first, second = frame(b"first"), frame(b"s" * 200)
    told.wire.data_received(told.answer + first + second[:7])
    assert (told.wire.opened.done(), told.messages) == (True, [b"first"])
    told.wire.data_received(second[7:])
    assert told.messages == [b"first", b"s" * 200]


@pytest.mark.parametrize("cut", [1, 20, 60, 100])
async def test_a_handshake_may_come_in_pieces(cut: int) -> None:
    told = Told()
    told.wire.data_received(told.answer[:cut])
    assert not told.wire.opened.done()
    told.wire.data_received(told.answer[cut:] + frame(b"x"))
    assert told.messages == [b"x"]


async def test_a_large_read_pauses_the_reading_for_as_many_turns_as_the_pump_needs() -> None:
    told = Told().shake()
    told.wire.data_received(frame(b"t") * (3 * EVENTS_PER_TURN))
    assert told.pipe.calls == ["pause"]
    for _ in range(2):
        await asyncio.sleep(0)
        assert told.pipe.calls == ["pause"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert told.pipe.calls == ["pause", "resume"]


async def test_a_peer_that_takes_no_bytes_is_left() -> None:
    told = Told().shake()
    told.wire.pause_writing()
    assert "takes no more bytes" in await told.wire.gone


# ------------------------------------------------------------------ sessions over real sockets
def session_to(port: int, on_event: Callable[[MarketEvent], None], **more: Any) -> MarketSession:
    name = "btcusdt@bookTicker"
    return MarketSession(
        environment="sim",
        endpoint=check_endpoint("sim", EndpointKind.STREAMS, f"ws://127.0.0.1:{port}"),
        names=[name, "btcusdt@trade"],
        codec=spot().market,
        clock=more.pop("clock", SystemClock()),
        on_event=on_event,
        silence_max_s=more.pop("silence_max_s", 60),
        newest_of=[name],
        **more,
    )


@contextlib.asynccontextmanager
async def venue(talk: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[int]:
    async with serve(talk, "127.0.0.1", 0, compression=None) as server:
        yield next(iter(server.sockets)).getsockname()[1]


def top(update_id: int, bid: str = "1") -> str:
    data = f'{{"u":{update_id},"s":"BTCUSDT","b":"{bid}","B":"1","a":"2","A":"1"}}'
    return f'{{"stream":"btcusdt@bookTicker","data":{data}}}'


TRADE = (
    '{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":9,"p":"1","q":"1",'
    '"T":1,"m":false}}'
)


@pytest.mark.parametrize("loop", LOOPS)
def test_trades_are_all_told_and_of_the_tops_the_newest(loop: str) -> None:
    count = 500

    async def talk(connection: ServerConnection) -> None:
        for number in range(count):
            await connection.send(top(number))
            await connection.send(TRADE)
        await connection.wait_closed()

    async def test() -> None:
        events: list[MarketEvent] = []
        over = asyncio.Event()

        def take(event: MarketEvent) -> None:
            events.append(event)
            if type(event) is TopOfBook and event.update_id == count - 1:
                over.set()

        async with venue(talk) as port:
            session = session_to(port, take)
            await session.open(**OPENING)
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                run = group.create_task(session.run())
                await over.wait()
                session.close("enough")
                assert await run == "enough"
        assert sum(type(event) is TradeTick for event in events) == count
        tops = [event.update_id for event in events if type(event) is TopOfBook]
        assert tops == sorted(set(tops))
        assert len(tops) + session.superseded == count

    on_loop(test, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_venue_that_answers_no_ping_is_left(loop: str) -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(shaken(head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]))
        await reader.read()
        writer.close()

    async def test() -> None:
        server = await asyncio.start_server(deaf, "127.0.0.1", 0)
        session = session_to(server.sockets[0].getsockname()[1], lambda _event: None)
        await session.open(connect_deadline_s=60, ping_idle_s=0.02, ping_reply_s=0.02)
        async with asyncio.timeout(60):
            assert "half-open" in await session.run()
        assert session.lost
        server.close()

    on_loop(test, loop)


async def test_a_venue_that_answers_pings_is_kept() -> None:
    pinged = asyncio.Event()

    async def talk(connection: ServerConnection) -> None:
        respond, pings = connection.protocol.recv_frame, 0

        def count(one: Frame) -> None:
            nonlocal pings
            respond(one)
            pings += one.opcode is Opcode.PING
            if pings == 5:
                pinged.set()

        connection.protocol.recv_frame = count  # type: ignore[method-assign]
        await connection.wait_closed()

    async with venue(talk) as port, asyncio.timeout(60), asyncio.TaskGroup() as group:
        session = session_to(port, lambda _event: None)
        await session.open(connect_deadline_s=60, ping_idle_s=0.02, ping_reply_s=60)
        run = group.create_task(session.run())
        await pinged.wait()
        assert not run.done()
        session.close("enough")


class JumpingClock(SystemClock):
    """A clock that can be put forward: what a process sees after it was stopped."""

    ahead_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead_ns


async def test_a_process_that_was_stopped_does_not_blame_the_venue() -> None:
    asked: list[str | bytes] = []
    enough = asyncio.Event()

    async def talk(connection: ServerConnection) -> None:
        async for message in connection:
            asked.append(message)
            await connection.send('{"result":[],"id":1}')
            if len(asked) >= 4:
                enough.set()

    clock = JumpingClock()
    async with venue(talk) as port, asyncio.timeout(60), asyncio.TaskGroup() as group:
        session = session_to(port, lambda _event: None, silence_max_s=2.0, clock=clock)
        await session.open(**OPENING)
        run = group.create_task(session.run())
        while not asked:  # noqa: ASYNC110 - the first question is the venue's to hear
            await asyncio.sleep(0.01)
        clock.ahead_ns = 3_600 * 10**9
        await enough.wait()
        assert not run.done(), session.reason
        session.close("enough")


async def test_a_broken_newest_top_does_not_hide_the_one_before() -> None:
    tops: list[int] = []
    session = session_to(1, lambda event: tops.append(event.update_id))  # type: ignore[union-attr]
    newest = [top(1), top(2), top(3, bid="x"), '{"stream":"btcusdt@bookTicker","data":{}}']
    session._take([], [iter([one.encode() for one in reversed(newest)])])
    assert (tops, session.garbage, session.frames, session.superseded) == ([2], 1, 3, 1)


async def test_garbage_ends_the_connection_after_some_frames() -> None:
    async def talk(connection: ServerConnection) -> None:
        for _ in range(GARBAGE_MAX):
            await connection.send("garbage")
        await connection.wait_closed()

    async with venue(talk) as port:
        session = session_to(port, lambda _event: None)
        await session.open(**OPENING)
        async with asyncio.timeout(60):
            assert "Undecodable" in await session.run()
    assert session.garbage == GARBAGE_MAX


async def test_a_listener_that_cannot_use_a_frame_ends_the_connection() -> None:
    def refuse(_event: MarketEvent) -> None:
        raise Undecodable("amounts that are none")

    async def talk(connection: ServerConnection) -> None:
        await connection.send(TRADE)
        await connection.wait_closed()

    async with venue(talk) as port:
        session = session_to(port, refuse)
        await session.open(**OPENING)
        async with asyncio.timeout(60):
            assert await session.run() == "Undecodable: amounts that are none"


async def test_an_error_of_ours_is_not_swallowed_by_the_loop() -> None:
    def fall(_event: MarketEvent) -> None:
        raise ZeroDivisionError

    async def talk(connection: ServerConnection) -> None:
        await connection.send(TRADE)
        await connection.wait_closed()

    async with venue(talk) as port:
        session = session_to(port, fall)
        await session.open(**OPENING)
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.timeout(60):
                await session.run()
    assert caught.group_contains(ZeroDivisionError)
    assert session.lost
