"""Finds the lines of a journal that fit a question, oldest first, over all its files.

Rules of this file:
1. A line is looked at as text, and only where a text that it must have is found: a journal of
   gigabytes is read at the speed of a text search. A quotation mark inside of a value is escaped
   there, so no value can pass for a field.
2. It reads beside a running daemon: a last line without its newline is not there yet, and a
   segment that is packed meanwhile is read in its new form.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from daemon.shell.journal.segments import PACKED, bodies_of, lines_of, segments

CLOCK_STEP_NS = 3_600_000_000_000
"""Times may step back: a segment is passed over only where it lies further away than this."""
_TIME = b'"ts_ns":'
_TIME_WITHIN_BYTES = 200


class LineQuestion(msgspec.Struct, frozen=True):
    """What a line must have: one text of each of `groups`, none of `without`, a time between."""

    groups: tuple[tuple[bytes, ...], ...] = ()
    """The group that fits the fewest lines comes first."""
    without: tuple[bytes, ...] = ()
    since_ns: int = 0
    until_ns: int | None = None

    def fits(self, line: bytes) -> bool:
        """Whether a whole line fits."""
        if any(text in line for text in self.without):
            return False
        if not all(any(text in line for text in group) for group in self.groups):
            return False
        if not self.since_ns and self.until_ns is None:
            return True
        ts_ns = time_of(line)
        return ts_ns >= self.since_ns and (self.until_ns is None or ts_ns < self.until_ns)


def time_of(line: bytes) -> int:
    """A line's `ts_ns`; 0 where it has none."""
    at = line.find(_TIME, 0, _TIME_WITHIN_BYTES)
    digits = line[at + len(_TIME) : at + len(_TIME) + 20].partition(b",")[0]
    return int(digits) if at >= 0 and digits.isdigit() else 0


def fitting_lines(
    directory: Path,
    question: LineQuestion,
    *,
    passes: Callable[[bytes], bool] | None = None,
    on_segment: Callable[[int, int], None] = lambda _at, _of: None,
    on_long: Callable[[Path, int], None] = lambda _path, _at: None,
) -> Iterator[bytes]:
    """The lines that fit, oldest first.

    Args:
        directory: the journal's.
        question: what they must have.
        passes: a test that has to see every line in turn (it learns from them); the others are
            asked after it, and nothing is passed over.
        on_segment: told before each segment, with its number and how many there are.
        on_long: told of each line that is left out because it is too long: segment and byte.

    Raises:
        OSError: a segment cannot be read, or is packed and damaged.
    """
    found = segments(directory)
    begins = [_begin_ns(path) for path in found] if question.since_ns or question.until_ns else []
    for number, path in enumerate(found):
        on_segment(number, len(found))
        if begins and passes is None and _is_outside(begins[number : number + 2], question):
            continue
        for body in bodies_of(_as_it_is_now(path), partial(on_long, path)):
            if passes is None:
                yield from _in_body(body, question)
            else:
                lines = body.split(b"\n")
                yield from (one for one in lines if one and passes(one) and question.fits(one))


def _is_outside(begins: list[int], question: LineQuestion) -> bool:
    """Whether all of a segment lies before or after the times asked for."""
    if not all(begins):
        return False
    if question.until_ns is not None and begins[0] > question.until_ns + CLOCK_STEP_NS:
        return True
    return len(begins) > 1 and begins[1] < question.since_ns - CLOCK_STEP_NS


def _begin_ns(path: Path) -> int:
    try:
        return time_of(next(lines_of(_as_it_is_now(path)), b""))
    except FileNotFoundError:
        return 0


def _as_it_is_now(path: Path) -> Path:
    """The same segment, packed where the plain one is gone."""
    return path if path.exists() else path.with_name(path.name + PACKED)


def _in_body(body: bytes, question: LineQuestion) -> Iterable[bytes]:
    if not question.groups:
        return (line for line in body.split(b"\n") if line and question.fits(line))
    begins: set[int] = set()
    for text in question.groups[0]:
        at = body.find(text)
        while at >= 0:
            begins.add(body.rfind(b"\n", 0, at) + 1)
            at = body.find(text, body.find(b"\n", at))
    lines = (body[begin : body.index(b"\n", begin)] for begin in sorted(begins))
    return (line for line in lines if question.fits(line))
