"""Until when the venue wants to be left alone, in every form that it may be written in."""

import pytest

from daemon.venues.binance_spot.bans import epoch_ms, retry_at_ms, until_ms_in
from daemon.venues.binance_spot.error_answers import classify
from daemon.venues.faults import Outcome

NOW_MS = 1_764_500_000_000


@pytest.mark.parametrize(
    ("text", "until_ms"),
    [
        ("Way too many requests; IP banned until 1764503600000.", 1_764_503_600_000),
        (
            "Too much weight used; IP banned until 1764503600000. Please use WebSocket Streams.",
            1_764_503_600_000,
        ),
        ("Too many requests; IP(1.2.3.4) banned until 1764503600000", 1_764_503_600_000),
        ("IP banned UNTIL: 1764503600", 1_764_503_600_000),
        ("banned until 1764503600000000, then 1", 1_764_503_600_000),
        ("banned until 1764503600000000000.", 1_764_503_600_000),
        ("until 1764503600000 and until 1764503700000", 1_764_503_700_000),
        ("banned until 2025-11-30 11:53:20 UTC", 1_764_503_600_000),
        ("banned until 2025-11-30T11:53:20.123Z", 1_764_503_600_000),
        ("banned until tomorrow", 0),
        ("banned until -1", 0),
        ("banned until NaN", 0),
        ("banned until 2025-99-99 00:00:00", 0),
        ("until " + "9" * 40, 0),
        ("current limit is 1764503600000", 0),
        ("", 0),
    ],
)
def test_the_until_of_a_text(text: str, until_ms: int) -> None:
    assert until_ms_in(text) == until_ms


@pytest.mark.parametrize(
    ("header", "at_ms"),
    [
        ("30", NOW_MS + 30_000),
        (" 30 ", NOW_MS + 30_000),
        ("0", NOW_MS),
        ("1.5", NOW_MS + 2_000),
        ("99999999", NOW_MS + 99_999_999_000),
        ("1764503600000", 1_764_503_600_000),
        ("Sun, 30 Nov 2025 11:53:20 GMT", 1_764_503_600_000),
        (None, 0),
        ("", 0),
        ("soon", 0),
        ("-1", 0),
        ("NaN", 0),
        ("inf", 0),
        ("1e9", 0),
        ("9" * 30, 0),
        ("\u0663\u0660", 0),
    ],
)
def test_retry_after(header: str | None, at_ms: int) -> None:
    assert retry_at_ms(header, NOW_MS) == at_ms


def test_the_unit_is_told_by_size() -> None:
    for value in (1_764_503_600, 1_764_503_600_000, 1_764_503_600_000_000):
        assert epoch_ms(value) == 1_764_503_600_000
    assert epoch_ms(-1_764_503_600) == epoch_ms(5) == epoch_ms(10**25) == 0


def test_a_refusal_for_rate_reads_its_text_and_others_do_not() -> None:
    text = "IP banned until 1764503600000."
    assert classify(418, -1003, text).retry_at_ms == 1_764_503_600_000
    assert classify(418, -1003, text, retry_at_ms=5).retry_at_ms == 1_764_503_600_000
    refused = classify(400, -2010, text)
    assert (refused.outcome, refused.retry_at_ms) == (Outcome.REFUSED, 0)
