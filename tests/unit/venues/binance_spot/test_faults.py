"""The error table of binance-spot.md §7, code by code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.venues.binance_spot.codec_rest import decode_error
from daemon.venues.binance_spot.error_answers import classify, limit_scope
from daemon.venues.faults import Outcome

TABLE = [
    (500, -1000, "", Outcome.UNKNOWN),
    (503, -1008, "Server is currently overloaded", Outcome.UNKNOWN),
    (504, -1007, "Timeout waiting for response", Outcome.UNKNOWN),
    (500, -2010, "a refusal behind a 5xx proves nothing", Outcome.UNKNOWN),
    (400, -1000, "", Outcome.UNKNOWN),
    (400, -1001, "Disconnected", Outcome.UNKNOWN),
    (400, -1006, "unexpected response", Outcome.UNKNOWN),
    (400, -1007, "Timeout", Outcome.UNKNOWN),
    (400, -1008, "overloaded", Outcome.UNKNOWN),
    (200, 0, "", Outcome.UNKNOWN),
    (400, 0, "<html>", Outcome.UNKNOWN),
    (403, 0, "<html>", Outcome.UNKNOWN),
    (429, -1003, "Too much request weight used", Outcome.LIMITED),
    (418, -1003, "Way too much", Outcome.LIMITED),
    (429, -1015, "Too many new orders", Outcome.LIMITED),
    (429, 0, "", Outcome.LIMITED),
    (400, -1034, "Too many connections", Outcome.LIMITED),
    (400, -1021, "Timestamp for this request is outside of the recvWindow.", Outcome.CLOCK),
    (400, -1022, "Signature for this request is not valid.", Outcome.KEY),
    (401, -2014, "API-key format invalid.", Outcome.KEY),
    (401, -2015, "Invalid API-key, IP, or permissions for action.", Outcome.KEY),
    (400, -2015, "Invalid API-key, IP, or permissions for action.", Outcome.KEY),
    (400, -1002, "You are not authorized", Outcome.KEY),
    (400, -1013, "Filter failure: LOT_SIZE", Outcome.REFUSED),
    (400, -1111, "Precision is over the maximum", Outcome.REFUSED),
    (400, -2010, "Account has insufficient balance for requested action.", Outcome.REFUSED),
    (400, -2010, "Order would immediately match and take.", Outcome.REFUSED),
    (400, -2010, "Duplicate order sent.", Outcome.LANDED),
    (400, -2010, "Market is closed.", Outcome.REFUSED),
    (400, -2011, "Unknown order sent.", Outcome.NOT_CANCELABLE),
    (400, -2013, "Order does not exist.", Outcome.ABSENT),
    (400, -2038, "amend refused", Outcome.REFUSED),
    (400, -1121, "Invalid symbol.", Outcome.REFUSED),
    (409, -2021, "Order cancel-replace partially failed.", Outcome.REFUSED),
]


@pytest.mark.parametrize(("status", "code", "message", "outcome"), TABLE)
def test_what_an_error_proves(status: int, code: int, message: str, outcome: Outcome) -> None:
    assert classify(status, code, message).outcome is outcome


@given(status=st.integers(500, 599), code=st.integers(-3000, 0), message=st.text(max_size=20))
def test_no_5xx_is_ever_a_definite_no(status: int, code: int, message: str) -> None:
    outcome = classify(status, code, message).outcome
    assert outcome in {Outcome.UNKNOWN, Outcome.LIMITED}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>403 Forbidden</body></html>",
        b"{",
        b"[]",
        b"null",
        b'{"code":"x"}',
        b"\xff",
    ],
)
def test_a_body_that_is_not_the_venues_proves_nothing(body: bytes) -> None:
    fault = decode_error(400, body)
    assert fault.outcome is Outcome.UNKNOWN
    assert "not the venue's own answer" in fault.text


def test_the_scope_of_a_limit() -> None:
    assert limit_scope(418, -1003) == "ban"
    assert limit_scope(429, -1015) == "orders"
    assert limit_scope(429, -1003) == "weight"
    assert limit_scope(400, -1034) == "connections"
