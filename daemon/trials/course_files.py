"""Where courses come from: the packaged one by its name, a user's by its file."""

import tomllib
from importlib import resources
from pathlib import Path

from daemon.trials.judging.course import Course, CourseError, course_of
from daemon.trials.judging.judges import JUDGES


def load_course(name: str, base: Path = Path()) -> Course:
    """A course by name, or from a TOML file; a relative path begins at `base`.

    Raises:
        CourseError: there is none, or it cannot be understood.
    """
    packaged = resources.files("daemon.trials.courses")
    standard = course_of(tomllib.loads((packaged / "standard.toml").read_text()), JUDGES)
    if name == standard.name:
        return standard
    path = base / name
    if not path.is_file():
        raise CourseError(f"course {name}: neither a course of ours (standard) nor a file")
    try:
        return course_of(tomllib.loads(path.read_text()), JUDGES, standard)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, CourseError) as error:
        raise CourseError(f"{path}: {error}") from error
