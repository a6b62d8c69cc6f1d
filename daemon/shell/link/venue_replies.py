"""Answers to requests -> inputs for the engine. Pure: what an answer proves, and nothing more.

Rules of this file:
1. Only a definite, typed answer is a reject; whatever else went wrong is `OutcomeUnknown`.
2. An answer that cannot be read is no answer: `OutcomeUnknown`.
3. For a cancel-replace both orders are named: the target as `replace`, the new one as `place`.
"""

from typing import Any

import msgspec

from daemon.errors import Undecodable
from daemon.model.ids import ClientOrderId, InstrumentId
from daemon.model.inputs import (
    Input,
    NotSent,
    OutcomeUnknown,
    RequestKind,
    VenueAmendReject,
    VenueCancelReject,
    VenueReject,
    VenueReport,
)
from daemon.model.reports import CancelReject, Reject
from daemon.venues.binance_spot import replace_reply
from daemon.venues.binance_spot.codec_rest import decode_amended, decode_canceled, decode_order
from daemon.venues.binance_spot.error_answers import Outcome, VenueFault
from daemon.venues.binance_spot.order_rows import SpotRowReader

NO_ORDER = ClientOrderId("")
"""Stands where a cancel-all has no order of its own to name."""
_DEFINITE = frozenset(
    {
        Outcome.REFUSED,
        Outcome.LIMITED,
        Outcome.CLOCK,
        Outcome.KEY,
        Outcome.NOT_CANCELABLE,
        Outcome.ABSENT,
    }
)


class PendingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request on its way. `client_order_id` is the target's for cancel, amend, replace."""

    kind: RequestKind
    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    new_client_order_id: ClientOrderId = NO_ORDER
    """The order that a replace places."""


class VenueAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer from either road: a result, or a fault with its data."""

    result: bytes | msgspec.Raw
    fault: VenueFault | None
    error_data: Any
    ts_recv_ns: int


def not_sent(asked: PendingRequest, reason: str) -> list[Input]:
    """Proof that no byte left."""
    made: list[Input] = [NotSent(asked.client_order_id, asked.instrument_id, asked.kind, reason)]
    if asked.kind == "replace":
        made.append(NotSent(asked.new_client_order_id, asked.instrument_id, "place", reason))
    return made


def unknown(asked: PendingRequest, reason: str) -> list[Input]:
    """Bytes left and nothing is proven."""
    made: list[Input] = [
        OutcomeUnknown(asked.client_order_id, asked.instrument_id, asked.kind, reason)
    ]
    if asked.kind == "replace":
        made.append(OutcomeUnknown(asked.new_client_order_id, asked.instrument_id, "place", reason))
    return made


def inputs_of(asked: PendingRequest, answer: VenueAnswer, reader: SpotRowReader) -> list[Input]:
    """What the engine is told of an answer."""
    try:
        if asked.kind == "replace":
            return _replace(asked, answer, reader)
        if answer.fault is not None:
            return _fault(asked, answer.fault, answer.ts_recv_ns)
        if asked.kind == "place":
            report = reader.placed(decode_order(answer.result), answer.ts_recv_ns)
            if report.client_order_id != asked.client_order_id:
                return unknown(asked, f"the answer is about {report.client_order_id}")
            return [VenueReport(report)]
        if asked.kind == "cancel":
            row = decode_order(answer.result)
            return [VenueReport(reader.canceled(row, answer.ts_recv_ns))]
        if asked.kind == "amend":
            report = reader.amended(decode_amended(answer.result), answer.ts_recv_ns)
            return [VenueReport(report)]
        rows = decode_canceled(answer.result)
        return [VenueReport(reader.canceled(row, answer.ts_recv_ns)) for row in rows]
    except Undecodable as error:
        return unknown(asked, str(error)[:200])


def _fault(asked: PendingRequest, fault: VenueFault, ts_recv_ns: int) -> list[Input]:
    if fault.outcome not in _DEFINITE:
        return unknown(asked, fault.text)
    if asked.kind == "place":
        return [_reject(asked.client_order_id, asked.instrument_id, fault, ts_recv_ns)]
    if asked.kind == "cancel_all":
        if fault.outcome is Outcome.NOT_CANCELABLE:
            return []  # no open order on the symbol: what was wanted
        return unknown(asked, fault.text)
    if asked.kind == "amend":
        return [VenueAmendReject(_refusal(asked, fault, ts_recv_ns))]
    return [_cancel_reject(asked, fault, ts_recv_ns)]


def _replace(asked: PendingRequest, answer: VenueAnswer, reader: SpotRowReader) -> list[Input]:
    ts_recv_ns = answer.ts_recv_ns
    if answer.fault is None:
        outcome = replace_reply.decode_success(answer.result)
    else:
        halves = replace_reply.decode_failure(answer.fault, answer.error_data)
        if halves is None:
            if answer.fault.outcome not in _DEFINITE or answer.fault.code in {-2021, -2022}:
                return unknown(asked, answer.fault.text)
            return [
                _cancel_reject(asked, answer.fault, ts_recv_ns),
                _reject(asked.new_client_order_id, asked.instrument_id, answer.fault, ts_recv_ns),
            ]
        outcome = halves
    made: list[Input] = []
    cancel, placement = outcome.cancel, outcome.placement
    if cancel.row is not None:
        made.append(VenueReport(reader.canceled(cancel.row, ts_recv_ns)))
    elif cancel.fault is not None and cancel.fault.outcome in _DEFINITE:
        made.append(_cancel_reject(asked, cancel.fault, ts_recv_ns))
    else:
        why = "no answer" if cancel.fault is None else cancel.fault.text
        made.append(OutcomeUnknown(asked.client_order_id, asked.instrument_id, "replace", why))
    new_id = asked.new_client_order_id
    if placement.row is not None:
        made.append(VenueReport(reader.placed(placement.row, ts_recv_ns)))
    elif placement.fault is not None and placement.fault.outcome in _DEFINITE:
        made.append(_reject(new_id, asked.instrument_id, placement.fault, ts_recv_ns))
    else:
        why = "no answer" if placement.fault is None else placement.fault.text
        made.append(OutcomeUnknown(new_id, asked.instrument_id, "place", why))
    return made


def _reject(
    client_order_id: ClientOrderId, instrument_id: InstrumentId, fault: VenueFault, ts_recv_ns: int
) -> Input:
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


def _cancel_reject(asked: PendingRequest, fault: VenueFault, ts_recv_ns: int) -> Input:
    return VenueCancelReject(_refusal(asked, fault, ts_recv_ns))


def _refusal(asked: PendingRequest, fault: VenueFault, ts_recv_ns: int) -> CancelReject:
    return CancelReject(
        client_order_id=asked.client_order_id,
        instrument_id=asked.instrument_id,
        code=fault.code,
        reason=fault.message,
        ts_recv_ns=ts_recv_ns,
    )
