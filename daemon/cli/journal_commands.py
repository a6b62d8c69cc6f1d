"""`seatrial journal`: searching a journal, its size, packing by hand, moving its beginning away.

Exit codes: 0 done, or nothing to do; 1 the journal or a disk refuses, in one line; 2 wrong usage.
All of them work beside a running daemon and without one.
"""

import json
import os
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from daemon.cli.journal_place import CONFIG, DIRECTORY, FILE, journal_of
from daemon.cli.journal_query import query_command
from daemon.shell.journal.journal_origin import journal_origin
from daemon.shell.journal.journal_upkeep import disk_use
from daemon.shell.journal.segment_packing import HousekeepingBusyError, look
from daemon.shell.journal.segments import is_packed, lines_of, newest_lines, segments
from daemon.shell.process.clock import SystemClock
from evidence.pack.journal_archive import ArchiveBusyError, archive
from evidence.read.archive_manifest import read_manifest
from evidence.read.signing import KeyFileError, load_private_key, make_key_pair

KEY_NAME = "archive-key.pem"
F = TypeVar("F", bound=Callable[..., None])
T = TypeVar("T")
FREE_WITHIN_S, LOOK_S = 20.0, 0.2
MEASURED_MIN_NS, DAY_NS = 3_600_000_000_000, 86_400_000_000_000

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")


def one_line(command: F) -> F:
    """A disk or a journal that refuses is one line, and exit code 1."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except (OSError, KeyFileError) as error:
            raise click.ClickException(str(error)) from error

    return wrapped  # type: ignore[return-value] # the same signature


def _when_free(deed: Callable[[], T]) -> T:
    """Do it when no other process packs or archives, the daemon's packer above all.

    Raises:
        HousekeepingBusyError, ArchiveBusyError: another one still did after `FREE_WITHIN_S`.
    """
    clock = SystemClock()
    until_ns = clock.monotonic_ns() + int(FREE_WITHIN_S * 1e9)
    while True:
        try:
            return deed()
        except (HousekeepingBusyError, ArchiveBusyError):
            if clock.monotonic_ns() > until_ns:
                raise
            time.sleep(LOOK_S)


@click.group("journal")
def journal_group() -> None:
    """The journal: search its lines, its files' size, packing, and an archive for what is old."""


journal_group.add_command(query_command)


@journal_group.command("status")
@CONFIG
@DIRECTORY
@AS_JSON
@click.pass_context
@one_line
def status_command(
    ctx: click.Context, *, config: Path | None, directory: Path | None, as_json: bool
) -> None:
    """Segments, bytes, where the journal begins and what was archived."""
    journal = journal_of(ctx, config, directory)
    found, manifest, origin = segments(journal), read_manifest(journal), journal_origin(journal)
    size, ratio = disk_use(journal)
    places = dict.fromkeys(one.place for one in manifest.segments) if manifest else {}
    plain: dict[str, Any] = {
        "journal": str(journal),
        "segments": len(found),
        "packed": sum(map(is_packed, found)),
        "bytes": size,
        "packed_to_percent": round(ratio * 100, 1),
        **_growth(found, size),
        "begins_at_seq": origin.seq,
        "archived_segments": len(manifest.segments) if manifest else 0,
        "archives": list(places),
    }
    if as_json:
        click.echo(json.dumps(plain))
        return
    click.echo(f"{journal}: {plain['segments']} segment(s), {plain['packed']} packed")
    click.echo(f"  {size / 1e6:,.1f} MB on disk, begins with line {origin.seq}")
    if "bytes_per_day" in plain:
        click.echo(
            f"  {plain['bytes_per_day'] / 1e6:,.1f} MB a day so far; the disk lasts for "
            f"{plain['days_left']:,} days of that"
        )
    for place in places:
        click.echo(f"  archived in {place}")


def _growth(found: list[Path], size: int) -> dict[str, int]:
    """What a day took, from the times of the first line and the last; nothing in the first hour."""
    ends = [next(lines_of(found[0]), b""), *newest_lines(found[-1], 1, bool)]
    try:
        first_ns, last_ns = (int(json.loads(line)["ts_ns"]) for line in ends)
    except (ValueError, KeyError, TypeError):
        return {}
    if last_ns - first_ns < MEASURED_MIN_NS:
        return {}
    a_day = max(1, size * DAY_NS // (last_ns - first_ns))
    free = os.statvfs(found[-1].parent)
    return {"bytes_per_day": a_day, "days_left": free.f_bavail * free.f_frsize // a_day}


@journal_group.command("compress")
@CONFIG
@DIRECTORY
@AS_JSON
@click.pass_context
@one_line
def compress_command(
    ctx: click.Context, *, config: Path | None, directory: Path | None, as_json: bool
) -> None:
    """Pack closed segments now (a running daemon does so by itself)."""
    journal = journal_of(ctx, config, directory)
    saved = _when_free(lambda: look(journal))
    if as_json:
        click.echo(json.dumps({"saved_bytes": saved}))
    else:
        click.echo(f"packed: {saved / 1e6:,.1f} MB saved" if saved else "nothing to pack")


@journal_group.command("archive")
@CONFIG
@DIRECTORY
@click.option("--to", required=True, type=FILE, help="Where the segments go; made when absent.")
@click.option(
    "--key",
    type=FILE,
    help=f"Signing key; default: {KEY_NAME} beside the journal, made when absent.",
)
@AS_JSON
@click.pass_context
@one_line
def archive_command(
    ctx: click.Context,
    *,
    config: Path | None,
    directory: Path | None,
    to: Path,
    key: Path | None,
    as_json: bool,
) -> None:
    """Move closed, anchored segments away under a signed manifest.

    Never from the last checkpoint on. `seatrial evidence …` finds them where they went; where the
    archive was carried elsewhere, name it before the journal.
    """
    journal = journal_of(ctx, config, directory)
    path = key or journal.parent / KEY_NAME
    if key is None and not path.exists():
        make_key_pair(path)
    private = load_private_key(path)
    done = _when_free(lambda: archive(journal, to, private))
    if as_json:
        begins = done.begins.seq if done.begins else 1
        moved = [one.name for one in done.moved]
        click.echo(json.dumps({"moved": moved, "begins_at_seq": begins, "to": str(to)}))
        return
    if not done.moved:
        click.echo(
            "nothing to archive: no closed, anchored segment lies before the last checkpoint's"
        )
        return
    size = sum(one.bytes for one in done.moved)
    first, last = done.moved[0], done.moved[-1]
    click.echo(
        f"{len(done.moved)} segment(s), lines {first.first_seq} to {last.last_seq} "
        f"({size / 1e6:,.1f} MB unpacked) -> {to}"
    )
    click.echo(f"signed with {path}; keep its public key off this box: {to / 'archived.pub'}")
