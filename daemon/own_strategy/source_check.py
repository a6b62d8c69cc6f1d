"""What a strategy's text shows without running it: calls that block, read a clock, throw dice.

Rules of this file:
1. A name is resolved through the file's own imports (`import time as t`, `from time import sleep`).
2. Only calls are found, wherever they stand; what a module of others does is seen when it runs
   (`recording_child.py`).
"""

import ast
from collections.abc import Iterator, Mapping

from daemon.own_strategy.findings import StrategyFinding

CLOCK = "take the time from `view.now_ns`: a recorded run, stepped again, must decide the same"
BLOCKING = (
    "the main loop stands still meanwhile: wish a TimerIntent to be called later, and "
    "fetch data outside of the strategy"
)
DICE = "make `random.Random(seed)` once, with the seed as a parameter: a run must be repeatable"
THREADS = "a strategy has no thread and no loop of its own: it answers each call with wishes"

_FORBIDDEN: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns",
            "time.perf_counter", "time.perf_counter_ns", "time.process_time", "time.gmtime",
            "time.localtime", "time.strftime", "datetime.datetime.now", "datetime.datetime.utcnow",
            "datetime.datetime.today", "datetime.date.today",
        ),
        CLOCK,
    ),
    **dict.fromkeys(
        (
            "time.sleep", "open", "input", "os.system", "os.popen", "socket.socket",
            "socket.create_connection", "select.select", "pathlib.Path.read_text",
        ),
        BLOCKING,
    ),
    **dict.fromkeys(("os.urandom", "uuid.uuid1", "uuid.uuid4", "random.SystemRandom"), DICE),
}  # fmt: skip
_FORBIDDEN_MODULES: Mapping[str, str] = {
    "subprocess": BLOCKING, "requests": BLOCKING, "httpx": BLOCKING, "aiohttp": BLOCKING,
    "urllib.request": BLOCKING, "urllib3": BLOCKING, "http.client": BLOCKING, "ccxt": BLOCKING,
    "websockets": BLOCKING, "sqlite3": BLOCKING, "random": DICE, "secrets": DICE,
    "threading": THREADS, "multiprocessing": THREADS, "asyncio": THREADS,
    "concurrent.futures": THREADS,
}  # fmt: skip
_ALLOWED = frozenset({"random.Random", "asyncio.iscoroutine"})


def source_findings(file: str, text: str, class_name: str) -> list[StrategyFinding]:
    """Problems of one file, by line.

    Raises:
        SyntaxError: it is no Python.
    """
    tree = ast.parse(text, file)
    names = dict(_imported(tree))
    found = [*_calls(file, tree, names), *_async_methods(file, tree, class_name)]
    return sorted(found, key=lambda one: one.line)


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """What each imported name stands for, in full."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    yield alias.asname, alias.name
                else:
                    first = alias.name.partition(".")[0]
                    yield first, first
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _full_name(node: ast.expr, names: Mapping[str, str]) -> str:
    """`datetime.datetime.now` for `dt.now`; empty where it is none."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    if node.id not in names and (parts or node.id not in ("open", "input")):
        return ""
    return ".".join((names.get(node.id, node.id), *parts))


def _why_not(name: str) -> str:
    if name in _ALLOWED:
        return ""
    if name in _FORBIDDEN:
        return _FORBIDDEN[name]
    for module, mend in _FORBIDDEN_MODULES.items():
        if name.startswith(f"{module}."):
            return mend
    return ""


def _calls(file: str, tree: ast.AST, names: Mapping[str, str]) -> Iterator[StrategyFinding]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = _full_name(node.func, names)
            if name and (mend := _why_not(name)):
                yield StrategyFinding(file, node.lineno, f"calls {name}()", mend)


def _async_methods(file: str, tree: ast.AST, class_name: str) -> Iterator[StrategyFinding]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef) or node.name != class_name:
            continue
        for member in node.body:
            if isinstance(member, ast.AsyncFunctionDef):
                yield StrategyFinding(
                    file, member.lineno, f"{member.name} is `async def`",
                    "write `def`: the engine calls it and takes the wishes at once, it awaits none",
                )  # fmt: skip
