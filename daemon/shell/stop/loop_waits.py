"""The waits of a stop on an event loop: the daemon's control thread, and its orderly end."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from daemon.errors import SeatrialError
from daemon.model.halt import HaltFlag
from daemon.shell.link.link_config import VenueEndpoints
from daemon.shell.process.clock import Clock
from daemon.shell.stop.emergency_transports import AT_ONCE, Call
from daemon.venues.adapter import OrderCodec, StopCodec
from daemon.venues.hosts import EndpointKind

if TYPE_CHECKING:  # a second process takes REST alone from here
    from daemon.shell.link.order_session import OrderSession


class LoopWaits:
    """See `StopWaits`."""

    are_warmed = True

    async def pause(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)

    async def on_socket(self, calls: Sequence[Call]) -> list[Any]:
        """On the running loop."""
        return await gathered(calls)

    async def on_rest(self, calls: Sequence[Call]) -> list[Any]:
        """On the running loop."""
        return await gathered(calls)

    def session(self, endpoints: VenueEndpoints, codec: StopCodec, clock: Clock) -> "OrderSession":
        """A connection over picows, with nothing to place and nobody to tell."""
        from daemon.shell.link.order_session import OrderSession  # noqa: PLC0415 - as above

        return OrderSession(
            environment=endpoints.environment,
            endpoint=endpoints.endpoint(EndpointKind.WS_API),
            codec=cast("OrderCodec", codec),  # what is asked of it here, both have
            clock=clock,
            halt=HaltFlag(),
            on_message=lambda _session, _message, _now_ns: None,
            on_lost=lambda _session, _reason: None,
        )


async def gathered(calls: Sequence[Call]) -> list[Any]:
    """Make the calls at once on the running loop; of each its answer, or its `SeatrialError`."""
    at_once = asyncio.Semaphore(AT_ONCE)

    async def one(call: Call) -> Any:
        async with at_once:
            return await call()

    answers = await asyncio.gather(*map(one, calls), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, SeatrialError):
            raise answer
    return answers
