"""Setting a clock back shortens no window, whatever was stamped by which clock."""

from decimal import Decimal
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from riskcaps.state.clock_step import JournalledDay, step_back
from riskcaps.state.windows import DAY_NS, HOUR_NS, MINUTE_NS, OrderCounts, RollingSum

BTC = "BTCUSDT@sim"
NOW = 40 * DAY_NS
EVENTS = st.lists(st.tuples(st.integers(0, 2 * DAY_NS), st.sampled_from((0, 1))), max_size=40)


def deltas(stamps: list[int]) -> list[int]:
    return [stamp - before for stamp, before in zip(stamps, [0, *stamps], strict=False)]


@given(events=EVENTS, ahead_ns=st.integers(1, 5 * DAY_NS), is_journal_whole=st.booleans())
def test_every_window_counts_at_least_the_truth(
    events: list[tuple[int, int]], ahead_ns: int, is_journal_whole: bool
) -> None:
    """True times lie before NOW; those of the later run were stamped `ahead_ns` too late."""
    ages = sorted((age for age, _ in events), reverse=True)
    turn = len(ages) // 2
    true = [NOW - age for age in ages]
    stamped = true[:turn] + [one + ahead_ns for one in true[turn:]]
    stamped = list(accumulate(stamped, max))  # engine time never ran backward
    last = stamped[-1] if stamped else NOW
    # What the gate kept when its last fact was stamped: its longest window is a day.
    kept = [one for one in stamped if one >= last - DAY_NS]
    seen = JournalledDay()
    if is_journal_whole:
        seen.attempts_ns = [one for one in stamped if one >= NOW - DAY_NS]
        seen.traded = [(one, BTC, Decimal(1), Decimal(2)) for one in seen.attempts_ns]
    state = {
        "fact_ns": last,
        "books": {
            BTC: {"quote": "USDT", "minute": deltas(kept), "traded": [[one, "1"] for one in kept]}
        },
        "turnover": {"USDT": [[one, "2"] for one in kept]},
        "orders": deltas(kept),
        "cancels": deltas(kept),
        "executions": deltas(kept),
        "behaviour": {"duplicates": [[one, BTC, True, "1", "1"] for one in kept]},
        "equity": {"day": last // DAY_NS},
    }
    after = step_back(state, NOW, seen)
    counts = OrderCounts()
    counts.restore(after["orders"])
    pairs = {window: sum(one >= NOW - window for one in true) for window in (MINUTE_NS, HOUR_NS)}
    found = counts.counts(NOW)
    full = is_journal_whole or len(kept) == len(stamped)
    if full:
        assert found[1] >= pairs[MINUTE_NS]
        assert found[2] >= pairs[HOUR_NS]
        assert found[3] >= sum(one >= NOW - DAY_NS for one in true)
        traded = RollingSum(DAY_NS)
        traded.restore(after["turnover"]["USDT"])
        assert traded.total(NOW) >= 2 * sum(one >= NOW - DAY_NS for one in true)
    assert after["fact_ns"] <= NOW
    assert after["equity"]["day"] <= NOW // DAY_NS
    assert all(one[0] <= NOW for one in after["behaviour"]["duplicates"])
    stamps = list(accumulate(after["orders"]))
    assert stamps == sorted(stamps)
