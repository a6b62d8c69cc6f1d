"""Course files: the standard one, users' own, and what is said of a wrong one."""

from typing import Any

import pytest

from daemon.trials.course_files import load_course
from daemon.trials.judging.course import CourseError, course_of
from daemon.trials.judging.judges import JUDGES
from daemon.trials.judging.trial_report import listing
from daemon.venues.sim.fault_rules import FaultKind, rules_of

STANDARD = load_course("standard")
OWN: dict[str, Any] = {
    "name": "mine",
    "does": "x",
    "must": "y",
    "stands_for": "z",
    "judge": "calm",
    "watch_s": 5,
}


def test_the_standard_course_has_what_the_rules_ask() -> None:
    assert len([trial for trial in STANDARD.trials if not trial.through_gate]) >= 25
    assert {trial.name for trial in STANDARD.trials if trial.through_gate} == {"denials", "kill"}
    assert STANDARD.trials[0].judge == "calm"


def test_every_fault_of_the_standard_course_is_one_of_the_venue() -> None:
    for trial in STANDARD.trials:
        for step in trial.steps:
            if step.do == "strike":
                assert step.arguments["kind"] in set(FaultKind), trial.name
            if step.do == "faults":
                assert rules_of(step.arguments["rules"]), trial.name
            assert step.at_s < trial.watch_s, trial.name


def test_a_recovery_is_watched_for_as_long_as_it_may_take() -> None:
    for trial in STANDARD.trials:
        recover_s = float(trial.params.get("recover_s", 0))
        lifted = max((step.at_s for step in trial.steps), default=0.0)
        assert lifted + recover_s <= trial.watch_s, trial.name


def test_the_list_explains_each_trial() -> None:
    text = listing(STANDARD)
    for trial in STANDARD.trials:
        for part in (trial.name, trial.does, trial.must, trial.stands_for):
            assert part in text


def test_a_course_that_says_nothing_of_itself_is_listed_by_its_name() -> None:
    course = course_of({"name": "own", "trial": [dict(OWN)]}, JUDGES, STANDARD)
    assert listing(course).splitlines()[0] == "Course own"


def test_a_trial_of_the_standard_course_can_be_changed() -> None:
    table = {
        "name": "own",
        "trial": [{"use": "limit-429", "watch_s": 30, "params": {"grace_s": 0.2}}, dict(OWN)],
    }
    course = course_of(table, JUDGES, STANDARD)
    first = course.trials[0]
    assert (first.name, first.watch_s, first.judge) == ("limit-429", 30.0, "obeys")
    assert (first.params["grace_s"], first.params["seconds"]) == (0.2, 5)
    assert course.trials[1].name == "mine"


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"name": "x"}, "at least one"),
        ({"trial": [OWN]}, "name"),
        ({"name": "x", "trial": [OWN], "speed": 2}, "'speed'"),
        ({"name": "x", "trial": [{**OWN, "judge": "mercy"}]}, "'mercy' is none of"),
        ({"name": "x", "trial": [{**OWN, "wait": 3}]}, "'wait'"),
        ({"name": "x", "trial": [{**OWN, "watch_s": -1}]}, "watch_s"),
        ({"name": "x", "trial": [{**OWN, "must": ""}]}, "must"),
        ({"name": "x", "trial": [{**OWN, "needs": "luck"}]}, "needs"),
        ({"name": "x", "trial": [{**OWN, "steps": [{"do": "pray"}]}]}, "do = one of"),
        ({"name": "x", "trial": [{**OWN, "steps": [{"do": "fill", "at": "now"}]}]}, "seconds"),
        ({"name": "x", "trial": [OWN, OWN]}, "two trials"),
        ({"name": "x", "trial": [{"use": "no-such"}]}, "no-such"),
    ],
)
def test_a_wrong_course_says_where(table: dict[str, Any], complaint: str) -> None:
    with pytest.raises(CourseError, match=complaint):
        course_of(table, JUDGES, STANDARD)
