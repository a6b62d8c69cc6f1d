"""Rows in rising order of a key of which the newest are kept."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Row = TypeVar("Row")


class Kept(Generic[Row]):
    """At least `most` and at most twice as many rows, found by key."""

    def __init__(self, most: int, key: Callable[[Row], int]) -> None:
        self._most = most
        self._key = key
        self.rows: list[Row] = []
        self.dropped_below: int | None = None
        """Rows with smaller keys have been dropped; None: none has."""

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def append(self, row: Row) -> None:
        """Add the newest row."""
        self.rows.append(row)
        if len(self.rows) > 2 * self._most:
            del self.rows[: -self._most]
            self.dropped_below = self._key(self.rows[0])

    def clear(self) -> None:
        """Forget everything."""
        self.rows.clear()
        self.dropped_below = None

    def place_of(self, key: int) -> int:
        """Number of the first row whose key is not below `key`."""
        return bisect_left(self.rows, key, key=self._key)

    def between(self, low: int, high: int) -> Iterator[Row]:
        """Rows with low <= key < high."""
        for number in range(self.place_of(low), len(self.rows)):
            row = self.rows[number]
            if self._key(row) >= high:
                return
            yield row
