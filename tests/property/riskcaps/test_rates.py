"""Rolling windows against a list that forgets nothing: any steps of time, restarts in between.

Steps are mostly such that an event becomes exactly as old as a window, or one nanosecond older.
"""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskcaps.state.windows import (
    _PRUNE_EVERY,
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    CancelCounts,
    OrderCounts,
    RollingCount,
    RollingSum,
)

WINDOWS_NS = (SECOND_NS, MINUTE_NS, HOUR_NS, DAY_NS)
STEPS = st.one_of(
    st.sampled_from([0, 1, *(w + d for w in WINDOWS_NS for d in (-1, 0, 1))]),
    st.integers(0, 2 * DAY_NS),
    st.integers(0, 2 * MINUTE_NS),
)
"""A step to the very edge of an earlier event's window is drawn with `edge`, below."""
RUNS = st.lists(
    st.tuples(st.sampled_from(["add", "look", "edge", "restart"]), STEPS, st.integers(1, 5)),
    min_size=1,
    max_size=60,
)


def brute(events_ns: list[int], window_ns: int, now_ns: int) -> int:
    return sum(1 for at_ns in events_ns if now_ns - at_ns <= window_ns)


def to_an_edge(events_ns: list[int], now_ns: int, pick: int) -> int:
    """The next moment at which some event is exactly as old as some window, or just older."""
    edges = [at + w + d for at in events_ns[-3:] for w in WINDOWS_NS for d in (0, 1)]
    later = sorted(edge for edge in edges if edge >= now_ns)
    return later[pick % len(later)] if later else now_ns


@given(RUNS)
@settings(max_examples=150)
def test_counts_are_those_of_a_list_that_forgets_nothing(
    run: list[tuple[str, int, int]],
) -> None:
    orders, cancels, minute = OrderCounts(), CancelCounts(), RollingCount(MINUTE_NS)
    traded = RollingSum(DAY_NS)
    events_ns: list[int] = []
    amounts: list[tuple[int, Decimal]] = []
    now_ns = 10 * DAY_NS
    for kind, step_ns, times in run:
        now_ns = to_an_edge(events_ns, now_ns, times) if kind == "edge" else now_ns + step_ns
        if kind == "add":
            for n in range(times):
                for one in (orders, cancels, minute):
                    one.add(now_ns)
                traded.add(now_ns, Decimal(n + 1))
                events_ns.append(now_ns)
                amounts.append((now_ns, Decimal(n + 1)))
        if kind == "restart":
            for one in (orders, cancels, minute):
                one.restore(json.loads(json.dumps(one.state(now_ns))))
            traded.restore(json.loads(json.dumps(traded.state(now_ns))))
        assert orders.counts(now_ns) == [brute(events_ns, w, now_ns) for w in WINDOWS_NS]
        assert cancels.counts(now_ns) == [brute(events_ns, w, now_ns) for w in WINDOWS_NS[:2]]
        assert minute.count(now_ns) == brute(events_ns, MINUTE_NS, now_ns)
        assert traded.total(now_ns) == sum(
            (amount for at_ns, amount in amounts if now_ns - at_ns <= DAY_NS), Decimal(0)
        )


@pytest.mark.parametrize("step_ns", [1, SECOND_NS // 3, SECOND_NS, 50 * SECOND_NS, 100 * SECOND_NS])
def test_stamps_that_are_dropped_are_those_that_no_window_counts(step_ns: int) -> None:
    """More events than one pruning, asked now and then, and each memory stays bounded."""
    orders, cancels, minute = OrderCounts(), CancelCounts(), RollingCount(MINUTE_NS)
    events_ns: list[int] = []
    now_ns = 10 * DAY_NS
    for number in range(3 * _PRUNE_EVERY):
        now_ns += step_ns
        for one in (orders, cancels, minute):
            one.add(now_ns)
        events_ns.append(now_ns)
        if not number % 97 or number % _PRUNE_EVERY > _PRUNE_EVERY - 3:
            assert orders.counts(now_ns) == [brute(events_ns, w, now_ns) for w in WINDOWS_NS]
            assert cancels.counts(now_ns) == [brute(events_ns, w, now_ns) for w in WINDOWS_NS[:2]]
            assert minute.count(now_ns) == brute(events_ns, MINUTE_NS, now_ns)
    for one, window_ns in ((orders, DAY_NS), (cancels, MINUTE_NS), (minute, MINUTE_NS)):
        assert len(one._stamps) <= brute(events_ns, window_ns, now_ns) + _PRUNE_EVERY + 1


def test_a_sum_that_restarts_has_forgotten_what_no_longer_counts() -> None:
    traded = RollingSum(DAY_NS)
    traded.add(0, Decimal(5))
    traded.add(2, Decimal(7))
    assert traded.state(DAY_NS) == [[0, "5"], [2, "7"]]
    assert traded.state(DAY_NS + 1) == [[2, "7"]]


@pytest.mark.parametrize("step_ns", [1, 30 * SECOND_NS, 100 * SECOND_NS])
@pytest.mark.parametrize("asked_every", [1, 7, 5 * _PRUNE_EVERY])
def test_amounts_that_are_dropped_are_those_that_no_sum_counts(
    step_ns: int, asked_every: int
) -> None:
    traded = RollingSum(DAY_NS)
    amounts: list[tuple[int, int]] = []
    now_ns = 10 * DAY_NS
    for number in range(5 * _PRUNE_EVERY):
        now_ns += step_ns
        traded.add(now_ns, Decimal(number % 13))
        amounts.append((now_ns, number % 13))
        if not number % asked_every and number % 5 == 0:
            expected = sum(n for at_ns, n in amounts[-4_000:] if now_ns - at_ns <= DAY_NS)
            if step_ns > 1:
                assert traded.total(now_ns) == expected
    kept = [pair for pair in amounts if now_ns - pair[0] <= DAY_NS]
    assert traded.state(now_ns) == [[at_ns, str(n)] for at_ns, n in kept]
    assert traded.total(now_ns) == sum(n for _, n in kept)
    if asked_every == 1:
        assert len(traded._events) <= len(kept) + 2 * _PRUNE_EVERY
