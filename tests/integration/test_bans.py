"""A ban over real sockets: what the venue said of its end is read on every road, and kept."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from daemon.model.effects import SendOrder, TakeSnapshot
from daemon.model.inputs import NotSent, RateLimited, SnapshotFailed
from tests.support.box import Box
from tests.support.link_bench import Bench, order, running
from tests.support.scripted_venue import ScriptedVenue, json_response, served

HOUR_NS = 3_600_000_000_000
SLACK_NS = 5_000_000_000


@pytest.fixture
async def venue() -> AsyncIterator[ScriptedVenue]:
    async with served(ScriptedVenue()) as serving:
        yield serving


def banned_for_an_hour(venue: ScriptedVenue) -> str:
    until_ms = venue.clock_ms() + HOUR_NS // 1_000_000  # its clock is not ours
    return f"Way too many requests; IP banned until {until_ms}."


def is_for_an_hour(bench: Bench) -> bool:
    told = bench.got(RateLimited)[0]
    return told.scope == "ban" and abs(told.until_ns - bench.clock.now_ns() - HOUR_NS) < SLACK_NS


async def test_rest_reads_the_until_of_the_text(venue: ScriptedVenue) -> None:
    bench = Bench(venue.base)

    async def ban(_request: web.Request) -> web.Response:
        return json_response({"code": -1003, "msg": banned_for_an_hour(venue)}, status=418)

    async with running(bench):
        await bench.up()
        venue.script("GET openOrders", ban)
        bench.link.perform(TakeSnapshot("operator", (), {}))
        await bench.first(SnapshotFailed)
        assert is_for_an_hour(bench)
        assert bench.link.facts()["paused_for"] == "ban"
        asked = len(venue.requests)
        bench.link.perform(SendOrder(order()))
        refused = await bench.first(NotSent)
        assert "paused by the venue (ban) until 2" in refused.reason
        assert len(venue.requests) == asked, "nothing is sent during a ban"


async def test_the_websocket_api_reads_it_without_data(venue: ScriptedVenue) -> None:
    bench = Bench(venue.base)

    async def ban(socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        error = {"code": -1003, "msg": banned_for_an_hour(venue)}
        frame = {"id": call["id"], "status": 418, "error": error}
        await socket.send_json(frame)

    async with running(bench):
        await bench.up()
        venue.script("order.place", ban)
        bench.link.perform(SendOrder(order()))
        await bench.first(RateLimited)
        assert is_for_an_hour(bench)


async def test_a_handshake_reads_it_out_of_the_body(venue: ScriptedVenue) -> None:
    bench = Bench(venue.base)

    async def ban(_request: web.Request) -> web.Response:
        return json_response({"code": -1003, "msg": banned_for_an_hour(venue)}, status=418)

    venue.script("connect", ban)
    async with running(bench):
        await bench.first(RateLimited)
        assert is_for_an_hour(bench)


async def test_a_pause_of_an_earlier_run_keeps_the_link_silent(venue: ScriptedVenue) -> None:
    bench = Bench(venue.base)
    bench.link.pause("ban", bench.clock.now_ns() + HOUR_NS)
    async with running(bench):
        await bench.until(lambda: "ban" in bench.link.facts()["links"]["rest"]["last_error"])
        assert venue.requests == []
        assert not bench.got(RateLimited)


def test_a_ban_is_shown_and_kept_by_real_processes(tmp_path: Path) -> None:
    """The venue bans us for ten minutes; the daemon is killed and comes back, and asks nothing."""
    with Box(tmp_path) as box:
        box.must("start", "--yes", "--reason", "ban")
        box.until(lambda status: status["session_orders"] > 0)
        box.sim.admin_post("strike", kind="ban_418", seconds=600)
        box.until(lambda status: status["gate_state"] == "BANNED")
        assert "BANNED" in box.must("status")
        refused = box.tool("reconcile")
        assert refused.exit_code != 0
        assert "banned this address until" in refused.output
        box.signal_daemon(signal.SIGKILL)
        box.wait_daemon()
        asked = box.sim.ledger()["requests"]
        box.start_daemon(gate="BANNED")
        box.until(lambda status: status["uptime_s"] > 2)
        status = box.status()
        assert status["gate_state"] == "BANNED"
        assert 0 < status["venue_pause"]["left_ms"] <= 600_000
        assert box.sim.ledger()["requests"] == asked, "a boot under a ban asks the venue nothing"
        assert "banned this address until" in box.tool("start", "--yes", "--reason", "x").output
