"""The report of a run, for machines (JSON) and readers (Markdown); HTML stands beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from daemon.trials.judging.course import Course, Trial
from daemon.trials.judging.observation import Observation
from daemon.trials.judging.rejudge import report_hash
from daemon.trials.judging.trial_verdict import ExitCode, TrialOutcome, Verdict, exit_code

FORMAT = 1
_WITH_EVIDENCE = frozenset({TrialOutcome.FINDING, TrialOutcome.MET_BY_GATE})


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was made of."""

    course: str
    course_hash: str
    about: str
    mode: str
    command: tuple[str, ...]
    bot_version: str
    files: Mapping[str, str]
    seed: int
    symbol: str
    started: str
    seconds: float
    seatrial: str
    python: str
    observations_hash: str
    loopback_only: bool
    environment_taken: tuple[str, ...]


class TrialRow(msgspec.Struct, frozen=True):
    """One trial of a run."""

    trial: Trial
    verdict: Verdict
    seconds: float
    notes: tuple[str, ...] = ()
    """What was repaired before it."""
    observation: Observation | None = None
    """What it was judged by; None when it was not played."""


def exit_code_of(rows: Sequence[TrialRow]) -> ExitCode:
    """What the command ends with."""
    return exit_code((row.trial.required, row.verdict.outcome) for row in rows)


def counts_of(rows: Sequence[TrialRow]) -> dict[TrialOutcome, int]:
    """Outcome -> number of trials."""
    return {
        outcome: sum(1 for row in rows if row.verdict.outcome is outcome)
        for outcome in TrialOutcome
    }


def sentence_of(rows: Sequence[TrialRow]) -> str:
    """The whole run in one sentence."""
    counts = counts_of(rows)
    parts = [f"{count} {outcome}" for outcome, count in counts.items() if count]
    met = counts[TrialOutcome.MET_BY_GATE]
    ends = {
        ExitCode.ALL_PASS: "every required trial is passed" + (" or met by the gate" * bool(met)),
        ExitCode.FINDINGS: "there are findings",
        ExitCode.NOT_SHOWN: "no finding, but a required trial was not shown",
        ExitCode.COULD_NOT_RUN: "it could not run",
    }
    return f"{len(rows)} trials: {', '.join(parts)}; {ends[exit_code_of(rows)]}."


def as_json(facts: RunFacts, rows: Sequence[TrialRow]) -> dict[str, Any]:
    """The report as one object; `preflight` and `promote` hold it to its hash and its rows."""
    told = {
        "format": FORMAT,
        "generated_at": facts.started,
        **msgspec.to_builtins(facts),
        "exit_code": int(exit_code_of(rows)),
        "verdict": sentence_of(rows),
        "counts": {str(outcome): count for outcome, count in counts_of(rows).items()},
        "trials": [
            {
                "name": row.trial.name,
                "required": row.trial.required,
                "outcome": str(row.verdict.outcome),
                "because": row.verdict.because,
                "does": row.trial.does,
                "must": row.trial.must,
                "stands_for": row.trial.stands_for,
                "seconds": round(row.seconds, 1),
                "measures": dict(row.verdict.measures),
                "evidence": list(row.verdict.evidence),
                "notes": list(row.notes),
            }
            for row in rows
        ],
    }
    return {**told, "report_hash": report_hash(told)}


def as_markdown(facts: RunFacts, rows: Sequence[TrialRow]) -> str:
    """The report as text: a table, then the evidence of each finding."""
    lines = [
        f"# Course `{facts.course}`: {sentence_of(rows)}",
        "",
        f"Command: `{' '.join(facts.command)}`  ",
        f"Bot version: `{facts.bot_version[:16]}`, of the command and {len(facts.files)} files  ",
        f"Run: {facts.started}, {facts.seconds:.0f} s, seed {facts.seed}, {facts.mode}  ",
        f"With: {facts.symbol}, seatrial {facts.seatrial}, Python {facts.python}",
        "",
        "| Trial | Outcome | What the ledger shows |",
        "|---|---|---|",
    ]
    lines += [
        f"| {row.trial.name} | {row.verdict.outcome} | {_cell(row.verdict.because)} |"
        for row in rows
    ]
    for row in rows:
        if row.verdict.outcome in _WITH_EVIDENCE:
            lines += [
                "",
                f"## {row.trial.name}",
                "",
                f"{row.trial.does} {row.trial.must}",
                "",
                f"Stands for: {row.trial.stands_for}",
                "",
                "```",
                *row.verdict.evidence,
                "```",
            ]
    return "\n".join(lines) + "\n"


def listing(course: Course) -> str:
    """What `--list` prints."""
    lines = [f"Course {course.name}: {course.about}".removesuffix(": "), ""]
    for trial in course.trials:
        words = [] if trial.required else ["not required"]
        words += ["only through the gate"] if trial.through_gate else []
        lines += [
            trial.name + (f" ({', '.join(words)})" if words else ""),
            f"    done to the bot: {trial.does}",
            f"    must be seen:    {trial.must}",
            f"    stands for:      {trial.stands_for}",
        ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
