"""No rolling second at the venue sees more orders than the cap, however long approvals waited."""

import random
from collections.abc import AsyncIterator

import pytest

from daemon.model.effects import SendOrder, SendReplace
from daemon.model.inputs import NotSent
from daemon.shell.order_rate import SECOND_NS, TRAVEL_NS, OrderRate
from riskcaps.rates import RollingCount
from tests.support.link_bench import Bench, order, replacement, running
from tests.support.scripted_venue import ScriptedVenue, served

MS = 1_000_000
CAP = 8


def arrivals(seed: int, *, guarded: bool) -> list[int]:
    """A thousand approvals within the cap; each waits here, then travels; when each arrives."""
    rng = random.Random(seed)
    approved = RollingCount(SECOND_NS)
    rate = OrderRate(lambda: CAP) if guarded else OrderRate()
    now_ns = at_bytes_ns = 0
    arrived = []
    for _ in range(1_000):
        now_ns += rng.choice((0, 1, 3, 40, 130, 400)) * MS
        if approved.count(now_ns) >= CAP:
            continue
        approved.add(now_ns)
        # The socket keeps their order: what waits makes all after it wait, too.
        at_bytes_ns = max(at_bytes_ns, now_ns + rng.choice((0, 0, 0, 5, 300)) * MS)
        if rate.refusal(at_bytes_ns):
            continue
        at_bytes_ns += rng.choice((0, 0, 2)) * MS  # between the look at the clock and the bytes
        rate.left(at_bytes_ns)
        arrived.append(at_bytes_ns + rng.randrange(TRAVEL_NS))
    return sorted(arrived)


def most_in_a_second(arrived: list[int]) -> int:
    """Brute force over every window that begins with an order."""
    return max(sum(0 <= one - first <= SECOND_NS for one in arrived) for first in arrived)


@pytest.mark.parametrize("seed", range(20))
def test_the_venue_never_counts_more_than_the_cap(seed: int) -> None:
    arrived = arrivals(seed, guarded=True)
    assert len(arrived) > 100
    assert most_in_a_second(arrived) <= CAP


def test_counting_approvals_alone_would_not_do() -> None:
    assert max(most_in_a_second(arrivals(seed, guarded=False)) for seed in range(20)) > CAP


def test_a_cap_that_is_tightened_holds_at_once() -> None:
    cap = 5
    rate = OrderRate(lambda: cap)
    for n in range(3):
        assert not rate.refusal(n)
        rate.left(n)
    cap = 3
    assert "cap 3" in rate.refusal(4)
    assert not rate.refusal(SECOND_NS + TRAVEL_NS + 1)


@pytest.fixture
async def venue() -> AsyncIterator[ScriptedVenue]:
    async with served(ScriptedVenue()) as serving:
        yield serving


@pytest.mark.parametrize("road", ["ws", "rest"])
async def test_both_roads_keep_it_where_the_bytes_leave(venue: ScriptedVenue, road: str) -> None:
    async with running(Bench(venue.base, order_road=road)) as bench:
        bench.link._governor.rate.cap = lambda: 2
        await bench.up()
        for n in range(1, 4):
            bench.link.perform(SendOrder(order(f"stabc123-1-{n}")))
        await bench.until(lambda: len(bench.got(NotSent)) == 1)
        bench.link.perform(SendReplace(replacement("stabc123-1-1", "stabc123-1-4")))
        await bench.until(lambda: len(bench.got(NotSent)) == 3)
        await bench.until(lambda: len(venue.asked("POST order") + venue.asked("order.place")) == 2)
        told = [(one.client_order_id, one.request) for one in bench.got(NotSent)]
    assert told[1:] == [("stabc123-1-1", "replace"), ("stabc123-1-4", "place")]
    assert "orders_per_second" in bench.got(NotSent)[0].reason
