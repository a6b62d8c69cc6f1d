"""The method table: names, roles and params. The published schema is generated from it.

Rules of this file:
1. A method that is not in `METHODS` does not exist.
2. Text that people send is printable and bounded: it ends up in a journal and on a terminal.
3. Stopping needs less than starting; looking needs least.
4. Nothing about the wording of a stop keeps it from stopping: its reason is made to fit, and a kill
   passes over whatever it does not know (a newer tool's, say).
"""

import re
from typing import Annotated, Any, Literal

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from control.control_errors import ProtocolErrorCode
from control.peer_identity import Role
from control.protocol import LINE_BYTES_MAX, PROTOCOL_VERSION, ErrorReply
from daemon.model.user_text import one_line

REASON_CHARS_MAX = 500


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("only printable characters, on one line")
    return text


Text = Annotated[str, Field(max_length=REASON_CHARS_MAX), AfterValidator(_printable)]
"""One line of a person's text."""
LongText = Annotated[str, Field(min_length=1, max_length=4_000)]
"""An incident note's text; may have lines."""
COMMAND_ID = r"^[A-Za-z0-9._:-]{1,64}$"
CommandId = Annotated[str, Field(pattern=COMMAND_ID)]
# A bound within the pattern would repeat all letters of Unicode 64 times: 13 ms to build.
Name = Annotated[str, Field(pattern=r"^[\w.@:-]+$", max_length=64)]


def _command_id_or_none(given: object) -> str | None:
    return given if isinstance(given, str) and re.fullmatch(COMMAND_ID, given) else None


class MethodParams(BaseModel):
    """Base of all params: strict types, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class CommandParams(MethodParams):
    """What every command takes.

    The same `command_id` again gives the first answer again, as long as it holds: see
    `control.server.command_memory`. A kill is always carried out.
    """

    command_id: CommandId | None = None
    reason: Text = ""


def _made_to_fit(reason: object) -> str:
    return one_line(reason, chars_max=REASON_CHARS_MAX) if isinstance(reason, str) else ""


class StopParams(CommandParams):
    """The params of every stop command; the reason may be any text."""

    reason: Annotated[Text, BeforeValidator(_made_to_fit)] = ""


class KillParams(StopParams):
    """`progress`: `step` notifications come on this connection before the answer."""

    model_config = ConfigDict(extra="ignore")

    progress: bool = False

    @model_validator(mode="before")
    @classmethod
    def _understood(cls, given: object) -> object:
        if not isinstance(given, dict):
            return {}
        return {
            "reason": given.get("reason"),
            "progress": given.get("progress") is True,
            "command_id": _command_id_or_none(given.get("command_id")),
        }


class StartParams(CommandParams):
    """`confirm_token` is needed on a live host only; it is never journalled, only its digest."""

    confirm_token: Annotated[str, Field(max_length=128)] = ""


class SymbolParams(CommandParams):
    """`symbol` absent means every symbol."""

    symbol: Name | None = None


class CancelParams(StopParams):
    """`symbol` absent means every symbol."""

    symbol: Name | None = None


class BotParams(StopParams):
    """`bot`: a name of `[bots.NAME]`."""

    bot: Name


class DrillParams(CommandParams):
    """`drill` absent means all of them."""

    drill: Name | None = None


class TightenParams(CommandParams):
    """New values by cap name; amounts as decimal text. A looser value is refused."""

    changes: Annotated[dict[Name, Any], Field(min_length=1, max_length=200)]


class IncidentNoteParams(CommandParams):
    """A line added to an incident."""

    incident_id: Name
    text: LongText


class IncidentResolveParams(CommandParams):
    """The params that close an incident; all three are required."""

    incident_id: Name
    root_cause: LongText
    remediation: LongText
    follow_up: LongText


class ExplainParams(CommandParams):
    """Why a single error or anomaly, named by its journal `seq`, is no fault."""

    seq: Annotated[int, Field(ge=0)]
    why: LongText


class NoParams(MethodParams):
    """No params."""


class IncidentParams(MethodParams):
    """One incident."""

    incident_id: Name


class IncidentsParams(MethodParams):
    """`unresolved` leaves the resolved ones out."""

    unresolved: bool = False


class EventsParams(MethodParams):
    """The last `tail` journal lines, then, with `follow`, new ones as they come."""

    types: Annotated[list[Name], Field(max_length=64)] = []
    """Only these event types; empty: all."""
    without: Annotated[list[Name], Field(max_length=64)] = []
    """But not these."""
    bot: Annotated[str, Field(pattern=r"^[\w-]*$", max_length=64)] = ""
    """Only lines about this bot and its orders; empty: all."""
    tail: Annotated[int, Field(ge=0, le=1_000)] = 20
    follow: bool = False
    seq: Annotated[int, Field(ge=0, le=2**62)] = 0
    """Only the line of this number, wherever it stands; then nothing else is looked at."""


Kind = Literal["query", "command", "kill", "token", "events"]


class MethodSpec(msgspec.Struct, frozen=True):
    """One row of the table. `deadline_s` bounds the wait for the answer, not the deed."""

    name: str
    needs: Role
    kind: Kind
    params: type[MethodParams]
    summary: str
    reason_required: bool = False
    deadline_s: float = 10.0


def _query(name: str, params: type[MethodParams], summary: str) -> MethodSpec:
    return MethodSpec(name, Role.OBSERVER, "query", params, summary)


def _stop(
    name: str, params: type[StopParams], summary: str, deadline_s: float = 10.0
) -> MethodSpec:
    return MethodSpec(name, Role.STOPPER, "command", params, summary, deadline_s=deadline_s)


def _command(
    name: str,
    params: type[CommandParams],
    summary: str,
    deadline_s: float = 10.0,
    *,
    needs_reason: bool = False,
) -> MethodSpec:
    return MethodSpec(name, Role.OPERATOR, "command", params, summary, needs_reason, deadline_s)


_ROWS = (
    _query("status", NoParams, "the last published snapshot"),
    _query("orders", NoParams, "open orders, from the snapshot"),
    _query("positions", NoParams, "positions, from the snapshot"),
    _query("caps", NoParams, "every cap with its use, from the snapshot"),
    _query("incidents", IncidentsParams, "incidents, newest last"),
    _query("incident", IncidentParams, "one incident"),
    _query("schema", NoParams, "this table as JSON Schema"),
    _query("ping", NoParams, "the protocol version and who you are"),
    MethodSpec("events", Role.OBSERVER, "events", EventsParams,
               "journal lines: the last ones, then new ones"),
    MethodSpec("kill", Role.STOPPER, "kill", KillParams,
               "latch, close the gate, cancel everything of ours, verify that the venue has none",
               deadline_s=60.0),
    _stop("cancel-all", CancelParams, "cancel our open orders; nothing is latched"),
    _stop("stop", StopParams, "end the session in order: no new orders, cancel, reconcile", 60.0),
    _stop("bot-kill", BotParams,
          "refuse a bot's orders from now on and cancel its open ones; the others go on"),
    _stop("bot-suspend", BotParams, "refuse a bot's new orders from now on"),
    _stop("bot-revoke", BotParams, "a bot's key is revoked: refuse it, cancel its open orders"),
    _command("bot-resume", BotParams, "let a suspended bot place orders again", needs_reason=True),
    MethodSpec("confirm-token", Role.OPERATOR, "token", CommandParams,
               "issue a single-use token for the next start on a live host; not needed elsewhere"),
    _command("start", StartParams, "start a session", 30.0),
    _command("re-arm", CommandParams,
             "open the kill latch; needs a clean reconciliation and no unresolved incident", 30.0,
             needs_reason=True),
    _command("reconcile", CommandParams, "compare our books with the venue's now", 60.0),
    _command("re-enable", CommandParams, "let strategies send again after a cap has disabled them",
             needs_reason=True),
    _command("flatten", SymbolParams,
             "close positions through the caps, reduce-only; only where the config allows it",
             130.0, needs_reason=True),
    _command("drill", DrillParams, "run drills; no order leaves", 120.0),
    _command("caps-tighten", TightenParams,
             "lower caps at run time; loosening needs a new config and a restart",
             needs_reason=True),
    _command("incident-note", IncidentNoteParams, "add a line to an incident"),
    _command("incident-resolve", IncidentResolveParams,
             "close an incident; unresolved ones block the next start"),
    _command("explain", ExplainParams, "attach a why to one journal line"),
    _command("shutdown", StopParams, "end the daemon in order: stop, cancel, flush, exit 0", 60.0),
)  # fmt: skip

METHODS: dict[str, MethodSpec] = {row.name: row for row in _ROWS}


def build_models(needs: Role) -> None:
    """Make the validators of a role's methods now, not when the first command waits for them.

    All of them together are a twentieth of the daemon's start, so they are not made on import.
    """
    for spec in METHODS.values():
        if spec.needs is needs:
            spec.params.model_rebuild()


def validated(spec: MethodSpec, params: Any, request_id: str | int) -> MethodParams:
    """Check a request's params against the method's model.

    Raises:
        Fault: INVALID_PARAMS naming every violation; REASON_REQUIRED.
    """
    try:
        made = spec.params.model_validate(params)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in item['loc']) or 'params'}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise ErrorReply(
            ProtocolErrorCode.INVALID_PARAMS,
            f"{spec.name}: " + "; ".join(problems[:8])[:600],
            request_id=request_id,
            data={"problems": [problem[:200] for problem in problems[:20]]},
        ) from None
    if spec.reason_required and not getattr(made, "reason", "").strip():
        raise ErrorReply(
            ProtocolErrorCode.REASON_REQUIRED,
            f"{spec.name} needs a reason (params.reason): it goes into the record",
            request_id=request_id,
        )
    return made


def schema() -> dict[str, Any]:
    """The published description of the protocol: `seatrial rpc schema`."""
    # Imported here: no start waits for it.
    from control.method_answers import ANSWERS, types_of  # noqa: PLC0415 - see above

    return {
        "protocol": "JSON-RPC 2.0, one line a message, over a Unix socket",
        "version": PROTOCOL_VERSION,
        "line_bytes_max": LINE_BYTES_MAX,
        "roles": [role.value for role in sorted(Role, key=lambda role: role.rank)],
        "methods": {
            spec.name: {
                "summary": spec.summary,
                "needs": spec.needs.value,
                "kind": spec.kind,
                "reason_required": spec.reason_required,
                "deadline_s": spec.deadline_s,
                "params": spec.params.model_json_schema(),
                "result": types_of(ANSWERS[spec.name]),
            }
            for spec in METHODS.values()
        },
        "errors": {code.title: int(code) for code in ProtocolErrorCode},
        "notifications": {
            "event": "params: one journal line",
            "dropped": "params: {count}: events this subscriber was too slow for",
            "step": "params: {id, step, …}: how far a kill has come (asked for with progress)",
        },
    }
