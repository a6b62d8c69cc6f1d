"""How long a spinning loop looks for work; the loop and its time are the test's."""

import sys
from collections.abc import Callable, Iterator

import pytest

from daemon.model.halt import HaltFlag
from daemon.shell.process.loop_spin import SWITCH_INTERVAL_S, LoopSpin

SPIN_US = 500


class Loop:
    """Calls what is to be called soon when the test says so; a turn takes 100 µs."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.soon: list[Callable[[], None]] = []

    def monotonic_ns(self) -> int:
        return self.now_ns

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def turns_until_it_sleeps(self) -> int:
        turns = 0
        while self.soon:
            turns += 1
            self.now_ns += 100_000
            due, self.soon = self.soon, []
            for callback in due:
                callback()
        return turns


@pytest.fixture
def loop() -> Iterator[Loop]:
    made, before_s = Loop(), sys.getswitchinterval()
    yield made
    sys.setswitchinterval(before_s)


def spin_on(loop: Loop, halt: HaltFlag) -> LoopSpin:
    return LoopSpin(loop, halt, loop, SPIN_US)  # type: ignore[arg-type] # as much as it uses


def test_it_looks_for_its_time_after_the_last_work_and_then_sleeps(loop: Loop) -> None:
    spin = spin_on(loop, HaltFlag())
    assert not loop.soon
    spin.worked()
    assert loop.turns_until_it_sleeps() == 5
    spin.worked()
    loop.now_ns += 200_000
    spin.worked()
    assert len(loop.soon) == 1
    assert loop.turns_until_it_sleeps() == 5


def test_a_closed_halt_flag_ends_it_at_once(loop: Loop) -> None:
    halt = HaltFlag()
    spin = spin_on(loop, halt)
    spin.worked()
    halt.close("kill")
    assert loop.turns_until_it_sleeps() == 1
    halt.open()
    spin.worked()
    assert loop.turns_until_it_sleeps() == 5


def test_other_threads_get_the_interpreter_from_it_soon(loop: Loop) -> None:
    spin_on(loop, HaltFlag())
    assert sys.getswitchinterval() <= SWITCH_INTERVAL_S
