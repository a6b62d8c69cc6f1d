"""`seatrial doctor`'s steps: the right sentence for each thing that can be wrong."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.shell.clock import SystemClock
from daemon.shell.link_config import Credentials
from daemon.shell.preflight import StepResult, run_preflight
from tests.support.scripted_venue import KEY, SECRET, ScriptedVenue, json_response, reply, served

HMAC = Credentials(api_key=KEY, secret=SECRET, kind="hmac")


@pytest.fixture
async def venue() -> AsyncIterator[ScriptedVenue]:
    made = ScriptedVenue()
    clock = SystemClock()
    made.clock_ms = lambda: clock.now_ns() // 1_000_000
    async with served(made) as serving:
        yield serving


async def examine(base: str, **changes: Any) -> list[StepResult]:
    options: dict[str, Any] = {
        "environment": "sim",
        "rest": f"http://{base}",
        "ws_api": f"ws://{base}",
        "streams": f"ws://{base}",
        "credentials": HMAC,
        "symbols": ("BTCUSDT",),
        "clock": SystemClock(),
        "deadline_s": 20,
    }
    return await run_preflight(**{**options, **changes})


def failed(steps: list[StepResult]) -> StepResult:
    bad = [step for step in steps if not step.ok]
    assert bad, [step.sentence for step in steps]
    assert all(step.mend for step in bad), "a step that fails says what to do"
    return bad[0]


@pytest.mark.parametrize("kind", ["hmac", "ed25519"])
async def test_all_is_well(venue: ScriptedVenue, kind: str) -> None:
    ed25519 = Credentials(api_key=KEY, secret=Ed25519PrivateKey.generate(), kind="ed25519")
    steps = await examine(venue.base, credentials=HMAC if kind == "hmac" else ed25519)
    assert [step.name for step in steps if not step.ok] == []
    assert [step.name for step in steps] == [
        "hosts", "reachable", "clock", "symbols", "key", "account", "withdrawal", "order test",
        "user data", "market data",
    ]  # fmt: skip
    assert venue.asked("POST order") == []
    assert any("not this key" in step.sentence for step in steps)


async def test_wrong_host(venue: ScriptedVenue) -> None:
    steps = await examine(venue.base, environment="binance-spot-testnet")
    assert failed(steps).name == "hosts"
    live = await examine(venue.base, rest="https://api.binance.com")
    assert "api.binance.com" in failed(live).sentence
    assert venue.requests == []


async def test_no_network(unused_tcp_port: int) -> None:
    steps = await examine(f"127.0.0.1:{unused_tcp_port}")
    step = failed(steps)
    assert step.name == "reachable"
    assert "cannot reach 127.0.0.1" in step.sentence
    assert len(steps) == 2, "what needs the network is not run"


async def test_not_the_venue(venue: ScriptedVenue) -> None:
    async def portal(_request: web.Request) -> web.Response:
        return web.Response(
            text="<html>please log in to the hotel</html>", content_type="text/html"
        )

    venue.script("GET time", portal, times=9)
    assert "does not answer as the venue does" in failed(await examine(venue.base)).sentence


@pytest.mark.parametrize(("shift_ms", "word"), [(5_000, "behind"), (-5_000, "ahead")])
async def test_wrong_clock(venue: ScriptedVenue, shift_ms: int, word: str) -> None:
    right = venue.clock_ms
    venue.clock_ms = lambda: right() + shift_ms
    step = failed(await examine(venue.base))
    assert step.name == "clock"
    assert word in step.sentence
    assert "timesync" in step.mend


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        (-2015, 401, "another environment or to live"),
        (-2014, 401, "another environment or to live"),
        (-1022, 400, "signature is not valid"),
        (-1021, 400, "timestamp"),
    ],
)
async def test_wrong_key(venue: ScriptedVenue, code: int, status: int, words: str) -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return json_response({"code": code, "msg": "Invalid API-key."}, status=status)

    venue.script("GET account", refuse)
    steps = await examine(venue.base)
    step = failed(steps)
    assert (step.name, words in step.sentence) == ("key", True)
    assert "order test" not in [s.name for s in steps]


async def test_symbols(venue: ScriptedVenue) -> None:
    assert "ZZZUSDT" in failed(await examine(venue.base, symbols=("ZZZUSDT",))).sentence
    venue.status = "HALT"
    assert "not trading now: BTCUSDT" in failed(await examine(venue.base)).sentence


async def test_a_key_that_may_not_trade(venue: ScriptedVenue) -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return json_response({"code": -1002, "msg": "You are not authorized."}, status=401)

    venue.script("POST order/test", refuse)
    step = failed(await examine(venue.base))
    assert (step.name, "would refuse" in step.sentence) == ("order test", True)


async def test_user_data_refused(venue: ScriptedVenue) -> None:
    async def refuse(socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        await reply(socket, call, {"code": -2015, "msg": "Invalid API-key."}, status=401)

    venue.script("userDataStream.subscribe.signature", refuse)
    assert failed(await examine(venue.base)).name == "user data"


async def test_a_secret_of_the_wrong_kind(venue: ScriptedVenue) -> None:
    bad = Credentials(api_key=KEY, secret=b"", kind="hmac")
    assert failed(await examine(venue.base, credentials=bad)).name == "key"


async def test_it_ends_in_time(venue: ScriptedVenue) -> None:
    release = asyncio.Event()

    async def never(_request: web.Request) -> web.Response:
        await release.wait()
        return json_response({})

    venue.script("GET time", never, times=9)
    begin = time.monotonic()
    assert failed(await examine(venue.base, deadline_s=0.5))
    assert time.monotonic() - begin < 4
    release.set()
