"""The reply of cancelReplace: two answers in one (binance-spot.md §5).

200: both done. 409 with -2021: one of them; 400 with -2022: none. 429 with either: over the order
count, where `orderRateLimitExceededMode` says whether the cancel was done (CANCEL_ONLY) or not
(DO_NOTHING, which is the default and what we ask for). `data` holds both halves, and each is read
as it stands: its code speaks of that half, the status of the whole answer does not.
"""

import msgspec

from daemon.errors import Undecodable
from daemon.venues.binance_spot.error_answers import classify
from daemon.venues.binance_spot.spot_rows import SpotOrderRow, decode_as
from daemon.venues.faults import Fault, Outcome


class _Halves(msgspec.Struct, rename="camel"):
    cancel_result: str
    new_order_result: str
    cancel_response: msgspec.Raw = msgspec.Raw(b"null")
    new_order_response: msgspec.Raw = msgspec.Raw(b"null")


class _Refusal(msgspec.Struct):
    code: int
    msg: str = ""


class _ErrorWithHalves(msgspec.Struct):
    data: _Halves


class Half(msgspec.Struct, frozen=True):
    """One half of the answer: a row when it was done, else the fault."""

    row: SpotOrderRow | None
    fault: Fault | None


class ReplaceOutcome(msgspec.Struct, frozen=True):
    """What became of the cancel and of the new order."""

    cancel: Half
    placement: Half


_HALVES = msgspec.json.Decoder(_Halves)
_WITH_HALVES = msgspec.json.Decoder(_ErrorWithHalves)
_ROW = msgspec.json.Decoder(SpotOrderRow)
_REFUSAL = msgspec.json.Decoder(_Refusal)


def decode_success(body: bytes | msgspec.Raw) -> ReplaceOutcome:
    """Read the result of a 200.

    Raises:
        Undecodable: when it is not such a result.
    """
    return _outcome(decode_as(_HALVES, body, "cancelReplace"), 200)


def decode_failure(fault: Fault, data: object) -> ReplaceOutcome | None:
    """Read `data` of a -2021 or -2022; None when the error is about the whole request."""
    if fault.code not in {-2021, -2022} or data is None:
        return None
    try:
        halves = _WITH_HALVES.decode(msgspec.json.encode({"data": data})).data
        return _outcome(halves, 400 if fault.status in {409, 429} else fault.status)
    except (msgspec.MsgspecError, Undecodable, RecursionError, TypeError, ValueError):
        return None


def _outcome(halves: _Halves, status: int) -> ReplaceOutcome:
    return ReplaceOutcome(
        cancel=_half(halves.cancel_result, halves.cancel_response, status),
        placement=_half(halves.new_order_result, halves.new_order_response, status),
    )


def _half(result: str, response: msgspec.Raw, status: int) -> Half:
    if result == "SUCCESS":
        return Half(decode_as(_ROW, response, "cancelReplace half"), None)
    if result == "NOT_ATTEMPTED":
        fault = Fault(outcome=Outcome.REFUSED, status=status, code=0, message="not attempted")
        return Half(None, fault)
    if result == "FAILURE":
        row = decode_as(_REFUSAL, response, "cancelReplace half")
        return Half(None, classify(status, row.code, row.msg))
    raise Undecodable(f"cancelReplace: unknown result {result[:30]!r}")
