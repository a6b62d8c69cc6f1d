"""Every command of the tool, by a walk through its tree, with closed, dead and ASCII streams.

No traceback, characters that the encoding lacks are replaced, and the exit code is that of the
same command with good streams: only a command whose words are all that it does fails with them.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control.methods import METHODS
from control.tool.command_frame import _LOOKING
from control.tool.mounted_commands import Tool
from tests.support.control_port import FakePort
from tests.support.control_server import serving
from tests.support.sim_process import ROOT
from tests.support.tool_forks import leaves

LIVES = {"demo", "sim", "doctor", "drill", "evidence", "gate", "keys", "ops-status", "preflight"}
LIVES |= {"promote", "up", "watch", "witness"}
"""Commands with a venue, files or a screen of their own: their help and their usage errors."""
WORDS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("caps", "explain"): ("--config", "none.toml"),
    ("caps", "set"): ("orders_per_hour_max=1", "--reason", "r"),
    ("completion",): ("bash",),
    ("explain",): ("1", "--why", "w"),
    ("flatten",): ("--yes", "--reason", "r"),
    ("incident", "note"): ("i-1", "é"),
    ("incident", "resolve"): ("i-2", "--root-cause=é", "--remediation=r", "--follow-up=n"),
    ("incident", "show"): ("i-1",),
    ("init",): ("--venue", "sim"),
    ("re-arm",): ("--yes", "--reason", "ü"),
    ("re-enable",): ("--yes", "--reason", "r"),
    ("rpc", "call"): ("status",),
    ("start",): ("--yes",),
    ("tail",): ("--no-follow",),
}
SPOILED: tuple[dict[str, str], ...] = (
    {"bad": "closed", "where": "stdout"},
    {"bad": "closed", "where": "stdin"},
    {"bad": "closed", "where": "stderr"},
    {"bad": "dead", "where": "stdout"},
    {"bad": "dead", "where": "stderr"},
    {"encoding": "ascii"},
)
FULL = {"bad": "full", "where": "stdout"}


def spoiled_for(words: tuple[str, ...]) -> tuple[dict[str, str], ...]:
    """Help and usage errors are the command line library's: not every stream again."""
    if words[-1] == "-h":
        return (SPOILED[0], SPOILED[-1])
    if words[-1] == "--no-such-option":
        return (SPOILED[2],)
    return (*SPOILED, FULL)


def command_lines() -> Iterator[tuple[str, ...]]:
    for words in leaves(Tool()):
        yield (*words, "-h")
        yield (*words, "--no-such-option")
        if words[0] not in LIVES:
            yield (*words, *WORDS.get(words, ()))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Every command line with every kind of stream, the good ones first."""
    lines = list(command_lines())
    cases = [
        {"words": list(words), **spoiled}
        for words in lines
        for spoiled in ({}, *spoiled_for(words))
    ]
    port = FakePort()
    port.snapshot = {**port.snapshot, "latched": True, "latch_reason": "Übermut · €"}
    with serving(tmp_path_factory.mktemp("s"), port) as path:
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.tool_forks"],
            cwd=ROOT,
            env={**os.environ, "SEATRIAL_SOCKET": str(path), "PYTHONPATH": str(ROOT)},
            input="\n".join(json.dumps(case) for case in cases),
            capture_output=True,
            text=True,
            timeout=110,
            check=True,
        )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(cases)
    return {json.dumps(case): answer for case, answer in zip(cases, answers, strict=True)}


def of(results: dict[str, dict[str, Any]], words: tuple[str, ...], **how: str) -> dict[str, Any]:
    return results[json.dumps({"words": list(words), **how})]


@pytest.mark.slow
def test_no_stream_changes_an_exit_code_or_ends_in_a_traceback(
    results: dict[str, dict[str, Any]],
) -> None:
    problems = []
    for words in command_lines():
        good = of(results, words)
        if good["code"] not in {0, 1, 2, 3}:
            problems.append(f"{' '.join(words)}: {good}")
        for spoiled in spoiled_for(words):
            if spoiled is FULL:
                continue
            got = of(results, words, **spoiled)
            told = got["stdout"] + got["stderr"]
            bad_code = got["code"] != good["code"]
            if bad_code or "Traceback" in told or "Exception ignored" in told:
                problems.append(f"{' '.join(words)} {spoiled}: {good['code']} {got}")
    assert not problems, "\n".join(problems[:20])


@pytest.mark.slow
def test_a_full_disk_fails_what_only_shows_and_nothing_else(
    results: dict[str, dict[str, Any]],
) -> None:
    shows = {"status", "orders", "positions", "caps", "incident", "tail", "rpc", "completion"}
    for words in command_lines():
        if FULL not in spoiled_for(words):
            continue
        good, full = of(results, words), of(results, words, **FULL)
        assert "Traceback" not in full["stderr"], words
        if words[0] not in shows and words[0] not in {"init", "gating"}:
            assert full["code"] == good["code"], (words, full)
    status = of(results, ("status",), **FULL)
    assert status["code"] == 1
    assert "the output cannot be written: No space left on device" in status["stderr"]


@pytest.mark.slow
def test_what_ascii_cannot_say_is_replaced(results: dict[str, dict[str, Any]]) -> None:
    plain = of(results, ("status",), encoding="ascii")
    assert plain["stdout"].isascii()
    assert "?bermut" in plain["stdout"]
    told = json.loads(of(results, ("rpc", "call", "status"), encoding="ascii")["stdout"])
    assert told["latch_reason"] == "Übermut · €", "JSON is escaped: nothing is lost"


def test_what_only_looks_is_what_the_method_table_calls_a_query() -> None:
    assert {spec.name for spec in METHODS.values() if spec.kind in {"query", "events"}} == _LOOKING


@pytest.mark.parametrize("place", ["before", "after", "both"])
def test_the_socket_is_named_before_or_after_every_command(tmp_path: Path, place: str) -> None:
    """Each command that asks a daemon reaches the one that was named; the last word counts."""
    port = FakePort()
    with serving(tmp_path, port) as path:
        named = ("--socket", str(path))
        for words in command_lines():
            if words[-1] in {"-h", "--no-such-option"} or words[0] in {"init", "completion"}:
                continue
            if words[:2] in {("rpc", "schema"), ("rpc", "roles"), ("gating", "drill")}:
                continue
            if words[:2] == ("caps", "explain"):
                continue
            line = {
                "before": (*named, *words),
                "after": (*words, *named),
                "both": ("--socket", "nowhere", *words, f"--socket={path}"),
            }[place]
            done = _in_process(line)
            assert done != 3, f"{' '.join(line)}: the daemon was not reached"


def _in_process(words: tuple[str, ...]) -> int:
    from click.testing import CliRunner  # noqa: PLC0415 - here alone

    return CliRunner().invoke(Tool(), list(words)).exit_code
