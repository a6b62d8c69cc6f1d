"""An order is found under whichever id the venue shows for it, and never taken for another."""

from typing import Any

import orjson
import pytest

from daemon.model.effects import OrderRef
from daemon.model.ids import ClientOrderId, VenueOrderId, instrument_id, request_id
from daemon.shell.link.rest_session import HttpReply
from daemon.shell.link.venue_requests import VenueRequests
from daemon.shell.process.clock import SystemClock
from daemon.venues.requests import HttpRequest
from tests.support.adapters import spot
from tests.support.spot_payloads import PLACED

OWN = ClientOrderId("stabc123o001k3x0000c1w3f0p9qk2m5v7xz")
OTHER = "stabc123o001k3x0000d1w3f0p9qk2m5v7xz"
DIGEST = "5d8e2h1rl4n6t0ya"


def answer(status: int, body: bytes) -> HttpReply:
    return HttpReply(status=status, headers={}, body=body, ts_sent_ns=0, ts_recv_ns=0)


class Sync:
    def venue_ms(self) -> int:
        return 1


async def found(shown: str, status: str) -> Any:
    """What `find` answers where the venue knows the order by its own number alone."""

    async def call(request: HttpRequest) -> HttpReply:
        if "origClientOrderId" in request.target:
            return answer(400, b'{"code":-2013,"msg":"Order does not exist."}')
        row = {**PLACED, "clientOrderId": shown, "status": status}
        return answer(200, orjson.dumps(row))

    ask = VenueRequests(
        call=call,
        adapter=spot(),
        sync=Sync(),  # type: ignore[arg-type] # all that is asked of it
        clock=SystemClock(),
        on_fault=lambda _: None,
    )
    return await ask.find(OrderRef(OWN, instrument_id("BTCUSDT", "sim"), VenueOrderId("77")))


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (OWN, "NEW"),
        (request_id("a", OWN, DIGEST), "NEW"),
        (request_id("c", OWN, DIGEST), "CANCELED"),
        (request_id("k", OWN, DIGEST), "CANCELED"),
        ("randomByTheVenue22", "CANCELED"),
    ],
)
async def test_a_renamed_order_is_found(shown: str, status: str) -> None:
    row = await found(shown, status)
    assert row is not None
    assert row.client_order_id == shown


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (OTHER, "NEW"),
        (OTHER, "CANCELED"),
        (request_id("a", OTHER, DIGEST), "NEW"),
        (request_id("c", OTHER, DIGEST), "CANCELED"),
        ("randomByTheVenue22", "NEW"),
    ],
)
async def test_after_a_wipe_its_number_is_anothers(shown: str, status: str) -> None:
    assert await found(shown, status) is None
