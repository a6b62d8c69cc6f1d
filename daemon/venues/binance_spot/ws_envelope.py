"""What every request and every reply of the WebSocket API has in common (binance-spot.md §10).

Rule of this file: a request is signed over its sorted raw params; the timestamp is always there.
"""

from typing import Any

import msgspec

from daemon.errors import Unencodable
from daemon.model.ids import CLIENT_ORDER_ID_MAX_LENGTH
from daemon.venues.binance_spot.bans import epoch_ms
from daemon.venues.binance_spot.error_answers import classify
from daemon.venues.binance_spot.request_signing import Signer, ws_signing_text
from daemon.venues.contract import RateLimitRow, WsReply
from daemon.venues.requests import Purpose, WsRequest

PATH = "/ws-api/v3"
Value = str | int | bool
Fields = dict[str, Value]
"""Parameter name -> value, without apiKey, timestamp, recvWindow and signature."""


def checked_id(client_order_id: str) -> str:
    """A client order id within the venue's pattern.

    Raises:
        Unencodable: when it is empty, too long, or has a character the venue refuses.
    """
    letters = client_order_id.replace("-", "").replace("_", "") or "0"
    if (
        not 0 < len(client_order_id) <= CLIENT_ORDER_ID_MAX_LENGTH
        or not letters.isascii()
        or not letters.isalnum()
    ):
        raise Unencodable(f"client order id {client_order_id!r} is not in the venue's pattern")
    return client_order_id


def cancel_by_id_fields(symbol: str, order_id: int, named: str) -> Fields:
    """Parameters of a cancel by the venue's order id alone; `named` is the cancel's own id."""
    fields: Fields = {"symbol": symbol, "orderId": order_id}
    return {**fields, "newClientOrderId": checked_id(named)} if named else fields


def ws_request(
    method: str,
    params: Fields,
    request_id: str,
    *,
    key: tuple[str, Signer] | None,
    weight: int,
    purpose: Purpose,
    orders: int = 0,
) -> WsRequest:
    """One call; `key` signs `params`, which then belong to it. None: the session is logged on."""
    if key is not None:
        params["apiKey"], signer = key
        params["signature"] = signer.sign(ws_signing_text(params))
    return WsRequest(
        request_id=request_id,
        payload=msgspec.json.encode({"id": request_id, "method": method, "params": params}),
        weight=weight,
        purpose=purpose,
        orders=orders,
    )


class ErrorBody(msgspec.Struct):
    """`error` of a reply."""

    code: int
    msg: str = ""
    data: Any = None


class ReplyFrame(msgspec.Struct, rename="camel"):
    """What a reply has, and an event has not."""

    id: int | str | None = None
    status: int = 0
    result: msgspec.Raw = msgspec.Raw(b"")
    error: ErrorBody | None = None
    rate_limits: list[RateLimitRow] = []


def reply_of(frame: ReplyFrame) -> WsReply:
    """The reply that a frame with a status is."""
    fault = None
    error_data = None
    if frame.status != 200 or frame.error is not None:
        body = frame.error or ErrorBody(code=0, msg="no error body")
        error_data = body.data
        fault = classify(frame.status, body.code, body.msg, retry_at_ms=_retry_at_ms(error_data))
    return WsReply(
        request_id="" if frame.id is None else str(frame.id),
        status=frame.status,
        result=frame.result,
        fault=fault,
        error_data=error_data,
        rate_limits=frame.rate_limits,
    )


def _retry_at_ms(data: Any) -> int:
    """`retryAfter` of a WebSocket API refusal: an absolute epoch in ms (binance-spot.md §6)."""
    if isinstance(data, dict):
        value = data.get("retryAfter")
        if isinstance(value, int) and not isinstance(value, bool):
            return epoch_ms(value)
    return 0
