"""The interceptor: the only mint of orders (promise P1). A wish in; an order or a denial out.

Rules of this file:
1. `RULES` (table.py) are the law, in order; the first that fails is the verdict. There is no way
   around them, no flag, no privileged caller: operator, flattening and recovery go through the same
   table. What is inside every bound of theirs does not walk them one by one (fast_path.py).
2. An approved order is held against every cap before this function returns.
3. A decision writes down all that it was made of (inputs.py).
4. Cancels reduce risk: they pass a halt, a kill and a sick journal, and have their own budget with
   a reserve that placements never touch. Operator and engine are never starved.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from daemon.model.amounts import ZERO
from daemon.model.checks import InvariantViolation
from daemon.model.copies import replace
from daemon.model.enums import Side, TimeInForce
from daemon.model.halt import HaltFlag
from daemon.model.ids import (
    AMEND_KIND,
    CANCEL_KIND,
    REPLACE_KIND,
    ClientOrderId,
    ClientOrderIdFactory,
    list_id_of,
)
from daemon.model.intents import AmendIntent, CancelIntent, PlaceIntent, ReplaceIntent
from daemon.model.list_legs import Contingency, ListLeg
from daemon.model.orders import (
    AmendOrder,
    CancelOrder,
    NewOrder,
    NewOrderList,
    Order,
    ReplaceOrder,
)
from riskcaps.gate.amends import amend_denial, cancel_denial
from riskcaps.gate.bot_scope import bot_denial, hold_for
from riskcaps.gate.fast_path import AUDIT_EVERY, FastPath
from riskcaps.gate.gate_inputs import DecisionInputs, inputs_of
from riskcaps.gate.rule import Case, Denial
from riskcaps.gate.table import first_failing, reaches_band
from riskcaps.gate.verdicts import (
    AmendApproved,
    Approved,
    CancelApproved,
    Denied,
    ListVerdict,
    ReplaceApproved,
)
from riskcaps.state import durable
from riskcaps.state.behaviour import DuplicateKey, duplicate_key
from riskcaps.state.holds import IN_FLIGHT
from riskcaps.state.risk_state import RiskState
from riskcaps.state.symbol_book import SymbolBook
from riskcaps.words.capset import CapSet
from riskcaps.words.denials import DenyReason
from riskcaps.words.order_kinds import (
    PEOPLE,
    STOP_TYPES,
    TIMED_TYPES,
    bot_of,
    first_before,
    group_of,
)

__all__ = [
    "AmendApproved",
    "Approved",
    "CancelApproved",
    "Denied",
    "Interceptor",
    "ListVerdict",
    "ReplaceApproved",
]
_BUY, _GTC = Side.BUY, TimeInForce.GTC
"""A look at a member of an enum costs as much as a call on Python 3.11."""


class Interceptor:
    """The gate. `risk` is told the facts; wishes are answered by `review…`."""

    def __init__(
        self,
        *,
        capset: CapSet,
        ids: ClientOrderIdFactory,
        halt: HaltFlag,
        caps_hash: str = "",
    ) -> None:
        self.risk = RiskState(capset=capset, ids=ids, halt=halt, caps_hash=caps_hash)
        self._fast_path = FastPath(self.risk)

    def review(
        self, intent: PlaceIntent, now_ns: int, *, cover: Decimal = ZERO
    ) -> Approved | Denied:
        """Decide on a placement. Approved: minted and held. Take `risk.alerts.take()` after it.

        `cover` is for the orders of a list, which `review_list` decides on.
        """
        risk = self.risk
        if now_ns > risk.now_ns:  # `advance`, written out
            risk.now_ns = now_ns
        else:
            now_ns = risk.now_ns
        book = risk.books.by_id.get(intent.instrument_id)
        given = inputs_of(risk, book, intent, now_ns)
        if cover:
            given.cover = cover
        if book is not None and not cover and self._fast_path.admits(book, given):
            if not risk.ids.counter % AUDIT_EVERY:
                self._audit(book, given)
        else:
            case = Case(risk, given, book)
            denial = first_failing(case)
            given.qty, given.px = case.qty, case.px
            if denial is not None:
                return self._denied(given, denial)
            if book is None:
                raise InvariantViolation("a wish for an unknown instrument passed every rule")
            if reaches_band(case):
                risk.alerts.ask_for_sweep()
        if given.owner and (bot := risk.bots.by_name.get(given.owner)) is not None:
            denial, given.bot = bot_denial(risk, bot, given)
            if denial is not None:
                context = {**denial.context, "bot": given.owner}
                return self._denied(given, denial._replace(context=context))
        return Approved(self._mint(book, given), given)

    def _review_leg(
        self, intent: PlaceIntent, leg: ListLeg, now_ns: int, cover: Decimal
    ) -> Approved | Denied:
        """Decide on an order of a list, as if those were not there that exclude it.

        Of these one trades at most, and the worst one counts.
        """
        named = self.risk.bots.by_name.get(bot_of(intent.strategy_id))
        parts = [one.books for one in (self.risk, named) if one is not None]
        for books in parts:
            books.lift_list(leg)
        answer = self.review(intent, now_ns, cover=cover)
        for books in parts:
            books.lower_list(leg)
        return answer

    def review_list(
        self, intents: Sequence[PlaceIntent], contingency: Contingency, now_ns: int
    ) -> ListVerdict:
        """Decide on an order list, order by order; what is denied keeps all from leaving.

        Each wish says its place in the list (`order_list`); the list's id is given here.

        Each order is previewed first, so that as a rule a list that does not pass leaves nothing
        behind; where counts stop a later order, those before it are minted and must be ended as
        never sent. A list of which an order would be cut is not decided on at all.
        """
        list_id = list_id_of(self.risk.ids.upcoming())
        legs = [
            (replace(one, order_list=leg), leg, _cover(one, leg, intents[0]))
            for one in intents
            if (placed := one.order_list) is not None
            for leg in (replace(placed, list_id=list_id),)
        ]
        previews = [self._preview(one, now_ns, cover) for one, _, cover in legs]
        denied = [one for one, (denial, _) in zip(legs, previews, strict=True) if denial]
        is_cut = any(qty != one[0].qty for one, (_, qty) in zip(legs, previews, strict=True))
        decided: list[Approved | Denied] = []
        minted: list[NewOrder] = []
        for one, leg, cover in denied or (() if is_cut else legs):
            answer = self._review_leg(one, leg, now_ns, cover)
            decided.append(answer)
            if isinstance(answer, Denied):
                break
            minted.append(answer.order)
        made = NewOrderList(
            list_id=list_id, contingency=contingency, orders=tuple(minted),
            pays=any(leg.is_paid for _, leg, _ in legs),
        )  # fmt: skip
        return ListVerdict(tuple(decided), made if len(minted) == len(legs) else None)

    def preview(
        self, intent: PlaceIntent, now_ns: int
    ) -> tuple[DenyReason, Mapping[str, str]] | None:
        """What `review` would deny, and its context; None: it would pass. Nothing is minted."""
        return self._preview(intent, now_ns)[0]

    def _preview(
        self, intent: PlaceIntent, now_ns: int, cover: Decimal = ZERO
    ) -> tuple[tuple[DenyReason, Mapping[str, str]] | None, Decimal]:
        """The same, and the quantity that would pass: a rule may cut it to the position."""
        risk = self.risk
        book = risk.books.by_id.get(intent.instrument_id)
        given = inputs_of(risk, book, intent, risk.advance(now_ns))
        given.cover = cover
        case = Case(risk, given, book)
        denial = first_failing(case)
        bot = risk.bots.by_name.get(given.owner) if given.owner else None
        if denial is None and bot is not None:
            given.qty, given.px = case.qty, case.px
            denial, _ = bot_denial(risk, bot, given)
        told = None if denial is None else (denial.reason, denial.context)
        return told, case.qty

    def _denied(self, given: DecisionInputs, denial: Denial) -> Denied:
        given.verdict = denial.reason.value
        return Denied(given.intent, denial.reason, denial.context, given.plain())

    def review_cancel(
        self, intent: CancelIntent, order: Order, now_ns: int
    ) -> CancelApproved | Denied:
        """Decide on a cancel: own budget, never the state of trading."""
        risk = self.risk
        now_ns = risk.advance(now_ns)
        reason = cancel_denial(risk, intent, order, now_ns)
        if reason is not None:
            used = risk.windows.cancels.counts(now_ns)[0]
            return Denied(intent, reason, {"cancels": str(used)}, {"verdict": reason.value})
        risk.on_cancel_sent(order.client_order_id, now_ns)
        return CancelApproved(
            CancelOrder(
                client_order_id=order.client_order_id,
                instrument_id=order.instrument_id,
                venue_order_id=order.venue_order_id,
                reason=intent.reason,
                ts_ns=now_ns,
                request_id=risk.ids.of_request(CANCEL_KIND, order.client_order_id),
            )
        )

    def review_amend(
        self, intent: AmendIntent, order: Order, now_ns: int
    ) -> AmendApproved | Denied:
        """Decide on an amend: smaller only, within the budget of messages (amends.py)."""
        risk = self.risk
        now_ns = risk.advance(now_ns)
        reason = amend_denial(risk, intent, order, now_ns)
        if reason is not None:
            return Denied(intent, reason, {"qty": str(intent.qty)}, {"verdict": reason.value})
        risk.on_cancel_sent(order.client_order_id, now_ns)  # it places nothing either
        return AmendApproved(
            AmendOrder(
                client_order_id=order.client_order_id,
                instrument_id=order.instrument_id,
                venue_order_id=order.venue_order_id,
                qty=intent.qty,
                ts_ns=now_ns,
                request_id=risk.ids.of_request(AMEND_KIND, order.client_order_id),
            )
        )

    def review_replace(
        self, intent: ReplaceIntent, order: Order, now_ns: int
    ) -> ReplaceApproved | Denied:
        """Decide on a cancel-replace: a whole placement, with the old order still held."""
        if order.status.is_terminal:
            return Denied(intent, DenyReason.ORDER_NOT_OPEN, {}, {"verdict": "order_not_open"})
        if intent.strategy_id not in PEOPLE and intent.strategy_id != order.strategy_id:
            return Denied(intent, DenyReason.NOT_OWNER, {}, {"verdict": "not_owner"})
        wish = intent.wish or PlaceIntent(
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            side=order.side,
            order_type=order.order_type,
            qty=intent.qty,
            price=intent.price,
            time_in_force=order.time_in_force,
            stop_price=order.stop_price,
            reduce_only=order.reduce_only,
            extras=order.extras,
            reason=intent.reason,
        )
        answer = self.review(wish, now_ns)
        if isinstance(answer, Denied):
            return Denied(intent, answer.reason, answer.context, answer.decision)
        made = ReplaceOrder(
            target=order.client_order_id,
            target_venue_order_id=order.venue_order_id,
            order=answer.order,
            ts_ns=answer.order.ts_ns,
            mode=intent.mode,
            request_id=self.risk.ids.of_request(REPLACE_KIND, order.client_order_id),
        )
        return ReplaceApproved(made, answer.decision)

    # ------------------------------------------------------------------ durable
    def state(self) -> dict[str, Any]:
        """Everything durable, as plain JSON (checkpoint)."""
        return durable.state_of(self.risk)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a `state()` back into a fresh gate; prices, balances and health come again."""
        durable.restore(self.risk, state)

    def restore_approved(self, fields: Mapping[str, Any], ts_ns: int) -> None:
        """Fold an ORDER_APPROVED line: hold, every counter, and the id counter beyond it."""
        durable.restore_approved(self.risk, fields, ts_ns)

    # ------------------------------------------------------------------ inside
    def _audit(self, book: SymbolBook, given: DecisionInputs) -> None:
        """Put what the fast path has passed before the table, too.

        Raises:
            InvariantViolation: the table would not have passed it, or not so.
        """
        case = Case(self.risk, given, book)
        denial = first_failing(case)
        if denial is not None or (case.qty, case.px) != (given.qty, given.px):
            raise InvariantViolation(
                f"the fast path passed what the table does not: {denial} {given.intent}"
            )

    def _mint(self, book: SymbolBook, given: DecisionInputs) -> NewOrder:
        """Make the order and hold it, with the quantity and at the price that were decided on."""
        intent, qty, px, now_ns = given.intent, given.qty, given.px, given.now_ns
        if px is None:
            raise InvariantViolation("an approved order has no price to be held at")
        risk, price, kind = self.risk, intent.price, intent.order_type
        risk.fact_ns = now_ns
        client_order_id: ClientOrderId = risk.ids.mint()
        order = NewOrder(  # by place: by name it takes four times as long, for every order
            client_order_id,
            intent.strategy_id,
            intent.instrument_id,
            intent.side,
            kind,
            qty,
            price,
            (intent.time_in_force or _GTC) if kind in TIMED_TYPES else None,
            intent.stop_price,
            intent.reduce_only,
            now_ns,
            intent.extras,
            intent.terms,
            intent.order_list,
        )
        is_buy, leg, books = intent.side is _BUY, intent.order_list, risk.books
        hold = books.take_hold(
            client_order_id, book, is_buy, kind in STOP_TYPES, qty, px, IN_FLIGHT
        )
        if leg is not None:
            books.join_list(hold, group_of(leg), first_before(leg))
        if not is_buy:
            book.fees_since_sell = ZERO
        told_px = intent.stop_price if price is None else price
        key: DuplicateKey = (intent.instrument_id, is_buy, told_px, qty)
        if given.owner:
            key = duplicate_key(intent.instrument_id, given.owner, told_px, qty, is_buy=is_buy)
        risk.windows.orders.add(now_ns)
        book.minute.add(now_ns)
        risk.behaviour.remember(key, now_ns)
        if given.owner:
            bot = risk.bots.own(client_order_id, intent.strategy_id, risk.books.holds)
            if bot is not None:
                hold_for(bot, order, px)
        if risk.alerts.due:
            risk.sweep()
        return order


def _cover(intent: PlaceIntent, leg: ListLeg, first: PlaceIntent) -> Decimal:
    """What the first order of its list brings before an order that is pending behind it works."""
    return first.qty if leg.is_pending and intent.side is not first.side else ZERO
