"""Ends a course at a signal, also where the exception of the signal's handler is lost."""

import signal
import threading

from daemon.trials.bot import BotError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class CourseEnding:
    """What the signals of a terminal and of a service manager ask for: the course ends, once."""

    def __init__(self) -> None:
        self._asked = ""
        self._never = threading.Event()

    def install(self) -> None:
        """From now on SIGINT, SIGTERM and SIGHUP end the course, even where a shell ignores one."""
        for number in _SIGNALS:
            signal.signal(number, self.asked)

    def asked(self, number: int, _frame: object) -> None:
        """The handler. Later signals are ignored: they must not cut short what ends the bot.

        What a handler raises is lost where it strikes a callback of the interpreter (each import
        has one), so `pause` raises it again.

        Raises:
            BotError: always.
        """
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        self._asked = f"ended by {signal.Signals(number).name}"
        raise BotError(self._asked)

    def pause(self, seconds: float) -> None:
        """Wait so long; every wait of a course is one of these, but those that end a process.

        Raises:
            BotError: a signal has asked to end.
        """
        if not self._asked:
            self._never.wait(seconds)
        if self._asked:
            raise BotError(self._asked)
