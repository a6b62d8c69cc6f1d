"""Seeded worlds in which bots trade beside a strategy: nothing is lost, doubled, or told falsely.

A failing seed is printed in the assertion. To look at it:

    .venv/bin/python -c "from tests.support.sim_bots import run_world; run_world(1234)"
"""

import json
from collections import Counter

import pytest

from daemon.model.effects import CloseHalt, OpenHalt
from daemon.model.inputs import Input, Turn
from daemon.model.plain_values import from_tagged
from daemon.shell.journal.input_lines import input_text
from tests.support.sim_bots import run_world
from tests.support.sim_chaos import FaultMenu

SEEDS_PER_CHUNK = 50


@pytest.mark.slow
@pytest.mark.parametrize(
    "chunk", [0, *(pytest.param(one, marks=pytest.mark.campaign) for one in range(1, 8))]
)
def test_no_seed_tells_a_bot_what_is_not_so(chunk: int) -> None:
    counts: Counter[str] = Counter()
    for seed in range(chunk * SEEDS_PER_CHUNK, (chunk + 1) * SEEDS_PER_CHUNK):
        world = run_world(seed)
        if seed % 10 == 0:
            world.checker.recovery()
            world.checker.replay()
        counts += world.judge.counts
    # A world in which nothing happens proves nothing.
    for kind in ("BotPlace", "BotReplace", "told NEW", "told TRADE", "BotPlace denied"):
        assert counts[kind] > 2 * SEEDS_PER_CHUNK, kind
    for kind in ("BotCancel", "BotCancelAll", "told CANCELED", "told EXPIRED"):
        assert counts[kind] > SEEDS_PER_CHUNK // 5, kind
    assert counts["BotAmend"] > 0


@pytest.mark.parametrize(
    ("fault", "rate"),
    [
        ("drop_request", 0.4),
        ("drop_answer", 0.6),
        ("late_request", 0.4),
        ("drop_event", 0.5),
        ("duplicate_event", 0.6),
        ("reorder_event", 0.6),
        ("refuse_locally", 0.4),
        ("disconnect", 0.08),
        ("crash", 0.05),
    ],
)
def test_each_fault_alone_and_often(fault: str, rate: float) -> None:
    for seed in range(7000, 7004):
        world = run_world(seed, menu=FaultMenu(**{fault: rate}))
        world.checker.recovery()
        world.checker.replay()


def test_a_recorded_session_with_bots_gives_the_same_effects_from_its_lines() -> None:
    """The inputs as the journal carries them: written as text, read back, stepped again."""
    world = run_world(7300)
    again, _, halt = world.new_engine(world.run_number)
    for fact in json.loads(json.dumps(world.facts[: world.facts_at_boot])):
        again.apply_fact(fact)
    if world.facts_at_boot:
        again.finish_recovery(world.booted_ns)
    kinds = set()
    for turn, effects in world.turns:
        line = json.loads(input_text(turn.input))["input"]
        kinds.add(line["type"])
        item = from_tagged(Input, line)
        assert item == turn.input
        made = again.step(Turn(turn.seq, turn.ts_ns, item, turn.head))
        assert made == effects
        for effect in made:
            if isinstance(effect, CloseHalt):
                halt.close(effect.reason)
            elif isinstance(effect, OpenHalt):
                halt.open()
    assert {"BotPlace", "BotCancel", "BotReplace", "BotAmend"} <= kinds
    assert again.state_hash() == world.engine.state_hash()


def test_where_every_answer_is_lost_no_bot_is_told_unknown_for_what_the_stream_has_shown() -> None:
    """The table of the ten buys in small: the stream answers, so nobody asks a second time."""
    answered = unknown = 0
    for seed in range(7100, 7106):
        world = run_world(seed, menu=FaultMenu(drop_answer=1.0))
        judge = world.judge
        answered += sum(1 for one in judge.answers.values() if one.rows)
        unknown += sum(
            1
            for request in judge.unknown
            if request in judge.answers and judge.answers[request].rows
        )
    assert answered > 50
    assert unknown == 0
