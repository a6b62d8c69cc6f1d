"""What an answer to one request proves for the engine, whichever venue gave it. Pure.

Rules of this file:
1. Only a definite, typed answer is a reject; whatever else went wrong is `OutcomeUnknown`.
2. For a cancel-replace both orders are named: the target as `replace`, the new one as `place`.
"""

from typing import Any

import msgspec

from daemon.model.ids import ClientOrderId, InstrumentId
from daemon.model.inputs import (
    Input,
    NotSent,
    OutcomeUnknown,
    RequestKind,
    VenueAmendReject,
    VenueCancelReject,
    VenueReject,
)
from daemon.model.reports import CancelReject, Reject
from daemon.venues.faults import DEFINITE, Fault

NO_ORDER = ClientOrderId("")
"""Stands where a cancel-all has no order of its own to name."""


class Asked(msgspec.Struct, frozen=True):
    """A request on its way. `client_order_id` is the target's for cancel, amend, replace."""

    kind: RequestKind
    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    new_client_order_id: ClientOrderId = NO_ORDER
    """The order that a replace places."""
    others: tuple[ClientOrderId, ...] = ()
    """The other orders of the list that a placement is about: what holds of one holds of all."""

    @property
    def all(self) -> tuple[ClientOrderId, ...]:
        """Every order that its outcome is about, that of a replace apart."""
        return (self.client_order_id, *self.others)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer over either transport: a result, or a fault with its data."""

    result: bytes | msgspec.Raw
    fault: Fault | None
    error_data: Any
    ts_recv_ns: int


def not_sent(asked: Asked, reason: str) -> list[Input]:
    """Proof that no byte left."""
    made: list[Input] = [NotSent(one, asked.instrument_id, asked.kind, reason) for one in asked.all]
    if asked.kind == "replace":
        made.append(NotSent(asked.new_client_order_id, asked.instrument_id, "place", reason))
    return made


def unknown(asked: Asked, reason: str) -> list[Input]:
    """Bytes left and nothing is proven."""
    made: list[Input] = [
        OutcomeUnknown(one, asked.instrument_id, asked.kind, reason) for one in asked.all
    ]
    if asked.kind == "replace":
        made.append(OutcomeUnknown(asked.new_client_order_id, asked.instrument_id, "place", reason))
    return made


def of_fault(asked: Asked, fault: Fault, ts_recv_ns: int) -> list[Input]:
    """What an error answer to anything but a replace proves."""
    if fault.outcome not in DEFINITE:
        return unknown(asked, fault.text)
    if asked.kind == "place":
        return [reject(one, asked.instrument_id, fault, ts_recv_ns) for one in asked.all]
    if asked.kind == "amend":
        return [VenueAmendReject(_refusal(asked, fault, ts_recv_ns))]
    return [cancel_reject(asked, fault, ts_recv_ns)]


def reject(
    client_order_id: ClientOrderId, instrument_id: InstrumentId, fault: Fault, ts_recv_ns: int
) -> Input:
    """A placement that the venue refused."""
    return VenueReject(
        Reject(
            client_order_id=client_order_id,
            instrument_id=instrument_id,
            code=fault.code,
            reason=fault.message,
            ts_recv_ns=ts_recv_ns,
            kind=fault.reject_kind,
        )
    )


def cancel_reject(asked: Asked, fault: Fault, ts_recv_ns: int) -> Input:
    """A cancel that the venue refused."""
    return VenueCancelReject(_refusal(asked, fault, ts_recv_ns))


def _refusal(asked: Asked, fault: Fault, ts_recv_ns: int) -> CancelReject:
    return CancelReject(
        client_order_id=asked.client_order_id,
        instrument_id=asked.instrument_id,
        code=fault.code,
        reason=fault.message,
        ts_recv_ns=ts_recv_ns,
    )
