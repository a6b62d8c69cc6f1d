"""The venue's clock against ours: offset by the best round trip of a batch (binance-spot.md §3).

The window of a request is never widened to "fix" a refused timestamp: a new sample is taken.
"""

from collections.abc import Awaitable, Callable

import msgspec

from daemon.errors import Undecodable
from daemon.model.amounts import NS_PER_MS
from daemon.shell.link.rest_session import HttpReply
from daemon.shell.process.clock import Clock
from daemon.venues.adapter import VenueAdapter
from daemon.venues.requests import HttpRequest


class ClockSample(msgspec.Struct, frozen=True):
    """Venue clock minus engine time, and the round trip that measured it."""

    offset_ns: int
    round_trip_ns: int


class TimeSync:
    """Keeps the offset. `call` performs one request of the adapter's."""

    def __init__(
        self,
        clock: Clock,
        adapter: VenueAdapter,
        call: Callable[[HttpRequest], Awaitable[HttpReply]],
    ) -> None:
        self._clock = clock
        self._adapter = adapter
        self._call = call
        self.sample: ClockSample | None = None
        self.previous: ClockSample | None = None

    @property
    def offset_ns(self) -> int:
        """Venue clock minus engine time; 0 before the first sample."""
        return 0 if self.sample is None else self.sample.offset_ns

    def venue_ms(self) -> int:
        """Venue time now, for a request's `timestamp`."""
        return (self._clock.now_ns() + self.offset_ns) // NS_PER_MS

    def engine_ns(self, venue_ms: int) -> int:
        """Engine time of a venue time in ms."""
        return venue_ms * NS_PER_MS - self.offset_ns

    async def measure(self, rounds: int) -> ClockSample:
        """Take a batch and keep its best sample.

        Raises:
            LocalRecoverableError, VenueRecoverableError: when a round fails; the old sample stays.
        """
        taken = [await self._sample() for _ in range(max(1, rounds))]
        best = min(taken, key=lambda sample: sample.round_trip_ns)
        self.previous, self.sample = self.sample, best
        return best

    async def _sample(self) -> ClockSample:
        reply = await self._call(self._adapter.encode.server_time())
        if reply.status != 200:
            raise Undecodable(f"time: status {reply.status}")
        return sample_of(reply, self._adapter.decode.time_ms(reply.body))


def sample_of(reply: HttpReply, venue_ms: int) -> ClockSample:
    """One sample: the server's time against the middle between sending and receiving."""
    middle_ns = (reply.ts_sent_ns + reply.ts_recv_ns) // 2
    return ClockSample(venue_ms * NS_PER_MS - middle_ns, reply.ts_recv_ns - reply.ts_sent_ns)
