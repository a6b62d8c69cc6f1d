"""The journal's lines as typed values: one struct an `event_type`, decoded by tag in one pass.

Rules of this file:
1. The words come from `daemon.model.records`, which alone is shared; the structs are our reading.
2. What a verdict rests on is required and typed: a line with a wrong type there is malformed.
   What is only shown has a default, so that an older or newer journal can still be read.
3. Keys that are not named here are skipped by the decoder, never an error.
"""

from typing import Annotated, Any

import msgspec

from daemon.model.records import EventType
from evidence.read.checkpoints import CheckpointState

TAG = "event_type"
Seq = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Nanoseconds = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class JournalLine(msgspec.Struct, tag_field=TAG, gc=False):
    """The envelope of every line (records.py)."""

    seq: Seq
    ts_ns: Nanoseconds
    prev: str
    mode: str
    run_id: str = ""
    session_id: str = ""
    exchange: str = ""
    level: str = "info"
    is_error: bool = False
    is_anomaly: bool = False
    schema: int = 0


class OrderWords(JournalLine, tag_field=TAG, gc=False):
    """Fields that name an order."""

    client_order_id: str = ""
    symbol: str = ""
    instrument_id: str = ""


class InputKind(msgspec.Struct, frozen=True, gc=False):
    """Of an input, only what it is."""

    type: str = ""


class InputLine(JournalLine, tag=EventType.INPUT.value, gc=False):
    """What the engine was told; of all but a bot's request the accountant reads only the type."""

    input: InputKind = InputKind()


class RunStartLine(JournalLine, tag=EventType.RUN_START.value):
    """One boot."""

    instance: str = ""
    run_number: int = 0
    version: str = ""
    commit: str = ""
    code: str = ""
    config_hash: str = ""
    caps_hash: str = ""
    account: str = ""
    environment: str = ""
    ticks: str = ""
    heartbeat_period_ms: int = 0
    bot_version: str = ""


class RunStopLine(JournalLine, tag=EventType.RUN_STOP.value, gc=False):
    """An orderly end of a boot."""

    reason: str = ""
    exit_code: int = 0


class RecoveryLine(JournalLine, tag=EventType.RECOVERY.value, gc=False):
    """What a boot replayed."""

    from_seq: int = -1
    checkpoint_seq: int = -1
    torn_bytes: int = 0


class StateAcceptedLine(JournalLine, tag=EventType.STATE_ACCEPTED.value, gc=False):
    """An operator went on with a state directory whose parts did not agree."""

    reason: str = ""
    by: str = ""
    clock_back_ns: int = 0


class CheckpointLine(JournalLine, tag=EventType.CHECKPOINT.value, gc=False):
    """The daemon's own state. Nothing is taken from it; its tallies are held against the lines."""

    state: CheckpointState | None = None


class SessionStartLine(JournalLine, tag=EventType.SESSION_START.value):
    """What a session is bound to."""

    version: str = ""
    commit: str = ""
    code: str = ""
    config_hash: str = ""
    caps_hash: str = ""
    account: str = ""
    environment: str = ""
    host: str = ""
    strategies: Any = None
    bots: Any = None
    caps: Any = None
    by: str = ""
    reason: str = ""


class SessionStopLine(JournalLine, tag=EventType.SESSION_STOP.value, gc=False):
    """The session's own count, which the accountant compares with its own."""

    reason: str = ""
    by: str = ""
    duration_ms: int | str = 0
    orders: int | None = None
    fills: int | None = None
    denied: int | dict[str, int] | None = None


class HeartbeatLine(JournalLine, tag=EventType.HEARTBEAT.value, gc=False):
    """Proof of life, every `period_ms`."""

    trading_state: str = ""
    gate_state: str = ""
    open_orders: int = 0
    unknown_orders: int = 0
    period_ms: int | str = 0
    counts: list[int] | None = None


class TradingStateChangeLine(JournalLine, tag=EventType.TRADING_STATE.value, gc=False):
    """ACTIVE, REDUCING, HALTED."""

    old: str = ""
    new: str = ""
    why: str = ""
    by: str | None = ""
    latched: bool = False


class GateStateChangeLine(JournalLine, tag=EventType.GATE_STATE.value, gc=False):
    """DOWN … READY."""

    old: str = ""
    new: str = ""
    why: str = ""


class ConnectedLine(JournalLine, tag=EventType.CONNECTED.value, gc=False):
    """A link's first time up in a run."""

    link: str = ""


class DisconnectedLine(JournalLine, tag=EventType.DISCONNECTED.value, gc=False):
    """A link lost."""

    link: str = ""
    msg: str = ""


class ReconnectLine(JournalLine, tag=EventType.RECONNECT.value, gc=False):
    """A link up again."""

    link: str = ""
    outage_ms: int | str = 0


class InstrumentsLine(JournalLine, tag=EventType.INSTRUMENTS.value):
    """Symbols with base, quote and filters."""

    instruments: list[dict[str, Any]] = []


class RiskContextLine(JournalLine, tag=EventType.RISK_CONTEXT.value, kw_only=True):
    """Caps and filters that decisions name by `context`, the hash of the other fields."""

    context: str
    instrument_id: str
    caps_hash: str
    portfolio_caps: dict[str, Any]
    caps: dict[str, Any] | None
    filters: dict[str, Any] | None


class OrderApprovedLine(OrderWords, tag=EventType.ORDER_APPROVED.value, kw_only=True):
    """An order that may leave, with the inputs of its decision."""

    client_order_id: str
    strategy_id: str = ""
    side: str
    order_type: str = ""
    qty: str
    price: str | None = None
    time_in_force: str | None = None
    stop_price: str | None = None
    reduce_only: bool = False
    reason: str = ""
    decision: dict[str, Any] = {}
    counts: list[int] | None = None
    owner: Any = None
    terms: Any = None
    order_list: Any = None


class OrderDeniedLine(JournalLine, tag=EventType.ORDER_DENIED.value, kw_only=True):
    """A wish refused by us; it never left, and has no order id."""

    symbol: str = ""
    instrument_id: str = ""
    strategy_id: str = ""
    side: str = ""
    order_type: str = ""
    qty: str | None = None
    price: str | None = None
    time_in_force: str | None = None
    deny_reason: str
    deny_context: dict[str, Any] = {}
    decision: dict[str, Any] = {}
    counts: list[int] | None = None
    owner: Any = None
    order_list: Any = None


class OrderStateLine(OrderWords, tag=EventType.ORDER_STATE.value, kw_only=True, gc=False):
    """One row of the lifecycle table that fired."""

    client_order_id: str
    order_id: str | int | None = None
    old: str = ""
    new: str
    why: str = ""
    cum_qty: str | None = None
    venue_cum_qty: str | None = None
    source: str = ""
    order_list_id: str | None = None


class CancelRequestedLine(OrderWords, tag=EventType.CANCEL_REQUESTED.value, gc=False):
    """A cancel left."""

    order_id: str | int | None = None
    request_id: str = ""
    why: str = ""


class FillLine(OrderWords, tag=EventType.FILL.value, kw_only=True, gc=False):
    """A trade of ours."""

    exec_id: str
    order_id: str | int | None = None
    side: str
    qty: str
    price: str
    fee: str | None = None
    fee_asset: str | None = None
    recovered: bool = False
    late: bool = False
    position_qty: str | None = None


class OrderRejectLine(OrderWords, tag=EventType.ORDER_REJECT.value, gc=False):
    """The venue's definite no."""

    code: int | str | None = None
    msg: str = ""


class CancelRejectLine(OrderWords, tag=EventType.CANCEL_REJECT.value, gc=False):
    """The venue refused a cancel."""

    code: int | str | None = None
    msg: str = ""


class AmendRequestedLine(OrderWords, tag=EventType.AMEND_REQUESTED.value, kw_only=True):
    """An amend left: a smaller quantity was asked for."""

    order_id: str | int | None = None
    request_id: str = ""
    old_qty: str
    qty: str
    cum_qty: str | None = None
    lot: str | None = None
    why: str = ""


class AmendRejectLine(OrderWords, tag=EventType.AMEND_REJECT.value, gc=False):
    """An amend was refused, by the caps, the venue or the link."""

    qty: str | None = None
    by: str = ""
    code: int | str | None = None
    msg: str = ""


class OrderAmendedLine(OrderWords, tag=EventType.ORDER_AMENDED.value, kw_only=True):
    """The venue says that an order is smaller."""

    order_id: str | int | None = None
    old_qty: str
    qty: str
    source: str = ""


class TimeoutLine(OrderWords, tag=EventType.TIMEOUT.value, gc=False):
    """A request without an answer: the outcome is unknown."""

    request: str = ""
    msg: str = ""


class OrderResolvedLine(OrderWords, tag=EventType.ORDER_RESOLVED.value):
    """How an unknown order ended."""

    outcome: str = ""
    proof: Any = None
    order: dict[str, Any] | None = None
    counted: bool = False


class RateLimitLine(JournalLine, tag=EventType.RATE_LIMIT.value):
    """The venue told us to slow down."""

    status: int | str | None = None
    code: int | str | None = None
    scope: str | None = None
    msg: str = ""


class ReconciledLine(JournalLine, tag=EventType.RECONCILED.value):
    """One comparison of the daemon's books with the venue's."""

    reason: str = ""
    clean: bool = True
    failed: str = ""
    differences: list[dict[str, Any]] = []
    recovered_fills: Any = 0
    balances: dict[str, Any] = {}
    basis_set: bool = False
    accepted: dict[str, Any] = {}


class EquityLine(JournalLine, tag=EventType.EQUITY.value, gc=False):
    """The daemon's own valuation, re-derived as far as the journal's prices reach."""

    numeraire: str = ""
    equity: str | None = None
    peak: str | None = None
    drawdown: str | None = None
    realised: str | None = None
    unrealised: str | None = None
    fees: str | None = None
    day_open: str | None = None
    session_open: str | None = None
    rebased: Any = None


class CapAlertLine(JournalLine, tag=EventType.CAP_ALERT.value, gc=False):
    """A cap's use crossed a band."""

    kind: str = ""
    cap: str = ""
    symbol: str | None = ""
    bot: str = ""
    band: str | int | None = None
    used: str | int | None = None
    limit: str | int | None = None
    rising: bool = True


class CapsChangedLine(JournalLine, tag=EventType.CAPS_CHANGED.value):
    """Caps were tightened."""

    old_hash: str = ""
    new_hash: str = ""
    changes: Any = None
    by: str = ""
    reason: str = ""


class StrategyErrorLine(JournalLine, tag=EventType.STRATEGY_ERROR.value, gc=False):
    """A strategy raised."""

    strategy_id: str = ""
    where: str = ""
    msg: str = ""


class IncidentOpenedLine(JournalLine, tag=EventType.INCIDENT_OPENED.value, kw_only=True):
    """A stop trigger fired; it blocks promotion until a human resolves it."""

    incident_id: str
    trigger: str = ""
    msg: str = ""
    symbol: str | None = ""
    context: Any = None


class IncidentResolvedLine(JournalLine, tag=EventType.INCIDENT_RESOLVED.value):
    """A human's note that closes an incident."""

    incident_id: str = ""
    by: str = ""
    root_cause: str = ""
    remediation: str = ""


class ExplanationLine(JournalLine, tag=EventType.EXPLANATION.value, gc=False):
    """A human's word about one earlier line."""

    about_seq: int = 0
    why: str = ""
    by: str = ""
    incident_id: str = ""


class CommandLine(JournalLine, tag=EventType.COMMAND.value, gc=False):
    """An operator's command."""

    command_id: str = ""
    method: str = ""
    uid: int | None = None
    role: str = ""
    by: str | None = ""
    reason: str | None = ""
    outcome: str = ""
    msg: str | None = ""


class KillLine(JournalLine, tag=EventType.KILL.value, gc=False):
    """One step of a kill: latched, gate_closed, verified_empty."""

    step: str = ""
    by: str = ""
    uid: int | None = None
    reason: str | None = ""
    gate_ms: int | str | None = None
    latched_ms: int | str | None = None
    cancel_ms: int | str | None = None
    empty_ms: int | str | None = None
    settled_ms: int | str | None = None
    verified: bool | None = None
    latched: bool | None = None
    open_orders: int | None = None
    others_open: int | None = None
    canceled: int | None = None
    rounds: int | None = None
    late_orders: int | None = None
    msg: str | None = ""


class ReArmLine(JournalLine, tag=EventType.RE_ARM.value, gc=False):
    """A human opened the latch."""

    by: str = ""
    uid: int | None = None
    reason: str | None = ""


class DrillLine(JournalLine, tag=EventType.DRILL.value):
    """An exercise of a control."""

    drill: str = ""
    passed: bool = False
    detail: Any = None
    duration_ms: int | str = 0


class ClockLine(JournalLine, tag=EventType.CLOCK.value, gc=False):
    """Measured offset from the venue's clock."""

    offset_ns: int = 0
    round_trip_ns: int = 0


class ExchangeErrorLine(JournalLine, tag=EventType.EXCHANGE_ERROR.value):
    """An answer that no rule explains."""

    code: int | str | None = None
    msg: str | None = ""


class JournalFaultLine(JournalLine, tag=EventType.JOURNAL_FAULT.value, gc=False):
    """The journal itself was in trouble."""

    msg: str = ""
