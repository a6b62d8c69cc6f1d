"""Each judge on ledgers written by hand: what passes, what is a finding, what shows nothing."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from daemon.trials.judging.judges import JUDGES, judge
from daemon.trials.judging.observation import GateDenial, Observation
from daemon.trials.judging.trial_verdict import TrialOutcome
from tests.support.observed import CALM, asked, at, cancelled, filled, order, placed, request, seen

PASS, FINDING, NOT_SHOWN = TrialOutcome.PASS, TrialOutcome.FINDING, TrialOutcome.NOT_SHOWN
BOTH = {"BTCUSDT": Decimal(60000)}
JUMPED = {"BTCUSDT": Decimal(66000)}


def no(*seconds: float) -> list[GateDenial]:
    return [GateDenial(at(one), "order_qty", "BTCUSDT", "BUY") for one in seconds]


def refusals(count: int, every: float, code: int = -1013) -> list[Any]:
    return [placed(0.1 + n * every, f"r{n}", status=400, code=code) for n in range(count)]


CASES: list[tuple[str, str, Observation, Mapping[str, Any], TrialOutcome]] = [
    ("calm", "trades", seen(order(1), order(2, until=3), placed(1)), {}, PASS),
    ("calm", "too few", seen(order(1), placed(1)), {"min_orders": 2}, NOT_SHOWN),
    ("calm", "refused", seen(order(1), order(2), placed(1), *refusals(3, 1)), {}, FINDING),
    ("no-doubles", "one at a time", seen(order(1, until=2), order(2)), {}, PASS),
    ("no-doubles", "two at once", seen(order(1), order(2)), {}, FINDING),
    ("no-doubles", "nothing", seen(), {}, NOT_SHOWN),
    (
        "no-doubles",
        "never back",
        seen(order(1, until=2), end=20, last_marks={"calm": 4}),
        {"recover_s": 8},
        FINDING,
    ),
    (
        "no-doubles",
        "never back, watched a moment less than asked",
        seen(order(1, until=2), end=11.99, last_marks={"calm": 4}),
        {"recover_s": 8},
        FINDING,
    ),
    (
        "resent",
        "asked before it placed again",
        seen(
            placed(1, "a", status=0), order(1, "a", until=2), asked(1.5), placed(3, "b"), order(3)
        ),
        {},
        PASS,
    ),
    (
        "resent",
        "blind",
        seen(placed(1, "a", status=504, code=-1007), order(1, "a", until=2), placed(3, "b")),
        {},
        FINDING,
    ),
    (
        "resent",
        "a question without an answer is none",
        seen(
            placed(1, "a", status=0),
            order(1, "a", until=2),
            request(2, "REST GET /api/v3/openOrders", status=0),
            placed(3, "b"),
        ),
        {},
        FINDING,
    ),
    (
        "resent",
        "the same id again is safe",
        seen(placed(1, "a", status=0), order(1, "a"), placed(3, "a", status=400, code=-2010)),
        {},
        PASS,
    ),
    ("resent", "not met", seen(placed(1, "a"), order(1, "a")), {}, NOT_SHOWN),
    ("backs-off", "slowly", seen(*refusals(4, 2.5)), {"max_per_s": 1.0}, PASS),
    ("backs-off", "hammering", seen(*refusals(60, 0.15)), {"max_per_s": 1.0}, FINDING),
    ("backs-off", "not refused", seen(placed(1), order(1)), {}, NOT_SHOWN),
    (
        "backs-off",
        "silent though filled",
        seen(asked(1), order(1, until=2), filled(0.5)),
        {"or_silent": True},
        PASS,
    ),
    ("keeps-order", "goes on", seen(placed(1), order(1)), {}, PASS),
    ("keeps-order", "hammering", seen(*refusals(60, 0.15)), {}, FINDING),
    ("keeps-order", "silent", seen(), {}, NOT_SHOWN),
    (
        "keeps-order",
        "a rest that is placed again beside itself",
        seen(placed(1), order(1, executed="0.0004"), order(2), filled(1.5)),
        {"event": "partial fill"},
        FINDING,
    ),
    ("keeps-order", "no fill", seen(placed(1), order(1)), {"event": "partial fill"}, NOT_SHOWN),
    (
        "keeps-order",
        "a third asset",
        seen(placed(1), order(1, until=2), filled(2, fee_asset="BNB")),
        {"event": "fee in a third asset"},
        PASS,
    ),
    (
        "obeys",
        "silent until the end",
        seen(asked(0.2), request(0.5, "REST GET /api/v3/time", status=429, code=-1003), asked(6)),
        {"seconds": 5},
        PASS,
    ),
    (
        "obeys",
        "asks on",
        seen(
            request(0.5, "REST GET /api/v3/time", status=418, code=-1003),
            request(3, "REST GET /api/v3/time", status=418, code=-1003),
        ),
        {"seconds": 5},
        FINDING,
    ),
    ("obeys", "not met", seen(asked(7)), {"seconds": 5}, NOT_SHOWN),
    (
        "clock",
        "takes the time",
        seen(placed(1, status=400, code=-1021), order(3), last_marks={"calm": 9}),
        {},
        PASS,
    ),
    (
        "clock",
        "only after the clock was right again",
        seen(placed(1, status=400, code=-1021), order(9.5), last_marks={"calm": 9}),
        {},
        FINDING,
    ),
    ("clock", "not refused", seen(placed(1), order(1)), {}, NOT_SHOWN),
    ("foreign", "left alone", seen(placed(2), order(1, "x", ours=False), order(2)), {}, PASS),
    (
        "foreign",
        "cancelled",
        seen(placed(2), order(1, "x", until=3, number=77, ours=False), cancelled(3, 77)),
        {},
        FINDING,
    ),
    ("foreign", "silent", seen(order(1, "x", ours=False)), {}, NOT_SHOWN),
    (
        "ends-clean",
        "ended",
        seen(order(-1, until=1), marks={"end-bot": 0}, ended=1.5, exit_code=0),
        {},
        PASS,
    ),
    (
        "ends-clean",
        "leaves one",
        seen(order(-1), marks={"end-bot": 0}, ended=1.5, exit_code=0),
        {},
        FINDING,
    ),
    ("ends-clean", "lives on", seen(order(-1, until=1), end=12, marks={"end-bot": 0}), {}, FINDING),
    (
        "finds-orders",
        "cancels",
        seen(order(-1, until=3), asked(3), order(4), marks={"kill-bot": 0.5, "start-bot": 1}),
        {},
        PASS,
    ),
    (
        "finds-orders",
        "a new one beside the old",
        seen(order(-1), asked(3), order(4), marks={"kill-bot": 0.5, "start-bot": 1}),
        {},
        FINDING,
    ),
    (
        "finds-orders",
        "forgets",
        seen(order(-1), marks={"kill-bot": 0.5, "start-bot": 1}),
        {},
        FINDING,
    ),
    ("finds-orders", "none", seen(marks={"kill-bot": 0.5, "start-bot": 1}), {}, NOT_SHOWN),
    ("survives-disk", "goes on", seen(order(1)), {}, PASS),
    ("survives-disk", "ends in order", seen(order(1, until=2), ended=3, exit_code=1), {}, PASS),
    ("survives-disk", "ends and leaves one", seen(order(1), ended=3, exit_code=1), {}, FINDING),
    ("keeps-rate", "keeps up", seen(order(1, until=2), order(3), filled(2)), {}, PASS),
    (
        "keeps-rate",
        "too many orders",
        seen(order(1), filled(2), placed(3, status=429, code=-1015)),
        {},
        FINDING,
    ),
    ("keeps-rate", "not driven", seen(order(1)), {}, NOT_SHOWN),
    ("user-stream", "none", seen(filled(1)), {}, NOT_SHOWN),
    (
        "user-stream",
        "asks after the loss",
        seen(
            filled(1),
            request(2, "WS userDataStream.subscribe.signature"),
            asked(3),
            has_user_stream=True,
            end=14,
        ),
        {"reconnect_s": 8, "notice_s": 10},
        PASS,
    ),
    (
        "user-stream",
        "never connects again",
        seen(filled(1), asked(3), has_user_stream=True, end=14),
        {"reconnect_s": 8},
        FINDING,
    ),
    (
        "user-stream",
        "never hears of the fill",
        seen(filled(1), has_user_stream=True, end=14),
        {"notice_s": 10},
        FINDING,
    ),
    (
        "user-stream",
        "takes one fill twice",
        seen(filled(1), placed(1.1), order(1.1), order(1.2), has_user_stream=True, end=14),
        {"notice_s": 10},
        FINDING,
    ),
    ("notices-fill", "asks", seen(filled(1), asked(2), end=14), {}, PASS),
    ("notices-fill", "silent", seen(filled(1), end=14), {}, FINDING),
    ("notices-fill", "no fill", seen(), {}, NOT_SHOWN),
    (
        "notices-cancel",
        "places again",
        seen(cancelled(0.1, 1), placed(1), marks={"strike": 0}, end=12),
        {},
        PASS,
    ),
    (
        "notices-cancel",
        "silent",
        seen(cancelled(0.1, 1), marks={"strike": 0}, end=12),
        {},
        FINDING,
    ),
    ("notices-cancel", "none open", seen(placed(1), marks={"strike": 0}), {}, NOT_SHOWN),
    (
        "market-stream",
        "again",
        seen(request(3, "STREAM open"), has_market_stream=True, end=12),
        {},
        PASS,
    ),
    ("market-stream", "never", seen(has_market_stream=True, end=12), {}, FINDING),
    ("market-stream", "none", seen(), {}, NOT_SHOWN),
    (
        "stale-data",
        "stops",
        seen(request(1, "REST GET /api/v3/depth"), order(2)),
        {"seconds": 9},
        PASS,
    ),
    (
        "stale-data",
        "goes on",
        seen(request(1, "REST GET /api/v3/depth"), order(2, until=3), order(7)),
        {"seconds": 9},
        FINDING,
    ),
    ("stale-data", "looks at none", seen(), {"seconds": 9}, NOT_SHOWN),
    (
        "old-prices",
        "new price",
        seen(order(5, price="65900"), prices_before=BOTH, prices_after=JUMPED),
        {},
        PASS,
    ),
    (
        "old-prices",
        "old price",
        seen(order(5, price="60100"), prices_before=BOTH, prices_after=JUMPED),
        {},
        FINDING,
    ),
    ("old-prices", "no order", seen(prices_before=BOTH, prices_after=JUMPED), {}, NOT_SHOWN),
    (
        "depth-gap",
        "a new snapshot",
        seen(
            request(-3, "STREAM open", streams="btcusdt@depth"),
            request(1, "REST GET /api/v3/depth"),
        ),
        {},
        PASS,
    ),
    (
        "depth-gap",
        "none",
        seen(request(-3, "STREAM open", streams="btcusdt@depth")),
        {},
        FINDING,
    ),
    ("depth-gap", "no book", seen(), {}, NOT_SHOWN),
    (
        "denials",
        "waits, and is back",
        seen(*refusals(3, 2, -2010), order(7), denials=no(0.1, 2.1, 4.1), last_marks={"calm": 6}),
        {},
        PASS,
    ),
    (
        "denials",
        "hammers",
        seen(*refusals(30, 0.1, -2010), order(7), denials=no(0.1), last_marks={"calm": 6}),
        {},
        FINDING,
    ),
    (
        "denials",
        "never back",
        seen(*refusals(3, 2, -2010), denials=no(0.1), last_marks={"calm": 6}, end=20),
        {"recover_s": 8},
        FINDING,
    ),
    (
        "denials",
        "denied after the caps were loose again only",
        seen(order(7), denials=no(6.5), last_marks={"calm": 6}),
        {},
        NOT_SHOWN,
    ),
    (
        "after-kill",
        "asks now and then",
        seen(cancelled(0.1, 1), *refusals(4, 2, -2010), last_marks={"kill-switch": 0.1}),
        {},
        PASS,
    ),
    ("after-kill", "asks for none", seen(cancelled(0.1, 1), asked(2)), {}, PASS),
    ("after-kill", "hammers", seen(cancelled(0.1, 1), *refusals(40, 0.2, -2010)), {}, FINDING),
    (
        "after-kill",
        "an order reaches the venue",
        seen(cancelled(0.1, 1), placed(2, "b"), order(2, "b"), last_marks={"kill-switch": 0.1}),
        {},
        FINDING,
    ),
    ("after-kill", "had no order", seen(asked(2)), {}, NOT_SHOWN),
    ("after-kill", "is mute", seen(cancelled(0.1, 1)), {}, NOT_SHOWN),
]


@pytest.mark.parametrize(
    ("name", "observation", "params", "outcome"),
    [pytest.param(*case[:1], *case[2:], id=f"{case[0]}: {case[1]}") for case in CASES],
)
def test_a_judge_decides(
    name: str, observation: Observation, params: Mapping[str, Any], outcome: TrialOutcome
) -> None:
    verdict = judge(name, observation, CALM, params)
    assert verdict.outcome is outcome, verdict
    assert verdict.because


def test_every_judge_is_seen_to_pass_and_to_find() -> None:
    for name in JUDGES:
        outcomes = {case[4] for case in CASES if case[0] == name}
        assert {PASS, FINDING} <= outcomes, name


def test_what_the_gate_has_taken_is_counted_at_the_venues_wire_alone() -> None:
    at_venue = [placed(-1, status=0), placed(1, status=0), placed(2, status=503), placed(3)]
    observation = seen(*refusals(2, 1), venue_requests=[*at_venue, asked(2)])
    assert [row.status for row in observation.met_by_gate()] == [0, 503]


def test_a_bot_that_ends_by_itself_is_a_finding_of_any_trial() -> None:
    verdict = judge("backs-off", seen(order(1), ended=3, exit_code=1), CALM, {})
    assert verdict.outcome is FINDING
    assert "ended by itself (exit code 1) and left 1 orders open" in verdict.because


def test_a_position_that_the_venue_does_not_know_is_a_finding() -> None:
    rows = (order(1, until=2), order(3))
    right = (Decimal("1.5"), Decimal("0.001"))
    same = seen(*rows, believed=Decimal("0.0010"), positions=right)
    assert judge("no-doubles", same, CALM, {}).outcome is PASS
    other = judge("no-doubles", seen(*rows, believed=Decimal(0), positions=right), CALM, {})
    assert other.outcome is FINDING
    assert other.because == "its log tells a position of 0; at the venue it is 1.5 or 0.001"


def test_what_is_measured_comes_from_the_ledger() -> None:
    observation = seen(
        placed(1, "a"),
        order(1, "a", until=2, executed="0.001"),
        filled(2),
        placed(3, "b"),
        order(3),
    )
    measures = judge("no-doubles", observation, CALM, {}).measures
    assert (measures["orders"], measures["fills"], measures["messages per fill"]) == (
        "2",
        "1",
        "2.0",
    )
    assert measures["worst exposure"] == "120.00"
