"""Until when the venue wants to be left alone, by its text, data and headers (binance-spot.md §6).

Rules of this file:
1. All times here are the venue's, as ms of the epoch; 0 says that nothing usable was said.
2. The unit of a bare number is told by its size: s, ms, us or ns of a year between 2001 and 2286.
3. Of several times the latest counts. Whether a time is absurd is the governor's to judge.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime

# Compiled when a refusal comes: a stop waits for every import, and it has seldom to read one.
_UNTIL_NUMBER = r"(?i)\buntil\W{0,4}(\d{10,19})(?:\.\d*)?(?!\d)"
_UNTIL_DATE = r"(?i)\buntil\W{0,4}(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.\d*)?(?: ?(?:Z|UTC))?"
_SECONDS = r"\d{1,9}(?:\.\d{1,9})?"
_EPOCH = r"\d{10,19}"


def epoch_ms(value: int) -> int:
    """A moment in ms, whichever unit it was written in; 0 when it is none."""
    for digits, to_ms in ((10, 1_000), (13, 1), (16, -1_000), (19, -1_000_000)):
        if len(str(value)) == digits:
            return value * to_ms if to_ms > 0 else value // -to_ms
    return 0


def until_ms_in(text: str) -> int:
    """The latest "until" of a refusal's text, as in `IP banned until 1500000000000`."""
    found = [epoch_ms(int(number)) for number in re.findall(_UNTIL_NUMBER, text)]
    found += [_of_date(date, datetime.fromisoformat) for date in re.findall(_UNTIL_DATE, text)]
    return max(found, default=0)


def retry_at_ms(header: str | None, now_ms: int) -> int:
    """`Retry-After`: seconds from now, an HTTP date, or (against its own rules) an epoch."""
    text = (header or "").strip()
    if not text.isascii():
        return 0
    if re.fullmatch(_SECONDS, text):
        whole, _, part = text.partition(".")
        return now_ms + int(whole) * 1_000 + (1_000 if part else 0)
    if re.fullmatch(_EPOCH, text):
        return epoch_ms(int(text))
    if not text:
        return 0
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - slow, and dates are seldom sent

    return _of_date(text, parsedate_to_datetime)


def _of_date(text: str, read: Callable[[str], datetime]) -> int:
    try:
        moment = read(text)
    except (ValueError, TypeError, OverflowError):
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0, int(moment.timestamp()) * 1_000)
