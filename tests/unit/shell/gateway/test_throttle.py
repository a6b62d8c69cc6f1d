"""Token buckets: judged by counting what a brute-force walk through a second lets pass."""

from daemon.model.amounts import NS_PER_S
from daemon.shell.gateway.throttle import BREACHES_BEFORE_BAN, Bucket, Throttle

START = 1_000 * NS_PER_S


def throttle(rate: int = 20, burst: int = 20, cancels: int = 5) -> Throttle:
    return Throttle(Bucket(rate, burst), Bucket(cancels, cancels))


def test_a_bucket_lets_no_more_pass_than_burst_and_rate() -> None:
    bucket = Bucket(rate=20, burst=30)
    passed = sum(bucket.take(START + n * NS_PER_S // 1_000) for n in range(3_000))
    assert 30 + 3 * 20 - 1 <= passed <= 30 + 3 * 20
    assert bucket.take(START + 10 * NS_PER_S)


def test_a_hammer_is_slowed_then_banned_and_each_ban_is_longer() -> None:
    keys = throttle()
    told = [keys.admit(START) for _ in range(20 + BREACHES_BEFORE_BAN + 5)]
    statuses = [0 if one is None else one.status for one in told]
    assert statuses == [0] * 20 + [429] * (BREACHES_BEFORE_BAN - 1) + [418] * 6
    assert told[20] is not None
    assert START < told[20].until_ns <= START + NS_PER_S
    first_ns = keys.banned_until_ns - START
    later = keys.banned_until_ns
    assert keys.admit(later - 1) is not None
    assert keys.admit(later) is None
    for _ in range(20 + BREACHES_BEFORE_BAN):
        keys.admit(later)
    assert keys.banned_until_ns - later == 2 * first_ns


def test_no_ban_stops_a_cancel() -> None:
    keys = throttle()
    for _ in range(1_000):
        keys.admit(START)
    assert keys.banned_until_ns > START
    assert [keys.admit_cancel(START, f"order {n}") for n in range(5)] == [None] * 5
    sixth = keys.admit_cancel(START, "order 5")
    assert sixth is not None
    assert sixth.status == 429
    assert keys.admit_cancel(START + NS_PER_S, "order 5") is None


def test_a_hammer_on_one_order_leaves_the_cancels_of_the_others() -> None:
    keys = throttle(cancels=5)
    told = [keys.admit_cancel(START, "mine") for _ in range(1_000)]
    assert [one is None for one in told] == [True] * 6 + [False] * 994, "once, and five repeated"
    assert [keys.admit_cancel(START, f"order {n}") for n in range(4)] == [None] * 4
    assert keys.admit_cancel(START, "order 4") is not None


def test_refusals_are_told_as_one_number() -> None:
    keys = throttle()
    for _ in range(500):
        keys.admit(START)
    assert keys.take_count(START + NS_PER_S) == (480, 1_000)
    assert keys.take_count(START + NS_PER_S) == (0, 0)
    assert keys.refused == 480
