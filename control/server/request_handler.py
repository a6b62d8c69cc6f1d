"""Answers a request line: checks role and params, keeps ids and deadlines, and records it.

Rules of this file:
1. Who asks was settled by the kernel before the first byte was read.
2. A deed outlives the wait for it: a client that leaves or a deadline that passes cancels nothing.
3. Every command and every refusal is recorded; a flood of refusals is counted, not written out.
4. A kill is always carried out: the gate is closed and the orders are canceled again, whatever id
   it has (`control.server.command_memory`). One that comes while another runs joins it; its
   reason is latched too.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec
import orjson

from control.control_errors import ProtocolErrorCode
from control.methods import (
    METHODS,
    CommandParams,
    EventsParams,
    KillParams,
    MethodSpec,
    StartParams,
    schema,
    validated,
)
from control.peer_identity import Role
from control.protocol import (
    PROTOCOL_VERSION,
    ErrorReply,
    Request,
    encode_fault,
    encode_result,
    encode_step,
    parse_request,
)
from control.server.command_memory import Deed, Memory, Outcome
from control.server.confirmations import Confirmations
from control.server.connection_limits import Budget
from control.server.daemon_port import DaemonPort
from control.status_snapshot import find_incident, rows, select_incidents, table
from daemon.model.amounts import NS_PER_S
from daemon.model.effects import Reply
from daemon.model.inputs import Actor, Command

REFUSALS_BURST = 20
REFUSALS_PER_S = 1.0

_NOT_OF_THE_DEED = {"command_id", "reason", "confirm_token", "progress"}
"""Params that say how to ask, not what to do."""

Spawn = Callable[[Coroutine[Any, Any, None], str], object]
Listener = tuple[str | int, Callable[[bytes], None]]
"""A request that wants to hear of a kill's steps: its id, and where lines go to."""


class Caller(msgspec.Struct, frozen=True):
    """The connected peer as the record shows it, and its role; None for a stranger."""

    actor: Actor
    role: Role | None


class Subscription(msgspec.Struct, frozen=True):
    """The caller wants journal lines on its connection."""

    request_id: str | int
    params: EventsParams


Answer = bytes | Coroutine[Any, Any, bytes] | Subscription


class RequestHandler:
    """Answers the lines of all connections. Runs on the control loop."""

    def __init__(self, port: DaemonPort, spawn: Spawn, now_s: Callable[[], float]) -> None:
        self._port = port
        self._spawn = spawn
        self._now_s = now_s
        self._memory = Memory()
        self._confirmations = Confirmations(now_s)
        self._refusals = Budget(REFUSALS_BURST, REFUSALS_PER_S)
        self._kill: Outcome | None = None
        self._last_kill: Mapping[str, Any] | None = None
        self._listeners: list[Listener] = []
        self._received_ns = 0

    @property
    def kill_in_progress(self) -> bool:
        """Whether a kill has begun and has not answered yet."""
        return self._kill is not None and not self._kill.done()

    def answer(
        self,
        line: bytes,
        caller: Caller,
        *,
        busy: bool = False,
        send: Callable[[bytes], None] | None = None,
    ) -> Answer:
        """Answer one line: at once (bytes), later (a coroutine to run), or with a subscription.

        `busy`: the connection has as many commands in flight as it may; only a kill still passes.
        `send` takes lines that come before the answer: the steps of a kill.

        Raises:
            Fault: the line is refused, and that is recorded.
        """
        request: Request | None = None
        self._received_ns = int(self._now_s() * NS_PER_S)
        try:
            request = parse_request(line)
            spec = self._admitted(request, caller)
            params = validated(spec, request.params, request.request_id)
            if isinstance(params, EventsParams):
                return Subscription(request.request_id, params)
            if not isinstance(params, CommandParams):
                return self._query(request, spec, params)
            if busy and (spec.kind != "kill" or self.kill_in_progress):
                raise ErrorReply(
                    ProtocolErrorCode.BUSY,
                    "too many commands in flight on this connection: wait for an answer",
                    request_id=request.request_id,
                )
            if spec.kind == "token":
                return self._issue_token(request, params, caller)
            listener = None
            if isinstance(params, KillParams) and params.progress and send is not None:
                listener = (request.request_id, send)
            return self._command(request, spec, params, caller, listener)
        except ErrorReply as fault:
            if request is not None and fault.request_id is None:
                fault.request_id = request.request_id
            self.refused(fault, caller, request.method if request is not None else "")
            raise

    def refused(
        self, fault: ErrorReply, caller: Caller, method: str = "", command_id: str = ""
    ) -> None:
        """Record a refusal, within the budget of its source."""
        if not self._refusals.spend(caller.actor.uid, self._now_s()):
            return
        suppressed = self._refusals.take_missed(caller.actor.uid)
        more = f" (and {suppressed} refusals before it, not recorded)" if suppressed else ""
        self._port.record_command(
            command_id=command_id,
            method=method[:64],
            actor=caller.actor,
            reason="",
            outcome="refused",
            msg=f"{fault.code.title}: {fault.message}{more}",
        )

    # ------------------------------------------------------------------ admission

    def _admitted(self, request: Request, caller: Caller) -> MethodSpec:
        if caller.role is None:
            raise ErrorReply(
                ProtocolErrorCode.FORBIDDEN,
                f"uid {caller.actor.uid} has no role here: see [control] in the daemon's config",
                request_id=request.request_id,
            )
        spec = METHODS.get(request.method)
        if spec is None:
            raise ErrorReply(
                ProtocolErrorCode.METHOD_NOT_FOUND,
                f"there is no method {request.method[:64]!r}; `seatrial rpc schema` lists them",
                request_id=request.request_id,
            )
        if not caller.role.covers(spec.needs):
            raise ErrorReply(
                ProtocolErrorCode.FORBIDDEN,
                f"{spec.name} needs the role {spec.needs}; {caller.actor.name} is {caller.role}",
                request_id=request.request_id,
                data={"role": caller.role.value, "needs": spec.needs.value},
            )
        return spec

    # ------------------------------------------------------------------ queries

    def _query(self, request: Request, spec: MethodSpec, params: Any) -> bytes:
        if spec.name == "status":
            return encode_result(request.request_id, self._status())
        if spec.name == "schema":
            return encode_result(request.request_id, schema())
        if spec.name == "ping":
            return encode_result(request.request_id, {"version": PROTOCOL_VERSION})
        snapshot = self._port.status()
        result: Any
        if spec.name == "incidents":
            result = {"incidents": select_incidents(snapshot, unresolved=params.unresolved)}
        elif spec.name == "incident":
            result = find_incident(snapshot, params.incident_id)
            if result is None:
                raise ErrorReply(
                    ProtocolErrorCode.REFUSED,
                    f"there is no incident {params.incident_id!r}; `seatrial incident list`",
                    request_id=request.request_id,
                    data={"code": "not_found"},
                )
        else:
            key = {"orders": "open_orders"}.get(spec.name, spec.name)
            result = {spec.name: snapshot.get(key, [])}
            if spec.name == "caps":
                result["numeraire"] = table(snapshot, "equity").get("numeraire", "")
                result["tightened"] = snapshot.get("caps_tightened", [])
                bots = table(snapshot, "bots")
                if bots:
                    result["bots"] = {name: {"caps": rows(bots[name], "caps")} for name in bots}
        return encode_result(request.request_id, result)

    def _status(self) -> dict[str, Any]:
        """The snapshot with the control plane's own part."""
        snapshot = self._port.status()
        control: dict[str, Any] = {
            "protocol_version": PROTOCOL_VERSION,
            "kill_in_progress": self.kill_in_progress,
            "last_kill": self._last_kill,
        }
        published_ns = snapshot.get("published_monotonic_ns")
        if isinstance(published_ns, int):
            # How long the main loop has said nothing: it may hang, and this thread still answers.
            control["snapshot_age_ms"] = round(self._now_s() * 1e3 - published_ns / 1e6, 1)
        return {**snapshot, "control": control}

    def _issue_token(self, request: Request, params: CommandParams, caller: Caller) -> bytes:
        result, msg = self._confirmations.issue(self._port.status())
        self._port.record_command(
            command_id=params.command_id or f"c-{secrets.token_hex(8)}",
            method=request.method,
            actor=caller.actor,
            reason=params.reason,
            outcome="accepted",
            msg=msg,
        )
        return encode_result(request.request_id, result)

    # ------------------------------------------------------------------ commands

    def _command(
        self,
        request: Request,
        spec: MethodSpec,
        params: CommandParams,
        caller: Caller,
        listener: Listener | None,
    ) -> Coroutine[Any, Any, bytes]:
        plain = params.model_dump(mode="json", exclude=_NOT_OF_THE_DEED)
        command_id = params.command_id or f"c-{secrets.token_hex(8)}"
        fingerprint = orjson.dumps([plain, params.reason], option=orjson.OPT_SORT_KEYS)
        key = (caller.actor.uid, command_id)
        deed = None
        if spec.kind != "kill":
            is_closed = bool(self._port.status().get("halt_closed"))
            deed = self._memory.answered(key, spec.name, fingerprint, halt_closed=is_closed)
        if deed is None:
            note = ""
            if isinstance(params, StartParams):
                digest, note = self._confirmations.redeem(params.confirm_token, self._port.status())
                plain |= {"confirm_digest": digest} if digest else {}
            command = Command(
                command_id=command_id,
                method=spec.name,
                actor=caller.actor,
                params=plain,
                reason=params.reason,
            )
            outcome = self._begin(spec, command, listener)
            deed = Deed(spec.name, fingerprint, outcome, note)
            self._memory.keep(key, deed)
        return self._await_outcome(request.request_id, spec, command_id, deed)

    def _begin(self, spec: MethodSpec, command: Command, listener: Listener | None) -> Outcome:
        if spec.kind == "kill":
            return self._begin_kill(command, listener)
        self._record(command, "accepted", "")
        outcome: Outcome
        outcome = asyncio.get_running_loop().create_future()
        try:
            replied = asyncio.wrap_future(self._port.command(command))
        except Exception as error:  # noqa: BLE001 - the port is foreign here; the client gets an answer
            self._settle(outcome, command, _internal(f"the daemon did not take it: {error}"))
            return outcome
        replied.add_done_callback(lambda done: self._replied(outcome, command, done))
        return outcome

    def _replied(
        self,
        outcome: Outcome,
        command: Command,
        done: "asyncio.Future[Reply]",
    ) -> None:
        if done.cancelled():
            fault = ErrorReply(
                ProtocolErrorCode.SHUTTING_DOWN, "the daemon ended before it answered"
            )
            self._settle(outcome, command, fault)
        elif (error := done.exception()) is not None:
            self._settle(outcome, command, _internal(f"the daemon failed: {error}"))
        elif (reply := done.result()).error_code:
            refusal = ErrorReply(
                ProtocolErrorCode.REFUSED,
                reply.error_message or reply.error_code,
                data={**reply.result, "code": reply.error_code},
            )
            self._settle(outcome, command, refusal)
        else:
            self._settle(outcome, command, reply.result)

    def _settle(
        self,
        outcome: Outcome,
        command: Command,
        result: Mapping[str, Any] | ErrorReply,
    ) -> None:
        if outcome.done():  # the loop is closing and cancelled it
            return
        outcome.set_result(result)
        if isinstance(result, ErrorReply):
            code = result.data.get("code", result.code.title)
            self._record(command, "refused", f"{code}: {result.message}")

    def _begin_kill(self, command: Command, listener: Listener | None) -> Outcome:
        if listener is not None:
            self._listeners.append(listener)
        running = self._kill
        if (
            running is not None
            and not running.done()
            # Whoever has re-armed while it runs has opened the gate: then it is begun anew.
            and self._port.status().get("halt_closed", True)
        ):
            self._port.kill_joined(command.actor, command.reason or "no reason given")
            if listener is not None:
                with contextlib.suppress(Exception):  # whoever is told cannot end the stop
                    listener[1](encode_step(listener[0], {"step": "joined"}))
            self._record(command, "accepted", "joined the kill in progress")
            return running
        # The gate first, in the very call that read the line: no turn of the loop, no record, no
        # task stands before it.
        stopping = self._port.kill(
            command.actor, command.reason or "no reason given", self._received_ns, self._tell_step
        )
        self._kill = asyncio.get_running_loop().create_future()
        self._spawn(self._run_kill(self._kill, command, stopping), "kill")
        self._record(command, "accepted", "")
        return self._kill

    def _tell_step(self, step: Mapping[str, Any]) -> None:
        for request_id, send in self._listeners:
            with contextlib.suppress(Exception):  # whoever is told cannot end the stop
                send(encode_step(request_id, step))

    async def _run_kill(
        self,
        outcome: Outcome,
        command: Command,
        stopping: Coroutine[Any, Any, Mapping[str, Any]],
    ) -> None:
        try:
            result = await stopping
        except Exception as error:  # noqa: BLE001 - a kill that fails must say so, and leave the desk alive
            fault = _internal(
                f"the kill did not finish: {type(error).__name__}: {error}. "
                "Run now: seatrial kill --direct"
            )
            self._last_kill = {"verified": False, "msg": fault.message}
            self._settle(outcome, command, fault)
            return
        finally:
            self._listeners.clear()
        self._last_kill = dict(result)
        self._settle(outcome, command, result)

    async def _await_outcome(
        self, request_id: str | int, spec: MethodSpec, command_id: str, deed: Deed
    ) -> bytes:
        done, _ = await asyncio.wait({deed.outcome}, timeout=spec.deadline_s)
        if not done:
            return encode_fault(
                ErrorReply(
                    ProtocolErrorCode.TIMEOUT,
                    f"no answer to {spec.name} within {spec.deadline_s:g} s; it may still be "
                    f"carried out: ask `seatrial status`",
                    request_id=request_id,
                    data={"command_id": command_id},
                )
            )
        result = deed.outcome.result()
        if isinstance(result, ErrorReply):
            return encode_fault(
                ErrorReply(
                    result.code,
                    result.message,
                    request_id=request_id,
                    data={**result.data, "command_id": command_id},
                )
            )
        told = {"gating": deed.note} if deed.note else {}
        return encode_result(request_id, {**result, **told, "command_id": command_id})

    def _record(self, command: Command, outcome: Any, msg: str) -> None:
        self._port.record_command(
            command_id=command.command_id,
            method=command.method,
            actor=command.actor,
            reason=command.reason,
            outcome=outcome,
            msg=msg,
        )


def _internal(message: str) -> ErrorReply:
    return ErrorReply(ProtocolErrorCode.INTERNAL_ERROR, message)
