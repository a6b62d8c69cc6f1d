"""Tests that can fail, and that wait for what happens rather than for time to pass."""

import ast
import re
from functools import cache

import pytest

from tests.architecture.tree import (
    dotted,
    imported_names,
    listing,
    modules_of_tests,
    parsed,
    text_of,
)

FOREVER_S = 60
"""A sleep this long stands for "never" and is cancelled, not waited for."""
REASON = "# sleep:"
JUDGES = re.compile(r"^(assert_|check_|expect|must_|verify|raises$|warns$|fail$|invariant$|bench)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def judges() -> frozenset[str]:
    """Names of functions under `tests/` that can fail: they assert, or call one that does."""
    bodies: dict[str, list[Function]] = {}
    for name in modules_of_tests():
        for node in ast.walk(parsed(name)):
            if isinstance(node, Function) and not node.name.startswith("test_"):
                bodies.setdefault(node.name, []).append(node)
    known: set[str] = set()
    while True:
        more = {
            name
            for name, nodes in bodies.items()
            if name not in known and all(can_fail(node, known) for node in nodes)
        }
        if not more:
            return frozenset(known)
        known |= more


def can_fail(function: Function, known: frozenset[str] | set[str]) -> bool:
    """Whether the body holds an assertion, or calls something that judges."""
    is_judge, called = judged(function)
    return is_judge or not called.isdisjoint(known)


@cache
def judged(function: Function) -> tuple[bool, frozenset[str]]:
    """Whether the body judges by itself, and the last names of what it calls."""
    is_judge, called = False, set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            called.add(getattr(node.func, "attr", getattr(node.func, "id", "")))
        elif isinstance(node, ast.Assert):
            is_judge = True
        elif isinstance(node, ast.Raise):
            is_judge = is_judge or "AssertionError" in ast.unparse(node)
    return is_judge or any(map(JUDGES.match, called)), frozenset(called)


def idle_tests(name: str, module: ast.Module, known: frozenset[str]) -> list[str]:
    """Tests of one file that cannot fail but by an exception."""
    return [
        f"{name}:{node.lineno}: {node.name} asserts nothing: say what must hold"
        for node in ast.walk(module)
        if isinstance(node, Function) and node.name.startswith("test_")
        if not can_fail(node, known)
    ]


def naps(name: str, module: ast.Module, lines: list[str]) -> list[str]:
    """Sleeps of one file that stand for "by now it will have happened".

    Allowed: sleeping between looks at a condition (in a `while` or `for`), `sleep(0)`, sleeps that
    stand for "never", and a sleep that *is* the behaviour of a fake, with a reason in the line.
    """
    names = imported_names(module)
    sleeps = [
        node
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and node.args
        and dotted(node.func, names) in {"time.sleep", "asyncio.sleep"}
    ]
    polled = {
        id(inner)
        for loop in ast.walk(module)
        if sleeps and isinstance(loop, ast.While | ast.For | ast.AsyncFor)
        for inner in ast.walk(loop)
    }
    problems = []
    for node in sleeps:
        if id(node) in polled:
            continue
        length = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
        harmless = isinstance(length, int | float) and (length == 0 or length >= FOREVER_S)
        if harmless or REASON in lines[node.lineno - 1]:
            continue
        problems.append(
            f"{name}:{node.lineno}: {ast.unparse(node)}: wait for a condition with a deadline, "
            f"or write `{REASON} why` if the delay is what a fake does"
        )
    return problems


def test_every_test_can_fail() -> None:
    problems = [
        problem
        for name in modules_of_tests()
        if name.rpartition("/")[2].startswith("test_")
        for problem in idle_tests(name, parsed(name), judges())
    ]
    assert not problems, listing(problems)


def test_no_test_waits_for_time_to_pass() -> None:
    problems = [
        problem
        for name in modules_of_tests()
        if not name.startswith("tests/bench/")
        for problem in naps(name, parsed(name), text_of(name).splitlines())
    ]
    assert not problems, listing(problems)


@pytest.mark.parametrize(
    ("source", "idle"),
    [
        ("def test_x():\n    f()", True),
        ("def test_x():\n    assert f()", False),
        ("async def test_x():\n    with pytest.raises(ValueError):\n        f()", False),
        ("def test_x():\n    check_all(f())", False),
        ("def test_x():\n    play_until_equal(f())", False),
    ],
)
def test_an_idle_test_is_found(source: str, idle: bool) -> None:
    found = idle_tests("t.py", ast.parse(source), frozenset({"play_until_equal"}))
    assert bool(found) is idle


@pytest.mark.parametrize(
    ("source", "nap"),
    [
        ("import time\ntime.sleep(1)", True),
        ("from asyncio import sleep\nasync def f():\n    await sleep(0.1)", True),
        ("import asyncio\nasync def f():\n    await asyncio.sleep(delay)", True),
        ("import asyncio\nasync def f():\n    await asyncio.sleep(0)", False),
        ("import asyncio\nasync def f():\n    await asyncio.sleep(3600)", False),
        ("import time\nwhile not done():\n    time.sleep(0.01)", False),
        ("import time\ntime.sleep(0.2)  # sleep: the fake venue is slow", False),
    ],
)
def test_a_nap_is_found(source: str, nap: bool) -> None:
    assert bool(naps("t.py", ast.parse(source), source.splitlines())) is nap
