"""The frame of every gate command: options, exit codes, one-line errors, conclusion.

Exit codes: 0 the gate passes; 2 it does not (or the command line is wrong); 1 an input is malformed
or a place cannot be written: then no verdict exists, and an older artifact of the same name is set
aside (`.stale`), so that the next gate finds it missing and not green.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from evidence.gates import github
from evidence.gates.artifact import DEFAULT_OUT_DIR, set_aside, write_artifact
from evidence.gates.scorecard import EXIT_NOT_READY, EXIT_OK, scorecard_markdown
from evidence.read.artifact_times import parse_time
from evidence.read.json_inputs import JsonObject, MalformedInputError, RunList, load_runs

Command = TypeVar("Command", bound=Callable[..., Any])


json_option = functools.partial(click.option, default=None, metavar="FILE")


class MomentType(click.ParamType[datetime]):
    """An ISO-8601 time on the command line."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read the time, or end with a usage error."""
        moment = value if isinstance(value, datetime) else parse_time(value)
        if moment is None:
            self.fail(f"{value!r} is not an ISO-8601 time, like 2026-01-31T12:00:00Z", param, ctx)
        return moment


def common_options(command: Command) -> Command:
    """`--out-dir` and `--now`, the same on every gate."""
    command = click.option(
        "--now",
        type=MomentType(),
        default=None,
        help="Fix the clock (ISO-8601), for a reproducible run.",
    )(command)
    return click.option(
        "--out-dir",
        "--output-dir",
        default=DEFAULT_OUT_DIR,
        show_default=True,
        type=click.Path(path_type=Path),
        help="Where the artifact goes.",
    )(command)


@contextmanager
def one_line_errors(out_dir: Path | None = None, stem: str | None = None) -> Iterator[None]:
    """Turn an error into one line and exit code 1, and set an older verdict aside."""
    try:
        yield
    except (MalformedInputError, github.GitHubError, OSError) as error:
        if out_dir is not None and stem is not None:
            with suppress(OSError):
                set_aside(out_dir, stem)
        if isinstance(error, OSError):
            raise click.ClickException(f"{error.filename}: {error.strerror}") from error
        raise click.ClickException(str(error)) from error


def conclude(
    out_dir: Path,
    stem: str,
    value: JsonObject,
    markdown: list[str],
    *,
    verdict: str,
    code: int,
) -> NoReturn:
    """Write the artifact, print the verdict, and exit with its code."""
    path = write_artifact(out_dir, stem, value, markdown)
    click.echo(f"{verdict} -> {path}")
    click.get_current_context().exit(code)


def conclude_scorecard(
    out_dir: Path, stem: str, title: str, value: JsonObject, ready: str
) -> NoReturn:
    """Conclude with a scorecard's decision."""
    decision = str(value["decision"])
    reasons = [*texts(value["hard_blocks"]), *texts(value["warnings"])]
    verdict = f"{decision} (score {value['score']})" + (f": {', '.join(reasons)}" * bool(reasons))
    code = EXIT_OK if decision == ready else EXIT_NOT_READY
    conclude(out_dir, stem, value, scorecard_markdown(title, value), verdict=verdict, code=code)


def texts(value: object) -> list[str]:
    """A list of texts in an artifact; empty for anything else."""
    return [str(item) for item in value] if isinstance(value, list) else []


def runs_of(role: str, path: str | None, workflow: str, branch: str, limit: int) -> RunList:
    """Runs from a file where one is given, else from GitHub."""
    if path:
        return load_runs(role, path)
    return github.list_runs(role, workflow, branch, limit)


def tell_missing(*sources: RunList) -> None:
    """Name on stderr the run files that are missing and were read as empty."""
    for source in sources:
        if source.is_missing:
            click.echo(f"warning: {source.path}: no such file; read as no run at all", err=True)
