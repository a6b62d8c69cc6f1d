"""The distribution that the accountant belongs to: its name, version and code digest.

A run states the digest of its own code. Version and commit are words, which are easily rewritten; a
digest that does not go with them shows it, where the same distribution is installed here.
"""

import hashlib
import importlib.metadata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOPS = ("control", "daemon", "evidence", "riskcaps")


@dataclass(frozen=True, slots=True)
class Build:
    """The version and code digest of a distribution."""

    version: str
    commit: str
    """Empty where the distribution was not made by the release's script (a checkout)."""
    code: str


@lru_cache(maxsize=1)
def installed() -> Build:
    """This distribution."""
    stamp = ROOT / "daemon" / "COMMIT"
    return Build(product_version(), stamp.read_text().strip() if stamp.exists() else "",
                 code_digest(ROOT))  # fmt: skip


def product_version() -> str:
    """The installed version of seatrial, for the provenance of artifacts."""
    try:
        return importlib.metadata.version("seatrial")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def code_digest(root: Path) -> str:
    """SHA-256 over every module's path and content, as a run states it."""
    digest = hashlib.sha256()
    for path in sorted(path for top in TOPS for path in (root / top).rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def contradiction(run: Build, here: Build) -> str:
    """How a run's code differs from this distribution's; empty when it cannot be told."""
    if not run.code:
        return ""
    if run.code == here.code:
        if run.version != here.version:
            return f"it says version {run.version}, its code is that of {here.version}"
        if here.commit and run.commit != here.commit:
            return f"it says commit {run.commit[:12]}, its code is that of {here.commit[:12]}"
        return ""
    if here.commit and run.commit == here.commit:
        return f"it says commit {run.commit[:12]}, whose code has another digest here"
    return ""
