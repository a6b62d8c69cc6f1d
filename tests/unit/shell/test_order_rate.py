"""No rolling window at the venue sees more orders than its cap, however long approvals waited."""

import random
from bisect import bisect_right
from collections.abc import AsyncIterator

import pytest

from daemon.model.copies import replace
from daemon.model.effects import SendOrder, SendReplace
from daemon.model.inputs import NotSent
from daemon.shell.link.order_rate import TRAVEL_NS, OrderRate
from riskcaps.state.windows import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from riskcaps.words.capset import CapSet, SymbolCaps
from tests.support.link_bench import Bench, order, replacement, running
from tests.support.scripted_venue import ScriptedVenue, served
from tests.unit.riskcaps.kit import bare_gate

MS = 1_000_000
SYMBOLS = ("BTCUSDT", "ETHUSDT")
CAPS = CapSet(
    orders_per_second_max=8,
    orders_per_minute_max=12,
    orders_per_hour_max=40,
    orders_per_day_max=90,
    messages_per_second_max=9,
    messages_per_minute_max=36,
    symbols={symbol: SymbolCaps(orders_per_minute_max=7) for symbol in SYMBOLS},
)
WINDOWS = {
    "second": (SECOND_NS, CAPS.orders_per_second_max),
    "minute": (MINUTE_NS, CAPS.orders_per_minute_max),
    "hour": (HOUR_NS, CAPS.orders_per_hour_max),
    "day": (DAY_NS, CAPS.orders_per_day_max),
}


class World:
    """Approvals within the caps; each waits, then travels; when each arrives at the venue."""

    def __init__(self, seed: int, *, guarded: bool) -> None:
        self.rng = random.Random(seed)
        self.approved: list[tuple[int, str]] = []
        self.rate = OrderRate((lambda: CAPS) if guarded else None)
        self.arrived: list[tuple[int, str]] = []

    def run(self, steps: int = 600) -> "World":
        rng, now_ns, at_bytes_ns = self.rng, 0, 0
        for _ in range(steps):
            now_ns += rng.choice((0, 0, 1, 1, 3, 40, 130, 400, 20_000, 300_000)) * MS
            symbol = rng.choice(SYMBOLS)
            # A strategy that asks again and again is let through as soon as a window has room.
            now_ns = max(now_ns, self._room_ns(symbol))
            self.approved.append((now_ns, symbol))
            # The socket keeps their order: what waits makes all after it wait, too.
            at_bytes_ns = max(at_bytes_ns, now_ns + rng.choice((0, 0, 0, 5, 300)) * MS)
            if self.rate.refusal(symbol, at_bytes_ns):
                continue
            at_bytes_ns += rng.choice((0, 0, 2)) * MS  # between the look at the clock and the bytes
            self.rate.left(symbol, at_bytes_ns)
            self.arrived.append((at_bytes_ns + rng.randrange(TRAVEL_NS), symbol))
        self.arrived.sort()
        return self

    def _room_ns(self, symbol: str) -> int:
        """The first moment at which approvals alone have room for one more in every window."""
        own = [at for at, of in self.approved if of == symbol]
        kept = [(one, cap, [at for at, _ in self.approved]) for one, cap in WINDOWS.values()]
        kept.append((MINUTE_NS, CAPS.symbols[symbol].orders_per_minute_max, own))
        return max((at[-cap] + one + 1 for one, cap, at in kept if len(at) >= cap), default=0)


def most_in(arrived: list[int], window_ns: int) -> int:
    """Brute force over every window that begins with an order."""
    return max(bisect_right(arrived, first + window_ns) - n for n, first in enumerate(arrived))


def excess(world: World) -> dict[str, int]:
    """By how much each window of the venue went beyond its cap."""
    arrived = [at for at, _ in world.arrived]
    over = {name: most_in(arrived, length) - cap for name, (length, cap) in WINDOWS.items()}
    for symbol, caps in CAPS.symbols.items():
        own = [at for at, of in world.arrived if of == symbol]
        over[symbol] = most_in(own, MINUTE_NS) - caps.orders_per_minute_max
    return over


@pytest.mark.parametrize("seed", range(20))
def test_the_venue_never_counts_more_than_a_cap_in_any_window(seed: int) -> None:
    world = World(seed, guarded=True).run()
    assert len(world.arrived) > 200
    assert max(excess(world).values()) <= 0, excess(world)


def test_counting_approvals_alone_would_not_do_in_any_window() -> None:
    worlds = [excess(World(seed, guarded=False).run()) for seed in range(20)]
    for name in worlds[0]:
        assert max(over[name] for over in worlds) > 0, name


def test_messages_are_counted_where_they_leave_and_cancels_are_never_held_back() -> None:
    rate = OrderRate(lambda: CAPS)
    for n in range(20):
        rate.message_left(n)
    assert rate.refusal("BTCUSDT", 30).startswith("messages_per_second")
    assert not rate.refusal("BTCUSDT", SECOND_NS + TRAVEL_NS + 20)


def test_a_cap_that_is_tightened_holds_at_once() -> None:
    caps = replace(CAPS, orders_per_second_max=5)
    rate = OrderRate(lambda: caps)
    for n in range(3):
        assert not rate.refusal("BTCUSDT", n)
        rate.left("BTCUSDT", n)
    caps = replace(CAPS, orders_per_second_max=3)
    assert "cap 3" in rate.refusal("BTCUSDT", 4)
    assert not rate.refusal("BTCUSDT", SECOND_NS + TRAVEL_NS + 3)


def test_a_symbols_cap_that_is_tightened_holds_though_another_symbol_asks_first() -> None:
    caps = CAPS
    rate = OrderRate(lambda: caps)
    assert not rate.refusal("BTCUSDT", 0)
    rate.left("BTCUSDT", 0)
    caps = replace(CAPS, symbols={**CAPS.symbols, "BTCUSDT": SymbolCaps(orders_per_minute_max=1)})
    assert not rate.refusal("ETHUSDT", 1)
    assert "cap 1" in rate.refusal("BTCUSDT", 2)


@pytest.mark.parametrize("seed", range(10))
def test_what_is_known_to_fit_is_what_counting_anew_finds(seed: int) -> None:
    rng, now_ns, caps = random.Random(seed), 0, [CAPS, replace(CAPS, orders_per_second_max=3)]
    known, anew = OrderRate(lambda: caps[0]), OrderRate(lambda: replace(caps[0]))
    answers = set()
    for _ in range(400):
        now_ns += rng.choice((0, 1, 1, 3, 40, 400, 4_000, 30_000, 90_000)) * MS
        symbol, orders = rng.choice((*SYMBOLS, "BNBUSDT")), rng.choice((1, 1, 1, 2, 3))
        told = [rate.refusal(symbol, now_ns, orders) for rate in (known, anew)]
        assert told[0] == told[1]
        answers.add(told[0])
        for rate in (known, anew):
            if not told[0]:
                rate.left(symbol, now_ns, orders)
        if rng.random() < 0.1:
            caps.reverse()
        elif rng.random() < 0.2:
            for rate in (known, anew):
                rate.message_left(now_ns)
    assert len(answers) > 3  # "", and several kinds of refusals


@pytest.mark.parametrize("stamps", [(), (1,), (1, 1, 2, 900)])
def test_a_new_run_counts_what_the_runs_before_it_sent(stamps: tuple[int, ...]) -> None:
    gate = bare_gate()
    for stamp in stamps:
        gate.risk.windows.orders.add(stamp * MS)
    gate.risk.windows.cancels.add(950 * MS)
    rate = OrderRate()
    rate.follow(gate.risk, 1_000 * MS)
    assert rate._orders.counts(1_000 * MS)[1] == len(stamps)
    assert rate._messages.counts(1_000 * MS)[1] == len(stamps) + 1


@pytest.fixture
async def venue() -> AsyncIterator[ScriptedVenue]:
    async with served(ScriptedVenue()) as serving:
        yield serving


@pytest.mark.parametrize("road", ["ws", "rest"])
async def test_both_roads_keep_it_where_the_bytes_leave(venue: ScriptedVenue, road: str) -> None:
    gate = bare_gate()
    async with running(Bench(venue.base, order_road=road)) as bench:
        bench.link._governor.rate.caps = lambda: replace(gate.risk.capset, orders_per_second_max=2)
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
