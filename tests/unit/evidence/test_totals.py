"""Running totals in both directions, and what an older journal without them is told."""

import json

import pytest

from daemon.model.records import EventType
from evidence.report.report import build_report
from tests.support.journal_maker import JournalMaker, encode, whole_story, write_journal

TOTALS = ("order_approved", "order_denied", "heartbeat")


def told(records, tmp_path):
    journal = write_journal(tmp_path / "journal", encode(records))
    return build_report([journal]).journals[0].verdicts.complete


def with_checkpoint(maker: JournalMaker, **tallies) -> None:
    """An orderly checkpoint, as the daemon keeps its tallies; `tallies` are not as they were."""
    session = {
        "session_id": maker.session_id, "orders": maker.counts["orders"],
        "fills": maker.counts["fills"], "denied": {"order_qty": maker.counts["denied"]}, **tallies,
    }  # fmt: skip
    incidents = [{"incident_id": f"{maker.instance}-{maker.run_number}-i{n + 1}"}
                 for n in range(maker.incidents)]  # fmt: skip
    maker.write(
        EventType.CHECKPOINT,
        state={"session": session, "incidents": incidents, "books": {}, "latched": False},
    )


def story(**tallies) -> JournalMaker:
    maker = JournalMaker(3)
    maker.run_start()
    maker.session_start()
    maker.trade(15)
    maker.deny()
    name = maker.incident()
    maker.wait(1500)
    with_checkpoint(maker, **tallies)
    maker.session_stop()
    maker.resolve(name)
    maker.run_stop()
    return maker


def without_totals(records):
    """As a daemon of before wrote them; its checkpoints have always had tallies."""
    for record in records:
        record.pop("counts", None)
    return records


def test_an_honest_journal_of_an_older_daemon_is_complete_and_told_what_was_not_checked(tmp_path):
    found = told(without_totals(story().records), tmp_path)
    assert found.value == "OK", found.failed
    assert any("state no running totals" in one for one in found.remarks)


@pytest.mark.parametrize("kind", TOTALS)
@pytest.mark.parametrize("step", [1, -1])
def test_a_total_that_the_lines_do_not_give_is_told_once(tmp_path, kind, step):
    records = whole_story(seed=5, orders=60).records
    line = [r for r in records if r["event_type"] == kind][1]
    line["counts"][1] += step
    found = told(records, tmp_path)
    assert any("2 x total_differs" in one for one in found.failed), found.failed  # there, and back


@pytest.mark.parametrize("kind", ["order_denied", "incident_opened"])
def test_a_checkpoint_alone_gives_a_removal_away(tmp_path, kind):
    """In a journal without running totals the daemon's own tallies are left."""
    records = without_totals(story().records)
    gone = [r for r in records if r["event_type"] == kind][-1]
    records = [r for r in records if r is not gone and r["event_type"] != "incident_resolved"]
    for record in records:
        if record["event_type"] == "session_stop":
            record["denied"] -= kind == "order_denied"
    found = told(records, tmp_path)
    wanted = "total_differs" if kind == "order_denied" else "incident_absent"
    assert any(wanted in one for one in found.failed), found.failed


@pytest.mark.parametrize("tally", [{"orders": 99}, {"fills": 0}, {"denied": {}}])
def test_a_checkpoint_that_counts_otherwise_is_told(tmp_path, tally):
    assert any("total_differs" in one for one in told(story(**tally).records, tmp_path).failed)


@pytest.mark.parametrize("counts", [[], [1], [1, 2, 3, 4, 5, 6]])
def test_totals_of_another_length_are_told(tmp_path, counts):
    records = whole_story(seed=5).records
    next(r for r in records if r["event_type"] == "order_approved")["counts"] = counts
    assert any("are due" in one for one in told(records, tmp_path).failed)


def test_totals_of_another_kind_make_the_line_malformed(tmp_path):
    records = whole_story(seed=5).records
    next(r for r in records if r["event_type"] == "heartbeat")["counts"] = "many"
    journal = write_journal(tmp_path, encode(records))
    report = build_report([journal])
    assert any("malformed" in one for one in report.reasons)


# ---------------------------------------------------------------------- books that keep silent
@pytest.mark.parametrize(
    "part", ["orders", "fills", "rejects", "balances", "initial_balances", "requests"]
)
def test_books_without_a_part_confirm_nothing(tmp_path, part):
    maker = whole_story(seed=5)
    journal, ledger = maker.save(tmp_path)
    assert build_report([journal], ledger=ledger).verdict == "OK"
    books = json.loads(ledger.read_text())
    del books[part]
    ledger.write_text(json.dumps(books))
    report = build_report([journal], ledger=ledger)
    assert report.verdict != "OK"
    assert any("corroborated" in one and "the books have no" in one for one in report.reasons)


def test_a_simulators_books_are_not_excused_as_a_venues_history(tmp_path):
    """Who takes the refusals out of a simulator's books and calls them a download is found out."""
    journal, ledger = whole_story(seed=5).save(tmp_path)
    books = json.loads(ledger.read_text())
    del books["rejects"]
    books["source"] = {"environment": "sim", "host": "h"}
    ledger.write_text(json.dumps(books))
    report = build_report([journal], ledger=ledger)
    assert any("no list of rejects" in one for one in report.reasons)


def test_what_a_real_venue_keeps_no_list_of_is_a_stated_finding(tmp_path):
    testnet = "binance-spot-testnet"
    journal, ledger = whole_story(mode="testnet", exchange=testnet, seed=5).save(tmp_path)
    books = json.loads(ledger.read_text())
    for key in ("rejects", "faults", "requests"):
        del books[key]
    books["source"] = {"environment": testnet, "host": "h"}
    ledger.write_text(json.dumps(books))
    found = build_report([journal], ledger=ledger).journals[0].verdicts.corroborated
    assert found.failed == []
    assert any(one.startswith("finding, not corroborated: ") for one in found.remarks)


def test_a_ledger_with_a_key_twice_is_refused(tmp_path):
    journal, ledger = whole_story(seed=5).save(tmp_path)
    ledger.write_text('{"rejects":[1],' + ledger.read_text()[1:])
    with pytest.raises(OSError, match="stands twice"):
        build_report([journal], ledger=ledger)


# ---------------------------------------------------------------------- anchors
def test_of_a_testnet_no_anchor_is_a_verdict_and_of_a_rehearsal_a_remark(tmp_path):
    for mode, exchange, wanted in (
        ("testnet", "binance-spot-testnet", "UNANCHORED"),
        ("sim", "sim", "OK"),
    ):
        maker = whole_story(mode=mode, exchange=exchange)
        journal = write_journal(tmp_path / mode, maker.lines())
        intact = build_report([journal]).journals[0].verdicts.intact
        assert intact.value == wanted
        assert any("no outside anchor" in one for one in (*intact.unanchored, *intact.remarks))


def test_errors_and_anomalies_are_always_told(tmp_path):
    found = told(whole_story(seed=5, orders=1).records, tmp_path)
    assert any(one.startswith("0 errors, ") for one in found.remarks)
