"""The connection of a stop without a loop, against a public WebSocket server (`websockets`)."""

import asyncio
import contextlib
import hashlib
import json
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from control.tool import isolated_work
from daemon.errors import AnswerLost, NotConnected, SeatrialError, VenueRefusal
from daemon.shell.process.clock import SystemClock
from daemon.shell.stop.blocking_session import BlockingSession
from daemon.shell.stop.blocking_waits import BlockingWaits, driven
from daemon.venues.contract import WsReply
from daemon.venues.hosts import CheckedAddress
from tests.support.adapters import spot
from tests.support.certificates import certificate

LONG = "x" * 200_000
GENEROUS_S = 60.0
TESTNET = "ws-api.testnet.binance.vision"

Handler = Callable[[ServerConnection], Awaitable[None]]


def answer(request_id: str, **more: Any) -> str:
    return json.dumps({"id": request_id, "status": 200, "result": {"serverTime": 5, **more}})


def session_to(port: int, *, scheme: str = "ws", host: str = "127.0.0.1") -> BlockingSession:
    environment = "sim" if host == "127.0.0.1" else "binance-spot-testnet"
    address = CheckedAddress("", scheme, host, port, "/ws-api/v3")
    return BlockingSession(environment, address, spot().stop_codec(), SystemClock())


async def opened(session: BlockingSession, deadline_s: float = GENEROUS_S) -> None:
    """In a thread: this test's loop serves meanwhile."""
    work = session.open(connect_deadline_s=deadline_s, ping_idle_s=1, ping_reply_s=1)
    await asyncio.to_thread(driven, work)


async def asked(
    session: BlockingSession, count: int, deadline_s: float = GENEROUS_S
) -> list[WsReply | SeatrialError]:
    codec = spot().stop_codec()
    calls = [
        partial(session.ask, codec.server_time(str(number)), deadline_s=deadline_s)
        for number in range(count)
    ]
    return await asyncio.to_thread(driven, BlockingWaits().on_socket(calls))


async def port_of(server: Any) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])


async def test_answers_find_their_requests_in_any_order_pieces_and_sizes() -> None:
    async def backwards(peer: ServerConnection) -> None:
        ids = [json.loads(await peer.recv())["id"] for _ in range(20)]
        pongs: list[Awaitable[float]] = []
        await peer.send('{"event":{"e":"somethingNew"}}')
        for one in reversed(ids):
            whole = answer(one, pad=LONG)
            await peer.send([whole[:10], whole[10:70_000], whole[70_000:]])
            pongs.append(await peer.ping())
            await peer.send(answer(f"{one}-of-nobody"))
        await asyncio.gather(*pongs)

    async with serve(backwards, "127.0.0.1", 0) as server:
        session = session_to(await port_of(server))
        await opened(session)
        replies = await asked(session, 20)
        session.close("done")
    assert [one.request_id for one in replies if isinstance(one, WsReply)] == [
        str(number) for number in range(20)
    ]


async def test_no_more_wait_at_once_than_agreed_and_all_are_answered() -> None:
    waiting = [0, 0]

    async def slowly(peer: ServerConnection) -> None:
        held: list[str] = []
        async for message in peer:
            held.append(json.loads(message)["id"])
            waiting[0] = max(waiting[0], len(held))
            waiting[1] += 1
            if len(held) == 32 or waiting[1] == 100:
                for one in held:
                    await peer.send(answer(one))
                held.clear()

    async with serve(slowly, "127.0.0.1", 0) as server:
        session = session_to(await port_of(server))
        await opened(session)
        replies = await asked(session, 100)
        session.close("done")
    assert all(isinstance(one, WsReply) for one in replies)
    assert waiting == [32, 100]


async def test_silence_ends_at_the_deadline_and_a_late_answer_is_nobodys() -> None:
    async def late(peer: ServerConnection) -> None:
        first = json.loads(await peer.recv())["id"]
        second = json.loads(await peer.recv())["id"]
        await peer.send(answer(first))
        await peer.send(answer(second))

    async with serve(late, "127.0.0.1", 0) as server:
        session = session_to(await port_of(server))
        await opened(session)
        (lost,) = await asked(session, 1, deadline_s=0.05)
        (reply,) = await asked(session, 1)
        session.close("done")
    assert isinstance(lost, AnswerLost)
    assert "within 0.05 s" in str(lost)
    assert isinstance(reply, WsReply)


async def test_a_venue_that_never_stops_talking_is_not_listened_to_for_ever() -> None:
    async def talks(peer: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await peer.send(answer("of-nobody", pad=LONG))

    async with serve(talks, "127.0.0.1", 0) as server:
        session = session_to(await port_of(server))
        await opened(session)
        (lost,) = await asked(session, 1, deadline_s=0.2)
        session.close("done")
    assert isinstance(lost, AnswerLost)
    assert "within 0.2 s" in str(lost)


@pytest.mark.parametrize(
    "raw",
    [b"\x81\x82abcd", b"\xc1\x01a", b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", b"\x81\x01{"],
)
async def test_a_frame_that_no_venue_sends_ends_the_connection_for_all(raw: bytes) -> None:
    """A mask, an extension that was not agreed, a length beyond all bounds, no JSON."""

    async def garbage(peer: ServerConnection) -> None:
        await peer.recv()
        peer.transport.write(raw)
        await peer.wait_closed()

    async with serve(garbage, "127.0.0.1", 0) as server:
        session = session_to(await port_of(server))
        await opened(session)
        replies = await asked(session, 3)
    assert all(isinstance(one, AnswerLost) for one in replies)
    assert session.lost


async def test_a_refused_handshake_is_the_venues_no_with_its_words() -> None:
    def refuse(_peer: ServerConnection, _request: Request) -> Response:
        return Response(429, "Too Many", Headers({"Retry-After": "7"}), b'{"code":-1003}')

    async def never(_peer: ServerConnection) -> None:
        raise AssertionError("no connection was agreed")

    async with serve(never, "127.0.0.1", 0, process_request=refuse) as server:
        with pytest.raises(VenueRefusal, match="-1003") as refused:
            await opened(session_to(await port_of(server)))
    assert (refused.value.status, refused.value.retry_after) == (429, "7")


async def test_who_accepts_and_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(NotConnected, match="TimeoutError"):
            await opened(session_to(silent.getsockname()[1]), deadline_s=0.05)
        with pytest.raises(NotConnected, match="TimeoutError"):
            await opened(session_to(silent.getsockname()[1], scheme="wss"), deadline_s=0.5)


def hash_name(pem: Path) -> str:
    """How OpenSSL names an authority's file in a directory: by its subject (X509_NAME_hash)."""
    subject = x509.load_pem_x509_certificate(pem.read_bytes()).subject.public_bytes()
    first = hashlib.sha1(subject[2:], usedforsecurity=False).digest()[:4]
    return f"{int.from_bytes(first, 'little'):08x}.0"


@pytest.mark.parametrize("known", ["bundle", "directory", ""], ids=["bundle", "directory", "none"])
async def test_tls_is_taken_from_whom_the_authorities_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: str
) -> None:
    async def echo(peer: ServerConnection) -> None:
        async for message in peer:
            await peer.send(answer(json.loads(message)["id"], pad=LONG))

    pem = certificate(tmp_path, "127.0.0.1")
    other = tmp_path / "other"
    other.mkdir()
    stranger = certificate(other, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem if known == "bundle" else stranger))
    in_directory = pem if known == "directory" else stranger
    (other / hash_name(in_directory)).write_bytes(in_directory.read_bytes())
    monkeypatch.setenv("SSL_CERT_DIR", str(other))
    if known == "directory":  # the bundle is not read at all
        monkeypatch.delattr(ssl.SSLContext, "load_default_certs")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    async with serve(echo, "127.0.0.1", 0, ssl=context) as server:
        session = session_to(await port_of(server), scheme="wss")
        if not known:
            with pytest.raises(NotConnected, match="CERTIFICATE_VERIFY_FAILED"):
                await opened(session)
            return
        await opened(session)
        replies = await asked(session, 5)
        session.close("done")
    assert all(isinstance(one, WsReply) for one in replies)


async def test_addresses_that_are_no_use_hide_none_that_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A family that the machine lacks, one that refuses, three that are silent: then a good one."""

    async def echo(peer: ServerConnection) -> None:
        await peer.send(answer(json.loads(await peer.recv())["id"]))

    with contextlib.ExitStack() as held:
        silent = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # its queue is full: whoever comes now hears nothing
            one = held.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(silent.getsockname())
        refusing = held.enter_context(socket.socket())
        refusing.bind(("127.0.0.1", 0))
        async with serve(echo, "127.0.0.1", 0) as server:
            good = ("127.0.0.1", await port_of(server))
            found = [
                (9_999, good),
                (socket.AF_INET, refusing.getsockname()),
                *[(socket.AF_INET, silent.getsockname())] * 3,
                (socket.AF_INET, good),
            ]
            rows = [(family, socket.SOCK_STREAM, 0, "", at) for family, at in found]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: rows)
            session = session_to(good[1])
            await opened(session)
            assert all(isinstance(one, WsReply) for one in await asked(session, 1))
            session.close("done")
            rows[:] = rows[:2]
            with pytest.raises(NotConnected, match="refused"):
                await opened(session_to(good[1]))


async def test_a_name_is_looked_up_with_a_deadline_and_must_be_the_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    monkeypatch.setattr(isolated_work, "LIFE_S_MAX", 1)  # the child that hangs ends soon
    looked_up = socket.getaddrinfo

    async def never(_peer: ServerConnection) -> None:
        raise AssertionError("the name is not the certificate's")

    async with serve(never, "127.0.0.1", 0, ssl=context) as server:
        port = await port_of(server)

        def to_us(name: Any, at: Any, *, flags: int = 0, **more: Any) -> Any:
            is_number = flags & socket.AI_NUMERICHOST
            at = at if is_number else port
            return looked_up(name if is_number else "127.0.0.1", at, flags=flags, **more)

        def fails(name: Any, at: Any, *, flags: int = 0, **more: Any) -> Any:
            return looked_up(name, at, flags=socket.AI_NUMERICHOST, **more)

        def hangs(name: Any, at: Any, *, flags: int = 0, **more: Any) -> Any:
            if not flags:
                signal.pause()
            return looked_up(name, at, flags=flags, **more)

        for look_up, said, deadline_s in (
            (to_us, "CERTIFICATE_VERIFY_FAILED", GENEROUS_S),
            (fails, "the name look-up fails", GENEROUS_S),
            (hangs, "the name look-up gives no answer", 0.1),
        ):
            monkeypatch.setattr(socket, "getaddrinfo", look_up)
            with pytest.raises(NotConnected, match=said):
                await opened(session_to(9443, scheme="wss", host=TESTNET), deadline_s)
