"""`seatrial sim` as a process: ended and started again, killed, and with TLS."""

import asyncio
import http.client
import json
import os
import signal
import ssl
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.support.ports import kept_port
from tests.support.sim_process import SimProcess

LIMIT = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001",
    "price": "30000",
}  # fmt: skip


def test_a_venue_that_is_ended_and_started_again_is_the_same_venue(tmp_path: Path) -> None:
    home = tmp_path / "venue"
    with SimProcess(state=home, port=kept_port()) as sim:
        first = sim.ready
        sim.signed("POST", "order", **LIMIT, newClientOrderId="mine")
        unnamed = sim.signed("POST", "order", **LIMIT)
        balances = sim.signed("GET", "account", omitZeroBalances="true")["balances"]
    told = json.loads((home / "sim.json").read_text())
    assert told == first
    assert stat.S_IMODE((home / "sim.json").stat().st_mode) == 0o600
    with SimProcess(state=home) as sim:
        assert {**sim.ready, "pid": 0} == {**first, "pid": 0}
        assert sim.signed("GET", "account", omitZeroBalances="true")["balances"] == balances
        resting = sim.signed("GET", "openOrders", symbol="BTCUSDT")
        assert [row["clientOrderId"] for row in resting] == ["mine", unnamed["clientOrderId"]]
        more = sim.signed("POST", "order", **LIMIT)
        assert more["clientOrderId"] != unnamed["clientOrderId"]
        assert more["orderId"] > resting[0]["orderId"]
        ledger = sim.ledger()
    assert ledger["orders"][0]["client_order_id"] == "mine"
    assert len(json.loads((home / "ledger.json").read_text())["orders"]) == 3


def test_a_venue_that_was_killed_begins_anew_at_the_same_place(tmp_path: Path) -> None:
    with SimProcess(state=tmp_path, port=kept_port()) as sim:
        first = sim.ready
        sim.signed("POST", "order", **LIMIT)
    with SimProcess(state=tmp_path) as sim:
        assert len(sim.signed("GET", "openOrders")) == 1
        os.kill(int(sim.ready["pid"]), signal.SIGKILL)
    with SimProcess(state=tmp_path) as sim:
        assert sim.rest == first["rest"]
        assert sim.signed("GET", "openOrders") == []


def test_another_seed_on_the_same_state_is_refused_in_one_line(tmp_path: Path) -> None:
    with SimProcess(state=tmp_path):
        pass
    command = [sys.executable, "-m", "control.main", "sim", "--state", str(tmp_path)]
    ended = subprocess.run(
        [*command, "--seed", "9"], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "--seed 1" in ended.stderr


def get(url: str, trusted: ssl.SSLContext | None = None) -> Any:
    with urllib.request.urlopen(url, context=trusted, timeout=60) as got:
        return json.load(got)


@pytest.mark.parametrize("keeps", [True, False])
async def test_with_tls_every_road_speaks_it_and_plain_text_gets_nothing(
    tmp_path: Path, keeps: bool
) -> None:
    options: dict[str, Any] = {"state": tmp_path} if keeps else {}
    with SimProcess(tls=True, **options) as sim:
        trusted = ssl.create_default_context(cafile=str(sim.ready["certificate"]))
        url = f"{sim.rest}/api/v3/time"
        assert url.startswith("https://")
        assert "serverTime" in await asyncio.to_thread(get, url, trusted)
        async with connect(sim.ws_api, ssl=trusted) as socket:
            await socket.send('{"id": 1, "method": "ping"}')
            assert json.loads(await socket.recv())["status"] == 200
        async with connect(f"{sim.streams}/ws/btcusdt@bookTicker", ssl=trusted) as socket:
            assert "u" in json.loads(await socket.recv())
        with pytest.raises((OSError, http.client.HTTPException)):
            await asyncio.to_thread(get, url.replace("https", "http"))
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            await asyncio.to_thread(get, url)


async def test_reading_the_ledger_of_a_busy_session_does_not_hold_up_the_venue() -> None:
    """Judged by another client's answers meanwhile, against its answers without a reader."""
    with SimProcess(orders_per_10s=100_000, weight_per_minute=10_000_000) as sim:
        async with connect(sim.ws_api, max_size=None) as socket:
            for number in range(6_000):
                params = sim.ws_params(**LIMIT, newClientOrderId=f"n{number}")
                await socket.send(json.dumps({"id": 1, "method": "order.place", "params": params}))
                await socket.recv()
                gone = sim.ws_params(symbol="BTCUSDT", origClientOrderId=f"n{number}")
                await socket.send(json.dumps({"id": 2, "method": "order.cancel", "params": gone}))
                await socket.recv()
            answers, is_read = 0, asyncio.Event()

            async def read() -> dict[str, Any]:
                told = await asyncio.to_thread(sim.ledger)
                is_read.set()
                return told

            async with asyncio.TaskGroup() as group:
                reader = group.create_task(read())
                while not is_read.is_set():
                    await socket.send('{"id": 3, "method": "time"}')
                    await socket.recv()
                    answers += 1
        ledger = reader.result()
    assert len(ledger["orders"]) == 6_000
    assert answers > 20, "the venue answered nobody else while it told its ledger"
