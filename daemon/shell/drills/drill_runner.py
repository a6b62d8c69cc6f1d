"""Drills: they try each control before it is needed, without trading.

Rules of this file:
1. Drills run only while no session is on. What is live in them (the emergency session, a cut
   connection, a comparison) sends no order; what needs an order happens in a rehearsal, whose
   engine has no venue. A drill during which an order was approved has failed.
2. Each result is a `drill` line of the journal, and stands in the status until the next one.
3. They run in a thread of their own: a drill never holds up the main loop or a kill.
"""

import concurrent.futures
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec
import orjson

from control.tool.gating_drills import run_gating_drills
from daemon.model.amounts import floor_to
from daemon.model.effects import Reply
from daemon.model.enums import (
    ExecType,
    Link,
    ReportSource,
    Side,
    VenueOrderStatus,
)
from daemon.model.halt import HaltFlag
from daemon.model.ids import ClientOrderId, VenueOrderId
from daemon.model.inputs import Command, KillLatched, LinkDown, LinkUp, RateLimited
from daemon.model.journal_records import DrillRecord
from daemon.model.records import EventType
from daemon.model.reports import ExecutionReport
from daemon.shell.drills.drill_rehearsal import WHO, Rehearsal, RehearsalFactory
from daemon.shell.process.clock import Clock
from daemon.shell.process.whole_file import write_whole
from daemon.shell.stop.emergency_stop import KillReport
from daemon.shell.stop.kill_latch import LatchStore

log = logging.getLogger("seatriald.drills")

DRILLS = ("kill-switch", "cap-rejection", "disconnect", "rate-limit", "reconcile", "gating")
FILE_NAME = "drills.json"
STOP_DEADLINE_S = 5.0
READY_DEADLINE_S = 60.0
ANSWER_DEADLINE_S = 60.0
_LOOK_S = 0.05
_MS = 1_000_000
_CLOSED = "halt_flag_closed"


class DrillFailed(Exception):  # noqa: N818 - a drill fails; the word is the operator's
    """A control did not do what it must; the text says which and what it did instead."""


class DrillPump(Protocol):
    """What a drill asks of the pump."""

    def note_threadsafe(self, event_type: EventType, fields: Mapping[str, Any]) -> None:
        """Journal a fact."""


class DrillTools(msgspec.Struct, frozen=True, kw_only=True):
    """The live parts; every one may be called from the drills' thread."""

    status: Callable[[], Mapping[str, Any]]
    command: Callable[[Command], "concurrent.futures.Future[Reply]"]
    cancel_and_verify: Callable[[float], KillReport]
    lose_orders: Callable[[str], object]
    orders_approved: Callable[[], int]
    rehearsal: RehearsalFactory


class _Run(msgspec.Struct):
    """A running drill and its findings so far."""

    detail: dict[str, Any] = msgspec.field(default_factory=dict)

    def must(self, what: str, found: Any, wanted: Any) -> None:
        """Note a finding; the drill fails if it differs from what is wanted."""
        self.detail[what] = found
        if found != wanted:
            raise DrillFailed(f"{what}: {found!r} instead of {wanted!r}")


class Drills:
    """Runs drills one at a time; a part of the status."""

    def __init__(
        self, *, tools: DrillTools, pump: DrillPump, clock: Clock, state_dir: Path
    ) -> None:
        """Read the last results; run nothing yet."""
        self._tools = tools
        self._pump = pump
        self._clock = clock
        self._file = state_dir / FILE_NAME
        self._state_dir = state_dir
        self._busy = threading.Lock()
        self._last: dict[str, dict[str, Any]] = _read(self._file)
        self._steps: dict[str, Callable[[_Run], None]] = {
            "kill-switch": self._kill_switch,
            "cap-rejection": self._cap_rejection,
            "disconnect": self._disconnect,
            "rate-limit": self._rate_limit,
            "reconcile": self._reconcile,
            "gating": self._gating,
        }

    # ------------------------------------------------------------------ asked for
    def begin(self, command: Command) -> "concurrent.futures.Future[Reply]":
        """Run the drill that the command names, or all; the future answers when they are over."""
        future: concurrent.futures.Future[Reply] = concurrent.futures.Future()
        wanted = command.params.get("drill")
        if wanted is not None and wanted not in self._steps:
            known = ", ".join(DRILLS)
            future.set_result(_refusal(command, "bad_params", f"no drill {wanted!r}: {known}"))
        elif self._tools.status().get("session_id"):
            text = "drills run in NO_TRADE mode: stop the session first"
            future.set_result(_refusal(command, "session_on", text))
        elif not self._busy.acquire(blocking=False):
            future.set_result(_refusal(command, "busy", "a drill is running; wait for it"))
        else:
            names = DRILLS if wanted is None else (str(wanted),)
            threading.Thread(
                target=self._run_all, args=(command, names, future), name="drill", daemon=True
            ).start()
        return future

    def status(self) -> Mapping[str, Any]:
        """When each drill was last run and whether it passed; null: never."""
        now_ns = self._clock.now_ns()
        rows: dict[str, Any] = {}
        for name in DRILLS:
            last = self._last.get(name)
            rows[name] = last and {**last, "age_s": max(0, now_ns - last["ts_ns"]) // 1_000_000_000}
        return {"drills": rows}

    # ------------------------------------------------------------------ the thread
    def _run_all(
        self,
        command: Command,
        names: tuple[str, ...],
        future: "concurrent.futures.Future[Reply]",
    ) -> None:
        try:
            results = [self._run_one(name) for name in names]
            passed = all(result["passed"] for result in results)
            answer = {"passed": passed, "drills": results}
            reply = Reply(command_id=command.command_id, result=answer)
        except Exception as error:  # whatever it is, the operator hears of it
            log.exception("a drill could not be run")
            reply = _refusal(command, "drill_error", f"{type(error).__name__}: {error}")
        finally:
            self._busy.release()
        future.set_result(reply)

    def _run_one(self, name: str) -> dict[str, Any]:
        run = _Run()
        started = self._clock.monotonic_ns()
        approved, at_venue = self._tools.orders_approved(), self._orders_at_venue()
        problem = ""
        try:
            self._steps[name](run)
            run.must("orders_approved", self._tools.orders_approved() - approved, 0)
            counted = self._orders_at_venue()
            if at_venue is not None and counted is not None and counted >= at_venue:
                # The venue's own count of our orders today (it begins anew at midnight).
                run.must("orders_counted_by_venue", counted - at_venue, 0)
        except DrillFailed as error:
            problem = str(error)
        except Exception as error:  # a control that raises has failed its drill
            log.exception("drill %s", name)
            problem = f"{type(error).__name__}: {error}"
        result: DrillRecord = {
            "drill": name,
            "passed": not problem,
            "detail": {**_exact(run.detail), **({"problem": problem} if problem else {})},
            "duration_ms": (self._clock.monotonic_ns() - started) // _MS,
        }
        ts_ns = self._clock.now_ns()
        self._pump.note_threadsafe(EventType.DRILL, result)
        self._last = self._last | {name: {"passed": not problem, "ts_ns": ts_ns}}
        try:
            write_whole(self._file, [orjson.dumps(self._last)])
        except OSError as error:  # the journal has it
            log.warning("the last drills cannot be kept in %s: %s", self._file, error.strerror)
        return {**result, "ts_ns": ts_ns}

    def _orders_at_venue(self) -> int | None:
        used = self._tools.status().get("venue", {}).get("used", {})
        count = used.get("ORDERS_1D")
        return None if count is None else int(count)

    # ------------------------------------------------------------------ the drills
    def _kill_switch(self, run: _Run) -> None:
        """The emergency session, a latch on this disk, and an engine that is killed in session."""
        started = self._clock.monotonic_ns()
        flag = HaltFlag()
        flag.close("drill")
        run.detail["gate_us"] = (self._clock.monotonic_ns() - started) // 1_000
        with tempfile.TemporaryDirectory(prefix="drill-", dir=self._state_dir) as directory:
            latch = LatchStore(Path(directory))
            latch.latch(by_uid=WHO.uid, by_name=WHO.name, reason="drill", ts_ns=1)
            run.detail["latched_ms"] = (self._clock.monotonic_ns() - started) // _MS
            run.must("latch_read_back", LatchStore(Path(directory)).read() is not None, True)
        report = self._tools.cancel_and_verify(STOP_DEADLINE_S)
        run.detail["empty_ms"] = (self._clock.monotonic_ns() - started) // _MS
        run.must("venue_verified_empty", report.verified_empty_ns is not None, True)
        run.must("venue_open_orders", report.remaining, 0)
        stage = self._tools.rehearsal()
        stage.session()
        run.must("rehearsed_order", stage.wish(qty=stage.small_qty), "")
        stage.halt.close("drill")
        run.must("wish_after_gate_closed", stage.wish(qty=stage.small_qty), _CLOSED)
        stage.tell(KillLatched(WHO, "drill", stage.now_ns))
        run.must("order_canceled", stage.cancels > 0, True)
        run.must("trading_state", stage.status()["trading_state"], "HALTED")
        run.must("latched", stage.status()["latched"], True)
        stage.after(stage.config.stop_deadline_ns // _MS + 1_000)
        reply = stage.command("start")
        run.must("start_while_latched", reply is not None and reply.error_code, "latched")

    def _cap_rejection(self, run: _Run) -> None:
        """Wishes beyond each cap of one order, with this daemon's own caps."""
        stage = self._tools.rehearsal()
        run.detail["symbol"], run.detail["caps_hash"] = stage.symbol, stage.capset.hash
        stage.session()
        caps, small = stage.caps, stage.small_qty
        run.must("within_caps", stage.wish(qty=small), "")
        run.must("quantity", stage.wish(qty=2 * caps.order_qty_base_max), "order_qty")
        run.must("notional", stage.wish(qty=caps.order_qty_base_max), "order_notional")
        far = floor_to(
            stage.price + stage.price * 2 * caps.collar_bps_max / 10_000, stage.instrument.tick
        )
        run.must("price", stage.wish(qty=stage.part_of_small(8), price=far), "price_collar")
        stage.halt.close("drill")
        run.must("gate_closed", stage.wish(qty=stage.part_of_small(2)), _CLOSED)
        run.must("orders_let_through", len(stage.sent), 1)
        run.must("denials_journalled", len(stage.facts_of("order_denied")), 4)

    def _gating(self, run: _Run) -> None:
        """Drills A to G of the machine that guards a live host; and that this daemon is none."""
        for drill in run_gating_drills():
            run.detail[f"{drill.drill}_refused_for"] = list(drill.refusals)
            run.must(f"{drill.drill}: {drill.what}", drill.passed, True)
        turned = self._tools.status().get("gating", {})
        run.must("confirm_token_needed_here", turned.get("needed"), False)

    def _disconnect(self, run: _Run) -> None:
        """An engine that loses its order connection; then this daemon's own, cut and mended."""
        stage = self._tools.rehearsal()
        stage.session()
        asked = len(stage.snapshots)
        stage.tell(LinkDown(Link.ORDER, "drill"))
        run.must("gate_without_orders", stage.status()["gate_state"], "STALE")
        denied = stage.wish(qty=stage.small_qty)
        run.must("wish_without_orders", denied != "", True)
        run.detail["denied_as"] = denied
        stage.tell(LinkUp(Link.ORDER))
        run.must("compares_again", len(stage.snapshots) > asked, True)
        stage.snapshot()
        run.must("gate_mended", stage.status()["gate_state"], "READY")
        if self._tools.status().get("gate_state") != "READY":
            raise DrillFailed("the gate is not READY: nothing to cut; try again when it is")
        lost, rounds = self._lost(), self._rounds()
        started = self._clock.monotonic_ns()
        self._tools.lose_orders("drill")
        run.must("loss_seen", self._until(lambda: self._lost() > lost), True)
        mended = self._until(lambda: self._is_ready() and self._rounds() > rounds)
        run.must("compared_and_ready_again", mended, True)
        run.detail["outage_ms"] = (self._clock.monotonic_ns() - started) // _MS

    def _rate_limit(self, run: _Run) -> None:
        """Refusals for rate, until they are a storm: halt, cancel, incident, no start."""
        stage = self._tools.rehearsal()
        stage.session()
        run.must("rehearsed_order", stage.wish(qty=stage.small_qty), "")
        storm = stage.config.rate_limit_storm
        for number in range(storm.count):
            run.must(f"incident_before_{number + 1}", bool(stage.incidents()), False)
            until_ns = stage.now_ns + 1_000 * _MS
            stage.tell(RateLimited(429, -1003, "weight", until_ns, "drill"))
        run.detail = {key: run.detail[key] for key in run.detail if "incident_before" not in key}
        run.detail["refusals"] = storm.count
        run.must("incident", stage.incidents(), ["rate_limit_storm"])
        run.must("trading_state", stage.status()["trading_state"], "HALTED")
        run.must("gate_closed", stage.halt.closed, True)
        run.must("order_canceled", stage.cancels > 0, True)
        stage.after(stage.config.stop_deadline_ns // _MS + 1_000)
        reply = stage.command("start")
        run.must("start_with_incident", reply is not None and reply.error_code, "incident_open")

    def _reconcile(self, run: _Run) -> None:
        """A planted difference that must stop an engine; then a comparison of our own books."""
        stage = self._tools.rehearsal()
        stage.session()
        stranger = _somebody_elses_order(stage)
        for _ in range(3):
            stage.command("reconcile")
            stage.snapshot(stranger)
            stage.after(stage.config.confirm_ns // _MS + 100)
        run.must("incident", stage.incidents(), ["foreign_order"])
        run.must("trading_state", stage.status()["trading_state"], "HALTED")
        command = Command(
            command_id=f"drill-{self._clock.monotonic_ns()}",
            method="reconcile",
            actor=WHO,
            reason="drill",
        )
        reply = self._tools.command(command).result(timeout=ANSWER_DEADLINE_S)
        run.detail["answer"] = reply.error_message or "compared"
        run.must("own_books_clean", reply.result.get("clean"), True)

    # ------------------------------------------------------------------ waiting
    def _lost(self) -> int:
        links = self._tools.status().get("venue", {}).get("links", {})
        return int(links.get(Link.ORDER.value, {}).get("lost", 0))

    def _rounds(self) -> int:
        return int(self._tools.status().get("reconcile", {}).get("rounds", 0))

    def _is_ready(self) -> bool:
        return bool(self._tools.status().get("gate_state") == "READY")

    def _until(self, ready: Callable[[], bool]) -> bool:
        deadline_ns = self._clock.monotonic_ns() + int(READY_DEADLINE_S * 1e9)
        while not ready():
            if self._clock.monotonic_ns() > deadline_ns:
                return False
            time.sleep(_LOOK_S)
        return True


def _somebody_elses_order(stage: Rehearsal) -> ExecutionReport:
    return ExecutionReport(
        client_order_id=ClientOrderId("somebody-else"),
        venue_order_id=VenueOrderId("1"),
        instrument_id=stage.instrument.instrument_id,
        exec_type=ExecType.NEW,
        venue_status=VenueOrderStatus.NEW,
        side=Side.BUY,
        qty=stage.small_qty,
        price=stage.price,
        cum_qty=stage.small_qty * 0,
        cum_quote=stage.small_qty * 0,
        fills=(),
        source=ReportSource.RECOVERED,
        reason="",
        ts_venue_ns=stage.now_ns,
        ts_recv_ns=stage.now_ns,
    )


def _refusal(command: Command, code: str, text: str) -> Reply:
    return Reply(command_id=command.command_id, error_code=code, error_message=text)


def _exact(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values without floats, as a record takes them."""
    return {
        key: value if isinstance(value, bool | int | str | list | None) else str(value)
        for key, value in detail.items()
    }


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """The last results; none where the file is missing or damaged (drills are run again)."""
    try:
        data = orjson.loads(path.read_bytes())
        return {
            str(name): {"passed": row["passed"] is True, "ts_ns": int(row["ts_ns"])}
            for name, row in data.items()
        }
    except (OSError, AttributeError, KeyError, TypeError, ValueError):
        return {}
