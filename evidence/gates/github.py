"""All access to GitHub: the command line client `gh`, run as a subprocess with a deadline."""

import json
import shutil
import subprocess
from pathlib import Path

from evidence.read.json_inputs import (
    JsonObject,
    MalformedInputError,
    RunList,
    check_runs,
    once_each,
)

GH = "gh"
DEADLINE_SECONDS = 120
RUN_FIELDS = "databaseId,status,conclusion,createdAt,event"
_EXIT_NOT_LOGGED_IN = 4


class GitHubError(Exception):
    """`gh` could not do what was asked; the text says what to do now."""


def run_gh(*arguments: str) -> str:
    """Run `gh` and return what it printed.

    Raises:
        GitHubError: gh is not installed, not logged in, too slow, or refuses.
    """
    program = shutil.which(GH)
    if program is None:
        raise GitHubError(
            "gh (GitHub's command line client) is not on PATH; install it, or give the runs as "
            "files: the local run history has the same form"
        )
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program; arguments are passed without a shell
            [program, *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=DEADLINE_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise GitHubError(
            f"gh {arguments[0]} gave no answer within {DEADLINE_SECONDS} s; check the network and "
            "try again"
        ) from error
    except OSError as error:
        raise GitHubError(f"{program} cannot be run: {error.strerror}") from error
    if done.returncode == 0:
        return done.stdout
    said = " ".join(done.stderr.split())[:300] or "it said nothing"
    if done.returncode == _EXIT_NOT_LOGGED_IN or "auth login" in said or "GH_TOKEN" in said:
        raise GitHubError("gh is not logged in; run `gh auth login`, or set GH_TOKEN in CI")
    raise GitHubError(f"gh {' '.join(arguments[:2])} ended with {done.returncode}: {said}")


def list_runs(role: str, workflow: str, branch: str, limit: int) -> RunList:
    """The runs of one workflow, newest first.

    Raises:
        GitHubError: gh cannot answer, or answers something else than runs.
    """
    text = run_gh(
        *("run", "list", "--workflow", workflow, "--branch", branch),
        *("--limit", str(limit), "--json", RUN_FIELDS),
    )
    try:
        runs = check_runs(
            f"gh run list --workflow {workflow}",
            json.loads(text or "[]", object_pairs_hook=once_each),
        )
    except (ValueError, MalformedInputError) as error:
        raise GitHubError(f"gh run list --workflow {workflow}: no runs in its answer") from error
    return RunList(role, None, runs)


def download_artifacts(run_id: int | str, into: Path) -> None:
    """Download every artifact of one run into a directory, which is made.

    Raises:
        GitHubError: the artifacts cannot be had (they expire at GitHub).
    """
    into.mkdir(parents=True, exist_ok=True)
    run_gh("run", "download", str(run_id), "--dir", str(into))


def is_success(run: JsonObject) -> bool:
    """Whether a run completed with success."""
    return run.get("status") == "completed" and run.get("conclusion") == "success"
