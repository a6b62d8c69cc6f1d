"""What each signal does to the daemon, and the thread that answers them.

Rules of this file:
1. `ANSWERS` has a row for every signal of this kernel; a test walks them.
2. The signals that we answer are blocked in every thread and taken by one thread of their own
   (sigwait): a main loop that hangs in a strategy does not delay the answer.
3. An orderly end has a deadline. When the main loop has not ended the process by then, a second
   thread closes the gate, cancels at the venue itself, and ends the process.
"""

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import FrameType
from typing import Final, Protocol

from daemon.shell.process.clock import monotonic_s

log = logging.getLogger("seatriald.signals")

WAIT_S: Final = 0.2
"""How often the second thread looks at the deadline."""
SECOND_SIGNAL_S: Final = 8.0
"""So long a second signal gives the main loop to close the gate, cancel and end."""
EXIT_UNCLEAN: Final = 70
"""The exit code of a process whose main loop did not end it; systemd then cancels anew."""


class SignalAnswer(StrEnum):
    """What a signal does."""

    END = "end"
    """Orderly end: no new order, cancel ours, verify, exit. A second one: cancel and exit now; a
    third one: exit at once."""
    DUMP_AND_END = "dump and end"
    """As END, and first the stack of every thread goes to the log."""
    DUMP = "dump"
    """The stack of every thread goes to the log; trading goes on."""
    IGNORE = "ignore"
    """One line in the log; trading goes on."""
    KERNEL = "kernel"
    """Not ours to answer: it cannot be caught, means a crash, or does nothing by default."""


ANSWERS: Final[Mapping[signal.Signals, tuple[SignalAnswer, str]]] = {
    signal.SIGTERM: (SignalAnswer.END, "systemd, kill(1)"),
    signal.SIGINT: (SignalAnswer.END, "Ctrl-C"),
    signal.SIGHUP: (SignalAnswer.END, "the terminal is gone; orders must not stay behind alone"),
    signal.SIGPWR: (SignalAnswer.END, "power fails"),
    signal.SIGXCPU: (SignalAnswer.END, "the CPU limit is reached; the kernel kills a second later"),
    signal.SIGQUIT: (SignalAnswer.DUMP_AND_END, "Ctrl-\\: somebody thinks that we hang"),
    signal.SIGUSR1: (SignalAnswer.DUMP, "show where every thread is"),
    signal.SIGUSR2: (SignalAnswer.IGNORE, "reserved"),
    signal.SIGALRM: (SignalAnswer.IGNORE, "no timer of ours sends it"),
    signal.SIGVTALRM: (SignalAnswer.IGNORE, "no timer of ours sends it"),
    signal.SIGPROF: (SignalAnswer.IGNORE, "a profiler's"),
    signal.SIGIO: (SignalAnswer.IGNORE, "nothing of ours asks for it"),
    signal.SIGSTKFLT: (SignalAnswer.IGNORE, "no kernel sends it"),
    signal.SIGTSTP: (
        SignalAnswer.IGNORE,
        "Ctrl-Z: a daemon that stands still cannot stop its orders",
    ),
    signal.SIGTTIN: (
        SignalAnswer.IGNORE,
        "reading a terminal in the background gives an error instead",
    ),
    signal.SIGTTOU: (SignalAnswer.IGNORE, "writing to a terminal in the background goes on"),
    signal.SIGPIPE: (SignalAnswer.KERNEL, "Python ignores it: a write to a dead pipe is an error"),
    signal.SIGXFSZ: (
        SignalAnswer.KERNEL,
        "Python ignores it: a write beyond the limit is an error",
    ),
    signal.SIGKILL: (
        SignalAnswer.KERNEL,
        "cannot be caught; the unit cancels, the next boot recovers",
    ),
    signal.SIGSTOP: (
        SignalAnswer.KERNEL,
        "cannot be caught; `kill --direct` stops a stopped daemon",
    ),
    signal.SIGCONT: (SignalAnswer.KERNEL, "goes on after SIGSTOP"),
    signal.SIGCHLD: (SignalAnswer.KERNEL, "does nothing"),
    signal.SIGURG: (SignalAnswer.KERNEL, "does nothing"),
    signal.SIGWINCH: (SignalAnswer.KERNEL, "does nothing"),
    signal.SIGSEGV: (SignalAnswer.KERNEL, "a crash; the unit cancels, the next boot recovers"),
    signal.SIGBUS: (SignalAnswer.KERNEL, "a crash"),
    signal.SIGFPE: (SignalAnswer.KERNEL, "a crash"),
    signal.SIGILL: (SignalAnswer.KERNEL, "a crash"),
    signal.SIGSYS: (SignalAnswer.KERNEL, "a crash"),
    signal.SIGTRAP: (SignalAnswer.KERNEL, "a debugger's"),
    signal.SIGABRT: (SignalAnswer.KERNEL, "systemd's watchdog; the unit cancels"),
}
_REAL_TIME = (SignalAnswer.IGNORE, "nothing of ours uses real-time signals")


def answer_to(number: int) -> tuple[SignalAnswer, str]:
    """What a signal does, and why."""
    if signal.SIGRTMIN <= number <= signal.SIGRTMAX:
        return _REAL_TIME
    return ANSWERS[signal.Signals(number)]


def answered() -> frozenset[int]:
    """The signals that the thread takes.

    One that was ignored when we were started stays ignored: that is how `nohup` asks.
    """
    return frozenset(
        int(number)
        for number in signal.valid_signals()
        if answer_to(number)[0] is not SignalAnswer.KERNEL
        and signal.getsignal(number) is not signal.SIG_IGN
    )


class Ended(Protocol):
    """What the thread asks of a daemon. Every method is called from the thread."""

    def request_end(self, name: str) -> float:
        """Begin an orderly end; returns after how many seconds it is overdue."""

    def request_exit(self, name: str) -> None:
        """Close the gate and leave the main loop now."""

    def cancel_without_main_loop(self, why: str) -> None:
        """Close the gate and cancel at the venue from this thread; bounded in time."""


class SignalThread:
    """Takes the signals of this process from `start` on."""

    def __init__(self, *, exit_now: Callable[[int], None] = os._exit) -> None:
        """Nothing is taken before `start`; `exit_now` ends the process with a code, at once."""
        self._exit_now = exit_now
        self._taken = answered()
        self._daemon: Ended | None = None
        self._ends = 0
        self._deadline: float | None = None
        self._why = ""
        self._code = EXIT_UNCLEAN
        self._closing = False
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._take, name="seatrial-signals", daemon=True),
            threading.Thread(target=self._look_on, name="seatrial-deadline", daemon=True),
        ]

    def start(self) -> None:
        """Block the signals in this thread and begin to take them.

        Call it before any other thread is made: a thread that does not inherit the mask would be
        given the signal, and the process would die of it.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, self._taken)
        for thread in self._threads:
            thread.start()

    def serve(self, daemon: Ended) -> None:
        """From now on an end is the daemon's to make; one that was asked for before comes now."""
        with self._lock:
            self._daemon = daemon

    def overdue_in(self, seconds: float, why: str) -> None:
        """The process has to be gone in so many seconds, or this thread ends it."""
        with self._lock:
            self._deadline, self._why = monotonic_s() + seconds, why

    def closing(self, seconds: float, exit_code: int) -> None:
        """The exit code is decided; the process has to be gone in so many seconds."""
        with self._lock:
            self._daemon, self._code, self._closing = None, exit_code, True
            self._ends = max(self._ends, 1)
            self._deadline, self._why = monotonic_s() + seconds, "closing took too long"

    def _take(self) -> None:
        # Not `sigtimedwait`: it makes up a signal when a stopped process goes on (CPython 3.11).
        while True:
            found = signal.sigwaitinfo(self._taken)
            try:
                self.on_signal(found.si_signo)
            except Exception:  # the next one must find somebody
                log.exception("signal %s was not followed", found.si_signo)

    def _look_on(self) -> None:
        never = threading.Event()
        while not never.wait(WAIT_S):
            self.look()

    def look(self) -> None:
        """End the process when its time is up."""
        with self._lock:
            overdue = self._deadline is not None and monotonic_s() >= self._deadline
            why, daemon, code = self._why, self._daemon, self._code
        if not overdue:
            return
        if daemon is not None:
            try:
                daemon.cancel_without_main_loop(why)
            except Exception:  # the process ends whatever the venue says
                log.exception("could not cancel without the main loop")
        log.critical("%s: the main loop did not end the process; it ends now", why)
        self._exit_now(code)

    def on_signal(self, number: int) -> None:
        """Do what `ANSWERS` says, then tell it."""
        answer, why = answer_to(number)
        name = _name(number)
        if answer in (SignalAnswer.END, SignalAnswer.DUMP_AND_END):
            self._end(name)
        if answer in (SignalAnswer.DUMP, SignalAnswer.DUMP_AND_END):
            log.warning("%s: every thread, as it is now\n%s", name, stacks())
        elif answer is SignalAnswer.IGNORE:
            log.warning("%s changes nothing: %s", name, why)

    def _end(self, name: str) -> None:
        with self._lock:
            daemon, code, closing = self._daemon, self._code, self._closing
            self._ends += 1
        if self._ends > 2:
            self._exit_now(code)
        elif closing:
            log.info("%s: it is ending already; again: exit at once", name)
        elif daemon is None:  # nothing is connected yet: what a boot wrote, the next boot reads
            log.warning("%s while booting: ended", name)
            self._exit_now(0)
        elif self._ends == 1:
            self.overdue_in(daemon.request_end(name), f"{name} was not followed in time")
            log.info("%s: orderly end; again: cancel and exit now", name)
        elif self._ends == 2:
            daemon.request_exit(f"second {name}")
            self.overdue_in(SECOND_SIGNAL_S, f"a second {name} was not followed in time")
            log.warning("%s again: the gate is closed; cancel and exit now", name)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def stacks() -> str:
    """Where every thread is."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames: Mapping[int, FrameType] = sys._current_frames()  # noqa: SLF001 - the documented way
    return "\n".join(
        f"thread {names.get(ident, ident)}:\n" + "".join(traceback.format_stack(frame)).rstrip()
        for ident, frame in frames.items()
    )
