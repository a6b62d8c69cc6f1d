"""The venue as notary: what its list of our orders proves of a journal, and what it cannot.

The judge is the venue's core: the ids that it shows were given to it by the engine while it ran,
and no edit of the journal reaches them.
"""

import copy
import json
import tarfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evidence.evidence_commands import evidence_group
from evidence.judge.venue_anchors import VenueAnchors
from evidence.judge.verdict import INSUFFICIENT, NO_GO, UNKNOWN
from evidence.pack.evidence_pack import find_inputs, write_pack
from evidence.read.journal_sources import SourceError
from evidence.read.venue_list import Source, list_of, read_list
from evidence.report.report import Report, build_report
from tests.support.builders import INSTANCE
from tests.support.chained_world import ChainedRun, chained_again, raw_list, write_lines
from tests.support.sim_journal import books_of

Records = list[dict[str, Any]]
SEED = 12
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def world() -> ChainedRun:
    """One world with an incident between its orders; nobody changes it."""
    return ChainedRun(SEED).ended(14.0)


@pytest.fixture
def records(world: ChainedRun) -> Records:
    return [json.loads(line) for line in world.lines]


def report_of(directory: Path, lines: list[bytes], rows: object) -> Report:
    return build_report([write_lines(directory, lines)], venue_lists=[list_of(rows, "the list")])


def anchors_of(report: Report) -> VenueAnchors:
    found = report.journals[0].venue
    assert found is not None
    return found


def indices(records: Records, event_type: str) -> list[int]:
    return [n for n, one in enumerate(records) if one["event_type"] == event_type]


def first_id_after(records: Records, index: int) -> str:
    """The first id that was made in a turn after a line's own."""
    turn = next(n for n in indices(records, "input") if n > index)
    return next(
        one.get("request_id") or one["client_order_id"]
        for one in records[turn:]
        if one["event_type"] == "order_approved" or one.get("request_id")
    )


# ---------------------------------------------------------------- honest journals
@pytest.mark.parametrize("seed", range(1, 17))
def test_every_id_at_the_venue_of_an_honest_world_is_an_anchor(tmp_path: Path, seed: int) -> None:
    """Through crashes, replaces, amends, lost answers: what the venue shows fits, all of it."""
    run = ChainedRun(seed).ended()
    rows = raw_list(run)
    report = report_of(tmp_path / "journal", run.lines, rows)
    found = anchors_of(report)
    assert rows
    assert (found.ids, found.anchors) == (len(rows), len(rows))
    assert found.fits
    assert (found.first_misfit, found.lost_count, found.absent_count) == (None, 0, 0)
    assert found.not_anchored == {}
    assert report.journals[0].verdicts.intact.failed == []
    kinds = {row["clientOrderId"][8] for row in rows}
    assert kinds <= set("ocra")


def test_another_instance_name_makes_no_misfit_a_remark(
    world: ChainedRun, records: Records, tmp_path: Path
) -> None:
    """An order that the journal calls its own is at the venue under an id of the old name."""
    named = json.loads(json.dumps(records).replace(INSTANCE, "zzz999"))
    del named[indices(named, "order_denied")[0] if indices(named, "order_denied") else 5]
    lines = chained_again(named, with_ids=True)
    report = report_of(tmp_path / "journal", lines, raw_list(world))
    found = anchors_of(report)
    assert found.misfits == found.ids > 0
    assert found.first_misfit is not None
    assert f"it is instance {INSTANCE}'s, the journal calls this order stzzz999" in (
        found.first_misfit.words()
    )
    assert found.first_misfit.seq
    assert report.verdict == NO_GO
    assert "renamed by the venue, matched by its order id" not in found.not_anchored


def test_the_ids_that_the_venue_shows_are_of_every_kind_somewhere() -> None:
    shown = {
        row["clientOrderId"][8] for seed in range(1, 9) for row in raw_list(ChainedRun(seed).run())
    }
    assert shown >= set("ocr"), "an amended order that was not canceled later shows its `a`, too"


def test_the_stretches_are_measured_from_anchor_to_anchor(
    world: ChainedRun, tmp_path: Path
) -> None:
    """Worked out anew here from the lines: where the heads are that the venue's ids carry."""
    rows = raw_list(world)
    found = anchors_of(report_of(tmp_path / "journal", world.lines, rows))
    lines = [json.loads(line) for line in world.lines]
    digests = {int(row["clientOrderId"][-16:], 36) for row in rows}
    at = [n for n, one in enumerate(lines) if int(one["prev"][:20], 16) in digests]
    assert found.covered_seq == lines[at[-1]]["seq"] - 1
    longest = max(lines[b]["ts_ns"] - lines[a]["ts_ns"] for a, b in pairwise([0, *at]))
    assert found.longest is not None
    assert found.longest.duration_ns == longest
    tail = lines[at[-1] :]
    assert found.tail is not None
    assert (found.tail.first_seq, found.tail.last_seq) == (tail[0]["seq"], tail[-1]["seq"])
    assert found.tail.holds.get("denials", 0) == len(indices(tail, "order_denied"))


# ---------------------------------------------------------------- rewritten journals
def test_a_removed_incident_is_named_by_the_first_order_that_no_longer_fits(
    world: ChainedRun, records: Records, tmp_path: Path
) -> None:
    """Everything is chained again, and the ids are minted anew: nothing inside contradicts it."""
    (tmp_path / "ledger.json").write_text(json.dumps(books_of(world)))
    at = indices(records, "incident_opened")[0]
    at_venue = {row["client_order_id"] for row in books_of(world)["orders"]}
    approved = [records[n]["client_order_id"] for n in indices(records, "order_approved") if n > at]
    orders = [one for one in approved if one in at_venue]
    kept = [one for n, one in enumerate(records) if n != at]
    journal = write_lines(tmp_path / "journal", chained_again(kept, with_ids=True))
    done = CliRunner().invoke(
        evidence_group,
        ["verify", str(journal), "--venue-history", str(tmp_path / "ledger.json"), "--json"],
    )
    assert done.exit_code == 2, done.output
    (told,) = json.loads(done.stdout)["journals"].values()
    assert told["intact"]["verdict"] == "FAIL"
    anchors = told["venue_anchors"]
    assert orders[0] in anchors["first_misfit"]
    assert anchors["misfits"] == len(orders)
    assert anchors["fits_up_to"] < records[at]["seq"]
    assert any(orders[0] in reason for reason in told["intact"]["reasons"])
    as_text = CliRunner().invoke(
        evidence_group, ["verify", str(journal), "--venue-history", str(tmp_path / "ledger.json")]
    )
    assert "First: BTCUSDT order" in as_text.output
    assert orders[0] in as_text.output


def test_the_ledger_alone_gives_away_ids_that_were_minted_anew(
    world: ChainedRun, records: Records, tmp_path: Path
) -> None:
    """The venue's books have each order under the digest that it was sent with."""
    ledger = tmp_path / "ledger.json"
    ledger.write_text(json.dumps(books_of(world)))
    honest = write_lines(tmp_path / "honest/journal", chained_again(records, with_ids=True))
    kept = [one for n, one in enumerate(records) if n != indices(records, "incident_opened")[0]]
    edited = write_lines(tmp_path / "edited/journal", chained_again(kept, with_ids=True))
    missing = []
    for journal in (honest, edited):
        (found,) = build_report([journal], ledger=ledger).journals
        missing.append([one for one in found.verdicts.corroborated.failed if "missing" in one])
    assert missing[0] == []
    assert any("orders missing from journal" in one for one in missing[1])


def test_a_chain_that_was_made_good_without_the_ids_contradicts_itself(
    records: Records, tmp_path: Path
) -> None:
    at = indices(records, "incident_opened")[0]
    kept = [one for n, one in enumerate(records) if n != at]
    report = build_report([write_lines(tmp_path / "journal", chained_again(kept))])
    told = "\n".join(report.journals[0].verdicts.intact.failed)
    assert "id_of_another_chain" in told
    assert first_id_after(records, at) in told


def removed(kind: str) -> Callable[[Records], int]:
    def edit(records: Records) -> int:
        where = indices(records, kind)
        at = where[len(where) // 3]
        del records[at]
        return at

    return edit


def removed_run_line(records: Records) -> int:
    del records[0]
    return 0


def softened_incident(records: Records) -> int:
    at = indices(records, "incident_opened")[0]
    records[at]["msg"] = "nothing to see here"
    return at


def another_time(records: Records) -> int:
    at = indices(records, "order_denied")[0]
    records[at]["ts_ns"] += 1
    return at


def invented_input(records: Records) -> int:
    at = indices(records, "order_approved")[3]
    while records[at]["event_type"] != "input":
        at -= 1
    records.insert(at, copy.deepcopy(records[at]))
    return at


@pytest.mark.parametrize("with_ids", [False, True], ids=["chained", "chained and minted"])
@pytest.mark.parametrize(
    "edit",
    [
        removed("order_denied"), removed("incident_opened"), removed("incident_resolved"),
        removed("trading_state"), removed("heartbeat"), removed("input"), removed_run_line,
        softened_incident, another_time, invented_input,
    ],
)  # fmt: skip
def test_whatever_is_changed_between_two_orders_shows_at_the_next(
    world: ChainedRun,
    records: Records,
    tmp_path: Path,
    edit: Callable[[Records], int],
    with_ids: bool,
) -> None:
    at = edit(records)
    lines = chained_again(records, with_ids=with_ids)
    found = anchors_of(report_of(tmp_path / "journal", lines, raw_list(world)))
    assert found.first_misfit is not None
    assert found.misfits >= 1
    assert found.fits_up_to <= at, "what lies before the edit is still proven, and no more"
    assert found.lost_count == 0


def test_an_order_that_was_taken_out_is_missed(
    world: ChainedRun, records: Records, tmp_path: Path
) -> None:
    at_venue = {row["clientOrderId"][9:20] for row in raw_list(world)}
    approved = [records[n]["client_order_id"] for n in indices(records, "order_approved")]
    gone = [one for one in approved if one[9:20] in at_venue][2]
    kept = [one for one in records if one.get("client_order_id") != gone]
    lines = chained_again(kept, with_ids=True)
    found = anchors_of(report_of(tmp_path / "journal", lines, raw_list(world)))
    missed = [one for one in found.listed if one.why == "the journal does not have this order"]
    assert [one.shown[9:20] for one in missed] == [gone[9:20]], "whatever request renamed it"


def test_an_order_that_never_was_is_missed_at_the_venue(
    world: ChainedRun, records: Records, tmp_path: Path
) -> None:
    """Padding: one order of the journal is left out of the venue's list."""
    rows = raw_list(world)
    dropped = rows.pop(len(rows) // 2)
    fetched = {"all_orders": {"BTCUSDT": rows}, "fetched_ns": world.now_ns + 60 * SECOND}
    found = anchors_of(report_of(tmp_path / "journal", world.lines, fetched))
    assert found.absent_count == 1
    assert found.absent[0][9:20] == dropped["clientOrderId"][9:20]
    assert not found.fits


# ---------------------------------------------------------------- what looks like it and is not
@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_a_lost_end_is_neither_ok_nor_forgery(
    world: ChainedRun, tmp_path: Path, share: float
) -> None:
    rows = raw_list(world)
    lines = world.lines[: int(len(world.lines) * share)]
    report = report_of(tmp_path / "journal", lines, rows)
    found = anchors_of(report)
    assert found.lost_count > 0
    assert (found.first_misfit, found.absent_count) == (None, 0)
    assert found.anchors + found.lost_count == found.ids == len(rows)
    verdicts = report.journals[0].verdicts
    assert verdicts.intact.failed == []
    assert any("beyond what the journal has" in one for one in verdicts.complete.unknown)
    assert verdicts.complete.value != "OK"


def test_a_run_that_goes_on_long_after_its_last_order_has_lost_no_end(
    world: ChainedRun, records: Records, tmp_path: Path
) -> None:
    """The last orders are taken out and the lines after them are kept: that is no power cut."""
    last = [records[n]["client_order_id"] for n in indices(records, "order_approved")][-1]
    kept = [one for one in records if one.get("client_order_id") != last]
    end = {**kept[-1], "event_type": "heartbeat", "ts_ns": kept[-1]["ts_ns"] + 3_600 * SECOND}
    lines = chained_again([*kept, end], with_ids=True)
    found = anchors_of(report_of(tmp_path / "journal", lines, raw_list(world)))
    assert found.lost_count == 0
    assert found.first_misfit is not None


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_orders_before_the_first_line_at_hand_accuse_nobody(
    world: ChainedRun, tmp_path: Path, share: float
) -> None:
    """A beginning that was archived and is not given: what follows is still held."""
    lines = world.lines[int(len(world.lines) * share) :]
    found = anchors_of(report_of(tmp_path / "journal", lines, raw_list(world)))
    before = found.not_anchored["sent before the first line at hand"]
    assert (found.first_misfit, found.lost_count, found.absent_count) == (None, 0, 0)
    assert found.anchors > 0
    assert found.anchors + before == len(raw_list(world))


def test_a_journal_that_was_begun_anew_is_not_held_to_the_one_before(
    world: ChainedRun, records: Records, tmp_path: Path
) -> None:
    """`state accept --set-aside`: the venue still has the orders of the journal that is gone."""
    second = indices(records, "run_start")[1]
    rows = raw_list(world)
    own = chained_again(records[second:])
    found = anchors_of(report_of(tmp_path / "journal", own, rows))
    first_run = sum(row["clientOrderId"][9:12] == "001" for row in rows)
    assert found.not_anchored == {"sent before the first line at hand": first_run}
    assert found.misfits == len(rows) - first_run, "the later runs were chained to the first one"


def test_a_list_of_other_symbols_makes_no_order_absent(world: ChainedRun, tmp_path: Path) -> None:
    other = [{**row, "symbol": "ETHUSDT", "clientOrderId": "web_1"} for row in raw_list(world)]
    found = anchors_of(report_of(tmp_path / "journal", world.lines, other))
    assert found.absent_count == 0
    assert any("of BTCUSDT, which no list covers" in text for text in found.not_askable)


def test_what_the_venue_renamed_is_matched_by_its_number_and_no_forgery(
    world: ChainedRun, tmp_path: Path
) -> None:
    rows = raw_list(world)
    for row in rows[::2]:
        row["clientOrderId"] = f"venues{row['orderId']}Own"
    strangers = [{**rows[0], "orderId": 10**9, "clientOrderId": "web_77"}]
    found = anchors_of(report_of(tmp_path / "journal", world.lines, [*rows, *strangers]))
    assert found.fits
    assert found.not_anchored == {"renamed by the venue, matched by its order id": len(rows[::2])}
    assert found.anchors == found.ids == len(rows) - len(rows[::2])


def test_spans_that_the_venue_can_no_longer_tell_are_named(
    world: ChainedRun, tmp_path: Path
) -> None:
    """Of a wipe two minutes after the world, and of the archive of unfilled orders."""
    rows = raw_list(world)
    known = {row["orderId"] for row in rows}
    lines = [json.loads(line) for line in world.lines]
    states = [one for one in lines if one["event_type"] == "order_state" and one["order_id"]]
    assert {int(one["order_id"]) for one in states} == known
    after = world.now_ns + 120 * SECOND
    stranger = {**rows[0], "orderId": 1, "clientOrderId": "web_77", "time": after // 1_000_000}
    wiped = {"all_orders": {"BTCUSDT": [stranger]}, "fetched_ns": after + SECOND}
    found = anchors_of(report_of(tmp_path / "wiped", world.lines, wiped))
    first, last = states[0]["seq"], states[-1]["seq"]
    (told,) = found.not_askable
    assert told.startswith(f"{len(known)} orders of a time that no list speaks of: wiped")
    assert first <= int(told.split()[-3]) < int(told.split()[-1]) <= last
    filled = {int(one["order_id"]) for one in lines if one["event_type"] == "fill"}
    archived = {
        "all_orders": {"BTCUSDT": [row for row in rows if row["orderId"] in filled]},
        "fetched_ns": world.now_ns + 91 * 86_400 * SECOND,
    }
    early = {**rows[0], "orderId": 1, "clientOrderId": "web_77"}
    archived["all_orders"]["BTCUSDT"].append(early)
    found = anchors_of(report_of(tmp_path / "archived", world.lines, archived))
    assert found.fits, found.absent
    (told,) = found.not_askable
    assert told.startswith(f"{len(known - filled)} orders without a fill and older than 90 days")


def test_two_downloads_say_more_than_one(world: ChainedRun, tmp_path: Path) -> None:
    """Before its cancel an order was under its own id: both ids are anchors."""
    books = books_of(world)["orders"]
    journal = write_lines(tmp_path / "journal", world.lines)
    both = [list_of({"orders": books}, "before"), list_of(raw_list(world), "after")]
    found = build_report([journal], venue_lists=both).journals[0].venue
    assert found is not None
    names = {row["client_order_id"] for row in books} | {
        row["clientOrderId"] for row in raw_list(world)
    }
    assert found.anchors == found.ids == len(names) > len(books)


# ---------------------------------------------------------------- whose list it is
def test_a_simulators_list_confirms_no_testnet(records: Records, tmp_path: Path) -> None:
    for record in records:
        record["mode"] = "testnet"
    books = {"orders": [], "faults": {}}
    report = report_of(tmp_path / "journal", chained_again(records), books)
    assert any("simulator's" in one for one in report.journals[0].verdicts.intact.failed)


def test_who_fetched_it_is_said(world: ChainedRun, tmp_path: Path) -> None:
    journal = write_lines(tmp_path / "journal", world.lines)
    rows = raw_list(world)
    for source, outside in ((Source.FETCHED, True), (Source.HANDED_OVER, False)):
        lists = [list_of(rows, "it", source)]
        found = build_report([journal], venue_lists=lists).journals[0].venue
        assert found is not None
        assert found.is_outside is outside
    simulated = list_of({"orders": [], "faults": {}}, "it", Source.FETCHED)
    assert simulated.source is Source.SIMULATED


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[", "not JSON"), ("{}", "no list of orders"), ('"orders"', "no list of orders"),
        ('[{"orderId": 1}]', "order 1"), ('[{"clientOrderId": "x", "time": "soon"}]', "order 1"),
        ('{"orders": 3}', "no list of orders"), ('[{"a": 1, "a": 2}]', "stands twice"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_list_is_refused_with_the_place(
    tmp_path: Path, text: str, why: str
) -> None:
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(SourceError, match=why):
        read_list(tmp_path / "list.json")


def test_an_empty_list_anchors_nothing(world: ChainedRun, tmp_path: Path) -> None:
    """As a testnet answers that was wiped: the orders are of a time that it cannot tell of."""
    report = report_of(tmp_path / "journal", world.lines, {"all_orders": {"BTCUSDT": []}})
    found = anchors_of(report)
    assert (found.anchors, found.covered_seq, found.fits) == (0, 0, True)
    assert found.not_askable
    assert report.verdict in {INSUFFICIENT, NO_GO, UNKNOWN}


def test_kept_lists_go_into_a_pack_and_are_judged_there(world: ChainedRun, tmp_path: Path) -> None:
    """Beside the journal, where the timer keeps them; a pack of a rewritten journal says so."""
    lists = {"all_orders": {"BTCUSDT": raw_list(world)}, "fetched_ns": world.now_ns}
    key = Ed25519PrivateKey.generate()
    verdicts = []
    for name, lines in (
        ("honest", world.lines),
        ("other", chained_again(map(json.loads, world.lines[1:]), with_ids=True)),
    ):
        session = tmp_path / name
        write_lines(session / "journal", lines)
        (session / "venue-history").mkdir()
        kept = session / "venue-history" / "venue-history-1.json"
        kept.write_text(json.dumps(lists))
        inputs = find_inputs(session)
        assert inputs.histories == [kept]
        target = tmp_path / f"{name}.seatrial.tar"
        write_pack(inputs, target, key)
        with tarfile.open(target) as archive:
            member = archive.extractfile("reports/verification.json")
            assert member is not None
            (judged,) = json.loads(member.read())["journals"].values()
            verdicts.append(judged["intact"]["verdict"])
            assert "venue-history/venue-history-1.json" in archive.getnames()
    assert verdicts == ["OK", "FAIL"]
