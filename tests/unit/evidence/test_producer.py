"""PR-BG: execution evidence from files of every form."""

import csv
import gzip
import hashlib
import io
import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence.gates.event_producer import build_evidence, produce
from evidence.read.event_input import LINE_BYTES_MAX, Intake, infer_format, read_events

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
COMPATIBLE_KEYS = [
    *("generated_at", "status", "window_start", "window_end"),
    *("sample_size", "anomaly_count", "error_count", "notes"),
]
EVENTS = [
    {"event_type": "fill", "mode": "testnet", "ts": "2026-01-31T10:00:00Z"},
    {"event_type": "timeout", "mode": "testnet", "ts": "2026-01-31T10:00:01Z"},
    {"event_type": "order_error", "level": "warn", "mode": "testnet"},
    {"is_error": "yes", "mode": "testnet"},
]
EXPECTED = (4, 2, 2)


def counts(value):
    return value["sample_size"], value["anomaly_count"], value["error_count"]


def as_csv(events) -> bytes:
    out = io.StringIO()
    names = sorted({name for event in events for name in event})
    writer = csv.DictWriter(out, names)
    writer.writeheader()
    writer.writerows(events)
    return out.getvalue().encode()


def as_jsonl(events) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def evidence_of(tmp_path: Path, name: str, content: bytes, input_format: str = "auto"):
    path = tmp_path / name
    path.write_bytes(content)
    return build_evidence(path, input_format, NOW)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("e.jsonl", as_jsonl(EVENTS)),
        ("e.JSONL", as_jsonl(EVENTS)),
        ("e.csv", as_csv(EVENTS)),
        ("e.CSV", as_csv(EVENTS)),
        ("e.json", json.dumps(EVENTS, indent=1).encode()),
        ("e.log", json.dumps(EVENTS).encode()),  # an unknown ending is read as JSON
        ("e", json.dumps(EVENTS).encode()),
        ("e.jsonl.gz", gzip.compress(as_jsonl(EVENTS))),
        ("e.jsonl.zst", zstandard.compress(as_jsonl(EVENTS))),
        ("crlf.jsonl", as_jsonl(EVENTS).replace(b"\n", b"\r\n")),
        ("bom.jsonl", b"\xef\xbb\xbf" + as_jsonl(EVENTS)),
        ("bom.json", b"\xef\xbb\xbf" + json.dumps(EVENTS).encode()),
        ("bom.csv", b"\xef\xbb\xbf" + as_csv(EVENTS)),
        ("blank-lines.jsonl", b"\n\n" + as_jsonl(EVENTS).replace(b"\n", b"\n \n")),
        ("no-last-newline.jsonl", as_jsonl(EVENTS).rstrip()),
    ],
)
def test_every_form_gives_the_same_counts(tmp_path, name, content):
    value = evidence_of(tmp_path, name, content)
    assert value["status"] == "OK"
    assert counts(value) == EXPECTED
    assert value["seatrial"]["malformed_count"] == 0
    assert value["seatrial"]["inputs"] == [
        {
            "name": name,
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_bytes": len(content),
        }
    ]


def test_the_given_format_wins_over_the_ending(tmp_path):
    assert counts(evidence_of(tmp_path, "e.csv", as_jsonl(EVENTS), "jsonl")) == EXPECTED
    assert counts(evidence_of(tmp_path, "e.jsonl", as_csv(EVENTS), "csv")) == EXPECTED
    assert counts(evidence_of(tmp_path, "e.csv", json.dumps(EVENTS).encode(), "json")) == EXPECTED


@pytest.mark.parametrize("name", ["e.jsonl", "e.json", "e.csv", "e.unknown"])
def test_an_empty_input_is_ok_with_nothing_in_it(tmp_path, name):
    value = evidence_of(tmp_path, name, b"")
    assert (value["status"], *counts(value), value["notes"]) == ("OK", 0, 0, 0, [])


def test_a_given_path_that_is_not_there(tmp_path):
    value = build_evidence(tmp_path / "nothing.jsonl", "auto", NOW)
    assert (value["status"], value["notes"]) == ("MISSING_INPUT", ["INPUT_PATH_NOT_FOUND"])
    assert counts(value) == (0, 0, 0)


def test_no_path_given_leaves_no_note():
    value = build_evidence(None, "auto", NOW)
    assert (value["status"], value["notes"]) == ("MISSING_INPUT", [])


def test_malformed_lines_are_located_and_the_others_still_count(tmp_path):
    content = (
        b'{"event_type":"fill"}\nnot json\n[1]\n"text"\nnull\n\xff\xfe\n{"level":"error"}\n{"a":'
    )
    value = evidence_of(tmp_path, "e.jsonl", content)
    assert value["status"] == "OK"
    assert counts(value) == (2, 0, 1)
    extras = value["seatrial"]
    assert extras["malformed_count"] == 6
    assert [place.split(":")[1] for place in extras["malformed"]] == ["2", "3", "4", "5", "6", "8"]
    assert extras["counts_as_testnet"] is False


@pytest.mark.parametrize("content", [b"{", b"[1, 2", b"7", b'"text"', b"null", b"[" * 100_000])
def test_json_that_is_no_array_of_events_is_ok_and_told(tmp_path, content):
    value = evidence_of(tmp_path, "e.json", content)
    assert (value["status"], *counts(value)) == ("OK", 0, 0, 0)
    assert value["seatrial"]["malformed_count"] == 1


def test_elements_of_an_array_that_are_no_objects_are_told(tmp_path):
    value = evidence_of(tmp_path, "e.json", b'[{"level":"error"}, 3, null, "x", [1]]')
    assert counts(value) == (1, 0, 1)
    assert value["seatrial"]["malformed_count"] == 4


def test_values_that_only_python_writes_do_not_lose_the_event(tmp_path):
    content = b'{"price": NaN, "level": "warn"}\n{"qty": Infinity}\n{"id": 123456789012345678901}\n'
    value = evidence_of(tmp_path, "e.jsonl", content)
    assert counts(value) == (3, 1, 0)
    assert value["seatrial"]["malformed_count"] == 0


def test_csv_cells_keep_their_meaning(tmp_path):
    content = b'event_type,level,is_error,msg\n"",,1,"a, ""b""\nc"\ntimeout,info,0,\n,WARN,,x\n'
    value = evidence_of(tmp_path, "e.csv", content)
    assert counts(value) == (3, 2, 1)


def test_csv_with_too_many_cells_is_counted_and_told(tmp_path):
    value = evidence_of(tmp_path, "e.csv", b"event_type,level\ntimeout,info,more\n")
    assert counts(value) == (1, 1, 0)
    assert value["seatrial"]["malformed_count"] == 1


@pytest.mark.parametrize("name", ["e.jsonl.gz", "e.jsonl.zst"])
def test_a_cut_compressed_file_is_told(tmp_path, name):
    noise = random.Random(7)
    events = [{"event_type": "fill", "msg": noise.randbytes(40).hex()} for _ in range(5000)]
    pack = gzip.compress if name.endswith("gz") else zstandard.compress
    content = pack(as_jsonl(events))
    whole = evidence_of(tmp_path, name, content)
    cut = evidence_of(tmp_path, name, content[: len(content) // 2])
    assert (whole["sample_size"], whole["seatrial"]["malformed_count"]) == (5000, 0)
    assert cut["status"] == "OK"
    assert cut["sample_size"] < 5000
    assert "damaged" in cut["seatrial"]["malformed"][-1]


def test_zstandard_frames_in_a_row_are_read_to_the_end(tmp_path):
    frame = zstandard.compress(as_jsonl(EVENTS))
    assert evidence_of(tmp_path, "e.jsonl.zst", frame * 3)["sample_size"] == 12


def test_a_line_without_end_does_not_fill_the_memory(tmp_path):
    content = b'{"a":"' + b"x" * (LINE_BYTES_MAX + 10) + b'"}\n{"level":"error"}\n'
    value = evidence_of(tmp_path, "e.jsonl", content)
    assert counts(value) == (1, 0, 1)
    assert "longer than" in value["seatrial"]["malformed"][0]


def test_a_journal_directory_is_read_segment_by_segment(tmp_path):
    journal = tmp_path / "journal"
    journal.mkdir()
    (journal / "000002.jsonl").write_bytes(as_jsonl(EVENTS[2:]))
    (journal / "000001.jsonl.zst").write_bytes(zstandard.compress(as_jsonl(EVENTS[:2])))
    (journal / "anchors.txt").write_text("not an event")
    value = build_evidence(journal, "auto", NOW)
    assert counts(value) == EXPECTED
    assert [file["name"] for file in value["seatrial"]["inputs"]] == [
        "000001.jsonl.zst",
        "000002.jsonl",
    ]


def test_beside_the_segments_of_a_journal_nothing_is_an_event(tmp_path):
    journal = tmp_path / "state/journal"
    journal.mkdir(parents=True)
    (journal / "journal-000010.jsonl").write_bytes(as_jsonl(EVENTS[2:]))
    (journal / "journal-000009.jsonl.gz").write_bytes(gzip.compress(as_jsonl(EVENTS[:2])))
    (journal / "anchors.jsonl").write_bytes(b'{"segment":"journal-000009.jsonl","level":"error"}\n')
    for path in (journal, journal.parent):
        value = build_evidence(path, "auto", NOW)
        assert counts(value) == EXPECTED
        assert [file["name"] for file in value["seatrial"]["inputs"]] == [
            "journal-000009.jsonl.gz",
            "journal-000010.jsonl",
        ]


@pytest.mark.parametrize(
    ("modes", "environment", "counts_as_testnet"),
    [
        (["testnet", "testnet"], "testnet", True),
        (["TestNet "], "testnet", True),
        (["sim"], "simulated", False),
        (["testnet", "sim"], "mixed", False),
        (["paper", "shadow"], "simulated", False),
        (["live"], "live", False),
        (["testnet", ""], "unknown", False),
        ([], "unknown", False),
    ],
)
def test_where_the_events_come_from_is_told(tmp_path, modes, environment, counts_as_testnet):
    events = [{"event_type": "fill", "mode": mode} for mode in modes]
    extras = evidence_of(tmp_path, "e.jsonl", as_jsonl(events))["seatrial"]
    assert (extras["environment"], extras["counts_as_testnet"]) == (environment, counts_as_testnet)


def test_a_flag_in_unknown_words_is_no_flag_but_is_told(tmp_path):
    value = evidence_of(tmp_path, "e.jsonl", b'{"is_error":"oui","mode":"testnet"}\n')
    assert counts(value) == (1, 0, 0)
    assert value["seatrial"]["unclear_flags"] == 1
    assert value["seatrial"]["counts_as_testnet"] is False


def run_producer(*arguments: str):
    return CliRunner().invoke(produce, arguments)


def test_the_artifact_and_its_twin_on_disk(tmp_path):
    path = tmp_path / "e.jsonl"
    path.write_bytes(as_jsonl(EVENTS))
    done = run_producer(
        *("--out-dir", str(tmp_path / "a/b"), "--input", str(path)),
        *("--window-start", "2026-01-30T00:00:00Z", "--window-end", "2026-01-31T02:00:00+02:00"),
    )
    assert done.exit_code == 0
    text = (tmp_path / "a/b/execution_evidence.json").read_bytes().decode("utf-8")
    value = json.loads(text)
    assert text == json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    assert list(value)[:8] == COMPATIBLE_KEYS
    assert value["window_start"] == "2026-01-30T00:00:00Z"
    assert value["window_end"] == "2026-01-31T00:00:00Z"
    assert value["generated_at"].endswith("Z")
    twin = (tmp_path / "a/b/execution_evidence.md").read_text(encoding="utf-8")
    for key in COMPATIBLE_KEYS[:-1]:
        assert f"- {key}: {value[key]}\n" in twin


def test_the_window_is_now_where_it_is_not_given(tmp_path):
    value = build_evidence(None, "auto", NOW)
    stamps = {value[key] for key in ("generated_at", "window_start", "window_end")}
    assert stamps == {"2026-01-31T12:00:00Z"}


@pytest.mark.parametrize("arguments", [(), ("--input", ""), ("--input", "no/such/file.jsonl")])
def test_a_missing_input_ends_with_exit_code_0(tmp_path, arguments):
    done = run_producer("--out-dir", str(tmp_path), *arguments)
    assert done.exit_code == 0
    value = json.loads((tmp_path / "execution_evidence.json").read_text())
    assert value["status"] == "MISSING_INPUT"


@pytest.mark.parametrize(
    "arguments",
    [("--input-format", "xml"), ("--window-start", "yesterday"), ("--mock-profile", "ok")],
)
def test_a_wrong_command_line_writes_nothing(tmp_path, arguments):
    done = run_producer("--out-dir", str(tmp_path / "out"), *arguments)
    assert done.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_an_unwritable_place_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = run_producer("--out-dir", str(tmp_path / "file"))
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert done.output.count("\n") == 1
    assert str(tmp_path / "file") in done.output


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jsonl", "jsonl"),
        ("a.csv", "csv"),
        ("a.json", "json"),
        ("a.ndjson", "json"),
        ("a", "json"),
    ],
)
def test_auto_goes_by_the_ending(name, expected):
    assert infer_format(Path(name)) == expected


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=st.binary(max_size=300), name=st.sampled_from(["a.jsonl", "a.json", "a.csv"]))
def test_no_bytes_whatsoever_end_the_reader(tmp_path_factory, content, name):
    path = tmp_path_factory.mktemp("bytes") / name
    path.write_bytes(content)
    intake = Intake()
    events = list(read_events(path, "auto", intake))
    assert all(isinstance(event, dict) for event in events)
    assert intake.files[0].sha256 == hashlib.sha256(content).hexdigest()


# ------------------------------------------------------------------ windows and times
START, END = "2026-01-31T09:00:00Z", "2026-01-31T11:00:00Z"


@pytest.mark.parametrize(
    ("start", "end", "ts", "what"),
    [
        (START, END, "2026-01-31T10:00:00Z", ""),
        (START, END, "2026-01-31T11:00:01Z", "outside"),
        (START, END, "2026-01-31T08:59:59Z", "outside"),
        (START, END, "", "no `ts`"),
        (START, START, "2026-01-31T09:00:00Z", "empty"),
        ("2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z", "2026-02-01T10:00:00Z", "future"),
        (None, START, "2026-01-31T08:00:00Z", "before it begins"),
        (None, None, 1769853600, "a number"),
        (None, None, "1769853600000", "a number"),
        (None, None, "31.01.2026 10:00", "no ISO-8601"),
        (None, None, "2026-01-31T10:00:00Z", ""),
    ],
)
def test_a_window_and_the_times_in_it_are_checked(tmp_path, start, end, ts, what):
    path = tmp_path / "e.jsonl"
    path.write_bytes(as_jsonl([{"event_type": "fill", "mode": "testnet", "ts": ts}]))
    extras = build_evidence(path, "auto", NOW, start, end)["seatrial"]
    told = [one["what"] for one in extras["not_understood"]]
    assert extras["counts_as_testnet"] is (not what)
    assert not extras["beyond_procedure"], "the procedure's exit code stays"
    assert any(what in one for one in told) if what else not told


def test_a_window_that_ends_before_it_begins_is_refused(tmp_path):
    done = run_producer(
        *("--out-dir", str(tmp_path / "out"), "--window-start", END, "--window-end", START)
    )
    assert done.exit_code == 2
    assert "before it begins" in done.output
    assert not (tmp_path / "out").exists()


def test_events_files_of_a_directory_that_are_not_read_are_told(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(as_jsonl(EVENTS[:1]))
    (tmp_path / "b.csv").write_bytes(as_csv(EVENTS))
    value = build_evidence(tmp_path, "auto", NOW)
    assert [one["first"] for one in value["seatrial"]["not_understood"]] == ["b.csv:0"]


@pytest.mark.parametrize(
    ("event", "what"),
    [
        ({"level": "info", "severity": "error"}, "does not count"),
        ({"event_type": "fill", "type": "order_error"}, "does not count"),
        ({"event_type": "fill", "extra": {"level": "error"}}, "stands inside"),
        ({"event_type": "fill", "context": [{}, {}, {}, {"lvl": "fatal"}]}, "stands inside"),
        ({"event_type": "fill", "exception": "ValueError"}, "is not a field"),
        ({"event_type": "order_failed"}, "speaks of trouble"),
    ],
)
def test_an_error_that_the_procedure_passes_over_is_told(tmp_path, event, what):
    value = evidence_of(tmp_path, "e.jsonl", as_jsonl([event]))
    assert value["error_count"] == 0
    assert any(what in one["what"] for one in value["seatrial"]["not_understood"])


@pytest.mark.parametrize(
    "event",
    [
        {"level": "info", "context": {"level": "info"}, "exception": None, "error": ""},
        {"level": "DEBUG", "is_error": "no", "is_anomaly": False, "event_type": "fill"},
        {"event_type": "order_placed", "levels": [[1, 2]], "qty": 1.5, "extra": {"a": 1}},
    ],
)
def test_what_says_nothing_of_an_error_is_understood(tmp_path, event):
    assert evidence_of(tmp_path, "e.jsonl", as_jsonl([event]))["seatrial"]["understood"]


@pytest.mark.parametrize(
    "event",
    [
        {"l\u0435vel": "error"},  # a Cyrillic letter
        {"status": "ERROR", "level": "info"},
        {"PRIORITY": "3", "MESSAGE": "boom"},  # systemd's journal
        {"event_type": "ORDER_REJECTED"},
        {"event_type": "request_timed_out"},
        {"event_type": "partially_filled"},
        {"outcome": "crit"},
    ],
)
def test_trouble_in_other_words_is_told_and_never_no_errors(tmp_path: Path, event) -> None:
    value = evidence_of(tmp_path, "e.jsonl", as_jsonl([event, EVENTS[0]]))
    assert value["seatrial"]["understood"] is False
    assert value["seatrial"]["not_understood"]


def test_quiet_words_under_unknown_keys_are_no_doubt(tmp_path: Path) -> None:
    events = [{**EVENTS[0], "status": "FILLED", "outcome": "ok", "note": "no error"}]
    assert evidence_of(tmp_path, "e.jsonl", as_jsonl(events))["seatrial"]["understood"] is True
