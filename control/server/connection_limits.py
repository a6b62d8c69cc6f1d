"""Limits on connections and on their rate, counted for each user separately.

Rules of this file:
1. At the bound, the user with most connections loses its idlest one: a storm pays for itself.
   Whoever has just come is spared: a kill's line may follow its connection a moment later.
2. A user above its pace is served slower, never refused a stop.
3. No I/O and no clock of its own: times are arguments, seconds of the loop.
"""

from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

import msgspec

SOURCES_MAX = 1_024


class Place(Protocol):
    """What is known of one connection."""

    in_flight: int


P = TypeVar("P", bound=Place)


class ConnectionLimits(Generic[P]):
    """Connections by user, the idlest first."""

    def __init__(self) -> None:
        self._by_uid: dict[int, OrderedDict[P, None]] = {}
        self._uids: dict[P, int] = {}

    def __len__(self) -> int:
        return len(self._uids)

    def all(self) -> list[P]:
        """All connections."""
        return list(self._uids)

    def add(self, place: P, uid: int) -> None:
        """Add a connection."""
        self._uids[place] = uid
        self._by_uid.setdefault(uid, OrderedDict())[place] = None

    def active(self, place: P) -> None:
        """Note that a connection has sent something; it becomes the last to be closed."""
        uid = self._uids.get(place)
        if uid is not None:
            self._by_uid[uid].move_to_end(place)

    def remove(self, place: P) -> None:
        """Remove a connection."""
        uid = self._uids.pop(place, None)
        if uid is None:
            return
        places = self._by_uid[uid]
        del places[place]
        if not places:
            del self._by_uid[uid]

    def idlest(self, newcomer: P | None = None) -> P | None:
        """The connection to close next.

        Spared where possible: the newcomer first of all, then who waits for an answer (its deed
        goes on without it).
        """
        if not self._by_uid:
            return None
        places = max(self._by_uid.values(), key=len)
        others = [place for place in places if place is not newcomer] or list(places)
        return next((place for place in others if not place.in_flight), others[0])


class _Bucket(msgspec.Struct):
    tokens: float
    last_s: float
    missed: int = 0


class Budget:
    """Token buckets, one for each source, bounded in number."""

    def __init__(self, burst: int, per_s: float) -> None:
        self._burst = float(burst)
        self._per_s = per_s
        self._buckets: OrderedDict[int, _Bucket] = OrderedDict()

    def spend(self, source: int, now_s: float) -> bool:
        """Take one token; False when there is none."""
        bucket = self._bucket(source, now_s)
        if bucket.tokens < 1.0:
            bucket.missed += 1
            return False
        bucket.tokens -= 1.0
        return True

    def take_missed(self, source: int) -> int:
        """How often `spend` refused since the last call."""
        bucket = self._buckets.get(source)
        if bucket is None:
            return 0
        missed, bucket.missed = bucket.missed, 0
        return missed

    def _bucket(self, source: int, now_s: float) -> _Bucket:
        bucket = self._buckets.get(source)
        if bucket is None:
            bucket = self._buckets[source] = _Bucket(self._burst, now_s)
            if len(self._buckets) > SOURCES_MAX:
                self._buckets.popitem(last=False)
            return bucket
        self._buckets.move_to_end(source)
        bucket.tokens = min(self._burst, bucket.tokens + (now_s - bucket.last_s) * self._per_s)
        bucket.last_s = now_s
        return bucket
