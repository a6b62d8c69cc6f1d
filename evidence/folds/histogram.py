"""Percentiles in bounded memory: logarithmic buckets under one percent, exact ends, mergeable."""

from typing import Any

import msgspec

SLOTS_MAX = 240
_SUB_BITS = 7
"""128 buckets for each power of two: a bucket is at most 0.8 % wide."""
CURVE_PER_MILLE = (1, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 950, 990, 999, 1000)


class Series(msgspec.Struct):
    """Counts over time in at most `SLOTS_MAX` slots; the slots widen as the record grows longer."""

    width_ns: int = 1_000_000_000
    slots: dict[int, int] = {}

    def add(self, ts_ns: int) -> None:
        """Count one event."""
        slot = ts_ns // self.width_ns
        self.slots[slot] = self.slots.get(slot, 0) + 1
        while len(self.slots) > SLOTS_MAX:
            self.width_ns *= 2
            wider: dict[int, int] = {}
            for key, count in self.slots.items():
                wider[key // 2] = wider.get(key // 2, 0) + count
            self.slots = wider

    def plain(self) -> dict[str, Any]:
        """Slot width and (start of slot, count) pairs."""
        points = [[slot * self.width_ns, count] for slot, count in sorted(self.slots.items())]
        return {"width_ns": self.width_ns, "points": points}


class Histogram(msgspec.Struct):
    """Non-negative integers (nanoseconds, counts). Percentiles name a bucket's upper edge."""

    buckets: dict[int, int] = {}
    count: int = 0
    low: int = 0
    high: int = 0

    def add(self, value: int, times: int = 1) -> None:
        """Count a value, so many times; below zero counts as zero."""
        value = max(value, 0)
        if not self.count or value < self.low:
            self.low = value
        self.high = max(self.high, value)
        self.count += times
        shift = value.bit_length() - _SUB_BITS - 1
        key = value if shift <= 0 else (value >> shift) + (shift << (_SUB_BITS + 1))
        self.buckets[key] = self.buckets.get(key, 0) + times

    def merge(self, other: "Histogram") -> None:
        """Add another histogram's values."""
        if other.count == 0:
            return
        self.low = other.low if self.count == 0 else min(self.low, other.low)
        self.high = max(self.high, other.high)
        self.count += other.count
        for key, count in other.buckets.items():
            self.buckets[key] = self.buckets.get(key, 0) + count

    def percentile(self, per_mille: int) -> int:
        """The value that `per_mille`/1000 of all values do not exceed (within one bucket)."""
        if self.count == 0:
            return 0
        wanted = -(-self.count * per_mille // 1000)
        seen = 0
        for key in sorted(self.buckets):
            seen += self.buckets[key]
            if seen >= wanted:
                shift = key >> (_SUB_BITS + 1)
                base = key & ((1 << (_SUB_BITS + 1)) - 1)
                return max(min(((base + 1) << shift) - 1, self.high), self.low)
        return self.high

    def curve(self) -> list[list[int]]:
        """(per mille of all values, value) pairs for a drawing of the distribution."""
        return [[p, self.percentile(p)] for p in CURVE_PER_MILLE] if self.count else []

    def plain(self) -> dict[str, Any]:
        """Count, ends and percentiles."""
        return {
            "count": self.count,
            "min": self.low,
            "p50": self.percentile(500),
            "p90": self.percentile(900),
            "p99": self.percentile(990),
            "max": self.high,
        }
