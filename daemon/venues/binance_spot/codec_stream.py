"""Market streams: combined frames -> tops of book and trades (binance-spot.md §9).

Rules of this file:
1. One typed decode a frame; the stream's name is read only where the data needs it.
2. bookTicker carries no time: `ts_venue_ns` is 0.
3. A kind that we did not ask for is passed over; garbage raises `Undecodable`.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import msgspec

from daemon.errors import Undecodable
from daemon.model.amounts import NS_PER_MS
from daemon.model.enums import Side
from daemon.model.market import TopOfBook, TradeTick
from daemon.venues.binance_spot.amount_text import amount
from daemon.venues.contract import DepthDiff, MarketEvent, StreamNotice
from daemon.venues.own_ids import SymbolNames

SHUTDOWN = "serverShutdown"


class MarketRow(
    msgspec.Struct,
    rename={
        "event": "e",
        "event_time_ms": "E",
        "symbol": "s",
        "last_update_id": "u",
        "first_update_id": "U",
        "bid": "b",
        "bid_qty": "B",
        "ask": "a",
        "ask_qty": "A",
        "trade_id": "t",
        "price": "p",
        "qty": "q",
        "time_ms": "T",
        "buyer_is_maker": "m",
    },
):
    """All kinds of `data` in one struct: a letter's type depends on the kind, so it stays Any."""

    event: str = ""
    event_time_ms: int = 0
    symbol: str = ""
    last_update_id: int = 0
    first_update_id: int = 0
    bid: Any = None
    bid_qty: Any = None
    ask: Any = None
    ask_qty: Any = None
    trade_id: Any = None
    price: Any = None
    qty: Any = None
    time_ms: int = 0
    buyer_is_maker: Any = None


class _Combined(msgspec.Struct):
    stream: str = ""
    data: MarketRow | None = None
    id: int | str | None = None


_COMBINED = msgspec.json.Decoder(_Combined)
_LEVEL_COUNT_MAX = 20_000


def stream_names(symbols: Iterable[str], kinds: Iterable[str]) -> list[str]:
    """Lower-case stream names, symbol by symbol."""
    wanted = list(kinds)
    return [f"{symbol.lower()}@{kind}" for symbol in symbols for kind in wanted]


def combined_path(names: Iterable[str]) -> str:
    """Path and query of a combined connection."""
    return "/stream?streams=" + quote("/".join(names), safe="/@")


def list_frame(request_id: int) -> bytes:
    """A LIST_SUBSCRIPTIONS command: a harmless question that a living connection answers."""
    return msgspec.json.encode({"method": "LIST_SUBSCRIPTIONS", "id": request_id})


class StreamReader:
    """Turns combined frames into market events of one environment."""

    __slots__ = ("_names",)

    def __init__(self, names: SymbolNames) -> None:
        self._names = names

    def read(self, payload: bytes | str | memoryview, ts_recv_ns: int) -> MarketEvent:
        """Read one frame.

        Raises:
            Undecodable: for anything that is not in the stream's language.
        """
        try:
            frame = _COMBINED.decode(payload)
            row = frame.data
            if row is None:
                return StreamNotice("reply")
            if row.event == "" and row.bid_qty is not None:
                return self._top(row, ts_recv_ns)
            if row.event == "trade":
                return self._trade(row, ts_recv_ns)
            if row.event == "depthUpdate":
                return self._diff(row)
            return StreamNotice(row.event or frame.stream, row.event == SHUTDOWN)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Undecodable(f"market frame: {error}") from error
        except (TypeError, AttributeError, ValueError) as error:
            # A letter had another type than its kind takes.
            raise Undecodable(f"market frame: {error}") from error

    def _top(self, row: MarketRow, ts_recv_ns: int) -> TopOfBook:
        return TopOfBook(
            self._names.instrument(row.symbol),
            amount(row.bid),
            amount(row.bid_qty),
            amount(row.ask),
            amount(row.ask_qty),
            row.last_update_id,
            0,
            ts_recv_ns,
        )

    def _trade(self, row: MarketRow, ts_recv_ns: int) -> TradeTick:
        if type(row.trade_id) is not int or type(row.buyer_is_maker) is not bool:
            raise Undecodable("trade without id or maker flag")
        return TradeTick(
            self._names.instrument(row.symbol),
            row.trade_id,
            Side.SELL if row.buyer_is_maker else Side.BUY,
            amount(row.price),
            amount(row.qty),
            row.time_ms * NS_PER_MS,
            ts_recv_ns,
        )

    def _diff(self, row: MarketRow) -> DepthDiff:
        return DepthDiff(
            symbol=row.symbol,
            first_update_id=row.first_update_id,
            last_update_id=row.last_update_id,
            bids=_levels(row.bid),
            asks=_levels(row.ask),
            ts_venue_ns=row.event_time_ms * NS_PER_MS,
        )


def _levels(value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, list) or len(value) > _LEVEL_COUNT_MAX:
        raise Undecodable("depth levels are no list of bounded length")
    levels = []
    for level in value:
        price, qty = level
        if type(price) is not str or type(qty) is not str:
            raise Undecodable("a depth level is not two texts")
        levels.append((price, qty))
    return levels
