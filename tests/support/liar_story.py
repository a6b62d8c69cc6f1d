"""Stories that liars edit, and how they make their edits good.

Rules of this file:
1. A story is an honest record with the venue's books: seeded worlds of the real engine under the
   testnet's name, and a demo's real journal. As it stands it is OK.
2. The liar owns the box: after an edit every line is numbered and chained anew, the anchors beside
   the journal are written anew, and he signs with the box's own key. Only the venue's books are
   not his.
3. `make_good` writes every running total anew, as an honest daemon would have.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from daemon.model.records import EventType, severity_of
from evidence.report.report import Report, build_report
from tests.support.honest import RESTARTS, STORM, TightRun
from tests.support.journal_maker import encode, write_journal
from tests.support.sim_bots import run_world
from tests.support.sim_journal import books_of, records_of
from tests.support.sim_runner import SimRun

Line = dict[str, Any]
TESTNET = "binance-spot-testnet"
ANCHORED_EVERY = 7
"""An outside anchor holds every so manyth line: more seldom than orders at a venue come."""


class NotHereError(Exception):
    """The story has nothing that this lie is about."""


@dataclass(slots=True)
class Story:
    """A journal's lines without seq and prev, and the venue's books of the same time."""

    name: str
    lines: list[Line]
    books: dict[str, Any]

    def first(self, event_type: str, **wanted: Any) -> int:
        """Where the first line of a kind stands whose fields are as wanted.

        Raises:
            NotHereError: there is none.
        """
        return self.all(event_type, **wanted)[0]

    def last(self, event_type: str, **wanted: Any) -> int:
        """Where the last one stands."""
        return self.all(event_type, **wanted)[-1]

    def all(self, event_type: str, **wanted: Any) -> list[int]:
        """Where all lines of a kind stand whose fields are as wanted; at least one."""
        found = [
            number
            for number, line in enumerate(self.lines)
            if line["event_type"] == event_type
            and all(_is_wanted(line.get(key), value) for key, value in wanted.items())
        ]
        if not found:
            raise NotHereError(f"{self.name} has no {event_type} with {wanted}")
        return found

    def take_out(self, wanted: Callable[[Line], bool]) -> list[Line]:
        """Remove lines; those that were removed, at least one."""
        gone = [line for line in self.lines if wanted(line)]
        if not gone:
            raise NotHereError(f"{self.name} has no such line")
        self.lines[:] = [line for line in self.lines if not wanted(line)]
        return gone

    def of_kind(self, event_type: str) -> Iterator[Line]:
        """All lines of a kind."""
        return (line for line in self.lines if line["event_type"] == event_type)


def _is_wanted(found: object, wanted: object) -> bool:
    return bool(wanted(found)) if callable(wanted) else found == wanted


Lie = Callable[[Story], None]


@dataclass(frozen=True, slots=True)
class Told:
    """A lie of the suite."""

    lie: Lie
    is_outside: bool = False
    """Whether only an anchor off the box shows it: the record agrees with itself and the venue."""
    is_kept: bool = False
    """Whether the record is OK as before, and so was what the liar wanted to hide: it is told."""

    @property
    def name(self) -> str:
        """Its name in the suite."""
        return self.lie.__name__

    @property
    def words(self) -> str:
        """What the liar does."""
        return (self.lie.__doc__ or "").strip().splitlines()[0].rstrip(".")


LIES: dict[str, Told] = {}


def lie(one: Lie) -> Lie:
    """Take a lie into the suite: the record itself gives it away."""
    LIES[one.__name__] = Told(one)
    return one


def outside(one: Lie) -> Lie:
    """Take a lie into the suite that only an anchor off the box shows."""
    LIES[one.__name__] = Told(one, is_outside=True)
    return one


def kept(one: Lie) -> Lie:
    """Take a lie into the suite that pays nothing: what it is to hide is found all the same."""
    LIES[one.__name__] = Told(one, is_kept=True)
    return one


# ---------------------------------------------------------------------- stories
def _on_testnet(name: str, run: SimRun) -> Story:
    """A world's record under the testnet's name, with the venue's books as a download has them."""
    lines: list[Line] = json.loads(json.dumps(records_of(run), default=str))
    for line in lines:
        line["mode"], line["exchange"] = "testnet", TESTNET
        if "environment" in line:
            line["environment"] = TESTNET
    books = json.loads(json.dumps(books_of(run), default=str))
    for kept_by_a_simulator in ("faults", "requests", "rejects"):
        del books[kept_by_a_simulator]
    books["source"] = {"environment": TESTNET, "host": "testnet"}
    return Story(name, lines, books)


MAKERS: dict[str, Callable[[int], SimRun]] = {
    "restarts": lambda seed: SimRun(seed, menu=RESTARTS).run(),
    "tight": lambda seed: TightRun(seed).run(),
    "storm": lambda seed: SimRun(seed, menu=STORM).run(),
    "bots": run_world,
}
STORIES = (
    "restarts-4", "restarts-9", "restarts-11", "tight-2", "tight-4", "tight-5", "storm-5",
    "storm-10", "bots-1", "bots-6",
)  # fmt: skip
"""Together they have every kind of line that a world makes; a lie is told in each that fits it."""


@lru_cache
def _made(name: str) -> Story:
    kind, _, seed = name.rpartition("-")
    return _on_testnet(name, MAKERS[kind](int(seed)))


def story(name: str) -> Story:
    """A fresh copy of a story, to be edited."""
    return copy.deepcopy(_made(name))


# ---------------------------------------------------------------------- judging
def judged(told: Story, anchors: list[Mapping[str, Any]] | None = None) -> Report:
    """The accountant's report; `anchors` are heads off the box.

    Without them the lie was told before anybody outside had seen a line: the heads off the box are
    the liar's own, and the record alone must give it away.
    """
    with TemporaryDirectory() as place:
        home = Path(place)
        journal = write_journal(home / "journal", encode(told.lines), is_anchored=True)
        (home / "books.json").write_text(json.dumps(told.books))
        file = home / "outside.jsonl"
        heads = heads_off_the_box(told) if anchors is None else anchors
        file.write_text("".join(json.dumps(head) + "\n" for head in heads))
        return build_report([journal], ledger=home / "books.json", anchors=file)


def findings(report: Report) -> dict[str, int]:
    """What a record tells against itself; a lie must not make any of it less."""
    plain = report.journals[0].account.results()
    incidents, orders, caps = plain["incidents"], plain["orders"], plain["caps"]
    return {
        "crashes": plain["sessions"]["crashes"], "errors": incidents["error_count"],
        "anomalies": incidents["anomaly_count"], "incidents": len(incidents["incidents"]),
        "unresolved": len(incidents["unresolved"]), "kills": len(incidents["kills"]),
        "refused commands": incidents["commands_refused"], "denied": orders["denied"],
        "rejects": orders["rejects"], "timeouts": orders["timeouts"],
        "in doubt": sum(orders["unknown_ends"].values()), "breaches": caps["breaches"],
        "differences": len(incidents["reconcile_differences"]),
        "outage": incidents["outage_ms"], "crashed sessions": sum(
            one["end"] == "crashed" for one in plain["sessions"]["sessions"]),
    }  # fmt: skip


def heads_off_the_box(honest: Story) -> list[Mapping[str, Any]]:
    """What an outside anchor saw as the honest record was written: the last line among them."""
    lines = encode(honest.lines)
    wanted = {*range(ANCHORED_EVERY - 1, len(lines), ANCHORED_EVERY), len(lines) - 1}
    return [
        {"seq": number + 1, "head": hashlib.sha256(lines[number]).hexdigest()}
        for number in sorted(wanted)
    ]


# ---------------------------------------------------------------------- making good
def make_good(told: Story) -> None:
    """Write every running total of decisions, heartbeats and stop lines anew."""
    session = {"approved": 0, "fills": 0}
    denied: dict[str, int] = {}
    run = [0, 0, 0]
    for line in told.lines:
        kind = line["event_type"]
        severity = severity_of(EventType(kind))
        if kind == "run_start":
            run = [0, 0, 0]
        elif kind == "session_start":
            session, denied = {"approved": 0, "fills": 0}, {}
        run[0] += kind == "incident_opened"
        run[1] += severity.is_anomaly and kind in COUNTED
        run[2] += severity.is_error and kind in COUNTED
        session["approved"] += kind == "order_approved"
        session["fills"] += kind == "fill"
        if kind == "order_denied":
            reason = line["deny_reason"]
            denied[reason] = denied.get(reason, 0) + 1
        decided = [session["approved"], sum(denied.values())]
        if kind in {"order_approved", "order_denied"} and "counts" in line:
            line["counts"] = decided
        elif kind == "heartbeat":
            line["counts"] = [*decided, session["fills"], *run]
        elif kind == "session_stop":
            line.update(orders=decided[0], fills=session["fills"], denied=dict(denied))
        elif kind == "recovery":
            line["from_seq"] = next(n for n, one in enumerate(told.lines) if one is line) - 1


COUNTED = frozenset({
    "order_reject", "timeout", "rate_limit", "reconnect", "disconnected", "strategy_error",
    "exchange_error", "journal_fault", "incident_opened",
})  # fmt: skip
"""What a daemon counts as anomaly or error of its own run."""


def renumber_incidents(told: Story) -> None:
    """Close the holes in the numbers of incidents, wherever their names stand."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for line in told.of_kind("incident_opened"):
        run = line["incident_id"].rpartition("-i")[0]
        counts[run] = counts.get(run, 0) + 1
        names[line["incident_id"]] = f"{run}-i{counts[run]}"
    text = json.dumps(told.lines)
    for old, new in names.items():
        text = text.replace(f'"{old}"', f'"{new}~"').replace(f"{old} ", f"{new}~ ")
    told.lines[:] = json.loads(text.replace("~", ""))
