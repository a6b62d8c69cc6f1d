"""A directory that other users of the machine can enter; pytest's own keep them out."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def open_directory() -> Iterator[Path]:
    """A new directory, mode 0755, removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="seatrial-"))
    try:
        path.chmod(0o755)
        yield path
    finally:
        shutil.rmtree(path)
