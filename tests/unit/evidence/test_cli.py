"""The operator's commands: exit codes, one-line errors, JSON, and processes that change nothing."""

import functools
import gzip
import io
import json
import multiprocessing
import os
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from evidence.evidence_commands import evidence_group
from evidence.folds.journal_fold import Fold, JournalFold
from evidence.folds.parallel import parts_of, read_whole
from evidence.read.journal_reader import JournalReader
from evidence.read.journal_sources import SourceError, chunks_of
from evidence.report.progress_line import progress_line
from evidence.report.report import standard_folds
from tests.support.chained_world import ChainedRun, chained_again, write_lines
from tests.support.journal_maker import whole_story, write_journal


def run(*args):
    return CliRunner().invoke(evidence_group, [str(arg) for arg in args])


@pytest.fixture
def saved(tmp_path):
    return whole_story(orders=12, sessions=2).save(tmp_path)


def test_report_writes_three_files_and_says_where(saved, tmp_path):
    journal, ledger = saved
    done = run("report", journal, "--ledger", ledger, "--out-dir", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("verdict: OK\n")
    assert "not testnet evidence" in done.output
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["evidence_report.html", "evidence_report.json", "evidence_report.md"]


def test_verify_writes_nothing_and_tells_every_reason(saved):
    journal, _ = saved
    before = sorted(journal.parent.rglob("*"))
    done = run("verify", journal)
    assert done.exit_code == 2
    assert "verdict: INSUFFICIENT" in done.output
    assert "the venue's books were not given" in done.output
    assert sorted(journal.parent.rglob("*")) == before


def test_json_is_one_object(saved):
    journal, ledger = saved
    plain = json.loads(run("verify", journal, "--ledger", ledger, "--json").output)
    assert plain["verdict"] == "OK"
    assert set(plain["journals"]["journal"]) == {"intact", "complete", "corroborated"}


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("report", "nowhere"), "nowhere"),
        (("verify", "nowhere"), "nowhere"),
        (("recheck", "nowhere"), "nowhere"),
        (("compare", "nowhere"), "nowhere"),
    ],
)
def test_an_unreadable_input_is_one_line_and_exit_code_1(args, word):
    done = run(*args)
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    assert word in done.output


@pytest.mark.parametrize("content", ["[1, 2]", "{no json"], ids=["list", "garbage"])
def test_a_ledger_that_is_none_is_refused_in_one_line(saved, content):
    journal, ledger = saved
    ledger.write_text(content)
    done = run("verify", journal, "--ledger", ledger)
    assert (done.exit_code, done.output.count("\n")) == (1, 1)


def test_a_ledger_with_rows_of_nonsense_is_unreadable_rows_not_a_crash(saved):
    journal, ledger = saved
    books = json.loads(ledger.read_text())
    books["orders"][0]["qty"] = "much"
    books["fills"][0]["price"] = None
    books["events"][0]["ts_ns"] = "noon"
    books["events"].append("text")
    books["balances"]["BTC"] = {"free": "x"}
    ledger.write_text(json.dumps(books))
    done = run("verify", journal, "--ledger", ledger)
    assert done.exit_code == 2
    assert "4 x unreadable rows" in done.output


def test_recheck_by_the_tool(saved):
    journal, _ = saved
    done = run("recheck", journal)
    assert done.exit_code == 0
    assert "decisions agree" in done.output


def test_compare_finds_what_is_bound_to_other_code(tmp_path):
    maker = whole_story(sessions=2)
    assert run("compare", maker.save(tmp_path / "a")[0]).exit_code == 0
    starts = [r for r in maker.records if r["event_type"] == "session_start"]
    starts[1]["commit"] = "another"
    done = run("compare", maker.save(tmp_path / "b")[0])
    assert done.exit_code == 2
    assert "commit differs: another, c0ffee" in done.output
    plain = json.loads(run("compare", tmp_path / "b" / "journal", "--json").output)
    assert plain["differing_bindings"] == {"commit": ["another", "c0ffee"]}


def damaged_journal(directory: Path) -> list[Path]:
    """Segments, one of them packed, with a garbled line, an absent one and a torn end."""
    lines = whole_story(orders=30, sessions=3).lines()
    lines[40] = b"{garbled"
    del lines[100]
    write_journal(directory, lines, segment_lines=len(lines) // 3)
    first, second, *_, last = sorted(directory.glob("journal-*"))
    second.with_suffix(".jsonl.gz").write_bytes(gzip.compress(second.read_bytes()))
    second.unlink()
    last.write_bytes(last.read_bytes() + b'{"seq":')
    assert first.exists()
    return sorted(directory.glob("journal-*"))


@pytest.mark.parametrize("jobs", [2, 3])
def test_real_processes_give_the_answers_of_one(tmp_path, jobs):
    files = damaged_journal(tmp_path / "journal")
    make_folds = functools.partial(standard_folds, keep_all=True)
    told: list[int] = []
    one = read_whole("j", files, make_folds, jobs=1)
    found = read_whole(
        "j", files, make_folds, jobs=jobs, small_bytes=0, part_bytes=20_000, progress=told.append
    )
    assert orjson.dumps(answers(found)) == orjson.dumps(answers(one))
    assert list(found.folds) == list(one.folds)
    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1] == one.chain.bytes
    assert one.chain.faults.counts.keys() == {"malformed", "gap", "chain_break", "torn_tail"}


def folds_or_death() -> list[Fold]:
    """In a process that helps: the end of it, as by the system's own killer."""
    if multiprocessing.parent_process() is not None:
        os._exit(9)
    return standard_folds(keep_all=False)


def test_a_helper_that_dies_is_told_and_no_report_comes_of_it(tmp_path):
    files = damaged_journal(tmp_path / "journal")
    with pytest.raises(SourceError, match="--jobs 1"):
        read_whole("j", files, folds_or_death, jobs=2, small_bytes=0)


def answers(account: JournalFold) -> list[object]:
    return [account.results(), account.chain.plain(), account.tally.result()]


def test_ids_at_the_border_of_two_parts_are_held_against_the_chain(tmp_path):
    """An id carries the head before its turn, whose line may stand in another process's part."""
    run = ChainedRun(3).ended()
    honest = write_lines(tmp_path / "honest", run.lines) / "journal-000001.jsonl"
    lines = [json.loads(line) for line in run.lines]
    removed = next(n for n, line in enumerate(lines) if line["event_type"] == "equity")
    edited = chained_again([*lines[:removed], *lines[removed + 1 :]])
    false = write_lines(tmp_path / "false", edited) / "journal-000001.jsonl"
    make_folds = functools.partial(standard_folds, keep_all=False)
    for file in (honest, false):
        one = read_whole("j", [file], make_folds, jobs=1)
        parts = list(parts_of([file], 3_000))
        assert len(parts) > 20
        whole = JournalFold("j", make_folds())
        for part in parts:
            facts: list[bytes] = []
            reader = JournalReader([part], facts=facts)
            read = JournalFold("j", [], is_first_part=False)
            read.chain = reader.chain
            read.read(reader.records())
            whole.merge(read)
        found = whole.chain.faults.counts
        assert found == one.chain.faults.counts
        assert ("id_of_another_chain" in found) is (file is false)


def test_parts_are_cut_at_line_ends_and_none_is_lost(tmp_path):
    path = tmp_path / "journal-000001.jsonl"
    for content in (
        b"",
        b"\n",
        b"no end",
        b"a\n" * 5,
        b"long" * 99 + b"\n" + b"x\n" * 40 + b"torn",
    ):
        path.write_bytes(content)
        for size in (1, 7, 50, 10_000):
            parts = list(parts_of([path], size))
            texts = [b"".join(chunks_of(part)) for part in parts]
            assert b"".join(texts) == content
            assert all(text.endswith(b"\n") for text in texts[:-1])
            before = 0
            for part, text in zip(parts, texts, strict=True):
                assert part.lines_before == before
                before += text.count(b"\n")


def test_progress_is_for_a_terminal_alone():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, wanted in ((Terminal(), ["reading: 20 of 30 MB", "reading: 40 MB"]),
                           (io.StringIO(), [])):  # fmt: skip
        with progress_line(stream, 30_000_000) as tell:
            for done in (1_000_000, 20_000_000, 21_000_000, 40_000_000):
                tell(done)
        said = [part.strip() for part in stream.getvalue().split("\r") if part.strip()]
        assert said == wanted
        assert stream.getvalue().endswith("\r") is bool(wanted)


def test_a_report_is_never_written_over_anothers_without_a_word(tmp_path):
    one, _ = whole_story(seed=1, instance="one").save(tmp_path / "1")
    other, _ = whole_story(seed=2, instance="other").save(tmp_path / "2")
    out = ("--out-dir", str(tmp_path / "out"))
    run("report", str(one), *out)
    first = (tmp_path / "out/evidence_report.json").read_bytes()
    refused = run("report", str(other), *out)
    assert refused.exit_code == 1
    assert refused.output.count("\n") == 1
    assert "one-s1" in refused.output
    assert "--out-dir" in refused.output
    assert (tmp_path / "out/evidence_report.json").read_bytes() == first
    run("report", str(other), *out, "--replace")
    assert (tmp_path / "out/evidence_report.json").read_bytes() != first


def test_a_report_takes_the_place_of_its_own_journals_earlier_one(tmp_path):
    maker = whole_story(seed=1)
    journal, _ = maker.save(tmp_path)
    out = ("--out-dir", str(tmp_path / "out"))
    run("report", str(journal), *out)
    maker.run_start()
    maker.session(5)
    maker.run_stop()
    maker.save(tmp_path)
    assert run("report", str(journal), *out).exit_code == 2  # INSUFFICIENT: no books were given
    told = json.loads((tmp_path / "out/evidence_report.json").read_text())
    assert len(told["journals"][0]["sessions"]["sessions"]) == 2
    (tmp_path / "events.jsonl").write_text('{"event_type":"fill"}\n')
    assert run("report", str(tmp_path / "events.jsonl"), *out).exit_code == 1


def test_a_report_with_more_sessions_is_not_written_over_by_one_with_fewer(tmp_path):
    maker = whole_story(seed=1)
    journal, _ = maker.save(tmp_path)
    shorter = list(maker.records)
    maker.run_start()
    maker.session(5)
    maker.run_stop()
    maker.save(tmp_path)
    out = ("--out-dir", str(tmp_path / "out"))
    run("report", str(journal), *out)
    first = (tmp_path / "out/evidence_report.json").read_bytes()
    maker.records[:] = shorter
    for path in journal.glob("*.jsonl"):
        path.unlink()
    maker.save(tmp_path)
    assert run("report", str(journal), *out).exit_code == 1
    assert (tmp_path / "out/evidence_report.json").read_bytes() == first


@pytest.mark.parametrize("has_browser", [True, False])
def test_open_shows_the_page_or_says_where_it_is(saved, tmp_path, monkeypatch, has_browser):
    shown = []
    monkeypatch.setattr("webbrowser.open", lambda url: shown.append(url) or has_browser)
    journal, ledger = saved
    done = run("report", journal, "--ledger", ledger, "--out-dir", tmp_path / "out", "--open")
    assert done.exit_code == 0
    page = tmp_path / "out" / "evidence_report.html"
    assert shown == [page.resolve().as_uri()]
    assert ("no browser can be opened here" in done.output) is not has_browser
