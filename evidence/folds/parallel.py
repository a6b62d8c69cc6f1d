"""Reads one journal with several processes, with the answers of one.

Rules of this file:
1. A journal is read in rounds. Each process takes a part (some megabytes of a file, cut at the end
   of a line; a packed file is one part), so what is held does not grow with the journal.
2. Facts, a small share of the bytes, are exchanged as the lines they were: two processes fold them,
   the decisions in the second, all other questions in the first. Each sees all facts in order.
3. Market data, nearly all of the bytes, never crosses a process border.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, pairwise
from pathlib import Path
from typing import IO, Any, Literal, Self

import msgspec

from evidence.folds.journal_fold import Fold, JournalFold
from evidence.read.journal_reader import JournalReader, decoded
from evidence.read.journal_sources import LINE_BYTES_MAX, SourceError, SourceFile

FoldMaker = Callable[[], list[Fold]]
Progress = Callable[[int], None]
"""Called with the bytes read so far."""
Pipe = Any
"""A `multiprocessing.connection.Connection`, which only several processes import."""
PART_BYTES = 16 << 20
BLOCK_BYTES = 1 << 20
SMALL_BYTES = 48 << 20
"""A smaller journal is read before a second process has begun."""
IN_THE_SECOND = frozenset({"decisions"})
"""Half of the work: every decision is decided again."""


def nothing_told(_: int) -> None:
    """Nobody wants to know."""


def read_part(name: str, files: Sequence[SourceFile]) -> JournalFold:
    """Read segments from the middle of a journal; facts wait until the parts before are merged."""
    part = JournalFold(name, [], is_first_part=False)
    _fill(part, files)
    return part


def read_whole(
    name: str,
    files: Sequence[Path],
    make_folds: FoldMaker,
    *,
    jobs: int,
    progress: Progress = nothing_told,
    small_bytes: int = SMALL_BYTES,
    part_bytes: int = PART_BYTES,
) -> JournalFold:
    """Read a journal with at most `jobs` processes; the answers do not depend on how many.

    Args:
        name: how reports call it.
        files: its segments, oldest first.
        make_folds: makes the folds that answer; called in two processes.
        jobs: processes; of a journal below `small_bytes` one reads all.
        progress: called with the bytes read so far.
        small_bytes: see `jobs`.
        part_bytes: what a process reads at a time.
    """
    sizes = [path.stat().st_size if path.exists() else 0 for path in files]
    if jobs == 1 or sum(sizes) < small_bytes:
        account = JournalFold(name, make_folds())
        _fill(account, files, progress)
        return account
    account = JournalFold(name, make_folds(), elsewhere=IN_THE_SECOND)
    with _helpers(jobs - 1, name, make_folds) as pipes:
        parts = parts_of(files, part_bytes)
        while together := list(islice(parts, jobs)):
            _round(account, name, together, pipes)
            progress(account.chain.bytes)
        pipes[0].send(None)
        account.folds |= pipes[0].recv()
    return account


def cores() -> int:
    """How many processes can run at once here."""
    return len(os.sched_getaffinity(0))


def _fill(
    account: JournalFold, files: Sequence[SourceFile], progress: Progress = nothing_told
) -> None:
    reader = JournalReader(files, progress=progress)
    account.chain = reader.chain
    account.read(reader.records())


# ---------------------------------------------------------------------- parts
class FilePart(msgspec.Struct, frozen=True):
    """Whole lines of a plain file; it reads like a file of the same name."""

    path: Path
    start: int
    size: int
    lines_before: int

    @property
    def name(self) -> str:
        """The file's."""
        return self.path.name

    def open(self, mode: Literal["rb"], buffering: Literal[0]) -> IO[bytes]:
        """Open it for reading the part's bytes."""
        raw = self.path.open(mode, buffering)
        raw.seek(self.start)
        return _Limited(raw, self.size)  # type: ignore[return-value] # all that a reader asks for


class _Limited:
    """The next so many bytes of an open file."""

    def __init__(self, raw: IO[bytes], left: int) -> None:
        self._raw, self._left = raw, left

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the part's end."""
        chunk = self._raw.read(min(size, self._left))
        self._left -= len(chunk)
        return chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()


def parts_of(files: Sequence[Path], part_bytes: int = PART_BYTES) -> Iterator[SourceFile]:
    """Cut files into parts, in order; what cannot be cut is one part."""
    for path in files:
        if path.suffix in {".gz", ".zst"} or not path.exists():
            yield path
            continue
        edges = _edges(path, part_bytes)
        yield from (FilePart(path, a, b - a, lines) for (a, lines), (b, _) in pairwise(edges))


def _edges(path: Path, part_bytes: int) -> list[tuple[int, int]]:
    """Where the parts of a file begin, each with the lines before it; and the file's end."""
    edges, place, lines = [(0, 0)], 0, 0
    with path.open("rb", 0) as file:
        while block := file.read(min(BLOCK_BYTES, part_bytes)):
            is_due = place + len(block) - edges[-1][0] >= part_bytes
            end = block.rfind(b"\n") + 1 if is_due else 0
            if end:
                edges.append((place + end, lines + block.count(b"\n", 0, end)))
            place, lines = place + len(block), lines + block.count(b"\n")
            if place - edges[-1][0] > part_bytes + LINE_BYTES_MAX:
                break  # no line ends here: the reader says so
        size = path.stat().st_size
    if edges[-1][0] == size and len(edges) > 1:
        edges.pop()
    return [*edges, (size, lines)]


def even_ranges(sizes: Sequence[int], jobs: int) -> list[tuple[int, int]]:
    """Contiguous index ranges of about the same total size, at most `jobs` of them, none empty."""
    jobs = max(1, min(jobs, len(sizes)))
    total, edges, running = sum(sizes), [0], 0
    for number, size in enumerate(sizes):
        running += size
        wanted = total * len(edges) / jobs
        if len(edges) < jobs and number + 1 < len(sizes) and running >= wanted:
            edges.append(number + 1)
    return [(a, b) for a, b in pairwise([*edges, len(sizes)]) if b > a]


# ---------------------------------------------------------------------- rounds
@contextmanager
def _helpers(count: int, name: str, make_folds: FoldMaker) -> Iterator[Sequence[Pipe]]:
    """Other processes; the first of them folds, too."""
    from multiprocessing import get_context  # noqa: PLC0415 - most journals are read by one

    context = get_context("spawn")
    pipes, processes = [], []
    for number in range(count):
        ours, theirs = context.Pipe()
        made = make_folds if number == 0 else None
        process = context.Process(target=_help, args=(theirs, name, made), daemon=True)
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        yield pipes
    except (EOFError, ConnectionError) as error:
        what = "a process that helped to read it has ended; read it with --jobs 1"
        raise SourceError(f"{name}: {what}") from error
    finally:
        for pipe in pipes:
            pipe.close()  # whoever still waits there ends
        for process in processes:
            process.join()


def _round(
    account: JournalFold, name: str, parts: Sequence[SourceFile], pipes: Sequence[Pipe]
) -> None:
    """Read a part in each process, then fold the facts of all of them in two."""
    for pipe, part in zip(pipes, parts[1:], strict=False):
        pipe.send(part)
    facts: list[list[bytes]] = [[]]
    reads = [_read(name, parts[0], facts[0])]
    for pipe, _ in zip(pipes, parts[1:], strict=False):
        read, lines = pipe.recv()
        reads.append(read)
        facts.append(lines)
    pipes[0].send([facts[0], *facts[2:]] if len(parts) > 1 else [facts[0]])
    account.merge(reads[0])
    for read, lines in zip(reads[1:], facts[1:], strict=True):
        account.merge(read)
        account.take(decoded(lines))


def _read(name: str, part: SourceFile, lines: list[bytes]) -> JournalFold:
    """Read one part; its facts wait in it, and stand in `lines` as they were written."""
    read = JournalFold(name, [], is_first_part=False)
    reader = JournalReader([part], facts=lines)
    read.chain = reader.chain
    read.read(reader.records())
    return read


def _help(pipe: Pipe, name: str, make_folds: FoldMaker | None) -> None:
    """Another process: read the parts that it is given; fold all facts where folds are given."""
    folds = [fold for fold in make_folds() if fold.name in IN_THE_SECOND] if make_folds else []
    account = JournalFold(name, folds)
    mine: JournalFold | None = None
    try:
        while (told := pipe.recv()) is not None:
            if isinstance(told, list):  # facts of this round's other parts
                first, *later = told
                account.take(decoded(first))
                account.take(mine.waiting if mine is not None else ())
                for lines in later:
                    account.take(decoded(lines))
                mine = None
                continue
            lines = []
            mine = _read(name, told, lines)
            pipe.send((mine.without_facts(), lines))
        pipe.send(account.folds)
    except EOFError:
        return  # whoever asked has gone
