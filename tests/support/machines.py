"""Machines for system tests: clean Debian roots, and skip marks that say what is missing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "system"
SUITE = "bookworm"
PACKAGES = {
    "python": "python3,python3-venv",
    "fresh": "python3,python3-venv,git,ca-certificates,make",
    "systemd": "systemd,systemd-sysv,python3,ca-certificates",
}
"""Kinds of clean machine, and what is on each beyond the bare system."""


def needs(*tools: str, root: bool = False) -> pytest.MarkDecorator:
    """Skip with a reason that names what this machine lacks."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if root and os.geteuid() != 0:
        missing.append("root")
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


def debian_tar(kind: str) -> Path:
    """A root file system as a tar, made once by mmdebstrap and kept under build/."""
    made = CACHE / f"{kind}.tar"
    if made.exists():
        return made
    CACHE.mkdir(parents=True, exist_ok=True)
    partial = made.with_suffix(".partial.tar")
    done = subprocess.run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=apt" if kind == "fresh" else "--variant=minbase",
            f"--include={PACKAGES[kind]}",
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
    return made


def unpack(kind: str, target: Path) -> Path:
    """A clean machine of a kind, in `target`."""
    target.mkdir(parents=True)
    subprocess.run(
        ["tar", "--extract", "--numeric-owner", "--file", str(debian_tar(kind)), "-C", str(target)],
        check=True,
    )
    return target
