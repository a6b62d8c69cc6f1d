"""Parts that the composition root puts together, each from the configuration alone."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from control.peer_identity import ControlConfig, Members, Role
from control.server.line_events import EventHub
from control.status_snapshot import tightening_lines
from daemon.core.engine import Engine, EngineConfig, StrategySpec
from daemon.core.engine_config import BotSpec
from daemon.live_gate import mode_of
from daemon.model.amounts import NS_PER_MS
from daemon.model.enums import Mode
from daemon.model.halt import HaltFlag
from daemon.model.ids import ClientOrderIdFactory, RunId, StrategyId
from daemon.model.records import EventType
from daemon.settings import Config, Settings
from daemon.shell.anchors.anchor_sender import AnchorSender
from daemon.shell.anchors.sink import AnchorSink
from daemon.shell.anchors.sink_builder import sinks_of
from daemon.shell.health.metrics import Metrics, MetricsServer, Page
from daemon.shell.journal.journal_writer import Journal, lock_journal
from daemon.shell.journal.replay import Recovered
from daemon.shell.keys.credentials import account_fingerprint, load_credentials
from daemon.shell.keys.key_environments import check_distinct
from daemon.shell.link.link_config import Credentials, LinkConfig, adapter_of
from daemon.shell.link.venue_urls import urls_of
from daemon.shell.process.clock import Clock, SystemClock
from daemon.shell.process.loop_spin import LoopSpin
from daemon.shell.state.clock_ahead import stepped_back
from daemon.shell.state.state_dir import StateMark, next_run, prepare
from daemon.shell.state.state_proof import Proof, check_state, in_future_text, prove_state
from daemon.shell.strategy_loader import strategy_factory
from daemon.venues.adapter import VenueAdapter
from daemon.version import code_digest, commit, packages, python_version, seatrial_version
from riskcaps.gate.interceptor import Interceptor

log = logging.getLogger("seatriald")


def build_engine(
    config: Config, *, instance: str, run: RunId, binding: Mapping[str, Any], halt: HaltFlag
) -> Engine:
    """The engine of one boot, before recovery; the replay test builds the same.

    Raises:
        StrategyConfigError: a strategy of the configuration cannot be built.
    """
    return Engine(
        config=engine_config(config, instance=instance, run=run, binding=binding),
        interceptor=Interceptor(capset=config.capset, ids=ClientOrderIdFactory(run), halt=halt),
    )


def take_state(settings: Settings) -> int:
    """Have the state directory to ourselves; returns the journal's lock, to be kept open.

    Raises:
        OSError: it cannot be made, or another daemon has it.
    """
    if prepare(settings.state_dir, passable=settings.is_passable):
        log.warning("%s was open to others; its mode is now 0700", settings.state_dir)
    return lock_journal(settings.state_dir / "journal")


def count_boot(settings: Settings, *, account: str) -> tuple[Proof, str, int, RunId]:
    """Prove the state, then count this boot: the proof, instance, run number, run.

    Raises:
        StateDirError: the parts of the state do not agree, or it cannot be written.
    """
    state_dir, environment = settings.state_dir, settings.venue.environment
    now_ns = SystemClock().now_ns()
    proof = prove_state(state_dir, account=account, environment=environment, now_ns=now_ns)
    check_state(proof, state_dir)
    if clock := in_future_text(proof):
        log.warning("%s", clock)
    return (proof, *next_run(state_dir, account=account, environment=environment))


def recovered_engine(
    make: Callable[[], Engine],
    recovered: Recovered,
    *,
    now_ns: int,
    is_clock_set: bool,
    journal: Path,
) -> Engine:
    """The engine as the journal left it; `is_clock_set`: its clock was ahead and is set right."""
    engine = make()
    if recovered.checkpoint is not None:
        engine.restore(recovered.checkpoint)
    for record in recovered.facts:
        engine.apply_fact(record)
    if is_clock_set:
        past, engine = engine.state(), make()
        engine.restore(stepped_back(past, journal, now_ns))
    engine.finish_recovery(now_ns)
    for line in tightening_lines(engine.status(now_ns)):
        log.warning("caps: %s", line)
    return engine


def accepted_lines(
    accepted: Mapping[str, Any], engine: Engine, now_ns: int
) -> list[tuple[EventType, dict[str, Any], int]]:
    """What a boot writes of an operator's word on the state; recovery begins after a set clock."""
    if not accepted:
        return []
    lines = [(EventType.STATE_ACCEPTED, dict(accepted), now_ns)]
    if accepted.get("clock_back_ns"):
        lines.append((EventType.CHECKPOINT, {"state": engine.state()}, now_ns))
    return lines


def link_config(settings: Settings) -> LinkConfig:
    """Bounds and choices of the venue link."""
    venue = settings.venue
    return LinkConfig(
        symbols=venue.symbols,
        recv_window_ms=venue.recv_window_ms,
        reply_deadline_ms=venue.reply_deadline_ms,
        stream_silence_max_ms=venue.stream_silence_max_ms,
        order_road=venue.order_road,
        depth_symbols=venue.depth_symbols,
        with_trades=venue.with_trades,
        ping_doubt_ms=venue.ping_doubt_ms,
        snapshot_lookups_max=venue.snapshot_lookups_max,
    )


def link_adapter(settings: Settings, credentials: Credentials, engine: Engine) -> VenueAdapter:
    """The adapter of the venue link; the engine's books tell it whose renamed orders are."""
    venue = settings.venue
    adapter = adapter_of(credentials, venue.environment, venue.symbols, venue.recv_window_ms)
    adapter.ids.known = engine.own_id
    return adapter


def stop_adapter(settings: Settings, credentials: Credentials) -> VenueAdapter:
    """An adapter for one emergency stop, which shares nothing with the link."""
    return adapter_of(credentials, settings.venue.environment, settings.venue.symbols)


def engine_config(
    config: Config, *, instance: str, run: RunId, binding: Mapping[str, Any]
) -> EngineConfig:
    """What the engine is told at birth; a drill's rehearsal is told the same.

    Raises:
        StrategyConfigError: a strategy of the configuration cannot be built.
    """
    settings, session = config.settings, config.settings.session
    environment = settings.venue.environment
    keys = _public_keys(settings)
    return EngineConfig(
        environment=environment,
        mode=mode_of(environment),
        instance=instance,
        run=run,
        symbols=settings.venue.symbols,
        strategies=tuple(
            StrategySpec(
                strategy_id=StrategyId(name),
                symbols=strategy.symbols,
                factory=strategy_factory(name, strategy),
            )
            for name, strategy in settings.strategies.items()
        ),
        bots=tuple(
            BotSpec(
                name=name,
                symbols=bot.symbols,
                public_key=keys.get(name, ""),
                capital={asset: Decimal(text) for asset, text in bot.capital.items()},
                stops_stay=not bot.cancel_after_stops,
            )
            for name, bot in settings.bots.items()
        ),
        account=str(binding["account"]),
        session_binding=binding,
        heartbeat_period_ns=session.heartbeat_period_ms * NS_PER_MS,
        unknown_settle_ns=session.unknown_settle_ms * NS_PER_MS,
        unknown_incident_ns=session.unknown_incident_ms * NS_PER_MS,
        stale_feed_ns=session.stale_feed_ms * NS_PER_MS,
        audit_period_ns=session.audit_period_ms * NS_PER_MS,
        stop_deadline_ns=session.stop_deadline_ms * NS_PER_MS,
        cancel_on_boot=session.cancel_on_boot,
        flatten_allowed=session.flatten_allowed,
    )


def _public_keys(settings: Settings) -> dict[str, str]:
    """The Ed25519 keys (PEM) of the bots that have one in force now.

    Raises:
        CredentialsRefused, OSError: a key of a bot cannot be used.
    """
    if not settings.bots:
        return {}
    # Imported here: a daemon without bots starts without cryptography.
    from daemon.shell.gateway.bot_keys import read_keys  # noqa: PLC0415 - see above

    return {key.bot: key.public_pem for key in read_keys(settings.state_dir) if not key.revoked_ns}


def control_config(settings: Settings) -> ControlConfig:
    """Where the control socket is, and who may do what over it."""
    control = settings.control
    named = {
        Role.OBSERVER: control.observers,
        Role.STOPPER: control.stoppers,
        Role.OPERATOR: control.operators,
    }
    return ControlConfig(
        socket_path=settings.socket_path,
        roles={role: _members(who) for role, who in named.items() if who},
        socket_group=control.socket_group,
    )


def _members(who: tuple[str | int, ...]) -> Members:
    names = [one for one in who if isinstance(one, str)]
    return Members(
        uids=tuple(one for one in who if isinstance(one, int)),
        users=tuple(one for one in names if not one.startswith("@")),
        groups=tuple(one[1:] for one in names if one.startswith("@")),
    )


def binding_of(config: Config, *, api_key: str) -> dict[str, Any]:
    """What a session of this run is bound to: code, configuration, caps, account, venue.

    A live environment has no host: this build knows none.
    """
    venue = config.settings.venue
    return {
        "version": seatrial_version(),
        "commit": commit(),
        "code": code_digest(),
        "config_hash": config.config_hash,
        "caps_hash": config.capset.hash,
        "account": account_fingerprint(api_key),
        "environment": config.settings.venue.environment,
        "host": "" if mode_of(venue.environment) is Mode.LIVE else urls_of(venue)["rest"],
        "packages": packages(),
        "python": python_version(),
    }


def about_run(config: Config) -> dict[str, Any]:
    """What a run's first line says of it: its heartbeats, and the bot that `[trials]` names.

    The bot's version is what a report of its trials states.
    """
    trials = config.settings.trials
    told = {"heartbeat_period_ms": config.settings.session.heartbeat_period_ms}
    if not trials.command:
        return told
    from daemon.trials.bot import version_of  # noqa: PLC0415 - few boxes name a bot

    try:
        version, _ = version_of(trials.command, trials.files, config.base)
    except OSError as error:
        log.warning("trials: %s: %s; no bot's version is journalled", error.filename, error)
        return told
    return {**told, "bot_version": version}


def build_labels(config: Config) -> dict[str, str]:
    """Labels of the build metric."""
    return {
        "version": seatrial_version(),
        "commit": commit(),
        "python": python_version(),
        "environment": config.settings.venue.environment,
    }


def own_credentials(settings: Settings) -> Credentials:
    """The key of this daemon: found, and seen to belong to its environment alone.

    Raises:
        CredentialsRefused: there is none that can be used.
    """
    wanted = settings.credentials
    found = load_credentials(wanted.file, keyring_service=wanted.keyring_service)
    for warning in found.warnings:
        log.warning("%s", warning)
    check_distinct(
        found,
        settings.venue.environment,
        settings.state_dir,
        live_files=wanted.live_files,
        keyring_service=wanted.keyring_service,
    )
    return found


def about_keys(found: Credentials) -> dict[str, Any]:
    """What the record and the status say of the key: where it came from, and what to mend."""
    return {"key_source": found.source, "warnings": list(found.warnings)}


def unresolved_incidents(engine: Engine, now_ns: int) -> list[str]:
    """Ids of the incidents that nobody has resolved yet."""
    incidents = engine.status(now_ns)["incidents"]
    return [str(one["incident_id"]) for one in incidents if not one["resolved_by"]]


def greeting(settings: Settings) -> str:
    """What a person who has just started the daemon by hand wants to know."""
    return (
        f"serving {settings.venue.environment}, HALTED; next: "
        f"seatrial --socket {settings.socket_path} status, then start"
    )


def start_metrics(
    settings: Settings,
    metrics: Metrics,
    healthy: Callable[[], bool],
    make_page: Callable[[], Page],
) -> MetricsServer | None:
    """Serve metrics and health, and the page, when the configuration wants it.

    Raises:
        OSError: the address cannot be used; the message names it and the mend.
    """
    wanted = settings.metrics
    if not wanted.enabled:
        return None
    try:
        server = MetricsServer(
            metrics, wanted.host, wanted.port, healthy=healthy, make_page=make_page
        )
    except OSError as error:
        raise OSError(
            f"metrics: {wanted.host}:{wanted.port}: {error.strerror}; "
            "set metrics.port to a free one, or metrics.enabled = false"
        ) from error
    server.start()
    return server


def refuse_early(settings: Settings) -> dict[str, AnchorSink]:
    """Refuse what is named in the configuration and cannot be used, before a boot is counted.

    Returns:
        The anchor sinks, which had to be made for that.

    Raises:
        StrategyConfigError, AnchorUnusable: naming it.
    """
    for name, strategy in settings.strategies.items():
        strategy_factory(name, strategy)
    return sinks_of(settings.anchors, box=settings.state_dir.name)


def build_anchors(
    settings: Settings,
    sinks: Mapping[str, AnchorSink],
    journal: Journal,
    mark: StateMark,
    run: RunId,
) -> AnchorSender:
    """The sender of anchors, told of each head that the journal anchors beside itself."""
    sender = AnchorSender(
        settings.anchors, sinks, journal=journal, run_id=str(run), state_dir=settings.state_dir
    )

    def on_anchor(seq: int, head: str) -> None:
        mark.on_anchor(seq)
        sender.on_anchor(seq, head)

    journal.on_anchor = on_anchor
    return sender


def spin_of(settings: Settings, halt: HaltFlag, clock: Clock) -> Callable[[], None] | None:
    """What the pump tells of its work where the configuration has the main loop spin."""
    spin_us = settings.process.spin_us
    return LoopSpin(asyncio.get_running_loop(), halt, clock, spin_us).worked if spin_us else None


def page_of(settings: Settings, metrics: Metrics, events: EventHub, boot_seq: int) -> Page:
    """The operator's page. Called when a browser first asks: few daemons need its modules."""
    from daemon.shell.page.page_site import PageSite  # noqa: PLC0415 - see above

    find = events.older
    return PageSite(
        status=metrics.status,
        activity=metrics.activity,
        older=None if find is None else lambda kind, n: find([kind], (), n, boot_seq, bot=""),
        state_dir=settings.state_dir,
    )
