"""A simulated world that writes its journal as the pump does: chained, inputs included.

So the ids that its engine mints carry the heads of that very journal, and the venue's core keeps
them. `raw_list` is what the venue would answer to `GET /api/v3/allOrders`.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from daemon.core.engine import Engine
from daemon.model.amounts import NS_PER_MS
from daemon.model.effects import Effect, Record
from daemon.model.ids import chain_digest, parse_id, run_id
from daemon.model.inputs import JournalFault, JournalMended, Turn
from daemon.model.records import EventType, severity_of
from daemon.shell.journal.input_lines import input_text
from tests.support.builders import INSTANCE, command
from tests.support.sim_chaos import FaultMenu
from tests.support.sim_runner import MS, SYMBOL, SimRun

ENVELOPE = {"schema": 1, "mode": "sim", "exchange": "sim"}


class ChainedRun(SimRun):
    """One world with a journal: `lines`, oldest first."""

    def __init__(self, seed: int, *, menu: FaultMenu | None = None) -> None:
        self.lines: list[bytes] = []
        self.begun = 0
        super().__init__(seed, menu=menu)

    def new_engine(self, run_number: int) -> tuple[Engine, Any, Any]:
        if run_number > self.begun:  # a checker's twin is no boot
            self.begun = run_number
            fields = {
                "instance": INSTANCE,
                "run_number": run_number,
                "environment": "sim",
                "ticks": "all",
            }
            self.write("run_start", "", fields)
        return super().new_engine(run_number)

    def journalled(
        self, turn: Turn, session_before: str, session: str, effects: tuple[Effect, ...]
    ) -> None:
        self.write("input", session_before, orjson.loads(input_text(turn.input)))
        for effect in effects:
            if type(effect) is not Record:
                continue
            fields = dict(effect.fields)
            if effect.event_type is EventType.SESSION_START:
                caps = self.capset
                fields |= {"caps_hash": caps.hash, "caps": caps.to_plain(), "environment": "sim"}
            self.write(effect.event_type.value, session, fields)

    def _trouble(self) -> None:
        self.tell(JournalFault("no space left on device"))
        self.tell(JournalMended())

    def _resolve(self) -> None:
        for line in map(orjson.loads, list(self.lines)):
            if line["event_type"] == "incident_opened":
                told = command(
                    "incident-resolve", "space was made", incident_id=line["incident_id"]
                )
                self.tell(told)

    def write(self, event_type: str, session: str, fields: dict[str, Any]) -> None:
        severity = severity_of(EventType(event_type))
        line = {
            "seq": len(self.lines) + 1, "ts_ns": self.now_ns, **ENVELOPE,
            "run_id": run_id(INSTANCE, self.run_number), "session_id": session,
            "event_type": event_type, "level": severity.level, "is_error": severity.is_error,
            "is_anomaly": severity.is_anomaly, **json.loads(orjson.dumps(fields)),
            "prev": self.head,
        }  # fmt: skip
        self.lines.append(orjson.dumps(line))
        self.head = hashlib.sha256(self.lines[-1]).hexdigest()

    def ended(self, seconds: float = 3.0) -> "ChainedRun":
        """Run it to its end; half-way there is an incident, which the operator resolves."""
        self.later(int(seconds * 500) * MS, self._trouble)
        self.later(int(seconds * 500) * MS + 300 * MS, self._resolve)
        self.run(seconds)
        self.write("run_stop", "", {"reason": "end", "exit_code": 0})
        return self


def raw_list(run: SimRun) -> list[dict[str, Any]]:
    """Rows of the venue's list of our orders, under the ids that it shows: a cancel renames one."""
    return [
        {
            "symbol": SYMBOL, "orderId": order.order_id,
            "clientOrderId": order.shown_client_order_id, "status": order.status.value,
            "time": order.ts_ns // NS_PER_MS, "updateTime": order.updated_ns // NS_PER_MS,
        }
        for order in run.venue.accounts["main"].history.all()
        if order.symbol == SYMBOL
    ]  # fmt: skip


def write_lines(directory: Path, lines: Iterable[bytes]) -> Path:
    """A journal of one segment."""
    directory.mkdir(parents=True)
    (directory / "journal-000001.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    return directory


def chained_again(records: Iterable[dict[str, Any]], *, with_ids: bool = False) -> list[bytes]:
    """The lines of edited records with every number and hash made good.

    `with_ids`: the ids are minted anew too, so that nothing inside the journal contradicts it.
    """
    lines: list[bytes] = []
    head, turn_head = "0" * 64, "0" * 64
    renamed: dict[str, str] = {}
    for number, edited in enumerate(records, start=1):
        record = json.loads(json.dumps(edited))
        if record["event_type"] == "input":
            turn_head = head
        if with_ids:
            if record["event_type"] == "order_approved":
                _mint(record, "client_order_id", turn_head, renamed)
            elif record.get("request_id"):
                _mint(record, "request_id", turn_head, renamed)
        record = _under_new_ids(record, renamed)
        record["seq"], record["prev"] = number, head
        line = orjson.dumps(record)
        lines.append(line)
        head = hashlib.sha256(line).hexdigest()
    return lines


def _mint(record: dict[str, Any], field: str, head: str, renamed: dict[str, str]) -> None:
    shown = record[field]
    seen = parse_id(shown)
    if seen is not None and seen.digest:
        renamed[shown] = shown[:20] + chain_digest(head)


def _under_new_ids(record: dict[str, Any], renamed: dict[str, str]) -> dict[str, Any]:
    text = json.dumps(record)
    for old, new in renamed.items():
        if old != new:
            text = text.replace(old, new)
    changed: dict[str, Any] = json.loads(text)
    return changed
