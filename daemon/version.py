"""What runs: version, commit, packages. Bound into `session_start`, shown by `--version`."""

import hashlib
import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOPS = ("control", "daemon", "evidence", "riskcaps")
PACKAGES = (
    "aiohttp",
    "click",
    "cryptography",
    "msgspec",
    "orjson",
    "picows",
    "prometheus-client",
    "pydantic",
    "uvloop",
    "websockets",
)


def seatrial_version() -> str:
    """The installed version, from one place: pyproject.toml."""
    try:
        return version("seatrial")
    except PackageNotFoundError:
        return "0+uninstalled"


def commit(root: Path = ROOT) -> str:
    """The git commit: of the checkout, or as the package was made from it; else `unknown`."""
    stamp = root / "daemon" / "COMMIT"
    try:
        if stamp.exists():  # written by deploy/build-dist.sh
            return stamp.read_text().strip()
        return _checked_out(root / ".git") or "unknown"
    except (OSError, UnicodeError):
        return "unknown"


def told() -> str:
    """Version and commit for a person."""
    known = commit()
    where = "installed without its git commit" if known == "unknown" else known[:12]
    return f"{seatrial_version()} ({where})"


def _checked_out(git: Path) -> str:
    """The commit that HEAD names, read from git's own files: no git is needed on a box."""
    refs = git
    if git.is_file():  # a linked worktree: HEAD is its own, the branches are the repository's
        git = git.parent / git.read_text().strip().removeprefix("gitdir: ")
        refs = git / (git / "commondir").read_text().strip()
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref: "):
        return head
    ref = head.removeprefix("ref: ")
    if (refs / ref).exists():
        return (refs / ref).read_text().strip()
    packed = (refs / "packed-refs").read_text().splitlines()
    return next((line.split()[0] for line in packed if line.endswith(" " + ref)), "")


def code_digest(root: Path = ROOT) -> str:
    """SHA-256 of the code that runs: every module's path and content.

    The evidence makes it again from the distribution that it is installed with
    (evidence/read/build_digest.py).
    """
    digest = hashlib.sha256()
    tops = [top for top in TOPS if (root / top).is_dir()]
    for parts in sorted(parts for top in tops for parts in _modules(root, (top,))):
        digest.update(f"{'/'.join(parts)}\0".encode())
        file = os.open(os.path.join(root, *parts), os.O_RDONLY)  # noqa: PTH118 - as below
        try:
            digest.update(hashlib.sha256(os.read(file, os.fstat(file).st_size)).digest())
        finally:
            os.close(file)
    return digest.hexdigest()


def _modules(root: Path, parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The parts of each module's path; without `Path`, which takes three times as long."""
    with os.scandir(os.path.join(root, *parts)) as entries:  # noqa: PTH118 - as it says
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _modules(root, (*parts, entry.name))
            elif entry.name.endswith(".py"):
                yield (*parts, entry.name)


def packages() -> dict[str, str]:
    """Versions of what the daemon stands on."""
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def python_version() -> str:
    """The interpreter."""
    return f"{platform.python_implementation()} {sys.version.split()[0]}"
