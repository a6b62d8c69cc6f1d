"""A clever operator wants a promotion that was not earned: no trick pays."""

import pytest

from evidence.promotion.policy import Policy
from tests.support.journal_maker import JournalMaker
from tests.support.liars_table import PROMOTION, documented, row_of_a_promotion
from tests.support.promotion_liars import (
    AROUND,
    EDITS,
    campaign,
    edited,
    idle_for_ten_thousand_lines,
    pad_with_simulated_sessions,
    save,
    verdict_of,
)


def test_the_honest_campaign_is_ready(tmp_path):
    judgement = verdict_of(*save(campaign(), tmp_path))
    assert (judgement.decision, judgement.reasons) == ("READY_FOR_LIVE_PILOT", [])


@pytest.mark.parametrize(
    ("edit", "decision", "code"), EDITS, ids=[edit.__name__ for edit, _, _ in EDITS]
)
def test_an_edited_record_is_never_promoted(tmp_path, edit, decision, code):
    judgement = edited(edit, tmp_path)
    assert judgement.decision == decision
    assert code in {reason.code for reason in judgement.reasons}
    stands = row_of_a_promotion(edit, judgement, code) in documented(PROMOTION)
    assert stands, "docs/LIARS.md is stale"


@pytest.mark.parametrize(
    ("trick", "decision", "code"), AROUND, ids=[trick.__name__ for trick, _, _ in AROUND]
)
def test_a_trick_around_the_record_does_not_pay(tmp_path, trick, decision, code):
    judgement = trick(tmp_path)
    assert judgement.decision == decision
    assert code in {reason.code for reason in judgement.reasons}
    stands = row_of_a_promotion(trick, judgement, code) in documented(PROMOTION)
    assert stands, "docs/LIARS.md is stale"


def test_ten_thousand_quiet_lines_are_not_a_session(tmp_path):
    """Sample size by lines: a long idle session has many lines and shows nothing."""
    judgement = idle_for_ten_thousand_lines(tmp_path)
    assert judgement.qualifying == []
    assert judgement.not_counted == [("abc123-s1", "0 of 10 orders; 0 of 1 fills")]


def test_simulated_sessions_add_nothing_to_real_ones(tmp_path):
    assert len(pad_with_simulated_sessions(tmp_path).qualifying) == 2


@pytest.mark.parametrize("name", ["commit", "config_hash", "caps_hash", "account"])
def test_sessions_of_two_bindings_do_not_add_up(tmp_path, name):
    maker = campaign()
    starts = [one for one in maker.records if one["event_type"] == "session_start"]
    starts[-1][name] = "another"
    judgement = verdict_of(*save(maker, tmp_path))
    assert judgement.decision in {"CONTINUE_TESTNET", "NO_GO"}
    assert len(judgement.campaign) == 1


def test_a_crashed_session_does_not_leave_the_sample(tmp_path):
    """Survivorship: the crash is listed, is a fault, and is a reason of its own."""
    maker = JournalMaker(5, mode="testnet", exchange="binance-spot-testnet")
    maker.run_start()
    maker.session(30)
    maker.session_start()
    maker.trade(6)
    maker.session_id = ""
    maker.run_start()
    for order in list(maker.open):
        maker.cancel(order)
    maker.session(30)
    maker.run_stop()
    judgement = verdict_of(*save(maker, tmp_path))
    assert judgement.decision != "READY_FOR_LIVE_PILOT"
    assert "SESSIONS_CRASHED" in {reason.code for reason in judgement.reasons}
    assert judgement.statistics["faults"] != 0


def test_the_default_terms_ask_for_every_drill_that_the_tool_can_run():
    drills = pytest.importorskip("daemon.shell.drills.drill_runner")
    assert set(Policy().drills_required) == set(drills.DRILLS)
