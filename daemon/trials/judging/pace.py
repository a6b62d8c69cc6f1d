"""How a bot behaves in calm water: what the trials compare it with."""

from collections.abc import Mapping
from itertools import pairwise
from math import inf

import msgspec

from daemon.trials.judging.observation import S_NS, Observation

REPLACED_S = 4


class OrderPace(msgspec.Struct, frozen=True, kw_only=True):
    """Taken from the first trial of a run, in which nothing is done to the bot."""

    orders: int = 0
    seconds: float = 1.0
    peak_per_s: int = 0
    """Most placements within one second."""
    longest_gap_s: float = inf
    """Between two placements; the whole trial when there was at most one, endless when the pace is
    not known."""
    replaces: frozenset[tuple[str, str]] = frozenset()
    """(symbol, side) on which each fill was followed by a new order within REPLACED_S."""
    most_open: Mapping[tuple[str, str], int] = msgspec.field(default_factory=dict)
    """(symbol, side) -> most of the bot's orders open at once."""

    @property
    def per_s(self) -> float:
        """Orders in a second, on average."""
        return self.orders / self.seconds

    def allows_open(self, key: tuple[str, str]) -> int:
        """How many orders may be open at once on a symbol and side: as in calm, and a quarter."""
        seen = self.most_open.get(key) or max(self.most_open.values(), default=1)
        return seen + seen // 4


def pace_of(observation: Observation) -> OrderPace:
    """The pace that a calm observation shows."""
    moments = [row.ts_ns for row in observation.places()]
    seconds = (observation.end_ns - observation.start_ns) / S_NS
    edges = [observation.start_ns, *moments, observation.end_ns]
    gaps = [later - earlier for earlier, later in pairwise(edges)]
    return OrderPace(
        orders=len(observation.accepted(observation.start_ns)),
        seconds=max(seconds, 1.0),
        peak_per_s=max(
            (sum(1 for other in moments if 0 <= other - one < S_NS) for one in moments), default=0
        ),
        longest_gap_s=max(gaps) / S_NS,
        replaces=_replaces(observation),
        most_open={key: count for key, (count, _) in observation.most_open().items()},
    )


def _replaces(observation: Observation) -> frozenset[tuple[str, str]]:
    known: dict[tuple[str, str], bool] = {}
    for fill in observation.fills:
        until_ns = fill.ts_ns + REPLACED_S * S_NS
        if not fill.ours or until_ns > observation.end_ns:
            continue
        key = (fill.symbol, fill.side)
        followed = any(
            (one.symbol, one.side) == key for one in observation.accepted(fill.ts_ns, until_ns)
        )
        known[key] = known.get(key, True) and followed
    return frozenset(key for key, always in known.items() if always)
