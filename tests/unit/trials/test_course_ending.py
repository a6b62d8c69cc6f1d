"""A course ends at a signal, also where what the signal's handler raises is lost."""

import signal
import sys
import weakref
from collections.abc import Iterator

import pytest

from daemon.cli.course_ending import CourseEnding
from daemon.trials.bot import BotError

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_ends_the_course_and_the_next_cuts_nothing_short(number: signal.Signals) -> None:
    ending = CourseEnding()
    ending.install()
    ending.pause(0)
    with pytest.raises(BotError, match=f"ended by {number.name}"):
        signal.raise_signal(number)
    for later in ENDING:
        signal.raise_signal(later)  # raises nothing: the bot is being ended


def test_an_end_that_was_lost_in_a_callback_is_raised_by_the_next_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The interpreter ignores what is raised in a weak reference's callback; imports have one."""
    ending = CourseEnding()
    ending.install()
    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: lost.append(what.exc_type))

    class Module:
        pass

    module = Module()
    seen = weakref.ref(module, lambda _: signal.raise_signal(signal.SIGTERM))
    del module
    assert seen() is None
    assert lost == [BotError]  # nobody heard of it
    with pytest.raises(BotError, match="ended by SIGTERM"):
        ending.pause(3600)
