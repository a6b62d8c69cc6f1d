"""An amend costs its weight on both roads, done or refused."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from daemon.model.effects import SendAmend
from daemon.model.inputs import VenueAmendReject, VenueReport
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
        await bench.until(lambda: bench.link.facts()["questions_waiting"] == 0)
        before = bench.link.facts()["used"]["REQUEST_WEIGHT_1M"]
        bench.link.perform(SendAmend(smaller()))
        await bench.until(lambda: bool(bench.got(VenueReport) or bench.got(VenueAmendReject)))
        after = bench.link.facts()["used"]["REQUEST_WEIGHT_1M"]
        assert after - before in {4, 4 - before}, "a minute may have begun meanwhile"
