"""The venue's own books of everything that reached it: the outside judge of a session.

Rules of this file:
1. It is written from the venue's events and answers only, never from anything a client claims.
2. Orders and fills are listed per account order; the background flow appears as counts.
3. `events` is the order of things: enough to recompute exposure at the venue over time.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import orjson

from daemon.model.enums import ExecType, Side
from daemon.venues.binance_spot.serving.events import ExecReport
from daemon.venues.binance_spot.serving.order_requests import Status
from daemon.venues.binance_spot.serving.units import text_of
from daemon.venues.sim.ledger_rows import (
    BLOCK_ROWS,
    OrderRows,
    PackedRows,
    Row,
    Wanted,
    as_it_is,
)
from daemon.venues.sim.sim_orders import (
    OrderOrigin,
    SimOrder,
    TradeFill,
    UserEvent,
)
from daemon.venues.sim.venue import SimVenue

FAULTS_KEPT = 100_000
ASKED = {
    "symbol": "symbol",
    "side": "side",
    "type": "type",
    "quantity": "qty",
    "price": "price",
    "newClientOrderId": "client_order_id",
    "origClientOrderId": "orig_client_order_id",
    "orderId": "order_id",
    "streams": "streams",
}
"""Parameters that a row of the wire repeats, and what they are called there."""
_KINDS = {
    ExecType.CANCELED: "canceled",
    ExecType.EXPIRED: "expired",
    ExecType.REPLACED: "amended",
    ExecType.TRADE: "fill",
}


class Ledger(msgspec.Struct):
    """Facts in the order they happened."""

    orders: OrderRows = msgspec.field(default_factory=lambda: OrderRows(_order_row))
    fills: PackedRows = msgspec.field(default_factory=PackedRows)
    cancels: PackedRows = msgspec.field(default_factory=PackedRows)
    rejects: PackedRows = msgspec.field(default_factory=PackedRows)
    events: PackedRows = msgspec.field(default_factory=PackedRows)
    requests: Counter[str] = msgspec.field(default_factory=Counter)
    statuses: Counter[str] = msgspec.field(default_factory=Counter)
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    fault_log: PackedRows = msgspec.field(default_factory=PackedRows)
    wipes: list[int] = msgspec.field(default_factory=list)
    dropped_before: Counter[str] = msgspec.field(default_factory=Counter)
    """Rows of earlier runs that were gone when their books were saved."""
    wire: PackedRows | None = None
    """Every request and connection, as the client saw it end; None: nobody asked for it."""

    def on_user_event(self, event: UserEvent) -> None:
        """Book one executionReport; other user events change no order."""
        if not isinstance(event, ExecReport):
            return
        order = event.order
        kind = _KINDS.get(event.exec_type, "")
        if event.exec_type is ExecType.NEW:
            kind = "accepted" if order.ledger_number < 0 else "triggered"
            if kind == "accepted":
                self.orders.add(order)
        elif event.exec_type is ExecType.TRADE_PREVENTION:
            kind = "expired" if event.status is Status.EXPIRED_IN_MATCH else "prevented"
        if kind == "canceled":
            self.cancels.append(
                {
                    "symbol": order.symbol,
                    "order_id": order.order_id,
                    "client_order_id": order.client_order_id,
                    "cancel_id": event.client_order_id,
                    "executed_qty": text_of(event.executed),
                    "ts_ns": event.ts_ns,
                }
            )
        self.events.append(_event_row(kind, event))
        if not order.is_open and order.ledger_number >= 0:
            self.orders.end(order)

    def on_wipe(self, ts_ns: int) -> None:
        """The venue has begun anew: what was open is gone as it was."""
        self.wipes.append(ts_ns)
        self.orders.end_all()

    def on_fill(self, fill: TradeFill) -> None:
        """Book one account's side of a trade."""
        self.fills.append(
            {
                "symbol": fill.symbol,
                "trade_id": fill.trade_id,
                "order_id": fill.order_id,
                "client_order_id": fill.client_order_id,
                "account": fill.account,
                "side": fill.side,
                "price": text_of(fill.price),
                "qty": text_of(fill.qty),
                "fee": text_of(fill.fee),
                "fee_asset": fill.fee_asset,
                "maker": fill.maker,
                "ours": fill.origin is OrderOrigin.API,
                "epoch": fill.epoch,
                "ts_ns": fill.ts_ns,
            }
        )

    def on_reject(
        self, *, endpoint: str, code: int, msg: str, values: dict[str, str], ts_ns: int
    ) -> None:
        """Book a refused order request, with what was asked."""
        client_id = values.get("newClientOrderId") or values.get("origClientOrderId") or ""
        self.rejects.append(
            {
                "endpoint": endpoint,
                "code": code,
                "msg": msg,
                "client_order_id": client_id,
                "symbol": values.get("symbol", ""),
                "side": values.get("side", ""),
                "qty": values.get("quantity", ""),
                "price": values.get("price", ""),
                "ts_ns": ts_ns,
            }
        )

    def on_wire(
        self, name: str, values: Mapping[str, str], *, status: int, code: int, ts_ns: int
    ) -> None:
        """Book one request: `status` as the client saw it, 0 for no answer at all.

        `name` is `REST METHOD /path`, `WS method`, or `STREAM open` and `STREAM close` of market
        data; `code` is the venue's, 0 when there was none.
        """
        if self.wire is not None:
            asked = {told: values[key] for key, told in ASKED.items() if values.get(key)}
            self.wire.append(
                {"ts_ns": ts_ns, "name": name, "status": status, "code": code, **asked}
            )

    def on_fault(self, kind: str, ts_ns: int, detail: str = "") -> None:
        """Count an injected fault."""
        name = str(kind)  # a plain str: JSON object keys may not be enum members
        self.faults[name] += 1
        if len(self.fault_log) < FAULTS_KEPT:
            self.fault_log.append({"kind": name, "ts_ns": ts_ns, "detail": detail})

    def restore(
        self, books: Row, open_orders: dict[tuple[str, str, int], SimOrder], epoch: int
    ) -> None:
        """Go on with the books of an earlier run (`pieces` of all of it)."""
        for row in _rows(books, "orders"):
            number = (str(row["account"]), str(row["symbol"]), int(str(row["order_id"])))
            order = open_orders.get(number) if row["epoch"] == epoch else None
            if order is None:
                self.orders.add_ended(row)
            else:
                self.orders.add(order)
        for name in ("fills", "cancels", "rejects", "events", "fault_log", "wire"):
            kept: PackedRows | None = getattr(self, name)
            if kept is None:
                continue
            for row in _rows(books, name):
                kept.append(row)
        for name, counts in (
            ("requests", self.requests),
            ("statuses", self.statuses),
            ("faults", self.faults),
            ("dropped", self.dropped_before),
        ):
            told = books.get(name)
            counts.update(told if isinstance(told, dict) else {})
        wipes = books.get("wipes")
        self.wipes += wipes if isinstance(wipes, list) else []

    def pieces(
        self, venue: SimVenue, now_ns: int, *, account: str = "", since_ns: int = 0
    ) -> Iterator[bytes]:
        """The whole ledger as pieces of one JSON object; `since_ns` leaves older rows out.

        What it tells is as of this call, however slowly it is read.
        """
        working = [as_it_is(order) for order in self._open(venue, account)]
        wire = PackedRows() if self.wire is None else self.wire
        lists = (
            ("open_orders", _in_blocks(working)),
            ("orders", self.orders.pieces(_filter("updated_ns", since_ns, account))),
            ("fills", self.fills.pieces(_filter("ts_ns", since_ns, account))),
            ("cancels", self.cancels.pieces(_filter("ts_ns", since_ns))),
            ("rejects", self.rejects.pieces(_filter("ts_ns", since_ns))),
            ("events", self.events.pieces(_filter("ts_ns", since_ns, account))),
            ("fault_log", self.fault_log.pieces()),
            ("wire", wire.pieces(_filter("ts_ns", since_ns))),
        )
        rest = orjson.dumps(
            {
                "ts_ns": now_ns,
                "epoch": venue.epoch,
                "balances": _balances(venue, account),
                "initial_balances": {
                    asset: text_of(free)
                    for owner in venue.accounts.values()
                    if account in {"", owner.name}
                    for asset, free in owner.grants.items()
                },
                "requests": dict(self.requests),
                "statuses": dict(self.statuses),
                "faults": dict(self.faults),
                "wipes": self.wipes,
                "dropped": self._dropped(),
                "background": venue.background,
                "prices": {symbol: _prices(venue, symbol) for symbol in venue.markets},
            }
        )
        return _object_of(rest, lists)

    def _dropped(self) -> dict[str, int]:
        """How many rows are gone, by list; lists that are whole are left out."""
        names = ("orders", "fills", "cancels", "rejects", "events", "fault_log", "wire")
        lists: list[tuple[str, OrderRows | PackedRows | None]] = [
            (name, getattr(self, name)) for name in names
        ]
        now = Counter({name: rows.dropped for name, rows in lists if rows is not None})
        return dict(+(now + self.dropped_before))

    def _open(self, venue: SimVenue, account: str) -> list[SimOrder]:
        return [
            order
            for owner in venue.accounts.values()
            if account in {"", owner.name}
            for order in owner.open_orders.values()
        ]


def _event_row(kind: str, event: ExecReport[SimOrder]) -> Row:
    order = event.order
    row: Row = {
        "ts_ns": event.ts_ns,
        "kind": kind,
        "account": event.account,
        "symbol": order.symbol,
        "side": order.side,
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "type": order.type,
        "price": text_of(order.price or order.stop_price),
        "qty": text_of(event.qty),
        "leaves": text_of(event.leaves),
        "ours": order.origin is OrderOrigin.API,
        "order_list_id": order.list_id,
        "epoch": order.epoch,
    }
    if event.trade_id >= 0:
        row |= {
            "trade_id": event.trade_id,
            "last_qty": text_of(event.last_qty),
            "last_price": text_of(event.last_price),
        }
    return row


def _order_row(order: SimOrder) -> Row:
    return {
        "symbol": order.symbol,
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "shown_client_order_id": order.shown_client_order_id,
        "account": order.account,
        "side": order.side,
        "type": order.type,
        "time_in_force": order.time_in_force,
        "price": text_of(order.price),
        "stop_price": text_of(order.stop_price),
        "iceberg_qty": text_of(order.iceberg_qty),
        "trailing_bps": order.trailing_bps,
        "peg": order.peg,
        "qty": text_of(order.qty),
        "executed_qty": text_of(order.executed),
        "prevented_qty": text_of(order.prevented),
        "cum_quote": text_of(order.cum_quote),
        "status": order.status,
        "expiry_reason": order.expiry_reason,
        "ours": order.origin is OrderOrigin.API,
        "order_list_id": order.list_id,
        "epoch": order.epoch,
        "ts_ns": order.ts_ns,
        "updated_ns": order.updated_ns,
    }


def _rows(books: Row, name: str) -> list[Row]:
    rows = books.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _filter(time_name: str, since_ns: int, account: str = "") -> Wanted | None:
    """Which rows are wanted; None: all, and nobody has to look at them."""
    if not since_ns and not account:
        return None
    return lambda row: int(str(row[time_name])) >= since_ns and account in {"", row.get("account")}


def _object_of(rest: bytes, lists: Sequence[tuple[str, Iterator[bytes]]]) -> Iterator[bytes]:
    yield rest[:-1]
    for name, pieces in lists:
        yield b',"%b":[' % name.encode()
        yield from pieces
        yield b"]"
    yield b"}"


def _in_blocks(orders: list[SimOrder]) -> Iterator[bytes]:
    for start in range(0, len(orders), BLOCK_ROWS):
        rows = [orjson.dumps(_order_row(order)) for order in orders[start : start + BLOCK_ROWS]]
        yield (b"," if start else b"") + b",".join(rows)


def _balances(venue: SimVenue, account: str) -> Row:
    """One account's balances; with several accounts, the sums."""
    free: Counter[str] = Counter()
    locked: Counter[str] = Counter()
    for owner in venue.accounts.values():
        if account in {"", owner.name}:
            for asset, wallet in owner.wallets.items():
                free[asset] += wallet.free
                locked[asset] += wallet.locked
    return {
        asset: {"free": text_of(free[asset]), "locked": text_of(locked[asset])} for asset in free
    }


def _prices(venue: SimVenue, symbol: str) -> Row:
    market = venue.markets[symbol]
    return {
        "bid": text_of(market.best_price(Side.BUY)),
        "ask": text_of(market.best_price(Side.SELL)),
        "last": text_of(market.tape.last_price),
    }
