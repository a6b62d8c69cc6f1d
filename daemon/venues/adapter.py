"""What the shell knows of a venue: an adapter, and nothing else. `registry.py` makes them.

An adapter is translation only: values to exact bytes, bytes to values. It reads no clock (times
are arguments), opens no socket, and raises only errors of `daemon.errors`. One link owns one
adapter: it remembers which of our orders a venue's id means.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from daemon.model.ids import ClientOrderId, InstrumentId, VenueOrderId
from daemon.model.inputs import Input
from daemon.model.instrument import Instrument
from daemon.model.orders import AmendOrder, CancelOrder, NewOrder, NewOrderList, ReplaceOrder
from daemon.model.reports import ExecutionReport, Fill
from daemon.venues.answers import Answer, Asked
from daemon.venues.contract import (
    AccountFacts,
    Book,
    Costs,
    Depth,
    Listed,
    MarketEvent,
    OpenRow,
    OrderRow,
    RatePlan,
    SocketMessage,
    TradeRow,
    VenueCapabilities,
)
from daemon.venues.faults import Fault
from daemon.venues.own_ids import OwnIds
from daemon.venues.requests import HttpRequest, WsRequest


class MarketCodec(Protocol):
    """Market streams: names, commands, frames, books."""

    @property
    def read(self) -> Callable[[bytes, int], MarketEvent]:
        """Read one frame, received at an engine time in ns. Raises `Undecodable`."""

    def top_stream(self, symbol: str) -> str:
        """The stream of the best bid and ask."""

    def depth_stream(self, symbol: str) -> str:
        """The stream of depth diffs."""

    def trade_stream(self, symbol: str) -> str:
        """The stream of public trades."""

    def path(self, names: Iterable[str]) -> str:
        """Path and query of a connection that has these streams."""

    def probe(self, request_id: int) -> bytes:
        """A harmless question that a living connection answers."""

    def new_book(self) -> Book:
        """A book that waits for its snapshot."""


class OrderCodec(Protocol):
    """The order connection: one codec for each, because a log-on is a connection's state."""

    @property
    def path(self) -> str:
        """Where the venue serves it, when the address does not say."""

    def place(self, order: NewOrder, request_id: str, timestamp_ms: int) -> WsRequest:
        """A placement; `request_id` is echoed by the venue, `timestamp_ms` is venue time."""

    def place_list(self, order_list: NewOrderList, request_id: str, timestamp_ms: int) -> WsRequest:
        """An order list: all of its orders, or none."""

    def cancel(self, cancel: CancelOrder, request_id: str, timestamp_ms: int) -> WsRequest:
        """A cancel."""

    def replace(self, replace: ReplaceOrder, request_id: str, timestamp_ms: int) -> WsRequest:
        """A cancel-replace."""

    def amend(self, amend: AmendOrder, request_id: str, timestamp_ms: int) -> WsRequest:
        """A smaller quantity for a resting order."""

    def ping(self, request_id: str) -> WsRequest:
        """A question whose answer proves that both directions of the connection live."""

    def log_on_plan(self) -> Iterator[tuple[str, Callable[[str, int], WsRequest]]]:
        """Requests, by name, that make a new connection usable: each follows the last's answer."""

    def decode(self, payload: bytes, ts_recv_ns: int) -> SocketMessage:
        """Read one frame. Raises `Undecodable`."""


class StopCodec(Protocol):
    """The order connection as a stop uses it: nothing is logged on, and nothing can be placed."""

    @property
    def path(self) -> str:
        """Where the venue serves it, when the address does not say."""

    def cancel_all(self, symbol: str, request_id: str, timestamp_ms: int) -> WsRequest:
        """Cancel everything on one symbol."""

    def cancel_by_id(
        self, symbol: str, order_id: int, named: str, request_id: str, timestamp_ms: int
    ) -> WsRequest:
        """A cancel by the venue's id alone, under the id `named` (emergency stop)."""

    def open_orders(self, symbol: str | None, request_id: str, timestamp_ms: int) -> WsRequest:
        """Open orders of one symbol, or of the account."""

    def server_time(self, request_id: str) -> WsRequest:
        """The venue's time."""

    def decode(self, payload: bytes, ts_recv_ns: int) -> SocketMessage:
        """Read one frame. Raises `Undecodable`."""

    def time_ms(self, body: msgspec.Raw) -> int:
        """Venue time, of a reply's result. Raises `Undecodable`, as those below do."""

    def open(self, body: msgspec.Raw) -> Sequence[OpenRow]:
        """Open orders, as far as a stop needs them."""

    def canceled(self, body: msgspec.Raw) -> Sequence[OrderRow]:
        """The orders that a cancel-all has canceled."""


class RestEncoder(Protocol):
    """REST requests for one key. `timestamp_ms` is venue time."""

    def server_time(self) -> HttpRequest:
        """The venue's time."""

    def exchange_info(self, symbols: tuple[str, ...]) -> HttpRequest:
        """Symbols, filters, limits."""

    def my_filters(self, symbol: str, timestamp_ms: int) -> HttpRequest:
        """The account's own filters of a symbol."""

    def depth(self, symbol: str, limit: int) -> HttpRequest:
        """A snapshot of a book."""

    def day_ticker(self, symbol: str) -> HttpRequest:
        """What a symbol has traded in the last 24 hours."""

    def account(self, timestamp_ms: int) -> HttpRequest:
        """Balances and flags of the account."""

    def commission(self, symbol: str, timestamp_ms: int) -> HttpRequest:
        """How fees of a symbol are paid."""

    def about_account(self, path: str, symbol: str, timestamp_ms: int) -> HttpRequest:
        """What bots may ask about the account: commissions or filters; it tells of no order."""

    def open_orders(self, symbol: str | None, timestamp_ms: int) -> HttpRequest:
        """Open orders of one symbol, or of the account."""

    def all_orders(
        self, symbol: str, from_id: int | None, limit: int, timestamp_ms: int
    ) -> HttpRequest:
        """Orders of a symbol: ascending from a number (inclusive), or the newest."""

    def order(
        self,
        instrument_id: InstrumentId,
        client_order_id: ClientOrderId,
        venue_order_id: VenueOrderId | None,
        timestamp_ms: int,
    ) -> HttpRequest:
        """One order, by the venue's id when given, else by our own."""

    def trades_from(self, symbol: str, from_id: int, limit: int, timestamp_ms: int) -> HttpRequest:
        """Our trades of a symbol, ascending from a number (inclusive)."""

    def trades_of(self, symbol: str, order_id: int, timestamp_ms: int) -> HttpRequest:
        """The trades of one order."""

    def place(self, order: NewOrder, timestamp_ms: int) -> HttpRequest:
        """A placement."""

    def place_list(self, order_list: NewOrderList, timestamp_ms: int) -> HttpRequest:
        """An order list: all of its orders, or none."""

    def cancel(self, cancel: CancelOrder, timestamp_ms: int) -> HttpRequest:
        """A cancel."""

    def replace(self, replace: ReplaceOrder, timestamp_ms: int) -> HttpRequest:
        """A cancel-replace."""

    def amend(self, amend: AmendOrder, timestamp_ms: int) -> HttpRequest:
        """A smaller quantity for a resting order."""

    def cancel_all(self, symbol: str, timestamp_ms: int) -> HttpRequest:
        """Cancel everything on one symbol."""

    def cancel_by_id(
        self, symbol: str, order_id: int, named: str, timestamp_ms: int
    ) -> HttpRequest:
        """A cancel by the venue's id alone, under the client id `named`, if any."""

    def test_buy(self, symbol: str, qty: Decimal, price: Decimal, timestamp_ms: int) -> HttpRequest:
        """A limit buy that is checked and never placed: it proves that the key may trade."""


class RestDecoder(Protocol):
    """Bodies of REST answers, and results of the order connection. All raise `Undecodable`."""

    def error(self, status: int, body: bytes) -> Fault:
        """An error answer; a body that is not the venue's own proves nothing. Never raises."""

    def error_data(self, body: bytes) -> Any:
        """What an error body carries beside code and text."""

    def time_ms(self, body: bytes | msgspec.Raw) -> int:
        """Venue time."""

    def order(self, body: bytes | msgspec.Raw) -> OrderRow:
        """One order."""

    def orders(self, body: bytes | msgspec.Raw) -> Sequence[OrderRow]:
        """Several orders."""

    def open(self, body: bytes | msgspec.Raw) -> Sequence[OpenRow]:
        """Open orders, as far as a stop needs them."""

    def canceled(self, body: bytes | msgspec.Raw) -> Sequence[OrderRow]:
        """The orders that a cancel-all has canceled."""

    def trades(self, body: bytes) -> Sequence[TradeRow]:
        """Trades of the account, ascending."""

    def account(self, body: bytes) -> AccountFacts:
        """Balances and flags."""

    def fee_asset(self, body: bytes) -> str:
        """The other asset that fees are paid in while some of it is there; empty: none."""

    def listed(self, body: bytes, symbols: Iterable[str]) -> Listed:
        """These symbols as far as they are listed and can be read."""

    def own_filters(self, instrument: Instrument, body: bytes) -> Instrument:
        """The instrument with the account's own limits."""

    def depth(self, body: bytes) -> Depth:
        """A snapshot of a book."""

    def day_volume(self, body: bytes) -> Decimal:
        """The value that was traded in the last 24 hours, in the quote asset."""


class RowReader(Protocol):
    """Rows to the model's reports. `row` is what this adapter's decoder gave."""

    def queried(
        self,
        row: Any,
        ts_recv_ns: int,
        *,
        own: ClientOrderId | None = None,
        fills: Iterable[Fill] = (),
    ) -> ExecutionReport:
        """A row of a query. `own` is the id that was asked for, when one was."""

    def trade(self, row: Any, own: ClientOrderId, ts_recv_ns: int) -> Fill:
        """A row of the trade history, which names no client id."""


class VenueAdapter(Protocol):
    """One venue's language for one key."""

    @property
    def capabilities(self) -> VenueCapabilities:
        """What the venue can do."""

    @property
    def costs(self) -> Costs:
        """What requests weigh."""

    @property
    def rates(self) -> RatePlan:
        """How the venue counts us."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """Our symbols."""

    @property
    def ids(self) -> OwnIds:
        """Which of our orders a venue's id means."""

    @property
    def encode(self) -> RestEncoder:
        """REST requests."""

    @property
    def decode(self) -> RestDecoder:
        """REST answers."""

    @property
    def reader(self) -> RowReader:
        """Rows to reports."""

    @property
    def market(self) -> MarketCodec:
        """Market data."""

    @property
    def inputs_of(self) -> Callable[[Asked, Answer], list[Input]]:
        """What an answer to an order request proves for the engine. Never raises."""

    def instrument(self, symbol: str) -> InstrumentId:
        """The instrument id of a symbol, ours or not. Raises `Undecodable`."""

    def fault(self, status: int, code: int, message: str) -> Fault:
        """What an error proves whose body was read before."""

    def order_codec(self) -> OrderCodec:
        """For one new order connection."""

    def stop_codec(self) -> StopCodec:
        """For the connections of a stop."""
