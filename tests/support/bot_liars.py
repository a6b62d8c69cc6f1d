"""Tricks with bots' orders: an honest world with bots is edited, and every hash made good again."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evidence.report.report import Report, build_report
from tests.support.journal_maker import encode, write_journal
from tests.support.sim_bots import run_world
from tests.support.sim_chaos import FaultMenu
from tests.support.sim_journal import books_of, records_of

Lines = list[dict[str, Any]]
Trick = Callable[[Lines], None]
SEED = 0
_STORY: list[tuple[Lines, dict[str, Any]]] = []


def story() -> tuple[Lines, dict[str, Any]]:
    """A calm world with bots: its lines, and the venue's books."""
    if not _STORY:
        world = run_world(SEED, menu=FaultMenu())
        _STORY.append((json.loads(json.dumps(records_of(world))), books_of(world)))
    return copy.deepcopy(_STORY[0])


def judged(trick: Trick | None, home: Path) -> Report:
    """The report of the story, edited."""
    records, books = story()
    if trick is not None:
        trick(records)
    journal = write_journal(home / "journal", encode(records))
    (home / "books.json").write_text(json.dumps(books))
    return build_report([journal], ledger=home / "books.json")


def _first(records: Lines, kind: str, **wanted: Any) -> int:
    """The first line of a kind that belongs to a bot."""
    for number, record in enumerate(records):
        is_bots = record.get("owner") or kind.startswith("bot_")
        fits = all(record.get(key) == value for key, value in wanted.items())
        if record["event_type"] == kind and is_bots and fits:
            return number
    raise AssertionError(f"the story has no {kind}")


def _request_of(records: Lines, number: int) -> int:
    """The input line of the request that a line ends."""
    request = records[number].get("request") or records[number]["owner"]["request"]
    return next(
        at
        for at, record in enumerate(records)
        if record["event_type"] == "input" and record["input"].get("request") == request
    )


def slipped_past(records: Lines) -> None:
    """An order of the operator's own is given out as a bot's: nobody asked for it."""
    del records[_request_of(records, _first(records, "order_approved"))]


def slipped_without_owner(records: Lines) -> None:
    """The same, and the line does not say who asked."""
    del records[_first(records, "order_approved")]["owner"]


def denial_removed(records: Lines) -> None:
    """A bot was denied; the denial is taken out, and the totals made good."""
    number = _first(records, "order_denied")
    session = records[number]["session_id"]
    del records[number]
    for record in records[number:]:
        if record["session_id"] == session and isinstance(record.get("counts"), list):
            record["counts"][1] -= 1
        if record["event_type"] == "session_stop" and record["session_id"] == session:
            break


def refusal_removed(records: Lines) -> None:
    """A bot was refused at the door; the line is taken out."""
    number = next(
        at
        for at, record in enumerate(records)
        if record["event_type"] == "bot_refused" and record["kind"] == "place"
    )
    del records[number]


def ids_remapped(records: Lines) -> None:
    """The ids of two orders of a bot change places."""
    first = _first(records, "order_approved")
    second = next(
        at
        for at, record in enumerate(records)
        if at > first
        and record["event_type"] == "order_approved"
        and record.get("owner")
        and record["owner"]["client_order_id"] != records[first]["owner"]["client_order_id"]
    )
    one, other = records[first]["owner"], records[second]["owner"]
    one["client_order_id"], other["client_order_id"] = (
        other["client_order_id"],
        one["client_order_id"],
    )


def given_to_another(records: Lines) -> None:
    """An order that lost money is given to the other bot."""
    record = records[_first(records, "order_approved")]
    other = "cx" if record["owner"]["bot"] == "ft" else "ft"
    record["owner"]["bot"] = other
    record["strategy_id"] = record["decision"]["strategy_id"] = f"bot:{other}"


def asked_for_less(records: Lines) -> None:
    """The request is made to ask for another quantity than was sent."""
    number = next(
        at
        for at, record in enumerate(records)
        if record["event_type"] == "order_approved"
        and record.get("owner")
        and record.get("terms") is None
    )
    asked = records[_request_of(records, number)]["input"]
    (asked if asked["type"] == "BotPlace" else asked["place"])["qty"] = "0.00777"


def asked_twice(records: Lines) -> None:
    """One request is made to stand for two orders."""
    first = _first(records, "order_approved")
    second = _first(records[first + 1 :], "order_approved") + first + 1
    records[second]["owner"] = dict(records[first]["owner"])


def told_of_anothers(records: Lines) -> None:
    """An answer names an order of another bot."""
    mine = _first(records, "bot_answered", bot="ft")
    theirs = next(
        record["client_order_id"]
        for record in records
        if record["event_type"] == "order_approved" and record["strategy_id"] == "bot:cx"
    )
    for record in records[mine:]:
        if record["event_type"] == "bot_answered" and record["bot"] == "ft" and record["orders"]:
            record["orders"][0]["client_order_id"] = theirs
            last = max(at for at, one in enumerate(records) if one.get("client_order_id") == theirs)
            records.remove(record)
            records.insert(last, {**record, "ts_ns": records[last - 1]["ts_ns"]})
            return


def made_to_only_reduce(records: Lines) -> None:
    """An order that may open a position is given out as one that only reduces."""
    line = records[_first(records, "order_approved")]
    line["reduce_only"] = line["decision"]["reduce_only"] = not line["reduce_only"]


def a_suspension_is_told_earlier(records: Lines) -> None:
    """A bot that went on placing is given out as suspended before."""
    line = records[_first(records, "order_approved")]
    other = next(one for one in records if one["event_type"].startswith("bot_"))
    made = {k: other[k] for k in records[0] if k in other} | {
        "event_type": "bot_switched", "bot": line["owner"]["bot"], "state": "suspended",
        "reason": "calm", "by": "alice",
    }  # fmt: skip
    place = next(n for n, one in enumerate(records) if one["event_type"] == "session_start")
    records.insert(place, {**made, "ts_ns": records[place]["ts_ns"]})


def a_cancel_is_anothers(records: Lines) -> None:
    """A bot's request to cancel is given out as another bot's."""
    answer = next(
        one
        for one in records
        if one["event_type"] == "bot_answered" and one["kind"].startswith("cancel")
    )
    for one in records:
        if one["event_type"] == "input" and one["input"].get("request") == answer["request"]:
            one["input"]["bot"] = "another"


def _capitals(records: Lines, make: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """Change the allotment of the bot that has one, in every session's line."""
    for record in records:
        for spec in record.get("bots") or () if record["event_type"] == "session_start" else ():
            if spec["capital"]:
                spec["capital"] = make(spec["capital"])


def an_allotment_was_smaller(records: Lines) -> None:
    """A bot spent thousands; its session is made to have allotted it some hundred."""
    _capitals(records, lambda capital: {**capital, "USDT": "400"})


def an_allotment_was_of_another_asset(records: Lines) -> None:
    """What a bot had in base is told as in quote."""
    _capitals(records, lambda capital: {"USDT": "6000"})


def _refused_for_allotment(records: Lines, bot: str, msg: str = "") -> None:
    """Tell another reason of a refusal in a session: that the allotment does not pay."""
    begun = _first(records, "order_approved")
    at = next(
        n for n, one in enumerate(records) if n > begun and one.get("refusal") and one["bot"] == bot
    )
    records[at] |= {"refusal": "allotment_exceeded", "msg": msg}


def refused_for_no_allotment(records: Lines) -> None:
    """A bot without an allotment was refused for another reason."""
    _refused_for_allotment(records, "ft")


def more_was_allotted_together(records: Lines) -> None:
    """A refusal tells what all bots were allotted; the figure is another."""
    _refused_for_allotment(
        records, "cx", "the bots' allotments are 9000 USDT, the account has 8000"
    )


BOT_TRICKS: list[tuple[Trick, str]] = [
    (slipped_past, "never_asked"),
    (slipped_without_owner, "owner_absent"),
    (denial_removed, "request_without_end"),
    (refusal_removed, "request_without_end"),
    (ids_remapped, "ids_differ"),
    (given_to_another, "owner_differs"),
    (asked_for_less, "order_differs"),
    (asked_twice, "ended_twice"),
    (told_of_anothers, "told_of_another"),
    (made_to_only_reduce, "reduce_only_differs"),
    (a_suspension_is_told_earlier, "order_of_shut_out"),
    (a_cancel_is_anothers, "owner_differs"),
    (an_allotment_was_smaller, "allotment_exceeded"),
    (an_allotment_was_of_another_asset, "allotment_exceeded"),
    (refused_for_no_allotment, "allotment_absent"),
    (more_was_allotted_together, "allotment_differs"),
]
"""Each trick, and the fault that gives it away."""
