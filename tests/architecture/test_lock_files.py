"""Locks pin every package with hashes, name no host, and cover what pyproject.toml asks for."""

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.architecture.tree import ROOT, listing
from tests.support.write_locks import DEV, GROUPS, RUN, sections

PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;]+)( ; .+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
HOST = re.compile(r"://|index-url|find-links|trusted-host|file:|^\s*-[^-]|^\s*--(?!hash=)")


def lock_problems(text: str) -> list[str]:
    """Everything that is wrong with a lock, a sentence each with its line number."""
    problems = []
    open_pin = ""
    hashes = 1
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("# group ") and hashes:
            continue
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
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["build"]]
    asked += project["build-system"]["requires"]
    locked = pins(RUN.read_text())
    problems = [f"{RUN.name}: {one}" for one in uncovered(asked, locked)]
    for group, text in sections(DEV.read_text()).items():
        locked |= pins(text)
        wanted = uncovered(project["dependency-groups"][group], locked)
        problems += [f"{DEV.name}, group {group}: {one}" for one in wanted]
    assert not problems, listing(problems)


def test_each_package_is_pinned_once_in_the_section_of_its_group() -> None:
    parts = sections(DEV.read_text())
    assert tuple(parts) == GROUPS
    assert {*GROUPS, "build"} == set(pyproject()["dependency-groups"])
    names = [name for text in (RUN.read_text(), *parts.values()) for name in pins(text)]
    twice = {name for name in names if names.count(name) > 1}
    assert len(names) > 100
    assert not twice, f"pinned in two sections: {sorted(twice)}"


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
