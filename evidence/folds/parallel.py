"""Reads one journal with several processes; each reads some segments, merged in order.

The first part is folded here, where its answers are wanted; later parts come back from their
processes as counts, chain ends and facts, and are folded where they belong
(evidence/folds/journal_fold.py).
Market data, nearly all of the bytes, never crosses a process border.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

from evidence.folds.journal_fold import Fold, JournalFold
from evidence.read.journal_reader import JournalReader
from evidence.read.journal_sources import SourceFile

FoldMaker = Callable[[], list[Fold]]


def read_part(name: str, files: Sequence[SourceFile]) -> JournalFold:
    """Read segments from the middle of a journal; facts wait until the parts before are merged."""
    account = JournalFold(name, [], is_first_part=False)
    _fill(account, files)
    return account


def read_whole(
    name: str, files: Sequence[Path], make_folds: FoldMaker, *, jobs: int
) -> JournalFold:
    """Read a journal with at most `jobs` processes; the answers do not depend on how many."""
    groups = split_evenly(files, jobs)
    account = JournalFold(name, make_folds())
    if len(groups) == 1:
        _fill(account, groups[0])
        return account
    with ProcessPoolExecutor(len(groups) - 1, mp_context=get_context("spawn")) as pool:
        later = [pool.submit(read_part, name, group) for group in groups[1:]]
        _fill(account, groups[0])
        for future in later:
            account.merge(future.result())
    return account


def _fill(account: JournalFold, files: Sequence[SourceFile]) -> None:
    reader = JournalReader(files)
    account.chain = reader.chain
    account.read(reader.records())


def split_evenly(files: Sequence[Path], jobs: int) -> list[list[Path]]:
    """Contiguous groups of files of about the same size, at most `jobs` of them, none empty."""
    sizes = [path.stat().st_size if path.exists() else 0 for path in files]
    return [list(files[a:b]) for a, b in even_ranges(sizes, jobs)]


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
