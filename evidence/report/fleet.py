"""Many boxes' journals reduced on an existing engine: Dask workers, files through fsspec.

When to use it: when the journals lie on many machines or in an object store and together are more
than one machine wants to read. For one machine, `seatrial evidence report --jobs N` is simpler, and
either way the result is the same to the byte.

Rules of this file:
1. Workers read; the caller judges. A task is some segments of one journal
   (evidence/folds/parallel.py).
2. The engine and the file systems are an optional extra: `pip install seatrial[fleet]`.
"""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, Literal, Protocol

import msgspec

from daemon.model.records import ARCHIVE_KEY, ARCHIVE_MANIFEST
from evidence.folds.journal_fold import JournalFold
from evidence.folds.parallel import even_ranges, read_part
from evidence.judge.anchoring import BESIDE, AnchorSource, check_anchors, read_anchors
from evidence.judge.verdict import judge
from evidence.read.archive_manifest import Manifest, manifest_of
from evidence.read.journal_sources import (
    ANCHORS_FILE,
    SourceError,
    chunks_of,
    segment_number,
    segments_in,
)
from evidence.report.report import (
    JournalReport,
    Report,
    standard_folds,
)

PART_BYTES = 128 * 1024 * 1024
"""About what one task reads; a segment is never cut."""
LOCAL = "local"
EXTRA = "needs the fleet extra: pip install 'seatrial[fleet]'"


class RemoteExecutor(Protocol):
    """Anything that runs a function elsewhere and hands out futures: a Dask client, a pool."""

    def submit(self, function: Any, /, *args: Any) -> Any:
        """Start one task."""


class RemoteFile(msgspec.Struct, frozen=True):
    """A file that fsspec can open: `file:///…`, `s3://…`, a path."""

    url: str
    size: int = 0

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.url.rpartition("/")[2]

    def open(self, mode: Literal["rb"], buffering: Literal[0]) -> IO[bytes]:
        """Open it on whichever machine this runs."""
        del buffering
        opened: IO[bytes] = _module("fsspec").open(self.url, mode).open()
        return opened


class RemoteJournal(msgspec.Struct):
    """A journal directory in a store."""

    name: str
    segments: list[RemoteFile]
    anchors: list[RemoteFile]
    manifest: Manifest | None = None


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SourceError(f"{name} is not installed; a fleet report {EXTRA}") from error


def find_journal(url: str) -> RemoteJournal:
    """List a journal directory.

    Raises:
        SourceError: it does not exist, holds no segment, or fsspec (or its part for this kind of
            address) is not installed.
    """
    try:
        files, root = _module("fsspec").core.url_to_fs(url)
        rows = files.ls(root, detail=True)
    except (OSError, ValueError, ImportError) as error:
        raise SourceError(f"{url}: {error}") from error
    found = [RemoteFile(files.unstrip_protocol(r["name"]), int(r["size"] or 0)) for r in rows]
    segments = segments_in(found)
    if not segments:
        raise SourceError(f"{url}: holds no journal-NNNNNN.jsonl")
    name = url.rstrip("/").rpartition("/")[2]
    anchors = [one for one in found if one.name == ANCHORS_FILE]
    return RemoteJournal(name, segments, anchors, _manifest_in(found))


def _manifest_in(found: Sequence[RemoteFile]) -> Manifest | None:
    """The archive's manifest beside a journal's segments, where there is one."""
    bodies = {
        one.name: b"".join(chunks_of(one))
        for one in found
        if one.name in (ARCHIVE_MANIFEST, ARCHIVE_KEY)
    }
    if ARCHIVE_MANIFEST not in bodies:
        return None
    where = next(one.url for one in found if one.name == ARCHIVE_MANIFEST)
    return manifest_of(bodies[ARCHIVE_MANIFEST], bodies.get(ARCHIVE_KEY, b""), where)


def _with_archives(journals: Sequence[RemoteJournal]) -> list[RemoteJournal]:
    """Put archives that are among the journals before the journal that they were taken from."""
    taken: list[RemoteJournal] = []
    for journal in journals:
        if journal.manifest is None:
            continue
        names = {one.name for one in journal.manifest.segments}
        own = {segment_number(one.name) for one in journal.segments}
        for other in journals:
            theirs = other.manifest
            plain = {one.name.removesuffix(".zst").removesuffix(".gz") for one in other.segments}
            if other is journal or theirs is None or not plain <= names:
                continue
            if theirs.is_continued_by(journal.manifest):
                more = [one for one in other.segments if segment_number(one.name) not in own]
                journal.segments = segments_in([*more, *journal.segments])
                taken.append(other)
    return [one for one in journals if not any(one is other for other in taken)]


def fleet_report(
    urls: Sequence[str], engine: RemoteExecutor, *, part_bytes: int = PART_BYTES
) -> Report:
    """Reduce journals on an engine. The same report as `build_report` gives for the same files.

    Args:
        urls: journal directories, as fsspec addresses that every worker can open.
        engine: where the tasks run.
        part_bytes: about how much one task reads.

    Raises:
        SourceError: a journal cannot be listed or opened.
    """
    journals = _with_archives([find_journal(url) for url in urls])
    tasks = [_submit(journal, engine, part_bytes) for journal in journals]
    report = Report([], [])
    for journal, parts in zip(journals, tasks, strict=True):
        account = JournalFold(journal.name, standard_folds(keep_all=False))
        for part in parts:
            account.merge(part.result())
        archived = journal.manifest
        sources = [AnchorSource(BESIDE, one.name, read_anchors([one])) for one in journal.anchors]
        anchoring = check_anchors(journal.segments, sources, account, archived)
        verdicts = judge(account, anchoring, comparison=None, archived=archived)
        report.journals.append(JournalReport(account, verdicts, None, anchoring=anchoring))
    return report


def _submit(journal: RemoteJournal, engine: RemoteExecutor, part_bytes: int) -> list[Any]:
    sizes = [one.size for one in journal.segments]
    ranges = even_ranges(sizes, -(-sum(sizes) // part_bytes))
    return [engine.submit(read_part, journal.name, journal.segments[a:b]) for a, b in ranges]


@contextmanager
def dask_engine(scheduler: str, workers: int) -> Iterator[RemoteExecutor]:
    """A client of an existing scheduler (`tcp://host:port`), or of a local cluster of processes.

    Raises:
        SourceError: Dask is not installed, or the scheduler cannot be reached.
    """
    distributed = _module("dask.distributed")
    cluster: Any = None
    try:
        if scheduler == LOCAL:
            cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                # None is port 8787, and a warning where another cluster has it.
                dashboard_address="127.0.0.1:0",
                host="127.0.0.1",
            )
        client = distributed.Client(cluster or scheduler, timeout="10s")
    except (OSError, ValueError) as error:
        raise SourceError(f"Dask scheduler {scheduler}: {error}") from error
    try:
        yield client
    finally:
        client.close()
        if cluster is not None:
            cluster.close()
