"""Every signal has an answer, and an end that nobody makes is made by the signal thread."""

import signal

import pytest

from daemon.shell.process.signals import (
    EXIT_UNCLEAN,
    SignalAnswer,
    SignalThread,
    answer_to,
    answered,
    stacks,
)


class Ending:
    """A daemon that does what it is told, or nothing."""

    def __init__(self, overdue_s: float) -> None:
        self.overdue_s = overdue_s
        self.told: list[str] = []

    def request_end(self, name: str) -> float:
        self.told.append(f"end {name}")
        return self.overdue_s

    def request_exit(self, name: str) -> None:
        self.told.append(f"exit {name}")

    def cancel_without_main_loop(self, why: str) -> None:
        self.told.append(f"cancel: {why}")
        raise OSError("the venue is down")


def test_every_signal_of_this_kernel_has_an_answer() -> None:
    assert all(answer_to(number)[1] for number in signal.valid_signals())


def test_no_signal_that_would_end_or_stop_the_process_is_left_to_the_kernel() -> None:
    crashes_or_harmless = {
        "SIGKILL", "SIGSTOP", "SIGCONT", "SIGCHLD", "SIGURG", "SIGWINCH", "SIGSEGV", "SIGBUS",
        "SIGFPE", "SIGILL", "SIGSYS", "SIGTRAP", "SIGABRT", "SIGPIPE", "SIGXFSZ",
    }  # fmt: skip
    left = {
        signal.Signals(number).name
        for number in signal.valid_signals()
        if answer_to(number)[0] is SignalAnswer.KERNEL
    }
    assert left == crashes_or_harmless


def test_what_was_ignored_when_we_were_started_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in answered()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
        assert signal.SIGHUP in answered()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_the_first_asks_the_second_hurries_the_third_ends(number: signal.Signals) -> None:
    exits: list[int] = []
    daemon, thread = Ending(60.0), SignalThread(exit_now=exits.append)
    thread.serve(daemon)
    thread.on_signal(number)
    assert daemon.told == [f"end {number.name}"]
    thread.on_signal(signal.SIGTERM)
    assert daemon.told[1:] == ["exit second SIGTERM"]
    assert exits == []
    thread.on_signal(number)
    assert exits == [EXIT_UNCLEAN]


def test_an_end_that_does_not_come_is_made_even_where_the_venue_is_down() -> None:
    exits: list[int] = []
    daemon, thread = Ending(0.0), SignalThread(exit_now=exits.append)
    thread.serve(daemon)
    thread.on_signal(signal.SIGTERM)
    thread.look()
    assert daemon.told[-1].startswith("cancel: SIGTERM")
    assert exits == [EXIT_UNCLEAN]


def test_before_anything_is_connected_a_signal_ends_the_boot() -> None:
    exits: list[int] = []
    SignalThread(exit_now=exits.append).on_signal(signal.SIGTERM)
    assert exits == [0]


def test_a_process_that_closes_keeps_its_exit_code_and_has_a_deadline() -> None:
    exits: list[int] = []
    daemon, thread = Ending(60.0), SignalThread(exit_now=exits.append)
    thread.serve(daemon)
    thread.closing(60.0, 1)
    thread.look()
    thread.on_signal(signal.SIGTERM)
    assert (exits, daemon.told) == ([], [])
    thread.closing(0.0, 1)
    thread.look()
    assert (exits, daemon.told) == ([1], [])


def test_signals_that_change_nothing_reach_no_daemon() -> None:
    exits: list[int] = []
    daemon, thread = Ending(0.0), SignalThread(exit_now=exits.append)
    thread.serve(daemon)
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTSTP, signal.SIGRTMIN + 3):
        thread.on_signal(number)
        thread.look()
    assert (exits, daemon.told) == ([], [])


def test_a_dump_names_every_thread() -> None:
    assert "test_a_dump_names_every_thread" in stacks()
