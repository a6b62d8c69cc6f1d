"""Seeded worlds: the real engine and caps against the simulated venue's core.

125 with every run, two thousand with `make campaign`.

A failing seed is printed in the assertion. To look at it:

    .venv/bin/python -c "from tests.support.sim_runner import SimRun; SimRun(1234).run()"
"""

import pytest

from tests.support.sim_chaos import FaultMenu
from tests.support.sim_runner import SimRun

SEEDS_PER_CHUNK = 125
REPLAY_EVERY = 10
"""Re-stepping and recovery double a seed's time; every tenth seed has both."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "chunk", [0, *(pytest.param(one, marks=pytest.mark.campaign) for one in range(1, 16))]
)
def test_no_seed_breaks_an_invariant(chunk: int) -> None:
    orders = fills = denied = crashes = amended = refused = 0
    for seed in range(chunk * SEEDS_PER_CHUNK, (chunk + 1) * SEEDS_PER_CHUNK):
        run = SimRun(seed).run()
        if seed % REPLAY_EVERY == 0:
            run.checker.recovery()
            run.checker.replay()
        orders += run.checker.orders
        fills += run.checker.fills
        amended += run.checker.amended
        denied += run.checker.denied
        crashes += run.crashes
        refused += run.refused_locally
    # A world in which nothing happens proves nothing.
    assert orders > 10 * SEEDS_PER_CHUNK
    assert fills > 4 * SEEDS_PER_CHUNK
    assert amended > SEEDS_PER_CHUNK
    assert denied > SEEDS_PER_CHUNK
    assert crashes > SEEDS_PER_CHUNK // 25
    assert refused > SEEDS_PER_CHUNK // 2


@pytest.mark.parametrize(
    ("fault", "rate"),
    [
        ("drop_request", 0.4),
        ("drop_answer", 0.4),
        ("late_request", 0.4),
        ("drop_event", 0.4),
        ("duplicate_event", 0.6),
        ("reorder_event", 0.6),
        ("drop_query", 0.6),
        ("fail_snapshot", 0.5),
        ("refuse_locally", 0.5),
        ("lose_at_send", 0.08),
        ("disconnect", 0.08),
        ("crash", 0.05),
    ],
)
def test_each_fault_alone_and_often(fault: str, rate: float) -> None:
    struck = orders = 0
    for seed in range(5000, 5006):
        run = SimRun(seed, menu=FaultMenu(**{fault: rate})).run()
        run.checker.recovery()
        run.checker.replay()
        struck += run.faults
        orders += run.checker.orders
    assert struck > 0, "a fault that does not strike proves nothing"
    assert orders >= 6


def test_the_same_seed_is_the_same_world() -> None:
    one, other = SimRun(77).run(), SimRun(77).run()
    assert one.facts == other.facts
    assert one.engine.state_hash() == other.engine.state_hash()
