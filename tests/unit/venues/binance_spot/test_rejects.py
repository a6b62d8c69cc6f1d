"""Which refusals of a placement are somebody's mistake, and which are the market's doing."""

import pytest

from daemon.model.reject_kind import RejectKind
from daemon.venues.binance_spot.error_answers import classify

MARKET = [
    (400, -2010, "Order would immediately match and take."),
    (400, -2010, "Account has insufficient balance for requested action."),
    (400, -2010, "Stop price would trigger immediately."),
    (400, -2010, "Market is closed."),
    (400, -1013, "Market is closed."),
    (429, -1015, "Too many new orders; current limit is 50 orders per 10 SECOND."),
    (400, -1021, "Timestamp for this request is outside of the recvWindow."),
]
MISTAKES = [
    (400, -1102, "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed."),
    (400, -1121, "Invalid symbol."),
    (400, -2010, "This action is disabled on this account."),
    (400, -2010, "NEW_ORDER_REJECTED"),
    (401, -2015, "Invalid API-key, IP, or permissions for action."),
]


@pytest.mark.parametrize("answer", MARKET, ids=lambda one: one[2][:30])
def test_the_markets_doing_is_business(answer: tuple[int, int, str]) -> None:
    assert classify(*answer).reject_kind is RejectKind.BUSINESS


@pytest.mark.parametrize("answer", MISTAKES, ids=lambda one: one[2][:30])
def test_a_mistake_is_none(answer: tuple[int, int, str]) -> None:
    assert classify(*answer).reject_kind is RejectKind.FAULT


@pytest.mark.parametrize("name", ["LOT_SIZE", "PERCENT_PRICE_BY_SIDE", "NOTIONAL"])
def test_a_filter_that_we_passed_has_moved(name: str) -> None:
    assert classify(400, -1013, f"Filter failure: {name}").reject_kind is RejectKind.FILTER
