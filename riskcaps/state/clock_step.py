"""The gate's durable state after a clock that was ahead was set right, by an operator's word.

Rules of this file:
1. No window is shortened. What is stamped in the future happened before now, so it counts as of
   now: later than it was, never earlier. What is stamped in the past keeps its stamp.
2. While the clock was ahead, events of the last hours left the windows too soon. The journal still
   has them: they are handed in, and the fuller account counts.
3. A day's loss goes on: the day that was opened in the future is today.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import accumulate
from typing import Any

import msgspec

from daemon.model.amounts import decimal_of
from riskcaps.state.windows import DAY_NS

Traded = tuple[int, str, Decimal, Decimal]
"""Stamp, instrument, quantity, price."""


class JournalledDay(msgspec.Struct):
    """What the journal holds of the last day, in its order."""

    attempts_ns: list[int] = msgspec.field(default_factory=list)
    traded: list[Traded] = msgspec.field(default_factory=list)


def step_back(state: Mapping[str, Any], now_ns: int, seen: JournalledDay) -> dict[str, Any]:
    """The state of `durable.state_of`, as of a time that is earlier than its last fact."""
    books, quotes = dict(state["books"]), dict(state["turnover"])
    by_book: dict[str, list[list[Any]]] = {}
    by_quote: dict[str, list[list[Any]]] = {}
    for stamp, instrument, qty, price in sorted(seen.traded):
        at = min(stamp, now_ns)
        by_book.setdefault(instrument, []).append([at, str(qty)])
        quote = books.get(instrument, {}).get("quote", "")
        by_quote.setdefault(quote, []).append([at, str(qty * price)])
    for name, book in books.items():
        books[name] = {
            **book,
            "minute": _stamps(book["minute"], now_ns),
            "traded": _fuller(_pairs(book["traded"], now_ns), by_book.get(name, [])),
        }
    for asset in {*quotes, *by_quote} - {""}:
        quotes[asset] = _fuller(_pairs(quotes.get(asset, []), now_ns), by_quote.get(asset, []))
    behaviour, equity = dict(state["behaviour"]), dict(state["equity"])
    behaviour["duplicates"] = [[min(row[0], now_ns), *row[1:]] for row in behaviour["duplicates"]]
    equity["day"] = min(equity["day"], now_ns // DAY_NS)
    executed = [stamp for stamp, *_ in seen.traded]
    return {
        **state,
        "fact_ns": min(state["fact_ns"], now_ns),
        "books": books,
        "turnover": quotes,
        "orders": _longer(state["orders"], seen.attempts_ns, now_ns),
        "cancels": _stamps(state["cancels"], now_ns),
        "executions": _longer(state["executions"], executed, now_ns),
        "behaviour": behaviour,
        "equity": equity,
    }


def _stamps(deltas: Iterable[int], now_ns: int) -> list[int]:
    return _deltas(min(stamp, now_ns) for stamp in accumulate(deltas))


def _longer(deltas: Sequence[int], seen: Sequence[int], now_ns: int) -> list[int]:
    """The account that counts more events."""
    if len(seen) <= len(deltas):
        return _stamps(deltas, now_ns)
    return _deltas(sorted(min(stamp, now_ns) for stamp in seen))


def _deltas(stamps: Iterable[int]) -> list[int]:
    kept = list(stamps)
    return [stamp - before for stamp, before in zip(kept, [0, *kept], strict=False)]


def _pairs(pairs: Iterable[Sequence[Any]], now_ns: int) -> list[list[Any]]:
    return [[min(stamp, now_ns), amount] for stamp, amount in pairs]


def _fuller(kept: list[list[Any]], seen: list[list[Any]]) -> list[list[Any]]:
    """The account of the larger sum."""
    sums = [sum((decimal_of(amount) for _, amount in one), Decimal(0)) for one in (kept, seen)]
    return seen if sums[1] > sums[0] else kept
