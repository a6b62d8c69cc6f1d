"""Market streams over TLS, on both loops: who is not whom we asked for is refused."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import ServerConnection, serve

from daemon.errors import NotConnected
from daemon.model.market import TradeTick
from daemon.shell.link.stream_session import MarketSession
from daemon.shell.process.clock import SystemClock
from daemon.venues.contract import MarketEvent
from daemon.venues.hosts import CheckedAddress
from tests.support.adapters import spot

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
TRADE = (
    '{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":9,"p":"1","q":"1",'
    '"T":1,"m":false}}'
)


def certificate(directory: Path, address: str) -> Path:
    """A self-signed certificate with its key, for one address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a venue")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    path = directory / f"{address}.pem"
    path.write_bytes(
        made.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, encryption_algorithm=plain)
    )
    return path


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
            async with asyncio.timeout(10), asyncio.TaskGroup() as group:
                run = group.create_task(session.run())
                await over.wait()
                session.close("enough")
                assert await run == "enough"

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(test())
    return events


@pytest.mark.parametrize("loop", LOOPS)
def test_a_certificate_that_we_trust_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    pem = certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    assert [type(event) for event in heard(loop, pem)] == [TradeTick]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
def test_a_stranger_and_a_wrong_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: str, address: str
) -> None:
    pem = certificate(tmp_path, address)
    if address == "127.0.0.2":
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))  # trusted, but not whom we asked for
    with pytest.raises(NotConnected, match="CERTIFICATE_VERIFY_FAILED"):
        heard(loop, pem)
