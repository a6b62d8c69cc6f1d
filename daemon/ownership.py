"""Who provides our four import names.

seatrial's folders are its import names, and two of them (`daemon`, `control`) are also taken by
public distributions. A foreign `control` in the same environment would be imported in place of, or
mixed into, ours. So the daemon and the operator's tool look before they start, and refuse.

Rules of this file:
1. Nothing foreign is imported to find out: the paths and the installed metadata are enough.
2. Each problem is one sentence that names the intruder and the mend.
"""

import importlib.metadata
import sys
from collections.abc import Iterable
from pathlib import Path

DISTRIBUTION = "seatrial"
IMPORT_NAMES = ("daemon", "control", "riskcaps", "evidence")
HOME = Path(__file__).resolve().parent.parent
"""Where this copy of the four packages lives."""
NAMELESS = "a distribution without a name"


def check_import_ownership(
    *,
    home: Path = HOME,
    search_path: Iterable[str] | None = None,
    installed: Iterable[importlib.metadata.Distribution] | None = None,
) -> list[str]:
    """Find everything that could be imported as one of our four names and is not ours.

    Call it once at start-up; it costs some milliseconds. The parameters are for tests; by default
    this process's own path and installed distributions are read.

    Returns:
        One sentence for each problem; empty when the names are ours alone.
    """
    entries = list(sys.path) if search_path is None else list(search_path)
    found = importlib.metadata.distributions(path=entries) if installed is None else installed
    return [*_missing(home), *_foreign_paths(home, entries), *_foreign_distributions(found)]


def _missing(home: Path) -> list[str]:
    return [
        f"package {name!r} is not in {home}: reinstall {DISTRIBUTION}"
        for name in IMPORT_NAMES
        if not (home / name / "__init__.py").is_file()
    ]


def _foreign_paths(home: Path, entries: Iterable[str]) -> list[str]:
    """Other places on the import path that hold a package or module of one of our names."""
    problems: dict[str, None] = {}
    for entry in entries:
        folder = Path(entry or ".").resolve()
        if folder == home or not folder.is_dir():
            continue
        for name in IMPORT_NAMES:
            for candidate in (folder / name / "__init__.py", folder / f"{name}.py"):
                if candidate.is_file():
                    problems[
                        f"{candidate} can be imported as {name!r} in place of {DISTRIBUTION}'s: "
                        f"remove it, or take {folder} off the import path"
                    ] = None
    return list(problems)


def _foreign_distributions(installed: Iterable[importlib.metadata.Distribution]) -> list[str]:
    """Other installed distributions that say they provide one of our names."""
    problems: dict[str, None] = {}
    for distribution in installed:
        provided = _provided(distribution) & set(IMPORT_NAMES)
        if not provided:
            continue
        owner = _name_of(distribution)  # it parses the metadata: to do so for all takes 20 ms
        if owner.lower() == DISTRIBUTION:
            continue
        for name in sorted(provided):
            problems[
                f"distribution {owner!r} also provides the import name {name!r}: {DISTRIBUTION} "
                f"needs an environment of its own; run `pip uninstall {owner}`"
            ] = None
    return list(problems)


def _name_of(distribution: importlib.metadata.Distribution) -> str:
    """Its name; a broken one has none, and to ask it for `.name` is deprecated since 3.12."""
    try:
        metadata = distribution.metadata
    except FileNotFoundError:  # what the backport says, once something has imported it
        return NAMELESS
    if "Name" in metadata:
        return metadata["Name"]
    return NAMELESS


def _provided(distribution: importlib.metadata.Distribution) -> set[str]:
    """Top-level names of a distribution: as it states them, or else from its list of files."""
    stated = distribution.read_text("top_level.txt")
    if stated:
        return set(stated.split())
    record = distribution.read_text("RECORD") or ""
    firsts = (line.partition(",")[0].partition("/")[0] for line in record.splitlines())
    return {first.removesuffix(".py") for first in firsts}
