"""Whatever is done to a journal's bytes shows, and however it is split the answer is the same."""

import itertools
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.folds.histogram import Histogram
from evidence.folds.journal_fold import JournalFold
from evidence.judge.anchoring import read_anchors
from evidence.read.integrity import Faults
from evidence.read.journal_reader import JournalReader
from evidence.report.report import Report, build_report, standard_folds
from tests.support.journal_maker import whole_story, write_journal

MAKER = whole_story(sessions=2, orders=12)
LINES = MAKER.lines()
DATA = b"".join(line + b"\n" for line in LINES)
BOOKS = json.dumps(MAKER.books())
QUICK = settings(max_examples=60, deadline=None)


def judged(data: bytes, *, with_anchor: bool = True) -> Report:
    with TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "journal-000001.jsonl").write_bytes(data)
        (directory / "books").write_text(BOOKS)
        anchors = directory / "heads"
        report = JournalReader([write_journal(directory / "good", LINES) / "journal-000001.jsonl"])
        for _ in report.records():
            pass
        head = {"seq": report.chain.last_seq, "head": report.chain.last_hash}
        anchors.write_text(json.dumps(head) + "\n")
        kwargs = {"anchors": anchors} if with_anchor else {}
        return build_report(
            [directory / "journal-000001.jsonl"], ledger=directory / "books", **kwargs
        )


def account_of(data: bytes, name: str, *, is_first: bool, directory: Path) -> JournalFold:
    path = directory / name
    path.write_bytes(data)
    account = JournalFold("journal", standard_folds(keep_all=True), is_first_part=is_first)
    reader = JournalReader([path])
    account.chain = reader.chain
    account.read(reader.records())
    return account


def figures(account: JournalFold) -> dict:
    account.settle()
    chain = dict(account.chain.plain())
    # Places name the part's own file and line; how many and what stays the same.
    chain["faults"] = {kind: fault["count"] for kind, fault in chain["faults"].items()}
    return {"chain": chain, "tally": account.tally.result(), **account.results()}


def test_the_untouched_journal_is_ok():
    assert judged(DATA).verdict == "OK"


@QUICK
@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_flipped_byte_anywhere_is_not_intact(position, flip):
    data = bytearray(DATA)
    data[position] ^= flip
    report = judged(bytes(data))
    assert report.journals == [] or report.journals[0].verdicts.intact.value == "FAIL"
    assert report.verdict != "OK"


@QUICK
@given(st.integers(0, len(DATA) - 1))
def test_a_cut_anywhere_is_never_ok(position):
    assert judged(DATA[:position], with_anchor=False).verdict != "OK"


@QUICK
@given(st.integers(0, len(LINES) - 1), st.integers(0, len(LINES) - 1))
def test_a_swap_of_two_lines_is_not_intact(first, second):
    lines = list(LINES)
    lines[first], lines[second] = lines[second], lines[first]
    if lines == LINES:
        return
    report = judged(b"".join(line + b"\n" for line in lines))
    assert report.journals[0].verdicts.intact.value == "FAIL"


@QUICK
@given(st.randoms(use_true_random=False), st.integers(0, 40))
def test_a_shuffle_is_not_intact(rng, start):
    lines = list(LINES)
    part = lines[start : start + 20]
    rng.shuffle(part)
    lines[start : start + 20] = part
    report = judged(b"".join(line + b"\n" for line in lines))
    expected = "OK" if lines == LINES else "FAIL"
    assert report.journals[0].verdicts.intact.value == expected


@QUICK
@given(st.lists(st.integers(0, len(LINES)), min_size=1, max_size=4), st.booleans(), st.data())
def test_any_split_merges_to_the_whole(cuts, group_right, data):
    """Also with bad lines in it, and grouped to the left or to the right: merge is associative."""
    lines = list(LINES)
    for _ in range(data.draw(st.integers(0, 3))):
        where = data.draw(st.integers(0, len(lines) - 1))
        edit = data.draw(st.sampled_from(["drop", "garble", "twice"]))
        if edit == "drop":
            del lines[where]
        elif edit == "garble":
            lines[where] = b"{garbled"
        else:
            lines.insert(where, lines[where])
    edges = [0, *sorted(min(cut, len(lines)) for cut in cuts), len(lines)]
    with TemporaryDirectory() as name:
        directory = Path(name)
        whole = account_of(
            b"".join(x + b"\n" for x in lines), "whole", is_first=True, directory=directory
        )
        parts = [
            account_of(
                b"".join(x + b"\n" for x in lines[a:b]), f"p{i}", is_first=i == 0,
                directory=directory,
            )
            for i, (a, b) in enumerate(itertools.pairwise(edges))
        ]  # fmt: skip
        while len(parts) > 1:
            if group_right:
                parts[-2:] = [parts[-2].merge(parts[-1])]
            else:
                parts[:2] = [parts[0].merge(parts[1])]
        assert figures(parts[0]) == figures(whole)


@QUICK
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=300), st.integers(1, 1000))
def test_percentiles_are_within_a_bucket_and_merge(values, per_mille):
    whole, left, right = Histogram(), Histogram(), Histogram()
    for i, value in enumerate(values):
        whole.add(value)
        (left if i % 2 else right).add(value)
    left.merge(right)
    assert left.plain() == whole.plain()
    exact = sorted(values)[-(-len(values) * per_mille // 1000) - 1]
    assert exact <= whole.percentile(per_mille) <= exact + exact // 128 + 1


@QUICK
@given(st.lists(st.sampled_from("abc"), max_size=40), st.integers(0, 40), st.integers(0, 40))
def test_faults_merge_like_one_list(kinds, first, second):
    cuts = sorted((min(first, len(kinds)), min(second, len(kinds))))
    whole, parts = Faults(), [Faults(), Faults(), Faults()]
    for i, kind in enumerate(kinds):
        whole.note(kind, f"f:{i}", "x")
        parts[sum(i >= cut for cut in cuts)].note(kind, f"f:{i}", "x")
    parts[1].merge(parts[2])
    parts[0].merge(parts[1])
    assert parts[0].plain() == whole.plain()


def test_reading_an_unreadable_anchor_is_told(tmp_path):
    (tmp_path / "heads").write_text("no json\n")
    assert read_anchors([tmp_path / "heads"]) == [{"unreadable": True}]
