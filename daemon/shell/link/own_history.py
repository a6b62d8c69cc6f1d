"""The account's trades since the last booked one, and whose orders they belong to.

Rules of this file:
1. Trades name no client id: it comes from the rows of their orders, looked up where unknown: a few
   one by one, many by pages of the account's order list.
2. Others may have traded ten thousand times while we were away. So much is read in one round; what
   is left is named in `unread`, and the next round goes on where this one ended.
3. History is fetched from a few ids before the last booked trade, because it lags the matching.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from daemon.model.effects import OrderRef
from daemon.model.ids import ClientOrderId, InstrumentId, VenueOrderId, is_ours, symbol_of
from daemon.model.reports import Fill
from daemon.shell.link.link_config import LinkConfig
from daemon.shell.link.venue_requests import PAGE, VenueRequests
from daemon.venues.contract import TradeRow

PAGES_A_ROUND = 10
"""Pages of trades, and of orders, that one round reads beyond the first of each symbol: 20 each."""
_ONE_BY_ONE_MAX = 5
"""Up to here a look-up for each order (4) is cheaper than a page of the order list (20)."""
_STRANGERS_MAX = 20_000

Key = tuple[str, int]


class Read(msgspec.Struct):
    """What one round has read."""

    fills: dict[str, Fill] = msgspec.field(default_factory=dict)
    foreign: set[Key] = msgspec.field(default_factory=set)
    unread: list[str] = msgspec.field(default_factory=list)


class History:
    """Reads on from round to round; what it remembers is only where it stands."""

    def __init__(self, config: LinkConfig) -> None:
        self._config = config
        self._next: dict[InstrumentId, int] = {}
        """Trades below this id were read, and their owners are known."""
        self._strangers: dict[Key, None] = {}
        """Orders with trades that the venue's own list does not show."""

    async def read(
        self, ask: VenueRequests, trades_after: Mapping[InstrumentId, int], *, instance: str
    ) -> Read:
        """Everything since the given trade ids, as far as one round goes."""
        found = Read()
        trades: list[TradeRow] = []
        stands: dict[InstrumentId, int] = {}
        pages = PAGES_A_ROUND
        for instrument_id, last_id in trades_after.items():
            if last_id < 0:
                continue
            rows, stands[instrument_id], more = await self._pages(
                ask, instrument_id, last_id, pages
            )
            pages -= more
            trades += rows
            if pages <= 0 and more:
                symbol = symbol_of(instrument_id)
                found.unread.append(f"trades of {symbol}, up to id {stands[instrument_id]} so far")
        left = await self.learn(ask, trades)
        if left:
            found.unread.append(f"{sum(left.values())} orders with trades that nobody here knows")
        for instrument_id, next_id in stands.items():
            if symbol_of(instrument_id) not in left:
                self._next[instrument_id] = next_id
        self.take(ask, trades, found, instance)
        return found

    def take(
        self, ask: VenueRequests, trades: Iterable[TradeRow], found: Read, instance: str
    ) -> None:
        """Trades as fills, those of others only counted."""
        now_ns = ask.clock.now_ns()
        for trade in trades:
            owner = ask.ids.get(trade.symbol, trade.order_id)
            if owner is None:
                if (trade.symbol, trade.order_id) in self._strangers:
                    found.foreign.add((trade.symbol, trade.order_id))
            elif instance and not is_ours(owner, instance):
                found.foreign.add((trade.symbol, trade.order_id))
            else:
                fill = ask.reader.trade(trade, owner, now_ns)
                found.fills[fill.exec_id] = fill

    async def _pages(
        self, ask: VenueRequests, instrument_id: InstrumentId, last_id: int, pages: int
    ) -> tuple[list[TradeRow], int, int]:
        """Rows, where the next round begins, and how many pages beyond the first it took.

        The first page always holds our last booked trade: it tells a wipe from a long history.
        """
        overlap = self._config.snapshot_overlap
        rows = list(await self._page(ask, instrument_id, max(0, last_id - overlap)))
        if len(rows) < PAGE:
            return rows, rows[-1].id + 1 if rows else 0, 0
        next_id = max(rows[-1].id + 1, self._next.get(instrument_id, 0) - overlap)
        for used in range(1, pages + 1):
            page = await self._page(ask, instrument_id, next_id)
            rows += page
            next_id = page[-1].id + 1 if page else next_id
            if len(page) < PAGE:
                return rows, next_id, used - 1  # the last page is the one that each round has
        return rows, next_id, max(1, pages)

    async def _page(
        self, ask: VenueRequests, instrument_id: InstrumentId, from_id: int
    ) -> Sequence[TradeRow]:
        symbol = symbol_of(instrument_id)
        request = ask.encode.trades_from(symbol, from_id, PAGE, ask.sync.venue_ms())
        body = await ask.body_of_symbol(symbol, request)
        return [] if body is None else ask.decode.trades(body)

    # ---------------------------------------------------------------- owners
    async def learn(self, ask: VenueRequests, trades: Iterable[TradeRow]) -> dict[str, int]:
        """Look up whose the trades are; how many orders of each symbol are left for later."""
        unknown: dict[str, set[int]] = {}
        for trade in trades:
            key = (trade.symbol, trade.order_id)
            if ask.ids.get(*key) is None and key not in self._strangers:
                unknown.setdefault(trade.symbol, set()).add(trade.order_id)
        left: dict[str, int] = {}
        pages = PAGES_A_ROUND
        for symbol, ids in sorted(unknown.items()):
            if len(ids) <= _ONE_BY_ONE_MAX:
                await self._one_by_one(ask, symbol, ids)
                continue
            while ids and pages > 0:
                pages -= 1
                await self._list(ask, symbol, ids)
            if ids:
                left[symbol] = len(ids)
        return left

    async def _one_by_one(self, ask: VenueRequests, symbol: str, ids: set[int]) -> None:
        for order_id in sorted(ids):
            instrument = ask.adapter.instrument(symbol)
            ref = OrderRef(ClientOrderId("-"), instrument, VenueOrderId(str(order_id)))
            row = await ask.row(ref, by_venue_id=True)
            if row is None:
                self._strange(symbol, order_id)
            else:
                ask.ids.resolve(row.symbol, row.order_id, row.client_order_id)

    async def _list(self, ask: VenueRequests, symbol: str, ids: set[int]) -> None:
        """One page of the account's orders, from the first unknown one on."""
        request = ask.encode.all_orders(symbol, min(ids), PAGE, ask.sync.venue_ms())
        body = await ask.body_of_symbol(symbol, request)
        rows = [] if body is None else ask.decode.orders(body)
        for row in rows:
            if row.order_id in ids:
                ask.ids.resolve(row.symbol, row.order_id, row.client_order_id)
                ids.discard(row.order_id)
        reached = max((row.order_id for row in rows), default=0)
        whole = len(rows) < PAGE
        for order_id in [one for one in ids if whole or one <= reached]:
            ids.discard(order_id)  # it stands in the trades and not in the list: nobody's
            self._strange(symbol, order_id)

    def _strange(self, symbol: str, order_id: int) -> None:
        if len(self._strangers) >= _STRANGERS_MAX:
            del self._strangers[next(iter(self._strangers))]
        self._strangers[symbol, order_id] = None
