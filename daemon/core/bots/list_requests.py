"""Bots' order lists: placed whole or not at all, and ended whole (binance-spot.md §14).

Rules of this file:
1. Each order of a list passes admission and interceptor as any order does, and has a line of its
   own. If one does not pass, none leaves, and what was approved before it is ended as never sent.
2. To end one order of a list ends all; so there is one way to end a list.
"""

from daemon.core.bots.admission import AdmissionRefused, BotAdmission, denied_by_caps, refusal
from daemon.core.bots.bot_requests import Requests, owner_of
from daemon.core.bots.pending_answers import NOT_FOUND
from daemon.core.bots.rows import Rows
from daemon.core.cancels import Cancels
from daemon.core.lifecycle import Trigger
from daemon.core.turn_context import TurnContext
from daemon.model.bots import BotDenial, BotRefusal, bot_strategy
from daemon.model.copies import replace
from daemon.model.effects import SendOrderList
from daemon.model.inputs import BotCancelList, BotPlaceList
from daemon.model.intents import PlaceIntent
from daemon.model.list_legs import Contingency, ListLeg
from daemon.model.orders import Order
from riskcaps.gate.interceptor import Approved, ListVerdict

_WHY = "bot"
_NOT_WHOLE = "another order of its list may not leave"
_CUT = "only what reduces passes now, and a list is not cut"


class ListRequests:
    """Takes bots' requests about lists."""

    def __init__(
        self,
        ctx: TurnContext,
        admission: BotAdmission,
        requests: Requests,
        rows: Rows,
        cancels: Cancels,
    ) -> None:
        """Share the desk."""
        self._ctx = ctx
        self._admission = admission
        self._requests = requests
        self._rows = rows
        self._cancels = cancels

    def place(self, item: BotPlaceList) -> None:
        """An order list: all of its orders, or none."""
        ctx = self._ctx
        try:
            intents = self._intents(item)
        except AdmissionRefused as refused:
            self._requests.refuse(item, "place_list", refused.denial)
            return
        verdict = ctx.interceptor.review_list(intents, item.contingency, ctx.now_ns)
        ctx.ledger.heard(ctx.interceptor.risk.alerts.take())
        if not verdict.decided:
            self._requests.refuse(item, "place_list", refusal(BotRefusal.MALFORMED, _CUT))
            return
        denial = self._write(item, verdict)
        if verdict.order_list is None:
            self._requests.answer(item, denial=denial)
            return
        ctx.effects.append(SendOrderList(verdict.order_list))
        made = tuple(one.client_order_id for one in verdict.order_list.orders)
        self._requests.wait(item, "place_list", listed=made)

    def _write(self, item: BotPlaceList, verdict: ListVerdict) -> BotDenial | None:
        """The line of each decision; why the list does not leave, where it does not."""
        ctx, made, denial = self._ctx, list[Order](), None
        for one in verdict.decided:
            leg = one.order.order_list if isinstance(one, Approved) else _leg_of(one.intent)
            owner = owner_of(item.orders[0 if leg is None else leg.leg])
            if isinstance(one, Approved):
                made.append(ctx.approve(one.order, _WHY, one.decision, owner))
            elif isinstance(one.intent, PlaceIntent):
                ctx.deny(one.intent, one.reason.value, one.context, one.decision, owner)
                denial = denied_by_caps(one.reason.value, one.context)
        if verdict.order_list is None:
            for order in made:
                ctx.fire(order, Trigger.NOT_SENT, _NOT_WHOLE)
                ctx.resolved(order, "not_sent", _NOT_WHOLE)
        return denial

    def _intents(self, item: BotPlaceList) -> list[PlaceIntent]:
        """The wishes that a list stands for.

        Raises:
            AdmissionRefused: one of them does not come as far as the caps, or they do not go
                together.
        """
        self._check(item)
        first = item.orders[0] if item.contingency is Contingency.OTO else None
        intents = [
            self._admission.intent_of(one, first=None if one is first else first)
            for one in item.orders
        ]
        return [
            replace(
                intent,
                order_list=ListLeg(
                    list_id="",
                    contingency=item.contingency,
                    leg=place,
                    legs=len(intents),
                    bot_list_id=item.list_id,
                    is_paid=item.pays and place > 0,
                ),
            )
            for place, intent in enumerate(intents)
        ]

    def _check(self, item: BotPlaceList) -> None:
        orders = item.orders
        is_oco = item.contingency is Contingency.OCO
        if len(orders) not in ((2,) if is_oco else (2, 3)):
            raise AdmissionRefused(refusal(BotRefusal.MALFORMED, "an order list has two or three"))
        pair = orders if is_oco else orders[1:]
        shapes = {(one.side, one.qty) for one in pair}
        if len({one.instrument_id for one in orders}) > 1 or len(shapes) > 1:
            why = "orders that exclude each other are of one symbol, side and quantity"
            raise AdmissionRefused(refusal(BotRefusal.MALFORMED, why))
        used = {one.client_order_id for one in orders}
        mine = self._ctx.books.open_of(bot_strategy(item.bot)).values()
        open_lists = {one.order_list.bot_list_id for one in mine if one.order_list is not None}
        if len(used) < len(orders) or item.list_id in open_lists:
            raise AdmissionRefused(refusal(BotRefusal.DUPLICATE_ORDER_ID))

    def cancel(self, item: BotCancelList) -> None:
        """The end of a list."""
        orders = [
            order
            for order in self._ctx.books.open_of(bot_strategy(item.bot)).values()
            if order.instrument_id == item.instrument_id and _is_named(order, item)
        ]
        if not orders:
            self._requests.refuse(item, "cancel_list", NOT_FOUND)
            return
        for order in orders:
            if item.new_client_order_id:
                self._rows.cancel_ids[order.client_order_id] = item.new_client_order_id
            self._cancels.want(order, _WHY, order.strategy_id)
        gone = tuple(order.client_order_id for order in orders)
        self._requests.wait(item, "cancel_list", gone=gone)


def _leg_of(intent: object) -> ListLeg | None:
    return intent.order_list if isinstance(intent, PlaceIntent) else None


def _is_named(order: Order, item: BotCancelList) -> bool:
    """Whether a request about a list names the one of this order; of two ids both must fit."""
    leg = order.order_list
    if leg is None or not (item.list_id or item.venue_list_id):
        return False
    return item.list_id in (None, "", leg.bot_list_id) and item.venue_list_id in (
        None,
        order.venue_list_id,
    )
