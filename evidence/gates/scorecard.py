"""Shared by all scorecards: score, blocks and warnings, as JSON and as Markdown.

Rules of this file:
1. A hard block makes the score 0 and the decision NO_GO, whatever else is on the sheet.
2. Warnings keep the order in which the rules are looked at; the score never falls below 0.
3. `decision`, `score`, `hard_blocks`, `warnings` are the compatible core. Everything else goes
   under `seatrial`, and changes none of them.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec

from evidence.gates.artifact import bullets
from evidence.read.artifact_times import format_time
from evidence.read.json_inputs import Artifact, JsonObject

FULL_SCORE = 100
EXIT_OK = 0
EXIT_ERROR = 1
EXIT_NOT_READY = 2
STABILITY_GATE_FAIL = "STABILITY_GATE_FAIL"


class ScorecardDecision(StrEnum):
    """Every decision that a scorecard can state."""

    GO = "GO"
    NO_GO = "NO_GO"
    READY_FOR_TESTNET = "READY_FOR_TESTNET"
    CONTINUE_SHADOW = "CONTINUE_SHADOW"
    READY_FOR_LIVE_PILOT = "READY_FOR_LIVE_PILOT"
    CONTINUE_TESTNET = "CONTINUE_TESTNET"


class Sheet(msgspec.Struct):
    """Collects the points, blocks and warnings of one scorecard."""

    hard_blocks: list[str] = []
    warnings: list[str] = []
    _points: int = FULL_SCORE

    def block(self, code: str) -> None:
        """Add a hard block."""
        self.hard_blocks.append(code)

    def warn(self, code: str, points: int) -> None:
        """Add a warning and subtract its points."""
        self.warnings.append(code)
        self._points -= points

    @property
    def score(self) -> int:
        """0 with any hard block; else what is left of 100, never below 0."""
        return 0 if self.hard_blocks else max(0, self._points)


def gate_passed(stability: Artifact) -> bool:
    """Whether the stability gate says `overall_ok: true`; any other value is a failed gate."""
    return stability.get("overall_ok") is True


def is_understood(evidence: Artifact) -> bool:
    """Whether evidence says of its input that all of it was understood.

    Evidence of another producer does not say so, and is taken as the launch procedure takes it.
    """
    extras = evidence.get("seatrial")
    if not isinstance(extras, dict):
        return True
    return extras.get("understood", True) is True and not extras.get("malformed_count")


def simulation_marks(evidence: Artifact) -> list[str]:
    """Remarks on evidence whose provenance does not say testnet.

    They change no compatible key; the promotion decision refuses such evidence.
    """
    extras = evidence.get("seatrial")
    if evidence.is_missing:
        return []
    if not isinstance(extras, dict):
        return ["EVIDENCE_WITHOUT_PROVENANCE"]
    marks = []
    environment = extras.get("environment")
    if environment in {"simulated", "mixed"}:
        marks.append("REHEARSAL_SIMULATED_EVIDENCE")
    elif environment != "testnet":
        marks.append("EVIDENCE_ENVIRONMENT_UNPROVEN")
    if extras.get("malformed_count"):
        marks.append("EVIDENCE_HAS_MALFORMED_LINES")
    if not is_understood(evidence):
        marks.append("EVIDENCE_NOT_UNDERSTOOD")
    return marks


def scorecard_value(
    sheet: Sheet,
    decision: ScorecardDecision,
    now: datetime,
    inputs: Iterable[Artifact],
    remarks: Iterable[str] = (),
    **settings: object,
) -> JsonObject:
    """The scorecard's JSON value."""
    return {
        "score": sheet.score,
        "decision": decision.value,
        "hard_blocks": sheet.hard_blocks,
        "warnings": sheet.warnings,
        "seatrial": {
            "generated_at": format_time(now),
            "settings": settings,
            "inputs": [artifact.provenance() for artifact in inputs],
            "remarks": list(remarks),
        },
    }


def scorecard_markdown(title: str, value: JsonObject) -> list[str]:
    """The scorecard's Markdown twin."""
    return [
        f"# {title}",
        "",
        f"- decision: **{value['decision']}**",
        f"- score: **{value['score']}**",
        "",
        "## Hard Blocks",
        "",
        *bullets(listed(value, "hard_blocks")),
        "",
        "## Warnings",
        "",
        *bullets(listed(value, "warnings")),
        "",
        *provenance_markdown(value),
    ]


def provenance_markdown(value: JsonObject) -> list[str]:
    """The remarks and inputs of any artifact of this package."""
    extras = value["seatrial"]
    if not isinstance(extras, dict):
        raise TypeError("the artifact has no `seatrial` object")
    return [
        "## Remarks",
        "",
        *bullets(listed(extras, "remarks")),
        "",
        "## Inputs",
        "",
        *bullets(
            f"{entry['role']}: {entry['name']} (sha256 {entry['sha256']})"
            if entry["present"]
            else f"{entry['role']}: missing"
            for entry in listed(extras, "inputs")
            if isinstance(entry, dict)
        ),
    ]


def listed(value: JsonObject, key: str) -> list[object]:
    """A list field of an artifact that this package made."""
    items = value[key]
    if not isinstance(items, list):
        raise TypeError(f"`{key}` is not a list")
    return items
