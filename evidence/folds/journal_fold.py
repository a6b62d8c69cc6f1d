"""Folds answer many questions in one pass over the records; results of parts can be merged.

Rules of this file:
1. A fold sees facts in the journal's order and keeps only what its answer needs.
2. `merge` is associative. Sums merge as sums. What depends on order (positions, exposure, states)
   cannot be summed from a part that starts in the middle: such a part keeps its facts until the
   part before it is known, and they are then folded where they belong. So reading a journal whole
   or in any split gives equal results, and market data (nearly all bytes) is never kept.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol, TypeVar

import msgspec

from evidence.read.integrity import Chain, Faults
from evidence.read.journal_lines import InputLine, JournalLine

AnyFold = TypeVar("AnyFold")
Handler = Callable[[Any], None]
UNORDERED = frozenset({InputLine})
"""Types that no ordered fold asks for; a part in the middle does not keep them."""


_AT_ONCE = 2_000


class Recent:
    """Recently seen ids, so that a repeated event counts once; bounded, oldest dropped first.

    Many at once: the first key of a dict costs a step over each that was deleted before it, 2.6 us
    an id.
    """

    def __init__(self, kept_max: int = 20_000) -> None:
        self._ids: dict[str, None] = {}
        self._kept_max = kept_max

    def is_new(self, one: str) -> bool:
        """Whether `one` was not seen recently; remembers it."""
        if one in self._ids:
            return False
        self._ids[one] = None
        if len(self._ids) > self._kept_max + _AT_ONCE:
            for oldest in list(islice(self._ids, _AT_ONCE)):
                del self._ids[oldest]
        return True

    def __contains__(self, one: object) -> bool:
        return one in self._ids

    def clear(self) -> None:
        """Forget all."""
        self._ids.clear()


class Fold(Protocol):
    """One question that is answered from the journal's records."""

    name: str

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """Which types it wants, and what takes them."""

    def result(self) -> dict[str, Any]:
        """The answer so far, as JSON-ready plain values."""


class Numbered(Protocol):
    """Whatever stands at a line."""

    @property
    def seq(self) -> int:
        """Its number."""


class ComparingFold:
    """A fold that holds lines against others: whatever it finds makes a record incomplete."""

    def __init__(self) -> None:
        self.problems = Faults()
        self.checked = 0

    def note(self, kind: str, line: Numbered, what: str) -> None:
        """Count what is wrong with a line."""
        self.problems.note(kind, f"seq {line.seq}", what)

    def result(self) -> dict[str, Any]:
        """How much was compared, and what is wrong; nothing where nothing was."""
        if not (self.checked or self.problems.counts):
            return {}
        return {"checked": self.checked, "problems": self.problems.plain()}


class JournalCounts(msgspec.Struct):
    """Counts that do not depend on order."""

    by_type: dict[type[JournalLine], int] = {}
    by_mode: dict[str, int] = {}
    by_level: dict[str, int] = {}
    errors: int = 0
    anomalies: int = 0

    def merge(self, other: "JournalCounts") -> None:
        """Add another part's counts."""
        _add_counts(self.by_type, other.by_type)
        _add_counts(self.by_mode, other.by_mode)
        _add_counts(self.by_level, other.by_level)
        self.errors += other.errors
        self.anomalies += other.anomalies

    def count(self, kind: type[JournalLine]) -> int:
        """How many lines of one type."""
        return self.by_type.get(kind, 0)

    def result(self) -> dict[str, Any]:
        """Counts by event type, mode and level."""
        types: dict[str, int] = {}
        for kind, count in self.by_type.items():  # a bot's input is one of its tag
            _add_counts(types, {_tag(kind): count})
        return {
            "lines": sum(self.by_type.values()),
            "by_type": dict(sorted(types.items())),
            "by_mode": dict(sorted(self.by_mode.items())),
            "by_level": dict(sorted(self.by_level.items())),
            "error_count": self.errors,
            "anomaly_count": self.anomalies,
        }


def _tag(kind: type[JournalLine]) -> str:
    return str(kind.__struct_config__.tag)


def _add_counts(into: dict[Any, int], more: Mapping[Any, int]) -> None:
    for key, count in more.items():
        into[key] = into.get(key, 0) + count


class JournalFold:
    """What is known of one journal, or of one part of it: its chain, its counts, its folds."""

    def __init__(
        self,
        name: str,
        folds: Iterable[Fold],
        *,
        is_first_part: bool = True,
        elsewhere: Collection[str] = (),
    ) -> None:
        """Start an empty account.

        Args:
            name: how reports call this journal.
            folds: this account's own folds; it fills them.
            is_first_part: whether the journal's beginning will be read into this account; a later
                part keeps its facts until it is merged into the one before.
            elsewhere: names of folds that another process fills.
        """
        self.name = name
        self.chain = Chain()
        self.tally = JournalCounts()
        self.folds: dict[str, Fold] = {fold.name: fold for fold in folds}
        self._waiting: list[JournalLine] | None = None if is_first_part else []
        self._dispatch: dict[type[JournalLine], tuple[Handler, ...]] = {}
        for fold in self.folds.values():
            if fold.name in elsewhere:
                continue
            for kind, handler in fold.handlers().items():
                self._dispatch[kind] = (*self._dispatch.get(kind, ()), handler)

    def fold(self, kind: type[AnyFold]) -> AnyFold:
        """Its fold of this class.

        Raises:
            TypeError: it has none.
        """
        found = next((one for one in self.folds.values() if isinstance(one, kind)), None)
        if found is None:
            raise TypeError(f"{self.name}: the account has no {kind.__name__}")
        return found

    def read(self, records: Iterable[JournalLine]) -> None:
        """Fold records, in their order."""
        tally, dispatch, waiting = self.tally, self._dispatch, self._waiting
        by_type, by_mode, by_level = tally.by_type, tally.by_mode, tally.by_level
        nothing: tuple[Handler, ...] = ()
        common: type[JournalLine] = JournalLine if InputLine in dispatch else InputLine
        mode, run = "", 0  # nearly all lines are inputs of one mode: counted as a run
        for record in records:
            kind = type(record)
            if record.is_error or record.is_anomaly or record.level != "info":
                self._count_severity(record, by_level)
            if kind is common and record.mode == mode:
                run += 1
                continue
            by_type[kind] = by_type.get(kind, 0) + 1
            by_mode[record.mode] = by_mode.get(record.mode, 0) + 1
            if kind is common:
                self._count_run(mode, run)
                mode, run = record.mode, 0
            elif waiting is None:
                for handler in dispatch.get(kind, nothing):
                    handler(record)
            elif kind not in UNORDERED:
                waiting.append(record)
        self._count_run(mode, run)

    def _count_run(self, mode: str, count: int) -> None:
        """Count inputs of one mode."""
        if count:
            self.tally.by_type[InputLine] = self.tally.by_type.get(InputLine, 0) + count
            self.tally.by_mode[mode] = self.tally.by_mode.get(mode, 0) + count

    def _count_severity(self, record: JournalLine, by_level: dict[str, int]) -> None:
        by_level[record.level] = by_level.get(record.level, 0) + 1
        self.tally.errors += record.is_error
        self.tally.anomalies += record.is_anomaly

    def merge(self, other: "JournalFold") -> "JournalFold":
        """Merge the part that follows this one; use neither of the old parts afterwards."""
        self.chain.merge(other.chain)
        self.tally.merge(other.tally)
        if self._waiting is None:
            self._fold(other.waiting)
        else:
            self._waiting.extend(other.waiting)
        return self

    @property
    def waiting(self) -> Sequence[JournalLine]:
        """Facts of a later part, kept until what is before them is known."""
        return self._waiting or ()

    def without_facts(self) -> "JournalFold":
        """This part's chain and counts, for facts that go another way."""
        part = JournalFold(self.name, [], is_first_part=False)
        part.chain, part.tally = self.chain, self.tally
        return part

    def take(self, facts: Iterable[JournalLine]) -> None:
        """Fold facts of a part that was read elsewhere; its chain and counts come by `merge`."""
        self._fold(facts)

    def settle(self) -> None:
        """Fold the facts that still wait, because no more parts will come."""
        waiting, self._waiting = self._waiting, None
        self._fold(waiting or ())

    def _fold(self, facts: Iterable[JournalLine]) -> None:
        for record in facts:
            for handler in self._dispatch.get(type(record), ()):
                handler(record)

    def results(self) -> dict[str, dict[str, Any]]:
        """Every fold's answer; one that has nothing to say is left out."""
        told = {name: fold.result() for name, fold in self.folds.items()}
        return {name: result for name, result in told.items() if result}
