"""The distribution that the accountant belongs to: its name, version and code digest.

A run states the digest of its own code. Version and commit are words, which are easily rewritten; a
digest that does not go with them shows it, where the same distribution is installed here.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
GIT_S = 20.0
NO_COMMITS = ("", "unknown")
TOPS = ("control", "daemon", "evidence", "riskcaps")


class Build(msgspec.Struct, frozen=True):
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
    from importlib.metadata import (  # noqa: PLC0415 - it imports a mail parser
        PackageNotFoundError,
        version,
    )

    try:
        return version("seatrial")
    except PackageNotFoundError:
        return "unknown"


def code_digest(root: Path) -> str:
    """SHA-256 over every module's path and content, as a run states it."""
    paths = (path for top in TOPS for path in (root / top).rglob("*.py"))
    return _digest_of(
        {path.relative_to(root): hashlib.sha256(path.read_bytes()).digest() for path in paths}
    )


def contradiction(run: Build, here: Build) -> str:
    """How a run's code differs from another build's; empty when it cannot be told."""
    if not run.code or not here.code:
        return ""
    if run.code == here.code:
        if run.version != here.version:
            return f"it says version {run.version}, its code is that of {here.version}"
        if here.commit and run.commit != here.commit:
            return f"it says commit {run.commit[:12]}, its code is that of {here.commit[:12]}"
        return ""
    if here.commit not in NO_COMMITS and run.commit == here.commit:
        return f"it says commit {run.commit[:12]}, whose code has another digest here"
    return ""


@lru_cache(maxsize=16)
def committed(commit: str, root: Path = ROOT) -> Build | None:
    """The build that the repository around this distribution has at a commit.

    None where there is no repository, no git, or no such commit in it.
    """
    if not (root / ".git").exists() or not re.fullmatch(r"[0-9a-f]{7,64}", commit):
        return None
    import io  # noqa: PLC0415 - like the next two, for a checkout alone
    import subprocess  # noqa: PLC0415
    import tarfile  # noqa: PLC0415

    command = ["git", "-C", str(root), "archive", "--format=tar", commit, *TOPS]
    try:
        # The commit is hexadecimal, and nothing else of the command comes from a record.
        done = subprocess.run(command, capture_output=True, check=True, timeout=GIT_S)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    hashes: dict[Path, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name.endswith(".py") else None
            if content is not None:
                hashes[Path(member.name)] = hashlib.sha256(content.read()).digest()
    return Build("", commit, _digest_of(hashes))


def _digest_of(hashes: Mapping[Path, bytes]) -> str:
    digest = hashlib.sha256()
    for path in sorted(hashes):
        digest.update(f"{path.as_posix()}\0".encode() + hashes[path])
    return digest.hexdigest()
