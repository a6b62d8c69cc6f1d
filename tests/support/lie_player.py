"""Plays the lies of the suite, alone and two at a time: `python -m tests.support.lie_player`.

Rules of this file:
1. A lie is caught when the report is not OK. One that pays nothing leaves the report OK, and no
   finding of the honest record is less. One that only an outside anchor shows leaves it OK by the
   record and the venue's books, and is caught by heads that somebody else has kept.
2. Two lies of which one is caught must be caught together: none makes the other good. (One that
   only an outside anchor shows, or that pays nothing, may take out the very lines that gave the
   other away, or number them anew: then an outside anchor must show the two.)
"""

import argparse
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from evidence.judge.verdict import OK
from evidence.report.report import Report
from tests.support import (  # noqa: F401 - they fill the suite
    lies_of_books,
    lies_of_incidents,
    lies_of_orders,
    lies_of_runs,
    lies_of_states,
)
from tests.support.liar_story import (
    LIES,
    STORIES,
    NotHereError,
    Story,
    Told,
    findings,
    heads_off_the_box,
    judged,
    story,
)

UNFIT = (LookupError, TypeError, AttributeError, ValueError, StopIteration)


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a lie in one story."""

    story: str
    verdict: str
    reason: str
    fault: str = ""
    """Why the accountant failed; empty: it did not."""


@lru_cache
def _honest(name: str) -> Report:
    return judged(story(name))


def told_in(name: str, *lies: Told) -> Story | None:
    """The story with the lies in it, one after the other; None where one does not fit."""
    made = story(name)
    try:
        for one in lies:
            one.lie(made)
    except NotHereError:
        return None
    except UNFIT:
        if len(lies) == 1:
            raise
        return None  # the first has left nothing that the second could take hold of
    return made


def play(name: str, *lies: Told) -> Played | None:
    """Tell lies in a story and judge it; None where they do not fit."""
    made = told_in(name, *lies)
    if made is None:
        return None
    report = judged(made)
    reason = next(iter(report.reasons), "")
    is_outside = any(one.is_outside or (one.is_kept and len(lies) > 1) for one in lies)
    if report.verdict != OK:
        is_wrong = all(one.is_outside for one in lies)
        return Played(name, report.verdict, reason, "the record shows it" if is_wrong else "")
    if is_outside:  # of two, it may have taken out, or made good, what gave the other away
        report = judged(made, heads_off_the_box(story(name)))
        fault = "not even an outside anchor shows it" if report.verdict == OK else ""
        return Played(name, report.verdict, next(iter(report.reasons), ""), fault)
    if not all(one.is_kept for one in lies):
        return Played(name, OK, "", "READY")
    before, after = findings(_honest(name)), findings(report)
    lost = [what for what, count in before.items() if after[what] < count]
    return Played(name, OK, "it is told all the same", f"lost: {lost}" if lost else "")


def alone(lie: Told, stories_max: int = len(STORIES)) -> Iterator[Played]:
    """A lie in the first stories that it fits."""
    found = (play(name, lie) for name in STORIES)
    for number, played in enumerate(one for one in found if one is not None):
        if number == stories_max:
            return
        yield played


def pairs(count: int | None, seed: int = 0) -> Iterator[tuple[Told, Told]]:
    """Pairs of lies drawn at random, or all of them."""
    lies = list(LIES.values())
    if count is None:
        yield from combinations(lies, 2)
        return
    rng = random.Random(seed)
    for _ in range(count):
        one, other = rng.sample(lies, 2)
        yield one, other


def play_pair(one: Told, other: Told, seed: int = 0) -> Played | None:
    """Two lies in one of the stories that both fit, the one after the other."""
    names = list(STORIES)
    random.Random(f"{seed}/{one.name}/{other.name}").shuffle(names)
    return next((p for name in names if (p := play(name, one, other)) is not None), None)


def main() -> int:
    """Play every lie in every story, and all pairs; exit code 1 when the accountant fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.lie_player")
    parser.add_argument("--pairs", type=int, help="so many at random; default: all")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    faults = told = apart = 0
    for lie in LIES.values():
        for played in alone(lie):
            told += 1
            if played.fault:
                faults += 1
                print(f"{lie.name} in {played.story}: {played.fault}")
    print(f"{len(LIES)} lies, told {told} times in {len(STORIES)} stories")
    together = 0
    for one, other in pairs(args.pairs, args.seed):
        found = play_pair(one, other, args.seed)
        if found is None:
            apart += 1
            continue
        together += 1
        if found.fault:
            faults += 1
            print(f"{one.name} and {other.name} in {found.story}: {found.fault}")
    print(f"{together} pairs ({apart} fit no story together); the accountant failed {faults} times")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
