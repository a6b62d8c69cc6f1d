"""PR-K dashboard fetch: the newest successful run's artifacts, from GitHub to this box.

Rules of this file:
1. Downloads are kept apart by time (`download_<stamp>/`); `latest/` holds copies of the newest.
2. What the new run does not have is removed from `latest/`: an old file must not pass as new.
3. Everything in `latest/` is listed with its SHA-256.
"""

import hashlib
import shutil
from datetime import datetime
from pathlib import Path

from evidence.gates import github
from evidence.gates.artifact import bullets, to_json, write_atomically
from evidence.gates.stability import PRK_WORKFLOW
from evidence.read.json_inputs import JsonObject

DASHBOARD_STEMS = ("prj_status_latest", "prj_health_summary", "prj_health_dashboard")
DEFAULT_OUT_DIR = "reports/prk_dashboard"
WORKFLOW = PRK_WORKFLOW
RUNS_LISTED = 20


def fetch_dashboard(
    out_dir: Path,
    now: datetime,
    *,
    run_id: str | None = None,
    workflow: str = WORKFLOW,
    branch: str = "main",
    limit: int = RUNS_LISTED,
) -> JsonObject:
    """Download the artifacts of one run (the newest successful one, unless an id is given).

    Returns:
        The summary: `run_id, download_dir, latest_dir, files {name: sha256}`.

    Raises:
        GitHubError: gh cannot answer, or there is no successful run, or it has no dashboard file.
        OSError: a place cannot be written.
    """
    chosen = run_id or _newest_success(workflow, branch, limit)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    download = out_dir / f"download_{stamp}"
    github.download_artifacts(chosen, download)
    found = [path for stem in DASHBOARD_STEMS for path in sorted(download.rglob(f"{stem}.*"))]
    if not found:
        raise github.GitHubError(
            f"run {chosen} has no dashboard artifact ({', '.join(DASHBOARD_STEMS)}); choose "
            "another run with --run-id"
        )
    latest = out_dir / "latest"
    latest.mkdir(parents=True, exist_ok=True)
    for stem in DASHBOARD_STEMS:
        for old in latest.glob(f"{stem}.*"):
            old.unlink()
    for path in found:
        shutil.copyfile(path, latest / path.name)
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(latest.iterdir())
    }
    summary: JsonObject = {
        "run_id": chosen,
        "workflow": workflow,
        "branch": branch,
        "stamp": stamp,
        "download_dir": str(download),
        "latest_dir": str(latest),
        "files": files,
    }
    _write_summary(out_dir, stamp, summary, files)
    return summary


def _newest_success(workflow: str, branch: str, limit: int) -> str:
    for run in github.list_runs("prk-runs", workflow, branch, limit).runs:
        if github.is_success(run):
            return str(run.get("databaseId"))
    raise github.GitHubError(
        f"no successful run of {workflow} on {branch} among the newest {limit}; look with "
        f"`gh run list --workflow {workflow}`, or give --run-id"
    )


def _write_summary(out_dir: Path, stamp: str, summary: JsonObject, files: dict[str, str]) -> None:
    write_atomically(
        out_dir / f"SHA256SUMS_{stamp}.txt",
        "".join(f"{digest}  {name}\n" for name, digest in files.items()),
    )
    write_atomically(
        out_dir / f"SUMMARY_{stamp}.md",
        "\n".join(
            [
                "# PR-K Dashboard Fetch",
                "",
                f"- stamp: {stamp}",
                f"- workflow: {summary['workflow']} on {summary['branch']}",
                f"- run_id: {summary['run_id']}",
                "",
                "## Files",
                "",
                *bullets(f"{name} (sha256 {digest})" for name, digest in files.items()),
            ]
        )
        + "\n",
    )
    write_atomically(out_dir / f"SUMMARY_{stamp}.json", to_json(summary))
