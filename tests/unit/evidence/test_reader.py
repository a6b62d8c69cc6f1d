"""Every bad line is counted, located and survived; nothing is dropped in silence."""

import gzip
import json
from pathlib import Path

import orjson
import pytest
import zstandard

from daemon.model.records import EventType
from evidence.read.bot_lines import RECORD_CLASSES
from evidence.read.journal_reader import JournalReader
from evidence.read.journal_sources import SourceError, streams_of
from evidence.report.report import build_report, read_journal
from tests.support.journal_maker import encode, whole_story, write_journal


def read(directory: Path):
    (stream,) = streams_of([directory])
    return read_journal(stream, keep_all=True)


def test_every_event_type_has_its_struct():
    tags = {kind.__struct_config__.tag for kind in RECORD_CLASSES}
    assert tags == {one.value for one in EventType}


def test_a_clean_journal_has_no_fault(tmp_path):
    maker = whole_story()
    account = read(write_journal(tmp_path, maker.lines(), segment_lines=37))
    assert account.chain.faults.counts == {}
    assert account.chain.lines == len(maker.records)
    assert (account.chain.first_seq, account.chain.last_seq) == (1, len(maker.records))


@pytest.mark.parametrize(
    ("edit", "kind", "place"),
    [
        (lambda x: x.__setitem__(10, b"{not json"), "malformed", "journal-000001.jsonl:11"),
        (lambda x: x.__setitem__(10, b'"text"'), "malformed", "journal-000001.jsonl:11"),
        (lambda x: x.__setitem__(10, b"\xff\xfe"), "malformed", "journal-000001.jsonl:11"),
        (lambda x: x.insert(10, b""), "malformed", "journal-000001.jsonl:11"),
        (lambda x: x.insert(10, b'{"ts":"x"}'), "foreign_line", "journal-000001.jsonl:11"),
        (lambda x: x.__delitem__(10), "gap", "journal-000001.jsonl:11"),
        (lambda x: x.insert(11, x[10]), "duplicate", "journal-000001.jsonl:12"),
        (lambda x: x.insert(10, x.pop(12)), "out_of_order", "journal-000001.jsonl:12"),
        (
            lambda x: x.__setitem__(10, x[10].replace(b'"schema":1', b'"schema":2')),
            "chain_break",
            "journal-000001.jsonl:12",
        ),
    ],
    ids=["syntax", "no-object", "bytes", "blank", "foreign", "gap", "duplicate", "order", "edited"],
)
def test_a_bad_line_is_counted_where_it_stands(tmp_path, edit, kind, place):
    lines = whole_story().lines()
    edit(lines)
    faults = read(write_journal(tmp_path, lines)).chain.faults
    assert faults.counts[kind] == 1
    assert faults.first(kind).startswith(place + ":")


def test_a_wrong_type_in_a_field_that_matters_is_malformed(tmp_path):
    maker = whole_story()
    fill = next(r for r in maker.records if r["event_type"] == "fill")
    fill["qty"] = 0.01
    faults = read(write_journal(tmp_path, maker.lines())).chain.faults
    assert faults.counts == {"malformed": 1}
    assert "qty" in faults.first("malformed")


def test_an_unknown_type_is_told_and_the_chain_goes_on(tmp_path):
    maker = whole_story()
    maker.records[20]["event_type"] = "teleport"
    account = read(write_journal(tmp_path, maker.lines()))
    assert account.chain.faults.counts == {"unknown_type": 1}
    assert "teleport" in account.chain.faults.first("unknown_type")


def test_a_torn_tail_is_told(tmp_path):
    lines = whole_story().lines()
    path = write_journal(tmp_path, lines) / "journal-000001.jsonl"
    path.write_bytes(path.read_bytes()[:-7])
    account = read(tmp_path)
    assert account.chain.faults.counts == {"torn_tail": 1}
    assert account.chain.lines == len(lines) - 1


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_packed_segments_read_the_same(tmp_path, packing):
    lines = whole_story().lines()
    directory = write_journal(tmp_path, lines, segment_lines=50)
    for path in sorted(directory.glob("*.jsonl")):
        data = path.read_bytes()
        packed = gzip.compress(data) if packing == "gz" else zstandard.compress(data)
        path.with_name(f"{path.name}.{packing}").write_bytes(packed)
        path.unlink()
    account = read(directory)
    assert account.chain.faults.counts == {}
    assert account.chain.lines == len(lines)


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_a_cut_packed_file_is_unreadable_not_short(tmp_path, packing):
    data = b"".join(line + b"\n" for line in whole_story().lines())
    packed = gzip.compress(data) if packing == "gz" else zstandard.compress(data)
    (tmp_path / f"journal-000001.jsonl.{packing}").write_bytes(packed[: len(packed) * 2 // 3])
    report = build_report([tmp_path])
    assert report.journals[0].account.chain.faults.counts["unreadable"] == 1
    assert report.verdict == "NO_GO"


def test_segments_named_singly_are_one_journal(tmp_path):
    directory = write_journal(tmp_path, whole_story().lines(), segment_lines=60)
    files = sorted(directory.glob("journal-*.jsonl"))
    (stream,) = streams_of(files)
    assert stream.files == files


def test_a_missing_segment_is_a_gap(tmp_path):
    directory = write_journal(tmp_path, whole_story().lines(), segment_lines=50)
    (directory / "journal-000002.jsonl").unlink()
    account = read(directory)
    assert account.chain.faults.counts["gap"] == 50


def test_a_journal_without_its_first_segment_is_not_complete(tmp_path):
    maker = whole_story()
    directory = write_journal(tmp_path, maker.lines(), segment_lines=50)
    (directory / "journal-000001.jsonl").unlink()
    report = build_report([directory])
    assert report.verdict == "NO_GO"
    assert any("beginning is absent" in reason for reason in report.reasons)


def test_foreign_events_are_counted_and_prove_nothing(tmp_path):
    events = [
        {"ts": "2026-01-01T00:00:00Z", "type": "Order_Reject"},
        {"severity": "FATAL"},
        {"event_type": "fill", "is_error": "yes", "level": "warn"},
        {"event_type": "fill"},
    ]
    jsonl = tmp_path / "events.jsonl"
    jsonl.write_text("".join(json.dumps(e) + "\n" for e in events) + "{oops\n")
    array = tmp_path / "events.json"
    array.write_text(json.dumps(events))
    table = tmp_path / "events.csv"
    table.write_text("event_type,level,is_error\nfill,,\norder_reject,,\nx,error,\n,,1\n")
    report = build_report([jsonl, array, table])
    seen = [(one.events, one.errors, one.anomalies, one.malformed) for one in report.foreign]
    assert seen == [(4, 2, 2, 1), (4, 2, 2, 0), (4, 2, 1, 0)]
    assert report.verdict == "INSUFFICIENT"


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_an_input_that_is_not_there_is_one_clear_line(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=name):
        build_report([tmp_path / name])


def test_a_journal_file_by_another_name_is_recognised_by_its_lines(tmp_path):
    path = tmp_path / "execution_events.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in whole_story().lines()))
    report = build_report([path])
    assert len(report.journals) == 1
    assert report.journals[0].verdicts.intact.value == "OK"


def test_an_empty_journal_is_insufficient_never_ok(tmp_path):
    (tmp_path / "journal-000001.jsonl").write_bytes(b"")
    assert build_report([tmp_path]).verdict == "NO_GO"


def test_time_that_runs_backwards_is_told(tmp_path):
    maker = whole_story()
    maker.records[30]["ts_ns"] -= 10**12
    account = read(write_journal(tmp_path, encode(maker.records)))
    assert account.chain.faults.counts == {"clock_backwards": 1}


@pytest.mark.parametrize("kind", ["order_denied", "fill", "heartbeat", "input"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_line_with_a_key_twice_is_malformed(tmp_path, kind, is_first):
    """Another reader would take the other one: such a line says two things."""
    maker = whole_story(seed=5)
    place = next(i for i, r in enumerate(maker.records) if r["event_type"] == kind)
    lines = maker.lines()
    other = b'"event_type":"clock"'
    line = lines[place]
    mine = f'"event_type":"{kind}"'.encode()
    assert mine in line
    double = other + b"," + mine if is_first else mine + b"," + other
    lines[place] = line.replace(mine, double, 1)
    reader = JournalReader([*write_journal(tmp_path, lines).glob("*.jsonl")])
    list(reader.records())
    assert reader.chain.faults.counts["malformed"] == 1
    assert any(f":{place + 1}:" in one for one in reader.chain.faults.examples["malformed"])


@pytest.mark.parametrize("beside", [b"", b'"zz":1e15,'])
def test_a_key_twice_inside_of_a_decision_is_malformed(tmp_path, beside):
    """Also beside numbers that grow by its length where they are written again."""
    maker = whole_story(seed=5)
    place = next(i for i, r in enumerate(maker.records) if r["event_type"] == "order_approved")
    lines = maker.lines()
    double = beside + b'"halted":true,"halted":false'
    lines[place] = lines[place].replace(b'"halted":false', double, 1)
    if beside:
        assert len(orjson.dumps(orjson.loads(lines[place]))) == len(lines[place])
    reader = JournalReader([*write_journal(tmp_path, lines).glob("*.jsonl")])
    list(reader.records())
    assert reader.chain.faults.counts["malformed"] == 1


def test_lines_of_unknown_types_are_counted_among_the_lines(tmp_path):
    maker = whole_story()
    for place in (3, 30):
        maker.records[place] = {**maker.records[place], "event_type": "of_tomorrow"}
    reader = JournalReader([*write_journal(tmp_path, maker.lines()).glob("*.jsonl")])
    read_ones = list(reader.records())
    assert reader.chain.faults.counts == {"unknown_type": 2}
    assert reader.chain.lines == len(maker.records) == len(read_ones) + 2
    assert reader.chain.last_seq == len(maker.records)


def test_a_journal_begins_with_its_first_line_whatever_that_says(tmp_path):
    record = {**whole_story().records[0], "seq": 0, "prev": ""}
    (tmp_path / "journal-000001.jsonl").write_bytes(orjson.dumps(record) + b"\n")
    reader = JournalReader([tmp_path / "journal-000001.jsonl"])
    (line,) = reader.records()
    assert (reader.chain.first_seq, reader.chain.lines) == (0, 1)
    assert reader.chain.first_place == "journal-000001.jsonl:1"
    assert reader.chain.first_ns == line.ts_ns
