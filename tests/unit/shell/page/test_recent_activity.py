"""What is kept of the last hours: bounded, and the same as counting the records oneself."""

from collections import Counter
from decimal import Decimal
from random import Random

from daemon.model.records import EventType
from daemon.shell.health.recent_activity import (
    FILLS_KEPT,
    MINUTES_KEPT,
    ORDERS_KNOWN,
    SAMPLE_NS,
    SAMPLES_KEPT,
    STRATEGIES_KEPT,
    RecentActivity,
)
from daemon.shell.page.page_view import denials_of, strategies_of

MINUTE_NS = 60 * 10**9


def test_totals_by_strategy_are_those_of_a_plain_count() -> None:
    rng, activity = Random(5), RecentActivity()
    approved: Counter[str] = Counter()
    fills: Counter[str] = Counter()
    turnover: dict[str, Decimal] = {}
    for number in range(3_000):
        strategy = f"s{rng.randrange(4)}"
        order = f"o{number}"
        activity.on_record(
            EventType.ORDER_APPROVED, {"client_order_id": order, "strategy_id": strategy}, number
        )
        approved[strategy] += 1
        if rng.random() < 0.5:
            qty, price = str(rng.randrange(1, 99)), f"{rng.randrange(1, 9)}.5"
            activity.on_record(
                EventType.FILL,
                {
                    "client_order_id": order,
                    "symbol": "X",
                    "side": "BUY",
                    "qty": qty,
                    "price": price,
                },
                number,
            )
            fills[strategy] += 1
            turnover[strategy] = turnover.get(strategy, Decimal(0)) + Decimal(qty) * Decimal(price)
    told = {one["name"]: one for one in strategies_of(activity)}
    assert {name: one["approved"] for name, one in told.items()} == dict(approved)
    assert {name: one["fills"] for name, one in told.items()} == dict(fills)
    assert {name: Decimal(one["turnover"]["X"]) for name, one in told.items()} == turnover
    assert len(activity.fills) == FILLS_KEPT
    assert activity.fills[-1].number == sum(fills.values())


def test_denials_are_counted_by_minute_and_reason() -> None:
    activity, expected = RecentActivity(), Counter[tuple[int, str]]()
    rng = Random(3)
    for _ in range(500):
        minute, reason = rng.randrange(5), f"r{rng.randrange(3)}"
        fields = {"strategy_id": "s", "deny_reason": reason}
        activity.on_record(EventType.ORDER_DENIED, fields, minute * MINUTE_NS + 7)
        expected[minute, reason] += 1
    rows = denials_of(activity)
    assert {(minute, reason): count for minute, reason, count in rows} == dict(expected)
    assert rows == sorted(rows)
    doubled = denials_of(activity, activity, since_minute=3)
    wanted = {key: 2 * count for key, count in expected.items() if key[0] >= 3}
    assert {(minute, reason): count for minute, reason, count in doubled} == wanted


def test_everything_is_bounded() -> None:
    activity = RecentActivity()
    for number in range(MINUTES_KEPT + 10):
        fields = {"strategy_id": f"s{number}", "deny_reason": "x"}
        activity.on_record(EventType.ORDER_DENIED, fields, number * MINUTE_NS)
    for number in range(ORDERS_KNOWN + 10):
        fields = {"client_order_id": f"o{number}", "strategy_id": "s1"}
        activity.on_record(EventType.ORDER_APPROVED, fields, number)
    for number in range(SAMPLES_KEPT + 10):
        activity.sample({"ts_ns": (number + 1) * SAMPLE_NS})
    assert len(activity.denials) == MINUTES_KEPT
    assert min(activity.denials) == 10
    assert len(activity.strategies) == STRATEGIES_KEPT + 1  # the rest is `others`
    assert len(activity._owner) == ORDERS_KNOWN
    assert len(activity.samples) == SAMPLES_KEPT


def test_a_status_is_sampled_no_oftener_than_it_is_kept() -> None:
    activity = RecentActivity()
    top = {"bid": "1", "ask": "2"}
    for tick in range(100):
        status = {"ts_ns": tick * SAMPLE_NS // 10 + SAMPLE_NS, "market": {"X": top}}
        activity.sample({**status, "equity": {"equity": str(tick), "drawdown": None}})
    assert len(activity.samples) == 10
    assert activity.samples[0].prices == {"X": "1.5"}
    assert [one.equity for one in activity.samples] == [str(10 * n) for n in range(10)]


def test_a_fill_of_before_the_boot_has_no_strategy() -> None:
    activity = RecentActivity()
    fields = {"client_order_id": "old", "symbol": "X", "side": "BUY", "qty": "bad", "price": "1"}
    activity.on_record(EventType.FILL, fields, 1)
    assert activity.fills[0].strategy == ""
    assert activity.strategies[""].fills == 1
    assert activity.strategies[""].plain()["turnover"] == {}
