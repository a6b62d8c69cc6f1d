"""`seatrial sim` as a real process: its ready line, its mistakes, its sockets and their faults."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import resource
import signal
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from daemon.cli.demo_command import demo_command
from daemon.cli.sim_command import sim_command
from daemon.shell.process.clock import SystemClock
from tests.support.sim_process import SimProcess

DEADLINE_S = 60
CLOCK = SystemClock()
ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "55000",
}


@pytest.fixture(scope="module")
def shared() -> Iterator[SimProcess]:
    """For tests that leave no trace in the venue."""
    with SimProcess(seed=3, flow_rate=60, symbols="BTCUSDT,ETHUSDT") as process:
        yield process


@pytest.fixture
def sim() -> Iterator[SimProcess]:
    with SimProcess(seed=3, flow_rate=60, symbols="BTCUSDT,ETHUSDT") as process:
        yield process


def test_silent_connections_shut_no_venue_and_nonsense_fills_no_log(sim: SimProcess) -> None:
    """More connections than the process may hold files."""
    assert sim._process is not None
    assert sim._errors is not None
    resource.prlimit(sim._process.pid, resource.RLIMIT_NOFILE, (600, 600))
    port = urllib.parse.urlsplit(sim.rest).port
    with contextlib.ExitStack() as stack:
        for _ in range(700):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
        with urllib.request.urlopen(f"{sim.rest}/api/v3/ping", timeout=60) as answer:
            assert answer.status == 200
        asked = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
        asked.sendall(b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        with asked.makefile("rb") as told:
            assert told.readline().split()[1] == b"400"
    sim._errors.seek(0)
    assert "Traceback" not in sim._errors.read()


def run_and_fail(*arguments: str) -> str:
    done = CliRunner().invoke(sim_command, list(arguments))
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


class Api:
    """A WebSocket API connection that signs."""

    def __init__(self, sim: SimProcess, connection: ClientConnection) -> None:
        self._sim = sim
        self.connection = connection
        self.events: list[dict[str, Any]] = []
        self._number = 0

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        params |= {"apiKey": self._sim.api_key, "timestamp": CLOCK.now_ns() // 1_000_000}
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        secret = self._sim.api_secret.encode()
        params["signature"] = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
        self._number += 1
        frame = {"id": self._number, "method": method, "params": params}
        await self.connection.send(json.dumps(frame))
        while True:
            answer = await self.receive()
            if answer.get("id") == self._number:
                return answer
            self.events.append(answer)

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE_S):
            frame: dict[str, Any] = json.loads(await self.connection.recv())
        return frame


@asynccontextmanager
async def api_of(sim: SimProcess) -> AsyncIterator[Api]:
    async with connect(sim.ws_api, close_timeout=0.2) as connection:
        api = Api(sim, connection)
        await api.call("userDataStream.subscribe.signature")
        yield api


def ping_status(sim: SimProcess) -> tuple[int, str]:
    """(HTTP status, Retry-After) of a REST ping."""
    try:
        with urllib.request.urlopen(f"{sim.rest}/api/v3/ping", timeout=DEADLINE_S) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Retry-After"]


async def until_closed(connection: ClientConnection) -> ConnectionClosed:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                await connection.recv()
            except ConnectionClosed as closed:
                return closed


async def hears(connection: ClientConnection, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await connection.recv()
    except TimeoutError:
        return False
    return True


# ---------------------------------------------------------------- the process


def test_the_ready_line_names_every_address_and_key(tmp_path: Path) -> None:
    pem = Ed25519PrivateKey.generate().public_key()
    file = tmp_path / "key.pem"
    file.write_bytes(pem.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with SimProcess(ed25519_public_key=file) as sim:
        wanted = {"rest", "ws_api", "streams", "admin", "api_key", "api_secret", "pid"}
        assert set(sim.ready) >= wanted | {"ed25519_api_key"}
        assert sim.ws_api.endswith("/ws-api/v3")
        assert sim.ledger()["orders"] == []


def test_the_ledger_is_written_whole_on_sigterm(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.json"
    sim = SimProcess(ledger=ledger).start()
    sim.admin_post("foreign-order")
    assert sim.stop() == 0
    written = json.loads(ledger.read_bytes())
    assert [order["ours"] for order in written["orders"]] == [False]
    assert list(tmp_path.iterdir()) == [ledger]


def test_sigint_ends_it_cleanly_too() -> None:
    sim = SimProcess().start()
    process = sim._process
    assert process is not None
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 0
    sim.stop()


def test_a_port_in_use_is_one_clear_line(shared: SimProcess) -> None:
    port = shared.rest.rpartition(":")[2]
    with pytest.raises(RuntimeError) as caught:
        SimProcess(port=port).start()
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "--port" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_that_cannot_be_used_say_so(tmp_path: Path) -> None:
    replay = tmp_path / "XRPETH-x.csv"
    replay.write_text("time_ms,trade_id,taker_side,price,qty\n1,1,buy,0.001,1\nnonsense\n")
    assert f"{replay} line 3: 1 fields" in run_and_fail("--replay", str(replay))
    missing = tmp_path / "none" / "ledger.json"
    assert f"--ledger {missing}" in run_and_fail("--ledger", str(missing))
    assert "storm" in run_and_fail("--faults", "weather")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--symbols", "NOPEUSDT"], "NOPEUSDT"),
        (["--balances", "USDT=lots"], "USDT=lots"),
        (["--replay", "nowhere.csv", "--replay-symbol", "XRPETH"], "nowhere.csv"),
        (["--ed25519-public-key", "pyproject.toml"], "not a PEM public key"),
    ],
)
def test_more_of_them(arguments: list[str], complaint: str) -> None:
    assert complaint in run_and_fail(*arguments)


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "0"])
@pytest.mark.parametrize("option", ["--speed", "--ping-every", "--connection-life"])
def test_paces_are_finite_and_above_zero(option: str, number: str) -> None:
    done = CliRunner().invoke(sim_command, [option, number])
    assert done.exit_code == 2
    assert f"Invalid value for '{option}'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--caps", "nosuch"], "there are: bots, demo, live-pilot, testnet-strict, tiny"),
        (["--faults", "nosuch"], "`--faults list` explains them"),
        (["--speed", "fast"], "'fast' is not a valid number"),
    ],
)
def test_a_demo_that_cannot_be_makes_no_directory(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    done = CliRunner().invoke(demo_command, ["--dir", str(tmp_path / "run"), *arguments])
    assert done.exit_code == 2
    assert complaint in " ".join(done.stderr.split())
    assert not (tmp_path / "run").exists()


def test_the_fault_menu_is_printed() -> None:
    done = CliRunner().invoke(sim_command, ["--faults", "list"])
    assert done.exit_code == 0
    assert "partial_outage" in done.stdout
    assert "drop_answer" in done.stdout


# ---------------------------------------------------------------- the roads


async def test_orders_travel_and_the_ledger_agrees(sim: SimProcess) -> None:
    async with api_of(sim) as api:
        placed = await api.call("order.place", **ORDER, newClientOrderId="w1")
        assert placed["status"] == 200
        await api.call("order.cancel", symbol="BTCUSDT", origClientOrderId="w1")
        while not any(e["event"].get("x") == "CANCELED" for e in api.events):
            api.events.append(await api.receive())
    (order,) = sim.ledger()["orders"]
    assert (order["client_order_id"], order["status"]) == ("w1", "CANCELED")


async def test_streams_run_and_answer(shared: SimProcess) -> None:
    url = f"{shared.streams}/stream?streams=btcusdt@bookTicker/btcusdt@depth@100ms"
    async with connect(url) as stream, asyncio.timeout(DEADLINE_S):
        await stream.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": "x"}))
        names: set[str] = set()
        answered: dict[str, Any] = {}
        while len(names) < 2 or not answered:
            frame = json.loads(await stream.recv())
            if "stream" in frame:
                names.add(frame["stream"])
            else:
                answered = frame
    assert answered == {"id": "x", "result": ["btcusdt@bookTicker", "btcusdt@depth@100ms"]}


async def test_a_chatty_stream_client_is_disconnected(shared: SimProcess) -> None:
    async with connect(f"{shared.streams}/ws", close_timeout=0.2) as stream:
        for number in range(8):
            await stream.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
        assert await until_closed(stream)


async def test_pings_come_and_a_life_ends() -> None:
    with SimProcess(ping_every=0.1, connection_life=0.8, flow_rate=0) as sim:
        kinds: list[WSMsgType] = []
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{sim.streams}/ws", autoping=False) as stream,
            asyncio.timeout(DEADLINE_S),
        ):
            while not stream.closed:
                message = await stream.receive()
                kinds.append(message.type)
                if message.type is WSMsgType.PING:
                    await stream.pong(message.data)
    assert kinds[0] is WSMsgType.PING
    assert kinds[-1] is WSMsgType.CLOSE


def test_an_admin_mistake_is_one_line(shared: SimProcess) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        shared.admin_post("strike", kind="rain")
    with caught.value as answer:
        assert answer.code == 400
        assert "rain" in json.load(answer)["error"]


def test_an_oversized_body_and_a_plain_get_on_a_socket_path(shared: SimProcess) -> None:
    for path, data, status in (("/api/v3/order", b"x" * 2_000_000, 413), ("/ws-api/v3", None, 400)):
        request = urllib.request.Request(shared.rest + path, data=data)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=DEADLINE_S)
        with caught.value as answer:
            assert answer.code == status


async def test_a_second_account_with_a_key_that_may_only_read(sim: SimProcess) -> None:
    sim.admin_post("key", api_key="r", api_secret="t", account="second", can_trade=False)
    sim.ready |= {"api_key": "r", "api_secret": "t"}
    async with api_of(sim) as api:
        assert (await api.call("account.status"))["result"]["canTrade"] is True
        for method in ("order.place", "order.test"):
            refused = await api.call(method, **ORDER)
            assert (refused["status"], refused["error"]["code"]) == (401, -2015)


# ---------------------------------------------------------------- faults on sockets


async def test_an_abrupt_close_has_no_close_frame(sim: SimProcess) -> None:
    async with api_of(sim) as api:
        await asyncio.to_thread(sim.admin_post, "disconnect", target="user")
        closed = await until_closed(api.connection)
    assert closed.rcvd is None
    assert sim.ledger()["faults"] == {"abrupt_close": 1}


async def test_a_shutdown_is_announced_before_the_close(sim: SimProcess) -> None:
    async with api_of(sim) as api:
        await asyncio.to_thread(sim.admin_post, "shutdown-notice", target="user", ms=100)
        notice = await api.receive()
        closed = await until_closed(api.connection)
    assert notice["event"]["e"] == "serverShutdown"
    assert "subscriptionId" not in notice
    assert closed.rcvd is not None


async def test_a_half_open_socket_is_silent_and_executes_nothing(sim: SimProcess) -> None:
    async with api_of(sim) as api:
        await asyncio.to_thread(sim.admin_post, "half-open", target="user", seconds=5)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await api.call("order.place", **ORDER)
        pong = await api.connection.ping()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await pong
    assert (await asyncio.to_thread(sim.ledger))["orders"] == []


async def test_a_muted_socket_loses_events_but_answers(sim: SimProcess) -> None:
    async with api_of(sim) as api:
        await asyncio.to_thread(sim.admin_post, "mute", target="user", seconds=5)
        placed = await api.call("order.place", **ORDER)
        assert placed["status"] == 200
        assert not await hears(api.connection, 0.4)
        assert api.events == []


async def test_a_dropped_answer_is_an_executed_order(sim: SimProcess) -> None:
    sim.load_faults([{"kind": "drop_answer", "rate": 1.0, "purposes": ["place"]}])
    async with api_of(sim) as api:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await api.call("order.place", **ORDER, newClientOrderId="lost")
        found = await api.call("order.status", symbol="BTCUSDT", origClientOrderId="lost")
    assert found["result"]["status"] == "NEW"


async def test_a_held_request_is_executed_late(sim: SimProcess) -> None:
    rule = {
        "kind": "delay_request",
        "rate": 1.0,
        "purposes": ["place"],
        "params": {"ms_min": 400, "ms_max": 400},
    }
    sim.load_faults([rule])
    async with api_of(sim) as api:
        started = time.monotonic()
        placed = await api.call("order.place", **ORDER)
        assert placed["status"] == 200
        assert time.monotonic() - started > 0.35


async def test_streams_can_be_down_while_rest_is_up(sim: SimProcess) -> None:
    async with connect(f"{sim.streams}/ws/btcusdt@trade", close_timeout=0.2) as stream:
        await asyncio.to_thread(sim.admin_post, "strike", kind="stream_outage", seconds=1)
        await until_closed(stream)
    with pytest.raises(InvalidStatus):
        await connect(f"{sim.streams}/ws")
    assert await asyncio.to_thread(ping_status, sim) == (200, "")


async def test_a_ban_drops_sockets_and_refuses_everything(sim: SimProcess) -> None:
    async with api_of(sim) as api:
        await asyncio.to_thread(sim.admin_post, "strike", kind="ban_418", seconds=30)
        await until_closed(api.connection)
    status, retry_after = await asyncio.to_thread(ping_status, sim)
    assert status == 418
    assert 25 <= int(retry_after) <= 30
    assert sim.ledger()["faults"] == {"ban_418": 1}


async def test_asking_on_while_limited_is_answered_with_a_ban_and_a_close(sim: SimProcess) -> None:
    async with api_of(sim) as api:
        await asyncio.to_thread(sim.admin_post, "strike", kind="limit_429", seconds=30)
        answers = [await api.call("order.place", **ORDER) for _ in range(21)]
        closed = await until_closed(api.connection)
    statuses = [answer["status"] for answer in answers]
    assert set(statuses[:20]) == {429}
    assert statuses[-1] == 418
    assert answers[-1]["error"]["data"]["retryAfter"] > CLOCK.now_ns() // 1_000_000
    assert closed.rcvd is not None


async def test_a_dense_crowd_does_not_starve_a_client() -> None:
    with SimProcess(seed=5, flow_rate=1000, orders_per_10s=100_000) as sim:
        url = f"{sim.streams}/ws/btcusdt@bookTicker"
        async with api_of(sim) as api, connect(url, close_timeout=0.2):
            started_ns = CLOCK.monotonic_ns()
            before = (await asyncio.to_thread(sim.ledger))["background"]["events"]
            waits_ms: list[float] = []
            for _ in range(100):
                asked_ns = CLOCK.monotonic_ns()
                answer = await api.call("order.place", **{**ORDER, "timeInForce": "IOC"})
                assert answer["status"] == 200
                waits_ms.append((CLOCK.monotonic_ns() - asked_ns) / 1e6)
            after = (await asyncio.to_thread(sim.ledger))["background"]["events"]
            seconds = (CLOCK.monotonic_ns() - started_ns) / 1e9
    assert (after - before) / seconds > 1_000
    assert sorted(waits_ms)[50] < 50
