"""The WebSocket API as a stop speaks it: time, open orders, cancels, and their replies.

A stop in a second process waits for every import; all that it needs of the venue's language is here
and in what this file imports.
"""

import msgspec

from daemon.errors import Undecodable
from daemon.venues.binance_spot import costs, spot_rows
from daemon.venues.binance_spot.request_signing import Signer
from daemon.venues.binance_spot.ws_envelope import (
    PATH,
    Fields,
    ReplyFrame,
    cancel_by_id_fields,
    reply_of,
    ws_request,
)
from daemon.venues.contract import SocketNotice, WsReply
from daemon.venues.requests import Purpose, WsRequest


class SpotStopCodec:
    """See `StopCodec`. It logs on nowhere: each request carries its own signature."""

    __slots__ = ("_key", "_recv_window_ms")

    path = PATH
    time_ms = staticmethod(spot_rows.decode_time_ms)
    open = staticmethod(spot_rows.decode_open)
    canceled = staticmethod(spot_rows.decode_canceled)

    def __init__(self, *, api_key: str, signer: Signer, recv_window_ms: int) -> None:
        self._key = (api_key, signer)
        self._recv_window_ms = recv_window_ms

    def decode(self, payload: bytes, ts_recv_ns: int) -> WsReply | SocketNotice:
        """Read one frame.

        Raises:
            Undecodable: it is neither a reply nor an event.
        """
        del ts_recv_ns
        try:
            frame = _FRAME.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Undecodable(f"WebSocket API frame: {error}") from error
        if bytes(frame.event) not in {b"", b"null"}:
            return SocketNotice("event")  # as of a venue that shuts down: whatever it says
        if frame.status == 0:
            raise Undecodable("WebSocket API frame without status and without event")
        return reply_of(frame)

    def cancel_all(self, symbol: str, request_id: str, timestamp_ms: int) -> WsRequest:
        """`openOrders.cancelAll` of one symbol."""
        return self._signed(
            "openOrders.cancelAll",
            {"symbol": symbol},
            request_id,
            timestamp_ms,
            weight=costs.CANCEL_ALL,
            purpose=Purpose.CANCEL,
        )

    def cancel_by_id(
        self, symbol: str, order_id: int, named: str, request_id: str, timestamp_ms: int
    ) -> WsRequest:
        """`order.cancel` by the venue's id alone (emergency stop)."""
        return self._signed(
            "order.cancel",
            cancel_by_id_fields(symbol, order_id, named),
            request_id,
            timestamp_ms,
            weight=costs.ORDER_CANCEL,
            purpose=Purpose.CANCEL,
        )

    def open_orders(self, symbol: str | None, request_id: str, timestamp_ms: int) -> WsRequest:
        """`openOrders.status` of one symbol, or of all (dear: 80)."""
        return self._signed(
            "openOrders.status",
            {} if symbol is None else {"symbol": symbol},
            request_id,
            timestamp_ms,
            weight=costs.OPEN_ORDERS_ALL if symbol is None else costs.OPEN_ORDERS_SYMBOL,
            purpose=Purpose.QUERY,
        )

    def server_time(self, request_id: str) -> WsRequest:
        """`time`."""
        return WsRequest(
            request_id=request_id,
            payload=msgspec.json.encode({"id": request_id, "method": "time"}),
            weight=costs.TIME,
            purpose=Purpose.DATA,
        )

    def _signed(
        self,
        method: str,
        fields: Fields,
        request_id: str,
        timestamp_ms: int,
        *,
        weight: int,
        purpose: Purpose,
    ) -> WsRequest:
        params = {**fields, "recvWindow": self._recv_window_ms, "timestamp": timestamp_ms}
        return ws_request(method, params, request_id, key=self._key, weight=weight, purpose=purpose)


class _StopFrame(ReplyFrame):
    event: msgspec.Raw = msgspec.Raw(b"")


_FRAME = msgspec.json.Decoder(_StopFrame)
