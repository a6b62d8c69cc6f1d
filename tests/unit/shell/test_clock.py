"""Engine time goes on while the machine sleeps; the wall clock may step as it likes."""

import time

import pytest

from daemon.shell.process.clock import SystemClock

NS_PER_S = 1_000_000_000
SLEPT_NS = 3_600 * NS_PER_S


def test_a_suspend_is_a_gap_and_no_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    before_ns, short_ns = clock.now_ns(), clock.monotonic_ns()
    really, wall = time.clock_gettime_ns, time.time_ns  # noqa: TID251

    def after_sleep(which: int) -> int:
        """As Linux answers after an hour of sleep: CLOCK_BOOTTIME alone has gone on."""
        return really(which) + (SLEPT_NS if which == time.CLOCK_BOOTTIME else 0)

    monkeypatch.setattr(time, "clock_gettime_ns", after_sleep)
    monkeypatch.setattr(time, "time_ns", lambda: wall() + SLEPT_NS)
    assert clock.now_ns() - before_ns >= SLEPT_NS
    assert clock.monotonic_ns() - short_ns < 60 * NS_PER_S, "durations do not count the sleep"


@pytest.mark.parametrize("step_ns", [-SLEPT_NS, SLEPT_NS])
def test_a_step_of_the_wall_clock_moves_nothing(
    monkeypatch: pytest.MonkeyPatch, step_ns: int
) -> None:
    clock = SystemClock()
    before_ns, wall = clock.now_ns(), time.time_ns  # noqa: TID251
    monkeypatch.setattr(time, "time_ns", lambda: wall() + step_ns)
    assert 0 <= clock.now_ns() - before_ns < 60 * NS_PER_S
