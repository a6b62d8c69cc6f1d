"""Bounds on places and pace hold for any order of comings and goings."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from control.server.connection_limits import SOURCES_MAX, Budget, ConnectionLimits


@dataclass(eq=False)
class Seat:
    uid: int
    in_flight: int = 0
    said: list[int] = field(default_factory=list)


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["come", "go", "say", "busy"]), st.integers(0, 3), st.integers(0, 9)),
    max_size=60,
)


@given(OPERATIONS)
def test_the_one_to_go_is_the_idlest_of_the_user_with_most(
    operations: list[tuple[str, int, int]],
) -> None:
    crowd: ConnectionLimits[Seat] = ConnectionLimits()
    order: list[Seat] = []  # the model: idlest first
    for kind, uid, pick in operations:
        if kind == "come":
            seat = Seat(uid)
            crowd.add(seat, uid)
            order.append(seat)
        elif order:
            seat = order[pick % len(order)]
            if kind == "go":
                crowd.remove(seat)
                order.remove(seat)
            elif kind == "say":
                crowd.active(seat)
                order.remove(seat)
                order.append(seat)
            else:
                seat.in_flight = 1 - seat.in_flight
        assert len(crowd) == len(order)
        goes = crowd.idlest()
        if not order:
            assert goes is None
            continue
        assert goes is not None
        held = {seat.uid: sum(one.uid == seat.uid for one in order) for seat in order}
        assert held[goes.uid] == max(held.values())
        kin = [seat for seat in order if seat.uid == goes.uid]
        free = [seat for seat in kin if not seat.in_flight]
        assert goes is (free or kin)[0]
        newcomer = order[-1]
        goes = crowd.idlest(newcomer)
        others = [seat for seat in kin if seat is not newcomer]
        free = [seat for seat in others if not seat.in_flight]
        assert goes is (free or others or [newcomer])[0]


def test_removing_twice_is_nothing() -> None:
    crowd: ConnectionLimits[Seat] = ConnectionLimits()
    seat = Seat(1)
    crowd.add(seat, 1)
    crowd.remove(seat)
    crowd.remove(seat)
    crowd.active(seat)
    assert len(crowd) == 0


@given(
    st.integers(1, 10),
    st.integers(1, 20),
    st.lists(st.integers(0, 500), min_size=1, max_size=80),
)
def test_a_budget_is_never_overspent_and_counts_what_it_refused(
    burst: int, per_s: int, gaps_ms: list[int]
) -> None:
    budget = Budget(burst, float(per_s))
    now_ms = 0
    granted = refused = 0
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        if budget.spend(1, now_ms / 1_000):
            granted += 1
        else:
            refused += 1
    assert granted <= burst + per_s * (now_ms / 1_000) + 1e-6
    assert granted >= min(len(gaps_ms), burst)
    assert budget.take_missed(1) == refused
    assert budget.take_missed(1) == 0


def test_sources_do_not_spend_each_others_tokens_and_are_bounded() -> None:
    budget = Budget(1, 0.0)
    assert all(budget.spend(source, 0.0) for source in range(SOURCES_MAX + 50))
    assert not budget.spend(SOURCES_MAX + 10, 0.0)
    assert budget.take_missed(-1) == 0
