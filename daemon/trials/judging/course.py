"""What a course is: trials, each a list of deeds and one judge; read from decoded TOML.

A course file:

    name = "mine"
    patience_s = 20                    # how long a trial waits until the bot trades

    [[trial]]
    use = "answer-lost"                # a trial of the standard course, changed where you say so
    watch_s = 20

    [[trial]]
    name = "my-trial"                  # or one of your own
    does = "What is done to the bot."
    must = "What the ledger must show."
    stands_for = "Why."
    judge = "resent"
    watch_s = 12
    steps = [{ at = 0.5, do = "strike", kind = "drop_answer", … }]
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec

Value: TypeAlias = Any
DEEDS: Mapping[str, str] = MappingProxyType(
    {
        "strike": "one fault of the venue, now: kind = …, and its parameters",
        "faults": "rules of the venue, from now on: rules = [{…}]",
        "calm": "every fault ends",
        "fill": "resting orders of the bot trade: fraction = 0..1",
        "fill-often": "the same, again and again: times_pace = 2, for_s = 6",
        "withdraw": "what is free of an asset leaves the account: asset = …",
        "restart-venue": "the venue ends and begins again: down_s = 3",
        "stop-bot": "SIGSTOP",
        "continue-bot": "SIGCONT",
        "end-bot": "SIGTERM",
        "kill-bot": "SIGKILL, to the bot and all its children",
        "start-bot": "the bot is started again",
        "fill-disk": "the disk that the bot writes to is filled up",
        "free-disk": "it has room again",
        "deny": "caps of the gate are tightened until `calm`: caps = { NAME = VALUE }",
        "kill-switch": "`seatrial kill`: everything is cancelled, new orders are denied",
    }
)
NEEDS = frozenset({"trading", "resting", "nothing"})
NEEDS_DISK = frozenset({"fill-disk", "free-disk"})
NEEDS_GATE = frozenset({"deny", "kill-switch"})


class CourseError(ValueError):
    """A course that cannot be understood; the text says where and what is expected."""


class Step(msgspec.Struct, frozen=True):
    """One deed, `at_s` seconds after the first moment of the trial."""

    at_s: float
    do: str
    arguments: Mapping[str, Value]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One trial."""

    name: str
    does: str
    must: str
    stands_for: str
    judge: str
    steps: tuple[Step, ...]
    watch_s: float
    """Seconds from the first moment to the last that is judged."""
    params: Mapping[str, Value] = msgspec.field(default_factory=dict)
    required: bool = True
    needs: str = "trading"
    through_gate: bool = False
    """A trial of the gate: it has no meaning where the bot meets the venue itself."""
    restart_after: bool = False
    """The bot is started anew afterwards, whatever it did."""


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """A named list of trials."""

    name: str
    about: str
    patience_s: float
    trials: tuple[Trial, ...]


_COURSE_KEYS = "name, about, patience_s, [[trial]]"
_TRIAL_KEYS = frozenset(Trial.__struct_fields__)
_TEXTS = ("name", "does", "must", "stands_for", "judge")


def course_of(
    table: Mapping[str, Value], judges: Collection[str], standard: Course | None = None
) -> Course:
    """The course that a decoded TOML file describes.

    Raises:
        CourseError: naming the trial and the key that are wrong, and what is expected.
    """
    unknown = set(table) - {"name", "about", "patience_s", "trial"}
    if unknown:
        raise CourseError(f"unknown key {min(unknown)!r}; known: {_COURSE_KEYS}")
    rows = table.get("trial", [])
    if not isinstance(rows, list) or not rows:
        raise CourseError("a course has at least one [[trial]]")
    name = table.get("name")
    if not isinstance(name, str) or not name:
        raise CourseError('name = "…" is missing')
    trials = tuple(_trial_of(number, row, judges, standard) for number, row in enumerate(rows, 1))
    names = [trial.name for trial in trials]
    for one in names:
        if names.count(one) > 1:
            raise CourseError(f"two trials are called {one!r}; give each a name of its own")
    return Course(
        name=name,
        about=str(table.get("about", "")),
        patience_s=_seconds(table.get("patience_s", 20), "patience_s"),
        trials=trials,
    )


def _trial_of(number: int, row: object, judges: Collection[str], standard: Course | None) -> Trial:
    if not isinstance(row, Mapping):
        raise CourseError(f"trial {number}: not a table")
    given = dict(row)
    where = f"trial {given.get('name') or given.get('use') or number}"
    base: dict[str, Value] = {}
    if "use" in given:
        wanted = given.pop("use")
        known = {trial.name: trial for trial in standard.trials} if standard else {}
        if wanted not in known:
            raise CourseError(f"{where}: use = {wanted!r} is no trial of the standard course")
        base = {key: getattr(known[wanted], key) for key in _TRIAL_KEYS}
    unknown = set(given) - _TRIAL_KEYS
    if unknown:
        raise CourseError(
            f"{where}: unknown key {min(unknown)!r}; known: use, {', '.join(sorted(_TRIAL_KEYS))}"
        )
    if "steps" in given:
        given["steps"] = _steps_of(where, given["steps"])
    if "params" in given and base:
        given["params"] = {**base["params"], **given["params"]}
    merged = {**base, **given}
    for key in _TEXTS:
        if not isinstance(merged.get(key), str) or not merged[key].strip():
            raise CourseError(f'{where}: {key} = "…" is missing')
    if merged["judge"] not in judges:
        raise CourseError(
            f"{where}: judge = {merged['judge']!r} is none of {', '.join(sorted(judges))}"
        )
    if merged.get("needs", "trading") not in NEEDS:
        raise CourseError(f"{where}: needs is one of {', '.join(sorted(NEEDS))}")
    merged["watch_s"] = _seconds(merged.get("watch_s", 0), f"{where}: watch_s")
    merged.setdefault("steps", ())
    return Trial(**merged)


def _steps_of(where: str, rows: object) -> tuple[Step, ...]:
    if not isinstance(rows, list):
        raise CourseError(f"{where}: steps is a list of tables")
    steps = []
    for row in rows:
        if not isinstance(row, Mapping) or row.get("do") not in DEEDS:
            raise CourseError(f"{where}: each step has do = one of {', '.join(DEEDS)}")
        at = row.get("at", 0)
        if not isinstance(at, int | float) or at < 0:
            raise CourseError(f"{where}: at is a number of seconds, not {at!r}")
        rest = {key: value for key, value in row.items() if key not in {"at", "do"}}
        steps.append(Step(float(at), str(row["do"]), rest))
    return tuple(sorted(steps, key=lambda step: step.at_s))


def _seconds(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 3_600:
        raise CourseError(f"{where} is a number of seconds above 0 and up to 3600, not {value!r}")
    return float(value)
