# ruff: noqa: UP013 - a table: four fields a line can be read at a glance, one field a line cannot
"""The fields of every journal event, declared once: `ORDER_STATE` is `OrderStateRecord`.

Rules of this file:
1. This is the only declaration. A writer annotates the fields that it records with the event's
   type, and the fold's functions take it, so that mypy holds both to it. `docs/JOURNAL.md` and
   `docs/journal.schema.json` are generated from it (`python -m tests.support.journal_page`).
2. Journals outlive builds. A field is never renamed or removed and never changes its type. A new
   one is `Since20261130[…]` (or a later day's) where it is always written from that day on, and
   `NotRequired[…]` where only some lines have it.
3. Types say the unit. Amounts are decimal text, times whole nanoseconds UTC, no field is a float.
4. Every line has the fields of `Envelope` besides its own; `prev` is the last field of a line.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict, TypeVar

from daemon.model.enums import (
    GateState,
    LiquidityFlag,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    TradingState,
)
from daemon.model.ids import (
    ClientOrderId,
    ExecId,
    InstrumentId,
    SessionId,
    StrategyId,
    VenueOrderId,
)
from daemon.model.reject_kind import RejectKind


class Meaning(NamedTuple):
    """What a field's type alone does not say: its unit or form, and the pattern of its text."""

    text: str
    pattern: str = ""


T = TypeVar("T")
Since20261130 = Annotated[T, "2026-11-30"]
"""Written since that day; journals from before it have lines without the field."""
Amount = Annotated[str, Meaning("decimal text", r"^-?[0-9]+(\.[0-9]+)?(E[+-]?[0-9]+)?$")]
Sha256 = Annotated[str, Meaning("SHA-256, hex", "^[0-9a-f]{64}$")]
Ns = Annotated[int, Meaning("ns")]
MomentNs = Annotated[int, Meaning("ns since 1970 UTC")]
Ms = Annotated[int, Meaning("ms")]
MsText = Annotated[str, Meaning("ms, decimal text", r"^[0-9]+\.[0-9]{3}$")]
UtcText = Annotated[str, Meaning("UTC, microseconds", r"^[0-9-]{10}T[0-9:]{8}\.[0-9]{6}Z$")]
SideText = Annotated[str, Side]
TypeText = Annotated[str, OrderType]
ForceText = Annotated[str, TimeInForce]
StatusText = Annotated[str, OrderStatus]
TradingText = Annotated[str, TradingState]
GateText = Annotated[str, GateState]
Code = Annotated[int, Meaning("the venue's code; 0: it gave none")]
Plain = Mapping[str, Any]

# fmt: off
OrderNames = TypedDict("OrderNames", {
    "client_order_id": ClientOrderId, "symbol": str, "instrument_id": InstrumentId})
"""How a line about an order of ours begins."""

SomeExtras = TypedDict("SomeExtras", {
    "extras": NotRequired[Plain], "terms": NotRequired[Plain], "owner": NotRequired[Plain],
    "order_list": NotRequired[Plain]})
"""The fields of an approval that plain orders lack."""

SomeOwner = TypedDict("SomeOwner", {"owner": NotRequired[Plain]})
"""The one field of a denial that only bots' wishes have."""

SomeList = TypedDict("SomeList", {"order_list": NotRequired[Plain]})
"""The one field of a decision that only orders of a list have."""

Envelope = TypedDict("Envelope", {
    "seq": int, "ts": UtcText, "ts_ns": MomentNs, "schema": int, "run_id": str,
    "session_id": SessionId, "mode": str, "exchange": str, "event_type": str, "level": str,
    "is_error": bool, "is_anomaly": bool, "prev": Sha256})
"""What every line has. `seq` rises by one a line over the whole state directory.

`prev` is the SHA-256 of the line before, without its newline; the first line has 64 zeros.
`session_id` is empty outside a session."""

InputRecord = TypedDict("InputRecord", {"input": Plain})
"""What the engine was told: market data, reports, timers, commands, answers.

`input` is the plain form of a class of `daemon/model/inputs.py`, with its name in `type`. In a run
whose RUN_START says `ticks: all` every input is a line, and the run can be re-stepped."""

RunStartRecord = TypedDict("RunStartRecord", {
    "instance": str, "run_number": int, "key_source": str, "warnings": Sequence[str],
    "version": str, "commit": str, "code": Since20261130[Sha256], "config_hash": Sha256,
    "caps_hash": Sha256, "account": str, "environment": str, "host": str,
    "packages": Mapping[str, str], "python": str, "ticks": Since20261130[Literal["all", "thinned"]],
    "heartbeat_period_ms": Since20261130[Ms], "bot_version": NotRequired[Sha256]})
"""A boot. `code` is the SHA-256 of all modules; `account` a fingerprint of the API key.

`key_source` says where the key was found, `warnings` what an operator should hear about that place.
`ticks`: with `all` every input of the run is a line; with `thinned` ticks without a consequence are
left out, so that the run cannot be re-stepped. A run that states `heartbeat_period_ms` has
heartbeats, and a command line for each start, re-arm, resolution and drill. `bot_version` is the
hash of the command and files of the bot that `[trials]` names, as they were at the boot."""

RunStopRecord = TypedDict("RunStopRecord", {"reason": str, "exit_code": int})
"""The orderly end of a run. A run without one was killed or crashed."""

RecoveryRecord = TypedDict("RecoveryRecord", {
    "records": int, "from_seq": int, "checkpoint_seq": int, "torn_bytes": int, "torn_sha256": str,
    "duration_ms": Ms})
"""What a boot has read of the past, beside its RUN_START.

`records` facts were folded after the checkpoint at line `checkpoint_seq` (0: there is none, the
fold began at the first line). `torn_bytes` of an unfinished last line were cut off; their hash is
`torn_sha256` (empty: nothing was torn)."""

StateAcceptedRecord = TypedDict("StateAcceptedRecord", {
    "findings": Sequence[str], "reason": str, "by": str, "uid": int, "accepted_ns": MomentNs,
    "clock_back_ns": Ns})
"""An operator went on with a state directory whose parts did not agree (since 2026-11-30).

`clock_back_ns` is how far time was set back at this line; 0: it was not."""

CheckpointRecord = TypedDict("CheckpointRecord", {"state": Plain})
"""Everything that a recovery needs, so that older lines need not be read. Its form is the build's
own; a newer build reads every older form."""

SessionStartRecord = TypedDict("SessionStartRecord", {
    "session_id": SessionId, "account": str, "environment": str, "strategies": Sequence[str],
    "caps": Plain, "by": str, "reason": str, "version": str, "commit": str,
    "code": Since20261130[Sha256], "config_hash": Sha256, "caps_hash": Sha256, "host": str,
    "packages": Mapping[str, str], "python": str, "bots": NotRequired[Sequence[Plain]]})
"""A session begins. It names all that it is bound to: code, configuration, caps, account, venue."""

SessionStopRecord = TypedDict("SessionStopRecord", {
    "session_id": SessionId, "reason": str, "by": str, "duration_ms": Ms, "orders": int,
    "fills": int, "denied": Mapping[str, int]})
"""A session has ended. The totals are the daemon's own; `denied` counts by `deny_reason`."""

HeartbeatRecord = TypedDict("HeartbeatRecord", {
    "trading_state": TradingText, "gate_state": GateText, "open_orders": int, "unknown_orders": int,
    "queue_age_ms": Ms, "period_ms": Ms, "counts": Since20261130[Sequence[int]]})
"""Written every `period_ms`, so that silence can be told from absence.

`counts` are running totals: approved, denied and fills of the session; incidents, anomalies and
errors of the run."""

TradingStateRecord = TypedDict("TradingStateRecord", {
    "old": TradingText, "new": TradingText, "why": str, "by": str, "latched": bool})
"""What the gate admits has changed, or a latch has closed (then `old` and `new` may be equal)."""

GateStateRecord = TypedDict("GateStateRecord", {"old": GateText, "new": GateText, "why": str})
"""The state of the links and books has changed. Only READY lets a session trade freely."""

ConnectedRecord = TypedDict("ConnectedRecord", {"link": str})
"""A link is up for the first time in a run."""

DisconnectedRecord = TypedDict("DisconnectedRecord", {"link": str, "msg": str})
"""A link is lost; `msg` says how."""

ReconnectRecord = TypedDict("ReconnectRecord", {"link": str, "outage_ms": Ms})
"""A link is up again after a loss."""

InstrumentsRecord = TypedDict("InstrumentsRecord", {"instruments": Sequence[Plain]})
"""Symbols and filters as the venue states them, each the plain form of `Instrument`
(`daemon/model/instrument.py`). Written when one has changed."""

RiskContextRecord = TypedDict("RiskContextRecord", {
    "context": Sha256, "instrument_id": InstrumentId, "caps_hash": Sha256, "portfolio_caps": Plain,
    "caps": Plain | None, "filters": Plain | None})
"""Caps and filters that later decisions stand on. They name it by `context`.

`context` is the SHA-256 of the other fields as JSON with sorted keys and no blanks. The line is
written when a session first needs it, and every 10,000 decisions."""

OrderApprovedRecord = TypedDict("OrderApprovedRecord", {
    "client_order_id": ClientOrderId, "symbol": str, "instrument_id": InstrumentId,
    "strategy_id": StrategyId, "side": SideText, "order_type": TypeText, "qty": Amount,
    "price": Amount | None, "time_in_force": ForceText | None, "stop_price": Amount | None,
    "reduce_only": bool, "extras": NotRequired[Plain], "terms": NotRequired[Plain],
    "owner": NotRequired[Plain], "order_list": NotRequired[Plain], "reason": str,
    "decision": Plain, "counts": Since20261130[Sequence[int]]})
"""An order passed the gate. The line is on disk before the order's bytes leave.

`reason` is the strategy's; `decision` holds every input of the gate's decision, so that it can be
decided again; `extras` is there for iceberg, trailing and pegged orders, `terms` for a quote
quantity and a bot's tags. `owner` {bot, client_order_id, request} names the bot that asked.
`order_list` {list_id, contingency, leg, legs, bot_list_id} is there for an order of a list: of an
OCO one leg trades at most, so it was decided on as if the others were not there.
`counts` are the session's orders approved and denied so far, this one included."""

OrderDeniedRecord = TypedDict("OrderDeniedRecord", {
    "symbol": str, "instrument_id": InstrumentId, "strategy_id": StrategyId, "side": SideText,
    "order_type": TypeText, "qty": Amount | None, "price": Amount | None,
    "time_in_force": ForceText | None, "owner": NotRequired[Plain],
    "order_list": NotRequired[Plain], "deny_reason": str,
    "deny_context": Plain, "decision": Plain, "counts": Since20261130[Sequence[int]]})
"""The gate refused a wish; nothing left. `deny_reason` is one of `riskcaps/words/denials.py`."""

OrderStateRecord = TypedDict("OrderStateRecord", {
    "client_order_id": ClientOrderId, "symbol": str, "instrument_id": InstrumentId,
    "order_id": VenueOrderId | None, "old": StatusText, "new": StatusText, "why": str,
    "cum_qty": Amount, "venue_cum_qty": Amount, "source": str,
    "ts_venue_ns": NotRequired[MomentNs], "order_list_id": NotRequired[str]})
"""One row of the lifecycle table fired (`daemon/core/lifecycle.py`).

`order_id` is the venue's, `order_list_id` the venue's of its list. `cum_qty` is what our booked
fills add up to, `venue_cum_qty` the most that the venue has claimed. `source` says how the venue
told it (empty: it did not)."""

CancelRequestedRecord = TypedDict("CancelRequestedRecord", {
    "client_order_id": ClientOrderId, "symbol": str, "instrument_id": InstrumentId,
    "order_id": VenueOrderId | None, "request_id": Since20261130[str], "why": str})
"""A cancel leaves in this turn. It counts as a message, and is never held back. `request_id` is its
own id, which the order's row at the venue shows from then on; empty: the venue makes one up."""

FillRecord = TypedDict("FillRecord", {
    "exec_id": ExecId, "client_order_id": ClientOrderId, "symbol": str,
    "instrument_id": InstrumentId, "order_id": VenueOrderId, "side": SideText, "qty": Amount,
    "price": Amount, "fee": Amount, "fee_asset": str, "liquidity": Annotated[str, LiquidityFlag],
    "partial": bool, "recovered": bool, "late": bool, "ts_venue_ns": MomentNs,
    "ts_recv_ns": MomentNs, "position_qty": Amount})
"""A trade of ours, booked once by its `exec_id`.

`partial`: the order is not filled by it. `recovered`: it was learnt from a query, not a report.
`late`: the order had ended for us already. `position_qty` is the position after it."""

OrderRejectRecord = TypedDict("OrderRejectRecord", {
    "client_order_id": ClientOrderId, "symbol": str, "instrument_id": InstrumentId, "code": Code,
    "msg": str, "kind": Since20261130[Annotated[str, RejectKind]]})
"""The venue's definite no to a placement. Without `kind` it counts as `fault`."""

CancelRejectRecord = TypedDict("CancelRejectRecord", {
    "client_order_id": ClientOrderId, "symbol": str, "instrument_id": InstrumentId, "code": Code,
    "msg": str})
"""The venue refused a cancel; a query tells what became of the order."""

AmendRequestedRecord = TypedDict("AmendRequestedRecord", {
    "client_order_id": ClientOrderId, "symbol": str, "instrument_id": InstrumentId,
    "order_id": VenueOrderId | None, "request_id": Since20261130[str], "old_qty": Amount,
    "qty": Amount, "cum_qty": Amount, "lot": Amount | None, "why": str})
"""An amend to the smaller whole quantity `qty` leaves in this turn. The line is on disk before the
bytes; the hold stays at `old_qty` until the venue has taken it. `request_id` as for a cancel."""

AmendRejectRecord = TypedDict("AmendRejectRecord", {
    "client_order_id": ClientOrderId, "symbol": str, "instrument_id": InstrumentId, "qty": Amount,
    "by": str, "code": Code, "msg": str})
"""An amend did nothing; `by` says who refused it: caps, venue or link."""

OrderAmendedRecord = TypedDict("OrderAmendedRecord", {
    "client_order_id": ClientOrderId, "symbol": str, "instrument_id": InstrumentId,
    "order_id": VenueOrderId | None, "old_qty": Amount, "qty": Amount, "source": str})
"""The venue says that the order is smaller now."""

TimeoutRecord = TypedDict("TimeoutRecord", {
    "client_order_id": ClientOrderId, "symbol": str, "instrument_id": InstrumentId, "request": str,
    "msg": str})
"""A request left and was not answered: its outcome is unknown."""

OrderResolvedRecord = TypedDict("OrderResolvedRecord", {
    "client_order_id": ClientOrderId, "symbol": str, "instrument_id": InstrumentId,
    "outcome": Literal["adopted", "absent", "not_sent"], "proof": str, "order": NotRequired[Plain],
    "counted": NotRequired[bool]})
"""A doubt about an order is over. With `adopted` come the whole `order` and, since 2026-11-30,
`counted`: it was counted against the caps on orders."""

RateLimitRecord = TypedDict("RateLimitRecord", {
    "status": int, "code": Code, "scope": str, "until_ns": MomentNs, "msg": str})
"""The venue refused for rate, or banned us until `until_ns`."""

ReconciledRecord = TypedDict("ReconciledRecord", {
    "reason": str, "clean": bool, "failed": NotRequired[str], "differences": Sequence[Plain],
    "recovered_fills": int, "adopted": int, "canceled": int,
    "balances": Mapping[str, Sequence[str]], "basis_set": bool,
    "accepted": NotRequired[Mapping[str, Amount]]})
"""Our books were compared with the venue's; with `failed` the comparison did not come about.

`differences` are [{kind, class, symbol, client_order_id, ours, venue}], a balance's also `change`
(`daemon/model/balance_changes.py`). `balances` {asset: [free, locked]} are those that changed since
the run's line before; with `basis_set` they are all that are not zero or are traded, and the basis
of comparison from now on. `accepted` {asset: total} are of assets that we neither trade nor cap:
the comparison goes on from there."""

EquityRecord = TypedDict("EquityRecord", {
    "numeraire": str, "equity": Amount | None, "peak": Amount | None, "drawdown": Amount | None,
    "realised": Amount | None, "unrealised": Amount | None, "fees": Amount | None, "day": int,
    "day_open": Amount | None, "session_open": Amount | None, "rebased": str})
"""Equity since the books' epoch, when its peak or a baseline moved. Null: it cannot be valued now.

`day` counts from 1970 UTC. `rebased` says why the baselines began anew (empty: they did not)."""

CapAlertRecord = TypedDict("CapAlertRecord", {
    "kind": str, "cap": str, "symbol": str, "band": int, "used": str, "limit": str, "rising": bool,
    "action": str, "msg": str, "bot": NotRequired[str]})
"""A cap's use passed a band (`alert`, `band` in percent), or its declared `action` is due
(`breach`)."""

CapsChangedRecord = TypedDict("CapsChangedRecord", {
    "old_hash": Sha256, "new_hash": Sha256, "changes": Plain, "were": NotRequired[Plain],
    "by": str, "reason": str})
"""An operator tightened caps while the daemon ran; it holds until [caps] of the file is edited.
`were`: the value of each before."""

StrategyErrorRecord = TypedDict("StrategyErrorRecord", {
    "strategy_id": StrategyId, "where": str, "msg": str, "trace": NotRequired[Sequence[str]]})
"""A strategy raised, flooded or wished for what is not its own. `trace`: its own last frames."""

IncidentOpenedRecord = TypedDict("IncidentOpenedRecord", {
    "incident_id": str, "trigger": str, "msg": str, "symbol": str, "context": Plain})
"""An incident: the session ends or the symbol is blocked. `trigger` is one of
`daemon/model/stop_triggers.py`; `symbol` is empty where it concerns the account."""

IncidentResolvedRecord = TypedDict("IncidentResolvedRecord", {
    "incident_id": str, "by": str, "root_cause": str, "remediation": str, "follow_up": str})
"""A human has explained an incident."""

ExplanationRecord = TypedDict("ExplanationRecord", {
    "about_seq": int, "why": str, "by": str, "incident_id": NotRequired[str],
    "re_enabled": NotRequired[bool]})
"""A human's word on the line `about_seq`, on an incident, or with a re-enabling (then it is 0)."""

CommandRecord = TypedDict("CommandRecord", {
    "command_id": str, "method": str, "uid": int, "pid": int, "role": str, "by": str, "reason": str,
    "outcome": str, "msg": str})
"""A command came over the control socket. `outcome` is accepted, refused or a step of it."""

KillRecord = TypedDict("KillRecord", {
    "step": Literal["gate_closed", "latched", "verified_empty", "not_verified"], "by": str,
    "uid": int, "reason": str, "gate_ms": NotRequired[MsText | None],
    "latched_ms": NotRequired[MsText | None], "verified": NotRequired[bool],
    "latched": NotRequired[bool], "open_orders": NotRequired[int | None],
    "others_open": NotRequired[int | None], "gate_closed_monotonic_ns": NotRequired[Ns],
    "cancel_ms": NotRequired[MsText | None], "empty_ms": NotRequired[MsText | None],
    "settled_ms": NotRequired[MsText | None], "canceled": NotRequired[int],
    "unasked": NotRequired[str], "late_orders": NotRequired[int], "rounds": NotRequired[int],
    "msg": NotRequired[str]})
"""One step of a kill, timed from its arrival. The last step brings the whole result: `open_orders`
null where the venue could not be asked, `others_open` those that are not ours."""

ReArmRecord = TypedDict("ReArmRecord", {"by": str, "uid": int, "reason": str})
"""A human opened the latch."""

DrillRecord = TypedDict("DrillRecord", {
    "drill": str, "passed": bool, "detail": Plain, "duration_ms": Ms})
"""A control was exercised; `detail` is what was measured, and `problem` where it did not pass."""

ClockRecord = TypedDict("ClockRecord", {"offset_ns": Ns, "round_trip_ns": Ns})
"""A sample of the venue's clock: the venue's time less ours."""

ExchangeErrorRecord = TypedDict("ExchangeErrorRecord", {"code": Code, "msg": str, "context": str})
"""An answer of the venue that no rule of ours explains."""

JournalFaultRecord = TypedDict("JournalFaultRecord", {"msg": str})
"""The journal could not be written for a while. The line comes when it can be again."""

BotRefusedRecord = TypedDict("BotRefusedRecord", {
    "bot": str, "request": int, "kind": str, "client_order_id": str, "symbol": str, "refusal": str,
    "msg": str})
"""A rule of bots refused a bot's request before the caps were asked; no order came of it.

`kind` is place, cancel, cancel_all, replace, amend or test; `client_order_id` is the bot's own;
`refusal` a `DoorReason` (`daemon/core/bots/admission.py`)."""

BotAnsweredRecord = TypedDict("BotAnsweredRecord", {
    "bot": str, "request": int, "kind": str, "orders": Sequence[Plain], "refused": str,
    "wait_ns": Ns})
"""What a bot was told of its request: each order of ours with its status and traded quantity.

`refused` says who said no to the request or to its first half, and why; it is empty where nobody
did. A denial by the caps, or a refusal before them, is a line of its own. `wait_ns` counts from the
request."""

BotSwitchedRecord = TypedDict("BotSwitchedRecord", {
    "bot": str, "state": str, "reason": str, "by": str, "cancel": bool,
    "canceled": Sequence[ClientOrderId]})
"""A bot is active, suspended, revoked or gone from here on. `canceled`: cancels were asked for."""

BotThrottledRecord = TypedDict("BotThrottledRecord", {"bot": str, "count": int, "window_ms": Ms})
"""So many requests of a bot were refused for their rate; one line a second at most."""
