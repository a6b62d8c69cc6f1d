"""`seatrial evidence …`: the accountant's commands.

Exit codes: 0 the verdict is OK; 2 it is NO_GO or INSUFFICIENT, decisions disagree, sessions are not
bound alike, or a pack was changed; 3 it is UNANCHORED; 1 an input cannot be read, or wrong usage,
told in one line.
"""

import contextlib
import functools
import sys
import webbrowser
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from evidence.folds.parallel import cores
from evidence.judge.decision_recheck import EXIT_AGREED, EXIT_DISAGREED, recheck
from evidence.judge.disagreement import tell
from evidence.judge.uncovered import UNANCHORED
from evidence.judge.verdict import HISTORY_WORDS, OK, notarised_words
from evidence.pack.pack_commands import check_pack, keygen_command, pack_command
from evidence.promotion.promote_command import sign_policy_command
from evidence.read.journal_sources import SourceError, streams_of
from evidence.read.running_daemon import running_daemons
from evidence.read.venue_list import Source, VenueList, list_of, read_list
from evidence.report.compare import compare, comparison_text
from evidence.report.fleet import LOCAL, dask_engine, fleet_report
from evidence.report.html_report import HTML_NAME
from evidence.report.outside_anchors import outside_of
from evidence.report.progress_line import progress_line
from evidence.report.report import JSON_NAME, JournalReport, Report, build_report, write_report
from evidence.report.report_place import check_place
from evidence.report.report_text import json_of
from evidence.report.venue_history import (
    default_rest_url,
    download,
    fetch_list,
    keep,
    read_key,
    scope_of,
)

EXIT_OK, EXIT_UNREADABLE, EXIT_NOT_OK, EXIT_UNANCHORED = 0, 1, 2, 3
PATH = click.Path(path_type=Path)
INPUTS = click.argument("inputs", nargs=-1, required=True, type=PATH)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
LEDGER = click.option("--ledger", type=PATH, help="The venue's own books (JSON).")
ANCHORS = click.option("--anchors", type=PATH, help="Heads kept outside the writer's reach.")
HISTORY = click.option(
    "--venue-history", "histories", type=PATH, multiple=True,
    help="A download of the venue's list of our orders; once for each file.",
)  # fmt: skip
FETCH = click.option(
    "--fetch-venue-history", "fetch", is_flag=True,
    help="Ask the venue for that list now, with your own key (--credentials): an outside anchor.",
)  # fmt: skip
KEY_FILE = click.option("--credentials", type=PATH, help="TOML with a key that may read.")
REST = click.option(
    "--rest", default="", help="Base address; default: by the journal's environment."
)
REPLACE = click.option("--replace", is_flag=True, help="Write over a report of other inputs.")
WITNESS = click.option(
    "--witness", help="A witness's export (FILE), or its address (URL), for one journal."
)
WITNESS_KEY = click.option(
    "--witness-key", type=PATH, help="The witness's public key, had from the witness itself."
)
TIMESTAMPS = click.option(
    "--timestamps", type=PATH, help="The box's anchor-receipts.jsonl: its RFC 3161 time stamps."
)
TSA_ROOT = click.option(
    "--tsa-root", type=PATH, help="Root certificate (PEM) of the authority that stamped."
)
BOX = click.option("--box", default="", help="Which box of that address: its public key in hex.")
JOBS = click.option(
    "--jobs", type=click.IntRange(1, 64), default=cores, show_default="one a core",
    help="Processes that read a journal side by side; a small one is read by one.",
)  # fmt: skip


OF_A_REPORT = (
    INPUTS, LEDGER, ANCHORS, WITNESS, WITNESS_KEY, BOX, TIMESTAMPS, TSA_ROOT, HISTORY, FETCH,
    KEY_FILE, REST, JOBS,
)  # fmt: skip


def of_a_report(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command everything that a report is made of."""
    for option in reversed(OF_A_REPORT):
        command = option(command)
    return command


def one_line_errors(command: Callable[..., int]) -> Callable[..., None]:
    """Turn what a command cannot read into one line on stderr and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            code = command(*args, **kwargs)
        except BrokenPipeError:
            raise  # whoever reads us has seen enough; click ends quietly
        except (SourceError, OSError) as error:
            click.echo(f"seatrial evidence: {error}", err=True)
            code = EXIT_UNREADABLE
        sys.exit(code)

    return wrapped


@click.group("evidence")
def evidence_group() -> None:
    """The independent accountant: reports, checks and packs of journals."""


evidence_group.add_command(pack_command)
evidence_group.add_command(keygen_command)
evidence_group.add_command(sign_policy_command)


@evidence_group.command("report")
@of_a_report
@click.option("--out-dir", type=PATH, default=Path("reports/status"), show_default=True)
@REPLACE
@click.option("--open", "is_opened", is_flag=True, help="Show the page in a browser.")
@AS_JSON
@one_line_errors
def report_command(
    *,
    inputs: tuple[Path, ...],
    out_dir: Path,
    replace: bool,
    is_opened: bool,
    as_json: bool,
    **given: Any,
) -> int:
    """Re-derive everything from INPUTS and write the report: JSON, Markdown and HTML."""
    report = _built(inputs, **given)
    paths = _written(report, out_dir, replace=replace, as_json=as_json)
    if not as_json:
        for path in paths:
            click.echo(f"  {path}")
    _tell_of_running(inputs, report)
    if is_opened and not webbrowser.open(paths[-1].resolve().as_uri()):
        click.echo(f"no browser can be opened here; the page is {paths[-1].resolve()}", err=True)
    return _exit_code(report)


@evidence_group.command("verify")
@of_a_report
@click.option("--public-key", type=PATH, help="Check INPUTS as a signed pack, with this key.")
@AS_JSON
@one_line_errors
def verify_command(
    *, inputs: tuple[Path, ...], public_key: Path | None, as_json: bool, **given: Any
) -> int:
    """Judge INPUTS (intact, complete, corroborated) and write nothing; or check a signed pack."""
    if public_key is not None:
        return max(check_pack(pack, public_key, as_json=as_json) for pack in inputs)
    report = _built(inputs, **given)
    if as_json:
        verdicts = {j.account.name: _plain(j) for j in report.journals}
        plain = {"verdict": report.verdict, "reasons": report.reasons, "journals": verdicts}
        click.echo(json_of(plain), nl=False)
    else:
        _tell(report)
    return _exit_code(report)


def _built(
    inputs: tuple[Path, ...],
    *,
    ledger: Path | None,
    anchors: Path | None,
    histories: tuple[Path, ...],
    fetch: bool,
    credentials: Path | None,
    rest: str,
    jobs: int,
    **outside: Any,
) -> Report:
    """The report of what the options of `of_a_report` name; `outside` is for `outside_of`."""
    lists = _venue_lists(inputs, histories, fetch=fetch, credentials=credentials, rest=rest)
    with progress_line(sys.stderr, _size_of(inputs)) as progress:
        return build_report(
            inputs, ledger=ledger, anchors=anchors, venue_lists=lists, jobs=jobs, progress=progress,
            outside=outside_of(inputs, **outside),
        )  # fmt: skip


@evidence_group.command("recheck")
@INPUTS
@AS_JSON
@one_line_errors
def recheck_command(*, inputs: tuple[Path, ...], as_json: bool) -> int:
    """Decide every cap decision of the journals again, from its written inputs."""
    result = recheck(inputs)
    click.echo(json_of(result).rstrip() if as_json else tell(result))
    return EXIT_AGREED if result["is_agreed"] else EXIT_DISAGREED


@evidence_group.command("compare")
@INPUTS
@AS_JSON
@one_line_errors
def compare_command(*, inputs: tuple[Path, ...], as_json: bool) -> int:
    """Put the sessions of INPUTS side by side: bindings, figures, copies."""
    found = compare(inputs)
    click.echo(json_of(found).rstrip() if as_json else comparison_text(found))
    return EXIT_OK if found["is_bound_alike"] and not found["copies"] else EXIT_NOT_OK


@evidence_group.command("download")
@click.argument("journal", type=PATH)
@click.option("--credentials", type=PATH, required=True, help="TOML with a key that may read.")
@click.option("--rest", default="", help="Base address; default: by the journal's environment.")
@click.option("--out", type=PATH, default=Path("venue_history.json"), show_default=True)
@one_line_errors
def download_command(*, journal: Path, credentials: Path, rest: str, out: Path) -> int:
    """Ask the venue itself for the orders, trades and balances of JOURNAL's time.

    The file is what `report --ledger` compares the journal with.
    """
    key = read_key(credentials)
    rest_url = rest or default_rest_url(scope_of(journal).environment)
    found = download(journal, rest_url, key)
    out.write_text(json_of(found, indent=1), encoding="utf-8")
    click.echo(f"{len(found['orders'])} orders, {len(found['fills'])} fills -> {out}")
    return EXIT_OK


@evidence_group.command("fleet")
@click.argument("urls", nargs=-1, required=True)
@click.option(
    "--scheduler",
    default=LOCAL,
    show_default=True,
    help="tcp://host:port of a Dask scheduler, or `local` for a cluster of processes here.",
)
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--out-dir", type=PATH, default=Path("reports/status"), show_default=True)
@REPLACE
@AS_JSON
@one_line_errors
def fleet_command(
    *,
    urls: tuple[str, ...],
    scheduler: str,
    workers: int,
    out_dir: Path,
    replace: bool,
    as_json: bool,
) -> int:
    """Reduce many boxes' journals (fsspec addresses) on Dask workers into one report."""
    with dask_engine(scheduler, workers) as engine:
        report = fleet_report(urls, engine)
    _written(report, out_dir, replace=replace, as_json=as_json)
    return _exit_code(report)


def _written(
    report: Report, out_dir: Path, *, replace: bool, as_json: bool
) -> tuple[Path, Path, Path]:
    """Write a report and tell it; returns its files."""
    if not replace:
        check_place(report.to_json(), out_dir / JSON_NAME)
    paths = (*write_report(report, out_dir), out_dir / HTML_NAME)
    if as_json:
        click.echo(json_of(report.to_json()), nl=False)
    else:
        _tell(report)
    return paths


@evidence_group.command("venue-history")
@click.argument("journal", type=PATH)
@click.option("--credentials", type=PATH, required=True, help="TOML with a key that may read.")
@REST
@click.option("--out-dir", type=PATH, default=Path("venue-history"), show_default=True)
@AS_JSON
@one_line_errors
def venue_history_command(
    *, journal: Path, credentials: Path, rest: str, out_dir: Path, as_json: bool
) -> int:
    """Keep the venue's list of our orders before a wipe takes it, and hold JOURNAL against it.

    Each call writes one file, and its SHA-256 into `index.jsonl` beside it.
    """
    found = fetch_list(journal, rest, read_key(credentials))
    kept = keep(found, out_dir)
    (judged, *_) = build_report(
        [journal], venue_lists=[list_of(found, str(kept.path), Source.FETCHED)]
    ).journals
    if judged.venue is None:
        raise SourceError(f"{journal}: no journal to hold against the venue's list")
    told = {**kept.plain(), "venue_anchors": judged.venue.plain()}
    if as_json:
        click.echo(json_of(told), nl=False)
    else:
        click.echo(f"{kept.orders} orders -> {kept.path}\nsha256 {kept.sha256}")
        against = [one for one in judged.verdicts.reasons if HISTORY_WORDS in one]
        for text in (*notarised_words(judged.venue), *against):
            click.echo(f"  {text}")
    is_good = judged.venue.fits and not judged.venue.lost_count
    return EXIT_OK if is_good else EXIT_NOT_OK


def _venue_lists(
    inputs: tuple[Path, ...],
    histories: tuple[Path, ...],
    *,
    fetch: bool,
    credentials: Path | None,
    rest: str,
) -> list[VenueList]:
    lists = [read_list(path) for path in histories]
    if not fetch:
        return lists
    if credentials is None:
        raise SourceError("--fetch-venue-history needs a key that may read: add --credentials FILE")
    found = fetch_list(inputs[0], rest, read_key(credentials))
    return [*lists, list_of(found, "the venue", Source.FETCHED)]


def _plain(journal: JournalReport) -> dict[str, Any]:
    notarised = {} if journal.venue is None else {"venue_anchors": journal.venue.plain()}
    return {**journal.verdicts.plain(), **notarised}


def _size_of(inputs: Sequence[Path]) -> int:
    """The bytes of the journals among the inputs; 0 where they cannot be asked."""
    with contextlib.suppress(OSError):
        return sum(path.stat().st_size for one in streams_of(list(inputs)) for path in one.files)
    return 0


def _tell_of_running(inputs: Iterable[Path], report: Report) -> None:
    """A session without an end is a fault of a record, and no surprise while it is written."""
    if report.verdict == OK:
        return
    for place in running_daemons(inputs):
        click.echo(
            f"note: the daemon of this journal still runs ({place}): a run and a session without "
            f"an end are told as cut. End it first (seatrial shutdown --socket {place}), then do "
            "this again",
            err=True,
        )


def _exit_code(report: Report) -> int:
    return {OK: EXIT_OK, UNANCHORED: EXIT_UNANCHORED}.get(report.verdict, EXIT_NOT_OK)


def _tell(report: Report) -> None:
    """The verdict and every reason, for a terminal."""
    click.echo(f"verdict: {report.verdict}")
    for journal in report.journals:
        words = "  ".join(f"{one.name} {one.value}" for one in journal.verdicts.all)
        click.echo(f"  {journal.account.name}: {words}")
        for finding in journal.verdicts.all:
            for remark in finding.remarks:
                click.echo(f"    {finding.name}: {remark}")
    for reason in report.reasons:
        click.echo(f"  - {reason}")
    if report.modes and not report.counts_as_testnet_evidence:
        click.echo(f"  mode {', '.join(report.modes)}: not testnet evidence")
