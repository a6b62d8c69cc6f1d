"""File names say what is inside: no drawers for odd ends, no versions (git keeps those)."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable

from tests.architecture.tree import (
    listing,
    modules_of_tests,
    parsed,
    product_modules,
    text_of,
)

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


def twins(named: Iterable[tuple[str, str]]) -> list[str]:
    """Names that stand for more than one thing, each with the places where it does."""
    places = defaultdict(list)
    for name, place in named:
        places[name].append(place)
    return [f"{name}: {', '.join(where)}" for name, where in places.items() if len(where) > 1]


def public_classes(module: ast.Module) -> list[str]:
    """Names of a module's classes that other modules may import."""
    return [
        node.name
        for node in module.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]


def test_no_class_name_and_no_module_name_means_two_things() -> None:
    modules = [name for name in product_modules() if not name.endswith("__.py")]
    same_file = twins((name.rpartition("/")[2], name) for name in modules)
    same_class = twins((one, name) for name in modules for one in public_classes(parsed(name)))
    assert not same_file + same_class, listing(same_file + same_class)


def test_twins_are_found() -> None:
    assert twins([("Fill", "a.py"), ("Hold", "a.py"), ("Fill", "b.py")]) == ["Fill: a.py, b.py"]
    assert public_classes(ast.parse("class A: ...\nclass _B: ...\n")) == ["A"]
