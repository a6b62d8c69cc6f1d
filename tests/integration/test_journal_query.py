"""`seatrial journal query` and `seatrial order`, against every line read one by one."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner, Result

from control.tool.command_frame import Wiring
from control.tool.mounted_commands import Tool
from daemon.shell.journal.line_search import LineQuestion, fitting_lines
from daemon.shell.journal.segments import segments

GOLDEN = Path(__file__).parents[1] / "golden/evidence/clean/journal"
ROUNDS = 60


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal in three segments, the first of them packed, with a last line that is torn."""
    place = tmp_path_factory.mktemp("box") / "journal"
    place.mkdir()
    raw = b"".join(path.read_bytes() for path in sorted(GOLDEN.glob("journal-*.jsonl")))
    lines = raw.splitlines(keepends=True)
    third = len(lines) // 3
    packed = zstandard.ZstdCompressor().compress(b"".join(lines[:third]))
    (place / "journal-000001.jsonl.zst").write_bytes(packed)
    (place / "journal-000002.jsonl").write_bytes(b"".join(lines[third : 2 * third]))
    (place / "journal-000003.jsonl").write_bytes(b"".join(lines[2 * third :]) + b'{"seq":9999,"ts')
    return place


@pytest.fixture(scope="module")
def every_line(journal: Path) -> list[dict[str, Any]]:
    raw = b"".join(path.read_bytes() for path in sorted(GOLDEN.glob("journal-*.jsonl")))
    return [json.loads(line) for line in raw.splitlines()]


def asked(journal: Path, *words: str) -> Result:
    return CliRunner().invoke(Tool(), [*words, "--dir", str(journal)], obj=Wiring())


def seqs(result: Result) -> list[int]:
    return [json.loads(line)["seq"] for line in result.stdout.splitlines()]


def test_a_query_finds_what_reading_every_line_finds(
    journal: Path, every_line: list[dict[str, Any]]
) -> None:
    rng = random.Random(7)
    types = sorted({line["event_type"] for line in every_line})
    symbols = sorted({line["symbol"] for line in every_line if line.get("symbol")})
    found_some = 0
    for _ in range(ROUNDS):
        words, expected = ["journal", "query", "--json"], every_line
        if wanted := rng.sample(types, rng.randrange(3)):
            words += [word for one in wanted for word in ("--type", one)]
            expected = [one for one in expected if one["event_type"] in wanted]
        else:
            expected = [one for one in expected if one["event_type"] != "input"]
        if rng.random() < 0.3:
            words += ["--level", "anomaly"]
            expected = [one for one in expected if one["is_error"] or one["is_anomaly"]]
        if rng.random() < 0.5:
            since, until = sorted(rng.choice(every_line)["ts_ns"] for _ in range(2))
            words += ["--since", str(since), "--until", str(until)]
            expected = [one for one in expected if since <= one["ts_ns"] < until]
        if symbols and rng.random() < 0.3:
            symbol = rng.choice(symbols)
            words += ["--symbol", symbol]
            expected = [one for one in expected if symbol in json.dumps(one)]
        if rng.random() < 0.3:
            words += ["-n", "3"]
            expected = expected[-3:]
        result = asked(journal, *words)
        assert seqs(result) == [one["seq"] for one in expected], words
        assert result.exit_code == (0 if expected else 1)
        found_some += bool(expected)
    assert found_some > ROUNDS / 4


def test_segments_far_away_are_passed_over_and_nothing_is_lost(
    journal: Path, every_line: list[dict[str, Any]]
) -> None:
    newest = every_line[-1]["ts_ns"]
    question = LineQuestion(since_ns=newest)
    assert [json.loads(one)["ts_ns"] for one in fitting_lines(journal, question)] == [
        one["ts_ns"] for one in every_line if one["ts_ns"] >= newest
    ]
    late = LineQuestion(since_ns=newest + 10 * 3_600_000_000_000)
    assert list(fitting_lines(journal, late)) == []


def test_an_order_is_found_by_our_id_and_by_the_venues(
    journal: Path, every_line: list[dict[str, Any]]
) -> None:
    fill = next(one for one in every_line if one["event_type"] == "fill")
    ours, venues = fill["client_order_id"], fill["order_id"]
    by_ours = json.loads(asked(journal, "order", ours, "--json").stdout)
    by_venues = json.loads(asked(journal, "order", venues, "--json").stdout)
    about = [one["seq"] for one in every_line
             if one["event_type"] != "checkpoint" and f'"{ours}"' in json.dumps(one)]  # fmt: skip
    assert [one["seq"] for one in by_ours["lines"]] == about
    assert by_venues == by_ours
    assert json.loads(asked(journal, "order", ours, "--json").stdout) == by_ours
    text = asked(journal, "order", ours, "--decision").stdout
    booked = [one for one in every_line
              if one["event_type"] == "fill" and one["client_order_id"] == ours]  # fmt: skip
    assert text.count("\nfill ") == len(booked)
    assert all(one["exec_id"] in text for one in booked)
    assert "verdict = approved" in text


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["order", "no-such-order"], 1, "no order has the id no-such-order"),
        (["journal", "query", "--since", "yesterday"], 2, "write 10m (ago"),
        (["journal", "query", "--type", "filled"], 2, "no event type 'filled'; did you mean"),
        (["journal", "query", "--order", "no-such-order"], 1, "no line of"),
    ],
)
def test_what_is_not_there_is_said(journal: Path, words: list[str], code: int, said: str) -> None:
    result = asked(journal, *words)
    assert result.exit_code == code
    assert said in result.stderr


def test_a_damaged_line_is_shown_as_it_is_and_hides_no_other(journal: Path, tmp_path: Path) -> None:
    copy = tmp_path / "journal"
    shutil.copytree(journal, copy)
    newest = segments(copy)[-1]
    whole = asked(copy, "journal", "query", "--type", "fill", "--json").stdout.splitlines()
    damaged = b'{"seq":9998,"event_type":"fill","garbled\n'
    newest.write_bytes(newest.read_bytes().removesuffix(b'{"seq":9999,"ts') + damaged)
    result = asked(copy, "journal", "query", "--type", "fill")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == len(whole) + 1
    assert "damaged line: " in result.stdout.splitlines()[-1]


def test_an_order_with_damaged_lines_is_shown_all_the_same(
    journal: Path, every_line: list[dict[str, Any]], tmp_path: Path
) -> None:
    copy = tmp_path / "journal"
    shutil.copytree(journal, copy)
    newest = segments(copy)[-1]
    cid = next(one["client_order_id"] for one in every_line if one["event_type"] == "fill")
    envelope = {"seq": 9_000, "ts_ns": 1, "client_order_id": cid}
    damaged: list[Any] = [{**envelope, "event_type": kind} for kind in
                          ("order_state", "fill", "input", "order_approved")]  # fmt: skip
    damaged += [17, [cid], {"client_order_id": cid}, {**envelope, "event_type": 5}]
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in damaged)
    newest.write_bytes(newest.read_bytes().removesuffix(b'{"seq":9999,"ts') + lines)
    shown = asked(copy, "order", cid, "--decision")
    assert shown.exit_code == 0, shown.exception
    assert shown.stdout.count("this line is damaged") == 3
    queried = asked(copy, "journal", "query", "--inputs", "-n", "8")
    assert queried.exit_code == 0, queried.exception
    assert asked(copy, "order", "").exit_code == 2


def test_a_damaged_segment_is_named(journal: Path, tmp_path: Path) -> None:
    copy = tmp_path / "journal"
    shutil.copytree(journal, copy)
    packed = segments(copy)[0]
    packed.write_bytes(packed.read_bytes()[:-20])
    result = asked(copy, "journal", "query", "--type", "fill")
    assert result.exit_code == 1
    assert packed.name in result.stderr
