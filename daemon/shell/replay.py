"""Reading our own journal at boot: the torn tail, the last checkpoint, the facts after it.

Boot is recovery (promise P6): there is no other start path. What is read here is folded by
`Engine.restore` and `Engine.apply_fact`; INPUT lines are skipped (state is a fold of the facts).
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from daemon.model.records import GENESIS, SCHEMA_VERSION
from daemon.shell.journal import JournalError, segments

_CHECKPOINT = b'"event_type":"checkpoint"'
_EVENT_TYPE = b'"event_type":'
_INPUT = b'"event_type":"input"'
_ENVELOPE_BYTES_MAX = 400


@dataclass(kw_only=True)
class Recovered:
    """What a state directory's journal says of the past."""

    seq: int = 0
    head: str = GENESIS
    ts_ns: int = 0
    torn_bytes: int = 0
    torn_sha256: str = ""
    checkpoint: dict[str, Any] | None = None
    facts: list[dict[str, Any]] = field(default_factory=list)
    """Fact lines after the checkpoint, oldest first."""


def recover(directory: Path) -> Recovered:
    """Read the journal's tail from its last checkpoint on; cut a torn last line off.

    Raises:
        JournalError: a line inside the journal is damaged, or a newer schema wrote it. The
            journal is then not ours to continue: move it away and reconcile by hand.
    """
    found = segments(directory)
    out = Recovered()
    if not found:
        return out
    _cut_torn_tail(found[-1], out)
    bodies: list[tuple[Path, bytes]] = []
    for path in reversed(found):
        body = path.read_bytes()
        start = _last_checkpoint(body)
        bodies.insert(0, (path, body[max(start, 0) :]))
        if start >= 0:
            break
    for path, body in bodies:
        _read(path, body, out)
    return out


def _last_checkpoint(body: bytes) -> int:
    """Where the last checkpoint line begins; -1: none. The same words inside data do not count."""
    at = len(body)
    while (at := body.rfind(_CHECKPOINT, 0, at)) >= 0:
        start = body.rfind(b"\n", 0, at) + 1
        if body.find(_EVENT_TYPE, start) == at:
            return start
    return -1


def _cut_torn_tail(path: Path, out: Recovered) -> None:
    body = path.read_bytes()
    torn = body[body.rfind(b"\n") + 1 :]
    if torn:
        out.torn_bytes = len(torn)
        out.torn_sha256 = hashlib.sha256(torn).hexdigest()
        os.truncate(path, len(body) - len(torn))


def _read(path: Path, body: bytes, out: Recovered) -> None:
    last: bytes | None = None
    for number, line in enumerate(body.splitlines(), start=1):
        last = line
        if line.find(_INPUT, 0, _ENVELOPE_BYTES_MAX) >= 0:
            continue
        record = _decode(path, number, line)
        if record["event_type"] == "checkpoint":
            out.checkpoint = record["state"]
            out.facts.clear()
        else:
            out.facts.append(record)
    if last is not None:
        record = _decode(path, -1, last)
        out.seq = record["seq"]
        out.ts_ns = record["ts_ns"]
        out.head = hashlib.sha256(last).hexdigest()


def _decode(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        record = orjson.loads(line)
        schema = record["schema"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise JournalError(
            f"journal {path}: line {number} after the last checkpoint is damaged ({error}); "
            "move the journal away, start with a new state directory, and reconcile by hand"
        ) from error
    if schema > SCHEMA_VERSION:
        raise JournalError(
            f"journal {path}: written by a newer seatrial (schema {schema}); upgrade, or use it"
        )
    if not isinstance(record, dict):
        raise JournalError(f"journal {path}: line {number} is not an object")
    return record


def inputs_of(directory: Path) -> Iterator[dict[str, Any]]:
    """Every line of a journal, in order: what the replay test re-steps."""
    for path in segments(directory):
        with path.open("rb") as lines:
            for line in lines:
                yield orjson.loads(line)
