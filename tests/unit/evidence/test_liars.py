"""The liar suite: a clever operator edits the journal and makes every hash good again.

Each trick must end in NO_GO or INSUFFICIENT, for the right reason. The operator rewrites the
journal and numbers and chains it anew, so only substance can give the trick away: the venue's
books, counts that no longer agree, ids that are missing, time that does not add up.
"""

import json

import pytest

from daemon.model.records import EventType
from evidence.report.report import build_report
from tests.support.journal_maker import whole_story
from tests.support.liars import TRICKS, played
from tests.support.liars_table import EDITED, documented, one_row_each, row_of_a_trick


@pytest.mark.parametrize(
    ("trick", "reason"), TRICKS, ids=[f"{t.__name__}-{i}" for i, (t, _) in enumerate(TRICKS)]
)
def test_a_trick_is_seen_through(tmp_path, trick, reason):
    before, after = played(trick, tmp_path)
    assert before.verdict == "OK", "the honest journal is OK"
    assert after.verdict in {"NO_GO", "INSUFFICIENT"}
    assert any(reason in one for one in after.reasons), after.reasons
    assert after.counts_as_testnet_evidence is False
    if (trick, reason) in one_row_each():
        assert row_of_a_trick(trick, reason, after) in documented(EDITED), "docs/LIARS.md is stale"


def test_without_the_venues_books_no_trick_pays(tmp_path):
    """Even the perfect rewrite is INSUFFICIENT: nothing confirms it."""
    maker = whole_story(mode="testnet", exchange="binance-spot-testnet")
    journal, _ = maker.save(tmp_path)
    report = build_report([journal])
    assert (report.verdict, report.counts_as_testnet_evidence) == ("INSUFFICIENT", False)


def test_a_simulators_books_never_confirm_a_testnet(tmp_path):
    maker = whole_story(mode="testnet", exchange="binance-spot-testnet")
    journal, ledger = maker.save(tmp_path)
    assert set(json.loads(ledger.read_text())) & {"faults", "requests"}
    report = build_report([journal], ledger=ledger)
    assert report.verdict == "NO_GO"


def test_a_fill_that_the_daemon_hid_is_found(tmp_path):
    maker = whole_story(sessions=0)
    maker.records.pop()
    maker.session_start()
    cid = maker.approve("BTCUSDT", "BUY", "0.01", "3000")
    maker.accept(cid)
    maker.fill(cid, is_journalled=False)
    maker.state(cid, "CANCELED", "cancel")
    maker.session_stop()
    maker.write(EventType.RUN_STOP, reason="operator", exit_code=0)
    journal, ledger = maker.save(tmp_path)
    report = build_report([journal], ledger=ledger)
    assert report.verdict == "NO_GO"
    assert report.summary()["fills_missing_from_journal"] == 1
    assert report.summary()["balance_differences"] == 2
