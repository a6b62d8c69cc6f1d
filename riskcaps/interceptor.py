"""The interceptor: the only mint of orders (promise P1). A wish in; an order or a denial out.

Rules of this file:
1. `RULES` run in order; the first that fails is the verdict. There is no way around them, no flag,
   no privileged caller: operator, flattening and recovery take the same road.
2. An approved order is held against every cap before this function returns.
3. A decision writes down all that it was made of (riskcaps/decision.py).
4. Cancels reduce risk: they pass a halt, a kill and a sick journal, and have their own budget with
   a reserve that placements never touch. Operator and engine are never starved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daemon.model.enums import OrderType, TimeInForce
from daemon.model.ids import ClientOrderId
from daemon.model.intents import CancelIntent, PlaceIntent, ReplaceIntent
from daemon.model.orders import CancelOrder, NewOrder, Order, ReplaceOrder
from riskcaps import durable
from riskcaps.bands import CapNotice
from riskcaps.decision import decision_of
from riskcaps.denials import DenyReason
from riskcaps.exposure import IN_FLIGHT, STOP_TYPES
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
from riskcaps.standing import standing_of

__all__ = [
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
RULES_WHEN_CLEAR: tuple[Rule, ...] = tuple(
    rule for rule in RULES if rule not in {check_gate, check_behaviour, check_loss}
)
"""The rules that look at the order: what `Standing.clear` has already passed is left out."""


@dataclass(frozen=True, slots=True)
class Approved:
    """May leave, and is held. Journal it before its bytes go (promise P5)."""

    order: NewOrder
    decision: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Denied:
    """May not leave. `context` is for people, `decision` for whoever decides again."""

    intent: PlaceIntent | CancelIntent | ReplaceIntent
    reason: DenyReason
    context: Mapping[str, str]
    decision: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CancelApproved:
    """The cancel may leave."""

    cancel: CancelOrder


@dataclass(frozen=True, slots=True)
class ReplaceApproved:
    """May leave; the new order is held beside the old one until the venue has ended that."""

    replace: ReplaceOrder
    decision: Mapping[str, Any]


class Interceptor(RiskLedger):
    """The gate. Facts come in by the `on_…` methods; wishes are answered by `review…`."""

    def review(self, intent: PlaceIntent, now_ns: int) -> Approved | Denied:
        """Decide on a placement. Approved: minted and held. Take `take_notices()` after it."""
        now_ns = self.advance(now_ns)
        case = Case(intent, now_ns)
        standing = self.standing
        if standing is None:
            standing = self.standing = standing_of(self)
        clear = standing.clear and now_ns <= standing.clock_until_ns and not self.halt.closed
        reason = self._first_failing(case, RULES_WHEN_CLEAR if clear else RULES)
        if reason is not None:
            decision = decision_of(self, case, standing, str(reason))
            return Denied(intent, reason, case.context, decision)
        decision = decision_of(self, case, standing, "approved")
        return Approved(self._mint(case), decision)

    def review_cancel(
        self, intent: CancelIntent, order: Order, now_ns: int
    ) -> CancelApproved | Denied:
        """Decide on a cancel: own budget, never the state of trading."""
        now_ns = self.advance(now_ns)
        reason = self._cancel_denial(intent, order, now_ns)
        if reason is not None:
            used = self.cancels.count(now_ns)
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

    def review_replace(
        self, intent: ReplaceIntent, order: Order, now_ns: int
    ) -> ReplaceApproved | Denied:
        """Decide on a cancel-replace: a whole placement, with the old order still held."""
        if order.status.is_terminal:
            return Denied(intent, DenyReason.ORDER_NOT_OPEN, {}, {"verdict": "order_not_open"})
        if intent.strategy_id not in HUMAN_ROADS and intent.strategy_id != order.strategy_id:
            return Denied(intent, DenyReason.NOT_OWNER, {}, {"verdict": "not_owner"})
        wish = PlaceIntent(
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            side=order.side,
            order_type=order.order_type,
            qty=intent.qty,
            price=intent.price,
            time_in_force=order.time_in_force,
            stop_price=order.stop_price,
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
        )
        return ReplaceApproved(replace, answer.decision)

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
    def _first_failing(self, case: Case, rules: tuple[Rule, ...]) -> DenyReason | None:
        try:
            for rule in rules:
                reason = rule(self, case)
                if reason is not None:
                    return reason
        except ArithmeticError as error:  # digits beyond the 64 that arithmetic here is exact in
            return case.deny(DenyReason.MALFORMED_ORDER, problem=type(error).__name__)
        return None

    def _mint(self, case: Case) -> NewOrder:
        intent = case.intent
        now_ns = self.fact_ns = case.now_ns
        client_order_id: ClientOrderId = self.ids.mint()
        timed = intent.order_type in TIMED_TYPES
        order = NewOrder(
            client_order_id=client_order_id,
            strategy_id=intent.strategy_id,
            instrument_id=intent.instrument_id,
            side=intent.side,
            order_type=intent.order_type,
            qty=case.qty,
            price=intent.price,
            time_in_force=(intent.time_in_force or TimeInForce.GTC) if timed else None,
            stop_price=intent.stop_price,
            reduce_only=intent.reduce_only,
            ts_ns=now_ns,
        )
        self.take_hold(
            client_order_id,
            case.book,
            is_buy=case.is_buy,
            is_stop=intent.order_type in STOP_TYPES,
            qty=case.qty,
            px=case.px,  # type: ignore[arg-type] # check_market has set it
            phase=IN_FLIGHT,
        )
        self.count_attempt(case.book, case.key, now_ns)  # type: ignore[arg-type] # as px
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
        if self.cancels.count(now_ns) + 1 > caps.cancels_per_second_max:
            return DenyReason.CANCELS_PER_SECOND
        second, minute = self.messages(now_ns)
        if second + 1 > caps.messages_per_second_max:
            return DenyReason.MESSAGES_PER_SECOND
        if minute + 1 > caps.messages_per_minute_max:
            return DenyReason.MESSAGES_PER_MINUTE
        return None


def needs_time_in_force(order_type: OrderType) -> bool:
    """Whether orders of this type carry a time in force."""
    return order_type in TIMED_TYPES
