"""docs/LIARS.md, played anew from the liar suites: `python -m tests.support.liars_table`.

Each row is a trick that was really played, the verdict that came, and the reason that was given.
"""

import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from evidence.promotion.promotion_decision import Judgement
from evidence.report.report import Report
from tests.support.bot_liars import BOT_TRICKS, judged
from tests.support.liar_story import LIES, STORIES, Told
from tests.support.liars import TRICKS, played
from tests.support.lie_player import Played, alone
from tests.support.lies_of_demos import DEMO_LIES, given_away
from tests.support.promotion_liars import AROUND, EDITS, edited

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "LIARS.md"
MISSED = "NOT CAUGHT"
EDITED = "A record is edited"
BOTS = "A record with bots is edited"
WORLDS = "A whole world's record is edited"
DEMOS = "A real daemon's record is edited"
PROMOTION = "A promotion is wanted"
SECTIONS = (EDITED, BOTS, WORLDS, DEMOS, PROMOTION)

PROMOTION_LIARS = "tests/integration/test_promotion_liars.py"
GAMED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Mock passes as real",
     "No mock profiles; every line says mode and venue; a simulator's books confirm no testnet",
     ("thoroughly_renamed_sim_session", "rename_the_simulator",
      "tests/unit/evidence/test_producer.py")),
    ("The sample is a line count",
     "Sessions, orders and fills count; padding is a fault of the record",
     ("mock_padding_heartbeats", "foreign_padding", "idle_for_ten_thousand_lines")),
    ("Silence is success",
     "Heartbeats are due, sequence numbers have no gap, a session has a stop line",
     ("silenced_minutes", "dropped_tail", "silence_the_middle")),
    ("Self-reported truth",
     "The venue's own history is rebuilt and compared; types count whatever the flags say",
     ("withhold_the_books", "mock_padding_orders", "unflag_an_error")),
    ("Survivorship",
     "Failed runs are listed in the bundle; crashed sessions are faults; a missing run or id shows",
     ("removed_incident_session", "remove_the_first_session",
      f"{PROMOTION_LIARS}::test_a_crashed_session_does_not_leave_the_sample")),
    ("The set of anomalies is the wrong one",
     "Incidents, unknown orders, breaches and differences decide; tolerances are stated by kind",
     ("tests/unit/evidence/test_promotion.py::test_each_way_not_to_be_ready",)),
    ("No drill is asked for",
     "Every drill must have passed lately, by its details decided again; a failed one is NO_GO",
     ("remove_the_drill", "fail_the_last_drill", "claim_a_failed_drill", "empty_a_drill")),
    ("The terms are made trivial",
     "A floor in the code: no policy below it is read, signed for, or taken by a live gate",
     ("tests/unit/evidence/test_promotion.py::test_no_policy_is_below_the_floor",
      "tests/integration/test_control_gating.py")),
    ("What the operator does not like is left out",
     "Every decision and heartbeat states running totals; ids of sessions and incidents count up",
     ("removed_denials", "removed_incident", "removed_session_of_a_run")),
    ("The input is written so that nothing is found in it",
     "What is not understood is told, and no gate passes on it",
     ("tests/property/evidence/test_foreign_files.py",)),
    ("Nothing is bound",
     "A change of code, configuration, caps or account begins the count anew",
     ("change_the_caps_between_sessions",
      f"{PROMOTION_LIARS}::test_sessions_of_two_bindings_do_not_add_up")),
    ("A bot is said to have asked for what it never asked for",
     "Each order of a bot has one request before it, each request one end; signatures are checked",
     ("slipped_past", "denial_removed", "ids_remapped", "tests/unit/evidence/test_bots.py")),
    ("The pipeline tolerates a red verdict",
     "Exit codes carry the verdict; no step of a workflow swallows one",
     ("leave_a_red_gate", "let_a_gate_grow_old", "tests/unit/evidence/test_workflows.py")),
)  # fmt: skip
"""How gates are gamed, what stands against it here, and the tricks and tests that try it."""


def title(trick: object) -> str:
    """The first line of a trick's docstring."""
    text = (trick.__doc__ or "").strip().splitlines()
    return text[0].rstrip(".") if text else str(getattr(trick, "__name__", trick))


def row(*cells: str) -> str:
    """A row of the table; nothing in a cell can end it."""
    return "| " + " | ".join(" ".join(cell.replace("|", "/").split()) for cell in cells) + " |"


def short(reason: str) -> str:
    """The reason without its first example."""
    return reason.partition(", first")[0]


def row_of_a_trick(trick: Callable[..., object], expected: str, after: Report) -> str:
    """An edit of a journal, and what the accountant said of it."""
    reason = next((one for one in after.reasons if expected in one), MISSED)
    return row(title(trick), f"`{trick.__name__}`", after.verdict, short(reason))


def row_of_a_bots_trick(trick: Callable[..., object], kind: str, after: Report) -> str:
    """An edit of a journal with bots, and what the accountant said of it."""
    return row_of_a_trick(trick, f"x {kind}", after)


def row_of_a_lie(one: Told, played: Played) -> str:
    """A lie about a whole world, as it was played in the first story that it fits."""
    by = "an outside anchor" if one.is_outside else "the record"
    if one.is_kept:
        by = "told all the same"
    reason = played.fault or short(played.reason)
    return row(one.words, f"`{one.name}`", played.verdict, by, reason)


def row_of_a_demo_lie(name: str, giver: str, report: Report, reason: str) -> str:
    """A lie about a real daemon's record, and who gave it away."""
    one = DEMO_LIES[name]
    return row(title(one.lie), f"`{name}`", one.name, report.verdict, giver, short(reason))


def row_of_a_promotion(trick: Callable[..., object], judgement: Judgement, code: str) -> str:
    """A trick for a promotion, and the decision."""
    reason = next((one for one in judgement.reasons if one.code == code), None)
    told = f"{reason.code}: {reason.text}" if reason else MISSED
    return row(title(trick), f"`{trick.__name__}`", judgement.decision, short(told))


@cache
def documented(section: str) -> tuple[str, ...]:
    """The rows of a section of the document as it stands.

    The test of each trick holds its own row against them, so that no test need play all again.
    """
    lines = TABLE.read_text(encoding="utf-8").partition(f"## {section}:")[2].splitlines()
    table = itertools.dropwhile(lambda line: not line.startswith("|"), lines)
    rows = itertools.takewhile(lambda line: line.startswith("|"), table)
    return tuple(rows)[2:]


def played_anew(section: str) -> Iterator[str]:
    """The rows of a section, every trick and lie of it played."""
    with tempfile.TemporaryDirectory() as directory:
        place = (_made(Path(directory) / str(number)) for number in itertools.count())
        if section == EDITED:
            for trick, expected in one_row_each():
                yield row_of_a_trick(trick, expected, played(trick, next(place))[1])
        elif section == BOTS:
            for trick, kind in BOT_TRICKS:
                yield row_of_a_bots_trick(trick, kind, judged(trick, next(place)))
        elif section == WORLDS:
            for one in LIES.values():
                yield row_of_a_lie(one, next(alone(one, stories_max=1)))
        elif section == DEMOS:
            for name, one in DEMO_LIES.items():
                yield row_of_a_demo_lie(name, *given_away(one))
        else:
            for edit, _, code in EDITS:
                yield row_of_a_promotion(edit, edited(edit, next(place)), code)
            for trick, _, code in AROUND:
                yield row_of_a_promotion(trick, trick(next(place)), code)


def _made(place: Path) -> Path:
    place.mkdir()
    return place


def one_row_each() -> list[tuple[Callable[..., object], str]]:
    """The accountant's tricks, each with the first reason that it is tried for."""
    first: dict[Callable[..., object], str] = {}
    for trick, expected in TRICKS:
        first.setdefault(trick, expected)
    return list(first.items())


def text(rows_of: Callable[[str], Iterable[str]]) -> str:
    """The whole document, with these rows in its sections."""
    lines = [
        "# Liars",
        "",
        "What a clever operator may try, and what comes of it. Every row was played: an honest",
        "record was edited, numbered and chained anew so that no hash gives the edit away, and",
        "judged. By `python -m tests.support.liars_table`; the tests play it again, and compare.",
        "",
        f"## {EDITED}: the accountant's verdict",
        "",
        "| trick | in the suite | verdict | reason |",
        "|---|---|---|---|",
        *rows_of(EDITED),
        "",
        f"## {BOTS}: the accountant's verdict",
        "",
        "| trick | in the suite | verdict | reason |",
        "|---|---|---|---|",
        *rows_of(BOTS),
        "",
        f"## {WORLDS}: the accountant's verdict",
        "",
        f"{len(LIES)} lies, {sum(one.is_outside for one in LIES.values())} of which only an anchor",
        "off the box shows (the venue's own history, a witness, heads that somebody else keeps);",
        f"told in {len(STORIES)} seeded worlds, alone and in pairs. `make liars` plays all pairs.",
        "",
        "| lie | in the suite | verdict | given away by | reason |",
        "|---|---|---|---|---|",
        *rows_of(WORLDS),
        "",
        f"## {DEMOS}: the accountant's verdict",
        "",
        "Invented by a fresh pair of eyes that had not read the suite, and told in records of real",
        "daemons (`tests/recorded`): a demo, a storm of faults, crashes, a box with an incident, a",
        "bot. An outside anchor is the venue's own list of ids, a witness, or heads that somebody",
        "else keeps; whatever only that shows is the box's own word.",
        "",
        "| lie | in the suite | record | verdict | given away by | reason |",
        "|---|---|---|---|---|---|",
        *rows_of(DEMOS),
        "",
        f"## {PROMOTION}: the decision",
        "",
        "The honest campaign is READY_FOR_LIVE_PILOT.",
        "",
        "| trick | in the suite | decision | reason |",
        "|---|---|---|---|",
        *rows_of(PROMOTION),
        "",
        "## How gates get gamed",
        "",
        "| weakness | what stands against it | tried by |",
        "|---|---|---|",
        *(
            row(how, against, ", ".join(f"`{one}`" for one in tried))
            for how, against, tried in GAMED
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the document."""
    TABLE.write_text(text(played_anew), encoding="utf-8")
    print(TABLE)


if __name__ == "__main__":
    main()
