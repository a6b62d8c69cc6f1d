"""Where the gateway listens, and who may come in: loopback, a Unix socket, TLS with a list."""

import asyncio
import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from daemon.model.bots import BotState, BotSwitched, BotView
from daemon.model.copies import replace
from daemon.model.inputs import (
    Input,
)
from daemon.settings_bots import GatewaySettings
from daemon.shell.gateway.bot_keys import digest_of, new_key, write_key
from daemon.shell.gateway.gateway import Gateway, GatewayPorts
from daemon.shell.gateway.gateway_rules import BotRules
from daemon.shell.gateway.public_market import PublicReply, PublicRequestFailed
from daemon.shell.process.clock import SystemClock
from daemon.shell.sim_host.tls import server_context

RULES = BotRules(
    name="ft", symbols=("BTCUSDT",), can_trade=True, patience_s=1.0, requests_per_second=100,
    requests_burst=100, cancels_per_second=10, orders_10s=100, orders_day=1_000,
)  # fmt: skip
VIEW = BotView(
    bot="ft", state=BotState.ACTIVE, reason="", symbols=("BTCUSDT",), orders=(), balances=()
)


class NoVenue:
    """Nothing behind the gateway answers."""

    def get(self, path: str, query: str, weight: int) -> "asyncio.Future[PublicReply]":
        raise PublicRequestFailed("no venue")

    def want(self, names: Collection[str]) -> None:
        """Nobody listens."""

    async def run(
        self, on_frame: Callable[[str, bytes], None], on_lost: Callable[[], None]
    ) -> None:
        await asyncio.Event().wait()


def gateway(
    state_dir: Path,
    settings: GatewaySettings,
    nobody: NoVenue | None = None,
    on_fatal: Callable[[BaseException], None] = lambda _error: None,
    offer: Callable[[Input], None] = lambda _item: None,
    *,
    rules: BotRules = RULES,
) -> Gateway:
    nobody = nobody or NoVenue()
    ports = GatewayPorts(
        offer=offer, data=nobody, account=nobody, streams=nobody,  # type: ignore[arg-type]
        offset_ns=lambda: 0, is_ready=lambda: False, on_fatal=on_fatal,
    )  # fmt: skip
    return Gateway(
        settings=settings, environment="sim", state_dir=state_dir, rules=[rules], views=[VIEW],
        venue_key_digest=digest_of("x"), clock=SystemClock(), ports=ports,
    )  # fmt: skip


class OverSocket(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


def status_of(connection: http.client.HTTPConnection, **headers: str) -> int:
    try:
        connection.request("GET", "/api/v3/ping", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_unix_socket_is_the_owners_alone_and_is_taken_over_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    settings = GatewaySettings.model_validate(
        {"listen": "unix:gateway.sock"}, context={"base": tmp_path}
    )
    made = gateway(tmp_path, settings)
    made.start()
    try:
        assert path.stat().st_mode & 0o777 == 0o600
        assert status_of(OverSocket(path)) == 200
        assert status_of(OverSocket(path), Origin="http://x.example") == 403
    finally:
        assert made.stop()


def test_an_address_that_is_taken_is_named_with_the_mend(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        made = gateway(tmp_path, GatewaySettings(listen=f"127.0.0.1:{port}"))
        with pytest.raises(OSError, match=r"set gateway\.listen to an address that is free"):
            made.start()


@pytest.mark.parametrize(("clients", "status"), [("127.0.0.0/8", 200), ("192.0.2.0/24", 403)])
def test_beyond_loopback_only_listed_clients_come_in_over_tls(
    tmp_path: Path, clients: str, status: int
) -> None:
    _, trusted = server_context(tmp_path, "localhost", SystemClock())
    settings = GatewaySettings.model_validate(
        {"listen": "0.0.0.0:0", "tls_certificate": str(trusted),
         "tls_key": str(tmp_path / "key.pem"), "clients": [clients], "hosts": ["localhost"]},
        context={"base": tmp_path},
    )  # fmt: skip
    made = gateway(tmp_path, settings)
    made.start()
    try:
        port = int(made.address.rpartition(":")[2])
        context = ssl.create_default_context(cafile=trusted)
        assert (
            status_of(http.client.HTTPSConnection("localhost", port, timeout=60, context=context))
            == status
        )
        plain = http.client.HTTPConnection("localhost", port, timeout=60)
        with pytest.raises((http.client.HTTPException, OSError)):
            status_of(plain)
    finally:
        assert made.stop()


def test_who_begins_no_tls_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.shell.gateway.server.HANDSHAKE_S", 0.2)
    _, trusted = server_context(tmp_path, "localhost", SystemClock())
    settings = GatewaySettings.model_validate(
        {"listen": "127.0.0.1:0", "tls_certificate": str(trusted),
         "tls_key": str(tmp_path / "key.pem")},
        context={"base": tmp_path},
    )  # fmt: skip
    made = gateway(tmp_path, settings)
    made.start()
    try:
        port = int(made.address.rpartition(":")[2])
        silent = socket.create_connection(("127.0.0.1", port), timeout=50)
        with silent, contextlib.suppress(ConnectionResetError):
            assert silent.recv(1) == b""
    finally:
        assert made.stop()


def test_silent_and_slow_connections_keep_no_request_out(tmp_path: Path) -> None:
    made = gateway(tmp_path, GatewaySettings(listen="127.0.0.1:0", connections_max=4))
    made.start()
    try:
        host, _, port = made.address.rpartition(":")
        starts = (
            b"",
            b"GET /api/v3/ping HTTP/1.1\r\nHost: 127.0.0.1\r\nX-",
            b"POST /api/v3/order HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nabc",
        )
        peers = []
        for number in range(30):
            peers.append(socket.create_connection((host, int(port)), timeout=60))
            peers[-1].sendall(starts[number % 3])
        for _ in range(10):
            assert status_of(http.client.HTTPConnection(host, int(port), timeout=60)) == 200
        for peer in peers:
            peer.close()
    finally:
        assert made.stop()


def test_nonsense_of_strangers_is_answered_and_fills_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = gateway(tmp_path, GatewaySettings(listen="127.0.0.1:0"))
    made.start()
    try:
        host, _, port = made.address.rpartition(":")
        for line in (b"GET /" + b"x" * 20_000, b"GET http://[", b"NONSENSE \x00", b"GET //["):
            with socket.create_connection((host, int(port)), timeout=60) as peer:
                peer.sendall(line + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                with peer.makefile("rb") as told:
                    assert told.readline().split()[1][:1] == b"4", line[:12]
    finally:
        assert made.stop()
    assert not caplog.records


def test_web_sockets_leave_room_for_rest_and_a_refusal_is_no_perhaps(tmp_path: Path) -> None:
    made = gateway(tmp_path, GatewaySettings(listen="127.0.0.1:0", connections_max=4))
    made.start()
    try:
        host, _, port = made.address.rpartition(":")
        asked = (
            b"GET /ws-api/v3 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        peers = [socket.create_connection((host, int(port)), timeout=60) for _ in range(4)]
        told = []
        for peer in peers:
            peer.sendall(asked)
            told.append(peer.recv(4096).split(b" ", 2)[1])
        assert told == [b"101", b"101", b"101", b"429"]
        assert status_of(http.client.HTTPConnection(host, int(port), timeout=60)) == 200
        for peer in peers:
            peer.close()
    finally:
        assert made.stop()


def test_a_key_that_was_revoked_while_no_daemon_ran_is_told_at_the_next_start(
    tmp_path: Path,
) -> None:
    write_key(tmp_path, replace(new_key("ft", 7), secret="", revoked_ns=8))
    heard, told = threading.Event(), list[Input]()

    def offer(item: Input) -> None:
        told.append(item)
        heard.set()

    made = gateway(tmp_path, GatewaySettings(listen="127.0.0.1:0"), offer=offer)
    made.start()
    try:
        assert heard.wait(60)
        (switched,) = told
        assert isinstance(switched, BotSwitched)
        assert (switched.bot, switched.state, switched.cancel) == ("ft", BotState.REVOKED, True)
    finally:
        assert made.stop()


def test_a_bug_that_ends_the_gateway_ends_the_daemon(tmp_path: Path) -> None:
    go, heard = threading.Event(), threading.Event()
    told: list[BaseException] = []

    class Broken(NoVenue):
        async def run(
            self, on_frame: Callable[[str, bytes], None], on_lost: Callable[[], None]
        ) -> None:
            await asyncio.to_thread(go.wait)
            raise LookupError("a bug")

    def on_fatal(error: BaseException) -> None:
        told.append(error)
        heard.set()

    made = gateway(tmp_path, GatewaySettings(listen="127.0.0.1:0"), Broken(), on_fatal)
    made.start()
    go.set()
    assert heard.wait(60)
    assert isinstance(told[0], BaseExceptionGroup)
    assert isinstance(told[0].exceptions[0], LookupError)
    assert made.stop()
