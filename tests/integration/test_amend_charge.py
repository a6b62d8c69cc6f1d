"""An amend costs its weight on both roads; the account's own filters reach the instruments."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from daemon.model.effects import SendAmend
from daemon.model.inputs import InstrumentsLoaded, VenueAmendReject, VenueReport
from tests.support.link_bench import Bench, running, smaller
from tests.support.scripted_venue import ScriptedVenue, json_response, reply, served
from tests.support.spot_payloads import OWN


@pytest.fixture
async def venue() -> AsyncIterator[ScriptedVenue]:
    async with served(ScriptedVenue()) as serving:
        yield serving


@pytest.mark.parametrize("order_road", ["ws", "rest"])
@pytest.mark.parametrize("status", [200, 400])
async def test_an_amend_is_charged_whether_it_succeeds_or_not(
    venue: ScriptedVenue, order_road: str, status: int
) -> None:
    result = {"transactTime": 5, "executionId": 1, "amendedOrder": {
        "symbol": "BTCUSDT", "orderId": 4, "origClientOrderId": OWN, "clientOrderId": OWN,
        "price": "5", "qty": "0.0005", "executedQty": "0", "status": "NEW", "side": "BUY",
    }}  # fmt: skip
    refusal = {"code": -2038, "msg": "Order was not amended."}
    body: Any = result if status == 200 else refusal

    async def by_socket(socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        await reply(socket, call, body, status=status)

    async def by_rest(_request: web.Request) -> web.Response:
        return json_response(body, status=status)

    venue.script("order.amend.keepPriority", by_socket)
    venue.script("PUT order/amend/keepPriority", by_rest)
    async with running(Bench(venue.base, order_road=order_road)) as bench:
        await bench.up()
        await bench.until(lambda: bool(venue.asked("GET myFilters")))
        await bench.until(lambda: bench.link.facts()["questions_waiting"] == 0)
        before = bench.link.facts()["used"]["REQUEST_WEIGHT_1M"]
        bench.link.perform(SendAmend(smaller()))
        await bench.until(lambda: bool(bench.got(VenueReport) or bench.got(VenueAmendReject)))
        after = bench.link.facts()["used"]["REQUEST_WEIGHT_1M"]
        assert after - before in {4, 4 - before}, "a minute may have begun meanwhile"


async def test_the_accounts_own_limits_of_assets_become_filters(venue: ScriptedVenue) -> None:
    async def told(_request: web.Request) -> web.Response:
        limits = [("BTC", "5"), ("USDT", "1000"), ("JPY", "7")]
        filters = [{"filterType": "MAX_ASSET", "asset": a, "limit": n} for a, n in limits]
        return json_response({"assetFilters": filters})

    venue.script("GET myFilters", told)
    async with running(Bench(venue.base)) as bench:
        await bench.until(lambda: len(bench.got(InstrumentsLoaded)) == 2)
        first, second = (one.instruments[0] for one in bench.got(InstrumentsLoaded))
        assert (first.asset_base_max, first.asset_quote_max) == (0, 0)
        assert (second.asset_base_max, second.asset_quote_max) == (5, 1000)


async def test_a_venue_without_such_filters_is_no_less_up(venue: ScriptedVenue) -> None:
    async def unknown(_request: web.Request) -> web.Response:
        return json_response({"code": -1020, "msg": "not supported"}, status=404)

    venue.script("GET myFilters", unknown)
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        await bench.until(lambda: bool(venue.asked("GET myFilters")))
        assert len(bench.got(InstrumentsLoaded)) == 1
        assert bench.link.facts()["links"]["rest"]["up"]
