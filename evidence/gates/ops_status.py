"""`ops_status`: a read-only snapshot for an operator before a launch.

Exit rule: not 0 when a live-pilot decision is at hand and is not READY_FOR_LIVE_PILOT, or when any
artifact at hand states a hard block. Artifacts that are not there are shown as missing.
"""

import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from evidence.gates import (
    dry_run,
    live_pilot,
    live_readiness,
    prj_status,
    prk_health,
    shadow_testnet,
    stability,
)
from evidence.gates.scorecard import ScorecardDecision
from evidence.read.artifact_times import age_hours, format_time, parse_time
from evidence.read.json_inputs import Artifact, JsonObject, MalformedInputError, load_artifact

EXECUTION_EVIDENCE_STEM = "execution_evidence"
_GIT_DEADLINE_SECONDS = 20


def _field(name: str) -> Callable[[Artifact], object]:
    return lambda artifact: artifact.get(name)


def _gate_verdict(artifact: Artifact) -> object:
    return "ok" if artifact.get("overall_ok") is True else "FAIL"


def _checklist_verdict(artifact: Artifact) -> object:
    return "ok" if artifact.get("ok") is True else "FAIL"


def _policy_verdict(artifact: Artifact) -> object:
    policy = artifact.get("policy")
    action = policy.get("action") if isinstance(policy, dict) else None
    return action or "ok"


ARTIFACTS: tuple[tuple[str, str, Callable[[Artifact], object]], ...] = (
    ("PR-J status", prj_status.STEM, _policy_verdict),
    ("PR-K health", prk_health.STEM, _field("status")),
    ("PR-BC stability gate", stability.STEM, _gate_verdict),
    ("PR-BD live readiness", live_readiness.STEM, _field("decision")),
    ("PR-BG execution evidence", EXECUTION_EVIDENCE_STEM, _field("status")),
    ("PR-BE shadow/testnet", shadow_testnet.STEM, _field("decision")),
    ("Dry-run checklist", dry_run.STEM, _checklist_verdict),
    ("PR-BI live pilot", live_pilot.STEM, _field("decision")),
)


def snapshot(status_dir: Path, now: datetime, live_pilot_path: Path | None = None) -> JsonObject:
    """Collect the snapshot.

    Args:
        status_dir: Where the artifacts are.
        now: What ages are counted from.
        live_pilot_path: The live-pilot scorecard, when it is somewhere else.
    """
    rows = []
    for title, stem, verdict_of in ARTIFACTS:
        path = status_dir / f"{stem}.json"
        if stem == live_pilot.STEM and live_pilot_path is not None:
            path = live_pilot_path
        rows.append(_row(title, stem, path, verdict_of, now))
    pilot = rows[-1]
    blocked = [row["stem"] for row in rows if row["hard_blocks"]]
    at_hand = bool(pilot["present"])
    ready = pilot["verdict"] == ScorecardDecision.READY_FOR_LIVE_PILOT
    malformed = [row["stem"] for row in rows if row["fault"]]
    return {
        "generated_at": format_time(now),
        "version_control": version_control(Path.cwd()),
        "artifacts": rows,
        "live_pilot_decision": pilot["verdict"] if at_hand else None,
        "hard_blocks": blocked,
        "malformed": malformed,
        "ok": not blocked and not malformed and (ready or not at_hand),
    }


def _row(
    title: str, stem: str, path: Path, verdict_of: Callable[[Artifact], object], now: datetime
) -> JsonObject:
    row: JsonObject = {
        "title": title,
        "stem": stem,
        "present": False,
        "verdict": None,
        "age_hours": None,
        "hard_blocks": [],
        "fault": None,
    }
    try:
        artifact = load_artifact(stem, str(path))
    except MalformedInputError as error:
        return {**row, "present": True, "fault": str(error)}
    if artifact.is_missing:
        return row
    blocks = artifact.get("hard_blocks") or artifact.get("hard_failures") or []
    return {
        **row,
        "present": True,
        "verdict": verdict_of(artifact),
        "age_hours": _age_of(artifact, path, now),
        "hard_blocks": blocks if isinstance(blocks, list) else [str(blocks)],
    }


def _age_of(artifact: Artifact, path: Path, now: datetime) -> float:
    """The artifact's age in hours by its own time, or by the file's when it states none."""
    extras = artifact.get("seatrial")
    stamps = [artifact.get("generated_at"), artifact.get("generated_utc")]
    if isinstance(extras, dict):
        stamps.append(extras.get("generated_at"))
    made = next(filter(None, map(parse_time, stamps)), None)
    if made is None:
        made = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return round(age_hours(now, made), 2)


def version_control(folder: Path) -> JsonObject:
    """Commit, branch and whether the tree is clean; all null outside a git tree."""
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain")
    return {
        "commit": commit,
        "branch": _git(folder, "rev-parse", "--abbrev-ref", "HEAD"),
        "clean": None if changes is None else not changes,
        "changed_files": None if changes is None else len(changes.splitlines()),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program; arguments are ours
            [program, "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_DEADLINE_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def snapshot_lines(value: JsonObject) -> list[str]:
    """The snapshot for a terminal."""
    control, rows = value["version_control"], value["artifacts"]
    if not isinstance(control, dict) or not isinstance(rows, list):
        raise TypeError("not a value of snapshot")
    state = {None: "not a git tree", True: "clean"}.get(
        control["clean"], f"{control['changed_files']} changed files"
    )
    lines = [f"version control: {control['branch']} {(control['commit'] or '')[:12]} ({state})"]
    for row in rows:
        if row["fault"]:
            lines.append(f"{row['title']:26} MALFORMED  {row['fault']}")
        elif not row["present"]:
            lines.append(f"{row['title']:26} missing")
        else:
            blocks = f"  blocks: {', '.join(map(str, row['hard_blocks']))}"
            lines.append(
                f"{row['title']:26} {row['verdict']!s:22} {row['age_hours']:8.2f} h old"
                + (blocks if row["hard_blocks"] else "")
            )
    lines.append(f"live pilot decision: {value['live_pilot_decision'] or 'none at hand'}")
    return lines
