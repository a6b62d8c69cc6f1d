"""`make trials`: the standard course for each subject, and its tables in docs/trials/.

    python -m tests.trials.subjects_run [NAME…]

A public program runs in an environment of its own, made from its lock beside this file; an
environment that cannot be made is said in one line, and the others go on.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HERE = "tests/trials/subjects"
ENVIRONMENTS = ".venv-trials"
DOCS = ROOT / "docs" / "trials"
SEED, AT_ONCE, DEADLINE_S = 7, 2, 3_600
SHORT = {
    "PASS": "pass",
    "FINDING": "**finding**",
    "NOT SHOWN": "not shown",
    "MET BY THE GATE": "met",
    "NOT APPLICABLE": "-",
}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One bot: who wrote it, how it is started, which packages are its versions."""

    name: str
    what: str
    command: tuple[str, ...]
    packages: tuple[str, ...]
    python: str = ""
    """The interpreter of its environment; empty: ours."""
    options: tuple[str, ...] = ()


SUBJECTS = (
    Subject(
        name="ccxt",
        what="our example docs/examples/ccxt_quoter.py on ccxt",
        command=("docs/examples/ccxt_quoter.py",),
        packages=("ccxt",),
    ),
    Subject(
        name="python-binance",
        what="a grid of ours, in the manner of a tutorial, on python-binance",
        command=(f"{HERE}/grid_python_binance.py",),
        packages=("python-binance",),
    ),
    Subject(
        name="seatrial",
        what="our daemon with its quoter; incidents are resolved only when it is started",
        command=(f"{HERE}/own_quoter.py",),
        packages=("seatrial",),
    ),
    Subject(
        name="freqtrade",
        what="freqtrade with a strategy of ours that trades every second",
        command=(
            "-m", "freqtrade", "trade", "--config", "{config:freqtrade}", "--userdir", "{work}",
            "--strategy", "Rebalance", "--strategy-path", HERE,
        ),
        packages=("freqtrade", "ccxt"),
        python="python3.11",
        options=("--file", f"{HERE}/freqtrade_rebalance.py", "--patience", "45"),
    ),
    Subject(
        name="freqtrade-sample",
        what="freqtrade with its own sample strategy",
        command=(
            "-m", "freqtrade", "trade", "--config", "{config:freqtrade}", "--userdir", "{work}",
            "--strategy", "SampleStrategy", "--strategy-path",
            f"{ENVIRONMENTS}/freqtrade/lib/python3.11/site-packages/freqtrade/templates",
        ),
        packages=("freqtrade", "ccxt"),
        python="python3.11",
    ),
    Subject(
        name="nautilus",
        what="Nautilus with its example SimpleQuoterStrategy",
        command=(f"{HERE}/nautilus_quoter.py",),
        packages=("nautilus_trader",),
        python="python3.12",
    ),
    Subject(
        name="hummingbot",
        what="hummingbot's Binance connector with a simple maker of ours",
        command=(f"{HERE}/hummingbot_maker.py",),
        packages=("hummingbot",),
        python="python3.12",
    ),
)  # fmt: skip


def interpreter(subject: Subject) -> Path:
    """The subject's interpreter; its environment is made from the lock when it is missing."""
    if not subject.python:
        return Path(".venv/bin/python")
    lock = subject.name.partition("-")[0]
    place = Path(ENVIRONMENTS) / lock
    if not (ROOT / place / ".locked").exists():
        for command in (
            [subject.python, "-m", "venv", str(place)],
            [
                str(place / "bin" / "pip"), "install", "--quiet", "--require-hashes",
                "-r", f"{HERE}/{lock}.lock",
            ],
        ):  # fmt: skip
            subprocess.run(command, cwd=ROOT, check=True, timeout=DEADLINE_S)
        (ROOT / place / ".locked").touch()
    return place / "bin" / "python"


def versions(subject: Subject, python: Path) -> str:
    """Name and version of the packages that the subject is made of."""
    names = ", ".join(repr(name) for name in subject.packages)
    code = f"from importlib.metadata import version\nfor n in ({names},): print(n, version(n))"
    done = subprocess.run(
        [str(python), "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    return ", ".join(done.stdout.split("\n")).strip(", ")


@cache
def commit() -> str:
    """The commit that runs, short, with a plus where more than the tables differs from it."""
    told = []
    for words in (
        ["rev-parse", "--short", "HEAD"],
        ["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/trials"],
    ):
        done = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )
        told.append(done.stdout.strip())
    return (told[0] or "unknown") + ("+" if told[1] else "")


def run(subject: Subject) -> dict[str, Any] | str:
    """One course; its report, or why there is none."""
    try:
        python = interpreter(subject)
    except (OSError, subprocess.SubprocessError) as error:
        return f"no environment: {error}"
    out = ROOT / "reports" / "trials" / f"subject-{subject.name}"
    command = [str(ROOT / ".venv/bin/python"), "-m", "control.main", "trial", "--course"]
    command += ["standard", "--seed", str(SEED), "--json", "--out-dir", str(out), *subject.options]
    command += ["--", str(python), *subject.command]
    subprocess.run(["rm", "-rf", str(out)], check=True, timeout=60)
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE_S,
        env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    if not done.stdout.strip():
        return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "it said nothing"
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    report["versions"] = versions(subject, python)
    report["commit"] = commit()
    (DOCS / f"{subject.name}.md").write_text((out / "report.md").read_text())
    (DOCS / f"{subject.name}.json").write_text(json.dumps(_kept(report), indent=1) + "\n")
    return report


def _kept(report: dict[str, Any]) -> dict[str, Any]:
    """What the table is made of."""
    keys = (
        "command",
        "bot_version",
        "course_hash",
        "seed",
        "seatrial",
        "python",
        "started",
        "seconds",
    )
    rows = {row["name"]: row["outcome"] for row in report["trials"]}
    kept = {key: report[key] for key in (*keys, "versions", "commit", "verdict", "exit_code")}
    return {**kept, "outcomes": rows}


def table() -> str:
    """docs/trials/README.md, from the results that lie beside it."""
    kept = {
        one.name: json.loads((DOCS / f"{one.name}.json").read_text())
        for one in SUBJECTS
        if (DOCS / f"{one.name}.json").exists()
    }
    lines = [
        "# Trials of real programs",
        "",
        "The standard course (`seatrial trial --list`) for each subject on the simulated venue.",
        "The tables state what the venue's ledger showed in one run each; in wall time, so that a",
        "second run may differ. `make trials` repeats them.",
        "The machine has two cores and was shared with other work, with a load of 15 to 30 in most",
        "of these runs: where a bound of time is missed, it may be the machine's.",
        "",
        "| Subject | Versions | Run | Of commit | Verdict |",
        "|---|---|---|---|---|",
    ]
    for one in SUBJECTS:
        if one.name in kept:
            row = kept[one.name]
            run_words = f"seed {row['seed']}, {row['started']}, {row['seconds']:.0f} s"
            lines.append(
                f"| [{one.name}]({one.name}.md): {one.what} | {row['versions']} | {run_words} | "
                f"{row.get('commit', 'unknown')} | {row['verdict']} |"
            )
        else:
            lines.append(f"| {one.name}: {one.what} | | not run here | | |")
    names = list(kept)
    lines += ["", "| Trial | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    trials = list(next(iter(kept.values()))["outcomes"]) if kept else []
    for trial in trials:
        cells = [SHORT[kept[name]["outcomes"].get(trial, "NOT APPLICABLE")] for name in names]
        lines.append(f"| {trial} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(names: list[str]) -> None:
    """Run the named subjects, or all, a few at a time."""
    DOCS.mkdir(parents=True, exist_ok=True)
    commit()  # before the tables change
    chosen = [one for one in SUBJECTS if not names or one.name in names]
    with ThreadPoolExecutor(int(os.environ.get("AT_ONCE", AT_ONCE))) as pool:
        for subject, result in zip(chosen, pool.map(run, chosen), strict=True):
            words = result if isinstance(result, str) else result["verdict"]
            print(f"{subject.name}: {words}", flush=True)
    (DOCS / "README.md").write_text(table())


if __name__ == "__main__":
    main(sys.argv[1:])
