"""The stop of a second process: the scenes of the emergency stop, without an event loop.

The rules are one text; these are its scenes that hold whichever route goes first, played again with
blocking waits in a thread. REST is the second route there.
"""

import asyncio
from typing import Any

import pytest

from daemon.shell.process.clock import SystemClock
from daemon.shell.stop.blocking_waits import BlockingWaits, driven
from daemon.shell.stop.emergency_stop import EmergencyStop, KillReport
from tests.integration import test_emergency_stop as scenes
from tests.support.adapters import spot
from tests.support.link_bench import endpoints_at
from tests.support.scripted_venue import KEY, SECRET, ScriptedVenue, reply

reports: list[KillReport] = []
"""Of the stops of a scene; the scene itself holds them to the venue's books."""


class InAThread:
    """An `EmergencyStop` as the scenes use it; the loop of the test serves the venue meanwhile."""

    def __init__(self, base: str) -> None:
        self._waits = BlockingWaits()
        self._stop = EmergencyStop(
            endpoints=endpoints_at(base),
            adapter=spot(("BTCUSDT", "ETHUSDT"), key=KEY, secret=SECRET),
            instance=scenes.INSTANCE,
            clock=SystemClock(),
            head=lambda: scenes.HEAD,
            waits=self._waits,
        )

    async def warm(self) -> None:
        await asyncio.to_thread(driven, self._stop.warm())

    async def cancel_and_verify(self, **asked: Any) -> KillReport:
        report = await asyncio.to_thread(driven, self._stop.cancel_and_verify(**asked))
        reports.append(report)
        return report

    async def close(self) -> None:
        await asyncio.to_thread(driven, self._stop.close())
        await asyncio.to_thread(self._waits.close)


@pytest.fixture(autouse=True)
def without_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "stop_at", InAThread)
    reports.clear()


@pytest.mark.parametrize(
    "scene",
    [
        scenes.test_nothing_open_is_verified_without_a_cancel,
        scenes.test_a_socket_that_was_cut_is_replaced_by_rest_at_once,
        scenes.test_a_wrong_clock_is_measured_again,
        scenes.test_it_never_claims_what_it_did_not_see,
        scenes.test_a_symbol_that_is_gone_holds_no_other_and_is_named,
        scenes.test_a_symbol_that_cannot_be_listed_holds_no_other_and_proves_nothing,
        scenes.test_no_symbol_at_all_proves_nothing,
        scenes.test_a_venue_that_answers_nothing_is_never_said_to_hold_none,
        scenes.test_an_order_whose_cancel_is_refused_is_named_and_holds_no_other,
        scenes.test_an_odd_value_in_an_order_of_somebody_else_holds_nothing,
        scenes.test_a_ban_is_told_with_its_end,
        scenes.test_what_is_broken_on_this_machine_ends_no_stop,
    ],
    ids=lambda scene: scene.__name__.removeprefix("test_"),
)
async def test_the_same_scene_without_a_loop(scene: Any) -> None:
    await scene()
    assert len(reports) == 1, "the scene was played without a loop"


async def test_a_429_of_the_handshake_is_heeded_as_any_other() -> None:
    """The WebSocket API goes first here: its handshake is the first thing that is refused."""
    await scenes.test_after_a_429_without_a_time_it_asks_again_soon_and_seldom(warmed=False)
    await scenes.test_a_ban_or_a_time_that_was_told_is_kept_by_both_routes(418, {})
    await scenes.test_a_ban_or_a_time_that_was_told_is_kept_by_both_routes(
        429, {"Retry-After": "3600"}
    )
    assert len(reports) == 3


@pytest.mark.parametrize("name", ["GET openOrders", "DELETE openOrders", "GET time"])
async def test_rest_alone_is_enough_without_a_loop(name: str) -> None:
    await scenes.test_rest_alone_survives_5xx_html_and_cut_connections(name)
    assert any("WebSocket API" in text for text in reports[0].errors)


async def test_silence_on_both_routes_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    await scenes.test_it_survives_silence(monkeypatch)
    assert reports[0].verified_empty_ns is not None


async def test_many_orders_go_by_symbol_and_the_first_under_a_name() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    scenes.fill_with(venue, 200)
    async with scenes.ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=60)
    assert (report.verified_empty_ns is not None, report.canceled, report.errors) == (True, 200, ())
    assert len(venue.asked("openOrders.cancelAll")) == 2
    assert len(venue.asked("order.cancel")) == 2
    assert not venue.asked("GET openOrders"), "one route was enough: no loop was made"


async def test_a_limit_told_on_one_route_silences_both() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    scenes.fill_with(venue, 2)

    async def limited(socket: Any, call: dict[str, Any]) -> None:
        until_ms = venue.clock_ms() + 1_500
        error = {"code": -1003, "msg": "Way too much", "data": {"retryAfter": until_ms}}
        await reply(socket, call, error, status=418)

    venue.script("openOrders.status", limited)
    async with scenes.ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=60)
    assert report.verified_empty_ns is not None
    assert report.verified_empty_ns - report.started_ns > 400_000_000
    assert any("rate limit (ban)" in text for text in report.errors)
