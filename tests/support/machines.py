"""Machines for system tests: clean Debian roots, the package of a commit, and skip marks that say
what is missing. What takes long to make is made once, however many workers ask for it."""

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "system"
SUITE = "bookworm"
KINDS = {
    "python": ("minbase", "python3,python3-venv"),
    "bare": ("apt", ""),
    "systemd": ("minbase", "systemd,systemd-sysv,python3,ca-certificates"),
}
"""Kinds of clean machine: mmdebstrap's variant, and what is on it beyond that."""


def needs(*tools: str, root: bool = False) -> pytest.MarkDecorator:
    """Skip with a reason that names what this machine lacks."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if root and os.geteuid() != 0:
        missing.append("root")
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Only one process of this machine makes `name` at a time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def debian_tar(kind: str) -> Path:
    """A root file system as a tar, made once by mmdebstrap and kept under build/."""
    made = CACHE / f"{kind}.tar"
    with _alone(kind):
        if not made.exists():
            _make_tar(kind, made)
    return made


def _make_tar(kind: str, made: Path) -> None:
    partial = made.with_suffix(".partial.tar")
    variant, packages = KINDS[kind]
    done = subprocess.run(
        [
            "mmdebstrap",
            "--quiet",
            f"--variant={variant}",
            *([f"--include={packages}"] if packages else []),
            "--customize-hook=rm -rf $1/var/lib/apt/lists/* $1/var/cache/apt/*.bin",
            SUITE,
            str(partial),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"no Debian mirror can be reached: {done.stderr.strip().splitlines()[-1]}")
    partial.rename(made)


@cache
def head() -> str:
    """The commit that everything here is built from, whatever is committed meanwhile."""
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def package() -> Path:
    """The .deb of this commit, built once."""
    place = CACHE / "deb" / head()
    with _alone("deb"):
        if not place.exists():
            shutil.rmtree(place.parent, ignore_errors=True)
            partial = place.with_suffix(".partial")
            built = subprocess.run(
                [str(ROOT / "deploy" / "build-deb.sh"), str(partial)],
                env=os.environ | {"COMMIT": head()},
                capture_output=True,
                text=True,
                check=False,
                timeout=400,
            )
            assert built.returncode == 0, built.stdout + built.stderr
            partial.rename(place)
    return next(place.iterdir())


def newer(deb: Path, tree: Path, target: Path, version: str) -> None:
    """The same package under a higher version, and its files in `tree`."""
    subprocess.run(["dpkg-deb", "--raw-extract", str(deb), str(tree)], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*", f"Version: {version}", control.read_text()))
    command = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(target)]
    subprocess.run(command, check=True, capture_output=True)


def unpack(kind: str, target: Path) -> Path:
    """A clean machine of a kind, in `target`."""
    target.mkdir(parents=True)
    subprocess.run(
        ["tar", "--extract", "--numeric-owner", "--file", str(debian_tar(kind)), "-C", str(target)],
        check=True,
    )
    return target
