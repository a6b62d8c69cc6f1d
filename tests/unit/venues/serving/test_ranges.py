"""Lists are cut as the documents say: brute force over small worlds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.params import Params
from daemon.venues.binance_spot.serving.ranges import range_of, trade_range_of

ROWS = [(number, 100 * number) for number in range(1, 30)]
"""(id, time)."""
bound = st.none() | st.integers(0, 35)


@given(from_id=bound, start=bound, end=bound, limit=st.integers(1, 40))
def test_the_rows_that_are_asked_for(
    from_id: int | None, start: int | None, end: int | None, limit: int
) -> None:
    sent = {"fromId": from_id, "limit": limit}
    sent |= {
        name: at * 100 for name, at in (("startTime", start), ("endTime", end)) if at is not None
    }
    params = Params({name: str(value) for name, value in sent.items() if value is not None})
    bounds = range_of(params, "fromId")
    told = list(bounds.cut([row for row in ROWS if bounds.holds(*row)]))
    inside = [
        (number, at)
        for number, at in ROWS
        if (from_id is None or number >= from_id)
        and (start is None or at >= start * 100)
        and (end is None or at <= end * 100)
    ]
    reads_onwards = from_id is not None or start is not None
    assert told == (inside[:limit] if reads_onwards else inside[max(0, len(inside) - limit) :])


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"startTime": "1", "endTime": "86400002"}, -1127),
        ({"fromId": "1", "startTime": "1"}, -1128),
        ({"orderId": "1", "endTime": "1"}, -1128),
        ({"limit": "0"}, -1130),
    ],
)
def test_what_cannot_be_asked_for(sent: dict[str, str], code: int) -> None:
    with pytest.raises(DialectError) as refused:
        trade_range_of(Params(sent))
    assert refused.value.code == code


def test_an_order_and_an_id_may_stand_together() -> None:
    bounds, order_id = trade_range_of(Params({"orderId": "7", "fromId": "3", "limit": "2000"}))
    assert (bounds.from_id, bounds.limit, order_id) == (3, 1_000, 7)
