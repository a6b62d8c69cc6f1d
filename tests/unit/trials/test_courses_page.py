"""The page that explains courses: its own course is one, and its deeds are all of them."""

import re
import tomllib
from pathlib import Path

import msgspec

from daemon.settings import TrialSettings
from daemon.trials.course_files import load_course
from daemon.trials.judging.course import DEEDS, course_of
from daemon.trials.judging.judges import JUDGES
from evidence.promotion.policy import Policy

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "trials" / "COURSES.md").read_text()


def test_the_course_of_the_page_is_one() -> None:
    settings, policy, course = (
        tomllib.loads(text) for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    )
    read = TrialSettings.model_validate(settings["trials"], context={"base": Path()})
    assert read.required == ("standard",)
    asked = msgspec.convert(policy["promotion"], Policy)
    assert asked.trials_required == list(asked.trials_bound) == ["standard"]
    made = course_of(course, JUDGES, load_course("standard"))
    assert [trial.name for trial in made.trials] == ["calm", "limit-429", "two-outages"]


def test_the_page_names_every_deed() -> None:
    told = set(re.findall(r"`([a-z-]+)`", PAGE))
    assert set(DEEDS) <= told
