"""Amends as the accountant sees them: quantities shrink with the venue's word, and never grow."""

import copy
from pathlib import Path
from typing import Any

import pytest

from evidence.report.report import build_report
from tests.support.journal_maker import CAPS, JournalMaker


def begun(**caps: str) -> JournalMaker:
    maker = JournalMaker()
    maker.run_start()
    table = copy.deepcopy(CAPS)
    table["symbols"]["BTCUSDT"] |= caps
    maker.session_start(table)
    return maker


def judged(maker: JournalMaker, directory: Path) -> Any:
    for cid in list(maker.open):
        maker.cancel(cid)
    maker.session_stop()
    maker.run_stop()
    journal, ledger = maker.save(directory)
    return build_report([journal], ledger=ledger)


def resting(maker: JournalMaker, qty: str) -> str:
    cid = maker.approve("BTCUSDT", "BUY", qty, "3000")
    maker.accept(cid)
    return cid


def test_an_amended_order_is_as_small_here_as_there(tmp_path: Path) -> None:
    maker = begun()
    cid = resting(maker, "0.04")
    maker.amend(cid, "0.02")
    maker.fill(cid)
    report = judged(maker, tmp_path)
    assert report.reasons == [], "FILLED at the smaller quantity is the whole"


def test_what_an_amend_gives_up_is_free_for_the_next_order(tmp_path: Path) -> None:
    """0.04 + 0.04 would be beyond position_long_base_max 0.05; 0.01 + 0.04 is not."""
    maker = begun(position_long_base_max="0.05")
    maker.amend(resting(maker, "0.04"), "0.01")
    resting(maker, "0.04")
    assert judged(maker, tmp_path).reasons == []
    other = begun(position_long_base_max="0.05")
    resting(other, "0.04")
    resting(other, "0.04")
    reasons = judged(other, tmp_path / "other").reasons
    assert any("position_long_base_max" in reason for reason in reasons)


def test_an_amend_at_the_venue_that_the_journal_does_not_tell(tmp_path: Path) -> None:
    maker = begun()
    maker.amend(resting(maker, "0.04"), "0.01", is_journalled=False)
    reasons = judged(maker, tmp_path).reasons
    assert any("quantity 0.04 here, 0.01 there" in reason for reason in reasons), reasons


@pytest.mark.parametrize("qty", ["0.04", "0.05", "0.010005"])
def test_an_amend_that_is_no_reduction_is_a_problem(tmp_path: Path, qty: str) -> None:
    maker = begun()
    maker.amend(resting(maker, "0.04"), qty)
    assert any("amend_not_smaller" in reason for reason in judged(maker, tmp_path).reasons)


def test_an_amend_below_what_has_traded_is_a_problem(tmp_path: Path) -> None:
    maker = begun()
    cid = resting(maker, "0.04")
    maker.fill(cid, "0.03")
    maker.amend(cid, "0.02")
    assert any("amend" in reason for reason in judged(maker, tmp_path).reasons)


def test_an_order_that_grows_by_an_amend_is_a_problem(tmp_path: Path) -> None:
    maker = begun()
    cid = resting(maker, "0.02")
    maker.amend(cid, "0.03")
    assert any("amended_larger" in reason for reason in judged(maker, tmp_path).reasons)
