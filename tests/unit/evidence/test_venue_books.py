"""The venue's books against a journal whose caps and balances moved on the way."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon.model.records import EventType
from evidence.report.report import Report, build_report
from tests.support.journal_maker import CAPS, JournalMaker


def judged(maker: JournalMaker, directory: Path) -> Report:
    journal, ledger = maker.save(directory)
    return build_report([journal], ledger=ledger)


def started() -> JournalMaker:
    maker = JournalMaker(seed=7)
    maker.run_start()
    maker.session_start()
    return maker


def traded(maker: JournalMaker, side: str, qty: str) -> None:
    cid = maker.approve("BTCUSDT", side, qty, "3000")
    maker.accept(cid)
    maker.fill(cid)


def tightened(maker: JournalMaker, **changes: str) -> None:
    small = {**maker.caps["symbols"]["BTCUSDT"], **changes}
    maker.caps = {**maker.caps, "symbols": {**maker.caps["symbols"], "BTCUSDT": small}}
    changed = {f"symbols.BTCUSDT.{name}": value for name, value in changes.items()}
    maker.write(
        EventType.CAPS_CHANGED, old_hash="22", new_hash="f" * 64, changes=changed, by="root",
        reason="test",
    )  # fmt: skip


def ended(maker: JournalMaker) -> None:
    maker.session_stop()
    maker.run_stop()


def test_what_the_caps_of_its_time_allowed_is_no_breach_after_they_were_tightened(
    tmp_path: Path,
) -> None:
    maker = started()
    traded(maker, "BUY", "0.08")
    resting = maker.approve("BTCUSDT", "BUY", "0.05", "3000")
    maker.accept(resting)
    tightened(maker, order_qty_base_max="0.02", position_long_base_max="0.03")
    maker.fill(resting)  # approved before
    for _ in range(3):
        traded(maker, "SELL", "0.02")  # a flattening: the position is above the cap all the way
    ended(maker)
    report = judged(maker, tmp_path)
    assert report.summary()["cap_breaches_at_venue"] == 0
    assert [reason for reason in report.reasons if "_max" in reason] == []


def test_a_breach_of_tightened_caps_is_still_found(tmp_path: Path) -> None:
    maker = started()
    traded(maker, "BUY", "0.08")
    tightened(maker, order_qty_base_max="0.02", position_long_base_max="0.03")
    traded(maker, "BUY", "0.01")
    ended(maker)
    report = judged(maker, tmp_path)
    assert report.verdict == "NO_GO"
    assert report.summary()["cap_breaches_at_venue"] > 0


def test_wider_caps_of_a_later_session_excuse_nothing_before_it(tmp_path: Path) -> None:
    maker = JournalMaker(seed=7)
    maker.run_start()
    small = {**CAPS["symbols"]["BTCUSDT"], "order_qty_base_max": "0.01"}
    maker.session_start({**CAPS, "symbols": {**CAPS["symbols"], "BTCUSDT": small}})
    traded(maker, "BUY", "0.05")
    maker.session_stop()
    maker.session_start()
    ended(maker)
    report = judged(maker, tmp_path)
    assert report.summary()["cap_breaches_at_venue"] > 0


@pytest.mark.parametrize("has_events", [True, False])
def test_an_order_of_somebody_else_is_no_use_of_our_caps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_events: bool
) -> None:
    """It stands against the account as what it is; `_parted` says who is somebody else."""
    maker = started()
    traded(maker, "BUY", "0.01")
    ended(maker)
    books = maker.books()
    theirs = {**books["orders"][0], "client_order_id": "web_1", "order_id": 9_999, "qty": "1000"}
    books["orders"].append({**theirs, "executed_qty": "0", "status": "CANCELED"})
    books["events"].insert(0, {**books["events"][0], **theirs})
    if not has_events:
        del books["events"]
    monkeypatch.setattr(maker, "books", lambda: books)
    report = judged(maker, tmp_path)
    assert report.summary()["cap_breaches_at_venue"] == 0
    assert [reason.rpartition(", first")[0] for reason in report.reasons] == [
        "corroborated: 1 x foreign orders"
    ]


def reconciled(maker: JournalMaker, asset: str, ours: str, venue: str) -> None:
    difference = {
        "kind": "balance", "class": "external", "symbol": asset, "client_order_id": "",
        "ours": ours, "venue": venue, "change": "untraded_deposit",
    }  # fmt: skip
    maker.write(
        EventType.RECONCILED, reason="confirm", clean=True, differences=[difference],
        recovered_fills=0, adopted=0, canceled=0, balances={}, accepted={asset: venue},
    )  # fmt: skip


def with_balances(maker: JournalMaker, asset: str, before: str, after: str) -> dict[str, Any]:
    books = maker.books()
    for name, amount in (("initial_balances", before), ("balances", after)):
        books[name][asset] = {"free": amount, "locked": "0"}
    return books


@pytest.mark.parametrize(("told", "verdict"), [("336", "OK"), ("335", "NO_GO"), ("", "NO_GO")])
def test_what_others_moved_of_an_untraded_asset_is_explained_by_its_record_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, verdict: str
) -> None:
    maker = started()
    traded(maker, "BUY", "0.01")
    if told:
        reconciled(maker, "BNB", "333", told)
    ended(maker)
    books = with_balances(maker, "BNB", "333", "336")
    monkeypatch.setattr(maker, "books", lambda: books)
    report = judged(maker, tmp_path)
    assert report.verdict == verdict, report.reasons


def test_no_record_explains_a_traded_asset_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = started()
    maker.write(
        EventType.INSTRUMENTS, instruments=[{"symbol": "BTCUSDT", "base": "BTC", "quote": "USDT"}]
    )
    traded(maker, "BUY", "0.01")
    books = maker.books()
    have = Decimal(books["balances"]["BTC"]["free"])
    reconciled(maker, "BTC", str(have), str(have + 1))
    ended(maker)
    books["balances"]["BTC"]["free"] = str(have + 1)
    monkeypatch.setattr(maker, "books", lambda: books)
    assert judged(maker, tmp_path).verdict == "NO_GO"


def with_a_cancel_that_came_too_late() -> JournalMaker:
    """Its refusal stands in the journal, and not among the books' refusals."""
    maker = started()
    cid = maker.approve("BTCUSDT", "BUY", "0.02", "3000")
    maker.accept(cid)
    maker.fill(cid)
    maker.write(
        EventType.CANCEL_REJECT, client_order_id=cid, symbol="BTCUSDT",
        instrument_id=f"BTCUSDT@{maker.exchange}", code=-2011, msg="Unknown order sent.",
    )  # fmt: skip
    ended(maker)
    return maker


def test_books_that_list_cancels_have_every_refused_one(tmp_path: Path) -> None:
    report = judged(with_a_cancel_that_came_too_late(), tmp_path)
    assert "refusals missing from ledger" in " ".join(report.reasons)


def test_books_without_cancels_list_refused_placements_only(tmp_path: Path) -> None:
    """The books of simulated venues that older journals were made with."""
    maker = with_a_cancel_that_came_too_late()
    del maker.ledger["cancels"]
    report = judged(maker, tmp_path)
    assert "refusals missing from ledger" not in " ".join(report.reasons)
