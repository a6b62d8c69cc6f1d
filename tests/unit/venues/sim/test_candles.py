"""Candles: the sum of the trades, at every interval, over the past and the live market alike.

The judge is brute force: every trade that the venue itself lists, folded one by one; opening times
come from the standard library's calendar.
"""

import random
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.venues.binance_spot.serving.intervals import INTERVAL_NS
from daemon.venues.binance_spot.serving.stream_control import StreamSession
from daemon.venues.binance_spot.serving.units import E8
from daemon.venues.sim.candles import next_open, open_of, zone_offset_ns
from daemon.venues.sim.dialect.streams import StreamHub
from daemon.venues.sim.listed_symbols import SYMBOLS
from daemon.venues.sim.past import LISTED_NS, Past
from tests.support.sim_stage import MS, SYMBOL, T0_NS, Stage

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
T0_MS = T0_NS // MS
Row = dict[str, Any]


def rows_of(stage: Stage, path: str, **query: object) -> list[Any]:
    text = "&".join(f"{name}={value}" for name, value in {"symbol": SYMBOL, **query}.items())
    status, rows = stage.raw_rest("GET", path, query=text.encode())[:2]
    assert status == 200, rows
    return list(rows)


def trades_between(stage: Stage, start_ms: int, end_ms: int) -> list[Row]:
    """Every trade of a stretch of time, paged by id as a client would."""
    found: list[Row] = []
    first = rows_of(stage, "aggTrades", startTime=start_ms, limit=1)
    from_id = first[0]["f"] if first else 1
    while True:
        page = rows_of(stage, "historicalTrades", fromId=from_id, limit=1000)
        found += [row for row in page if start_ms <= row["time"] < end_ms]
        if len(page) < 1000 or page[-1]["time"] >= end_ms:
            return found
        from_id = page[-1]["id"] + 1


def units(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole) * E8 + int(part)


def assert_is_sum_of(bar: list[Any], trades: list[Row], before: str) -> None:
    """One kline row against the trades of its time; `before` is the price before it."""
    if not trades:
        assert bar[1:6] == [before, before, before, before, "0.00000000"]
        assert bar[8] == 0
        return
    prices = [units(row["price"]) for row in trades]
    taken = [row for row in trades if not row["isBuyerMaker"]]
    assert units(bar[1]) == prices[0]
    assert units(bar[2]) == max(prices)
    assert units(bar[3]) == min(prices)
    assert units(bar[4]) == prices[-1]
    assert units(bar[5]) == sum(units(row["qty"]) for row in trades)
    assert units(bar[7]) == sum(units(row["quoteQty"]) for row in trades)
    assert bar[8] == len(trades)
    assert units(bar[9]) == sum(units(row["qty"]) for row in taken)
    assert units(bar[10]) == sum(units(row["quoteQty"]) for row in taken)


def live_stage(seconds: int) -> Stage:
    """A venue whose live market has traded for a while, with a client's trades in it."""
    stage = Stage(flow_rate_per_s=30)
    for step in range(seconds * 4):
        stage.exchange.advance(stage.tick(250))
        if step % 9 == 0:
            stage.buy("0.001", "70000") if step % 2 else stage.sell("0.001", "50000")
    stage.exchange.collect()
    return stage


@pytest.mark.parametrize("interval", ["1s", "1m", "3m", "5m", "15m", "1h", "4h", "1d"])
def test_a_candle_is_the_sum_of_its_trades_across_the_venues_start(interval: str) -> None:
    stage = live_stage(150)
    bars = rows_of(stage, "klines", interval=interval, limit=200 if interval == "1s" else 4)
    trades = trades_between(stage, bars[0][0] - HOUR_MS, stage.now_ns // MS + 1)
    for bar in bars:
        inside = [row for row in trades if bar[0] <= row["time"] <= bar[6]]
        earlier = [row for row in trades if row["time"] < bar[0]]
        assert_is_sum_of(bar, inside, earlier[-1]["price"] if earlier else "")
    for bar, later in pairwise(bars):
        assert bar[6] + 1 == later[0]
    assert bars[-1][0] <= stage.now_ns // MS <= bars[-1][6]


@settings(max_examples=15, deadline=None)
@given(st.integers(LISTED_NS // MS + DAY_MS, T0_MS - DAY_MS), st.sampled_from(["1m", "15m", "1h"]))
def test_a_candle_of_any_past_hour_is_the_sum_of_its_trades(start_ms: int, interval: str) -> None:
    stage = Stage(flow_rate_per_s=30)
    bars = rows_of(stage, "klines", interval=interval, startTime=start_ms, limit=3)
    assert len(bars) == 3
    assert start_ms <= bars[0][0] < start_ms + INTERVAL_NS[interval] // MS
    trades = trades_between(stage, bars[0][0] - HOUR_MS, bars[-1][6] + 1)
    for bar in bars:
        inside = [row for row in trades if bar[0] <= row["time"] <= bar[6]]
        earlier = [row for row in trades if row["time"] < bar[0]]
        assert_is_sum_of(bar, inside, earlier[-1]["price"])


@pytest.mark.parametrize(
    ("coarse", "fine", "count"),
    [
        ("1h", "1m", 60),
        ("6h", "30m", 12),
        ("1d", "1h", 24),
        ("3d", "1d", 3),
        ("1w", "1d", 7),
        ("1m", "1s", 60),
    ],
)
@pytest.mark.parametrize("zone", ["0", "-12:00", "5:45", "14"])
def test_a_coarse_candle_is_the_fold_of_the_fine_ones(
    coarse: str, fine: str, count: int, zone: str
) -> None:
    stage = Stage(flow_rate_per_s=30)
    start = 1_700_000_000_000
    bar = rows_of(stage, "klines", interval=coarse, startTime=start, limit=1, timeZone=zone)[0]
    parts = rows_of(
        stage, "klines", interval=fine, startTime=bar[0], endTime=bar[6], limit=1000, timeZone=zone
    )
    assert len(parts) == count
    traded = [part for part in parts if part[8]]
    assert bar[1] == traded[0][1]
    assert bar[4] == parts[-1][4]
    assert units(bar[2]) == max(units(part[2]) for part in traded)
    assert units(bar[3]) == min(units(part[3]) for part in traded)
    for column in (5, 7, 9, 10):
        assert units(bar[column]) == sum(units(part[column]) for part in parts)
    assert bar[8] == sum(part[8] for part in parts)


@given(
    st.integers(LISTED_NS // 10**9, T0_NS // 10**9),
    st.integers(-12 * 60, 14 * 60),
)
def test_candles_open_by_the_calendar(second: int, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    moment = datetime.fromtimestamp(second, zone)
    midnight = moment.replace(hour=0, minute=0, second=0)
    expected = {
        "1m": moment.replace(second=0),
        "1d": midnight,
        "1w": midnight - timedelta(days=moment.weekday()),
        "1M": midnight.replace(day=1),
    }
    for interval, opened in expected.items():
        got = open_of(interval, second * 10**9, minutes * 60 * 10**9)
        assert got == round(opened.timestamp()) * 10**9
        after = next_open(interval, got, minutes * 60 * 10**9)
        assert got < after
        assert open_of(interval, after - 1, minutes * 60 * 10**9) == got


def test_there_are_years_of_history_in_every_interval() -> None:
    stage = Stage(flow_rate_per_s=30)
    months = rows_of(stage, "klines", interval="1M", limit=1000)
    opened = [datetime.fromtimestamp(row[0] / 1000, UTC) for row in months]
    assert (opened[0].year, opened[0].month, len(months)) == (2018, 1, 105)
    assert all((at.day, at.hour) == (1, 0) for at in opened)
    weeks = rows_of(stage, "klines", interval="1w", limit=1000)
    assert all(datetime.fromtimestamp(row[0] / 1000, UTC).weekday() == 0 for row in weeks)
    hours = rows_of(stage, "klines", interval="1h", limit=500)
    assert len(hours) == 500
    assert all(b[0] - a[0] == HOUR_MS for a, b in pairwise(hours))
    assert rows_of(stage, "klines", interval="1m", limit=1000)[0][0] % 60_000 == 0
    assert rows_of(stage, "uiKlines", interval="1h", limit=500) == hours


def test_times_choose_rows_as_documented() -> None:
    stage = Stage(flow_rate_per_s=30)
    start, end = 1_700_000_040_000, 1_700_000_400_000
    both = rows_of(stage, "klines", interval="1m", startTime=start, endTime=end)
    assert [both[0][0], both[-1][0], len(both)] == [start, end, 7]
    assert rows_of(stage, "klines", interval="1m", startTime=start, limit=7) == both
    assert rows_of(stage, "klines", interval="1m", endTime=end, limit=7) == both
    late = rows_of(stage, "klines", interval="1m", startTime=start + 1, limit=1)
    assert late[0][0] == start + 60_000
    assert rows_of(stage, "klines", interval="1m", startTime=end, endTime=start) == []
    assert rows_of(stage, "klines", interval="1m", startTime=T0_MS + DAY_MS) == []
    assert rows_of(stage, "klines", interval="1m", endTime=LISTED_NS // MS - 1) == []


def test_the_past_is_a_function_of_seed_symbol_and_time() -> None:
    one = rows_of(Stage(flow_rate_per_s=30), "klines", interval="4h", limit=100)
    again = rows_of(Stage(flow_rate_per_s=30), "klines", interval="4h", limit=100)
    other = rows_of(Stage(flow_rate_per_s=30, seed=2), "klines", interval="4h", limit=100)
    assert one == again != other


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_every_symbols_past_ends_at_its_start_price_and_stays_a_price(symbol: str) -> None:
    spec = SYMBOLS[symbol]
    past = Past(spec, lambda name: random.Random(f"3/{name}"), T0_NS)
    assert past.trade(past.count - 1).price == spec.start_price
    whole = past.fold(LISTED_NS, T0_NS)
    assert whole is not None
    assert whole.trades == past.count
    assert whole.low > spec.start_price // 10
    assert whole.low % spec.tick == whole.high % spec.tick == 0


def test_the_live_market_goes_on_from_the_past() -> None:
    stage = Stage(flow_rate_per_s=30)
    before = rows_of(stage, "trades", limit=1)[0]
    stage.exchange.advance(stage.tick(5_000))
    live = rows_of(stage, "historicalTrades", fromId=before["id"], limit=3)
    assert [row["id"] for row in live] == [before["id"] + n for n in range(3)]
    aggregates = rows_of(stage, "aggTrades", startTime=before["time"], limit=3)
    assert aggregates[0]["l"] == before["id"]
    assert aggregates[1]["f"] == before["id"] + 1
    assert aggregates[1]["a"] == aggregates[0]["a"] + 1
    assert units(before["price"]) == SYMBOLS[SYMBOL].start_price


def test_aggregate_trades_are_found_by_id_and_by_time() -> None:
    stage = Stage(flow_rate_per_s=30)
    by_time = rows_of(stage, "aggTrades", startTime=1_700_000_000_000, limit=900)
    assert by_time[0]["T"] >= 1_700_000_000_000
    assert rows_of(stage, "aggTrades", fromId=by_time[0]["a"], limit=900) == by_time
    assert [row["a"] for row in by_time] == [by_time[0]["a"] + n for n in range(900)]
    for row, later in pairwise(by_time):
        assert row["l"] + 1 == later["f"]
    until = by_time[-1]["T"]
    ended = rows_of(stage, "aggTrades", endTime=until, limit=5)
    assert ended[-1]["T"] <= until
    status, answer = stage.raw_rest(
        "GET", "aggTrades", query=b"symbol=BTCUSDT&fromId=1&startTime=1700000000000"
    )[:2]
    assert (status, answer["code"]) == (400, -1128)


@pytest.mark.parametrize("zone", ["-12:00", "-3", "0", "05:45", "+8:00", "14", "14:00"])
def test_time_zones_move_days_and_leave_times_in_utc(zone: str) -> None:
    stage = Stage(flow_rate_per_s=30)
    offset = zone_offset_ns(zone)
    assert offset is not None
    days = rows_of(stage, "klines", interval="1d", limit=3, timeZone=zone.replace("+", "%2B"))
    assert all((row[0] + offset // MS) % DAY_MS == 0 for row in days)


@pytest.mark.parametrize("zone", ["-12:01", "14:01", "15", "UTC", "1:60", "1:5", ":30", "1.5"])
def test_other_time_zones_are_refused(zone: str) -> None:
    stage = Stage(flow_rate_per_s=30)
    query = f"symbol=BTCUSDT&interval=1d&timeZone={zone}".encode()
    status, answer = stage.raw_rest("GET", "klines", query=query)[:2]
    assert (status, answer["code"]) == (400, -1130)


# ------------------------------------------------------------------ closed bars on the stream


def listen(stage: Stage, names: list[str], seconds: float) -> list[Row]:
    hub, session = StreamHub(stage.venue), StreamSession(combined=True)
    assert hub.open(session, names) == []
    frames: list[bytes] = []
    for _ in range(round(seconds * 20)):
        now_ns = stage.tick(50)
        stage.exchange.advance(now_ns)
        events, stage.exchange.market_outbox = stage.exchange.market_outbox, []
        frames += [frame for _, frame in hub.on_events(events)]
        frames += [frame for _, frame in hub.on_tick(now_ns)]
    return [orjson.loads(frame) for frame in frames]


def test_every_bar_that_closes_is_announced_once_and_equals_the_rest_row() -> None:
    stage = Stage(flow_rate_per_s=3)
    names = [f"btcusdt@kline_{interval}" for interval in ("1s", "1m", "3m")]
    frames = listen(stage, names, 200)
    for name in names:
        interval = name.removeprefix("btcusdt@kline_")
        bars = [frame["data"] for frame in frames if frame["stream"] == name]
        closed = [bar for bar in bars if bar["k"]["x"]]
        span_ms = INTERVAL_NS[interval] // MS
        opens = [bar["k"]["t"] for bar in closed]
        assert opens == list(range(opens[0], opens[0] + span_ms * len(opens), span_ms))
        assert len(closed) >= {"1s": 198, "1m": 3, "3m": 1}[interval]
        rest = {
            row[0]: row
            for row in rows_of(
                stage, "klines", interval=interval, startTime=opens[0], limit=len(opens)
            )
        }
        for bar in closed:
            k, row = bar["k"], rest[bar["k"]["t"]]
            assert bar["E"] - (k["T"] + 1) < 100
            got = [k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["T"], k["q"], k["n"]]
            assert [*got, k["V"], k["Q"]] == row[:11]
        after = [bar["k"]["t"] for bar in bars]
        assert after == sorted(after), "a bar was sent again after it had closed"


def test_days_of_an_eastern_zone_close_at_its_midnight() -> None:
    stage = Stage(flow_rate_per_s=3)
    now_ms = stage.now_ns // MS
    midnight = (now_ms + 8 * HOUR_MS) // DAY_MS * DAY_MS + DAY_MS - 8 * HOUR_MS
    stage.tick(midnight - now_ms - 1_000)
    name = "btcusdt@kline_1d@+08:00"
    frames = [
        f["data"]["k"] for f in listen(stage, [name, "btcusdt@kline_1d"], 3) if "k" in f["data"]
    ]
    closed = [k for k in frames if k["x"]]
    assert [(k["t"], k["T"]) for k in closed] == [(midnight - DAY_MS, midnight - 1)]
