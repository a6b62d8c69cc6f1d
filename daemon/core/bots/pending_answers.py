"""Requests that wait for their definite answer, and what answers them.

Rules of this file:
1. An answer is read from the fold, whichever route has proven it; silence answers nothing. How long
   its bot waits is the gateway's business: a request is forgotten here when it is answered.
2. An order that ends at once (MARKET, IOC, FOK) is answered by its end, fills complete. One that
   may rest is answered by the reply, or by what another route has proven when the reply lags.
3. A cancel is answered by the end of its order. If that is no cancellation, there was nothing to
   cancel, and the answer says so.
"""

from collections.abc import Iterable

import msgspec

from daemon.core.bots.rows import Rows, is_shown
from daemon.core.turn_context import TurnContext
from daemon.model import journal_records as journal
from daemon.model.amounts import plain
from daemon.model.bots import BotDenial, BotOrderRow, BotRefusal, DenialSource
from daemon.model.effects import ArmTimer, BotAnswered
from daemon.model.enums import OrderStatus, OrderType, TimeInForce, VenueOrderStatus
from daemon.model.ids import ClientOrderId
from daemon.model.orders import Order
from daemon.model.records import EventType

_CANCELED, _REJECTED = VenueOrderStatus.CANCELED, VenueOrderStatus.REJECTED
_UNKNOWN = OrderStatus.UNKNOWN
_MARKET, _LIMIT = OrderType.MARKET, OrderType.LIMIT
_BOT_ANSWERED = EventType.BOT_ANSWERED
"""Looked up once: on Python 3.11 a look at a member of an enum costs as much as a call."""

TIMER = "bots"
WAITING_PER_BOT_MAX = 1_000
"""The oldest is forgotten beyond it: its bot has given up long before."""
_AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)

NOT_FOUND = BotDenial(source=DenialSource.DOOR, reason=BotRefusal.ORDER_NOT_FOUND)


class Waiter(msgspec.Struct, kw_only=True):
    """One request. `placed` and `gone` are the orders whose start and end it waits for.

    `listed`: the orders of a list, in the order of its legs, which all must have started.
    """

    bot: str
    request: int
    kind: str
    asked_ns: int
    placed: ClientOrderId | None = None
    listed: tuple[ClientOrderId, ...] = ()
    gone: tuple[ClientOrderId, ...] = ()
    amended: ClientOrderId | None = None
    amends_before: int = 0
    due_ns: int = 0
    """When the reply of what another route has proven is waited for no longer; 0: not proven."""
    is_replied: bool = False
    denial: BotDenial | None = None
    """Why the placement half was refused, when that is known before the rest."""
    cancel_denial: BotDenial | None = None

    def places(self, client_order_id: ClientOrderId) -> bool:
        """Whether it waits for the start of this order."""
        return self.placed == client_order_id or client_order_id in self.listed


class PendingAnswers:
    """Waiters by request and by order."""

    def __init__(self, ctx: TurnContext, rows: Rows) -> None:
        """Nobody waits."""
        self._ctx = ctx
        self._rows = rows
        self.all: dict[int, Waiter] = {}
        self._of_order: dict[ClientOrderId, dict[int, None]] = {}
        self._armed_ns = 0

    def add(self, waiter: Waiter) -> None:
        """Wait for an answer; it may be there already at the end of this turn."""
        self.all[waiter.request] = waiter
        for cid in _orders_of(waiter):
            self._of_order.setdefault(cid, {})[waiter.request] = None
            order = self._ctx.books.orders.get(cid)
            if order is not None:
                self._ctx.books.touched[cid] = order
        if len(self.all) > WAITING_PER_BOT_MAX:
            mine = [one for one in self.all.values() if one.bot == waiter.bot]
            if len(mine) > WAITING_PER_BOT_MAX:
                self._drop(mine[0])

    # ------------------------------------------------------------------ what is heard meanwhile
    def replied(self, client_order_id: ClientOrderId) -> None:
        """The reply to a placement is here: nothing more is worth waiting for.

        It may change nothing that the stream has not proven before, and is an answer all the same.
        """
        order = self._ctx.books.orders.get(client_order_id)
        for waiter in self._on(client_order_id):
            if waiter.places(client_order_id) and order is not None:
                waiter.is_replied = True
                self._ctx.books.touched[client_order_id] = order

    def refused(self, client_order_id: ClientOrderId, denial: BotDenial) -> None:
        """A placement was refused by the venue, or never left."""
        for waiter in self._on(client_order_id):
            if waiter.places(client_order_id):
                waiter.denial = denial

    def cancel_refused(self, client_order_id: ClientOrderId, denial: BotDenial) -> None:
        """The cancel half of a replace did nothing; a plain cancel is tried again."""
        for waiter in self._on(client_order_id):
            if waiter.kind == "replace" and client_order_id in waiter.gone:
                waiter.cancel_denial = denial

    def amend_refused(self, client_order_id: ClientOrderId, denial: BotDenial) -> None:
        """An amend was refused by the venue, or never left: the order is as it was."""
        for waiter in self._on(client_order_id):
            if waiter.amended == client_order_id:
                self._answer(
                    waiter, BotAnswered(bot=waiter.bot, request=waiter.request, denial=denial)
                )

    # ------------------------------------------------------------------ the end of a turn
    def settle(self, touched: Iterable[Order]) -> None:
        """Answer whatever the fold can answer now."""
        for order in touched:
            for waiter in self._on(order.client_order_id):
                self._try(waiter)
        self._arm()

    def on_timer(self) -> None:
        """Some reply has lagged long enough."""
        self._armed_ns = 0
        for waiter in list(self.all.values()):
            if waiter.due_ns and waiter.due_ns <= self._ctx.now_ns:
                self._try(waiter)
                waiter.due_ns = 0  # still without an answer: what was proven is in doubt again
        self._arm()

    def _arm(self) -> None:
        due = min((one.due_ns for one in self.all.values() if one.due_ns), default=0)
        if due and due != self._armed_ns:
            self._armed_ns = due
            self._ctx.effects.append(ArmTimer(TIMER, max(due, self._ctx.now_ns)))

    def _try(self, waiter: Waiter) -> None:
        if waiter.request not in self.all:
            return
        answered = self._verdict(waiter)
        if answered is not None:
            self._answer(waiter, answered)

    def _verdict(self, waiter: Waiter) -> BotAnswered | None:
        """The answer, or None: nothing proves one yet."""
        books, bot, request = self._ctx.books, waiter.bot, waiter.request
        ended: list[BotOrderRow] = []
        cancel_denial = waiter.cancel_denial
        for cid in waiter.gone:
            order = books.orders.get(cid)
            if order is None or cancel_denial is not None:
                continue
            if not order.status.is_terminal or order.venue_cum_qty > order.cum_qty:
                return None
            ended.append(self._rows.row(order))
        denial, placed = waiter.denial, None
        if waiter.placed is not None and denial is None:
            order = books.orders.get(waiter.placed)
            if order is None or not self._is_placed(order, waiter):
                return None
            placed = self._rows.row(order)
            if placed.status is _REJECTED:
                denial, placed = NEVER_THERE, None
        if waiter.kind == "replace":
            if cancel_denial is None and not (ended and _was_canceled(ended[0])):
                cancel_denial = NOT_FOUND
            attempted = not (cancel_denial is not None and denial in _NOT_ATTEMPTED)
            return BotAnswered(
                bot=bot,
                request=request,
                denial=denial if attempted else None,
                rows=() if placed is None else (placed,),
                cancel_denial=cancel_denial,
                cancel_row=ended[0] if ended and cancel_denial is None else None,
            )
        if waiter.kind == "amend":
            return self._amended(waiter)
        if waiter.kind == "place_list":
            return self._list_placed(waiter)
        if waiter.kind == "place":
            rows = () if placed is None else (placed,)
            return BotAnswered(bot=bot, request=request, denial=denial, rows=rows)
        canceled = tuple(row for row in ended if _was_canceled(row))
        return BotAnswered(
            bot=bot, request=request, denial=None if canceled else NOT_FOUND, rows=canceled
        )

    def _list_placed(self, waiter: Waiter) -> BotAnswered | None:
        """All orders of a list were taken, or one was refused, and with it all."""
        bot, request = waiter.bot, waiter.request
        if waiter.denial is not None:
            return BotAnswered(bot=bot, request=request, denial=waiter.denial)
        found = [self._ctx.books.orders.get(cid) for cid in waiter.listed]
        orders = [one for one in found if one is not None and self._is_placed(one, waiter)]
        if len(orders) < len(found):
            return None
        rows = tuple(self._rows.row(one) for one in orders)
        if any(row.status is VenueOrderStatus.REJECTED for row in rows):
            return BotAnswered(bot=bot, request=request, denial=NEVER_THERE)
        return BotAnswered(bot=bot, request=request, rows=rows)

    def _amended(self, waiter: Waiter) -> BotAnswered | None:
        order = self._ctx.books.orders.get(waiter.amended or ClientOrderId(""))
        if order is not None and order.amends > waiter.amends_before:
            rows = (self._rows.row(order),)
            return BotAnswered(bot=waiter.bot, request=waiter.request, rows=rows)
        if order is None or order.status.is_terminal:
            return BotAnswered(bot=waiter.bot, request=waiter.request, denial=NOT_FOUND)
        return None

    def _is_placed(self, order: Order, waiter: Waiter) -> bool:
        """Whether the answer to its placement is known and whole."""
        if order.venue_cum_qty > order.cum_qty:
            return False  # fills are owed: a row without them would be half of the truth
        if order.status.is_terminal:
            return True
        if not is_shown(order) or order.status is _UNKNOWN:
            return False
        is_pending = order.order_list is not None and order.order_list.is_pending
        if is_pending:
            pass  # it ends at once when its turn comes, not now
        elif order.order_type is _MARKET or (
            order.order_type is _LIMIT and order.time_in_force in _AT_ONCE
        ):
            return False
        if waiter.is_replied:
            return True
        ctx = self._ctx
        waiter.due_ns = waiter.due_ns or ctx.now_ns + ctx.config.bot_answer_grace_ns
        return ctx.now_ns >= waiter.due_ns

    # ------------------------------------------------------------------ answering
    def _answer(self, waiter: Waiter, answered: BotAnswered) -> None:
        self._drop(waiter)
        ctx = self._ctx
        said = answered.denial or answered.cancel_denial
        rows = (*((answered.cancel_row,) if answered.cancel_row else ()), *answered.rows)
        fields: journal.BotAnsweredRecord = {
            "bot": waiter.bot,
            "request": waiter.request,
            "kind": waiter.kind,
            "orders": [
                {
                    "client_order_id": row.own_id,
                    "status": None if row.status is None else row.status._value_,
                    "cum_qty": plain(row.cum_qty),
                }
                for row in rows
            ],
            "refused": "" if said is None else f"{said.source}: {said.reason}",
            "wait_ns": ctx.now_ns - waiter.asked_ns,
        }
        ctx.record(_BOT_ANSWERED, fields)
        ctx.effects.append(answered)

    def _on(self, client_order_id: ClientOrderId) -> list[Waiter]:
        return [self.all[one] for one in self._of_order.get(client_order_id, ())]

    def _drop(self, waiter: Waiter) -> None:
        self.all.pop(waiter.request, None)
        for cid in _orders_of(waiter):
            known = self._of_order.get(cid)
            if known is not None:
                known.pop(waiter.request, None)
                if not known:
                    del self._of_order[cid]


NEVER_THERE = BotDenial(
    source=DenialSource.LINK, reason="absent", msg="the venue has never had the order"
)
NOT_ATTEMPTED = BotDenial(source=DenialSource.VENUE, reason="not_attempted", msg="not attempted")
"""The venue's word for the second half of a replace whose first half failed."""
_NOT_ATTEMPTED = (NOT_ATTEMPTED,)


def _orders_of(waiter: Waiter) -> tuple[ClientOrderId, ...]:
    more = [one for one in (waiter.placed, waiter.amended) if one is not None]
    return (*waiter.gone, *waiter.listed, *more)


def _was_canceled(row: BotOrderRow) -> bool:
    return row.status is _CANCELED
