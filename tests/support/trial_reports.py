"""A report of a short course, made by the product's own words from observations by hand."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daemon.trials.judging.course import Course
from daemon.trials.judging.judges import judge
from daemon.trials.judging.observation import Observation
from daemon.trials.judging.pace import OrderPace, pace_of
from daemon.trials.judging.rejudge import canonical_hash, course_hash, observations_of
from daemon.trials.judging.trial_report import RunFacts, TrialRow, as_json
from daemon.trials.judging.trial_verdict import not_applicable
from daemon.version import seatrial_version
from tests.support.observed import filled, order, placed, seen

COURSE_TEXT = """
name = "mine"
patience_s = 5
[[trial]]
use = "calm"
[[trial]]
use = "refused-for-ever"
params = { recover_s = 0 }
[[trial]]
use = "kill"
"""
MADE = "2026-11-30T10:00:00Z"


def sound() -> list[Observation | None]:
    """A bot that trades, and asks now and then for what is refused; `kill` is not played."""
    calm = seen(placed(1, "a"), order(1, "a", until=2), filled(2), placed(3, "b"), order(3, "b"))
    refused = [placed(n, f"r{n}", status=400, code=-1013) for n in (1, 3, 5)]
    return [calm, seen(*refused, order(0.5, "c", until=0.9)), None]


def hammering() -> list[Observation | None]:
    """The same, but it asks five times a second."""
    refused = [placed(1 + n / 5, f"r{n}", status=400, code=-1013) for n in range(40)]
    return [sound()[0], seen(*refused), None]


def written(
    place: Path, trials: Course, observations: Sequence[Observation | None], **facts: Any
) -> dict[str, Any]:
    """Write a report and its observations as `seatrial trial` does; the report."""
    place.mkdir(parents=True, exist_ok=True)
    seen_of = [(trial.name, one) for trial, one in zip(trials.trials, observations, strict=True)]
    values = observations_of(seen_of)
    pace, rows = OrderPace(), []
    for trial, one in zip(trials.trials, observations, strict=True):
        verdict = not_applicable("a trial of the gate")
        if one is not None:
            pace = pace_of(one) if trial.judge == "calm" else pace
            verdict = judge(trial.judge, one, pace, trial.params)
        rows.append(TrialRow(trial, verdict, 1.5, ()))
    told = {
        "course": trials.name, "course_hash": course_hash(trials), "about": "", "mode": "direct",
        "command": ("python", "bot.py"), "bot_version": "0" * 64, "files": {}, "seed": 7,
        "symbol": "BTCUSDT", "started": MADE, "seconds": 3.0, "seatrial": seatrial_version(),
        "python": "3.11", "observations_hash": canonical_hash(values), "loopback_only": True,
        "environment_taken": (),
    }  # fmt: skip
    report = as_json(RunFacts(**{**told, **facts}), rows)
    (place / "trial.json").write_text(json.dumps(report))
    (place / "observations.json").write_text(json.dumps(values))
    made: dict[str, Any] = json.loads((place / "trial.json").read_text())
    return made
