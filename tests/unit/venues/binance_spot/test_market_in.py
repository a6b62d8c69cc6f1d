"""Market frames, recorded from the venue: all must parse, snapshots and diffs must sync."""

import re
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from daemon.errors import Undecodable
from daemon.model.enums import OrderType, Side, SymbolStatus
from daemon.model.market import TopOfBook, TradeTick
from daemon.venues.binance_spot.codec_stream import (
    StreamReader,
    combined_path,
    stream_names,
)
from daemon.venues.binance_spot.depth import DepthBook, DepthState, decode_snapshot
from daemon.venues.contract import DepthDiff, StreamNotice
from daemon.venues.own_ids import SymbolNames
from tests.support.adapters import decode_exchange

RECORDED = Path("../shared/data/binance-spot")
NAMES = SymbolNames("sim", ["NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR"])
READER = StreamReader(NAMES)
needs_recordings = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recorded frames are not beside this checkout"
)


def recorded_frames() -> list[bytes]:
    lines = (RECORDED / "market.ws.txt").read_text().splitlines()
    found = (re.match(r"^[\d.]+: (\{.*\})$", line) for line in lines)
    return [match.group(1).encode() for match in found if match]


def recorded_snapshots() -> dict[str, bytes]:
    made = {}
    for line in (RECORDED / "depth.http.txt").read_text().splitlines():
        match = re.match(r"^\S*symbol=(\w+)&\S* -> [\d.]+: (\{.*\})$", line)
        if match:
            made[match.group(1)] = match.group(2).encode()
    return made


@needs_recordings
def test_every_recorded_frame_parses() -> None:
    kinds: dict[str, int] = {}
    for frame in recorded_frames():
        event = READER.read(frame, 7)
        kinds[type(event).__name__] = kinds.get(type(event).__name__, 0) + 1
        if isinstance(event, TopOfBook):
            assert event.bid_px < event.ask_px
            assert event.ts_recv_ns == 7
    assert kinds == {"DepthDiff": 177, "TopOfBook": 84, "StreamNotice": 4}


@needs_recordings
def test_recorded_snapshots_and_diffs_sync() -> None:
    books = {symbol: DepthBook() for symbol in NAMES.symbols}
    diffs: dict[str, list[DepthDiff]] = {symbol: [] for symbol in NAMES.symbols}
    tops: dict[str, TopOfBook] = {}
    for frame in recorded_frames():
        event = READER.read(frame, 0)
        if isinstance(event, DepthDiff):
            diffs[event.symbol].append(event)
        elif isinstance(event, TopOfBook):
            tops[event.instrument_id.partition("@")[0]] = event
    for symbol, body in recorded_snapshots().items():
        book = books[symbol]
        snapshot = decode_snapshot(body)
        early = [d for d in diffs[symbol] if d.first_update_id <= snapshot.last_update_id + 1]
        for diff in early:
            assert not book.on_diff(diff)
        assert book.on_snapshot(snapshot), symbol
        for diff in diffs[symbol][len(early) :]:
            assert book.on_diff(diff), f"{symbol}: gap before {diff.first_update_id}"
        best = book.best()
        assert best is not None
        assert best[0] < best[2], "a book that synced is not crossed"
        if diffs[symbol]:
            assert book.update_id == diffs[symbol][-1].last_update_id
        top = tops.get(symbol)
        if top is not None and top.update_id == book.update_id:
            assert best == (top.bid_px, top.bid_qty, top.ask_px, top.ask_qty)
    assert sum(book.gaps for book in books.values()) == 0


@needs_recordings
def test_recorded_exchange_info_gives_instruments() -> None:
    body = (RECORDED / "exchangeInfo.json").read_bytes()
    (nkn, *_), limits, _ = decode_exchange(body, NAMES)
    assert nkn.instrument_id == "NKNUSDT@sim"
    assert (nkn.base, nkn.quote, nkn.tick) == ("NKN", "USDT", Decimal("0.0001"))
    assert nkn.status is SymbolStatus.TRADING
    assert OrderType.LIMIT_MAKER in nkn.order_types
    assert {row.rate_limit_type for row in limits} == {"REQUEST_WEIGHT", "ORDERS", "RAW_REQUESTS"}


def _diff(first: int, last: int, *bids: tuple[str, str]) -> DepthDiff:
    return DepthDiff("X", first, last, list(bids), [], 0)


def _snapshot(last: int) -> bytes:
    return orjson.dumps({"lastUpdateId": last, "bids": [["9", "1"]], "asks": [["10", "1"]]})


def test_a_snapshot_older_than_the_buffer_is_refused() -> None:
    book = DepthBook()
    book.on_diff(_diff(100, 101))
    assert not book.on_snapshot(decode_snapshot(_snapshot(98)))
    assert book.state is DepthState.BUFFERING
    assert book.on_snapshot(decode_snapshot(_snapshot(99))), "U == lastUpdateId + 1 is contiguous"
    assert book.update_id == 101


def test_a_gap_drops_the_book() -> None:
    book = DepthBook()
    assert book.on_snapshot(decode_snapshot(_snapshot(10)))
    assert book.on_diff(_diff(11, 12, ("9.5", "2")))
    assert book.best() == (Decimal("9.5"), Decimal(2), Decimal(10), Decimal(1))
    assert not book.on_diff(_diff(14, 15))
    assert book.best() is None
    assert book.gaps == 1
    assert book.on_snapshot(decode_snapshot(_snapshot(14)))
    assert book.update_id == 15


def test_old_and_overlapping_diffs_are_harmless() -> None:
    book = DepthBook()
    book.on_snapshot(decode_snapshot(_snapshot(10)))
    assert book.on_diff(_diff(5, 9, ("9", "77")))
    assert book.bids[Decimal(9)] == 1
    assert book.on_diff(_diff(8, 11, ("9", "0")))
    assert Decimal(9) not in book.bids


def test_half_a_diff_is_no_book() -> None:
    book = DepthBook()
    book.on_snapshot(decode_snapshot(_snapshot(10)))
    with pytest.raises(Undecodable):
        book.on_diff(_diff(11, 12, ("8", "1"), ("bad", "1")))
    assert book.best() is None


def test_trades_name_the_aggressor() -> None:
    frame = {
        "stream": "nknusdt@trade",
        "data": {
            "e": "trade",
            "E": 2,
            "s": "NKNUSDT",
            "t": 5,
            "p": "0.35",
            "q": "10",
            "T": 1,
            "m": True,
            "M": True,
        },
    }
    tick = READER.read(orjson.dumps(frame), 9)
    assert isinstance(tick, TradeTick)
    assert tick.aggressor is Side.SELL, "the buyer was the maker, so the seller took"
    assert (tick.trade_id, tick.ts_venue_ns, tick.ts_recv_ns) == (5, 1_000_000, 9)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"data":{"u":1,"s":"A","b":"1","B":2,"a":"1","A":"1"}}',
        b'{"data":{"u":1,"s":"A","b":"x","B":"1","a":"1","A":"1"}}',
        b'{"data":{"e":"trade","s":"A","t":"5","p":"1","q":"1","T":1,"m":true}}',
        b'{"data":{"e":"depthUpdate","s":"A","U":1,"u":2,"b":[["1"]],"a":[]}}',
        b'{"data":{"e":"depthUpdate","s":"A","U":1,"u":2,"b":"no","a":[]}}',
        b"[" * 5000,
    ],
)
def test_malformed_frames_are_typed_errors(frame: bytes) -> None:
    with pytest.raises(Undecodable):
        READER.read(frame, 0)


def test_replies_and_shutdown_are_notices() -> None:
    assert READER.read(b'{"result":null,"id":1}', 0) == StreamNotice("reply")
    frame = b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}'
    assert READER.read(frame, 0) == StreamNotice("serverShutdown", renews=True)


def test_stream_names_are_lower_case() -> None:
    names = stream_names(["BTCUSDT", "ETHUSDT"], ["bookTicker", "trade"])
    assert combined_path(names) == (
        "/stream?streams=btcusdt@bookTicker/btcusdt@trade/ethusdt@bookTicker/ethusdt@trade"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"filters": [{"filterType": "LOT_SIZE", "minQty": 1}]},
        {"filters": [{"filterType": "LOT_SIZE", "minQty": "NaN"}]},
        {"filters": [{"no": "type"}]},
        {"filters": [{"filterType": "MAX_NUM_ORDERS", "maxNumOrders": "many"}]},
        {"status": 5},
    ],
)
def test_bad_symbols_are_typed_errors(changes: dict[str, object]) -> None:
    row = {
        "symbol": "A",
        "status": "TRADING",
        "baseAsset": "A",
        "quoteAsset": "B",
        "orderTypes": ["LIMIT"],
        "filters": [],
        **changes,
    }
    with pytest.raises(Undecodable):
        decode_exchange(orjson.dumps({"symbols": [row]}), SymbolNames("sim", ["A"]))


def test_an_unknown_status_trades_nothing_and_a_missing_symbol_is_named() -> None:
    row = {
        "symbol": "A",
        "status": "POST_TRADING",
        "baseAsset": "A",
        "quoteAsset": "B",
        "orderTypes": ["LIMIT", "PEGGED"],
        "filters": [{"filterType": "NEW_FILTER", "x": 1}],
    }
    body = orjson.dumps({"symbols": [row]})
    (instrument,), _, _ = decode_exchange(body, SymbolNames("sim", ["A"]))
    assert instrument.status is SymbolStatus.BREAK
    assert instrument.order_types == {OrderType.LIMIT}
    with pytest.raises(Undecodable, match="ZZZ"):
        decode_exchange(body, SymbolNames("sim", ["A", "ZZZ"]))


def test_filters_of_the_account_hold_on_each_symbol_and_unknown_kinds_are_named() -> None:
    row = {
        "symbol": "A", "status": "TRADING", "baseAsset": "A", "quoteAsset": "B",
        "orderTypes": ["LIMIT"],
        "filters": [
            {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10},
            {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
            {"filterType": "MAX_MOON_PHASE", "limit": 3},
        ],
    }  # fmt: skip
    everywhere = [
        {"filterType": "EXCHANGE_MAX_NUM_ORDERS", "maxNumOrders": 1000},
        {"filterType": "EXCHANGE_MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 200},
        {"filterType": "EXCHANGE_MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 100},
        {"filterType": "EXCHANGE_MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
        {"filterType": "EXCHANGE_MAX_SUNSPOTS"},
    ]
    body = orjson.dumps({"symbols": [row], "exchangeFilters": everywhere})
    (instrument,), _, unknown = decode_exchange(body, SymbolNames("sim", ["A"]))
    assert instrument.amends_max == 10
    assert instrument.exchange_orders_open_max == 1000
    assert instrument.exchange_algo_orders_open_max == 200
    assert instrument.exchange_iceberg_orders_open_max == 100
    assert unknown == ("EXCHANGE_MAX_SUNSPOTS", "MAX_MOON_PHASE")
