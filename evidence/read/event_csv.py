"""Reads foreign events from a table: one row of headings, then one event a row.

Rules of this file:
1. Commas separate the cells. Another delimiter is found in the heading, used, and told.
2. A heading that stands twice, an unclosed quote that swallows rows, a row that is too short or too
   long, the heading once more in the middle: each is told where it is.
"""

import csv
import io
import sys
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from evidence.read.journal_sources import LINE_BYTES_MAX
from evidence.read.understanding import KNOWN, field_meant, the_worse

DELIMITERS = {
    ";": "semicolons",
    "\t": "tabs",
    "|": "bars",
    ":": "colons",
    "^": "carets",
    " ": "blanks",
}
Event = dict[str, object]


class CsvIntake(Protocol):
    """Takes what a reader reports."""

    place: tuple[str, int]

    def mark(self, name: str, line: int, why: str) -> None:
        """Report a place that holds no event."""

    def doubt(self, kind: str, name: str, line: int, what: str, mend: str) -> None:
        """Report something that is not understood."""


def read_csv(stream: BinaryIO, name: str, intake: CsvIntake) -> Iterator[Event]:
    """Every row as an event."""
    csv.field_size_limit(min(sys.maxsize, LINE_BYTES_MAX))
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
    first = ""
    while not first.strip():
        first = text.readline(LINE_BYTES_MAX)
        if not first:
            text.detach()
            return
    delimiter = _delimiter(first, name, intake)
    rows = csv.reader(_lines(first, text), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        try:
            row = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            intake.mark(name, rows.line_num, str(error))
            continue
        if not row:
            continue
        commas = len(header or ()) - 1
        for kind, what, mend in dict.fromkeys(_cell_doubts(row, delimiter, commas)):
            intake.doubt(kind, name, rows.line_num, what, mend)
        if header is None:
            header = _heading(row, name, rows.line_num, intake)
            continue
        yield from _event(header, row, name, rows.line_num, intake)
    text.detach()


def _lines(first: str, rest: io.TextIOWrapper) -> Iterator[str]:
    yield first
    yield from rest


def _delimiter(first: str, name: str, intake: CsvIntake) -> str:
    """The delimiter: a comma, unless another one gives more known headings."""
    best = max(DELIMITERS, key=lambda one: _knowns(first, one))
    if _knowns(first, best) <= _knowns(first, ","):
        return ","
    what = f"its cells are separated by {DELIMITERS[best]}, not by commas"
    intake.doubt("delimiter", name, 1, what, "separate them by commas")
    return best


def _knowns(first: str, delimiter: str) -> int:
    cells = [cell.strip().strip('"').strip() for cell in first.split(delimiter)]
    return sum(cell in KNOWN or bool(field_meant(cell)) for cell in cells)


def _heading(row: list[str], name: str, line: int, intake: CsvIntake) -> list[str]:
    header = [cell.strip() for cell in row]
    for cell in dict.fromkeys(header):
        if header.count(cell) > 1:
            what = f"heading {cell[:60]!r} stands twice" if cell else "headings are empty"
            intake.doubt("heading", name, line, what, "give each column a name of its own")
        meant = field_meant(cell)
        if meant:
            intake.doubt("heading", name, line, f"{cell[:60]!r} is not a field, it looks like "
                         f"{meant!r}", f"rename it to {meant!r}")  # fmt: skip
    if not any(cell in KNOWN for cell in header):
        intake.doubt("heading", name, line, "no heading is a field of an event",
                     "begin with a row of headings: ts, event_type, level, is_error")  # fmt: skip
    return header


def _event(
    header: list[str], row: list[str], name: str, line: int, intake: CsvIntake
) -> Iterator[Event]:
    if [cell.strip() for cell in row] == header:
        intake.doubt("heading", name, line, "the headings stand once more among the rows",
                     "join tables without their headings")  # fmt: skip
        return
    if len(row) != len(header):
        intake.mark(name, line, f"{len(row)} cells under {len(header)} headings")
    event: Event = dict(zip(header, row, strict=False))
    if len(set(header)) < len(header):
        pairs = list(zip(header, row, strict=False))
        event = the_worse(event, dict(reversed(pairs)))
    intake.place = (name, line)
    yield event


def _cell_doubts(row: list[str], delimiter: str, commas: int) -> Iterator[tuple[str, str, str]]:
    """Kind, what and mend of cells that are not text, or have swallowed rows of `commas` commas."""
    for cell in row:
        if "\ufffd" in cell:
            yield "encoding", "bytes that are no UTF-8", "write it in UTF-8"
        if "\0" in cell:
            yield "encoding", "NUL bytes", "write it again, in UTF-8"
        inner = cell.splitlines()
        if len(inner) > 1 and commas and any(part.count(delimiter) >= commas for part in inner):
            mend = "close the quote where the cell ends"
            yield "quote", "a quoted cell holds what look like whole rows", mend
