"""Locks pin every package with hashes, name no host, and cover what pyproject.toml asks for."""

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.architecture.tree import ROOT, listing

LOCKS = ("requirements.lock", "requirements-dev.lock")
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;]+)( ; .+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
HOST = re.compile(r"://|index-url|find-links|trusted-host|file:|^\s*-[^-]|^\s*--(?!hash=)")


def lock_problems(text: str) -> list[str]:
    """Everything that is wrong with a lock, a sentence each with its line number."""
    problems = []
    open_pin = ""
    hashes = 1
    for number, line in enumerate(text.splitlines(), start=1):
        if HOST.search(line):
            problems.append(f"line {number} names a source of packages: {line.strip()!r}")
        elif HASH.match(line):
            hashes += 1
        else:
            if not hashes:
                problems.append(f"line {number - 1}: {open_pin!r} has no hash")
            if PIN.match(line):
                open_pin, hashes = line.partition("==")[0], 0
            else:
                problems.append(f"line {number} is no `name==version` pin with hashes: {line!r}")
                hashes = 1
    if not hashes:
        problems.append(f"last line: {open_pin!r} has no hash")
    return problems


def pins(text: str) -> dict[str, Version]:
    return {
        canonicalize_name(match[1]): Version(match[2])
        for match in map(PIN.match, text.splitlines())
        if match
    }


def uncovered(requirements: list[str], locked: dict[str, Version]) -> list[str]:
    problems = []
    for requirement in map(Requirement, requirements):
        version = locked.get(canonicalize_name(requirement.name))
        if version is None:
            problems.append(f"{requirement} is not in the lock: compile the lock again")
        elif version not in requirement.specifier:
            problems.append(f"the lock has {requirement.name} {version}, pyproject {requirement}")
    return problems


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("lock", sorted(path.name for path in ROOT.glob("requirements*.lock")))
def test_each_line_is_a_pin_with_hashes_and_no_host(lock: str) -> None:
    problems = lock_problems((ROOT / lock).read_text())
    assert not problems, f"{lock}:{listing(problems)}"


def test_the_locks_cover_what_pyproject_asks_for() -> None:
    project = pyproject()
    run = project["project"]["dependencies"]
    groups = project["dependency-groups"]
    build = project["build-system"]["requires"]
    locked = {lock: pins((ROOT / lock).read_text()) for lock in LOCKS}
    problems = [f"requirements.lock: {p}" for p in uncovered(run, locked["requirements.lock"])]
    problems += [
        f"requirements-dev.lock: {p}"
        for p in uncovered([*run, *groups["dev"], *build], locked["requirements-dev.lock"])
    ]
    assert not problems, listing(problems)


def test_both_locks_pin_the_same_versions() -> None:
    run, dev = (pins((ROOT / lock).read_text()) for lock in LOCKS)
    apart = {
        name: (str(run[name]), str(dev.get(name))) for name in run if run[name] != dev.get(name)
    }
    assert not apart, f"pinned differently (run, dev): {apart}"


GOOD = f"rich==15.0.0 \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n"


def test_a_good_lock_passes() -> None:
    assert lock_problems(GOOD) == []


@pytest.mark.parametrize(
    "bad",
    [
        "--index-url https://mirror.invalid/index\n" + GOOD,
        "--find-links wheels\n" + GOOD,
        "-i mirror\n" + GOOD,
        GOOD + "left @ https://mirror.invalid/left.whl\n",
        GOOD + "left\n",
        GOOD + "left>=1 \\\n" + GOOD.partition("\n")[2],
        GOOD + "left==1.0\n",
        GOOD + "left==1.0 \\\n",
        "left==1.0 \\\n" + GOOD,
        GOOD.replace("sha256", "md5"),
    ],
)
def test_a_lock_with_a_host_or_an_open_pin_is_refused(bad: str) -> None:
    assert lock_problems(bad)


def test_an_uncovered_or_outgrown_requirement_is_found() -> None:
    locked = pins(GOOD)
    assert uncovered(["rich>=14"], locked) == []
    assert "not in the lock" in uncovered(["left>=1"], locked)[0]
    assert "15.0.0" in uncovered(["rich>=16"], locked)[0]
