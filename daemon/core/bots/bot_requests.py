"""Bots' requests: each through its own door, then the route that every wish takes.

Rules of this file:
1. The door refuses what is no business of the caps: a bot that may not place, a symbol that is not
   its own, an id that it has in use, more than its allotment. Whatever passes is decided by the
   interceptor, as anybody's wish is (P1). A request ends in one line: approved, denied or refused.
2. A cancel passes whatever the state of trading, latch, bot or caps. It is wanted once, however
   often it is asked for (core/cancels.py).
3. A request harms its own bot at most: nothing here halts a session.
"""

from typing import Any

from daemon.core.amend_requests import Amends
from daemon.core.bots.admission import AdmissionRefused, BotAdmission, denied_by_caps, refusal
from daemon.core.bots.pending_answers import NOT_FOUND, PendingAnswers, Waiter
from daemon.core.bots.rows import Rows
from daemon.core.cancels import Cancels, open_legs
from daemon.core.replaces import REPLACEABLE, Replaces
from daemon.core.turn_context import TurnContext
from daemon.model import journal_records as journal
from daemon.model.bots import BotDenial, BotRefusal, ReplaceMode, bot_strategy
from daemon.model.effects import BotAnswered, SendOrder
from daemon.model.ids import ClientOrderId, InstrumentId, VenueOrderId, symbol_of
from daemon.model.inputs import (
    BotAmend,
    BotCancel,
    BotCancelAll,
    BotPlace,
    BotPlaceList,
    BotReplace,
    BotRequest,
)
from daemon.model.intents import AmendIntent, PlaceIntent, ReplaceIntent
from daemon.model.orders import Order
from daemon.model.records import EventType
from riskcaps.gate.interceptor import Approved, ReplaceApproved
from riskcaps.words.order_kinds import first_before

_WHY = "bot"
_BEFORE_THE_CANCEL = (
    "filter_",
    "orders_per_",
    "messages_per_",
    "venue_budget",
    BotRefusal.MALFORMED,
)
"""Refusals of a replace as a whole, by how their reasons begin (binance-spot.md, cancelReplace)."""


class Requests:
    """Takes bots' requests; answers at once, or has the answer waited for."""

    def __init__(
        self,
        ctx: TurnContext,
        admission: BotAdmission,
        rows: Rows,
        waiting: PendingAnswers,
        *,
        cancels: Cancels,
        amends: Amends,
        replaces: Replaces,
    ) -> None:
        """Share the desk."""
        self._ctx = ctx
        self._admission = admission
        self._rows = rows
        self._waiting = waiting
        self._cancels = cancels
        self._amends = amends
        self._replaces = replaces

    # ------------------------------------------------------------------ placing
    def place(self, item: BotPlace) -> None:
        """One order, or a test of one."""
        try:
            intent = self._admission.intent_of(item)
        except AdmissionRefused as refused:
            self.refuse(item, "test" if item.is_test else "place", refused.denial)
            return
        if item.is_test:
            self._test(item, intent)
            return
        made = self._place(item, intent)
        if isinstance(made, BotDenial):
            self.answer(item, denial=made)
        else:
            self.wait(item, "place", placed=made)

    def _place(self, item: BotPlace, intent: PlaceIntent) -> ClientOrderId | BotDenial:
        """Decide and send; the order's id, or why it was denied. Its line is written."""
        ctx, owner = self._ctx, owner_of(item)
        verdict = ctx.interceptor.review(intent, ctx.now_ns)
        ctx.ledger.heard(ctx.interceptor.risk.alerts.take())
        if isinstance(verdict, Approved):
            ctx.approve(verdict.order, intent.reason, verdict.inputs.plain(), owner)
            ctx.effects.append(SendOrder(verdict.order))
            return verdict.order.client_order_id
        ctx.deny(intent, verdict.reason.value, verdict.context, verdict.decision, owner)
        return denied_by_caps(verdict.reason.value, verdict.context)

    def _test(self, item: BotPlace, intent: PlaceIntent) -> None:
        """What would become of it; nothing is held, and no line but the input's is written."""
        found = self._ctx.interceptor.preview(intent, self._ctx.now_ns)
        if found is None:
            self.answer(item)
        else:
            self.answer(item, denial=denied_by_caps(found[0].value, found[1]))

    # ------------------------------------------------------------------ canceling
    def cancel(self, item: BotCancel) -> None:
        """The end of one order; of a list's order, of the whole list, as at the venue."""
        order = self._find(item)
        if order is None or order.status.is_terminal:
            self.refuse(item, "cancel", NOT_FOUND)
            return
        self._cancel(item, order)
        others = [one.client_order_id for one in open_legs(self._ctx, order) if one is not order]
        self.wait(item, "cancel", gone=(order.client_order_id, *others))

    def cancel_all(self, item: BotCancelAll) -> None:
        """The end of all of the bot's orders on a symbol, each by a cancel of its own."""
        orders = [
            order
            for order in self._ctx.books.open_of(bot_strategy(item.bot)).values()
            if order.instrument_id == item.instrument_id
        ]
        if not orders:
            self.refuse(item, "cancel_all", NOT_FOUND)
            return
        for order in orders:
            self._cancels.want(order, _WHY, order.strategy_id)
        self.wait(item, "cancel_all", gone=tuple(one.client_order_id for one in orders))

    def _cancel(self, item: BotCancel, order: Order) -> None:
        if item.new_client_order_id:
            self._rows.cancel_ids[order.client_order_id] = item.new_client_order_id
        self._cancels.want(order, _WHY, order.strategy_id)

    # ------------------------------------------------------------------ replacing, amending
    def replace(self, item: BotReplace) -> None:
        """A cancel and a placement. At the venue one request, where both halves can leave.

        Of an order in a list the cancel half ends the list. A placement that is refused here does
        not keep the cancel from leaving, but for filters and rates: these are looked at before the
        cancel, and nothing is done. As at the venue.
        """
        target = self._find(item.cancel)
        if target is None or target.status.is_terminal:
            self._place_alone(item)
            return
        cid = target.client_order_id
        try:
            is_freed = item.mode is ReplaceMode.STOP_ON_FAILURE
            intent = self._admission.intent_of(item.place, replacing=target, is_freed=is_freed)
        except AdmissionRefused as refused:
            self.refused_line(item, "replace", refused.denial)
            self._cancel_alone(item, target, refused.denial)
            return
        if target.status not in REPLACEABLE or cid in self._ctx.pending_queries.cancels:
            busy = refusal(BotRefusal.IN_PROGRESS)
            self.refused_line(item, "replace", busy)
            both = item.mode is ReplaceMode.ALLOW_FAILURE
            self.answer(item, denial=busy if both else None, cancel_denial=busy)
            return
        ctx, owner = self._ctx, owner_of(item.place)
        wish = ReplaceIntent(
            strategy_id=target.strategy_id,
            client_order_id=cid,
            qty=intent.qty,
            price=intent.price,
            wish=intent,
            mode=item.mode,
            reason=_WHY,
        )
        verdict = ctx.interceptor.review_replace(wish, target, ctx.now_ns)
        ctx.ledger.heard(ctx.interceptor.risk.alerts.take())
        if isinstance(verdict, ReplaceApproved):
            order = verdict.replace.order
            ctx.approve(order, intent.reason, verdict.decision, owner)
            if item.cancel.new_client_order_id:
                self._rows.cancel_ids[cid] = item.cancel.new_client_order_id
            if is_freed:
                self._admission.takes_place_of(order.client_order_id, cid)
            self._replaces.send(target, verdict.replace, _WHY)
            self.wait(item, "replace", placed=order.client_order_id, gone=(cid,))
        else:
            ctx.deny(intent, verdict.reason.value, verdict.context, verdict.decision, owner)
            denial = denied_by_caps(verdict.reason.value, verdict.context)
            self._cancel_alone(item, target, denial)

    def _cancel_alone(self, item: BotReplace, target: Order, denial: BotDenial) -> None:
        """The placement is refused: the cancel goes all the same, or nothing is done at all."""
        if denial.reason.startswith(_BEFORE_THE_CANCEL):
            self.answer(item, denial=denial)
            return
        self._cancel(item.cancel, target)
        self.wait(item, "replace", gone=(target.client_order_id,), denial=denial)

    def _place_alone(self, item: BotReplace) -> None:
        """There is nothing to cancel: the placement follows only if it was to go all the same."""
        if item.mode is ReplaceMode.STOP_ON_FAILURE:
            self.refused_line(item, "replace", NOT_FOUND)
            self.answer(item, cancel_denial=NOT_FOUND)
            return
        try:
            made = self._place(item.place, self._admission.intent_of(item.place))
        except AdmissionRefused as refused:
            self.refused_line(item, "replace", refused.denial)
            made = refused.denial
        if isinstance(made, BotDenial):
            is_whole = made.reason.startswith(_BEFORE_THE_CANCEL)
            self.answer(item, denial=made, cancel_denial=None if is_whole else NOT_FOUND)
        else:
            self.wait(item, "replace", placed=made, cancel_denial=NOT_FOUND)

    def amend(self, item: BotAmend) -> None:
        """A smaller quantity; the order keeps its id and its place in the queue."""
        ctx = self._ctx
        order = self._find(item)
        if order is None or order.status.is_terminal:
            self.refuse(item, "amend", NOT_FOUND)
        elif any(
            one.order_list is not None
            and (one.order_list.is_paid or first_before(one.order_list) in ctx.books.open)
            for one in open_legs(ctx, order)
        ):
            # Of the entry, what waits for it would sell more than it brings, and no cap was asked.
            self.refuse(item, "amend", refusal(BotRefusal.LIST_PENDING))
        elif order.client_order_id in self._amends.under_way or order.status not in REPLACEABLE:
            self.refuse(item, "amend", refusal(BotRefusal.IN_PROGRESS))
        elif not ctx.gate.can_send:
            self.refuse(item, "amend", refusal(BotRefusal.NO_LINK, ctx.gate.down_words))
        else:
            intent = AmendIntent(
                strategy_id=order.strategy_id,
                client_order_id=order.client_order_id,
                qty=item.new_qty,
                reason=_WHY,
            )
            denied = self._amends.want(order, intent)
            if denied:
                self.answer(item, denial=denied_by_caps(denied, {"qty": str(item.new_qty)}))
            else:
                self.wait(
                    item,
                    "amend",
                    amended=order.client_order_id,
                    amends_before=order.amends,
                )

    # ------------------------------------------------------------------ finding and answering
    def _find(self, item: BotCancel | BotAmend) -> Order | None:
        """The bot's own order that the request names; where it names two ids, both must fit."""
        return find_order(
            self._ctx, item.bot, item.instrument_id, item.client_order_id, item.venue_order_id
        )

    def wait(self, item: BotRequest, kind: str, **what: Any) -> None:
        """Have the answer told when the fold has it."""
        self._waiting.add(
            Waiter(bot=item.bot, request=item.request, kind=kind, asked_ns=self._ctx.now_ns, **what)
        )

    def refuse(self, item: BotRequest, kind: str, denial: BotDenial) -> None:
        """Answer now that the request comes no further, and write it down."""
        self.refused_line(item, kind, denial)
        self.answer(item, denial=denial)

    def refused_line(self, item: BotRequest, kind: str, denial: BotDenial) -> None:
        """Write down that a request, or a part of it, comes no further."""
        placed = item.place if isinstance(item, BotReplace) else item
        own_id = getattr(placed, "list_id", None) or getattr(placed, "client_order_id", None)
        named = placed.orders[0] if isinstance(placed, BotPlaceList) else placed
        self._ctx.ledger.bots.refuse(item.bot, denial.reason)
        fields: journal.BotRefusedRecord = {
            "bot": item.bot,
            "request": item.request,
            "kind": kind,
            "client_order_id": own_id or "",
            "symbol": symbol_of(named.instrument_id),
            "refusal": denial.reason,
            "msg": denial.msg,
        }
        self._ctx.record(EventType.BOT_REFUSED, fields)

    def answer(
        self,
        item: BotRequest,
        *,
        denial: BotDenial | None = None,
        cancel_denial: BotDenial | None = None,
    ) -> None:
        """Answer now."""
        self._ctx.effects.append(
            BotAnswered(
                bot=item.bot, request=item.request, denial=denial, cancel_denial=cancel_denial
            )
        )


def find_order(
    ctx: TurnContext,
    bot: str,
    instrument_id: InstrumentId,
    client_order_id: str | None,
    venue_order_id: VenueOrderId | None,
) -> Order | None:
    """A bot's own order by its ids of it; another bot's is nobody's."""
    bots = ctx.ledger.bots
    order = None
    if venue_order_id is not None:
        order = bots.order_at_venue(bot, instrument_id, venue_order_id)
        if order is None or client_order_id not in (None, "", order.bot_order_id):
            return None
    elif client_order_id:
        order = bots.order(bot, client_order_id)
    return order if order is not None and order.instrument_id == instrument_id else None


def owner_of(item: BotPlace) -> dict[str, Any]:
    """What a decision's line says of whoever asked."""
    return {"bot": item.bot, "client_order_id": item.client_order_id, "request": item.request}
