"""File names say what is inside: no drawers for odd ends, no versions (git keeps those)."""

import re

from tests.architecture.tree import listing, modules_of_tests, product_modules, text_of

DRAWERS = {
    "util", "utils", "helper", "helpers", "common", "manager", "managers",
    "base", "misc", "stuff", "tools", "lib",
}  # fmt: skip
VERSION = re.compile(r"(_v\d+|_new|_old|_simple|\d)$")
NAME_LENGTH_MAX = 40


def name_problems(path: str) -> list[str]:
    """What is wrong with one module's path."""
    problems = []
    parts = path.removesuffix(".py").split("/")
    for part in parts:
        if part in DRAWERS or part.rpartition("_")[2] in DRAWERS - {"base", "lib", "tools"}:
            problems.append(f"{path}: {part!r} says nothing: name the one thing it does")
        if VERSION.search(part):
            problems.append(f"{path}: {part!r} carries a version: replace the old, git remembers")
    if len(parts[-1]) > NAME_LENGTH_MAX:
        problems.append(f"{path}: a name of {len(parts[-1])} characters, stop {NAME_LENGTH_MAX}")
    return problems


def test_no_module_is_a_drawer_or_carries_a_version() -> None:
    problems = [
        problem
        for name in (*product_modules(), *modules_of_tests())
        for problem in name_problems(name)
    ]
    assert not problems, listing(problems)


def test_packages_are_documented() -> None:
    bare = [
        name
        for name in product_modules()
        if name.endswith("__init__.py") and not _starts_with_docstring(name)
    ]
    assert not bare, f"packages without a docstring: {bare}"


def test_the_rule_catches_what_it_is_for() -> None:
    for bad in (
        "daemon/utils.py",
        "daemon/core/order_manager.py",
        "control/helpers/x.py",
        "daemon/core/engine_v2.py",
        "daemon/shell/base.py",
        "daemon/core/" + "x" * 41 + ".py",
    ):
        assert name_problems(bad), bad
    assert not name_problems("daemon/shell/link/venue_link.py")
    assert not name_problems("daemon/model/ids.py")


def _starts_with_docstring(name: str) -> bool:
    return text_of(name).lstrip().startswith('"""')
