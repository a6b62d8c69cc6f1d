"""PR-BJ bundle: the events of the last N successful testnet sessions in one file.

Rules of this file:
1. Every run that was looked at is in `bundle_meta.json`: bundled, or left out with the reason. A
   failed session is evidence too; it does not vanish by being left out.
2. Runs are joined oldest first, their lines unchanged, so that time runs forward.
3. A successful run whose events cannot be had makes the bundle incomplete (exit code 2).
"""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from evidence.gates import github
from evidence.gates.artifact import bullets, to_json, write_atomically
from evidence.read.artifact_times import format_time
from evidence.read.json_inputs import JsonObject

EVENTS_NAME = "execution_events.jsonl"
BUNDLE_NAME = "execution_events_bundled.jsonl"
META_STEM = "bundle_meta"
WORKFLOW = "prbj-testnet-exec-events.yml"
RUNS_INSPECTED = 10
RUNS_TAKEN = 5

FindEvents = Callable[[JsonObject], Path | None]
"""Finds the events file of one run; None when there is none."""


def build_bundle(
    runs: Sequence[JsonObject],
    find_events: FindEvents,
    out_dir: Path,
    now: datetime,
    *,
    workflow: str,
    branch: str,
    runs_inspected: int = RUNS_INSPECTED,
    runs_taken: int = RUNS_TAKEN,
) -> JsonObject:
    """Write the bundle and its meta file; returns the meta value.

    Args:
        runs: CI runs, newest first.
        find_events: Where the events of a run are.
        out_dir: Where the two files go.
        now: Stamped into the meta file.
        workflow: The workflow that the runs are of.
        branch: The branch that they ran on.
        runs_inspected: So many of the newest runs are looked at.
        runs_taken: At most so many successful ones are bundled.

    Raises:
        OSError: an events file cannot be read, or the bundle not be written.
    """
    bundled: list[tuple[JsonObject, Path]] = []
    left_out: list[JsonObject] = []
    for run in runs[:runs_inspected]:
        if not github.is_success(run):
            left_out.append(_entry(run, why="NOT_SUCCESSFUL"))
        elif len(bundled) >= runs_taken:
            left_out.append(_entry(run, why="BEYOND_TAKE"))
        elif (events := find_events(run)) is None:
            left_out.append(_entry(run, why="EVENTS_MISSING"))
        else:
            bundled.append((run, events))
    bundled.reverse()
    out_dir.mkdir(parents=True, exist_ok=True)
    entries, line_count, digest = _join(bundled, out_dir / BUNDLE_NAME)
    reasons = [str(entry["why"]) for entry in left_out]
    meta: JsonObject = {
        "generated_at": format_time(now),
        "workflow": workflow,
        "branch": branch,
        "requested_runs": runs_inspected,
        "bundled_take": runs_taken,
        "bundled_run_ids": [entry["databaseId"] for entry in entries],
        "line_count": line_count,
        "seatrial": {
            "sha256": digest,
            "bundled": entries,
            "left_out": left_out,
            "runs_seen": min(len(runs), runs_inspected),
            "runs_failed": reasons.count("NOT_SUCCESSFUL"),
            "complete": bool(bundled) and "EVENTS_MISSING" not in reasons,
        },
    }
    write_atomically(out_dir / f"{META_STEM}.md", "\n".join(_markdown(meta)) + "\n")
    write_atomically(out_dir / f"{META_STEM}.json", to_json(meta))
    return meta


def download_events(downloads: Path) -> FindEvents:
    """Find events through GitHub: each run's artifacts go to `downloads/<run id>/`."""

    def find(run: JsonObject) -> Path | None:
        into = downloads / str(run.get("databaseId"))
        shutil.rmtree(into, ignore_errors=True)
        try:
            github.download_artifacts(str(run.get("databaseId")), into)
        except github.GitHubError as error:
            if "not logged in" in str(error) or "on PATH" in str(error):
                raise
            return None  # an expired artifact: told as EVENTS_MISSING
        return _first_events(into)

    return find


def local_events(root: Path) -> FindEvents:
    """Find events of the local run history: `root/<run id>/…/execution_events.jsonl`."""
    return lambda run: _first_events(root / str(run.get("databaseId")))


def _first_events(folder: Path) -> Path | None:
    return min(folder.rglob(EVENTS_NAME), default=None)


def _entry(run: JsonObject, **more: object) -> JsonObject:
    keys = ("databaseId", "status", "conclusion", "createdAt", "event")
    return {**{key: run.get(key) for key in keys}, **more}


def _join(
    bundled: Sequence[tuple[JsonObject, Path]], target: Path
) -> tuple[list[JsonObject], int, str]:
    entries: list[JsonObject] = []
    whole = hashlib.sha256()
    draft = target.with_name(f".{target.name}.tmp")
    with draft.open("wb") as out:
        for run, events in bundled:
            lines = 0
            part = hashlib.sha256()
            with events.open("rb") as source:
                for raw in source:
                    part.update(raw)
                    line = raw.strip()
                    if line:
                        out.write(line + b"\n")
                        whole.update(line + b"\n")
                        lines += 1
            entries.append(_entry(run, lines=lines, sha256=part.hexdigest()))
    draft.replace(target)
    return entries, sum(int(str(entry["lines"])) for entry in entries), whole.hexdigest()


def _markdown(meta: JsonObject) -> list[str]:
    extras = meta["seatrial"]
    if not isinstance(extras, dict):
        raise TypeError("not a value of build_bundle")
    return [
        "# Execution Events Bundle",
        "",
        f"- generated_at: {meta['generated_at']}",
        f"- workflow: {meta['workflow']} on {meta['branch']}",
        f"- complete: **{str(extras['complete']).lower()}**",
        f"- line_count: {meta['line_count']}",
        f"- sha256: {extras['sha256']}",
        "",
        "## Bundled",
        "",
        *bullets(
            f"run {run['databaseId']} of {run['createdAt']}: {run['lines']} lines"
            for run in extras["bundled"]
        ),
        "",
        "## Left out",
        "",
        *bullets(
            f"run {run['databaseId']} of {run['createdAt']}: {run['why']} ({run['conclusion']})"
            for run in extras["left_out"]
        ),
    ]
