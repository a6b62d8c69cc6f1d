"""The governor against the venue's rules of counting (binance-spot.md §6)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.model.copies import replace
from daemon.shell.link.governor import STOP_PAUSES, WORK_PAUSES, Governor, UntoldPauses
from daemon.venues.binance_spot.spot_adapter import RATES
from daemon.venues.contract import RateLimitRow
from daemon.venues.requests import Purpose

S = 1_000_000_000
T0 = 1_700_000_040 * S  # a whole minute


def small(*, weight: int = 100, orders: int = 10, untold: UntoldPauses = WORK_PAUSES) -> Governor:
    governor = Governor(RATES, untold=untold)
    governor.configure(
        [
            RateLimitRow("REQUEST_WEIGHT", "MINUTE", 1, weight),
            RateLimitRow("ORDERS", "SECOND", 10, orders),
            RateLimitRow("RAW_REQUESTS", "MINUTE", 5, 1000),
        ]
    )
    return governor


def test_the_reserve_belongs_to_queries_and_cancels() -> None:
    governor = small()
    for _ in range(8):
        assert governor.admit(Purpose.DATA, weight=10, now_ns=T0) is None
    refusal = governor.admit(Purpose.PLACE, weight=1, orders=1, now_ns=T0)
    assert refusal is not None
    assert "REQUEST_WEIGHT_1M" in refusal.reason
    assert refusal.until_ns == T0 + 60 * S
    assert governor.admit(Purpose.QUERY, weight=15, now_ns=T0) is None
    assert governor.admit(Purpose.QUERY, weight=1, now_ns=T0) is not None
    assert governor.admit(Purpose.CANCEL, weight=5, now_ns=T0) is None
    assert governor.admit(Purpose.CANCEL, weight=1, now_ns=T0) is not None


def test_windows_are_fixed_and_aligned_to_the_venues_clock() -> None:
    governor = small(orders=10)
    governor.offset_ns = 4 * S  # the venue is ahead: its windows end earlier for us
    for _ in range(8):
        assert governor.admit(Purpose.PLACE, weight=0, orders=1, now_ns=T0) is None
    refusal = governor.admit(Purpose.PLACE, weight=0, orders=1, now_ns=T0)
    assert refusal is not None
    assert refusal.until_ns == T0 + 6 * S
    governor.settle(weight=0, orders=8)
    assert governor.admit(Purpose.PLACE, weight=0, orders=1, now_ns=T0 + 6 * S) is None


def test_what_is_in_flight_counts_into_the_next_window() -> None:
    governor = small(orders=10)
    for _ in range(8):
        governor.admit(Purpose.PLACE, weight=0, orders=1, now_ns=T0)
    assert governor.admit(Purpose.PLACE, weight=0, orders=1, now_ns=T0 + 10 * S) is not None
    governor.settle(weight=0, orders=8)
    assert governor.admit(Purpose.PLACE, weight=0, orders=1, now_ns=T0 + 20 * S) is None


def test_the_venues_own_count_wins() -> None:
    governor = small()
    now = T0 + 5 * S
    governor.observe_headers({"X-MBX-USED-WEIGHT-1M": "79", "X-MBX-ORDER-COUNT-10S": "3"}, now)
    assert governor.used(now)["REQUEST_WEIGHT_1M"] == 79
    assert governor.used(now)["ORDERS_10S"] == 3
    assert governor.admit(Purpose.DATA, weight=2, now_ns=now) is not None
    governor.observe_headers({"X-MBX-USED-WEIGHT-1M": "10"}, now)
    assert governor.admit(Purpose.DATA, weight=2, now_ns=now) is None


def test_a_count_of_the_last_window_does_not_fill_the_new_one() -> None:
    governor = small()
    now = T0 + 60 * S + 1_000_000
    governor.observe_headers({"X-MBX-USED-WEIGHT-1M": "99"}, now)
    assert governor.used(now)["REQUEST_WEIGHT_1M"] == 0


def test_socket_answers_feed_it_too() -> None:
    governor = small()
    rows = [RateLimitRow("REQUEST_WEIGHT", "MINUTE", 1, 50, 42)]
    governor.observe_counts(rows, T0 + 5 * S)
    assert governor.used(T0 + 5 * S)["REQUEST_WEIGHT_1M"] == 42
    assert governor.limits()["REQUEST_WEIGHT_1M"] == 50


def test_broken_headers_change_nothing() -> None:
    governor = small()
    for text in ("", "many", "-5", "1e9", "9" * 50):
        governor.observe_headers({"X-MBX-USED-WEIGHT-1M": text}, T0 + S)
    assert governor.used(T0 + S)["REQUEST_WEIGHT_1M"] == 0


def test_during_a_ban_nothing_is_sent_at_all() -> None:
    governor = small()
    until = governor.pause("ban", T0 + 300 * S, T0)
    for purpose in Purpose:
        refusal = governor.admit(purpose, weight=0, now_ns=T0 + 299 * S)
        assert refusal is not None
        assert refusal.until_ns == until
    assert governor.admit_connection(weight=2, now_ns=T0 + 299 * S) is not None
    assert governor.admit(Purpose.DATA, weight=1, now_ns=until) is None


def test_a_pause_never_gets_shorter() -> None:
    governor = small()
    governor.pause("ban", T0 + 300 * S, T0)
    assert governor.pause("weight", T0 + 10 * S, T0) == T0 + 300 * S
    assert governor.paused_until_ns(T0) == T0 + 300 * S
    assert governor.paused_until_ns(T0 + 301 * S) == 0


def test_pauses_of_unknown_length_double_up_to_the_longest_ban() -> None:
    governor, now, lengths = small(), T0, []
    for _ in range(13):
        until = governor.pause("ban", None, now)
        assert governor.pause("ban", None, now + S) <= until + S, "the same ban, told twice"
        until = governor.paused_until_ns(now)
        lengths.append((until - now) // S)
        now = until
    assert lengths[:3] == [120 + 1, 240 + 1, 480 + 1]
    assert lengths[-1] in {3 * 86_400, 3 * 86_400 + 1}
    now += 2 * 3600 * S
    assert governor.pause("ban", None, now) == now + 120 * S, "calm for an hour: a first one"


@pytest.mark.parametrize(
    ("until_ns", "length_s"),
    [
        (T0 - 3600 * S, 120),  # long past: as good as unsaid
        (0, 120),
        (-5, 120),
        (T0 - S, 1),  # just past: a matter of clocks
        (T0, 1),
        (T0 + 3600 * S, 3600),
        (T0 + 10 * 365 * 86_400 * S, 3 * 86_400),  # years ahead: the longest ban there is
    ],
)
def test_an_absurd_end_of_a_pause_is_not_believed(until_ns: int, length_s: int) -> None:
    assert small().pause("ban", until_ns, T0) == T0 + length_s * S


def test_the_latest_end_that_the_venue_named_counts() -> None:
    governor = small()
    governor.offset_ns = 5 * S
    said_ms = (T0 + 3600 * S) // 1_000_000
    assert governor.until_ns(said_ms, "120", T0) == T0 + 3595 * S, "its clock is ahead of ours"
    assert governor.until_ns(0, "120", T0) == T0 + 120 * S
    assert governor.until_ns(0, None, T0) is None


def test_a_pause_without_a_time_lasts_as_documented() -> None:
    assert small().pause("ban", None, T0) == T0 + 120 * S
    assert small().pause("weight", None, T0) == T0 + 60 * S
    assert small().pause("orders", None, T0 + S) == T0 + 10 * S


def test_a_stop_asks_again_soon_after_a_429_without_a_time_and_waits_for_a_ban() -> None:
    for scope in ("weight", "connections", "waf"):
        governor, now, asked = small(untold=STOP_PAUSES), T0, []
        while now < T0 + 30 * S:
            asked.append((now - T0) // S)
            now = governor.pause(scope, None, now)
        assert asked == [0, 1, 3, 7, 15, 23], scope
    assert small(untold=STOP_PAUSES).pause("ban", None, T0) == T0 + 120 * S
    assert small(untold=STOP_PAUSES).pause("weight", T0 + 50 * S, T0) == T0 + 50 * S, "told: kept"


def test_the_order_count_stops_placements_only() -> None:
    governor = small()
    governor.pause("orders", T0 + 10 * S, T0)
    assert governor.admit(Purpose.PLACE, weight=1, orders=1, now_ns=T0) is not None
    assert governor.admit(Purpose.CANCEL, weight=1, now_ns=T0) is None
    assert governor.admit(Purpose.QUERY, weight=4, now_ns=T0) is None


def test_a_success_costs_no_weight() -> None:
    governor = small()
    governor.admit(Purpose.PLACE, weight=1, orders=1, now_ns=T0)
    governor.settle(weight=1, orders=1, free=True)
    assert governor.used(T0)["REQUEST_WEIGHT_1M"] == 0
    assert governor.used(T0)["ORDERS_10S"] == 1


def test_connections_are_bounded() -> None:
    governor = small()
    taken = 0
    while governor.admit_connection(weight=0, now_ns=T0) is None:
        taken += 1
        assert taken <= 300
    assert taken == 300


def test_limits_that_vanish_are_forgotten_and_odd_ones_passed_over() -> None:
    governor = small()
    governor.configure(
        [
            RateLimitRow("REQUEST_WEIGHT", "MINUTE", 1, 7),
            RateLimitRow("REQUEST_WEIGHT", "FORTNIGHT", 1, 7),
            RateLimitRow("NEW_KIND", "MINUTE", 1, 7),
            RateLimitRow("ORDERS", "SECOND", 0, 7),
        ]
    )
    assert governor.limits()["REQUEST_WEIGHT_1M"] == 7
    assert "NEW_KIND_1M" not in governor.limits()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(Purpose)), st.integers(0, 30), st.integers(0, 1), st.integers(0, 9)
        ),
        max_size=60,
    )
)
def test_the_limit_is_never_passed_whatever_the_mix(
    calls: list[tuple[Purpose, int, int, int]],
) -> None:
    governor = small(weight=100, orders=5)
    now = T0
    spent: dict[int, int] = {}
    for purpose, weight, orders, wait_s in calls:
        now += wait_s * S
        if governor.admit(purpose, weight=weight, orders=orders, now_ns=now) is None:
            spent[now // (60 * S)] = spent.get(now // (60 * S), 0) + weight
            governor.settle(weight=weight, orders=orders)
    assert all(total <= 100 for total in spent.values())


LIMITS = {"REQUEST_WEIGHT": (60 * S, 100), "RAW_REQUESTS": (300 * S, 40), "ORDERS": (10 * S, 5)}
PERCENT = {Purpose.PLACE: 80, Purpose.QUERY: 95, Purpose.ROUND: 80, Purpose.CANCEL: 100}


class Naive:
    """The same rules by the letter: every request is added to every window that counts it."""

    def __init__(self) -> None:
        self.used, self.flying = (dict.fromkeys(LIMITS, 0) for _ in range(2))
        self.rounds, self.begun_ns = (dict.fromkeys(LIMITS, 0) for _ in range(2))

    def roll(self, kind: str, venue_ns: int) -> None:
        length_ns = LIMITS[kind][0]
        begun_ns = venue_ns // length_ns * length_ns
        if begun_ns != self.begun_ns[kind]:
            self.begun_ns[kind], self.rounds[kind] = begun_ns, 0
            self.used[kind] = self.flying[kind]

    def admit(self, purpose: Purpose, costs: dict[str, int], venue_ns: int) -> str:
        for kind, cost in costs.items():
            if cost:
                self.roll(kind, venue_ns)
                limit = LIMITS[kind][1]
                if (self.used[kind] + cost) * 100 > limit * PERCENT[purpose]:
                    return kind
                if purpose is Purpose.ROUND and (self.rounds[kind] + cost) * 100 > limit * 30:
                    return kind
        for kind, cost in costs.items():
            self.used[kind] += cost
            self.flying[kind] += cost
            self.rounds[kind] += cost if purpose is Purpose.ROUND else 0
        return ""

    def settle(self, costs: dict[str, int], *, free: bool) -> None:
        for kind, cost in costs.items():
            self.flying[kind] -= cost
            if free and kind == "REQUEST_WEIGHT":
                self.used[kind] -= cost

    def observe(self, kind: str, count: int, venue_ns: int) -> None:
        self.roll(kind, venue_ns)
        told = count + self.flying[kind]
        if told <= self.used[kind] or venue_ns - self.begun_ns[kind] >= S // 2:
            self.used[kind] = told


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_window_counts_as_if_it_were_alone(data: st.DataObject) -> None:
    draw, kinds = data.draw, list(LIMITS)
    governor, naive, now_ns = Governor(RATES), Naive(), T0
    rows = {
        "REQUEST_WEIGHT": RateLimitRow("REQUEST_WEIGHT", "MINUTE", 1, 100),
        "ORDERS": RateLimitRow("ORDERS", "SECOND", 10, 5),
        "RAW_REQUESTS": RateLimitRow("RAW_REQUESTS", "MINUTE", 5, 40),
    }
    governor.configure(rows.values())
    names = {kind: name for name in governor.limits() for kind in kinds if name.startswith(kind)}
    open_ones: list[tuple[dict[str, int], int, int]] = []
    for _ in range(40):
        now_ns += draw(st.sampled_from((*[0] * 12, 1, S // 4, 3 * S, 11 * S, 70 * S)))
        venue_ns = now_ns + governor.offset_ns
        what = draw(st.sampled_from(("ask", "ask", "ask", "settle", "told", "clock")))
        if what == "ask":
            purpose = draw(st.sampled_from((*[Purpose.PLACE] * 6, *PERCENT)))
            weight, orders = draw(st.sampled_from((*[(1, 1)] * 6, (4, 0), (20, 0), (1, 2))))
            costs = dict(zip(LIMITS, (weight, 1, orders), strict=True))
            refusal = governor.admit(purpose, weight=weight, orders=orders, now_ns=now_ns)
            refused_by = naive.admit(purpose, costs, venue_ns)
            assert (refusal is None) == (not refused_by)
            if refusal is not None:
                assert refusal.reason.startswith(refused_by)
            else:
                open_ones.append((costs, weight, orders))
        elif what == "settle" and open_ones:
            costs, weight, orders = open_ones.pop(draw(st.integers(0, len(open_ones) - 1)))
            free = draw(st.booleans())
            governor.settle(weight=weight, orders=orders, free=free)
            naive.settle(costs, free=free)
        elif what == "told":
            kind, count = (
                draw(st.sampled_from(kinds)),
                draw(st.sampled_from((0, 1, 2, 3, 4, 30, 90))),
            )
            governor.observe_counts([replace(rows[kind], count=count)], now_ns)
            naive.observe(kind, count, venue_ns)
        elif what == "clock":
            governor.offset_ns = draw(st.integers(-2 * S, 2 * S))
    for kind in kinds:
        naive.roll(kind, now_ns + governor.offset_ns)
    told = governor.used(now_ns)
    assert {kind: told[names[kind]] for kind in kinds} == naive.used


def test_what_has_left_in_a_new_window_counts_there_though_much_of_the_old_one_was_free() -> None:
    governor = small(orders=10)
    for at_ns in (T0, *[T0 + 10 * S] * 5):
        assert governor.admit(Purpose.PLACE, weight=0, orders=1, now_ns=at_ns) is None
        governor.settle(weight=0, orders=1)
    assert governor.used(T0 + 11 * S)["ORDERS_10S"] == 5


def test_a_limit_that_the_venue_lowers_holds_for_the_next_request() -> None:
    governor = small(orders=10)
    assert governor.admit(Purpose.PLACE, weight=0, orders=1, now_ns=T0) is None
    governor.settle(weight=0, orders=1)
    governor.observe_counts([RateLimitRow("ORDERS", "SECOND", 10, 1, 1)], T0)
    assert governor.admit(Purpose.PLACE, weight=0, orders=1, now_ns=T0) is not None
