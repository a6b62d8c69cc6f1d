"""The owner of the box edits the record and makes every hash good: no lie pays, alone or in pairs.

`make liars` plays every lie in every story, and all pairs.
"""

import copy
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evidence.judge.verdict import OK
from evidence.pack.evidence_pack import find_inputs, verify_pack, write_pack
from evidence.read.venue_list import list_of
from evidence.report.report import build_report
from tests.support.chained_world import ChainedRun, chained_again, raw_list, write_lines
from tests.support.honest import KINDS, RESTARTS, sessions
from tests.support.journal_maker import encode, write_journal
from tests.support.liar_story import (
    LIES,
    STORIES,
    NotHereError,
    Story,
    heads_off_the_box,
    judged,
    story,
)
from tests.support.liars_table import WORLDS, documented, row_of_a_lie
from tests.support.lie_player import alone, pairs, play_pair, told_in
from tests.support.sim_journal import books_of

HONEST = 64
PAIRS = 60
OWNERS_KEY = Ed25519PrivateKey.from_private_bytes(b"the key of the box's own owner!!")


def test_the_suite_is_wide():
    assert len(LIES) >= 80
    assert sum(lie.is_outside for lie in LIES.values()) < len(LIES) / 10


@pytest.mark.parametrize("name", STORIES)
def test_every_story_is_good_evidence_as_it_stands(name):
    report = judged(story(name))
    assert (report.verdict, report.reasons) == (OK, [])
    assert report.counts_as_testnet_evidence
    assert judged(story(name), heads_off_the_box(story(name))).verdict == OK


@pytest.mark.parametrize("name", sorted(LIES))
def test_a_lie_does_not_pay(name):
    played = list(alone(LIES[name], stories_max=2))
    assert played, "no story has anything that this lie is about"
    assert [one for one in played if one.fault] == []
    assert row_of_a_lie(LIES[name], played[0]) in documented(WORLDS), "docs/LIARS.md is stale"


def test_two_lies_do_not_make_each_other_good():
    played = [play_pair(one, other) for one, other in pairs(PAIRS)]
    fitting = [one for one in played if one is not None]
    assert len(fitting) > PAIRS / 2
    assert [one for one in fitting if one.fault] == []


def test_the_venue_gives_away_what_the_record_alone_does_not(tmp_path):
    """The ids that the venue keeps carry the heads of the record that stood when they were sent."""
    caught = set()
    outside = [lie for lie in LIES.values() if lie.is_outside]
    for seed in range(1, 6):
        run = ChainedRun(seed, menu=RESTARTS).ended()
        rows, lines = raw_list(run), [json.loads(line) for line in run.lines]
        at_venue = {row["clientOrderId"] for row in rows}
        for lie in outside:
            told = Story(f"chained-{seed}", copy.deepcopy(lines), books_of(run))
            try:
                lie.lie(told)
            except NotHereError:
                continue
            changed = next(n for n, line in enumerate(lines) if told.lines[n : n + 1] != [line])
            after = {line.get("client_order_id") for line in lines[changed + 1 :]
                     if line["event_type"] == "order_approved"}  # fmt: skip
            if not after & at_venue:
                continue  # no order was sent after it: it is not anchored yet
            journal = write_lines(tmp_path / lie.name / str(seed), chained_again(told.lines))
            report = build_report([journal], venue_lists=[list_of(rows, "the list")])
            found = report.journals[0].venue
            assert found is not None
            assert found.misfits, f"{lie.name} in seed {seed}"
            assert report.verdict == "NO_GO"
            caught.add(lie.name)
    # A last order has no order after it, and these worlds have no lines of refused commands.
    left = {
        "a_last_order_that_never_arrived_goes",
        "a_refusal_goes_with_its_question_and_its_input",
    }
    assert caught >= {lie.name for lie in outside} - left


def test_the_owners_signature_makes_no_lie_true(tmp_path):
    """He packs and signs what he has edited: the pack is as he signed it, and says NO_GO."""
    made = told_in("tight-4", LIES["an_incident_goes_with_every_total"])
    assert made is not None
    write_journal(tmp_path / "box/journal", encode(made.lines), is_anchored=True)
    (tmp_path / "box/ledger.json").write_text(json.dumps(made.books))
    manifest = write_pack(find_inputs(tmp_path / "box"), tmp_path / "box.tar", OWNERS_KEY)
    assert verify_pack(tmp_path / "box.tar", OWNERS_KEY.public_key()).ok
    assert manifest["verdict"] == "NO_GO"


def test_honest_sessions_of_every_kind_agree():
    """Storms, restarts, tightened caps, bots, cross pairs; `make honest` judges thousands."""
    decisions = 0
    for kind, seed in sessions(5000, HONEST):
        found = KINDS[kind](seed)
        assert found.verdict == OK, f"{kind} seed {seed}: {found.reasons}"
        decisions += found.decisions
    assert decisions > 20 * HONEST
