"""Lies about real daemons' records: each is given away, at the latest by whom the suite names."""

import pytest

from evidence.judge.verdict import INSUFFICIENT, OK
from tests.support.liars_table import DEMOS, documented, row_of_a_demo_lie
from tests.support.lies_of_demos import DEMO_LIES, GIVERS, OUTSIDE, given_away
from tests.support.recorded import NAMES, recorded, report_of


@pytest.mark.parametrize("name", NAMES)
def test_every_record_is_good_as_it_stands(name):
    honest = recorded(name)
    report = report_of(honest, with_books=True)
    assert (report.verdict, report.reasons) == (OK, [])
    assert report_of(honest, with_books=True, honest=recorded(name)).verdict == OK
    alone = report_of(honest, with_books=False)
    assert alone.verdict == INSUFFICIENT
    assert all("books were not given" in reason for reason in alone.reasons)
    derived = report.journals[0].account.results()
    for fold in ("told", "balances", "equity", "deeds", "states"):
        assert derived[fold]["checked"], f"nothing of {name} was derived again by {fold}"


@pytest.mark.parametrize("name", sorted(DEMO_LIES))
def test_a_lie_about_a_real_record_does_not_pay(name):
    one = DEMO_LIES[name]
    giver, report, reason = given_away(one)
    assert giver, "nobody gives it away"
    assert GIVERS.index(giver) <= GIVERS.index(one.by), f"only {giver}: {reason}"
    assert report.verdict != OK
    found = row_of_a_demo_lie(name, giver, report, reason)
    assert found in documented(DEMOS), "docs/LIARS.md is stale"


def test_most_of_what_these_liars_thought_of_is_given_away_without_an_outside_anchor():
    assert len(DEMO_LIES) >= 40
    assert sum(one.by == OUTSIDE for one in DEMO_LIES.values()) < len(DEMO_LIES) / 2
