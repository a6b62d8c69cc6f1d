"""What the engine is told once, at birth: frozen values, units in the names."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.model.enums import Mode
from daemon.model.ids import InstrumentId, RunId, StrategyId
from daemon.model.instrument import Instrument
from daemon.model.strategy import Strategy

StrategyFactory = Callable[[StrategyId, Mapping[InstrumentId, Instrument]], Strategy]


class StrategySpec(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy of the config: its name, its symbols, and how to build it at session start."""

    strategy_id: StrategyId
    symbols: tuple[str, ...]
    factory: StrategyFactory


class BotSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One bot of the config. Its caps are in the capset."""

    name: str
    symbols: tuple[str, ...]
    """What it may trade and see: some of the daemon's symbols."""
    public_key: str = ""
    """The public half of its Ed25519 key (PEM, or raw in base64); empty: it signs by HMAC."""
    capital: Mapping[str, Decimal] = msgspec.field(default_factory=dict)
    """What it may spend, by asset; empty: whatever the account has."""
    patience_ns: int = 900 * NS_PER_MS
    """So long it waits for an answer; it has heard "unknown" of what is refused later."""
    reject_streak_max: int = 10
    """So many faulty orders in a row suspend it; 0: never. Post-only refusals are no faults."""
    loss_streak_max: int = 0
    """So many orders in a row that closed at a loss suspend it; 0: never."""
    stops_reduce_only: bool = True
    """Its stop and take-profit orders must reduce the position: they protect it, and open none."""
    stops_stay: bool = True
    """When it is gone, its stop orders that only reduce its own position stay."""


class Storm(msgspec.Struct, frozen=True, kw_only=True):
    """A storm is `count` events inside `window_ns`; fewer are weather."""

    count: int
    window_ns: int


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the engine may depend on besides its inputs. All times in nanoseconds."""

    environment: str
    """Venue environment name, the second half of every instrument id."""
    mode: Mode
    instance: str
    run: RunId
    symbols: tuple[str, ...]
    strategies: tuple[StrategySpec, ...] = ()
    bots: tuple[BotSpec, ...] = ()
    account: str = ""
    """Fingerprint of the account, never its key."""
    session_binding: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """Copied into `session_start`: version, commit, config_hash, caps_hash, host, packages."""

    housekeeping_period_ns: int = 200 * NS_PER_MS
    heartbeat_period_ns: int = 5 * NS_PER_S
    audit_period_ns: int = 60 * NS_PER_S
    """A full reconciliation round this often while READY; 0 switches it off."""

    unknown_settle_ns: int = 20 * NS_PER_S
    """The venue cannot execute a request that is older: only then is "not found" a proof."""
    unknown_incident_ns: int = 60 * NS_PER_S
    ack_deadline_ns: int = 10 * NS_PER_S
    """An order without any answer for so long is UNKNOWN, whatever the link thinks."""
    cancel_deadline_ns: int = 3 * NS_PER_S
    """A cancel without effect for so long is followed by a query, and by another cancel."""
    cancel_attempts_max: int = 12
    """Beyond it the order is an incident; attempts go on at the slowest pace."""
    query_base_ns: int = 500 * NS_PER_MS
    query_cap_ns: int = 8 * NS_PER_S
    owed_fill_grace_ns: int = 500 * NS_PER_MS
    """How long a fill may lag behind the report that announced it."""
    snapshot_deadline_ns: int = 30 * NS_PER_S
    confirm_ns: int = 1 * NS_PER_S
    """A difference must stand in two snapshots at least so far apart."""
    ended_settle_ns: int = 3 * NS_PER_S
    """A snapshot may still list an order that ended so shortly before it was asked for."""
    round_spacing_ns: int = 10 * NS_PER_S
    """Rounds that others' orders, or the passing of time, ask for are at least so far apart."""
    stop_deadline_ns: int = 30 * NS_PER_S
    flatten_deadline_ns: int = 90 * NS_PER_S
    """How long positions are being reduced before it ends as it stands, and says so."""

    process_gap_ns: int = 2 * NS_PER_S
    """Our own clockwork so late: the process did not run; books are compared before trading."""
    process_stopped_ns: int = 10 * NS_PER_S
    """So late with orders open: nobody looked after them for too long; an incident."""
    stale_feed_ns: int = 10 * NS_PER_S
    stale_feed_confirm_ns: int = 3 * NS_PER_S
    clock_skew_max_ns: int = 1 * NS_PER_S
    rate_limit_storm: Storm = Storm(count=5, window_ns=60 * NS_PER_S)
    reject_storm: Storm = Storm(count=15, window_ns=60 * NS_PER_S)
    reconnect_storm: Storm = Storm(count=6, window_ns=300 * NS_PER_S)
    loop_lag_storm: Storm = Storm(count=3, window_ns=60 * NS_PER_S)
    clock_skew_storm: Storm = Storm(count=3, window_ns=300 * NS_PER_S)

    cancel_on_boot: bool = True
    flatten_allowed: bool = False
    """Whether an operator may have positions closed (through the caps, reduce-only)."""
    bot_answer_grace_ns: int = 250 * NS_PER_MS
    """So long the reply may lag behind the stream before a resting order is answered without it."""
    orders_retained: int = 2000
    """Finished orders kept in memory."""
    wishes_per_call_max: int = 50
    """A strategy that wishes for more in one call is broken and is stopped."""
