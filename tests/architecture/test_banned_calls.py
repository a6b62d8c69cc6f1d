"""Calls that would break a promise of the house, found in the syntax tree of the product.

One clock, one parent for every task, randomness and ids as arguments, money never as a float,
asserts that cannot be switched off, and no printing but from a command line.
"""

import ast
import re

import pytest

from tests.architecture.tree import (
    calls,
    imported_names,
    listing,
    parsed,
    product_modules,
)

CLOCK = "daemon/shell/process/clock.py"
TASKS = "daemon/shell/process/tasks.py"
MONEY_FLOORS = ("riskcaps/", "daemon/model/", "daemon/core/")
SIGNALS = "daemon/shell/process/signals.py"
STREAMS = ("daemon/boot.py", "daemon/shell/process/log_streams.py")
DAEMON_PROCESS = re.compile(r"(daemon|riskcaps)/|control/server/")
TOOL_PROCESSES = re.compile(r"daemon/direct_kill\.py$|daemon/(cli|demo|shell/sim_host)/")
"""Modules under daemon/ that run in the operator's tool or the simulated venue, not the daemon."""
COMMAND_LINES = re.compile(r"(^|/)(cli|main|__main__|producer|demo)\.py$|(^|/)cli/")

CLOCK_CALLS = {
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.clock_gettime",
    "time.clock_gettime_ns",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
}
RANDOM_ALLOWED = {"random.Random"}
ALLOWED: dict[tuple[str, str], str] = {
    (
        "evidence/read/artifact_times.py",
        "clock",
    ): "the accountant stands apart: its one clock, for stamps",
    (
        "control/tool/client.py",
        "clock",
    ): "deadlines in the operator's process; control may not see shell",
    (
        "control/tool/watch_screen.py",
        "clock",
    ): "the clock on the operator's screen; nothing is decided by it",
    (
        "control/tool/isolated_work.py",
        "clock",
    ): "the second that a disk may take, in the operator's process",
    (
        "control/tool/output.py",
        "clock",
    ): "the second that words may take, in the operator's process",
}
"""(file, rule) -> why the rule does not hold there. A stale line fails."""


def reads_a_clock(name: str, module: ast.Module) -> list[tuple[int, str]]:
    if name == CLOCK:
        return []
    names = imported_names(module)
    return [
        (
            node.lineno,
            f"{found}: take the time from daemon/shell/process/clock.py, or as an argument",
        )
        for node in ast.walk(module)
        if isinstance(node, ast.Name | ast.Attribute)
        and isinstance(node.ctx, ast.Load)
        and (found := _clock(node, names))
    ]


def _clock(node: ast.Name | ast.Attribute, names: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        found = names.get(node.id, "")
    elif isinstance(node.value, ast.Name):
        found = f"{names.get(node.value.id, '')}.{node.attr}"
    elif isinstance(node.value, ast.Attribute) and isinstance(node.value.value, ast.Name):
        found = f"{names.get(node.value.value.id, '')}.{node.value.attr}.{node.attr}"
    else:
        return ""
    return found if found in CLOCK_CALLS else ""


def rolls_dice(name: str, module: ast.Module) -> list[tuple[int, str]]:
    found = [
        (call.lineno, f"{called}: pass a seeded random.Random as an argument")
        for call, called in calls(module)
        if called.startswith("random.") and called not in RANDOM_ALLOWED
    ]
    found += [
        (node.lineno, "uuid: ids are deterministic, run id + counter (daemon/model/ids.py)")
        for node in ast.walk(module)
        if (isinstance(node, ast.Import) and any(a.name == "uuid" for a in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "uuid")
    ]
    return found


def starts_an_orphan_task(name: str, module: ast.Module) -> list[tuple[int, str]]:
    if name == TASKS:
        return []
    return [
        (call.lineno, f"{_last(call)}: start it in a TaskGroup, with a name")
        for call, called in calls(module)
        if called in {"asyncio.create_task", "asyncio.ensure_future"} or _is_loop_task(call)
    ]


def _is_loop_task(call: ast.Call) -> bool:
    """`loop.create_task(…)` and `asyncio.get_running_loop().create_task(…)`."""
    func = call.func
    if not isinstance(func, ast.Attribute) or func.attr != "create_task":
        return False
    return "loop" in ast.unparse(func.value).lower()


def _last(call: ast.Call) -> str:
    return ast.unparse(call.func)


def asserts_plainly(name: str, module: ast.Module) -> list[tuple[int, str]]:
    return [
        (node.lineno, "assert dies under python -O: use invariant() of daemon/model/checks.py")
        for node in ast.walk(module)
        if isinstance(node, ast.Assert)
    ]


def prints(name: str, module: ast.Module) -> list[tuple[int, str]]:
    if COMMAND_LINES.search(name):
        return []
    return [
        (call.lineno, "print: only a command line prints; log or return it")
        for call, called in calls(module)
        if called == "print"
    ]


def counts_in_floats(name: str, module: ast.Module) -> list[tuple[int, str]]:
    if not name.startswith(MONEY_FLOORS):
        return []
    found = [
        (node.lineno, f"float literal {node.value!r}: write Decimal from text, or an int")
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex)
    ]
    found += [
        (call.lineno, "float(): money and time are exact here")
        for call, called in calls(module)
        if called in {"float", "math.sqrt", "math.floor", "math.ceil"}
    ]
    return found


def takes_signals(name: str, module: ast.Module) -> list[tuple[int, str]]:
    """Law 2: one thread takes the signals of the daemon; the main loop may hang."""
    if name == SIGNALS or not name.startswith("daemon/") or TOOL_PROCESSES.search(name):
        return []
    return [
        (call.lineno, f"{_last(call)}: give the signal a row in daemon/shell/process/signals.py")
        for call, called in calls(module)
        if called == "signal.signal" or _last(call).endswith(".add_signal_handler")
    ]


def writes_streams(name: str, module: ast.Module) -> list[tuple[int, str]]:
    """Law 2: what the daemon prints or logs goes through the queue that `boot` puts in place."""
    if name in STREAMS or not DAEMON_PROCESS.match(name) or TOOL_PROCESSES.search(name):
        return []
    return [
        (call.lineno, f"{called or _last(call)}: only daemon/boot.py says where the log goes")
        for call, called in calls(module)
        if called.startswith("logging.") and called.endswith(("Handler", "basicConfig"))
    ] + [
        (node.lineno, f"{ast.unparse(node)}: log it; the queue is behind sys.stderr")
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in {"sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}
    ]


RULES = {
    "signals": takes_signals,
    "streams": writes_streams,
    "clock": reads_a_clock,
    "dice": rolls_dice,
    "tasks": starts_an_orphan_task,
    "assert": asserts_plainly,
    "print": prints,
    "float": counts_in_floats,
}


@pytest.mark.parametrize("rule", RULES)
def test_the_product_keeps_the_rule(rule: str) -> None:
    problems = [
        f"{name}:{line}: {what}"
        for name in product_modules()
        if (name, rule) not in ALLOWED
        for line, what in RULES[rule](name, parsed(name))
    ]
    assert not problems, listing(problems)


def test_every_exception_is_still_needed() -> None:
    stale = [
        (name, rule, why)
        for (name, rule), why in ALLOWED.items()
        if name not in product_modules() or not RULES[rule](name, parsed(name))
    ]
    assert not stale, f"exceptions that nothing needs any more: {stale}"


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        ("clock", "import time\ntime.time()"),
        ("clock", "import time as t\nt.monotonic_ns()"),
        ("clock", "from time import time_ns as now\nnow()"),
        ("clock", "import time\nread = time.time"),
        ("clock", "import datetime\ndatetime.datetime.now()"),
        ("clock", "from datetime import datetime, UTC\ndatetime.now(UTC)"),
        ("clock", "from datetime import datetime\ndatetime.utcnow()"),
        ("dice", "import random\nrandom.random()"),
        ("dice", "from random import choice\nchoice([1])"),
        ("dice", "import uuid"),
        ("dice", "from uuid import uuid4"),
        ("tasks", "import asyncio\nasyncio.create_task(x())"),
        ("tasks", "from asyncio import ensure_future\nensure_future(x())"),
        ("tasks", "import asyncio\nasyncio.get_running_loop().create_task(x())"),
        ("tasks", "self.loop.create_task(x())"),
        ("assert", "assert True"),
        ("print", "print('x')"),
        ("float", "x = 0.1"),
        ("float", "x = float('1')"),
        ("signals", "import signal\nsignal.signal(signal.SIGHUP, f)"),
        ("signals", "loop.add_signal_handler(15, f)"),
        ("streams", "import logging\nlogging.FileHandler('x')"),
        ("streams", "import logging\nlogging.basicConfig()"),
        ("streams", "import sys\nsys.stderr.write('x')"),
    ],
)
def test_each_rule_catches_what_it_is_for(rule: str, source: str) -> None:
    assert RULES[rule]("daemon/core/engine.py", ast.parse(source))


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        ("clock", CLOCK, "import time\ntime.time_ns()"),
        ("clock", "daemon/core/engine.py", "now = turn.time.time_ns"),
        (
            "dice",
            "daemon/venues/sim/flow.py",
            "import random\nrng = random.Random(7)\nrng.random()",
        ),
        ("tasks", "daemon/app.py", "group.create_task(x(), name='x')"),
        ("print", "daemon/cli/demo_command.py", "print('x')"),
        ("float", "daemon/shell/process/clock.py", "x = 0.1"),
        ("float", "daemon/core/retry.py", "x = 10**9 // 3"),
    ],
)
def test_no_rule_catches_what_is_allowed(rule: str, name: str, source: str) -> None:
    assert not RULES[rule](name, ast.parse(source))
