"""The adapter of `contract_venue`: its integers to our amounts, its words to what they prove.

Client order ids of ours are numbers in base 36, so a tag is the id itself and any tag reads back.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

import msgspec
import orjson

from daemon.errors import Undecodable, Unencodable
from daemon.model.account_model import SpotAccount
from daemon.model.amounts import NS_PER_MS, ZERO
from daemon.model.copies import replace
from daemon.model.enums import (
    ExecType,
    LiquidityFlag,
    OrderType,
    ReportSource,
    Side,
    SymbolStatus,
    VenueOrderStatus,
)
from daemon.model.ids import ClientOrderId, ExecId, InstrumentId, VenueOrderId, base36
from daemon.model.inputs import Input, VenueReport
from daemon.model.instrument import Instrument
from daemon.model.market import TopOfBook
from daemon.model.orders import AmendOrder, CancelOrder, NewOrder, NewOrderList, ReplaceOrder
from daemon.model.position import Balance
from daemon.model.reports import ExecutionReport, Fill
from daemon.venues.answers import Answer, Asked, of_fault, unknown
from daemon.venues.contract import (
    AccountFacts,
    Book,
    Costs,
    DepthDiff,
    Listed,
    MarketEvent,
    RateLimitRow,
    RatePlan,
    SocketMessage,
    SocketNotice,
    StreamNotice,
    VenueCapabilities,
    WsReply,
)
from daemon.venues.faults import Cause, Fault, Outcome
from daemon.venues.own_ids import OwnIds, SymbolNames
from daemon.venues.requests import HttpRequest, Purpose, WsRequest
from tests.support.contract_venue import CONTRACT, KEY, SYMBOL, TICK

CONTRACT_KIND = "contract"
STATES = {
    "live": VenueOrderStatus.NEW,
    "done": VenueOrderStatus.FILLED,
    "pulled": VenueOrderStatus.CANCELED,
}
WORDS = {
    "WHO_ARE_YOU": (1, Outcome.KEY, Cause.OTHER),
    "NO_ORDER": (2, Outcome.ABSENT, Cause.OTHER),
    "NOT_LIVE": (3, Outcome.NOT_CANCELABLE, Cause.OTHER),
    "BAD_LOTS": (4, Outcome.REFUSED, Cause.FILTER),
    "NO_SUCH_RESOURCE": (5, Outcome.REFUSED, Cause.NO_SYMBOL),
}


class ContractAccount(SpotAccount):
    """A position that is no balance one can spend: buys and sells both need their value in cash."""

    sell_pays_value = True

    def cost(
        self, instrument: Instrument, side: Side, qty: Decimal, px: Decimal
    ) -> tuple[str, Decimal]:
        return instrument.quote, self.value(qty, px)


def tag_of(client_order_id: str) -> str:
    """Our id as the venue's number, in decimal text."""
    return str(int(client_order_id, 36))


def fault_of(status: int, word: str) -> Fault:
    """What a word proves."""
    code, outcome, cause = WORDS.get(word, (0, Outcome.UNKNOWN, Cause.OTHER))
    return Fault(outcome=outcome, status=status, code=code, message=word, cause=cause)


class Row(msgspec.Struct):
    """An order of the venue."""

    no: int
    c: str
    tag: str
    lots: int
    ticks: int
    done: int
    state: str

    @property
    def symbol(self) -> str:
        return self.c

    @property
    def order_id(self) -> int:
        return self.no

    @property
    def client_order_id(self) -> str:
        return base36(int(self.tag))

    @property
    def executed(self) -> bool:
        return self.done != 0

    @property
    def is_canceled(self) -> bool:
        return self.state == "pulled"


class TradeLine(msgspec.Struct):
    """A fill of the venue."""

    id: int
    no: int
    c: str
    tag: str
    lots: int
    ticks: int
    fee: str
    at: int

    @property
    def symbol(self) -> str:
        return self.c

    @property
    def order_id(self) -> int:
        return self.no


class Reader:
    """Rows to reports."""

    def __init__(self, names: SymbolNames, ids: OwnIds, cash: str) -> None:
        self._names, self._ids, self._cash = names, ids, cash

    def report(
        self,
        row: Row,
        ts_recv_ns: int,
        source: ReportSource,
        exec_type: ExecType,
        fills: Iterable[Fill] = (),
    ) -> ExecutionReport:
        self._ids.learn(row.c, row.no, row.client_order_id)
        cum = abs(row.done) * CONTRACT
        status = STATES[row.state]
        if status is VenueOrderStatus.NEW and row.done:
            status = VenueOrderStatus.PARTIALLY_FILLED
        return ExecutionReport(
            client_order_id=ClientOrderId(row.client_order_id),
            venue_order_id=VenueOrderId(str(row.no)),
            instrument_id=self._names.instrument(row.c),
            exec_type=exec_type,
            venue_status=status,
            side=Side.BUY if row.lots > 0 else Side.SELL,
            qty=abs(row.lots) * CONTRACT,
            price=row.ticks * TICK,
            cum_qty=cum,
            cum_quote=cum * row.ticks * TICK,
            fills=tuple(fills),
            source=source,
            reason="",
            ts_venue_ns=ts_recv_ns,
            ts_recv_ns=ts_recv_ns,
        )

    def queried(
        self,
        row: Row,
        ts_recv_ns: int,
        *,
        own: ClientOrderId | None = None,
        fills: Iterable[Fill] = (),
    ) -> ExecutionReport:
        return self.report(row, ts_recv_ns, ReportSource.QUERY, ExecType.STATUS, fills)

    def trade(self, row: TradeLine, own: ClientOrderId, ts_recv_ns: int) -> Fill:
        return replace(self.fill(row, ts_recv_ns), client_order_id=own, recovered=True)

    def fill(self, row: TradeLine, ts_recv_ns: int) -> Fill:
        return Fill(
            exec_id=ExecId(f"{row.c}:{row.id}:{row.no}"),
            client_order_id=ClientOrderId(base36(int(row.tag))),
            venue_order_id=VenueOrderId(str(row.no)),
            instrument_id=self._names.instrument(row.c),
            side=Side.BUY if row.lots > 0 else Side.SELL,
            qty=abs(row.lots) * CONTRACT,
            price=row.ticks * TICK,
            fee=Decimal(row.fee),
            fee_asset=self._cash,
            liquidity=LiquidityFlag.MAKER,
            ts_venue_ns=row.at * NS_PER_MS,
            ts_recv_ns=ts_recv_ns,
        )


class Orders:
    """The order connection."""

    path = "/trade"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def place(self, order: NewOrder, request_id: str, timestamp_ms: int) -> WsRequest:
        lots, ticks = order.qty / CONTRACT, (order.price or ZERO) / TICK
        if lots % 1 or ticks % 1 or not ticks:
            raise Unencodable(f"{order.qty} at {order.price} is no whole number of lots and ticks")
        body = {
            "tag": tag_of(order.client_order_id),
            "lots": int(lots) if order.side is Side.BUY else -int(lots),
            "ticks": int(ticks),
        }
        return self._ask("new", body, request_id, Purpose.PLACE)

    def cancel(self, cancel: CancelOrder, request_id: str, timestamp_ms: int) -> WsRequest:
        return self._ask("pull", {"tag": tag_of(cancel.client_order_id)}, request_id)

    def place_list(self, order_list: NewOrderList, request_id: str, timestamp_ms: int) -> WsRequest:
        raise Unencodable("this venue has no order lists")

    def replace(self, replace: ReplaceOrder, request_id: str, timestamp_ms: int) -> WsRequest:
        raise Unencodable("this venue replaces nothing")

    def amend(self, amend: AmendOrder, request_id: str, timestamp_ms: int) -> WsRequest:
        raise Unencodable("this venue amends nothing")

    def cancel_all(self, symbol: str, request_id: str, timestamp_ms: int) -> WsRequest:
        raise Unencodable("this venue cancels one by one")

    def cancel_by_id(
        self, symbol: str, order_id: int, named: str, request_id: str, timestamp_ms: int
    ) -> WsRequest:
        return self._ask("pull", {"no": order_id}, request_id)

    def open_orders(self, symbol: str | None, request_id: str, timestamp_ms: int) -> WsRequest:
        return self._ask("live", {}, request_id, Purpose.QUERY)

    def server_time(self, request_id: str) -> WsRequest:
        return self._ask("clock", {}, request_id, Purpose.DATA)

    def ping(self, request_id: str) -> WsRequest:
        return self._ask("ping", {}, request_id, Purpose.SESSION)

    def log_on_plan(self) -> Iterator[tuple[str, Callable[[str, int], WsRequest]]]:
        yield "hello", self.hello

    def hello(self, request_id: str, _timestamp_ms: int) -> WsRequest:
        """Who we are; everything that happens to our orders follows on this connection."""
        return self._ask("hello", {"key": KEY}, request_id, Purpose.SESSION)

    def decode(self, payload: bytes, ts_recv_ns: int) -> SocketMessage:
        try:
            word, *rest = orjson.loads(payload)
            if word == "re":
                call_id, status, body = rest
                fault = None if status == 200 else fault_of(status, body["word"])
                raw = msgspec.Raw(orjson.dumps(body))
                return WsReply(str(call_id), status, raw, fault, None, [])
            row = msgspec.convert(rest[-1], Row)
        except (ValueError, TypeError, KeyError, msgspec.ValidationError) as error:
            raise Undecodable(f"frame: {error}") from error
        source = ReportSource.STREAM
        if word == "fill":
            fill = self._reader.fill(msgspec.convert(rest[0], TradeLine), ts_recv_ns)
            report = self._reader.report(row, ts_recv_ns, source, ExecType.TRADE, [fill])
            return VenueReport(report)
        if word == "order":
            kind = ExecType.CANCELED if row.is_canceled else ExecType.NEW
            return VenueReport(self._reader.report(row, ts_recv_ns, source, kind))
        return SocketNotice(word)

    def _ask(
        self, word: str, body: dict[str, Any], request_id: str, purpose: Purpose = Purpose.CANCEL
    ) -> WsRequest:
        return WsRequest(
            request_id=request_id,
            payload=orjson.dumps([request_id, word, body]),
            weight=1,
            purpose=purpose,
            orders=int(purpose is Purpose.PLACE),
        )


def _get(target: str, purpose: Purpose = Purpose.QUERY, method: str = "GET") -> HttpRequest:
    return HttpRequest(
        method=method, target=f"/v1/{target}", headers=(("X-Key", KEY),), body=b"", weight=1,
        purpose=purpose,
    )  # fmt: skip


class Encode:
    """REST requests."""

    def server_time(self) -> HttpRequest:
        return _get("clock", Purpose.DATA)

    def exchange_info(self, symbols: tuple[str, ...]) -> HttpRequest:
        return _get("contracts", Purpose.DATA)

    def my_filters(self, symbol: str, timestamp_ms: int) -> HttpRequest:
        return _get("filters", Purpose.DATA)

    def depth(self, symbol: str, limit: int) -> HttpRequest:
        return _get("top", Purpose.DATA)

    def day_ticker(self, symbol: str) -> HttpRequest:
        return _get("day", Purpose.DATA)

    def account(self, timestamp_ms: int) -> HttpRequest:
        return _get("account")

    def commission(self, symbol: str, timestamp_ms: int) -> HttpRequest:
        return _get("fees")

    def open_orders(self, symbol: str | None, timestamp_ms: int) -> HttpRequest:
        return _get("orders")

    def all_orders(
        self, symbol: str, from_id: int | None, limit: int, timestamp_ms: int
    ) -> HttpRequest:
        return _get(f"orders?from={from_id or 0}")

    def order(
        self,
        instrument_id: InstrumentId,
        client_order_id: ClientOrderId,
        venue_order_id: VenueOrderId | None,
        timestamp_ms: int,
    ) -> HttpRequest:
        if venue_order_id is not None:
            return _get(f"orders/{venue_order_id}")
        return _get(f"tags/{tag_of(client_order_id)}")

    def trades_from(self, symbol: str, from_id: int, limit: int, timestamp_ms: int) -> HttpRequest:
        return _get(f"fills?from={from_id}")

    def trades_of(self, symbol: str, order_id: int, timestamp_ms: int) -> HttpRequest:
        return _get(f"fills?no={order_id}")

    def cancel(self, cancel: CancelOrder, timestamp_ms: int) -> HttpRequest:
        number = cancel.venue_order_id
        if number is None:
            raise Unencodable("REST cancels by the venue's number")
        return _get(f"orders/{number}", Purpose.CANCEL, "DELETE")

    def cancel_by_id(
        self, symbol: str, order_id: int, named: str, timestamp_ms: int
    ) -> HttpRequest:
        return _get(f"orders/{order_id}", Purpose.CANCEL, "DELETE")

    def place(self, order: NewOrder, timestamp_ms: int) -> NoReturn:
        raise Unencodable("orders go over the socket")

    def place_list(self, order_list: NewOrderList, timestamp_ms: int) -> NoReturn:
        raise Unencodable("this venue has no order lists")

    def replace(self, replace: ReplaceOrder, timestamp_ms: int) -> NoReturn:
        raise Unencodable("this venue replaces nothing")

    def amend(self, amend: AmendOrder, timestamp_ms: int) -> NoReturn:
        raise Unencodable("this venue amends nothing")

    def cancel_all(self, symbol: str, timestamp_ms: int) -> NoReturn:
        raise Unencodable("this venue cancels one by one")

    def test_buy(self, symbol: str, qty: Decimal, price: Decimal, timestamp_ms: int) -> NoReturn:
        raise Unencodable("this venue checks no order without placing it")


@dataclass(frozen=True, slots=True)
class Top:
    """A snapshot of a book that nobody has told yet."""

    last_update_id: int = 0

    def top(self, side: Side) -> None:
        """Nothing."""


class Decode:
    """REST bodies."""

    def __init__(self, names: SymbolNames, cash: str) -> None:
        self._names, self._cash = names, cash

    def _as(self, kind: Any, body: bytes | msgspec.Raw) -> Any:
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError as error:
            raise Undecodable(str(error)) from error

    def error(self, status: int, body: bytes) -> Fault:
        try:
            return fault_of(status, str(self._as(dict[str, Any], body).get("word")))
        except Undecodable:
            return fault_of(status, "")

    def error_data(self, body: bytes) -> None:
        """This venue says no more than its word."""

    def time_ms(self, body: bytes | msgspec.Raw) -> int:
        return int(self._as(dict[str, int], body)["ms"])

    def order(self, body: bytes | msgspec.Raw) -> Row:
        row: Row = self._as(Row, body)
        return row

    def orders(self, body: bytes | msgspec.Raw) -> Sequence[Row]:
        rows: list[Row] = self._as(list[Row], body)
        return rows

    open = canceled = orders

    def trades(self, body: bytes) -> Sequence[TradeLine]:
        rows: list[TradeLine] = self._as(list[TradeLine], body)
        return rows

    def account(self, body: bytes) -> AccountFacts:
        row = self._as(dict[str, Any], body)
        held = [Balance(self._cash, Decimal(row["cash"]), ZERO)]
        held += [Balance(c, lots * CONTRACT, ZERO) for c, lots in row["positions"].items()]
        return AccountFacts(tuple(held), can_trade=True, can_withdraw=False)

    def fee_asset(self, body: bytes) -> str:
        return ""

    def listed(self, body: bytes, symbols: Iterable[str]) -> Listed:
        rows = {row["c"]: row for row in self._as(list[dict[str, str]], body)}
        made = tuple(self._instrument(rows[one]) for one in symbols if one in rows)
        return Listed(made, {one: "unknown" for one in symbols if one not in rows}, (), ())

    def _instrument(self, row: dict[str, str]) -> Instrument:
        return Instrument(
            instrument_id=self._names.instrument(row["c"]),
            symbol=row["c"],
            base=row["c"],
            quote=self._cash,
            kind=CONTRACT_KIND,
            status=SymbolStatus.TRADING,
            order_types=frozenset({OrderType.LIMIT}),
            base_precision=3,
            quote_precision=8,
            tick=Decimal(row["tick"]),
            qty_min=Decimal(row["size"]),
            lot=Decimal(row["size"]),
        )

    def own_filters(self, instrument: Instrument, body: bytes) -> Instrument:
        return instrument

    def depth(self, body: bytes) -> Top:
        return Top()

    def day_volume(self, body: bytes) -> Decimal:
        return ZERO


class Ticker:
    """Market data: one stream of tops."""

    def __init__(self, names: SymbolNames) -> None:
        self._names = names

    def read(self, payload: bytes, ts_recv_ns: int) -> MarketEvent:
        try:
            word, *rest = orjson.loads(payload)
        except ValueError as error:
            raise Undecodable(str(error)) from error
        if word != "top":
            return StreamNotice(word)
        symbol, number, bid, bid_lots, ask, ask_lots = rest
        sides = (bid * TICK, bid_lots * CONTRACT, ask * TICK, ask_lots * CONTRACT)
        return TopOfBook(self._names.instrument(symbol), *sides, number, 0, ts_recv_ns)

    def top_stream(self, symbol: str) -> str:
        return symbol

    depth_stream = trade_stream = top_stream

    def path(self, names: Iterable[str]) -> str:
        return "/ticker"

    def probe(self, request_id: int) -> bytes:
        return b'["alive?"]'

    def new_book(self) -> Book:
        raise Unencodable(f"this venue tells no depth, so there is no {DepthDiff.__name__}")


class StopOrders(Orders):
    """The order connection of a stop."""

    def __init__(self, reader: Reader, decode: Decode) -> None:
        super().__init__(reader)
        self.time_ms, self.open, self.canceled = decode.time_ms, decode.open, decode.canceled


class ContractAdapter:
    """The whole of it."""

    capabilities = VenueCapabilities(cancel_all=False)
    costs = Costs(place=1, cancel=1, replace=1, amend=1, ping=1, connect=1)
    rates = RatePlan(
        documented=(RateLimitRow("REQUEST_WEIGHT", "MINUTE", 1, 6_000),),
        header_of=lambda _row: "",
        scopes={429: "weight"},
        retry_at_ms=lambda _header, _now_ms: 0,
        until_ms_in=lambda _text: 0,
    )

    def __init__(
        self, symbols: Sequence[str] = (SYMBOL,), venue: str = "sim", cash: str = "USD"
    ) -> None:
        names = SymbolNames(venue, symbols)
        self.symbols = names.symbols
        self.instrument = names.instrument
        self.ids = OwnIds()
        self.reader = Reader(names, self.ids, cash)
        self.encode, self.decode, self.market = Encode(), Decode(names, cash), Ticker(names)

    def fault(self, status: int, code: int, message: str) -> Fault:
        return fault_of(status, message)

    def order_codec(self) -> Orders:
        return Orders(self.reader)

    def stop_codec(self) -> StopOrders:
        return StopOrders(self.reader, self.decode)

    def inputs_of(self, asked: Asked, answer: Answer) -> list[Input]:
        if answer.fault is not None:
            return of_fault(asked, answer.fault, answer.ts_recv_ns)
        try:
            row = self.decode.order(answer.result)
        except Undecodable as error:
            return unknown(asked, str(error))
        kind = ExecType.CANCELED if asked.kind == "cancel" else ExecType.NEW
        report = self.reader.report(row, answer.ts_recv_ns, ReportSource.REPLY, kind)
        return [VenueReport(report)]
