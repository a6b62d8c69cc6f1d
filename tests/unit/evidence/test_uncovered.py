"""What no outside anchor covers is named to the line, and never counts for the box."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from daemon.model.records import EventType
from evidence.judge.anchoring import FILE, WITNESS, AnchorSource
from evidence.promotion.campaign import CampaignJournal, campaign_of
from evidence.read.venue_list import list_of
from evidence.report.report import JournalReport, Report, build_report
from tests.support.chained_world import ChainedRun, chained_again, write_lines
from tests.support.journal_maker import JournalMaker, encode, write_journal
from tests.support.sim_journal import books_of

MODES = [("sim", "sim"), ("testnet", "binance-spot-testnet")]


def begun(mode: str = "testnet") -> JournalMaker:
    """One session in order, an incident resolved, a drill passed; the run goes on."""
    maker = JournalMaker(3, mode=mode, exchange=dict(MODES)[mode])
    maker.run_start()
    maker.drill()
    maker.session_start()
    maker.trade(8)
    maker.session_stop()
    return maker


def witnessed(maker: JournalMaker, folder: Path, seq: int, kind: str = WITNESS) -> Report:
    """The report, where somebody outside has seen the lines up to `seq`; 0: all of them."""
    lines = encode(maker.records)
    following = [
        *(json.loads(line)["prev"] for line in lines[1:]),
        hashlib.sha256(lines[-1]).hexdigest(),
    ]
    at = seq or len(lines)
    heads = [{"seq": at, "head": following[at - 1], "ts_ns": maker.records[at - 1]["ts_ns"]}]
    journal = write_journal(folder / "journal", lines, is_anchored=True)
    return build_report([journal], outside=[AnchorSource(kind, "somebody", heads)])


def only(report: Report) -> JournalReport:
    (one,) = report.journals
    return one


def quiet_session(maker: JournalMaker) -> str:
    maker.session_start()
    maker.session_stop()
    return "session "


def drill(maker: JournalMaker) -> str:
    maker.drill()
    return "drill cap-rejection passed"


def resolution(maker: JournalMaker) -> str:
    name = next(
        r["incident_id"] for r in maker.records if r["event_type"] == EventType.INCIDENT_OPENED
    )
    maker.resolve(name)
    return f"resolution of incident {name}"


# ------------------------------------------------------------------ the verdict
@pytest.mark.parametrize("kind", [WITNESS, FILE])
@pytest.mark.parametrize("mode", [mode for mode, _ in MODES])
@pytest.mark.parametrize("made_up", [quiet_session, drill, resolution])
def test_what_could_be_made_up_after_the_last_anchor_is_unanchored(
    tmp_path: Path, made_up: Any, mode: str, kind: str
) -> None:
    maker = begun(mode)
    maker.incident()
    seen = len(maker.records)
    named = made_up(maker)
    maker.run_stop()
    one = only(witnessed(maker, tmp_path, seen, kind))
    assert one.verdicts.intact.value == "UNANCHORED"
    (reason,) = [text for text in one.verdicts.intact.unanchored if "not covered" in text]
    assert named in reason
    told = one.plain()["anchoring"]["uncovered"]
    assert (told["first_seq"], told["last_seq"]) == (seen + 1, len(maker.records))
    stop, last = maker.records[seen - 1]["ts_ns"], maker.records[-1]["ts_ns"]
    assert told["duration_ns"] == last - stop
    assert {item["verdict"] for item in told["items"]} == {"UNANCHORED"}
    assert any(
        f"after seq {seen} nobody outside has seen" in r for r in one.verdicts.intact.remarks
    )


def test_what_an_anchor_covers_is_nobodys_doubt(tmp_path: Path) -> None:
    maker = begun()
    for made in (drill, quiet_session):
        made(maker)
    maker.run_stop()
    one = only(witnessed(maker, tmp_path, 0))
    assert one.verdicts.intact.value == "OK"
    assert "uncovered" not in one.plain()["anchoring"]
    assert not any("nobody outside" in remark for remark in one.verdicts.intact.remarks)


def test_bad_things_there_count_against_the_box(tmp_path: Path) -> None:
    maker = begun()
    seen = len(maker.records)
    maker.drill(orders_approved=7)
    maker.incident()
    maker.run_stop()
    one = only(witnessed(maker, tmp_path, seen))
    assert any("drill_false" in text for text in one.verdicts.complete.failed)
    assert one.plain()["incidents"]["unresolved"]


def test_a_rehearsal_that_nobody_confirms_stays_one(tmp_path: Path) -> None:
    maker = begun("sim")
    drill(maker)
    maker.run_stop()
    journal = write_journal(tmp_path / "journal", encode(maker.records), is_anchored=True)
    one = only(build_report([journal]))
    assert one.verdicts.intact.value == "OK"
    assert any("no outside anchor" in remark for remark in one.verdicts.intact.remarks)


# ------------------------------------------------------------------ the venue's list
@pytest.fixture(scope="module")
def world() -> ChainedRun:
    return ChainedRun(12).ended(6.0)


def listed(world: ChainedRun, folder: Path, records: list[dict[str, Any]]) -> JournalReport:
    lines = chained_again(records, with_ids=True)
    lists = [list_of(books_of(world), "the venue's books")]
    return only(build_report([write_lines(folder / "journal", lines)], venue_lists=lists))


def test_a_drill_that_is_made_up_after_the_last_order_is_named(
    world: ChainedRun, tmp_path: Path
) -> None:
    """Nothing at the venue speaks against it; nothing outside speaks for it either."""
    records = [json.loads(line) for line in world.lines]
    honest = listed(world, tmp_path / "honest", records)
    assert honest.venue is not None
    assert (honest.venue.misfits, honest.verdicts.intact.unanchored) == (0, [])
    seen = honest.venue.covered_seq
    assert any(f"after seq {seen} nobody outside" in r for r in honest.verdicts.intact.remarks)
    maker = JournalMaker(3)
    maker.drill()
    made_up = {**records[-1], **maker.records[-1], "ts_ns": records[-1]["ts_ns"]}
    made_up = {key: made_up[key] for key in maker.records[-1]} | {"run_id": records[-1]["run_id"]}
    edited = listed(world, tmp_path / "edited", [*records[:-1], made_up, records[-1]])
    assert edited.venue is not None
    assert edited.venue.misfits == 0
    assert edited.verdicts.intact.value == "UNANCHORED"
    assert f"drill cap-rejection passed (seq {len(records)})" in str(edited.verdicts.reasons)


# ------------------------------------------------------------------ promotion
def campaign(report: Report) -> CampaignJournal:
    (one,) = campaign_of(report, "box")
    return one


def test_a_promotion_counts_nothing_that_no_anchor_covers(tmp_path: Path) -> None:
    maker = begun()
    maker.session_start()
    maker.trade(8)
    name = maker.incident()
    seen = len(maker.records)
    maker.resolve(name)
    maker.session_stop()
    maker.wait(5 * 60_000)
    for step in ("latched", "gate_closed", "verified_empty"):
        maker.write(EventType.KILL, step=step, by="root", uid=0, reason="drill", empty_ms=9)
    maker.drill("gating")
    maker.run_stop()
    whole, cut = (campaign(witnessed(maker, tmp_path / str(at), at)) for at in (0, seen))
    assert [one.is_end_covered for one in whole.sessions] == [True, True]
    assert [one.is_end_covered for one in cut.sessions] == [True, False]
    assert {run.name for run in whole.drills} == {"cap-rejection", "kill-switch", "gating"}
    assert {run.name for run in cut.drills} == {"cap-rejection"}
    assert (whole.unresolved, len(cut.unresolved)) == ([], 1)
    assert [one.why for one in whole.sessions[1].errors if name in one.kind] != [""]
    assert [one.why for one in cut.sessions[1].errors if name in one.kind] == [""]
    assert (whole.uncovered, whole.uncovered_minutes) == ([], 0)
    assert cut.uncovered_minutes >= 5
    assert sum("drill gating passed" in one or "kill" in one for one in cut.uncovered) == 2


def test_a_file_that_somebody_handed_over_covers_nothing_of_a_promotion(tmp_path: Path) -> None:
    maker = begun()
    maker.run_stop()
    told = campaign(witnessed(maker, tmp_path, 0, FILE))
    assert told.anchored_by == []
