"""Streams: a client that follows the documented depth procedure ends with the venue's own book."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.venues.binance_spot.serving.intervals import INTERVAL_NS
from daemon.venues.binance_spot.serving.stream_control import (
    STREAMS_MAX,
    StreamSession,
    control,
    open_streams,
)
from daemon.venues.sim.dialect.streams import StreamHub
from tests.support.sim_stage import SYMBOL, Stage

Row = dict[str, Any]


def hub_with(stage: Stage, *names: str, combined: bool = False) -> tuple[StreamHub, StreamSession]:
    hub, session = StreamHub(stage.venue), StreamSession(combined=combined)
    hub.open(session, names)
    return hub, session


def live(stage: Stage, hub: StreamHub, ms: int) -> list[Row]:
    """Let the crowd trade for a while in the host's steps; every frame."""
    frames: list[bytes] = []
    for _ in range(ms // 20):
        now_ns = stage.tick(20)
        stage.exchange.advance(now_ns)
        events, stage.exchange.market_outbox = stage.exchange.market_outbox, []
        frames += [frame for _, frame in hub.on_events(events)]
        frames += [frame for _, frame in hub.on_tick(now_ns)]
    return [orjson.loads(frame) for frame in frames]


class LocalBook:
    """The documented procedure (binance-spot.md §9), in its own words."""

    def __init__(self, snapshot: Row) -> None:
        self.last_id = snapshot["lastUpdateId"]
        self.sides = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}

    def apply(self, event: Row) -> bool:
        """False when there is a gap."""
        if event["u"] <= self.last_id:
            return True
        if event["U"] > self.last_id + 1:
            return False
        for side, levels in self.sides.items():
            for price, qty in event[side]:
                levels[price] = qty
                if float(qty) == 0:
                    del levels[price]
        self.last_id = event["u"]
        return True


@pytest.mark.parametrize("name", ["btcusdt@depth@100ms", "btcusdt@depth"])
def test_snapshot_and_diffs_give_the_venues_book(name: str) -> None:
    stage = Stage(flow_rate_per_s=200)
    hub, _ = hub_with(stage, name)
    buffered = live(stage, hub, 1_500)
    stage.exchange.advance(stage.tick(33))
    snapshot = stage.raw_rest("GET", "depth", query=b"symbol=BTCUSDT&limit=5000")[1]
    buffered += live(stage, hub, 3_000)
    book = LocalBook(snapshot)
    assert all(book.apply(event) for event in buffered)
    stage.raw_rest("GET", "depth", query=b"symbol=BTCUSDT")
    final = [orjson.loads(frame) for _, frame in hub.on_tick(stage.tick(1_000))]
    assert all(book.apply(event) for event in final)
    truth = stage.raw_rest("GET", "depth", query=b"symbol=BTCUSDT&limit=5000")[1]
    assert book.last_id == truth["lastUpdateId"]
    assert book.sides == {"b": dict(truth["bids"]), "a": dict(truth["asks"])}


def test_a_swallowed_diff_is_seen_as_a_gap() -> None:
    stage = Stage(flow_rate_per_s=200)
    hub, _ = hub_with(stage, "btcusdt@depth@100ms")
    live(stage, hub, 400)
    book = LocalBook(stage.raw_rest("GET", "depth", query=b"symbol=BTCUSDT&limit=5000")[1])
    hub.skip_next_depth()
    assert not all(book.apply(event) for event in live(stage, hub, 600))


def test_book_ticker_always_shows_the_best_prices() -> None:
    stage = Stage(flow_rate_per_s=100)
    hub, _ = hub_with(stage, "btcusdt@bookTicker")
    frames = live(stage, hub, 2_000)
    assert set(frames[-1]) == {"u", "s", "b", "B", "a", "A"}
    ids = [frame["u"] for frame in frames]
    assert ids == sorted(ids)
    truth = stage.raw_rest("GET", "ticker/bookTicker", query=b"symbol=BTCUSDT")[1]
    assert (frames[-1]["b"], frames[-1]["a"]) == (truth["bidPrice"], truth["askPrice"])


def test_trades_and_aggregates_tell_the_same_volume() -> None:
    stage = Stage(flow_rate_per_s=100)
    hub, _ = hub_with(stage, "btcusdt@trade", "btcusdt@aggTrade")
    frames = live(stage, hub, 3_000)
    trades = [f for f in frames if f["e"] == "trade"]
    aggregates = [f for f in frames if f["e"] == "aggTrade"]
    first = trades[0]["t"]
    assert [t["t"] for t in trades] == list(range(first, first + len(trades)))
    assert sum(float(t["q"]) for t in trades) == pytest.approx(
        sum(float(a["q"]) for a in aggregates)
    )
    assert 0 < len(aggregates) < len(trades)


def test_candles_tickers_and_partial_books_come_on_their_cadence() -> None:
    stage = Stage(flow_rate_per_s=50)
    names = ["btcusdt@kline_1m", "btcusdt@miniTicker", "btcusdt@ticker", "btcusdt@avgPrice"]
    hub, _ = hub_with(stage, *names, "btcusdt@depth5@100ms", combined=True)
    frames = live(stage, hub, 3_000)
    by_name: dict[str, list[Row]] = {}
    for frame in frames:
        by_name.setdefault(frame["stream"], []).append(frame["data"])
    assert set(by_name) == {*names, "btcusdt@depth5@100ms"}
    assert len(by_name["btcusdt@depth5@100ms"]) >= 25
    candle = by_name["btcusdt@kline_1m"][-1]["k"]
    assert float(candle["l"]) <= float(candle["c"]) <= float(candle["h"])
    assert by_name["btcusdt@ticker"][-1]["c"] == by_name["btcusdt@miniTicker"][-1]["c"]


def test_subscribe_list_unsubscribe() -> None:
    stage = Stage()
    hub, session = hub_with(stage, "0", "no@such", "btcusdt@trade")

    def control(method: str, params: list[Any], request_id: object) -> Row:
        frame = orjson.dumps({"method": method, "params": params, "id": request_id})
        answer: Row = orjson.loads(hub.control(session, frame))
        return answer

    assert control("SUBSCRIBE", ["btcusdt@bookTicker"], 7) == {"result": None, "id": 7}
    listed = control("LIST_SUBSCRIPTIONS", [], "a")
    assert listed == {"result": ["btcusdt@trade", "btcusdt@bookTicker"], "id": "a"}
    control("UNSUBSCRIBE", ["btcusdt@trade"], None)
    assert list(session.names) == ["btcusdt@bookTicker"]
    assert control("DANCE", [], 1)["error"]["code"] == 2
    hub.close(session)
    stage.sell("1", "60000")
    stage.exchange.collect()
    assert hub.on_events(stage.exchange.market_outbox) == []


@given(st.binary(max_size=100))
def test_garbage_on_a_stream_gets_an_error(frame: bytes) -> None:
    stage = Stage()
    hub, session = hub_with(stage)
    assert "error" in orjson.loads(hub.control(session, frame))


def test_the_symbol_of_a_stream_is_lower_case() -> None:
    stage = Stage()
    _, session = hub_with(stage, f"{SYMBOL}@trade")
    assert not session.names


def test_a_url_names_no_more_streams_than_a_connection_may_have() -> None:
    symbols = {f"A{number}USDT" for number in range(60)}
    names = [f"{symbol.lower()}@kline_{step}" for symbol in sorted(symbols) for step in INTERVAL_NS]
    names += [f"{symbol.lower()}@depth{size}" for symbol in sorted(symbols) for size in (5, 10)]
    assert len(names) > STREAMS_MAX
    session = StreamSession(combined=True)
    errors = open_streams(session, names, symbols)
    assert list(session.names) == names[:STREAMS_MAX]
    assert len(errors) == 1
    one_more = orjson.dumps({"id": 1, "method": "SUBSCRIBE", "params": [names[-1]]})
    reply = control(session, one_more, symbols)
    assert orjson.loads(reply.frame)["error"]["code"] == 2
    assert (reply.added, len(session.names)) == ((), STREAMS_MAX)
