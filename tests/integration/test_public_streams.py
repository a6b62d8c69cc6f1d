"""The one connection to the venue's market streams that all bots share."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from daemon.shell.link.backoff import Backoff
from daemon.shell.process.tasks import spawn
from daemon.shell.public_reads import PublicStreams
from daemon.venues.hosts import CheckedAddress

DEADLINE_S = 60


class Venue:
    """Tells what it was asked; holds its answer to a close until `may_close` is set."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self.sockets: list[web.WebSocketResponse] = []
        self.closing = asyncio.Event()
        self.may_close = asyncio.Event()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoclose=False)
        await socket.prepare(request)
        self.sockets.append(socket)
        async for message in socket:
            await self.asked.put(message.json())
        self.closing.set()
        await self.may_close.wait()
        await socket.close()
        return socket

    async def answers(self, frame: str) -> None:
        await self.sockets[-1].send_str(frame)

    async def asks_for(self, method: str, *names: str) -> object:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                wish = await self.asked.get()
                if (wish["method"], wish["params"]) == (method, list(names)):
                    return wish["id"]

    async def tell(self, name: str) -> None:
        await self.sockets[-1].send_str(f'{{"stream":"{name}","data":{{"u":1}}}}')


class Listener:
    def __init__(self) -> None:
        self.frames: asyncio.Queue[str] = asyncio.Queue()
        self.lost = asyncio.Event()

    def on_frame(self, name: str, frame: bytes) -> None:
        self.frames.put_nowait(name)

    async def hears(self, name: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            assert await self.frames.get() == name


@pytest.fixture
async def venue() -> Venue:
    return Venue()


@pytest.fixture
async def streams(venue: Venue) -> AsyncIterator[tuple[PublicStreams, Listener]]:
    app = web.Application()
    app.router.add_get("/stream", venue.serve)
    async with TestServer(app) as server:
        at = CheckedAddress(
            url=f"ws://127.0.0.1:{server.port}", scheme="ws", host="127.0.0.1",
            port=server.port or 0, path="",
        )  # fmt: skip
        backoff = Backoff(min_s=0.01, max_s=0.05, rng=random.Random(1))
        served, listener = PublicStreams("sim", at, backoff), Listener()
        async with asyncio.TaskGroup() as group:
            run = spawn(group, served.run(listener.on_frame, listener.lost.set), name="streams")
            yield served, listener
            run.cancel()
            venue.may_close.set()


async def test_who_comes_while_an_idle_connection_closes_is_not_cut(
    venue: Venue, streams: tuple[PublicStreams, Listener]
) -> None:
    served, listener = streams
    served.want(["btcusdt@depth"])
    await venue.asks_for("SUBSCRIBE", "btcusdt@depth")
    await venue.tell("btcusdt@depth")
    await listener.hears("btcusdt@depth")
    served.want([])
    await venue.asks_for("UNSUBSCRIBE", "btcusdt@depth")
    await venue.tell("btcusdt@depth")  # what was under way: the connection is left at it
    async with asyncio.timeout(DEADLINE_S):
        await venue.closing.wait()
    served.want(["btcusdt@trade"])  # a bot comes before the close is done
    venue.may_close.set()
    await venue.asks_for("SUBSCRIBE", "btcusdt@trade")
    assert not listener.lost.is_set()
    await listener.hears("btcusdt@depth")
    await venue.tell("btcusdt@trade")
    await listener.hears("btcusdt@trade")


async def test_a_connection_that_the_venue_ends_is_told_to_who_listens(
    venue: Venue, streams: tuple[PublicStreams, Listener]
) -> None:
    served, listener = streams
    served.want(["btcusdt@depth"])
    await venue.asks_for("SUBSCRIBE", "btcusdt@depth")
    venue.may_close.set()
    await venue.sockets[-1].close()
    async with asyncio.timeout(DEADLINE_S):
        await listener.lost.wait()
    await venue.asks_for("SUBSCRIBE", "btcusdt@depth")
    assert len(venue.sockets) == 2


async def test_streams_are_confirmed_by_the_venue_s_own_answer(
    venue: Venue, streams: tuple[PublicStreams, Listener]
) -> None:
    served, listener = streams
    name = "btcusdt@depth"
    served.want([name])
    number = await venue.asks_for("SUBSCRIBE", name)
    waits = asyncio.get_running_loop().create_task(served.confirmed([name]))
    for frame in ("nonsense", "[]", '{"id":[]}', '{"result":null,"id":99}'):
        await venue.answers(frame)
    await venue.answers(f'{{"error":{{"code":2,"msg":"no"}},"id":{number}}}')
    await venue.tell(name)
    await listener.hears(name)
    assert not waits.done()
    served.want([])
    served.want([name, "btcusdt@trade"])  # asked again on the same connection
    number = await venue.asks_for("SUBSCRIBE", "btcusdt@trade")
    await venue.answers(f'{{"result":null,"id":{number}}}')
    async with asyncio.timeout(DEADLINE_S):
        await served.confirmed(["btcusdt@trade"])
    waits.cancel()
