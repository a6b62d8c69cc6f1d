"""Shows on a terminal how far a long reading is; in a pipe or a log it shows nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

STEP_BYTES = 8_000_000
MEGABYTE = 1_000_000


@contextmanager
def progress_line(stream: TextIO, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """A callable for the bytes read so far; its line is taken away at the end.

    A packed journal has more bytes than its files: then only what was read is told.
    """
    told = 0
    width = 0

    def tell(done: int) -> None:
        nonlocal told, width
        if done < told + STEP_BYTES or not stream.isatty():
            return
        told = done
        of = f" of {total_bytes // MEGABYTE}" if done <= total_bytes else ""
        text = f"reading: {done // MEGABYTE}{of} MB"
        width = max(width, len(text))
        stream.write(f"\r{text:<{width}}")
        stream.flush()

    try:
        yield tell
    finally:
        if width:
            stream.write(f"\r{'':<{width}}\r")
            stream.flush()
