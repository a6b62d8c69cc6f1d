"""The emergency stops of a set of venues, as one stop. A venue that fails holds no other.

Rules of this file:
1. All venues are asked at once; the answer comes when the last one has answered or given up.
2. "Empty" and "of ours" are said of all venues, or not said: one that could not be asked makes the
   sum unknown, and its reason stands under its name.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from daemon.shell.stop.emergency_stop import KillReport, OnRound


class VenueStop(Protocol):
    """What a kill needs: `EmergencyStop` for one venue, `EmergencyStops` for several."""

    async def keep_warm(
        self, period_s: float = 20.0, may: Callable[[], bool] = lambda: True
    ) -> None:
        """Keep the connections open while `may`, until cancelled."""

    async def close(self) -> None:
        """Close the connections."""

    async def cancel_and_verify(
        self, *, deadline_s: float, on_round: OnRound | None = None
    ) -> KillReport:
        """Cancel everything of ours and poll until nothing is shown, twice in a row."""


def stop_of(stops: Mapping[str, VenueStop]) -> VenueStop:
    """One stop over these, by venue; one alone is itself."""
    return next(iter(stops.values())) if len(stops) == 1 else EmergencyStops(stops)


class EmergencyStops:
    """See the rules of this file. One loop owns it, as each of its parts."""

    def __init__(self, stops: Mapping[str, VenueStop]) -> None:
        self._stops = dict(stops)

    async def keep_warm(
        self, period_s: float = 20.0, may: Callable[[], bool] = lambda: True
    ) -> None:
        """Keep all warm."""
        await asyncio.gather(*(one.keep_warm(period_s, may) for one in self._stops.values()))

    async def close(self) -> None:
        """Close all."""
        await asyncio.gather(*(one.close() for one in self._stops.values()))

    async def cancel_and_verify(
        self, *, deadline_s: float, on_round: OnRound | None = None
    ) -> KillReport:
        """Stop at every venue; the report is about all of them."""
        seen: dict[str, tuple[int, int]] = {}

        def hearing(venue: str) -> OnRound:
            def on(canceled: int, remaining: int) -> None:
                seen[venue] = (canceled, remaining)
                if on_round is not None and len(seen) == len(self._stops):
                    on_round(sum(c for c, _ in seen.values()), sum(r for _, r in seen.values()))

            return on

        reports = await asyncio.gather(
            *(
                stop.cancel_and_verify(deadline_s=deadline_s, on_round=hearing(venue))
                for venue, stop in self._stops.items()
            )
        )
        return _together(dict(zip(self._stops, reports, strict=True)))


def _together(reports: Mapping[str, KillReport]) -> KillReport:
    each = list(reports.values())
    first = [one.first_cancel_ns for one in each if one.first_cancel_ns is not None]
    last = [one.last_cancel_ns for one in each if one.last_cancel_ns is not None]
    empty = [one.verified_empty_ns for one in each if one.verified_empty_ns is not None]
    return KillReport(
        started_ns=min(one.started_ns for one in each),
        first_cancel_ns=min(first, default=None),
        last_cancel_ns=max(last, default=None),
        verified_empty_ns=max(empty) if len(empty) == len(each) else None,
        canceled=sum(one.canceled for one in each),
        remaining=_sum(one.remaining for one in each),
        others=_sum(one.others for one in each),
        silent_until_ns=max(one.silent_until_ns for one in each),
        rounds=sum(one.rounds for one in each),
        errors=tuple(f"{venue}: {text}" for venue, one in reports.items() for text in one.errors),
    )


def _sum(counts: Iterable[int]) -> int:
    """-1 stands for a venue that could not be asked: then the sum is not known either."""
    known = list(counts)
    return -1 if -1 in known else sum(known)
