"""What the interceptor answers: an order that may leave, or a denial.

Rule of this file: plain values. Who makes an `Approved` is the interceptor alone (promise P1).
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from daemon.model.intents import AmendIntent, CancelIntent, PlaceIntent, ReplaceIntent
from daemon.model.orders import AmendOrder, CancelOrder, NewOrder, NewOrderList, ReplaceOrder
from riskcaps.gate.gate_inputs import DecisionInputs
from riskcaps.words.denials import DenyReason


class Approved(msgspec.Struct, frozen=True):
    """May leave, and is held. Journal it before its bytes go (promise P5)."""

    order: NewOrder
    inputs: DecisionInputs

    @property
    def decision(self) -> dict[str, Any]:
        """What it was decided on, as its record carries it."""
        return self.inputs.plain()


class Denied(msgspec.Struct, frozen=True):
    """May not leave. `context` is for people, `decision` for whoever decides again."""

    intent: PlaceIntent | CancelIntent | ReplaceIntent | AmendIntent
    reason: DenyReason
    context: Mapping[str, str]
    decision: Mapping[str, Any]


class CancelApproved(msgspec.Struct, frozen=True):
    """The cancel may leave."""

    cancel: CancelOrder


class AmendApproved(msgspec.Struct, frozen=True):
    """The amend may leave. Journal it before its bytes go; the hold stays as it is."""

    amend: AmendOrder


class ReplaceApproved(msgspec.Struct, frozen=True):
    """May leave; the new order is held beside the old one until the venue has ended that."""

    replace: ReplaceOrder
    decision: Mapping[str, Any]


class ListVerdict(msgspec.Struct, frozen=True):
    """The orders of a list as they were decided on, up to the first that is denied.

    `order_list` None: it may not leave, and what was minted of it is to be ended as never sent. No
    order was decided on: one of them would have been cut.
    """

    decided: tuple[Approved | Denied, ...]
    order_list: NewOrderList | None
