"""docs/LIARS.md is what the liar suites give today, and it leaves no weakness untried."""

import re
from collections import Counter

import pytest

from tests.support.bot_liars import BOT_TRICKS
from tests.support.liar_story import LIES
from tests.support.liars import TRICKS
from tests.support.liars_table import (
    BOTS,
    DEMOS,
    EDITED,
    GAMED,
    PROMOTION,
    ROOT,
    SECTIONS,
    TABLE,
    WORLDS,
    documented,
    one_row_each,
    text,
)
from tests.support.lies_of_demos import DEMO_LIES
from tests.support.promotion_liars import AROUND, EDITS

PLAYED = {trick.__name__ for trick, *_ in (*TRICKS, *EDITS, *AROUND, *BOT_TRICKS)}
PLAYED |= set(LIES) | set(DEMO_LIES)


NAMES = {
    EDITED: [trick.__name__ for trick, _ in one_row_each()],
    BOTS: [trick.__name__ for trick, _ in BOT_TRICKS],
    WORLDS: list(LIES),
    DEMOS: list(DEMO_LIES),
    PROMOTION: [trick.__name__ for trick, *_ in (*EDITS, *AROUND)],
}


@pytest.mark.parametrize("section", SECTIONS)
def test_each_trick_has_one_row(section):
    """That the row is what comes of it today, the test of the trick itself says."""
    rows = documented(section)
    assert [row.split("`")[1] for row in rows] == NAMES[section]


def test_the_rest_of_the_document_is_what_the_suites_give():
    document = TABLE.read_text(encoding="utf-8")
    assert document == text(documented), "stale: python -m tests.support.liars_table"
    assert "NOT CAUGHT" not in document
    verdicts = r"\| (NO_GO|INSUFFICIENT|CONTINUE_TESTNET|OK|READY\w*) \|"
    found = Counter(re.findall(verdicts, document))
    assert found["OK"] == document.count("| told all the same |")
    assert set(found) == {"NO_GO", "INSUFFICIENT", "OK"}
    rows = [line for line in document.splitlines() if line.startswith("| ") and "| `" in line]
    assert len(rows) == len(PLAYED) + len(GAMED)


@pytest.mark.parametrize(("weakness", "tried"), [(how, tried) for how, _, tried in GAMED])
def test_every_weakness_names_tricks_and_tests_that_exist(weakness, tried):
    assert tried, weakness
    for one in tried:
        path, _, name = one.partition("::")
        if "/" not in path:
            assert one in PLAYED
            continue
        source = (ROOT / path).read_text(encoding="utf-8")
        assert "def test_" in source
        assert f"def {name}(" in source if name else True
