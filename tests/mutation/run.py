"""Mutation testing of `riskcaps`: `make mutation ARGS="gate.limit_rules"` (none: all of it).

One process imports and collects the tests once, learns which tests run which lines, and forks for
each mutant: the child puts the mutant's code into the function, runs the tests of that line, the
quickest first, and ends at the first that fails. A mutant that no test notices has survived.
"""

import argparse
import gc
import importlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.mutation.mutants import Mutant, Source

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "riskcaps"
TESTS = (
    "tests/unit/riskcaps",
    "tests/property/riskcaps",
    "tests/unit/core",
    "tests/unit/evidence/test_recheck.py",
)
CPU_S, WALL_S = 60, 600
KILLED, SURVIVED, NOT_RUN = "killed", "survived", "not run"
Lines = dict[str, frozenset[tuple[str, int]]]


class Mutation:
    """A pytest plugin whose run loop runs the tests once as they are, and once for each mutant."""

    def __init__(
        self, modules: Sequence[str], out: Path, only: frozenset[tuple[str, str]] | None
    ) -> None:
        self._modules = modules
        self._out = out
        self._only = only
        self._seconds: dict[str, float] = {}
        self._lines: Lines = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Learn, then mutate."""
        items = {item.nodeid: item for item in session.items}
        for item in items.values():
            _without_shrinking(item)
        began = time.perf_counter()
        if not self._learn(items):
            return True
        sys.stderr.write(f"{len(items)} tests learnt in {time.perf_counter() - began:.0f} s\n")
        gc.freeze()  # children share what the parent has
        counts: dict[str, dict[str, int]] = {}
        with self._out.open("a") as out:
            for module in self._modules:
                source = Source(PACKAGE / f"{module.replace('.', '/')}.py")
                live = importlib.import_module(f"riskcaps.{module}")
                found = counts.setdefault(module, {})
                for mutant in source.mutants():
                    if self._only is not None and (module, mutant.change) not in self._only:
                        continue
                    verdict, by = self._judge(mutant, source, live, items)
                    found[verdict] = found.get(verdict, 0) + 1
                    row = {"module": module, "number": mutant.number, "line": mutant.line}
                    row |= {"verdict": verdict, "change": mutant.change, "by": by}
                    out.write(json.dumps(row) + "\n")
                    out.flush()
                sys.stderr.write(f"{module}: {found}\n")
        return True

    def _learn(self, items: dict[str, pytest.Item]) -> bool:
        for name, item in items.items():
            seen: set[tuple[str, int]] = set()
            began = time.perf_counter()
            with _traced(seen):
                passed = _passes(item)
            self._seconds[name] = time.perf_counter() - began
            self._lines[name] = frozenset(seen)
            if not passed:
                sys.stderr.write(f"{name} fails without any mutant: nothing to learn\n")
                return False
        return True

    def _judge(
        self, mutant: Mutant, source: Source, live: Any, items: dict[str, pytest.Item]
    ) -> tuple[str, str]:
        wanted = {(str(source.path), line) for line in range(mutant.line, mutant.last + 1)}
        names = [name for name in items if self._lines[name] & wanted]
        names.sort(key=self._seconds.__getitem__)
        if not names:
            return NOT_RUN, ""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _child(mutant, source, live, [items[name] for name in names], writer)
        os.close(writer)
        ended = _wait(child)
        with os.fdopen(reader) as told:
            by = told.read()
        return (SURVIVED if ended == 0 else KILLED), by


def _child(
    mutant: Mutant, source: Source, live: Any, items: Sequence[pytest.Item], told: int
) -> None:
    """Never returns: exit code 0 when every test passed."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
    try:
        _put(live, mutant.function, source.code(mutant.number))
        for item in items:
            if not _passes(item):
                os.write(told, item.nodeid.encode())
                os._exit(1)
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - a mutant may do anything
        os.write(told, f"{type(error).__name__}: {error}".encode()[:500])
        os._exit(2)


def _put(live: Any, function: str, codes: dict[str, CodeType]) -> None:
    """Change the function where it lives: whoever holds it runs the mutant."""
    holder: Any = live
    *classes, name = function.split(".")
    for one in classes:
        holder = getattr(holder, one)
    found = vars(holder)[name]
    for wrapper in ("fget", "func", "__func__", "__wrapped__"):
        found = getattr(found, wrapper, found)
    if not isinstance(found, FunctionType):
        raise TypeError(f"{function} is no function of {live.__name__}")
    found.__code__ = codes[function]


def _passes(item: pytest.Item) -> bool:
    reports = runtestprotocol(item, nextitem=None, log=False)
    return all(report.passed or report.skipped for report in reports)


def _wait(child: int) -> int:
    deadline_s = time.monotonic() + WALL_S
    while time.monotonic() < deadline_s:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


class _traced:  # noqa: N801 - used as a context manager, like those of contextlib
    """Notes which lines of the package run."""

    def __init__(self, seen: set[tuple[str, int]]) -> None:
        self._seen = seen

    def __enter__(self) -> None:
        sys.settrace(self._call)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, event: str, _arg: object) -> Callable[..., Any] | None:
        name = frame.f_code.co_filename
        if not name.startswith(str(PACKAGE)):
            return None
        note = self._seen.add

        def line(frame: FrameType, _event: str, _arg: object) -> Callable[..., Any]:
            note((name, frame.f_lineno))
            return line

        return line


def _without_shrinking(item: pytest.Item) -> None:
    """A failing example is enough; nobody reads it."""
    from hypothesis import Phase, settings  # noqa: PLC0415 - pytest wants to rewrite it first

    held = getattr(item, "obj", None)
    of_machine = getattr(getattr(held, "__self__", None), "settings", None)
    phases = (Phase.explicit, Phase.generate)
    if isinstance(of_machine, settings):
        type(held.__self__).settings = settings(of_machine, phases=phases, database=None)
    elif hasattr(held, "_hypothesis_internal_use_settings"):
        old = held._hypothesis_internal_use_settings
        held._hypothesis_internal_use_settings = settings(old, phases=phases, database=None)


def survivors(outs: Sequence[Path]) -> frozenset[tuple[str, str]]:
    """Modules and changes that no earlier run has killed; lines may have moved since."""
    alive: dict[tuple[str, str], bool] = {}
    for out in outs:
        for line in out.read_text().splitlines():
            row = json.loads(line)
            key = (row["module"], row["change"])
            alive[key] = alive.get(key, True) and row["verdict"] != KILLED
    return frozenset(key for key, is_alive in alive.items() if is_alive)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.run", description=__doc__)
    parser.add_argument("modules", nargs="*", help="of riskcaps; default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "mutation.jsonl")
    parser.add_argument("--tests", nargs="+", default=list(TESTS))
    parser.add_argument("--again", type=Path, nargs="+", help="only what these runs left alive")
    asked = parser.parse_args()
    modules = asked.modules or sorted(
        f"{path.parent.name}.{path.stem}"
        for path in PACKAGE.glob("*/*.py")
        if path.stem != "__init__"
    )
    os.environ.setdefault("GATE_EXAMPLES", "20")
    os.environ.setdefault("SCREEN_WORLDS", "60")
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    only = survivors(asked.again) if asked.again else None
    plugin = Mutation(modules, asked.out, only)
    arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:timeout"]
    arguments += ["-o", "addopts=--import-mode=importlib", "-W", "ignore"]
    return int(pytest.main([*arguments, *asked.tests], plugins=[plugin]))


if __name__ == "__main__":
    sys.exit(main())
