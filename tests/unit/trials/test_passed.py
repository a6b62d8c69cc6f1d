"""A passed course as a precondition: bound to what was run, and judged again from what was seen."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.preflight_command import trial_checks
from daemon.settings import TrialSettings
from daemon.trials.bot import version_of
from daemon.trials.course_files import load_course
from daemon.trials.judging.rejudge import (
    canonical_hash,
    observation_of,
    observation_value,
    report_hash,
)
from tests.support.observed import cancelled, filled, order, placed, seen
from tests.support.trial_reports import COURSE_TEXT, hammering, sound, written

COMMAND = ("python", "bot.py", "{config:ccxt}")
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SETTINGS = TrialSettings(required=("mine.toml",), command=COMMAND)


@pytest.fixture
def box(tmp_path: Path) -> Path:
    (tmp_path / "bot.py").write_text("print('trades')\n")
    (tmp_path / "mine.toml").write_text(COURSE_TEXT)
    return tmp_path


def report(box: Path, name: str = "a", *, fails: bool = False, **facts: Any) -> Path:
    place = box / "reports" / "trials" / name
    facts.setdefault("bot_version", version_of(COMMAND, (), box)[0])
    course = load_course("mine.toml", box)
    written(place, course, hammering() if fails else sound(), **facts)
    return place / "trial.json"


def asked(box: Path, settings: TrialSettings = SETTINGS) -> tuple[bool, str]:
    (check,) = trial_checks(settings, box, NOW)
    assert check.name == "trial"
    return check.ok, check.sentence


def test_nothing_is_asked_for_unless_it_is_required(box: Path) -> None:
    assert list(trial_checks(TrialSettings(), box, NOW)) == []


def test_a_pass_of_this_version_counts_beside_others(box: Path) -> None:
    report(box, "a", fails=True)
    report(box, "b")
    report(box, "c", seed=8)
    assert asked(box)[0], asked(box)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"course": "other"}, "no report of course mine"),
        ({"bot_version": "0" * 64}, "its command or files have changed"),
        ({"course_hash": "0" * 64}, "the course is another, or was cut by --only"),
        ({"seatrial": "0.0.9"}, "seatrial has changed"),
        ({"seed": 8}, "seed is 8, not 7"),
        ({"started": "2026-11-20T10:00:00Z"}, "at most 168 h are allowed"),
        ({"started": "2026-12-01T10:00:00Z"}, "was made -22.0 h ago"),
        ({"started": "yesterday"}, "tells no time"),
        ({"fails": True}, "was not passed: 3 trials: 1 PASS, 1 FINDING"),
    ],
)
def test_what_does_not_count(box: Path, facts: dict[str, Any], reason: str) -> None:
    report(box, **facts)
    ok, said = asked(box)
    assert not ok
    assert reason in said


def _because(row: dict[str, Any]) -> None:
    row["trials"][1]["because"] = "nothing at all"


def _passed(row: dict[str, Any]) -> None:
    row["trials"][1]["outcome"] = "PASS"
    row["exit_code"] = 0


def _optional(row: dict[str, Any]) -> None:
    row["trials"][1]["required"] = False
    row["exit_code"] = 0


def _met(row: dict[str, Any]) -> None:
    row["trials"][2]["outcome"] = "PASS"


def _fewer(row: dict[str, Any]) -> None:
    del row["trials"][1]
    row["exit_code"] = 0


@pytest.mark.parametrize(
    ("edit", "fails"),
    [
        (_because, False), (_met, False), (_fewer, False),
        (_because, True), (_met, True), (_fewer, True), (_passed, True), (_optional, True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("rehashed", [False, True], ids=["hash as it was", "hash made good"])
def test_a_report_that_was_edited_by_hand_is_not_believed(
    box: Path, edit: Callable[[dict[str, Any]], None], *, fails: bool, rehashed: bool
) -> None:
    path = report(box, fails=fails)
    row = json.loads(path.read_text())
    edit(row)
    if rehashed:
        row["report_hash"] = report_hash(row)
    path.write_text(json.dumps(row))
    ok, said = asked(box)
    assert not ok
    assert "is not believed" in said or "was not passed" in said


def test_edited_observations_are_not_believed_though_every_hash_is_made_good(box: Path) -> None:
    path = report(box, fails=True)
    row, beside = json.loads(path.read_text()), path.with_name("observations.json")
    seen_rows = json.loads(beside.read_text())
    kept = seen_rows["refused-for-ever"]["requests"]
    seen_rows["refused-for-ever"]["requests"] = kept[:-1]
    beside.write_text(json.dumps(seen_rows))
    assert "was not passed" in asked(box)[1]
    row["trials"][1]["outcome"], row["exit_code"] = "PASS", 0
    row["observations_hash"] = canonical_hash(seen_rows)
    row["report_hash"] = report_hash(row)
    path.write_text(json.dumps(row))
    assert "the ledger shows FINDING, not PASS" in asked(box)[1]


@pytest.mark.parametrize("text", ["{", "[]", '{"calm": 3}', '{"calm": {"requests": [[]]}}', ""])
def test_observations_that_cannot_be_read_make_no_pass(box: Path, text: str) -> None:
    path = report(box)
    path.with_name("observations.json").write_text(text)
    assert not asked(box)[0]
    row = json.loads(path.read_text())
    row["observations_hash"] = canonical_hash(json.loads(text) if text not in {"", "{"} else {})
    row["report_hash"] = report_hash(row)
    path.write_text(json.dumps(row))
    ok, said = asked(box)
    assert not ok
    assert "is not believed" in said


def test_a_changed_course_file_asks_for_a_new_run(box: Path) -> None:
    report(box)
    (box / "mine.toml").write_text(COURSE_TEXT.replace("recover_s = 0", "recover_s = 1"))
    assert "the course is another" in asked(box)[1]


def test_a_course_that_is_not_there_is_named(box: Path) -> None:
    gone = TrialSettings(required=("gone.toml",), command=COMMAND)
    assert "neither a course of ours (standard) nor a file" in asked(box, gone)[1]


def test_a_changed_file_is_another_version(box: Path) -> None:
    before = version_of(COMMAND, (), box)[0]
    (box / "bot.py").write_text("print('trades more')\n")
    after = version_of(COMMAND, (), box)[0]
    assert before != after
    assert version_of((*COMMAND, "--fast"), (), box)[0] != after
    (box / "strategy").mkdir()
    (box / "strategy" / "a.py").write_text("x = 1\n")
    assert version_of(COMMAND, (Path("strategy"),), box)[0] != after


def test_a_report_that_cannot_be_read_is_none(box: Path) -> None:
    report(box).write_text("{")
    assert "no report" in asked(box)[1]


def test_an_observation_is_read_as_it_was_written() -> None:
    whole = seen(
        placed(1, "a", status=503),
        order(1, "a", until=2),
        filled(2),
        cancelled(3, 1),
        marks={"strike": 0.5},
        believed=Decimal("0.10"),
        positions=(Decimal("0.1"), Decimal("0.10")),
        prices_before={"BTCUSDT": Decimal("60000.00")},
        venue_requests=[placed(1)],
    )
    value = json.loads(json.dumps(observation_value(whole)))
    assert observation_value(observation_of(value)) == value
    assert observation_of(value).orders[0] == whole.orders[0]
