"""Garbage from a bot: a refusal of the venue's or a sound wish comes out, and quickly.

Pure Python, seeded, with every run; `make fuzz` goes deeper on the same targets.
"""

import random
import time

import pytest

from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from tests.fuzz.bot_targets import BOT_TARGETS
from tests.fuzz.mutations import mutated

RUNS = 3_000
SLOW_S = 0.5


@pytest.mark.parametrize("name", BOT_TARGETS)
def test_mutated_bytes(name: str) -> None:
    read, seeds = BOT_TARGETS[name]
    rng = random.Random(f"{name} 20261130")
    taken = refused = 0
    for number in range(RUNS):
        payload = mutated(rng, seeds) if number >= len(seeds) else seeds[number]
        begin = time.thread_time()  # CPU time: a busy machine is no finding
        try:
            read(payload)
            taken += 1
        except DialectError:
            refused += 1
        assert time.thread_time() - begin < SLOW_S, payload[:300]
    assert taken, "everything is refused: the search sees nothing"
    assert refused or name == "bot-streams", "the mutations do not hurt"
