"""Lies about order lists: what would hide an exposure or a leg is seen through."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evidence.report.report import build_report
from tests.support.journal_maker import encode, write_journal
from tests.support.sim_bots import run_world
from tests.support.sim_chaos import FaultMenu
from tests.support.sim_journal import books_of, records_of

Lines = list[dict[str, Any]]
_STORY: list[tuple[Lines, dict[str, Any]]] = []


def story() -> tuple[Lines, dict[str, Any]]:
    """A calm world in which an OCO left, and other orders."""
    for seed in range(120):
        if _STORY:
            break
        world = run_world(seed, menu=FaultMenu())
        records = json.loads(json.dumps(records_of(world)))
        if pairs(records) and all(len(covered(records, kind)) > 1 for kind in KINDS):
            _STORY.append((records, books_of(world)))
    return copy.deepcopy(_STORY[0])


KINDS = ("order_approved", "order_denied")


def covered(records: Lines, kind: str) -> Lines:
    """Decisions on orders that are pending behind one of the other side."""
    return [
        one for one in records if one["event_type"] == kind and "cover" in one.get("decision", {})
    ]


def pairs(records: Lines) -> Lines:
    """Approvals of an OCO's second leg."""
    return [
        one
        for one in records
        if one["event_type"] == "order_approved"
        and one.get("order_list", {}).get("contingency") == "OCO"
        and one["order_list"]["leg"] == 1
    ]


def torn_apart(records: Lines) -> None:
    """The second leg is given out as an order on its own."""
    del pairs(records)[0]["order_list"]


def of_another_list(records: Lines) -> None:
    """The second leg is said to exclude an order of a list that does not exist."""
    pairs(records)[0]["order_list"]["list_id"] = "st-none"


def joined(records: Lines) -> None:
    """Two orders that have nothing to do with each other are said to exclude each other."""
    alone = [
        one
        for one in records
        if one["event_type"] == "order_approved" and one.get("owner") and "order_list" not in one
    ]
    for leg, one in enumerate(alone[:2]):
        one["order_list"] = {
            "list_id": "st-made-up", "contingency": "OCO", "leg": leg, "legs": 2,
            "bot_list_id": "made-up",
        }  # fmt: skip


def leg_lost(records: Lines) -> None:
    """Half of a list is taken out: its request did not end."""
    gone = pairs(records)[0]["client_order_id"]
    records[:] = [
        one
        for one in records
        if one.get("client_order_id") != gone and one["event_type"] != "bot_answered"
    ]


def renamed(records: Lines) -> None:
    """The bot asked for a list under another id."""
    pairs(records)[0]["order_list"]["bot_list_id"] = "another"


def brought_more(records: Lines) -> None:
    """An exit was decided on as if its entry bought more than it does."""
    covered(records, "order_approved")[0]["decision"]["cover"] = "5"


def brought_less(records: Lines) -> None:
    """An exit was denied as if its entry bought less than it does."""
    covered(records, "order_denied")[0]["decision"]["cover"] = "0.0001"


def of_no_list(records: Lines) -> None:
    """An exit was decided on as if nothing came before it."""
    del covered(records, "order_approved")[-1]["decision"]["cover"]


TRICKS: list[tuple[Callable[[Lines], None], str]] = [
    (torn_apart, "list_differs"),
    (of_another_list, "input"),
    (joined, "list_differs"),
    (leg_lost, "request_without_end"),
    (renamed, "list_differs"),
    (brought_more, "cover_differs"),
    (brought_less, "cover_differs"),
    (of_no_list, "input"),
]


@pytest.mark.parametrize(("trick", "kind"), TRICKS, ids=[one.__name__ for one, _ in TRICKS])
def test_a_lie_about_a_list_is_seen_through(
    tmp_path: Path, trick: Callable[[Lines], None], kind: str
) -> None:
    records, books = story()
    (tmp_path / "books.json").write_text(json.dumps(books))
    before = write_journal(tmp_path / "before", encode(copy.deepcopy(records)))
    assert build_report([before], ledger=tmp_path / "books.json").verdict == "OK"
    trick(records)
    after = write_journal(tmp_path / "after", encode(records))
    report = build_report([after], ledger=tmp_path / "books.json")
    assert report.verdict == "NO_GO"
    assert any(f"x {kind}" in one for one in report.reasons), report.reasons
