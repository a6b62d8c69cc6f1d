"""The interceptor: the only mint of orders (promise P1). A wish in; an order or a denial out.

Rules of this file:
1. `RULES` are the law, in order; the first that fails is the verdict. There is no way around them,
   no flag, no privileged caller: operator, flattening and recovery take the same road. What the
   screen finds inside every bound of theirs does not walk them one by one (riskcaps/screen.py).
2. An approved order is held against every cap before this function returns.
3. A decision writes down all that it was made of (riskcaps/decision.py).
4. Cancels reduce risk: they pass a halt, a kill and a sick journal, and have their own budget with
   a reserve that placements never touch. Operator and engine are never starved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daemon.model.amounts import ZERO
from daemon.model.checks import InvariantViolation
from daemon.model.enums import TimeInForce
from daemon.model.ids import ClientOrderId
from daemon.model.intents import AmendIntent, CancelIntent, PlaceIntent, ReplaceIntent
from daemon.model.orders import AmendOrder, CancelOrder, NewOrder, Order, ReplaceOrder
from riskcaps import durable
from riskcaps.amends import amend_denial
from riskcaps.bands import CapNotice
from riskcaps.behaviour import DuplicateKey
from riskcaps.decision import APPROVED, Inputs, inputs_of, plain_of, plain_of_stranger
from riskcaps.denials import DenyReason
from riskcaps.equity import unvalued
from riskcaps.exposure import STOP_TYPES, SymbolBook
from riskcaps.holds import IN_FLIGHT
from riskcaps.ledger import RiskLedger
from riskcaps.limits import (
    check_account_filters,
    check_order_caps,
    check_portfolio,
    check_position,
    check_price_filters,
    check_size_filters,
    check_turnover,
)
from riskcaps.rules import (
    HUMAN_ROADS,
    TIMED_TYPES,
    Case,
    Rule,
    check_balance,
    check_behaviour,
    check_gate,
    check_loss,
    check_market,
    check_rates,
    check_reducing,
    check_repeat,
    check_shape,
    check_symbol,
)
from riskcaps.screen import AUDIT_EVERY, surely
from riskcaps.standing import Standing, standing_of

__all__ = [
    "AmendApproved",
    "Approved",
    "CancelApproved",
    "CapNotice",
    "Denied",
    "Interceptor",
    "ReplaceApproved",
]

RULES: tuple[Rule, ...] = (
    check_gate,
    check_symbol,
    check_shape,
    check_market,
    check_reducing,
    check_behaviour,
    check_price_filters,
    check_size_filters,
    check_account_filters,
    check_order_caps,
    check_position,
    check_portfolio,
    check_balance,
    check_rates,
    check_turnover,
    check_loss,
    check_repeat,
)
"""All rules, in the order of riskcaps/decision.py."""


@dataclass(frozen=True, slots=True)
class Approved:
    """May leave, and is held. Journal it before its bytes go (promise P5)."""

    order: NewOrder
    inputs: Inputs

    @property
    def decision(self) -> dict[str, Any]:
        """What it was decided on, as its record carries it."""
        return plain_of(self.inputs)


@dataclass(frozen=True, slots=True)
class Denied:
    """May not leave. `context` is for people, `decision` for whoever decides again."""

    intent: PlaceIntent | CancelIntent | ReplaceIntent | AmendIntent
    reason: DenyReason
    context: Mapping[str, str]
    decision: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CancelApproved:
    """The cancel may leave."""

    cancel: CancelOrder


@dataclass(frozen=True, slots=True)
class AmendApproved:
    """The amend may leave. Journal it before its bytes go; the hold stays as it is."""

    amend: AmendOrder


@dataclass(frozen=True, slots=True)
class ReplaceApproved:
    """May leave; the new order is held beside the old one until the venue has ended that."""

    replace: ReplaceOrder
    decision: Mapping[str, Any]


class Interceptor(RiskLedger):
    """The gate. Facts come in by the `on_…` methods; wishes are answered by `review…`."""

    def review(self, intent: PlaceIntent, now_ns: int) -> Approved | Denied:
        """Decide on a placement. Approved: minted and held. Take `take_notices()` after it."""
        if now_ns > self.now_ns:  # noqa: PLR1730 - max() costs three times as much
            self.now_ns = now_ns
        now_ns = self.now_ns
        standing = self.standing
        if standing is None:
            standing = self.standing = standing_of(self)
        book = self.books.get(intent.instrument_id)
        if book is None:
            return self._deny_stranger(intent, standing, now_ns)
        if standing.clear and now_ns <= standing.clock_until_ns and not self.halt.closed:
            try:
                sure = surely(self, book, intent, standing, now_ns)
            except ArithmeticError:  # the table has the word for such amounts
                sure = None
            if sure is not None:
                key, inputs = sure
                if not self.ids.counter % AUDIT_EVERY:
                    self._audit(key, inputs, now_ns)
                return Approved(self._mint(book, inputs, key, now_ns), inputs)
        return self._walk(book, intent, standing, now_ns)

    def preview(
        self, intent: PlaceIntent, now_ns: int
    ) -> tuple[DenyReason, Mapping[str, str]] | None:
        """What `review` would deny, and its context; None: it would pass. Nothing is minted."""
        case = Case(intent, self.advance(now_ns))
        reason = self._first_failing(case)
        return None if reason is None else (reason, case.context)

    def review_cancel(
        self, intent: CancelIntent, order: Order, now_ns: int
    ) -> CancelApproved | Denied:
        """Decide on a cancel: own budget, never the state of trading."""
        now_ns = self.advance(now_ns)
        reason = self._cancel_denial(intent, order, now_ns)
        if reason is not None:
            used = self.cancels.counts(now_ns)[0]
            return Denied(intent, reason, {"cancels": str(used)}, {"verdict": reason.value})
        self.cancels.add(self.fact(now_ns))
        return CancelApproved(
            CancelOrder(
                client_order_id=order.client_order_id,
                instrument_id=order.instrument_id,
                venue_order_id=order.venue_order_id,
                reason=intent.reason,
                ts_ns=now_ns,
            )
        )

    def review_amend(
        self, intent: AmendIntent, order: Order, now_ns: int
    ) -> AmendApproved | Denied:
        """Decide on an amend: smaller only, within the budget of messages (riskcaps/amends.py)."""
        now_ns = self.advance(now_ns)
        reason = amend_denial(self, intent, order, now_ns)
        if reason is not None:
            return Denied(intent, reason, {"qty": str(intent.qty)}, {"verdict": reason.value})
        self.cancels.add(self.fact(now_ns))  # a message that places nothing, as a cancel is
        return AmendApproved(
            AmendOrder(
                client_order_id=order.client_order_id,
                instrument_id=order.instrument_id,
                venue_order_id=order.venue_order_id,
                qty=intent.qty,
                ts_ns=now_ns,
            )
        )

    def review_replace(
        self, intent: ReplaceIntent, order: Order, now_ns: int
    ) -> ReplaceApproved | Denied:
        """Decide on a cancel-replace: a whole placement, with the old order still held."""
        if order.status.is_terminal:
            return Denied(intent, DenyReason.ORDER_NOT_OPEN, {}, {"verdict": "order_not_open"})
        if intent.strategy_id not in HUMAN_ROADS and intent.strategy_id != order.strategy_id:
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
        replace = ReplaceOrder(
            target=order.client_order_id,
            target_venue_order_id=order.venue_order_id,
            order=answer.order,
            ts_ns=answer.order.ts_ns,
            mode=intent.mode,
        )
        return ReplaceApproved(replace, answer.decision)

    def unvalued(self) -> dict[str, str]:
        """What keeps equity from being known, with what mends it; empty when it is known."""
        return {} if self.ledger.equity is not None else unvalued(self)

    # ------------------------------------------------------------------ durable
    def state(self) -> dict[str, Any]:
        """Everything durable, as plain JSON (checkpoint)."""
        return durable.state_of(self)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a `state()` back into a fresh gate; prices, balances and health come again."""
        durable.restore(self, state)

    def restore_approved(self, fields: Mapping[str, Any], ts_ns: int) -> None:
        """Fold an ORDER_APPROVED line: hold, every counter, and the id counter beyond it."""
        durable.restore_approved(self, fields, ts_ns)

    def apply_equity(self, fields: Mapping[str, Any]) -> None:
        """Fold an EQUITY line (recovery): peak and baselines."""
        self.ledger.apply(fields)
        self.standing = None

    def apply_breach(self, cap: str) -> None:
        """Fold a CAP_ALERT line of a loss cap whose action fell due (recovery): latch it."""
        rule = self.ledger.rules.get(cap.removesuffix("_numeraire_max"))
        if rule is not None:
            rule.latched = True
            self.standing = None

    # ------------------------------------------------------------------ inside
    def _audit(self, key: DuplicateKey, inputs: Inputs, now_ns: int) -> None:
        """Put what the screen has passed before the table, too.

        Raises:
            InvariantViolation: the table would not have passed it, or not so.
        """
        case = Case(inputs[0], now_ns)
        reason = self._first_failing(case)
        if reason is not None or (case.key, case.qty, case.px) != (key, *inputs[2:4]):
            raise InvariantViolation(
                f"the screen passed what the table does not: {reason} {case.context} {inputs[0]}"
            )

    def _walk(
        self, book: SymbolBook, intent: PlaceIntent, standing: Standing, now_ns: int
    ) -> Approved | Denied:
        """Every rule in its order."""
        case = Case(intent, now_ns)
        reason = self._first_failing(case)
        verdict = APPROVED if reason is None else reason.value
        inputs = inputs_of(self, book, case, standing, verdict)
        if reason is not None:
            return Denied(intent, reason, case.context, plain_of(inputs))
        return Approved(self._mint(book, inputs, case.key, now_ns), inputs)

    def _deny_stranger(self, intent: PlaceIntent, standing: Standing, now_ns: int) -> Denied:
        """A wish for an instrument that nobody has heard of."""
        case = Case(intent, now_ns)
        reason = self._first_failing(case)
        if reason is None:
            raise InvariantViolation("a wish for an unknown instrument passed every rule")
        decision = plain_of_stranger(self, intent, standing, str(reason), now_ns)
        return Denied(intent, reason, case.context, decision)

    def _first_failing(self, case: Case) -> DenyReason | None:
        try:
            for rule in RULES:
                reason = rule(self, case)
                if reason is not None:
                    return reason
        except ArithmeticError as error:  # digits beyond the 64 that arithmetic here is exact in
            return case.deny(DenyReason.MALFORMED_ORDER, problem=type(error).__name__)
        return None

    def _mint(
        self, book: SymbolBook, inputs: Inputs, key: DuplicateKey | None, now_ns: int
    ) -> NewOrder:
        """Make the order and hold it, with the quantity and at the price that were decided on."""
        intent, qty, px = inputs[0], inputs[2], inputs[3]
        if px is None or key is None:
            raise InvariantViolation("an approved order has no price to be held at")
        self.fact_ns = now_ns
        client_order_id: ClientOrderId = self.ids.mint()
        kind = intent.order_type
        timed = kind in TIMED_TYPES
        order = NewOrder(
            client_order_id=client_order_id,
            strategy_id=intent.strategy_id,
            instrument_id=intent.instrument_id,
            side=intent.side,
            order_type=kind,
            qty=qty,
            price=intent.price,
            time_in_force=(intent.time_in_force or TimeInForce.GTC) if timed else None,
            stop_price=intent.stop_price,
            reduce_only=intent.reduce_only,
            ts_ns=now_ns,
            extras=intent.extras,
            terms=intent.terms,
        )
        self.take_hold(
            client_order_id,
            book,
            is_buy=key[1],
            is_stop=kind in STOP_TYPES,
            qty=qty,
            px=px,
            phase=IN_FLIGHT,
        )
        if not key[1]:
            book.fees_since_sell = ZERO
        self.orders.add(now_ns)
        book.minute.add(now_ns)
        self.behaviour.remember(key, now_ns)
        if self.sweep_due:
            self._sweep(now_ns)
        return order

    def _cancel_denial(self, intent: CancelIntent, order: Order, now_ns: int) -> DenyReason | None:
        if order.status.is_terminal:
            return DenyReason.ORDER_NOT_OPEN
        if intent.strategy_id in HUMAN_ROADS:
            return None
        if intent.strategy_id != order.strategy_id:
            return DenyReason.NOT_OWNER
        caps = self.capset
        if self.cancels.counts(now_ns)[0] + 1 > caps.cancels_per_second_max:
            return DenyReason.CANCELS_PER_SECOND
        second, minute = self.messages(now_ns)
        if second + 1 > caps.messages_per_second_max:
            return DenyReason.MESSAGES_PER_SECOND
        if minute + 1 > caps.messages_per_minute_max:
            return DenyReason.MESSAGES_PER_MINUTE
        return None
