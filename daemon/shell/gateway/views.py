"""What each bot may see: the gateway's own copy of its rows, on the gateway's own thread.

Rules of this file:
1. It begins with the engine's view at boot and follows the engine's effects in their order; it is
   never asked of the engine, so no read of a bot waits for the main loop or touches its state.
2. A bot's view holds its own orders, fills and balances only.
3. Open orders are all kept; of ended ones the newest `ENDED_MAX`.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from daemon.model.amounts import ZERO
from daemon.model.bots import BotFill, BotOrderRow, BotState, BotView
from daemon.model.effects import (
    BotAnswered,
    BotBalances,
    BotEffect,
    BotOrderChanged,
)
from daemon.model.enums import VenueOrderStatus
from daemon.model.ids import ClientOrderId, InstrumentId
from daemon.model.position import Balance

ENDED_MAX = 5_000
_ENDED = frozenset(
    {
        VenueOrderStatus.FILLED,
        VenueOrderStatus.CANCELED,
        VenueOrderStatus.EXPIRED,
        VenueOrderStatus.REJECTED,
    }
)


def is_ended(row: BotOrderRow) -> bool:
    """Whether the order rests no more, by the venue's own word."""
    return row.status in _ENDED and not row.in_doubt


def is_whole(row: BotOrderRow) -> bool:
    """Whether every trade that the venue has counted is in the row."""
    return sum((fill.qty for fill in row.fills), ZERO) == row.cum_qty


class OwnView:
    """Orders, fills and balances of one bot."""

    def __init__(self, view: BotView) -> None:
        self.bot = view.bot
        self.symbols = view.symbols
        self.state: BotState = view.state
        self.updated_ns = 0
        """When a balance or an order changed last, by the venue's clock."""
        self._rows: OrderedDict[ClientOrderId, BotOrderRow] = OrderedDict()
        self._newest: dict[str, ClientOrderId] = {}
        """The bot's id -> our id of the newest order under it; ended ids may be used again."""
        self._by_venue_id: dict[tuple[InstrumentId, str], ClientOrderId] = {}
        self._lists: dict[str, dict[int, ClientOrderId]] = {}
        """Our id of a list -> its orders by their legs."""
        self._ended: OrderedDict[ClientOrderId, None] = OrderedDict()
        self._balances: dict[str, Balance] = {}
        for row in view.orders:
            self.take(row)
        self.take_balances(view.balances)

    def take(self, row: BotOrderRow) -> None:
        """An order as it is now. One that never reached the venue is forgotten: it knows none."""
        own = row.own_id
        if row.status is VenueOrderStatus.REJECTED and row.venue_order_id is None:
            self._forget(own)
            return
        is_new = own not in self._rows
        self._rows[own] = row
        if is_new:
            self._newest[row.client_order_id] = own
        if row.venue_order_id is not None:
            self._by_venue_id[row.instrument_id, row.venue_order_id] = own
        if row.order_list is not None:
            self._lists.setdefault(row.order_list.list_id, {})[row.order_list.leg] = own
        self.updated_ns = max(self.updated_ns, row.ts_updated_ns)
        if is_ended(row):
            self._ended[own] = None
            while len(self._ended) > ENDED_MAX:
                self._forget(next(iter(self._ended)))
        else:
            self._ended.pop(own, None)

    def take_balances(self, rows: Iterable[Balance]) -> None:
        """Balances that changed, absolute."""
        for row in rows:
            self._balances[row.asset] = row

    def balances(self) -> list[Balance]:
        """Every asset that it knows of."""
        return list(self._balances.values())

    def find(
        self, instrument: InstrumentId, client_order_id: str, venue_order_id: str
    ) -> BotOrderRow | None:
        """An order of this bot; with both names given, both must be of the same one."""
        own = self._by_venue_id.get((instrument, venue_order_id)) if venue_order_id else None
        if venue_order_id and own is None:
            return None
        row = self._rows.get(own or self._newest.get(client_order_id) or ClientOrderId(""))
        if row is None or row.instrument_id != instrument:
            return None
        is_same = not client_order_id or row.client_order_id == client_order_id
        return row if is_same else None

    def newest(self, row: BotOrderRow) -> BotOrderRow:
        """What is known now of the order of a row."""
        return self._rows.get(row.own_id, row)

    def orders(self, instrument: InstrumentId | None = None) -> list[BotOrderRow]:
        """Every order that the venue has or had, by its id there."""
        found = [
            row
            for row in self._rows.values()
            if row.venue_order_id is not None and instrument in {None, row.instrument_id}
        ]
        return sorted(found, key=lambda row: int(row.venue_order_id or 0))

    def open_orders(self, instrument: InstrumentId | None = None) -> list[BotOrderRow]:
        """Orders that rest at the venue, as far as it has said."""
        return [
            row for row in self.orders(instrument) if row.status is not None and not is_ended(row)
        ]

    def lists(self) -> list[list[BotOrderRow]]:
        """The orders of each list that the venue has or had, by the list's id there."""
        found = [
            [self._rows[own] for _, own in sorted(legs.items())] for legs in self._lists.values()
        ]
        known = [rows for rows in found if any(row.venue_list_id for row in rows)]
        return sorted(known, key=lambda rows: max(int(row.venue_list_id or -1) for row in rows))

    def list_of(self, row: BotOrderRow) -> list[BotOrderRow]:
        """The orders of an order's list, in the order of its legs; of one on its own: none."""
        legs = {} if row.order_list is None else self._lists.get(row.order_list.list_id, {})
        return [self._rows[own] for _, own in sorted(legs.items())]

    def find_list(self, list_id: str, venue_list_id: str) -> list[BotOrderRow]:
        """The newest list of these names; with both given, both must fit. None: empty."""
        for rows in reversed(self.lists()):
            leg, venue_ids = rows[0].order_list, {row.venue_list_id for row in rows}
            is_it = leg is not None and list_id in ("", leg.bot_list_id)
            if is_it and (not venue_list_id or venue_list_id in venue_ids):
                return rows
        return []

    def fills(self, instrument: InstrumentId) -> Iterator[tuple[BotOrderRow, BotFill]]:
        """Trades of one symbol, by trade id."""
        found = [(row, fill) for row in self.orders(instrument) for fill in row.fills]
        return iter(sorted(found, key=lambda pair: pair[1].trade_id))

    def _forget(self, own: ClientOrderId) -> None:
        self._ended.pop(own, None)
        row = self._rows.pop(own, None)
        if row is None:
            return
        if self._newest.get(row.client_order_id) == own:
            del self._newest[row.client_order_id]
        at_venue = (row.instrument_id, row.venue_order_id or "")
        if self._by_venue_id.get(at_venue) == own:
            del self._by_venue_id[at_venue]
        if row.order_list is not None:
            legs = self._lists.get(row.order_list.list_id, {})
            legs.pop(row.order_list.leg, None)
            if not legs:
                self._lists.pop(row.order_list.list_id, None)


class Views:
    """The views of all bots."""

    def __init__(self, views: Iterable[BotView]) -> None:
        self._of = {view.bot: OwnView(view) for view in views}

    def __getitem__(self, bot: str) -> OwnView:
        return self._of[bot]

    def __contains__(self, bot: str) -> bool:
        return bot in self._of

    def __iter__(self) -> Iterator[OwnView]:
        return iter(self._of.values())

    def follow(self, effect: BotEffect) -> None:
        """Take what an effect tells of a bot's orders or balances."""
        view = self._of.get(effect.bot)
        if view is None:
            return
        match effect:
            case BotAnswered():
                for row in (*effect.rows, *filter(None, [effect.cancel_row])):
                    view.take(row)
            case BotOrderChanged():
                view.take(effect.row)
            case BotBalances():
                view.take_balances(effect.rows)
