"""What a trial ends with, and what a whole course ends with."""

from collections.abc import Iterable, Mapping
from enum import IntEnum, StrEnum

import msgspec

EVIDENCE_MAX = 8
"""Lines of evidence that a verdict carries; the whole ledger is kept beside the report."""


class TrialOutcome(StrEnum):
    """Five words; there is no score between them."""

    PASS = "PASS"  # noqa: S105 - no password
    FINDING = "FINDING"
    NOT_SHOWN = "NOT SHOWN"
    MET_BY_GATE = "MET BY THE GATE"
    """The gate met the fault in the bot's place, or stopped trading because of it; the bot did
    nothing wrong meanwhile."""
    NOT_APPLICABLE = "NOT APPLICABLE"


class ExitCode(IntEnum):
    """What the command ends with."""

    ALL_PASS = 0
    COULD_NOT_RUN = 1
    FINDINGS = 2
    NOT_SHOWN = 3


class Verdict(msgspec.Struct, frozen=True):
    """An outcome, one sentence for it, and the lines of the ledger that carry it."""

    outcome: TrialOutcome
    because: str
    evidence: tuple[str, ...] = ()
    measures: Mapping[str, str] = msgspec.field(default_factory=dict)


def passed(because: str, evidence: Iterable[str] = (), **measures: object) -> Verdict:
    """The bot did what it must."""
    return _verdict(TrialOutcome.PASS, because, evidence, measures)


def finding(because: str, evidence: Iterable[str] = (), **measures: object) -> Verdict:
    """The ledger shows that it did not."""
    return _verdict(TrialOutcome.FINDING, because, evidence, measures)


def not_shown(because: str, evidence: Iterable[str] = (), **measures: object) -> Verdict:
    """The bot did nothing that could show it."""
    return _verdict(TrialOutcome.NOT_SHOWN, because, evidence, measures)


def not_applicable(because: str) -> Verdict:
    """The trial has no meaning in this run."""
    return Verdict(TrialOutcome.NOT_APPLICABLE, because)


def exit_code(outcomes: Iterable[tuple[bool, TrialOutcome]]) -> ExitCode:
    """Of (required, outcome) pairs: findings before what was not shown, both before success.

    A trial that the gate has met needs no more of the bot; a course in which no trial was passed
    has shown nothing.
    """
    rows = list(outcomes)
    if any(outcome is TrialOutcome.FINDING for _, outcome in rows):
        return ExitCode.FINDINGS
    if not any(outcome is TrialOutcome.PASS for _, outcome in rows) or any(
        required and outcome is TrialOutcome.NOT_SHOWN for required, outcome in rows
    ):
        return ExitCode.NOT_SHOWN
    return ExitCode.ALL_PASS


def _verdict(
    outcome: TrialOutcome, because: str, evidence: Iterable[str], measures: Mapping[str, object]
) -> Verdict:
    lines = list(evidence)
    if len(lines) > EVIDENCE_MAX:
        rest = len(lines) - EVIDENCE_MAX
        lines = [*lines[:EVIDENCE_MAX], f"… and {rest} more; see the ledger beside this report"]
    return Verdict(
        outcome, because, tuple(lines), {name: str(value) for name, value in measures.items()}
    )
