"""Whatever stands in a field, of a journal or of the venue's books: a report, no exception."""

import copy
import json
import os
import random
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.judge.decision_recheck import recheck
from evidence.judge.disagreement import tell
from evidence.report.compare import compare, comparison_text
from evidence.report.html_report import html_of
from evidence.report.report import build_report, write_report
from tests.golden.test_golden_reports import GOLDEN
from tests.support.journal_maker import encode, whole_story, write_journal

EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "40"))
MAKER = whole_story(orders=12, sessions=2)
TROUBLED = [
    json.loads(line)
    for path in sorted((GOLDEN / "troubled" / "journal").glob("*.jsonl"))
    for line in path.read_bytes().splitlines()
    if line.startswith(b'{"seq"') and line.endswith(b"}")
]
BOOKS = MAKER.books()
NASTY = [
    None, True, False, 0, -1, 1, 10**30, -(10**18), 1.5, "", "x", "NaN", "Infinity", "-0",
    "1e999999", "1e-999999", "1E+40", "9" * 80, "0." + "1" * 80, "BUY", "FILLED", "\x00", "<b>",
    "é" * 50, [], [None], [[]], ["x", 1], {}, {"a": None}, {"BTC": 1}, [{"class": "testnet_wipe"}],
    [{}] * 3,
    {"symbols": {"BTCUSDT": {"orders_open_max": "x"}}}, {"conversions": {"USDT": 5}},
    {"numeraire": [], "symbols": 3},
]  # fmt: skip


def places(value, path=()):
    """Every place in a plain value."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for i in range(len(value)):
            yield from places(value[i], (*path, i))


def put(value, path, new):
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new


def spoil(rng, target, times):
    """Put nasty values at random places; containers are as likely as leaves."""
    for _ in range(times):
        where = [path for path in places(target) if path]
        put(target, rng.choice(where), copy.deepcopy(rng.choice(NASTY)))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_any_journal_gives_a_report(seed, is_troubled):
    rng = random.Random(seed)
    records = copy.deepcopy(TROUBLED if is_troubled else MAKER.records)
    for _ in range(rng.randrange(1, 5)):
        record = rng.choice(records)
        kept = {"event_type": record["event_type"]} if rng.random() < 0.9 else {}
        spoil(rng, record, rng.randrange(1, 3))
        record.update(kept)
    with TemporaryDirectory() as name:
        home = Path(name)
        (home / "books.json").write_text(json.dumps(BOOKS))
        journal = write_journal(home / "journal", encode(records))
        report = build_report([journal], ledger=home / "books.json")
        write_report(report, home / "out")
        assert report.verdict in {"OK", "NO_GO", "INSUFFICIENT"}
        assert tell(recheck([journal]))
        assert comparison_text(compare([journal]))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 2**32))
def test_any_books_of_the_venue_give_a_report(seed):
    rng = random.Random(seed)
    books = copy.deepcopy(BOOKS)
    spoil(rng, books, rng.randrange(1, 6))
    with TemporaryDirectory() as name:
        home = Path(name)
        (home / "books.json").write_text(json.dumps(books))
        journal = write_journal(home / "journal", MAKER.lines())
        report = build_report([journal], ledger=home / "books.json")
        assert html_of(report.to_json())
