"""Journals of real daemons, with the simulated venue's books: demos and a box with an incident.

`tests/recorded/NAME.json.xz` holds the lines without what numbers and chains them, and without the
ticks that no line states again (so the runs say `thinned`); ids carry no digest of a chain that is
no longer theirs. Made from `seatrial demo --seconds 20` (demo), `--caps tiny --faults storm`
(storm), `--crash 2` (crashes), `-- bot` (bot), and from a box by hand (box): two drills, a session,
caps tightened, an order of others, its incident resolved, refused starts, `kill -9`, a kill.
"""

import copy
import json
import lzma
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from evidence.report.report import Report, build_report
from tests.support.journal_maker import encode, write_journal
from tests.support.liar_story import Line, Story, heads_off_the_box, make_good

RECORDED = Path(__file__).resolve().parents[1] / "recorded"
NAMES = ("demo", "storm", "crashes", "box", "bot")


@lru_cache
def _loaded(name: str) -> Story:
    stored = json.loads(lzma.decompress((RECORDED / f"{name}.json.xz").read_bytes()))
    made = Story(name, stored["lines"], stored["ledger"])
    settle(made)
    return made


def recorded(name: str) -> Story:
    """A fresh copy of a record, to be edited."""
    return copy.deepcopy(_loaded(name))


def settle(told: Story) -> None:
    """Make good what names a line by its number, and every total, a checkpoint's among them."""
    make_good(told)
    run_seq = checkpoint_seq = 0
    session: Line = {}
    for seq, line in enumerate(told.lines, 1):
        kind = line["event_type"]
        if kind == "run_start":
            run_seq = seq
        elif kind == "recovery":
            line.update(from_seq=run_seq - 1, checkpoint_seq=checkpoint_seq)
        elif kind == "session_start":
            session = {"orders": 0, "fills": 0, "denied": {}}
        elif kind in {"order_approved", "fill"}:
            session["orders" if kind == "order_approved" else "fills"] += 1
        elif kind == "order_denied":
            reason = line["deny_reason"]
            session["denied"][reason] = session["denied"].get(reason, 0) + 1
        elif kind == "checkpoint":
            checkpoint_seq = seq
            if line["state"].get("session"):
                line["state"]["session"] |= copy.deepcopy(session)
        if line.get("about_seq"):
            line["about_seq"] = 1


def report_of(told: Story, *, with_books: bool, honest: Story | None = None) -> Report:
    """The accountant's report; with heads off the box of the `honest` record, where it is given."""
    with TemporaryDirectory() as place:
        home = Path(place)
        journal = write_journal(home / "journal", encode(told.lines), is_anchored=True)
        books, heads = home / "books.json", home / "outside.jsonl"
        books.write_text(json.dumps(told.books))
        if honest is not None:
            rows = heads_off_the_box(honest)
            heads.write_text("".join(json.dumps(head) + "\n" for head in rows))
        return build_report(
            [journal], ledger=books if with_books else None, anchors=heads if honest else None
        )
