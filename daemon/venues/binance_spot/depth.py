"""Depth sync: a snapshot and the diffs around it -> one true book (binance-spot.md §9).

Rules of this file:
1. Diffs are buffered until a snapshot fits; one that is older than the first diff is refused.
2. After that every diff must touch or overlap its predecessor; a gap drops the book at once.
3. A book belongs to one connection, and a connection tells its diffs in order: ids that go back
   mean that the venue counts anew. The book is dropped, and so is one whose snapshot the stream
   does not reach within BEHIND_DIFFS_MAX diffs: it was taken before the venue began anew.
4. Quantities are absolute; zero removes the level.
"""

from collections import deque
from decimal import Decimal
from enum import StrEnum

import msgspec

from daemon.errors import Undecodable
from daemon.model.amounts import ZERO
from daemon.model.enums import Side
from daemon.venues.binance_spot.amount_text import amount
from daemon.venues.binance_spot.spot_rows import decode_as
from daemon.venues.contract import Best, DepthDiff

BUFFERED_DIFFS_MAX = 10_000
BEHIND_DIFFS_MAX = 50
"""Five seconds of diffs; a snapshot is ahead of its stream by a few at most."""


class DepthState(StrEnum):
    """Whether the book may be trusted."""

    BUFFERING = "buffering"
    """Waiting for a snapshot that fits."""
    SYNCED = "synced"


class SnapshotRow(msgspec.Struct, rename="camel"):
    """`GET /depth`."""

    last_update_id: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]

    def top(self, side: Side) -> tuple[Decimal, Decimal] | None:
        """Best price and quantity of a side; None when it is empty. Raises `Undecodable`."""
        levels = self.bids if side is Side.BUY else self.asks
        return (amount(levels[0][0]), amount(levels[0][1])) if levels else None


_SNAPSHOT = msgspec.json.Decoder(SnapshotRow)


def decode_snapshot(body: bytes) -> SnapshotRow:
    """Read a depth snapshot.

    Raises:
        Undecodable: when it is none.
    """
    return decode_as(_SNAPSHOT, body, "depth")


class DepthBook:
    """One symbol's book. Feed `on_diff` at once from the stream, then `on_snapshot`."""

    __slots__ = (
        "_behind",
        "_buffer",
        "_stream_id",
        "asks",
        "bids",
        "epoch",
        "gaps",
        "resets",
        "state",
        "update_id",
    )

    def __init__(self) -> None:
        self.state = DepthState.BUFFERING
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.update_id = 0
        self.epoch = 0
        """How often the book was dropped: a snapshot asked for in an earlier epoch is void."""
        self.gaps = 0
        self.resets = 0
        """How often the venue's ids began anew."""
        self._stream_id = -1
        self._behind = 0
        self._buffer: deque[DepthDiff] = deque(maxlen=BUFFERED_DIFFS_MAX)

    @property
    def is_synced(self) -> bool:
        """Whether the book may be trusted."""
        return self.state is DepthState.SYNCED

    def on_diff(self, diff: DepthDiff) -> bool:
        """Take one diff; False when it leaves the book waiting for a snapshot."""
        if diff.last_update_id < self._stream_id:
            self.restart()
            self.resets += 1
        self._stream_id = diff.last_update_id
        return self._take(diff)

    def on_snapshot(self, snapshot: SnapshotRow) -> bool:
        """Start from a snapshot; False when it does not fit: fetch another."""
        while self._buffer and self._buffer[0].last_update_id <= snapshot.last_update_id:
            self._buffer.popleft()
        if self._buffer and self._buffer[0].first_update_id > snapshot.last_update_id + 1:
            return False
        self.bids = _side(snapshot.bids)
        self.asks = _side(snapshot.asks)
        self.update_id = snapshot.last_update_id
        self.state = DepthState.SYNCED
        self._behind = 0
        waiting = list(self._buffer)
        self._buffer.clear()
        for diff in waiting:
            self._take(diff)
        return self.state is DepthState.SYNCED

    def restart(self) -> None:
        """Forget the book: the next snapshot starts it anew."""
        self.state = DepthState.BUFFERING
        self.epoch += 1
        self.bids.clear()
        self.asks.clear()
        self._buffer.clear()

    def _take(self, diff: DepthDiff) -> bool:
        if self.state is DepthState.BUFFERING:
            self._buffer.append(diff)
            return False
        if diff.last_update_id <= self.update_id:
            self._behind += 1
            if self._behind < BEHIND_DIFFS_MAX:
                return True
            self.restart()
            self.resets += 1
        elif diff.first_update_id > self.update_id + 1:
            self.restart()
            self.gaps += 1
        else:
            self._behind = 0
            self._apply(diff)
            return True
        self._buffer.append(diff)
        return False

    def best(self) -> Best | None:
        """Best bid price and quantity, best ask price and quantity; None when not synced."""
        if self.state is not DepthState.SYNCED or not self.bids or not self.asks:
            return None
        bid, ask = max(self.bids), min(self.asks)
        return bid, self.bids[bid], ask, self.asks[ask]

    def _apply(self, diff: DepthDiff) -> None:
        try:
            _set_levels(self.bids, diff.bids)
            _set_levels(self.asks, diff.asks)
        except Undecodable:
            self.restart()  # half a diff would be a wrong book
            raise
        self.update_id = diff.last_update_id


def _side(levels: list[tuple[str, str]]) -> dict[Decimal, Decimal]:
    side: dict[Decimal, Decimal] = {}
    _set_levels(side, levels)
    return side


def _set_levels(side: dict[Decimal, Decimal], levels: list[tuple[str, str]]) -> None:
    for price_text, qty_text in levels:
        price, qty = amount(price_text), amount(qty_text)
        if price == ZERO:
            raise Undecodable("a depth level without price")
        if qty == ZERO:
            side.pop(price, None)
        else:
            side[price] = qty
