"""The operator's commands: exit codes, one-line errors, JSON, and processes that change nothing."""

import json

import orjson
import pytest
from click.testing import CliRunner

from evidence.evidence_commands import evidence_group
from evidence.folds.parallel import split_evenly
from evidence.report.report import build_report
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


def test_real_worker_processes_give_the_same_report(tmp_path):
    maker = whole_story(orders=30, sessions=3)
    lines = maker.lines()
    lines[40] = b"{garbled"
    del lines[100]
    directory = write_journal(tmp_path / "journal", lines, segment_lines=len(lines) // 5)
    one = build_report([directory]).to_json()
    three = build_report([directory], jobs=3).to_json()
    assert orjson.dumps(three) == orjson.dumps(one)


@pytest.mark.parametrize("jobs", [1, 2, 3, 5, 9])
def test_segments_are_split_in_order_and_none_is_lost(tmp_path, jobs):
    files = []
    for number, size in enumerate([10, 1000, 10, 500, 500, 0, 20]):
        path = tmp_path / str(number)
        path.write_bytes(b"x" * size)
        files.append(path)
    groups = split_evenly(files, jobs)
    assert [path for group in groups for path in group] == files
    assert 1 <= len(groups) <= jobs
    assert all(groups)


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
