"""A local run history, for boxes without GitHub: the same JSON form that `gh run list` prints.

Rules of this file:
1. An array, newest first, bounded; replaced in one step under a lock: two timers lose no run.
2. A failed run is recorded like a successful one; nothing here drops a run but the bound.
3. Each record carries both spellings (gh's `databaseId, createdAt`, the API's `id, created_at`), so
   that one file feeds the stability gate and the PR-J status report.
"""

import fcntl
from datetime import datetime
from pathlib import Path

from evidence.gates.artifact import to_json, write_atomically
from evidence.read.artifact_times import format_time
from evidence.read.json_inputs import JsonObject, load_runs

RUNS_MAX = 500
CONCLUSIONS = ("success", "failure", "cancelled", "timed_out")
EVENTS = ("schedule", "manual", "workflow_dispatch")


def append_run(
    history: Path,
    *,
    workflow: str,
    conclusion: str,
    event: str,
    started: datetime,
    ended: datetime,
    runs_max: int = RUNS_MAX,
) -> JsonObject:
    """Record one finished run at the head of the history; returns the record.

    Raises:
        MalformedInputError: the history is there and is not an array of runs (it is left alone).
        OSError: the history cannot be written.
    """
    history.parent.mkdir(parents=True, exist_ok=True)
    with history.with_name(f".{history.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        runs = list(load_runs("history", str(history)).runs)
        number = 1 + max((_number_of(run) for run in runs), default=0)
        record: JsonObject = {
            "databaseId": number,
            "id": number,
            "number": number,
            "run_number": number,
            "workflowName": workflow,
            "event": event,
            "status": "completed",
            "conclusion": conclusion,
            "createdAt": format_time(started),
            "created_at": format_time(started),
            "updatedAt": format_time(ended),
            "updated_at": format_time(ended),
            "html_url": "",
        }
        write_atomically(history, to_json([record, *runs][:runs_max]))
    return record


def conclusion_of(service_result: str) -> str:
    """Systemd's $SERVICE_RESULT in the words of a CI run; whatever is not success is a failure."""
    if service_result == "success":
        return "success"
    return "timed_out" if service_result in {"timeout", "watchdog"} else "failure"


def _number_of(run: JsonObject) -> int:
    number = run.get("databaseId")
    return number if isinstance(number, int) else 0
