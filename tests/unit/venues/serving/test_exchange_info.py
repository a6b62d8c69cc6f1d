"""exchangeInfo of a bot: the venue's rows of its own symbols, with its own limits."""

from typing import Any

import orjson
import pytest

from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.params import Params
from daemon.venues.binance_spot.serving.rate_limits import LimitRule, limit_headers
from daemon.venues.binance_spot.serving.shown_exchange_info import cut
from tests.support.sim_stage import Stage

OWN = [
    LimitRule("ORDERS", "SECOND", 10, 5).row(),
    LimitRule("REQUEST_WEIGHT", "MINUTE", 1, 60).row(),
]


@pytest.fixture
def document() -> Any:
    status, document, _ = Stage().raw_rest("GET", "exchangeInfo")
    assert status == 200
    return document


def served(document: Any, *symbols: str, **sent: str) -> Any:
    return cut(document, Params(dict(sent)), symbols or ("BTCUSDT",), OWN, clock_ms=77)


def test_a_bot_is_offered_its_symbols_only(document: Any) -> None:
    told = served(document)
    assert [row["symbol"] for row in told["symbols"]] == ["BTCUSDT"]
    assert (told["rateLimits"], told["serverTime"], told["timezone"]) == (OWN, 77, "UTC")
    theirs = next(row for row in document["symbols"] if row["symbol"] == "BTCUSDT")
    ours = told["symbols"][0]
    assert ours == theirs, "order lists are served, too"
    assert served(document, "NONE")["symbols"] == []


def test_what_a_bot_may_choose(document: Any) -> None:
    both = ("BTCUSDT", "ETHUSDT")
    one = served(document, *both, symbol="ETHUSDT")
    assert [row["symbol"] for row in one["symbols"]] == ["ETHUSDT"]
    listed = served(document, *both, symbols='["BTCUSDT","ETHUSDT"]')
    assert {row["symbol"] for row in listed["symbols"]} == set(both)
    assert served(document, *both, symbolStatus="HALT")["symbols"] == []
    assert served(document, permissions="MARGIN")["symbols"] == []
    assert served(document, permissions='["SPOT","MARGIN"]')["symbols"]
    bare = served(document, showPermissionSets="false")
    assert bare["symbols"][0]["permissionSets"] == []
    for sent, code in (
        ({"symbol": "ETHUSDT"}, -1121),
        ({"symbols": '["BTCUSDT","ETHUSDT"]'}, -1121),
        ({"symbol": "BTCUSDT", "symbolStatus": "TRADING"}, -1128),
    ):
        with pytest.raises(DialectError) as refused:
            served(document, **sent)
        assert refused.value.code == code


def test_the_venues_document_is_left_as_it_is(document: Any) -> None:
    before = orjson.dumps(document)
    served(document, showPermissionSets="false")
    assert orjson.dumps(document) == before


def test_headers_show_the_budget_that_is_given() -> None:
    assert limit_headers(12) == {"x-mbx-used-weight": "12", "x-mbx-used-weight-1m": "12"}
    assert limit_headers(0, (3, 40)) == {
        "x-mbx-used-weight": "0", "x-mbx-used-weight-1m": "0",
        "x-mbx-order-count-10s": "3", "x-mbx-order-count-1d": "40",
    }  # fmt: skip
