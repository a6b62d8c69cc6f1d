"""The launch gates as they stand now: green, red, stale, missing or unreadable."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path

import msgspec

from evidence.gates import dry_run, live_pilot, live_readiness, shadow_testnet, stability
from evidence.gates.scorecard import gate_passed
from evidence.gates.trial_reports import JudgeAgain, why_not_believed, why_not_shown
from evidence.read.artifact_times import age_hours, parse_time
from evidence.read.json_inputs import Artifact, MalformedInputError, load_artifact


class GateLight(StrEnum):
    """How a gate stands."""

    GREEN = "GREEN"
    RED = "RED"
    STALE = "STALE"
    MISSING = "MISSING"
    MALFORMED = "MALFORMED"
    REHEARSED = "REHEARSED"
    """Green, but on evidence that is not proven to be of a testnet."""


class LaunchGateState(msgspec.Struct, frozen=True):
    """One gate, its age in hours (None: it does not say when it was made), and why."""

    stem: str
    light: GateLight
    age: float | None
    detail: str


def _decided(word: str) -> Callable[[Artifact], bool]:
    return lambda artifact: artifact.get("decision") == word


GATES: tuple[tuple[str, Callable[[Artifact], bool]], ...] = (
    (stability.STEM, gate_passed),
    (live_readiness.STEM, _decided("GO")),
    (shadow_testnet.STEM, _decided("READY_FOR_TESTNET")),
    (dry_run.STEM, lambda artifact: artifact.get("ok") is True),
    (live_pilot.STEM, _decided("READY_FOR_LIVE_PILOT")),
)


def read_gates(
    status_dir: Path,
    now: datetime,
    age_hours_max: int,
    trials: Sequence[str] = (),
    trials_bound: Mapping[str, Mapping[str, object]] | None = None,
    *,
    judge_again: JudgeAgain | None = None,
) -> list[LaunchGateState]:
    """Look at every gate's artifact in a directory, and at the report of each course of trials.

    Args:
        status_dir: the directory.
        now: what ages are counted to.
        age_hours_max: an older artifact is stale.
        trials: courses that must have been passed.
        trials_bound: course -> fields of its report, each with the value that it must have.
        judge_again: the trials' own judges; None: reports are held to themselves alone.
    """
    courses: list[tuple[str, Callable[[Artifact], str]]] = []
    for one in trials:
        bound = {"course": one, **(trials_bound or {}).get(one, {})}
        why = partial(why_not_believed, bound=bound)
        if judge_again is not None:
            kept = status_dir / f"trial_{one}.observations.json"
            why = partial(why_not_shown, bound=bound, kept=kept, judge_again=judge_again)
        courses.append((f"trial_{one}", why))
    gates = [(stem, _reason(passed)) for stem, passed in GATES]
    return [_state(status_dir, stem, why, now, age_hours_max) for stem, why in (*gates, *courses)]


def _reason(passed: Callable[[Artifact], bool]) -> Callable[[Artifact], str]:
    """Why a gate is not green, from its own words; empty when it is."""

    def why(artifact: Artifact) -> str:
        if passed(artifact):
            return ""
        blocks = artifact.get("hard_blocks") or artifact.get("hard_failures")
        return str(blocks or "no reason given")

    return why


def _state(
    folder: Path, stem: str, why: Callable[[Artifact], str], now: datetime, age_hours_max: int
) -> LaunchGateState:
    try:
        artifact = load_artifact(stem, str(folder / f"{stem}.json"))
    except MalformedInputError as error:
        return LaunchGateState(stem, GateLight.MALFORMED, None, str(error))
    if artifact.is_missing:
        return LaunchGateState(stem, GateLight.MISSING, None, f"no {stem}.json")
    age = _age(artifact, now)
    if reason := why(artifact):
        return LaunchGateState(stem, GateLight.RED, age, reason)
    if age is None or not 0 <= age <= age_hours_max:
        told = "it does not say when it was made" if age is None else f"made {age:.2f} h ago"
        return LaunchGateState(stem, GateLight.STALE, age, told)
    doubts = _doubts(artifact)
    if doubts:
        return LaunchGateState(stem, GateLight.REHEARSED, age, doubts)
    return LaunchGateState(stem, GateLight.GREEN, age, "")


def _age(artifact: Artifact, now: datetime) -> float | None:
    extras = artifact.get("seatrial")
    inner = extras.get("generated_at") if isinstance(extras, dict) else None
    made = parse_time(artifact.get("generated_at")) or parse_time(inner)
    return None if made is None else age_hours(now, made)


def _doubts(artifact: Artifact) -> str:
    """What the scorecard itself remarks on its evidence."""
    extras = artifact.get("seatrial")
    remarks = extras.get("remarks") if isinstance(extras, dict) else None
    if not isinstance(remarks, list):
        return ""
    marks = ("REHEARSAL", "EVIDENCE_")
    return ", ".join(str(remark) for remark in remarks if str(remark).startswith(marks))
