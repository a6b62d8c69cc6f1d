"""What bots are told of their order lists, worked out from the orders of each.

Rules of this file:
1. A list is told when all of its orders are shown (or one has traded or ended before that), before
   anything of them; its end is told when all of them have ended, after everything of them.
2. What has been told is volatile: a restart begins with the fold.
"""

from collections.abc import Iterable, Iterator

from daemon.core.bots.rows import Rows, is_shown
from daemon.core.turn_context import TurnContext
from daemon.model.bots import bot_of
from daemon.model.effects import BotListChanged, BotOrderChanged
from daemon.model.enums import OrderStatus
from daemon.model.ids import ClientOrderId
from daemon.model.orders import Order


class ListRows:
    """Remembers the orders of each list, and what was told of it."""

    def __init__(self, ctx: TurnContext, rows: Rows) -> None:
        """Share the desk."""
        self._ctx = ctx
        self._rows = rows
        self._legs: dict[str, dict[int, ClientOrderId]] = {}
        self._told: dict[str, bool] = {}
        """Lists that were told of; True: their end, too."""
        self._begun: set[str] = set()
        """Lists of which it was told that their pending orders' turn has come."""

    def begin(self) -> None:
        """A run begins: everything that the fold has counts as told."""
        for order in self._ctx.books.orders.values():
            self._note(order)
        for list_id in self._legs:
            orders = self._orders(list_id)
            if any(map(_has_begun, orders)) and any(map(is_shown, orders)):
                self._told[list_id] = _is_over(orders)
            if self._is_second_phase(list_id, orders):
                self._begun.add(list_id)

    def changes(self, touched: Iterable[Order]) -> Iterator[BotOrderChanged | BotListChanged]:
        """What has changed of these orders and of their lists; it counts as told from here on."""
        lists: dict[str, None] = {}
        for order in touched:
            if order.order_list is None:
                yield from self._rows.changes(order)
            elif order.bot_order_id:
                self._note(order)
                lists[order.order_list.list_id] = None
        for list_id in lists:
            yield from self._of_list(list_id)

    def forget_gone(self) -> None:
        """Drop what was told of lists whose orders the books no longer have."""
        orders = self._ctx.books.orders
        for list_id, legs in [*self._legs.items()]:
            if not any(cid in orders for cid in legs.values()):
                del self._legs[list_id]
                self._told.pop(list_id, None)
                self._begun.discard(list_id)

    def _of_list(self, list_id: str) -> Iterator[BotOrderChanged | BotListChanged]:
        orders = self._orders(list_id)
        if list_id not in self._told:
            is_whole = all(is_shown(order) for order in orders)
            if not is_whole and not any(_has_begun(order) for order in orders):
                return
            if any(is_shown(order) for order in orders):
                self._told[list_id] = False
                yield self._change(orders, is_done=False)
        first, *rest = orders
        yield from self._rows.changes(first)
        if self._is_second_phase(list_id, orders):
            self._begun.add(list_id)
            yield self._change(orders, is_done=False)
        for order in rest:
            yield from self._rows.changes(order)
        if self._told.get(list_id) is False and _is_over(orders):
            self._told[list_id] = True
            yield self._change(orders, is_done=True)

    def _is_second_phase(self, list_id: str, orders: list[Order]) -> bool:
        """Whether the first order of an OTO was filled, and this was not told yet."""
        leg = orders[-1].order_list
        is_told = list_id in self._begun or list_id not in self._told
        first = orders[0].status
        return leg is not None and leg.is_pending and not is_told and first is OrderStatus.FILLED

    def _change(self, orders: list[Order], *, is_done: bool) -> BotListChanged:
        rows = tuple(self._rows.row(order) for order in orders)
        bot = bot_of(orders[0].strategy_id) or ""
        return BotListChanged(bot=bot, rows=rows, is_done=is_done)

    def _orders(self, list_id: str) -> list[Order]:
        found = (self._ctx.books.orders.get(cid) for _, cid in sorted(self._legs[list_id].items()))
        return [order for order in found if order is not None]

    def _note(self, order: Order) -> None:
        if order.order_list is not None and order.bot_order_id:
            legs = self._legs.setdefault(order.order_list.list_id, {})
            legs[order.order_list.leg] = order.client_order_id


def _has_begun(order: Order) -> bool:
    """Whether there is more to tell of it than that the venue has it."""
    return order.status.is_terminal or order.cum_qty > 0


def _is_over(orders: list[Order]) -> bool:
    return all(
        order.status.is_terminal and order.venue_cum_qty <= order.cum_qty for order in orders
    )
