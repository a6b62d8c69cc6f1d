"""Checks the stated window of the evidence against the events and the clock.

Rules of this file:
1. A window that was not stated is not checked: it is the moment of making.
2. A stated one must have a length, not reach into the future, and hold every event.
3. A time is ISO-8601 text. A number is a time in an unknown unit: it is told, not guessed.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from evidence.read.artifact_times import format_time, parse_time
from evidence.read.understanding import Doubts

WINDOW = "window"
CLOCKS_APART = timedelta(minutes=1)


class StatedWindow:
    """A stated window, or none."""

    def __init__(self, start: str | None, end: str | None, now: datetime) -> None:
        self.is_stated = bool(start or end)
        self.start = parse_time(start) if start else now
        self.end = parse_time(end) if end else now
        self.now = now

    def check(self, doubts: Doubts) -> None:
        """Report what is wrong with the window itself."""
        if not self.is_stated or self.start is None or self.end is None:
            return
        mend = "state --window-start and --window-end as the session was"
        if self.end < self.start:
            doubts.note(WINDOW, "window", "it ends before it begins", mend)
        elif self.end == self.start:
            doubts.note(WINDOW, "window", "it is empty: it begins and ends in one moment", mend)
        for name, moment in (("begins", self.start), ("ends", self.end)):
            if moment > self.now + CLOCKS_APART:
                told = f"it {name} in the future, at {format_time(moment)}"
                doubts.note(WINDOW, "window", told, mend)

    def hold(self, event: Mapping[str, object], place: str, doubts: Doubts) -> None:
        """Report an event whose time is not understood or lies outside the window."""
        stamp = event.get("ts")
        if stamp is None or stamp == "":
            if self.is_stated:
                doubts.note(WINDOW, place, "an event has no `ts`: no window holds it",
                            "write `ts` in every event")  # fmt: skip
            return
        moment = parse_time(stamp)
        if moment is None:
            what = "`ts` is no ISO-8601 time" if isinstance(stamp, str) and not _is_number(stamp) \
                else "`ts` is a number, and its unit is not told"  # fmt: skip
            doubts.note("time", place, what, "write it like 2026-01-31T12:00:00Z")
        elif self.is_stated and not self._holds(moment):
            what = "events lie outside of the window"
            doubts.note(WINDOW, place, what, "state the window that the events span")

    def _holds(self, moment: datetime) -> bool:
        return not (self.start and moment < self.start) and not (self.end and moment > self.end)


def _is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).lstrip("+-").isdigit()
