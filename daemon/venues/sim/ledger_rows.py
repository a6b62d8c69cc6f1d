"""Rows of the ledger: JSON text from the moment they are final, compressed in blocks.

Rules of this file:
1. A long session's ledger must fit into little room: a block of 128 rows takes about a tenth of
   its text, a thirtieth of the objects that the rows are made from.
2. `pieces` fixes what it will yield when it is called and yields it block by block, so that a
   reader may take its time while the venue goes on. Rows that may still change are copied then and
   rendered when their block is read.
3. The oldest blocks go when a list has more than ROWS_RETAINED rows, and `dropped` counts them:
   whoever judges by a ledger must know that its beginning is gone.
"""

import zlib
from collections import deque
from collections.abc import Callable, Iterator
from copy import copy
from typing import TypeAlias

import msgspec
import orjson

from daemon.venues.sim.sim_orders import SimOrder

Row: TypeAlias = dict[str, object]
Wanted: TypeAlias = Callable[[Row], bool]
BLOCK_ROWS = 128
ROWS_RETAINED = 1_000_000


class _Block(msgspec.Struct, frozen=True):
    """Rows that will not change: their texts joined by commas, compressed."""

    packed: bytes

    def text(self, wanted: Wanted | None) -> bytes:
        """The rows that are wanted, joined by commas."""
        text = zlib.decompress(self.packed)
        if wanted is None:
            return text
        rows: list[Row] = orjson.loads(b"[" + text + b"]")
        return b",".join(orjson.dumps(row) for row in rows if wanted(row))


def _block_of(texts: list[bytes]) -> _Block:
    return _Block(zlib.compress(b",".join(texts), 1))


def _joined(blocks: list[_Block], fresh: list[bytes], wanted: Wanted | None) -> Iterator[bytes]:
    """Pieces of a JSON list's inside; commas between rows, none at the ends.

    A block of which nothing is wanted is an empty piece, so that whoever serves turns meanwhile.
    """
    first = True
    for block in blocks:
        text = block.text(wanted)
        yield text if first or not text else b"," + text
        first = first and not text
    if fresh:
        texts = fresh if wanted is None else [one for one in fresh if wanted(orjson.loads(one))]
        text = b",".join(texts)
        yield text if first or not text else b"," + text


class PackedRows:
    """Rows that are final when they are written."""

    def __init__(self) -> None:
        self._blocks: deque[_Block] = deque()
        self._fresh: list[bytes] = []
        self.dropped = 0
        """How many of the oldest rows are gone."""

    def __len__(self) -> int:
        """How many rows there have been."""
        return self.dropped + len(self._blocks) * BLOCK_ROWS + len(self._fresh)

    def append(self, row: Row) -> None:
        """Write a row."""
        self._fresh.append(orjson.dumps(row))
        if len(self._fresh) == BLOCK_ROWS:
            self._blocks.append(_block_of(self._fresh))
            self._fresh = []
            if len(self._blocks) * BLOCK_ROWS > ROWS_RETAINED:
                self._blocks.popleft()
                self.dropped += BLOCK_ROWS

    def pieces(self, wanted: Wanted | None = None) -> Iterator[bytes]:
        """The inside of a JSON list, as it is now."""
        return _joined(list(self._blocks), self._fresh[:], wanted)


class _Sheet:
    """Up to BLOCK_ROWS orders in the order in which they were accepted."""

    __slots__ = ("entries", "open")

    def __init__(self) -> None:
        self.entries: list[SimOrder | bytes] = []
        self.open: set[int] = set()
        """Places of the orders whose rows may still change."""


class OrderRows:
    """One row per order: rendered when it is asked for, written down when the order has ended."""

    def __init__(self, render: Callable[[SimOrder], Row]) -> None:
        self._render = render
        self._sheets: list[_Sheet | _Block | None] = []
        """None: dropped."""
        self._final: deque[int] = deque()
        """Numbers of the blocks, in the order in which they became final."""
        self._count = 0
        self.dropped = 0
        """How many of the orders that ended first are gone."""

    def __len__(self) -> int:
        """How many orders there have been."""
        return self._count

    def add(self, order: SimOrder) -> None:
        """An order has been accepted."""
        order.ledger_number = self._count
        sheet = self._latest()
        sheet.open.add(len(sheet.entries))
        sheet.entries.append(order)
        self._count += 1

    def add_ended(self, row: Row) -> None:
        """An order of an earlier run, as its row says."""
        sheet = self._latest()
        sheet.entries.append(orjson.dumps(row))
        self._count += 1
        self._close_if_final(len(self._sheets) - 1)

    def _latest(self) -> _Sheet:
        if self._count % BLOCK_ROWS == 0:
            self._sheets.append(_Sheet())
        sheet = self._sheets[-1]
        if not isinstance(sheet, _Sheet):
            raise RuntimeError("venue bug: a block of orders was closed before it was full")
        return sheet

    def end(self, order: SimOrder) -> None:
        """The order's row is final now."""
        sheet = self._sheets[order.ledger_number // BLOCK_ROWS]
        place = order.ledger_number % BLOCK_ROWS
        if not isinstance(sheet, _Sheet) or sheet.entries[place] is not order:
            return
        sheet.entries[place] = orjson.dumps(self._render(order))
        sheet.open.discard(place)
        self._close_if_final(order.ledger_number // BLOCK_ROWS)

    def _close_if_final(self, number: int) -> None:
        sheet = self._sheets[number]
        if isinstance(sheet, _Sheet) and not sheet.open and len(sheet.entries) == BLOCK_ROWS:
            texts = [entry for entry in sheet.entries if isinstance(entry, bytes)]
            self._sheets[number] = _block_of(texts)
            self._final.append(number)
            if len(self._final) * BLOCK_ROWS > ROWS_RETAINED:
                self._sheets[self._final.popleft()] = None
                self.dropped += BLOCK_ROWS

    def end_all(self) -> None:
        """A wipe: no row will change any more."""
        for sheet in self._sheets[:]:
            if isinstance(sheet, _Sheet):
                for entry in sheet.entries[:]:
                    if isinstance(entry, SimOrder):
                        self.end(entry)

    def pieces(self, wanted: Wanted | None = None) -> Iterator[bytes]:
        """The inside of a JSON list, as it is now."""
        now = [
            _as_it_is(sheet) if isinstance(sheet, _Sheet) else sheet
            for sheet in self._sheets
            if sheet is not None
        ]
        return self._in_order(now, wanted)

    def _in_order(
        self, sheets: list[_Block | list[SimOrder | bytes]], wanted: Wanted | None
    ) -> Iterator[bytes]:
        first = True
        for sheet in sheets:
            if isinstance(sheet, _Block):
                pieces = _joined([sheet], [], wanted)
            else:
                pieces = _joined([], self._texts(sheet), wanted)
            for text in pieces:
                yield text if first or not text else b"," + text
                first = first and not text

    def _texts(self, entries: list[SimOrder | bytes]) -> list[bytes]:
        return [
            entry if isinstance(entry, bytes) else orjson.dumps(self._render(entry))
            for entry in entries
        ]


def _as_it_is(sheet: _Sheet) -> list[SimOrder | bytes]:
    """The rows of a sheet as they are now: later changes of its open orders do not show."""
    entries = sheet.entries[:]
    for place in sheet.open:
        order = entries[place]
        if isinstance(order, SimOrder):
            entries[place] = as_it_is(order)
    return entries


def as_it_is(order: SimOrder) -> SimOrder:
    """A copy that later changes of the order leave alone."""
    still = copy(order)
    still.amends = order.amends[:]
    return still
