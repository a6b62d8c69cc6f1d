"""Runs one public client's session script in a process of its own and returns what it saw."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 110
"""Below the test's own time-out; a session takes ten seconds on a quiet machine."""


def run_session(script: str, *, deadline_s: float = DEADLINE_S) -> dict[str, Any]:
    """The JSON object that `tests/clients/<script> [WORD…]` prints; fails with its stderr."""
    done = subprocess.run(
        [sys.executable, *f"tests/clients/{script}".split(" ")],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=deadline_s,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"{script} failed:\n{done.stderr[-4000:]}")
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts
