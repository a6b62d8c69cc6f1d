"""A passed course as a precondition: bound to the course, the bot's version and the exit code."""

import json
from pathlib import Path

import pytest

from daemon.cli.preflight_command import trial_checks
from daemon.settings import TrialSettings
from daemon.trials.bot import version_of
from daemon.trials.passed import why_not_passed


@pytest.fixture
def box(tmp_path: Path) -> Path:
    (tmp_path / "bot.py").write_text("print('trades')\n")
    return tmp_path


def report(box: Path, name: str, *, course: str = "standard", version: str, code: int) -> None:
    place = box / "reports" / "trials" / name
    place.mkdir(parents=True)
    row = {"course": course, "bot_version": version, "exit_code": code, "verdict": "words"}
    (place / "trial.json").write_text(json.dumps(row))


COMMAND = ("python", "bot.py", "{config:ccxt}")


def asked(box: Path) -> list[tuple[str, bool, str]]:
    settings = TrialSettings(required=("standard",), command=COMMAND)
    return [(one.name, one.ok, one.sentence) for one in trial_checks(settings, box)]


def test_nothing_is_asked_for_unless_it_is_required(box: Path) -> None:
    assert list(trial_checks(TrialSettings(), box)) == []


def test_a_pass_of_this_version_counts(box: Path) -> None:
    version = version_of(COMMAND, (), box)[0]
    report(box, "a", version=version, code=2)
    report(box, "b", version=version, code=0)
    assert asked(box)[0][:2] == ("trial", True)


@pytest.mark.parametrize(
    ("course", "version", "code", "reason"),
    [
        ("other", "", 0, "no report"),
        ("standard", "0" * 64, 0, "its command or files have changed"),
        ("standard", "", 2, "was not passed: words"),
        ("standard", "", 3, "was not passed: words"),
    ],
)
def test_what_does_not_count(box: Path, course: str, version: str, code: int, reason: str) -> None:
    known = version or version_of(COMMAND, (), box)[0]
    report(box, "a", course=course, version=known, code=code)
    name, ok, said = asked(box)[0]
    assert (name, ok) == ("trial", False)
    assert reason in said


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
    place = box / "reports" / "trials" / "a"
    place.mkdir(parents=True)
    (place / "trial.json").write_text("{")
    assert "no report" in why_not_passed(place.parent, "standard", "x")
