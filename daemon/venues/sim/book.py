"""One symbol's order book: price levels in price order, orders of a level in time order.

Rules of this file:
1. Prices are kept in plain ascending lists and found by bisection: a book of a few hundred levels
   is faster so than in any tree, and the best price is at a list's end (bids) or start (asks).
2. Every visible change raises `update_id` by one and marks the level as changed for the diff feeds.
3. The book moves quantities only; money is the accounts' business.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator

from daemon.model.enums import Side
from daemon.venues.sim.sim_orders import SimOrder


class PriceLevel:
    """Orders at one price, oldest first, and their displayed sum."""

    __slots__ = ("orders", "price", "qty")

    def __init__(self, price: int) -> None:
        self.price = price
        self.qty = 0
        self.orders: dict[int, SimOrder] = {}


class BookSide:
    """One side of a book."""

    __slots__ = ("levels", "prices", "side")

    def __init__(self, side: Side) -> None:
        self.side = side
        self.levels: dict[int, PriceLevel] = {}
        self.prices: list[int] = []

    def best(self) -> PriceLevel | None:
        """The level that trades first, or None."""
        if not self.prices:
            return None
        return self.levels[self.prices[-1 if self.side is Side.BUY else 0]]

    def from_best(self) -> Iterator[PriceLevel]:
        """Levels in the order they would trade."""
        for price in reversed(self.prices) if self.side is Side.BUY else self.prices:
            yield self.levels[price]

    def add(self, order: SimOrder) -> None:
        """Rest an order behind all others of its price."""
        level = self.levels.get(order.price)
        if level is None:
            level = self.levels[order.price] = PriceLevel(order.price)
            insort(self.prices, order.price)
        level.orders[order.order_id] = order
        level.qty += order.visible

    def shrink(self, order: SimOrder, visible: int) -> None:
        """Set what an order shows; zero takes it off the book."""
        level = self.levels[order.price]
        level.qty += visible - order.visible
        order.visible = visible
        if visible == 0:
            del level.orders[order.order_id]
            if not level.orders:
                del self.levels[order.price]
                del self.prices[bisect_left(self.prices, order.price)]

    def requeue(self, order: SimOrder) -> None:
        """Send an order to the end of its level (an iceberg's next part loses its place)."""
        level = self.levels[order.price]
        del level.orders[order.order_id]
        level.orders[order.order_id] = order


class OrderBook:
    """Both sides, with update ids and the feeds' marks of changed levels."""

    def __init__(self, symbol: str, first_update_id: int) -> None:
        self.symbol = symbol
        self.bids = BookSide(Side.BUY)
        self.asks = BookSide(Side.SELL)
        self.update_id = first_update_id
        self.feeds: list[DepthFeed] = []

    def side(self, side: Side) -> BookSide:
        """Where orders of this side rest."""
        return self.bids if side is Side.BUY else self.asks

    def add(self, order: SimOrder) -> None:
        """Rest an order; it shows its iceberg part, or all that is left."""
        order.visible = _shown(order)
        self.side(order.side).add(order)
        self._touch(order.side, order.price)

    def reduce(self, order: SimOrder) -> None:
        """Bring the book in line with an order whose `leaves` fell (fill, prevention, amend)."""
        side = self.side(order.side)
        level = side.levels[order.price]
        shown_before = order.visible
        if order.iceberg_qty:
            # Fills eat the shown part first; an empty part is refilled at the end of the queue.
            traded_out = (order.qty - order.leaves) % order.iceberg_qty == 0
            side.shrink(order, _shown(order))
            if traded_out and order.visible and len(level.orders) > 1:
                side.requeue(order)
        else:
            side.shrink(order, order.leaves)
        if order.visible != shown_before:
            self._touch(order.side, order.price)

    def remove(self, order: SimOrder) -> None:
        """Take an order off the book."""
        if order.visible:
            self.side(order.side).shrink(order, 0)
            self._touch(order.side, order.price)

    def level_qty(self, side: Side, price: int) -> int:
        """Displayed quantity at a price; 0 when the level is gone."""
        level = self.side(side).levels.get(price)
        return level.qty if level else 0

    def snapshot(self, limit: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """(price, qty) rows of bids and asks, best first."""
        bids = [
            (price, self.bids.levels[price].qty) for price in self.bids.prices[: -limit - 1 : -1]
        ]
        asks = [(price, self.asks.levels[price].qty) for price in self.asks.prices[:limit]]
        return bids, asks

    def _touch(self, side: Side, price: int) -> None:
        self.update_id += 1
        for feed in self.feeds:
            feed.changed[(side, price)] = None


class DepthFeed:
    """One diff-depth cadence (100 ms or 1000 ms): which levels changed since the last event."""

    def __init__(self, book: OrderBook) -> None:
        self._book = book
        self.changed: dict[tuple[Side, int], None] = {}
        self.last_update_id = book.update_id
        book.feeds.append(self)

    def take(self) -> tuple[int, int, list[tuple[int, int]], list[tuple[int, int]]] | None:
        """(U, u, bids, asks) with absolute quantities, or None when nothing changed."""
        if not self.changed:
            return None
        first, last = self.last_update_id + 1, self._book.update_id
        self.last_update_id = last
        bids: list[tuple[int, int]] = []
        asks: list[tuple[int, int]] = []
        for side, price in self.changed:
            rows = bids if side is Side.BUY else asks
            rows.append((price, self._book.level_qty(side, price)))
        self.changed = {}
        bids.sort(reverse=True)
        asks.sort()
        return first, last, bids, asks


def _shown(order: SimOrder) -> int:
    leaves = order.leaves
    if not order.iceberg_qty or leaves == 0:
        return leaves
    part_left = order.iceberg_qty - (order.qty - leaves) % order.iceberg_qty
    return min(part_left, leaves)
