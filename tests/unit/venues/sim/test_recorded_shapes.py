"""Our frames beside frames recorded from the real venue: same names, same kinds of values."""

import json
import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from daemon.venues.binance_spot.serving.stream_control import StreamSession
from daemon.venues.sim.dialect.sim_exchange_info import symbol_row
from daemon.venues.sim.dialect.streams import StreamHub
from tests.support.sim_stage import SYMBOL, Stage

DATA = Path(__file__).parents[4].parent / "shared/data/binance-spot"
pytestmark = pytest.mark.skipif(
    not DATA.exists(), reason="the recorded frames are not in this checkout"
)
KINDS = ["depth@100ms", "bookTicker", "kline_1m", "aggTrade"]
_LINE = re.compile(r"^[\d.]+: (\{.*\})$")


def shape(value: Any) -> Any:
    """Names and kinds of values; a list is the shape of its first entry (or unknown when empty)."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, str):
        return "amount" if re.fullmatch(r"-?\d+(\.\d+)?", value) else "text"
    return type(value).__name__


def fits(ours: Any, theirs: Any) -> bool:
    """Equal shapes; an empty list fits any list."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return set(ours) == set(theirs) and all(fits(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return not ours or not theirs or fits(ours[0], theirs[0])
    return bool(ours == theirs)


def recorded() -> dict[str, dict[str, Any]]:
    """One recorded frame of each kind, the one with the most in it."""
    found: dict[str, dict[str, Any]] = {}
    with (DATA / "market.ws.txt").open() as lines:
        for line in lines:
            match = _LINE.match(line)
            if match is None:
                continue
            frame = json.loads(match[1])
            kind = str(frame.get("stream", "")).partition("@")[2]
            if len(str(frame)) > len(str(found.get(kind, ""))):
                found[kind] = frame
    return found


def ours() -> dict[str, dict[str, Any]]:
    stage = Stage(flow_rate_per_s=200)
    hub, session = StreamHub(stage.venue), StreamSession(combined=True)
    hub.open(session, [f"btcusdt@{kind}" for kind in KINDS])
    found: dict[str, dict[str, Any]] = {}
    for _ in range(120):
        now_ns = stage.tick(20)
        stage.exchange.advance(now_ns)
        events, stage.exchange.market_outbox = stage.exchange.market_outbox, []
        for _, data in [*hub.on_events(events), *hub.on_tick(now_ns)]:
            frame = orjson.loads(data)
            kind = frame["stream"].partition("@")[2]
            if len(str(frame)) > len(str(found.get(kind, ""))):
                found[kind] = frame
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_stream_frames_have_the_real_ones_shape(kind: str) -> None:
    real, sim = recorded()[kind], ours()[kind]
    assert fits(shape(sim), shape(real)), (shape(sim), shape(real))


def test_a_depth_snapshot_has_the_real_ones_shape() -> None:
    text = (DATA / "depth.http.txt").read_text().splitlines()[0]
    real = json.loads(text[text.index("{") :])
    stage = Stage(flow_rate_per_s=30)
    sim = stage.raw_rest("GET", "depth", query=b"symbol=BTCUSDT")[1]
    assert fits(shape(sim), shape(real))


def test_exchange_info_still_has_every_name_of_the_recorded_one() -> None:
    real = json.loads((DATA / "exchangeInfo.json").read_text())
    row = symbol_row(Stage().venue.market(SYMBOL))
    theirs = next(symbol for symbol in real["symbols"] if symbol["symbol"] == SYMBOL)
    assert set(theirs) <= set(row)
    # Two filters have newer names (venues/binance-spot.md §4); the others keep theirs.
    newer = {"PERCENT_PRICE": "PERCENT_PRICE_BY_SIDE", "MIN_NOTIONAL": "NOTIONAL"}
    filters = row["filters"]
    assert isinstance(filters, list)
    by_name = {entry["filterType"]: entry for entry in filters}
    for entry in theirs["filters"]:
        name = entry["filterType"]
        assert newer.get(name, name) in by_name
        if name not in newer:
            assert fits(shape(by_name[name]), shape(entry))
