"""Coverage-guided fuzzing of every reader: `make fuzz`, or `python -m tests.fuzz --seconds 30`.

Each target runs in a process of its own, from documented and recorded payloads, with a fixed seed.
Prints a line a target and one JSON object last; exit code 1 on a finding, 3 where atheris is not
installed (it has wheels for Linux on x86-64 only).
"""

import argparse
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.fuzz.mutations import INPUT_MAX_BYTES
from tests.fuzz.targets import Target, targets

ROOT = Path(__file__).resolve().parents[2]
EXIT_FINDING = 1
EXIT_NO_ATHERIS = 3
HANG_S = 5
_GRACE_S = 300
"""Starting up under load takes its time; a hang of one input is libFuzzer's to tell."""


def is_installed() -> bool:
    """Whether atheris can be run here."""
    return importlib.util.find_spec("atheris") is not None


def run_target(
    name: str, target: Target, *, seconds: int, runs: int, seed: int, home: Path
) -> dict[str, Any]:
    """Fuzz one target; executions, reached coverage, and what was found."""
    corpus, found = home / name / "corpus", home / name / "found"
    corpus.mkdir(parents=True)
    found.mkdir()
    for number, seed_bytes in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed_bytes[:INPUT_MAX_BYTES])
    options = [
        f"-max_total_time={seconds}", f"-runs={runs}", f"-seed={seed}", f"-timeout={HANG_S}",
        f"-max_len={INPUT_MAX_BYTES}", "-rss_limit_mb=1500", "-print_final_stats=1",
        f"-artifact_prefix={found}/", "-verbosity=1",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.one", name, str(corpus), *options],
            cwd=ROOT,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + _GRACE_S if seconds else None,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        told = f"did not end within {error.timeout:.0f} s"
        return {"executions": 0, "coverage": 0, "findings": [{"input": "", "error": told}]}
    said = done.stdout + done.stderr
    findings = [
        {"input": repr(path.read_bytes()[:300]), "error": _last_error(said)}
        for path in sorted(found.iterdir())
    ]
    if done.returncode and not findings:
        findings.append({"input": "", "error": f"exit {done.returncode}: {_last_error(said)}"})
    coverage = re.findall(r"cov: (\d+)", said)
    return {
        "executions": int(_stat(said, "number_of_executed_units")),
        "slowest_s": int(_stat(said, "slowest_unit_time_sec")),
        "coverage": int(coverage[-1]) if coverage else 0,
        "findings": findings,
    }


def _stat(said: str, name: str) -> str:
    match = re.search(rf"stat::{name}:\s+(\d+)", said)
    return match[1] if match else "0"


def _last_error(said: str) -> str:
    lines = [line for line in said.splitlines() if re.match(r"^\s*[A-Za-z_.]+(Error|Exc)\b", line)]
    return (lines or said.splitlines() or ["no output"])[-1][:300]


def main() -> int:
    """Parse argv, fuzz, tell."""
    known = targets()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="a target; 0: no bound")
    parser.add_argument("--runs", type=int, default=-1, help="executions a target; -1: no bound")
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--target", action="append", choices=sorted(known), default=None)
    options = parser.parse_args()
    if not is_installed():
        print("atheris is not installed: `make fuzz` installs it (Linux on x86-64 only)")
        return EXIT_NO_ATHERIS
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        for name in options.target or known:
            results[name] = run_target(
                name,
                known[name],
                seconds=options.seconds,
                runs=options.runs,
                seed=options.seed,
                home=Path(home),
            )
            row = results[name]
            print(
                f"{name:<16} {row['executions']:>9} executions, coverage {row['coverage']:>5}, "
                f"{len(row['findings'])} findings",
                flush=True,
            )
    findings = sum(len(row["findings"]) for row in results.values())
    total = sum(row["executions"] for row in results.values())
    print(json.dumps({"executions": total, "findings": findings, "targets": results}))
    return EXIT_FINDING if findings else 0


if __name__ == "__main__":
    sys.exit(main())
