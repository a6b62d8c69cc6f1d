"""The WebSocket API: order entry and user data on one connection (binance-spot.md §10).

Rules of this file:
1. A request is signed over its sorted raw params; after `session.logon` key and signature are
   left out, the timestamp never is.
2. One frame is decoded once: reply and event share the envelope.
3. Garbage raises `Undecodable`; an unknown event is named and passed over.
"""

from collections.abc import Callable, Iterator

import msgspec

from daemon.errors import Undecodable
from daemon.model.amounts import NS_PER_MS
from daemon.model.inputs import BalancesChanged, VenueReport
from daemon.model.orders import AmendOrder, CancelOrder, NewOrder, NewOrderList, ReplaceOrder
from daemon.venues.binance_spot import costs
from daemon.venues.binance_spot.order_rows import SpotRowReader
from daemon.venues.binance_spot.placement_shape import PlacementShape
from daemon.venues.binance_spot.request_params import (
    amend_fields,
    cancel_fields,
    list_fields,
    place_fields,
    replace_fields,
)
from daemon.venues.binance_spot.request_signing import Signer
from daemon.venues.binance_spot.spot_rows import SpotOrderRow, decode_order
from daemon.venues.binance_spot.user_data import (
    KNOWN_EVENTS,
    AccountEvent,
    OrderEvent,
    ShutdownEvent,
    TerminatedEvent,
    UserEvent,
    balances_in,
    report_of,
)
from daemon.venues.binance_spot.ws_envelope import PATH, Fields, ReplyFrame, reply_of, ws_request
from daemon.venues.contract import SocketMessage, SocketNotice, WsReply
from daemon.venues.requests import Purpose, WsRequest

_PLACE = Purpose.PLACE
"""Looked up once: on Python 3.11 a look at a member of an enum costs as much as a call."""

_SHAPES_MAX = 4_096


class WsCodec:
    """The WebSocket API of one connection; `logged_on` is that connection's state."""

    __slots__ = ("_api_key", "_reader", "_recv_window_ms", "_shapes", "_signer", "logged_on")

    path = PATH

    def __init__(
        self, *, api_key: str, signer: Signer, recv_window_ms: int, reader: SpotRowReader
    ) -> None:
        self._reader = reader
        self._api_key = api_key
        self._signer = signer
        self._recv_window_ms = recv_window_ms
        self._shapes: dict[tuple[str, str, str, str | None, bool], PlacementShape] = {}
        self.logged_on = False

    def log_on_plan(self) -> Iterator[tuple[str, Callable[[str, int], WsRequest]]]:
        """Log on where the key's kind may (Ed25519), then subscribe the user data."""
        if self._signer.session_logon:
            yield "logon", self.log_on
            self.logged_on = True
        yield "subscribe", self.subscribe

    def decode(self, payload: bytes | memoryview, ts_recv_ns: int) -> SocketMessage:
        """Read one frame. Raises `Undecodable`, as `decode_frame` and `report_of` do."""
        message = decode_frame(payload)
        if type(message) is WsReply:
            return message
        if type(message) is OrderEvent:
            reader = self._reader
            return VenueReport(report_of(message, reader.names, reader.ids, ts_recv_ns))
        match message:
            case AccountEvent():
                stamp_ms = message.updated_ms or message.time_ms
                return BalancesChanged(balances_in(message), stamp_ms * NS_PER_MS)
            case TerminatedEvent():
                return SocketNotice(
                    "eventStreamTerminated", ends="the venue ended the user data stream"
                )
            case ShutdownEvent():
                return SocketNotice("serverShutdown", renews=True)
            case UnknownEvent():
                return SocketNotice(message.name)
        return SocketNotice(type(message).__name__)

    def place(self, order: NewOrder, request_id: str, timestamp_ms: int) -> WsRequest:
        """`order.place`, from the shape of its kind: only id, amounts and time are new."""
        kind = (
            order.instrument_id,
            order.side,
            order.order_type,
            order.time_in_force,
            self.logged_on,
        )
        payload = None
        if order.extras is None and order.terms is None:
            shape = self._shapes.get(kind)
            if shape is None:
                shape = self._learn(kind, order)
            payload = shape.payload(order, request_id, timestamp_ms, self._signer)
        if payload is None:
            return self._request(
                "order.place",
                place_fields(order),
                request_id,
                timestamp_ms,
                weight=costs.ORDER_PLACE,
                purpose=_PLACE,
                orders=1,
            )
        return WsRequest(
            request_id=request_id,
            payload=payload,
            weight=costs.ORDER_PLACE,
            purpose=_PLACE,
            orders=1,
        )

    def place_list(self, order_list: NewOrderList, request_id: str, timestamp_ms: int) -> WsRequest:
        """`orderList.place.oco` and its kin."""
        kind, fields = list_fields(order_list)
        return self._request(
            f"orderList.place.{kind}", fields, request_id, timestamp_ms,
            weight=costs.ORDER_PLACE, purpose=Purpose.PLACE, orders=len(order_list.orders),
        )  # fmt: skip

    def cancel(self, cancel: CancelOrder, request_id: str, timestamp_ms: int) -> WsRequest:
        """`order.cancel`."""
        return self._request(
            "order.cancel",
            cancel_fields(cancel),
            request_id,
            timestamp_ms,
            weight=costs.ORDER_CANCEL,
            purpose=Purpose.CANCEL,
        )

    def replace(self, replace: ReplaceOrder, request_id: str, timestamp_ms: int) -> WsRequest:
        """`order.cancelReplace`."""
        return self._request(
            "order.cancelReplace",
            replace_fields(replace),
            request_id,
            timestamp_ms,
            weight=costs.CANCEL_REPLACE,
            purpose=Purpose.PLACE,
            orders=1,
        )

    def amend(self, amend: AmendOrder, request_id: str, timestamp_ms: int) -> WsRequest:
        """`order.amend.keepPriority`: reduce only, no order count."""
        return self._request(
            "order.amend.keepPriority",
            amend_fields(amend),
            request_id,
            timestamp_ms,
            weight=costs.AMEND,
            purpose=Purpose.PLACE,
        )

    def log_on(self, request_id: str, timestamp_ms: int) -> WsRequest:
        """`session.logon`: always signed. Set `logged_on` when it was answered with 200."""
        return self._request(
            "session.logon",
            {},
            request_id,
            timestamp_ms,
            weight=costs.LOGON,
            purpose=Purpose.SESSION,
            signed=True,
        )

    def subscribe(self, request_id: str, timestamp_ms: int) -> WsRequest:
        """User data: within the session when logged on, else by its own signature."""
        if self.logged_on:
            payload = msgspec.json.encode({"id": request_id, "method": "userDataStream.subscribe"})
            return WsRequest(
                request_id=request_id,
                payload=payload,
                weight=costs.SUBSCRIBE,
                purpose=Purpose.SESSION,
            )
        return self._request(
            "userDataStream.subscribe.signature",
            {},
            request_id,
            timestamp_ms,
            weight=costs.SUBSCRIBE,
            purpose=Purpose.SESSION,
            signed=True,
        )

    def ping(self, request_id: str) -> WsRequest:
        """`ping`: the answer proves that both directions of the connection live."""
        return WsRequest(
            request_id=request_id,
            payload=msgspec.json.encode({"id": request_id, "method": "ping"}),
            weight=costs.PING,
            purpose=Purpose.SESSION,
        )

    def _learn(
        self, kind: tuple[str, str, str, str | None, bool], order: NewOrder
    ) -> PlacementShape:
        fixed: Fields = {"recvWindow": self._recv_window_ms}
        if not self.logged_on:
            fixed["apiKey"] = self._api_key
        shape = PlacementShape(order, place_fields(order), fixed, signed=not self.logged_on)
        if len(self._shapes) >= _SHAPES_MAX:
            self._shapes.clear()
        self._shapes[kind] = shape
        return shape

    def _request(
        self,
        method: str,
        fields: Fields,
        request_id: str,
        timestamp_ms: int,
        *,
        weight: int,
        purpose: Purpose,
        orders: int = 0,
        signed: bool = False,
    ) -> WsRequest:
        params: Fields = dict(fields)
        params["recvWindow"] = self._recv_window_ms
        params["timestamp"] = timestamp_ms
        key = (self._api_key, self._signer) if signed or not self.logged_on else None
        return ws_request(
            method, params, request_id, key=key, weight=weight, purpose=purpose, orders=orders
        )


class _Frame(ReplyFrame, rename="camel"):
    """A reply or an event: one envelope, decoded once."""

    event: UserEvent | None = None
    subscription_id: int | None = None


class _LooseEvent(msgspec.Struct):
    e: str = ""


class _LooseFrame(msgspec.Struct):
    event: _LooseEvent


class UnknownEvent(msgspec.Struct, frozen=True):
    """An event of a kind that this build does not know."""

    name: str


WsMessage = WsReply | UserEvent | UnknownEvent
"""What `decode_frame` makes of a frame."""

_FRAME = msgspec.json.Decoder(_Frame)
_LOOSE = msgspec.json.Decoder(_LooseFrame)


def decode_frame(payload: bytes | memoryview) -> WsMessage:
    """Read one frame of the WebSocket API.

    Raises:
        Undecodable: when it is neither a reply nor an event, or a known event is malformed.
    """
    try:
        frame = _FRAME.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _loose(payload, error)
    if frame.event is not None:
        return frame.event
    if frame.status == 0:
        raise Undecodable("WebSocket API frame without status and without event")
    return reply_of(frame)


def order_result(reply: WsReply) -> SpotOrderRow:
    """The order row of a reply to place or cancel."""
    return decode_order(reply.result)


def _loose(payload: bytes | memoryview, error: Exception) -> UnknownEvent:
    try:
        name = _LOOSE.decode(payload).event.e
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        name = ""
    if not name or name in KNOWN_EVENTS:
        raise Undecodable(f"WebSocket API frame: {error}") from error
    return UnknownEvent(name)
