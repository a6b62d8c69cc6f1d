"""Orders of one account: the open and latest ones as they are, older ones packed, the oldest gone.

Rules of this file:
1. An order is packed when ORDERS_KEPT later ones have ended, and unpacked when somebody asks: it
   takes about 200 bytes instead of 2,600. Orders of lists stay as they are.
2. An order is forgotten when ORDERS_RETAINED later ones have been packed: the venue then answers
   that it does not exist, as a real venue does for what it has archived.
3. Ids rise with time within a symbol, so that a time is found as an id is.
"""

import zlib
from collections import deque
from copy import copy

import msgspec

from daemon.venues.sim.sim_orders import SimOrder

ORDERS_KEPT = 2_000
ORDERS_RETAINED = 500_000
_DECODER = msgspec.msgpack.Decoder(SimOrder)


class OrderHistory:
    """Orders by id and by client order id."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[int, SimOrder | bytes]] = {}
        self._names: dict[tuple[str, str], int] = {}
        self._ended: deque[SimOrder] = deque()
        self._older: deque[tuple[str, int]] = deque()
        """(symbol, order_id) of the ended orders before those, oldest first."""
        self._model = b""
        """An order's text that the packed ones have most of their bytes in common with."""

    def add(self, order: SimOrder) -> None:
        """A new order."""
        self._rows.setdefault(order.symbol, {})[order.order_id] = order
        self.name(order, order.client_order_id)

    def name(self, order: SimOrder, client_order_id: str) -> None:
        """The order goes by this id from now on; the latest that had an id has it."""
        self._names[(order.symbol, client_order_id)] = order.order_id

    def end(self, order: SimOrder) -> SimOrder | None:
        """The order will not change any more; the answer is the order forgotten for it, if any."""
        self._ended.append(order)
        if len(self._ended) <= ORDERS_KEPT:
            return None
        oldest = self._ended.popleft()
        if oldest.order_list is None:
            self._rows[oldest.symbol][oldest.order_id] = self._packed(oldest)
        self._older.append((oldest.symbol, oldest.order_id))
        return self._forget() if len(self._older) > ORDERS_RETAINED else None

    def _forget(self) -> SimOrder | None:
        place = self._older.popleft()
        order = self.get(*place)
        if order is None:
            return None
        if order.order_list is not None and not order.order_list.is_done:
            self._older.append(place)  # the rest of its list still works
            return None
        del self._rows[order.symbol][order.order_id]
        for name in order.client_order_ids:
            if self._names.get((order.symbol, name)) == order.order_id:
                del self._names[order.symbol, name]
        return order

    def get(self, symbol: str, order_id: int) -> SimOrder | None:
        """The order with this id."""
        row = self._rows.get(symbol, {}).get(order_id)
        if isinstance(row, bytes):
            unpacker = zlib.decompressobj(zdict=self._model)
            return _DECODER.decode(unpacker.decompress(row) + unpacker.flush())
        return row

    def named(self, symbol: str, client_order_id: str) -> SimOrder | None:
        """The latest order that went by this client order id."""
        order_id = self._names.get((symbol, client_order_id))
        return None if order_id is None else self.get(symbol, order_id)

    def ids(self, symbol: str) -> list[int]:
        """Ids of a symbol's orders, rising."""
        return list(self._rows.get(symbol, ()))

    def all(self) -> list[SimOrder]:
        """Every order, unpacked."""
        found = [self.get(symbol, one) for symbol, rows in self._rows.items() for one in rows]
        return [order for order in found if order is not None]

    def _packed(self, order: SimOrder) -> bytes:
        text = msgspec.msgpack.encode(order)
        self._model = self._model or text
        packer = zlib.compressobj(level=1, zdict=self._model)
        return packer.compress(text) + packer.flush()


def without_list(order: SimOrder) -> SimOrder:
    """A copy that can be written down: its list is written by itself."""
    alone = copy(order)
    alone.order_list = None
    return alone
