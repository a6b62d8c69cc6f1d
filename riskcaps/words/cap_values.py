"""Reading and comparing single cap values.

Rules of this file:
1. Amounts are text or integers; a float has already lost its value and is refused.
2. A value that cannot be read is a violation, never a default.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from daemon.model.amounts import AmountError, decimal_of
from daemon.model.ids import is_symbol
from riskcaps.words.caps import ACTIONS, UNLIMITED, UNLIMITED_COUNT, CapSpec

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MINUTES_PER_DAY = 1440
MINUTES_PER_WEEK = 7 * MINUTES_PER_DAY
_WINDOW = re.compile(
    r"^(?:(?P<first>[A-Z][a-z]{2})(?:-(?P<last>[A-Z][a-z]{2}))? )?"
    r"(?P<from>\d\d):(?P<from_m>[0-5]\d)-(?P<to>\d\d):(?P<to_m>[0-5]\d)$"
)


class CapViolation(msgspec.Struct, frozen=True):
    """One thing wrong with a set of caps: where, what, and how to mend it."""

    key: str
    problem: str
    mend: str


def parse_value(
    spec: CapSpec, key: str, raw: Any, *, strict: bool, found: list[CapViolation]
) -> Any:
    """The value of one cap, or None after adding a violation to `found`."""
    try:
        if spec.kind == "amount":
            return _amount(raw, strict=strict)
        if spec.kind == "count":
            return _count(spec, raw, strict=strict)
        if spec.kind == "choice":
            return _choice(spec, raw)
        if spec.kind in {"names", "windows"}:
            return _names(spec, raw)
        if spec.kind == "amounts_by_asset":
            return {_asset(a): _amount(v, strict=True) for a, v in _table(raw).items()}
        return {_asset(a): _path(v) for a, v in _table(raw).items()}
    except _BadValueError as error:
        found.append(CapViolation(key, error.problem, error.mend))
        return None


def is_stricter(spec: CapSpec, now: Any, new: Any) -> bool:
    """Whether `new` admits nothing that `now` denies (equal values count as stricter)."""
    if spec.stricter == "lower":
        return bool(new <= now)
    if spec.stricter == "higher":
        if isinstance(now, Mapping):
            return all(asset in new and new[asset] >= now[asset] for asset in now)
        return bool(new >= now)
    if spec.stricter == "severity":
        return ACTIONS.index(new) >= ACTIONS.index(now)
    if spec.stricter == "subset":
        if spec.kind == "windows":
            return all(_covered(minutes, window_minutes(now)) for minutes in window_minutes(new))
        return set(new) <= set(now)
    return bool(new == now)


def window_minutes(windows: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Windows as half-open ranges of minutes of the week (Monday 00:00 UTC is 0), merged."""
    ranges: list[tuple[int, int]] = []
    for text in windows:
        match = _WINDOW.match(text)
        if match is None:
            continue
        days = range(7)
        if match["first"]:
            first = DAYS.index(match["first"])
            last = DAYS.index(match["last"] or match["first"])
            days = range(first, last + 1)
        start = int(match["from"]) * 60 + int(match["from_m"])
        end = int(match["to"]) * 60 + int(match["to_m"])
        ranges += [(day * MINUTES_PER_DAY + start, day * MINUTES_PER_DAY + end) for day in days]
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


class _BadValueError(ValueError):
    def __init__(self, problem: str, mend: str) -> None:
        self.problem = problem
        self.mend = mend
        super().__init__(problem)


def _covered(part: tuple[int, int], wholes: tuple[tuple[int, int], ...]) -> bool:
    return any(start <= part[0] and part[1] <= end for start, end in wholes)


def _unlimited(*, strict: bool) -> None:
    if strict:
        raise _BadValueError('"unlimited" is refused in strict mode', "write a number")


def _amount(raw: Any, *, strict: bool) -> Decimal:
    if raw == "unlimited":
        _unlimited(strict=strict)
        return UNLIMITED
    if isinstance(raw, bool) or not isinstance(raw, str | int | Decimal):
        mend = f'write it as text: "{raw}"' if isinstance(raw, float) else 'write it as text: "10"'
        raise _BadValueError(f"{type(raw).__name__} is not an exact amount", mend)
    try:
        value = decimal_of(raw)
    except AmountError as error:
        raise _BadValueError(str(error), 'write a decimal, e.g. "0.01"') from error
    if value < 0:
        raise _BadValueError(f"{raw} is negative", "caps are zero or more")
    if value >= UNLIMITED or value.adjusted() < -18:
        raise _BadValueError(f"{raw} is out of range", "between 1e-18 and 1e28, or unlimited")
    return value


def _count(spec: CapSpec, raw: Any, *, strict: bool) -> int:
    if raw == "unlimited" and spec.stricter == "lower":
        _unlimited(strict=strict)
        return UNLIMITED_COUNT
    if isinstance(raw, str) and raw.isascii() and raw.isdigit():
        raw = int(raw)
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise _BadValueError(f"{raw!r} is not a whole number", f"write whole {spec.unit}")
    if not 0 <= raw < UNLIMITED_COUNT:
        raise _BadValueError(f"{raw} is out of range", "zero or more")
    return raw


_NO_MARK = 'write "mid", or "last" with venue.with_trades = true'


def _choice(spec: CapSpec, raw: Any) -> str:
    if not isinstance(raw, str):
        raise _BadValueError(f"{raw!r} is not text", "write it in quotes")
    if not spec.choices:
        return _asset(raw)
    if raw == "mark" and spec.key == "collar_reference":
        raise _BadValueError("spot has no mark price, so every order would be denied", _NO_MARK)
    if raw not in spec.choices:
        raise _BadValueError(f"{raw!r} is not a choice", "one of " + ", ".join(spec.choices))
    return raw


def _names(spec: CapSpec, raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list | tuple) or not all(isinstance(item, str) for item in raw):
        raise _BadValueError(f"{raw!r} is not a list of texts", 'write ["..."]')
    for item in raw:
        if spec.kind == "windows":
            _check_window(item)
        elif item not in spec.choices:
            raise _BadValueError(f"{item!r} is not known", "any of " + ", ".join(spec.choices))
    return tuple(sorted(set(raw)))


def _check_window(text: str) -> None:
    match = _WINDOW.match(text)
    mend = 'write "00:00-24:00" or "Mon-Fri 07:00-21:30"; split what passes midnight'
    if match is None or int(match["to"]) > 24 or int(match["from"]) > 23:
        raise _BadValueError(f"{text!r} is not a window", mend)
    for name in (match["first"], match["last"]):
        if name is not None and name not in DAYS:
            raise _BadValueError(f"{name!r} is not a day", mend)
    ranges = window_minutes((text,))
    end = int(match["to"]) * 60 + int(match["to_m"])
    if not ranges or any(start >= stop for start, stop in ranges) or end > MINUTES_PER_DAY:
        raise _BadValueError(f"{text!r} is empty or passes midnight", mend)


def _table(raw: Any) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise _BadValueError(f"{raw!r} is not a table", "write ASSET = value")
    return raw


def _asset(raw: Any) -> str:
    if not isinstance(raw, str) or not is_symbol(raw):
        raise _BadValueError(f"{raw!r} is not an asset", "upper-case letters and digits: USDT")
    return raw


def _path(raw: Any) -> tuple[str, ...]:
    ok = isinstance(raw, list | tuple) and raw and all(isinstance(s, str) and s for s in raw)
    if not ok or len(raw) > 4:
        raise _BadValueError(f"{raw!r} is not a path", 'one to four symbols: ["XRPETH", "ETHUSDT"]')
    return tuple(raw)
