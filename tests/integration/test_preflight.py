"""`seatrial doctor`'s steps: the right sentence for each thing that can be wrong."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.model.launch_checks import Check
from daemon.shell.checks.venue_checks import run_preflight
from daemon.shell.link.link_config import Credentials
from daemon.shell.link.price_paths import PriceCaps
from daemon.shell.process.clock import SystemClock
from tests.support.scripted_venue import KEY, SECRET, ScriptedVenue, json_response, reply, served

HMAC = Credentials(api_key=KEY, secret=SECRET, kind="hmac")


@pytest.fixture
async def venue() -> AsyncIterator[ScriptedVenue]:
    made = ScriptedVenue()
    clock = SystemClock()
    made.clock_ms = lambda: clock.now_ns() // 1_000_000
    async with served(made) as serving:
        yield serving


async def examine(base: str, **changes: Any) -> list[Check]:
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


def failed(steps: list[Check]) -> Check:
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
    assert time.monotonic() - begin < 60
    release.set()


# ---------------------------------------------------------------- prices
def commission(enabled: bool) -> Any:
    async def answer(_request: web.Request) -> web.Response:
        discount = {"enabledForAccount": enabled, "enabledForSymbol": True, "discountAsset": "BNB"}
        return json_response({"symbol": "BTCUSDT", "discount": discount})

    return answer


USDT_CAPS = PriceCaps("USDT", {"BTC": ("BTCUSDT",)})


def step_of(steps: list[Check], name: str) -> Check:
    return next(step for step in steps if step.name == name)


async def test_fees_in_an_asset_without_a_price_do_not_pass(venue: ScriptedVenue) -> None:
    """Field report: a fee in BNB, only BTCUSDT configured, and every buy after it was denied."""
    venue.balances["BNB"] = ("1.5", "0")
    venue.symbols = ["BTCUSDT", "BNBUSDT"]
    venue.script("GET account/commission", commission(enabled=True), times=9)
    step = step_of(await examine(venue.base, prices=USDT_CAPS), "valuation")
    assert not step.ok
    assert "BNB has no price (fees of this account are paid in it)" in step.sentence
    assert (
        step.mend == 'add BNB = ["BNBUSDT"] to [caps.conversions], and "BNBUSDT" to venue.symbols'
    )
    paths = {"BNB": ("BNBUSDT",)}
    declared = step_of(await examine(venue.base, prices=PriceCaps("USDT", paths)), "valuation")
    assert declared.mend == 'add "BNBUSDT" to venue.symbols'
    both = await examine(
        venue.base, symbols=("BTCUSDT", "BNBUSDT"), prices=PriceCaps("USDT", paths)
    )
    assert step_of(both, "valuation").ok
    assert "fees may be paid in BNB" in step_of(both, "valuation").sentence


@pytest.mark.parametrize("held", [True, False])
async def test_a_venue_that_does_not_say_how_fees_are_paid(
    venue: ScriptedVenue, held: bool
) -> None:
    if held:
        venue.balances["BNB"] = ("1.5", "0")
    step = step_of(await examine(venue.base, prices=USDT_CAPS), "valuation")
    assert step.ok is not held
    assert "could not be asked" in step.sentence


async def test_a_discount_that_is_off_needs_no_price(venue: ScriptedVenue) -> None:
    venue.balances["BNB"] = ("1.5", "0")
    venue.script("GET account/commission", commission(enabled=False), times=9)
    assert step_of(await examine(venue.base, prices=USDT_CAPS), "valuation").ok


async def test_a_quote_that_cannot_be_valued_does_not_pass(venue: ScriptedVenue) -> None:
    caps = PriceCaps("EUR", {})
    step = step_of(await examine(venue.base, prices=caps), "valuation")
    assert "USDT has no price (BTCUSDT is quoted in it)" in step.sentence
