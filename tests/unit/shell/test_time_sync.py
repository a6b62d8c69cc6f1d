"""The venue's clock from round trips: the best of a batch, never a guess."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import Undecodable
from daemon.shell.link.rest_session import HttpReply
from daemon.shell.link.time_sync import TimeSync, sample_of
from daemon.venues.requests import HttpRequest
from tests.support.adapters import spot

MS = 1_000_000


class FakeClock:
    def __init__(self, now_ns: int = 0) -> None:
        self.now = now_ns

    def now_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return self.now


def reply(venue_ms: int, sent_ms: int, recv_ms: int, *, status: int = 200) -> HttpReply:
    return HttpReply(
        status=status,
        headers={},
        body=b'{"serverTime":%d}' % venue_ms,
        ts_sent_ns=sent_ms * MS,
        ts_recv_ns=recv_ms * MS,
    )


async def test_the_best_round_trip_of_a_batch_counts() -> None:
    replies = [reply(5_000, 0, 900), reply(5_510, 1_000, 1_020), reply(9_000, 2_000, 2_400)]

    async def ask(_request: HttpRequest) -> HttpReply:
        return replies.pop(0)

    clock = FakeClock(3_000 * MS)
    sync = TimeSync(clock, spot(), ask)
    assert (sync.offset_ns, sync.venue_ms()) == (0, 3_000)
    sample = await sync.measure(3)
    assert sample.round_trip_ns == 20 * MS
    assert sync.offset_ns == 4_500 * MS
    assert sync.venue_ms() == 7_500
    assert sync.engine_ns(7_500) == 3_000 * MS
    assert sync.previous is None


async def test_a_failed_batch_keeps_the_old_sample() -> None:
    replies = [reply(1_000, 0, 10), reply(0, 0, 0, status=502)]

    async def ask(_request: HttpRequest) -> HttpReply:
        return replies.pop(0)

    sync = TimeSync(FakeClock(), spot(), ask)
    good = await sync.measure(1)
    with pytest.raises(Undecodable):
        await sync.measure(1)
    assert sync.sample is good


@given(
    offset_ms=st.integers(-100_000, 100_000),
    there_ms=st.integers(0, 500),
    back_ms=st.integers(0, 500),
)
def test_the_error_is_at_most_half_the_round_trip(
    offset_ms: int, there_ms: int, back_ms: int
) -> None:
    sent = 1_000_000
    answered = sent + there_ms
    told_ms = answered + offset_ms
    sample = sample_of(reply(told_ms, sent, answered + back_ms), told_ms)
    assert abs(sample.offset_ns - offset_ms * MS) <= sample.round_trip_ns / 2
