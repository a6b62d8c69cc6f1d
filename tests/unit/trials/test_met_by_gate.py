"""What the gate takes from a bot has a word of its own, and hides no fault of the bot."""

from typing import Any

import pytest

from daemon.trials.judging.judges import judge
from daemon.trials.judging.observation import GateStop
from daemon.trials.judging.trial_verdict import ExitCode, TrialOutcome, exit_code
from tests.support.observed import CALM, asked, at, filled, order, placed, request, seen

PASS, FINDING, NOT_SHOWN, MET, NOT_APPLICABLE = (
    TrialOutcome.PASS,
    TrialOutcome.FINDING,
    TrialOutcome.NOT_SHOWN,
    TrialOutcome.MET_BY_GATE,
    TrialOutcome.NOT_APPLICABLE,
)
STRUCK = [placed(1, "s1", status=0), placed(2, "s2", status=503)]
"""The gate's own requests, at the venue."""
HALTED = [GateStop(at(3), "clock_skew: our clock is -12001 ms from the venue's")]
BACK = {"recover_s": 4}


def refused(count: int, every: float) -> list[Any]:
    return [placed(4 + n * every, f"r{n}", status=400, code=-2010) for n in range(count)]


def test_a_fault_that_struck_the_gate_alone_is_met_and_both_wires_are_shown() -> None:
    bot = [placed(1, "a"), order(1, "a", until=5), placed(6, "b"), order(6, "b")]
    verdict = judge("resent", seen(*bot, venue_requests=STRUCK, last_marks={"calm": 4}), CALM, BACK)
    assert verdict.outcome is MET
    assert "struck 2 requests of the gate" in verdict.because
    assert [line.split("  ")[0] for line in verdict.evidence] == [
        "gate to venue", "gate to venue", "bot to gate", "bot to gate",
    ]  # fmt: skip
    assert "no answer" in verdict.evidence[0]
    assert verdict.measures["met by the gate"] == "2"


@pytest.mark.parametrize(
    ("rows", "venue", "outcome"),
    [
        ([placed(1, "a"), order(1, "a"), order(2, "b")], STRUCK, FINDING),  # doubled
        ([placed(1, "a"), order(1, "a", until=2)], STRUCK, FINDING),  # never back
        ([asked(1)], STRUCK, NOT_SHOWN),  # it asked for no order
        ([placed(1, "a"), order(1, "a")], [placed(1, "s")], NOT_SHOWN),  # nothing struck
        ([placed(1, "a"), order(1, "a")], [placed(-1, "s", status=0)], NOT_SHOWN),  # before it
    ],
)
def test_what_is_not_met(rows: list[Any], venue: list[Any], outcome: TrialOutcome) -> None:
    observation = seen(*rows, venue_requests=venue, last_marks={"calm": 4}, end=12)
    assert judge("resent", observation, CALM, BACK).outcome is outcome


def test_a_clear_answer_of_the_venue_to_the_bot_itself_is_judged_as_ever() -> None:
    bot = [placed(1, "a", status=0), order(1, "a"), placed(2, "b"), order(2, "b")]
    assert judge("resent", seen(*bot, venue_requests=STRUCK), CALM, {}).outcome is FINDING


@pytest.mark.parametrize(("closed", "outcome"), [(False, PASS), (True, FINDING)])
def test_no_new_stream_is_asked_of_a_bot_whose_stream_the_gate_kept_open(
    closed: bool, outcome: TrialOutcome
) -> None:
    rows = [filled(1), asked(2), *([request(0.5, "WS close", status=0)] if closed else [])]
    behind = seen(*rows, has_user_stream=True, venue_requests=[asked(1)])
    assert judge("user-stream", behind, CALM, {"reconnect_s": 8}).outcome is outcome
    direct = seen(filled(1), asked(2), has_user_stream=True)
    assert judge("user-stream", direct, CALM, {"reconnect_s": 8}).outcome is FINDING


def test_no_recovery_is_asked_behind_a_gate_that_has_stopped() -> None:
    rows = [order(1, until=2), *refused(3, 2)]
    seen_alone = seen(*rows, end=20, last_marks={"calm": 6})
    assert judge("backs-off", seen_alone, CALM, BACK).outcome is FINDING
    stopped = seen(*rows, end=20, last_marks={"calm": 6}, gate_stops=HALTED)
    verdict = judge("backs-off", stopped, CALM, BACK)
    assert verdict.outcome is MET
    assert verdict.because.startswith("the gate stopped trading (clock_skew) until an operator")
    assert "clock_skew: our clock is -12001 ms" in verdict.evidence[0]


def test_behind_a_stopped_gate_a_bot_that_asks_for_no_order_has_done_no_wrong() -> None:
    stopped = seen(order(1, until=2), asked(5), end=20, last_marks={"calm": 6}, gate_stops=HALTED)
    assert judge("backs-off", stopped, CALM, BACK).outcome is MET
    mute = seen(order(1, until=2), end=20, last_marks={"calm": 6}, gate_stops=HALTED)
    assert judge("backs-off", mute, CALM, BACK).outcome is NOT_SHOWN
    two = seen(order(1), order(2), asked(5), end=20, gate_stops=HALTED)
    assert judge("keeps-order", two, CALM, BACK).outcome is FINDING


def test_a_bot_that_hammers_a_stopped_gate_has_a_finding() -> None:
    rows = [order(1, until=2), *refused(80, 0.1)]
    stopped = seen(*rows, end=20, last_marks={"calm": 12}, gate_stops=HALTED)
    assert judge("backs-off", stopped, CALM, BACK).outcome is FINDING


def test_a_gate_that_trades_again_within_the_trial_excuses_nothing() -> None:
    rows = [order(1, until=2), *refused(3, 2), placed(12, "z"), order(12, "z")]
    stopped = seen(*rows, end=20, last_marks={"calm": 6}, gate_stops=HALTED)
    assert judge("backs-off", stopped, CALM, BACK).outcome is FINDING
    assert judge("backs-off", stopped, CALM, {"recover_s": 8}).outcome is PASS


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([PASS, MET, NOT_APPLICABLE], ExitCode.ALL_PASS),
        ([MET, MET], ExitCode.NOT_SHOWN),
        ([NOT_APPLICABLE], ExitCode.NOT_SHOWN),
        ([PASS, MET, NOT_SHOWN], ExitCode.NOT_SHOWN),
        ([PASS, MET, FINDING, NOT_SHOWN], ExitCode.FINDINGS),
    ],
)
def test_what_the_gate_has_met_spoils_no_exit_and_makes_none(
    outcomes: list[TrialOutcome], code: ExitCode
) -> None:
    assert exit_code((True, outcome) for outcome in outcomes) is code
    assert exit_code([(False, NOT_SHOWN), (True, PASS)]) is ExitCode.ALL_PASS
