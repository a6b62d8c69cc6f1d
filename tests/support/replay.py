"""Re-steps a recorded journal with a fresh engine and compares every effect that left a line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from daemon.app import build_engine
from daemon.core.engine import Engine
from daemon.model.effects import Record
from daemon.model.halt import HaltFlag
from daemon.model.ids import RunId
from daemon.model.inputs import Input, Turn
from daemon.model.plain_values import from_tagged
from daemon.settings import load_config
from daemon.shell.journal.replay import run_to_restep

SHELL_LINES = {"command", "kill", "run_start", "run_stop", "recovery", "checkpoint", "drill"}
"""Written by the shell beside the engine: facts, but no effects of a step."""
NOT_BOUND = {"bot_version", "heartbeat_period_ms", "run_number", "key_source", "warnings", "ticks"}
"""Said of a run beside what its sessions are bound to."""
ENVELOPE = {
    "seq", "ts", "ts_ns", "schema", "run_id", "session_id", "mode", "exchange", "event_type",
    "level", "is_error", "is_anomaly", "prev",
}  # fmt: skip


def replay_last_run(config_path: Path, directory: Path) -> tuple[int, str]:
    """Re-step the last run of a journal.

    Returns (effects compared, state hash at the end); an assertion names the first difference.
    Every checkpoint of the run must be the state here, too: an orderly end writes one.
    """
    past, run = run_to_restep(directory)
    binding = {k: v for k, v in run[0].items() if k not in ENVELOPE}
    engine = build_engine(
        load_config(config_path),
        instance=binding.pop("instance"),
        run=RunId(run[0]["run_id"]),
        binding={k: v for k, v in binding.items() if k not in NOT_BOUND},
        halt=HaltFlag(),
    )
    _recover(engine, past)
    engine.finish_recovery(run[0]["ts_ns"])
    compared = checkpoints = 0
    expected: list[Mapping[str, Any]] = []
    for number, line in enumerate(run):
        if line["event_type"] == "checkpoint":
            mine = json.loads(json.dumps(engine.state()))
            assert mine == line["state"], _first_difference(mine, line["state"])
            checkpoints += 1
        if line["event_type"] != "input":
            continue
        told = from_tagged(Input, line["input"])
        effects = engine.step(Turn(line["seq"], line["ts_ns"], told, line["prev"]))
        records = [e for e in effects if isinstance(e, Record)]
        expected = _facts_after(run, number)
        assert len(records) == len(expected), (line["seq"], records, expected)
        for made, found in zip(records, expected, strict=True):
            assert made.event_type.value == found["event_type"], line["seq"]
            fields = dict(orjson.loads(orjson.dumps(made.fields)))
            written = {k: v for k, v in found.items() if k not in ENVELOPE or k in fields}
            assert fields == written, line["seq"]
            compared += 1
    assert checkpoints, "the run left no checkpoint: did it end in order?"
    return compared, engine.state_hash()


def _recover(engine: Engine, past: list[dict[str, Any]]) -> None:
    """Fold what went before, as the boot did: the last checkpoint, then the facts after it."""
    marks = [n for n, line in enumerate(past) if line["event_type"] == "checkpoint"]
    if marks:
        engine.restore(past[marks[-1]]["state"])
    for line in past[marks[-1] + 1 if marks else 0 :]:
        if line["event_type"] != "input":
            engine.apply_fact(line)


def _facts_after(run: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    facts = []
    for line in run[number + 1 :]:
        if line["event_type"] == "input":
            break
        if line["event_type"] not in SHELL_LINES:
            facts.append(line)
    return facts


def _first_difference(mine: Any, theirs: Any, at: str = "state") -> str:
    """Where two plain values part, for the message of an assertion."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in sorted({*mine, *theirs}):
            if mine.get(key) != theirs.get(key):
                return _first_difference(mine.get(key), theirs.get(key), f"{at}.{key}")
    return f"{at}: {str(mine)[:300]} here, {str(theirs)[:300]} in the journal"
