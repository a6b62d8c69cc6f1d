"""Who may import whom: the contracts of pyproject.toml hold, and a breach is caught."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.architecture.tree import PACKAGES, ROOT

BREACHES = {
    "daemon/core/engine.py": ("import time", "daemon.core.engine -> time"),
    "daemon/strategies/wild.py": (
        "import riskcaps.interceptor",
        "daemon.strategies.wild -> riskcaps.interceptor",
    ),
    "daemon/venues/sim/wild.py": ("import socket", "daemon.venues.sim.wild -> socket"),
    "daemon/model/wild.py": (
        "import daemon.core.engine",
        "daemon.model.wild -> daemon.core.engine",
    ),
    "evidence/wild.py": ("import daemon.core.books", "evidence.wild -> daemon.core.books"),
    "control/wild.py": (
        "import daemon.shell.process.clock",
        "control.wild -> daemon.shell.process.clock",
    ),
    "riskcaps/wild.py": ("import logging", "riskcaps.wild -> logging"),
    "daemon/core/wild.py": (
        "import daemon.strategies.quoter",
        "daemon.core.wild -> daemon.strategies.quoter",
    ),
    "daemon/venues/binance_spot/serving/wild.py": (
        "import daemon.venues.binance_spot.error_answers",
        "daemon.venues.binance_spot.serving.wild -> daemon.venues.binance_spot.error_answers",
    ),
    "daemon/venues/binance_spot/bans.py": (
        "import daemon.venues.binance_spot.serving.dialect_errors",
        "daemon.venues.binance_spot.bans -> daemon.venues.binance_spot.serving.dialect_errors",
    ),
    "daemon/shell/gateway/wild.py": (
        "import daemon.shell.link.venue_link",
        "daemon.shell.gateway.wild -> daemon.shell.link.venue_link",
    ),
    "daemon/shell/wild.py": (
        "import evidence.read.journal_reader",
        "daemon.shell.wild -> evidence.read.journal_reader",
    ),
}
"""File -> the forbidden line put into it, and how import-linter names it."""

TARGETS = (
    "daemon/core/books.py",
    "evidence/read/journal_reader.py",
    "daemon/strategies/quoter.py",
    "riskcaps/interceptor.py",
)


def lint_imports(root: Path) -> tuple[int, str]:
    """Run import-linter over a tree: exit code and output."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def copied(target: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", target / "pyproject.toml")
    return target


def append(path: Path, line: str) -> None:
    """Add a line to a module; make the module first where it does not exist."""
    before = path.read_text() if path.exists() else '"""Stand-in."""\n'
    path.write_text(f"{before}\n{line}\n")


def test_every_contract_is_kept() -> None:
    code, output = lint_imports(ROOT)
    assert code == 0, output
    assert "0 broken" in output, output


def test_every_module_of_the_codec_is_kept_apart_from_what_serves() -> None:
    codec = {
        f"daemon.venues.binance_spot.{path.stem}"
        for path in (ROOT / "daemon" / "venues" / "binance_spot").glob("*.py")
        if path.stem != "__init__"
    }
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    serving = "daemon.venues.binance_spot.serving"
    seen_from, seen_by = set(), set()
    for contract in rules["contracts"]:
        if serving in contract.get("source_modules", ()):
            seen_from |= set(contract["forbidden_modules"])
        if serving in contract.get("forbidden_modules", ()):
            seen_by |= set(contract["source_modules"])
    assert codec <= seen_from
    assert codec <= seen_by


def test_every_kind_of_breach_is_caught(tmp_path: Path) -> None:
    root = copied(tmp_path)
    for name in TARGETS:
        append(root / name, "")
    for name, (line, _) in BREACHES.items():
        append(root / name, line)
    code, output = lint_imports(root)
    assert code != 0, "import-linter let every breach pass"
    words = " ".join(output.split())
    missed = [arrow for _, arrow in BREACHES.values() if arrow not in words]
    assert not missed, f"not caught: {missed}\n{output}"
