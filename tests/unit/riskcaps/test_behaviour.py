"""The memory of duplicates at the edges of its window and its table, and streaks of one."""

import json
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from daemon.model.position import Balance
from riskcaps.gate.interceptor import Approved
from riskcaps.state.behaviour import LATE_MAX, Behaviour, DuplicateKey
from riskcaps.words.capset import capset_from_mapping
from tests.unit.riskcaps.kit import (
    BTC,
    ETH,
    T0,
    D,
    approve,
    bare_gate,
    caps_of,
    deny,
    instrument,
    ready,
    symbol_caps,
    tell,
    top,
    wish,
)

WINDOW_NS = 1_000_000
"""The kit's `duplicate_window_ms` is 1."""


def behaviour(**changes: Any) -> Behaviour:
    made = Behaviour()
    made.set_caps(capset_from_mapping(caps_of(**changes)))
    return made


def key(number: int) -> DuplicateKey:
    return (BTC, True, D(number), D(1))


# -------------------------------------------------------------------- duplicates
def test_the_window_ends_after_its_last_nanosecond_whatever_else_was_approved() -> None:
    for others in (0, 1, LATE_MAX - 2, LATE_MAX - 1, LATE_MAX, 5 * LATE_MAX):
        memory = behaviour()
        memory.remember(key(1), T0)
        for number in range(others):
            memory.remember(key(2 + number), T0 + WINDOW_NS)
        assert memory.last_seen_ns(key(1), T0 + WINDOW_NS) == T0, others
        for number in range(others):
            at_ns = memory.last_seen_ns(key(2 + number), T0 + 2 * WINDOW_NS)
            assert at_ns == T0 + WINDOW_NS, "asked later, what was approved later is still there"
        assert memory.last_seen_ns(key(1), T0 + WINDOW_NS + 1) < 0, others


def test_a_second_order_asks_at_the_edge_of_the_first_ones_window() -> None:
    gate = ready()
    approve(gate, wish("BUY", "0.1", "99.00"))
    approve(gate, wish("BUY", "0.1", "98.00"), T0 + WINDOW_NS)
    assert deny(gate, wish("BUY", "0.1", "99.00"), T0 + WINDOW_NS) == "duplicate_order"
    approve(gate, wish("BUY", "0.1", "99.00"), T0 + WINDOW_NS + 1)


def test_the_newest_of_two_counts() -> None:
    memory = behaviour()
    memory.remember(key(1), T0)
    memory.remember(key(1), T0 + WINDOW_NS)
    assert memory.last_seen_ns(key(1), T0 + 2 * WINDOW_NS) == T0 + WINDOW_NS


@pytest.mark.parametrize("asks_every", [1, 7, 10**9])
def test_what_is_remembered_stays_bounded_through_a_day(asks_every: int) -> None:
    memory = behaviour()
    now_ns = T0
    for number in range(40 * LATE_MAX):
        now_ns += WINDOW_NS // 10
        memory.remember(key(number), now_ns)
        kept = len(memory._seen) + len(memory._late)
        assert kept <= 4 * LATE_MAX, "eleven lie in the window"
        if number % asks_every == asks_every - 1:
            assert memory.last_seen_ns(key(number), now_ns) == now_ns
            assert len(memory._late) <= LATE_MAX


def test_a_burst_in_one_window_is_forgotten_again() -> None:
    memory = behaviour()
    for number in range(3 * LATE_MAX):
        memory.remember(key(number), T0)
    assert memory.last_seen_ns(key(0), T0) == T0
    for number in range(40 * LATE_MAX):
        memory.remember(key(number), T0 + (number + 2) * WINDOW_NS)
        assert len(memory._seen) + len(memory._late) <= 8 * LATE_MAX


def test_a_checkpoint_at_the_edge_keeps_what_is_still_a_duplicate() -> None:
    memory = behaviour()
    memory.remember(key(1), T0)
    memory.remember(key(2), T0 + WINDOW_NS)
    for later_ns, still in ((WINDOW_NS, T0), (WINDOW_NS + 1, -1)):
        twin = behaviour()
        twin.restore(json.loads(json.dumps(memory.state(T0 + later_ns))))
        assert twin.last_seen_ns(key(1), T0 + WINDOW_NS) == still
        assert twin.last_seen_ns(key(2), T0 + later_ns) == T0 + WINDOW_NS


def test_a_checkpoint_replaces_what_was_remembered() -> None:
    memory, empty = behaviour(), behaviour()
    memory.remember(key(1), T0)
    assert memory.last_seen_ns(key(1), T0) == T0
    memory.remember(key(2), T0)
    memory.restore(empty.state(T0))
    memory.remember(key(3), T0)
    assert [memory.last_seen_ns(key(n), T0) for n in (1, 2, 3)] == [-1, -1, T0]


def test_the_order_of_a_checkpoint_is_not_that_of_the_table() -> None:
    memory, twin = behaviour(), behaviour()
    for number in (3, 1, 2):
        memory.remember(key(number), T0)
        twin.remember(key(4 - number), T0)
    assert memory.state(T0) == twin.state(T0)


# -------------------------------------------------------------------- streaks
def test_an_order_that_is_told_again_ends_no_streak() -> None:
    gate = ready()
    old = approve(gate, wish("BUY", "0.1", "99.00"))
    gate.risk.on_known(old, T0)
    for number in range(3):
        name = approve(gate, wish("BUY", "0.1", f"98.0{number}"))
        gate.risk.on_venue_reject(name, T0)
        gate.risk.on_known(old, T0)
    assert deny(gate, wish("BUY", "0.1", "97.00")) == "venue_reject_streak"


@pytest.mark.parametrize("limit", [1, 2])
def test_a_streak_is_told_once_when_it_reaches_its_limit(limit: int) -> None:
    """A limit of one is a limit: the first reject, the first loss is the whole streak."""
    counted = behaviour(venue_reject_streak_max=limit, loss_streak_max=limit)
    for step, cap in (
        (lambda: counted.rejected("BTCUSDT@sim"), "venue_reject_streak_max"),
        (lambda: counted.order_ended("BTCUSDT@sim", D(-1)), "loss_streak_max"),
    ):
        told = [step() for _ in range(limit + 1)]
        assert [len(notices) for notices in told] == [0] * (limit - 1) + [1, 0]
        (notice,) = told[limit - 1]
        assert (notice.kind, notice.cap, notice.action) == ("breach", cap, "halt")
        assert notice.symbol == "BTCUSDT"
        assert (notice.used, notice.limit, notice.band) == (str(limit), str(limit), 100)
        assert notice.rising
        assert cap in notice.text
        assert max(counted.streaks("BTCUSDT@sim")) >= limit


def test_a_streak_is_of_its_symbol_and_denies_nothing_on_another() -> None:
    """Nine refusals on one symbol and one on another are no ten; what trips, trips alone."""
    counted = behaviour(venue_reject_streak_max=3, loss_streak_max=3)
    for _ in range(2):
        assert counted.rejected(BTC) == counted.rejected(ETH) == ()
        assert counted.order_ended(BTC, D(-1)) == counted.order_ended(ETH, D(-1)) == ()
    counted.accepted(ETH)
    counted.order_ended(ETH, D(1))
    assert [one.symbol for one in counted.rejected(BTC)] == ["BTCUSDT"]
    assert (counted.streaks(BTC), counted.streaks(ETH)) == ((3, 2), (0, 0))


def test_a_tripped_symbol_is_denied_and_the_others_trade_and_say_so() -> None:
    gate = ready(caps_of(venue_reject_streak_max=2, venue_reject_streak_action="deny",
                         symbols={"BTCUSDT": symbol_caps(), "ETHUSDT": symbol_caps()}))  # fmt: skip
    gate.risk.on_top(top("99.00", "101.00", name=ETH), T0)
    gate.risk.on_balances([Balance("ETH", D(50), D(0))], T0)
    for price in ("98.00", "98.10"):
        gate.risk.on_venue_reject(approve(gate, wish("BUY", "0.1", price)), T0)
    assert deny(gate, wish("BUY", "0.1", "97.00")) == "venue_reject_streak"
    gate.risk.on_instruments([instrument(ETH)])
    verdict = gate.review(wish("BUY", "0.1", "98.00", instrument_id=ETH), T0)
    assert isinstance(verdict, Approved), verdict
    assert verdict.decision["standing"]["streaks"] == [0, 0, 0]


def test_answers_of_the_business_are_no_streak() -> None:
    gate = ready(caps_of(venue_reject_streak_max=2))
    for number in range(12):
        intent = wish("BUY", "0.1", f"9{number % 8}.0{number % 10}")
        name = approve(gate, intent, T0 + number * 10**8)
        assert gate.risk.on_venue_reject(name, T0, is_fault=False) == ()
    assert not gate.risk.books.holds
    assert gate.risk.behaviour.reject_streak == 0


def test_a_checkpoint_from_before_streaks_had_symbols_opens_no_latch() -> None:
    gate = ready(caps_of(venue_reject_streak_max=2))
    state = gate.state()
    state["behaviour"].pop("reject_streaks")
    state["behaviour"].pop("loss_streaks")
    state["behaviour"] |= {"reject_streak": 2, "loss_streak": 0}
    twin = bare_gate(caps_of(venue_reject_streak_max=2))
    twin.restore(state)
    tell(twin)
    assert deny(twin, wish("BUY", "0.1", "97.00")) == "venue_reject_streak"
    twin.risk.re_enable("ada", T0)
    approve(twin, wish("BUY", "0.1", "97.00"))


def test_versions_move_with_what_is_recorded_and_with_what_rule_23_may_say() -> None:
    """A streak that is short of its cap says nothing new; one that reaches it, or is gone, does."""
    rnd = random.Random(7)
    changed = {"recorded": 0, "verdict": 0}
    for _ in range(60):
        caps = {f"{name}_streak_max": rnd.choice([0, 1, 2, 3]) for name in ("venue_reject", "loss")}
        one = behaviour(**caps, executions_without_human_max=rnd.choice([1, 4]))
        moves: list[Callable[[], object]] = [
            one.executed,
            *(partial(one.accepted, name) for name in (BTC, ETH)),
            *(partial(one.rejected, name) for name in (BTC, ETH)),
            *(partial(one.order_ended, name, D(gain)) for name in (BTC, ETH) for gain in (-1, 1)),
            partial(one.restore, one.state(T0)),
        ]
        for _ in range(40):
            move = one.re_enable if rnd.random() < 0.05 else rnd.choice(moves)
            before = streaks_told(one), trips(one), one.version, one.verdict_version
            move()
            if streaks_told(one) != before[0]:
                assert one.version > before[2], move
                changed["recorded"] += 1
            if trips(one) != before[1]:
                assert one.verdict_version > before[3], move
                changed["verdict"] += 1
    assert min(changed.values()) > 100, changed


def streaks_told(one: Behaviour) -> list[Any]:
    return [one.executions_since_human, *(one.streaks(name) for name in (BTC, ETH))]


def trips(one: Behaviour) -> list[bool]:
    """Whether a count stands at its cap, of each instrument."""
    caps = (one.reject_streak_max, one.loss_streak_max)
    streaks = [
        used >= cap
        for name in (BTC, ETH)
        for used, cap in zip(one.streaks(name), caps, strict=True)
    ]
    return [one.executions_since_human >= one.executions_max, *streaks]
