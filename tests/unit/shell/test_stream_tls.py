"""Market streams and REST over TLS, on both loops: who is not whom we asked for is refused."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from websockets.asyncio.server import ServerConnection, serve

from daemon.errors import NotConnected
from daemon.model.halt import HaltFlag
from daemon.model.market import TradeTick
from daemon.shell.link.governor import Governor
from daemon.shell.link.rest_session import RestSession
from daemon.shell.link.stream_session import MarketSession
from daemon.shell.process.clock import SystemClock
from daemon.venues.binance_spot.codec_rest import SpotRestEncoder
from daemon.venues.binance_spot.request_signing import HmacSigner
from daemon.venues.contract import MarketEvent
from daemon.venues.hosts import CheckedAddress
from tests.support.adapters import spot
from tests.support.certificates import certificate

ENCODER = SpotRestEncoder(api_key="k", signer=HmacSigner(b"s"), recv_window_ms=3000)
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
TRADE = (
    '{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":9,"p":"1","q":"1",'
    '"T":1,"m":false}}'
)


def heard(loop: str, server_pem: Path) -> list[MarketEvent]:
    """What a session hears of a venue with this certificate."""
    events: list[MarketEvent] = []

    async def talk(connection: ServerConnection) -> None:
        await connection.send(TRADE)
        await connection.wait_closed()

    async def test() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server_pem)
        over = asyncio.Event()

        def take(event: MarketEvent) -> None:
            events.append(event)
            over.set()

        async with serve(talk, "127.0.0.1", 0, ssl=context) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            session = MarketSession(
                environment="sim",
                endpoint=CheckedAddress(f"wss://127.0.0.1:{port}", "wss", "127.0.0.1", port, ""),
                names=["btcusdt@trade"],
                codec=spot().market,
                clock=SystemClock(),
                on_event=take,
                silence_max_s=60,
            )
            await session.open(connect_deadline_s=10, ping_idle_s=60, ping_reply_s=60)
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                run = group.create_task(session.run())
                await over.wait()
                session.close("enough")
                assert await run == "enough"

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(test())
    return events


def answered(loop: str, server_pem: Path) -> int:
    """The status that a REST session gets from a venue with this certificate."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()

    async def test() -> int:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server_pem)
        server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        session = RestSession(
            environment="sim",
            endpoint=CheckedAddress(f"https://127.0.0.1:{port}", "https", "127.0.0.1", port, ""),
            clock=SystemClock(),
            governor=Governor(spot().rates),
            halt=HaltFlag(),
            on_limited=lambda _: None,
            read_error=spot().decode.error,
            deadline_s=60,
            connect_deadline_s=60,
        )
        await session.open()
        try:
            return (await session.call(ENCODER.server_time())).status
        finally:
            await session.close()
            server.close()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(test())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_certificate_that_we_trust_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    pem = certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    assert [type(event) for event in heard(loop, pem)] == [TradeTick]
    assert answered(loop, pem) == 200


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("meet", [heard, answered])
def test_a_stranger_and_a_wrong_name_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    loop: str,
    address: str,
    meet: Callable[[str, Path], object],
) -> None:
    pem = certificate(tmp_path, address)
    if address == "127.0.0.2":
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))  # trusted, but not whom we asked for
    with pytest.raises(NotConnected, match="CERTIFICATE_VERIFY_FAILED"):
        meet(loop, pem)
