"""Which rows of a list a client asks for: from an id, within times, or the newest."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from daemon.venues.binance_spot.serving.dialect_errors import DialectError, combination_invalid
from daemon.venues.binance_spot.serving.params import Params

LIMIT_DEFAULT, LIMIT_MAX = 500, 1_000
_DAY_MS = 86_400_000
RowT = TypeVar("RowT")


class RowRange(msgspec.Struct, frozen=True):
    """Bounds of a list; None: not asked for. Times are epoch milliseconds, both ends included."""

    from_id: int | None
    start_ms: int | None
    end_ms: int | None
    limit: int

    def holds(self, row_id: int, time_ms: int) -> bool:
        """Whether a row is inside."""
        return (self.from_id is None or row_id >= self.from_id) and self.holds_time(time_ms)

    def holds_time(self, time_ms: int) -> bool:
        """Whether a time is inside."""
        return (self.start_ms is None or time_ms >= self.start_ms) and (
            self.end_ms is None or time_ms <= self.end_ms
        )

    @property
    def is_oldest_first(self) -> bool:
        """Whether the limit cuts the end: a client that names a beginning reads onwards from it."""
        return self.from_id is not None or self.start_ms is not None

    def cut(self, rows: Sequence[RowT]) -> Sequence[RowT]:
        """At most `limit` of the rows inside, which come in ascending order."""
        return rows[: self.limit] if self.is_oldest_first else rows[-self.limit :]


def range_of(params: Params, id_name: str, *, id_excludes_times: bool = False) -> RowRange:
    """The bounds that a client sends; `id_name` is the call's own name of the first id.

    Raises:
        DialectError: -1127 for more than a day, -1128 where an id excludes times, -1130 and -1100
            for a limit that is none.
    """
    limit = params.limit(LIMIT_DEFAULT, LIMIT_MAX)
    from_id, start, end = (params.integer(name) for name in (id_name, "startTime", "endTime"))
    if id_excludes_times and from_id is not None and (start is not None or end is not None):
        raise combination_invalid()
    check_span(start, end)
    return RowRange(from_id, start, end, limit)


def trade_range_of(params: Params) -> tuple[RowRange, int | None]:
    """(bounds, order id) of myTrades: symbol alone, with an order, from an id, or within times.

    Raises:
        DialectError: as `range_of`; -1128 for an order and times.
    """
    bounds = range_of(params, "fromId", id_excludes_times=True)
    order_id = params.integer("orderId")
    if order_id is not None and (bounds.start_ms is not None or bounds.end_ms is not None):
        raise combination_invalid()
    return bounds, order_id


def check_span(start_ms: int | None, end_ms: int | None) -> None:
    """Whether two times lie no more than a day apart.

    Raises:
        DialectError: -1127.
    """
    if start_ms is not None and end_ms is not None and end_ms - start_ms > _DAY_MS:
        raise DialectError(-1127, "More than 24 hours between startTime and endTime.")
