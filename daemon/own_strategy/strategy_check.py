"""`seatrial strategy check`: what can be known of a strategy without a venue.

Rules of this file:
1. The user's code runs in processes of its own, two of them, with other hash seeds: a strategy that
   does not return, ends the process or decides by chance is found, and harms nobody.
2. Each problem names its place and the mend.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from daemon.own_strategy.class_place import ClassPlace, class_place, file_of
from daemon.own_strategy.findings import StrategyFinding
from daemon.own_strategy.source_check import source_findings
from daemon.settings import Config

PATIENCE_S = 10.0
"""CPU seconds for the whole recording; a sound strategy needs a tenth of one."""
CALL_S = 2.0
"""For one call of it; the daemon's main loop stands still as long."""
_WALL_S = 120.0
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<name>\w+)')


class CheckResult(msgspec.Struct, frozen=True):
    """What was found, and what was played."""

    findings: tuple[StrategyFinding, ...]
    remarks: tuple[str, ...] = ()
    calls: int = 0
    slowest_ms: float = 0.0


def check_strategy(
    target: str,
    *,
    params: Mapping[str, Any],
    symbol: str,
    config: Config | None = None,
    config_file: str = "",
    patience_s: float = PATIENCE_S,
) -> CheckResult:
    """Everything that is wrong with a strategy.

    Args:
        target: `FILE.py:Class` or `module:Class`.
        params: its parameters, as the configuration has them.
        symbol: the simulated venue's symbol that the recording is on.
        config: where given, its strategies of this class must fit; their parameters are taken.
        config_file: where it was read from.
        patience_s: how much CPU time the recording may take.

    Raises:
        StrategyConfigError: there is no such file or module.
    """
    place = class_place(target)
    found = list(_source(place))
    if any(one.what.startswith("SyntaxError") for one in found):
        return CheckResult(tuple(found))
    names: list[str] = []
    if config is not None:
        named = config.settings.strategies.items()
        names = [name for name, one in named if one.class_path == place.class_path]
        found += [] if names else [_unnamed(place, config_file)]
    sets: dict[str, Mapping[str, Any]] = {
        name: config.settings.strategies[name].params for name in names if config is not None
    }
    played = _played(target, place, sets or {"NAME": params}, symbol, patience_s)
    known = {(one.file, one.line) for one in found if one.line}
    found += [one for one in played.findings if (one.file, one.line) not in known]
    return CheckResult(tuple(found), played.remarks, played.calls, played.slowest_ms)


def _source(place: ClassPlace) -> list[StrategyFinding]:
    if place.root is None:
        return []  # an installed module: what it does is seen when it runs
    file = file_of(place)
    try:
        return source_findings(str(file), file.read_text(encoding="utf-8"), place.class_name)
    except SyntaxError as error:
        return [
            StrategyFinding(str(file), error.lineno or 0, f"SyntaxError: {error.msg}", "mend it")
        ]


def _unnamed(place: ClassPlace, file: str) -> StrategyFinding:
    return StrategyFinding(
        file, 0, f"no strategy has the class {place.class_path}",
        f'add [strategies.NAME] with class = "{place.class_path}" and symbols = […]',
    )  # fmt: skip


# ---------------------------------------------------------------- the recording
def _played(
    target: str,
    place: ClassPlace,
    sets: Mapping[str, Mapping[str, Any]],
    symbol: str,
    patience_s: float,
) -> CheckResult:
    """The recording, twice; whether both times the same was wished."""
    asked = msgspec.json.encode(
        {
            "target": target,
            "sets": sets,
            "symbol": symbol,
            "patience_s": patience_s,
            "call_s": CALL_S,
            "wall_s": _WALL_S,
        },
        enc_hook=str,
    )
    answers: list[dict[str, Any]] = []
    for seed in ("1", "2"):
        answer = _play(asked, place, seed, patience_s)
        if isinstance(answer, StrategyFinding):
            return CheckResult((answer,))
        answers.append(answer)
        if answer["findings"]:
            break
    first, second = answers[0], answers[-1]
    found = [msgspec.convert(one, StrategyFinding) for one in first["findings"]]
    differs = next(
        (
            n
            for n, (a, b) in enumerate(zip(first["wishes"], second["wishes"], strict=False))
            if a != b
        ),
        None,
    )
    if differs is None and len(first["wishes"]) != len(second["wishes"]):
        differs = min(len(first["wishes"]), len(second["wishes"])) - 1
    if differs is not None and not found:
        scene, method, _ = (first["wishes"][differs] + "  ").split(" ", 2)
        found.append(
            StrategyFinding(
                first["file"],
                first["lines"].get(method, 0),
                f"{method} wishes something else when the same is played again (scene {scene!r}, "
                f"call {differs + 1})",
                "do not depend on a clock, on chance, or on the order of a set: sort it",
            )
        )
    return CheckResult(tuple(found), tuple(first["remarks"]), first["calls"], first["slowest_ms"])


def _play(asked: bytes, place: ClassPlace, seed: str, patience_s: float) -> Any:
    """One recording's answer, or the finding that there is none."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "daemon.own_strategy.recording_child"],
            input=asked, capture_output=True, check=False, timeout=2 * _WALL_S,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONSAFEPATH": "1"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return StrategyFinding(
            "", 0, "the recording did not end", "see that importing the file returns"
        )
    said = done.stderr.decode(errors="replace")
    if done.returncode == 0:
        return json.loads(done.stdout)
    root = str(place.root or "")
    for frame in _FRAME.finditer(said):
        if root and frame["file"].startswith(root) and "site-packages" not in frame["file"]:
            return StrategyFinding(
                frame["file"], int(frame["line"]),
                f"{frame['name']} does not return: {CALL_S:.0f} s of CPU time for one call, "
                f"{patience_s:.0f} s for all",
                "answer at once: wish a TimerIntent to be called later",
            )  # fmt: skip
    last = said.strip().splitlines()[-1:] or ["no word"]
    return StrategyFinding("", 0, f"its process ended with {done.returncode}: {last[0]}",
                   "a strategy must not end the process")  # fmt: skip
