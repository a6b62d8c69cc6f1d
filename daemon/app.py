"""Composition root: settings to objects to one TaskGroup to an exit code.

Boot is recovery, always in this order: take the state directory, count the boot, read the journal,
rebuild the engine, continue the journal, look at the kill latch, then connect. The daemon boots
HALTED; only an operator's `start` opens the gate.
"""

import asyncio
import gc
import logging
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from control.control_errors import ControlError
from control.server.control_server import ControlThread
from daemon.assembly import (
    about_keys,
    about_run,
    accepted_lines,
    binding_of,
    build_anchors,
    build_engine,
    build_labels,
    control_config,
    count_boot,
    engine_config,
    greeting,
    link_adapter,
    link_config,
    own_credentials,
    page_of,
    recovered_engine,
    refuse_early,
    spin_of,
    start_metrics,
    stop_adapter,
    take_state,
    unresolved_incidents,
)
from daemon.assembly_gateway import GatewaySide, each
from daemon.assembly_notify import notice_sender
from daemon.live_gate import LiveGate, check_live, mode_of, start_rule
from daemon.model.amounts import NS_PER_MS
from daemon.model.effects import ExitDaemon, Reply
from daemon.model.inputs import Input, JournalFault
from daemon.model.journal_records import RunStopRecord
from daemon.model.records import EventType
from daemon.settings import Config
from daemon.shell.control_port import ControlPort
from daemon.shell.drills.drill_rehearsal import Rehearsal
from daemon.shell.drills.drill_runner import Drills, DrillTools
from daemon.shell.health.metrics import Metrics, MetricsServer
from daemon.shell.health.status_publisher import StatusPart, StatusPublisher
from daemon.shell.health.watchdog import LatchClearer, Watchdog, kill_of
from daemon.shell.journal.incident_pack import IncidentPacks
from daemon.shell.journal.journal_upkeep import JournalUpkeep
from daemon.shell.journal.journal_writer import Journal, JournalError
from daemon.shell.journal.replay import Recovered, recover
from daemon.shell.keys.credentials import account_fingerprint
from daemon.shell.keys.key_environments import remember
from daemon.shell.link.venue_link import VenueLink
from daemon.shell.link.venue_urls import endpoints_of
from daemon.shell.process.account_lock import AccountLock
from daemon.shell.process.clock import SystemClock
from daemon.shell.process.disk import Disk
from daemon.shell.process.log_streams import LogPart
from daemon.shell.process.sdnotify import Notifier
from daemon.shell.process.signals import Ended
from daemon.shell.process.tasks import spawn
from daemon.shell.pump import Pump, RecordSink
from daemon.shell.state.state_dir import StateMark
from daemon.shell.stop.emergency_stop import EmergencyStop
from daemon.shell.stop.kill_latch import LatchHalt, LatchStore
from daemon.shell.stop.late_orders import LateOrders
from daemon.shell.stop.process_end import EXIT_CRASH, EXIT_LEFT, EXIT_OK, ProcessEnd
from daemon.shell.stop.stop_set import VenueStop, stop_of
from daemon.shell.venue_set import port_of
from daemon.version import seatrial_version

log = logging.getLogger("seatriald")

CONTROL_STOP_S = 35.0
"""A kill that is under way is let verify: a little longer than its own grace."""
CLOSE_S = 50.0
"""So long the parts may take to close once the exit code is decided; then the process just ends."""


class EndWatch(Protocol):
    """Who tells of signals, and ends the process when nobody else does (`SignalThread`)."""

    def serve(self, daemon: Ended) -> None:
        """From now on an end is the daemon's to make."""

    def closing(self, seconds: float, exit_code: int) -> None:
        """The exit code is decided; the process has to be gone in so many seconds."""


class Daemon:
    """One boot of the daemon. `await Daemon(config, watch).run()` returns the exit code."""

    def __init__(self, config: Config, watch: EndWatch, log_dropped: Callable[[], int]) -> None:
        """Build everything that can fail before the venue is touched.

        `log_dropped` says how many log lines nobody could be given.

        Raises:
            OSError, ValueError: with a one-line message; nothing was left half done.
        """
        self._config = config
        self._watch = watch
        self._log_dropped = log_dropped
        settings = config.settings
        self._credentials = own_credentials(settings)
        self._mode = mode_of(settings.venue.environment)
        self._binding = binding_of(config, api_key=self._credentials.api_key)
        check_live(config, self._binding, SystemClock().now_ns())
        self._endpoints = endpoints_of(settings.venue)
        self._gate = LiveGate(config, mode=self._mode, binding=self._binding)
        sinks = refuse_early(settings)
        # Before anything reads or mends the state: a second daemon must not touch a live journal.
        journal_lock = take_state(settings)
        self._account = AccountLock(
            account_fingerprint(self._credentials.api_key),
            settings.venue.environment,
            self._endpoints.rest,
        )
        self._account.take()
        self._proof, self._instance, self._run_number, self._run = count_boot(
            settings, account=str(self._binding["account"])
        )
        remember(self._credentials, settings.venue.environment, settings.state_dir)
        self._boot_monotonic = SystemClock().monotonic_ns()
        self._notices = notice_sender(settings, str(self._run), lambda: self._published)
        recovered = recover(settings.state_dir / "journal")
        self._accepted = self._proof.accepted
        self._is_clock_set = bool(self._accepted.get("clock_back_ns"))
        self._clock = SystemClock(floor_ns=0 if self._is_clock_set else recovered.ts_ns)
        self._boot_ns = self._clock.now_ns()
        self._latch = LatchStore(settings.state_dir)
        self._halt = LatchHalt(self._latch, self._clock)
        self._journal = Journal(
            settings.state_dir / "journal",
            run_id=self._run,
            mode=self._mode.value,
            exchange=settings.venue.environment,
            seq=recovered.seq,
            head=recovered.head,
            segment_bytes_max=settings.journal.segment_bytes_max,
            lock_fd=journal_lock,
        )
        self._mark = StateMark(settings.state_dir)
        self._anchors = build_anchors(settings, sinks, self._journal, self._mark, self._run)
        self._journal.on_durable = self._mark.on_durable
        self._care = JournalUpkeep(settings, self._journal)
        self._since_checkpoint = (recovered.checkpoint_seq, len(recovered.facts))
        self._engine = recovered_engine(
            partial(build_engine, config, instance=self._instance, run=self._run,
                    binding=self._binding, halt=self._halt),
            recovered, now_ns=self._boot_ns, is_clock_set=self._is_clock_set,
            journal=settings.state_dir / "journal",
        )  # fmt: skip
        self._published: Mapping[str, Any] = {}
        self._metrics = Metrics(lambda: self._published, build_labels(config))
        self._write_boot_lines(recovered)
        self._exit: asyncio.Future[ExitDaemon] | None = None
        self._fatal: BaseException | None = None
        self._late = LateOrders(settings.venue.recv_window_ms)
        self._port: ControlPort | None = None
        self._gateway = GatewaySide(config, self._credentials.api_key, lambda: self._published)

    async def run(self) -> int:
        """Connect and serve until told to exit. Returns the exit code."""
        self._exit = asyncio.get_running_loop().create_future()
        settings = self._config.settings
        clearer = LatchClearer(self._latch)
        packs = IncidentPacks(
            settings.state_dir, status=lambda: self._published, run_id=str(self._run),
            binding=self._binding,
        )  # fmt: skip
        sinks = (self._late, clearer, packs, self._mark, self._notices)
        pump = self._build_pump(sinks)
        environment = self._endpoints.environment
        attached, links = port_of((environment,), pump.offer, partial(self._build_link, pump))
        pump.attach(attached)
        link = links[environment]
        self._gateway.build(pump, link, self._clock, self._engine.bot_views, self._on_fatal)
        watchdog = self._build_watchdog(pump)
        clearer.watch(watchdog)
        port = self._port = self._build_port(pump)
        drills = self._build_drills(pump, link, port)
        port.drills = drills.begin
        self._journal.on_line = port.events().publish
        self._journal.on_displaced = lambda why: pump.offer(JournalFault(why))
        self._care.answer(port.events())
        control = ControlThread(control_config(settings), port, background=(port.warm,))
        server: MetricsServer | None = None
        notifier, exit_code = Notifier(), EXIT_CRASH
        parts = (
            drills, Disk(settings.state_dir), self._gate, LogPart(self._log_dropped), self._care,
            self._gateway, self._notices, self._anchors,
        )  # fmt: skip
        publisher = self._build_publisher(pump, link, watchdog, notifier, parts=parts)
        end = self._build_end(pump, notifier)
        try:
            self._watch.serve(end)
            # Who waited for us in the socket's queue asks at once.
            self._publish(publisher.snapshot())
            await asyncio.to_thread(each, control.start, self._gateway.start)
            page = partial(page_of, settings, self._metrics, port.events(), self._journal.seq + 1)
            server = start_metrics(settings, self._metrics, lambda: watchdog.healthy, page)
            publisher.learn(metrics_port=server.port if server is not None else None)
            if settings.gc_freeze:
                gc.freeze()  # start-up objects live for ever: full collections skip them
            gc.enable()  # off since the entry point
            self._follow_latch(pump)
            each(watchdog.start, self._care.start, self._notices.start, self._anchors.start)
            packs.start(unresolved_incidents(self._engine, self._clock.now_ns()))
            log.info("%s", greeting(settings))  # nothing is left that could prevent it
            exit_code = await self._serve(link, publisher, end)
        except (OSError, ValueError, ControlError) as error:
            self._fatal = error
            raise
        finally:
            self._watch.closing(CLOSE_S, exit_code)
            notifier.stopping(CLOSE_S)
            await asyncio.to_thread(watchdog.stop)
            await asyncio.to_thread(each, self._gateway.stop, partial(control.stop, CONTROL_STOP_S))
            if server is not None:
                await asyncio.to_thread(server.stop)
            self._write_the_end(pump, exit_code)
            await asyncio.to_thread(each, self._care.stop, self._anchors.stop)
            self._account.release()
            await asyncio.to_thread(each, packs.stop, self._notices.stop)
        return exit_code

    def _write_the_end(self, pump: Pump, exit_code: int) -> None:
        try:
            if self._fatal is None and not self._journal.fault:
                pump.checkpoint()
            end = RunStopRecord(reason=_reason(self._fatal, self._exit), exit_code=exit_code)
            pump.note(EventType.RUN_STOP, end)
            pump.stop()
            self._journal.close()
        except JournalError as error:  # what the exit code says of the orders stays true
            log.critical("the end of this run is not in the journal: %s", error)
        self._mark.close()

    def _follow_latch(self, pump: Pump) -> None:
        """A kill latch from before this boot holds: no restart undoes it."""
        latched = self._latch.read()
        if latched is None:
            return
        self._halt.close(f"latched: {latched.reason}")
        for kill in latched.kills or (latched,):
            pump.offer(kill_of(kill))

    async def _serve(self, link: VenueLink, publisher: StatusPublisher, end: ProcessEnd) -> int:
        exit_future = self._exit
        if exit_future is None:
            raise RuntimeError("run() was not entered")
        try:
            async with asyncio.TaskGroup() as group:
                children = [
                    spawn(group, link.run(), name="venue"),
                    spawn(group, self._journal.run(), name="journal"),
                    spawn(group, publisher.run(), name="publish"),
                ]
                await exit_future
                for child in children:
                    child.cancel()
        except BaseExceptionGroup as group_error:
            self._fatal = self._fatal or group_error.exceptions[0]
            log.exception("a task died; the process stops and the next boot recovers")
        if self._fatal is not None:
            await end.abandon_ship("crash")
            return EXIT_CRASH
        if end.hurried:
            return EXIT_OK if await end.abandon_ship(end.hurried) else EXIT_LEFT
        return exit_future.result().exit_code

    def _publish(self, status: Mapping[str, Any]) -> None:
        self._published = status
        self._metrics.activity.sample(status)
        if self._port is not None:
            self._port.publish(status)

    def _write_boot_lines(self, recovered: Recovered) -> None:
        run_start = {
            "instance": self._instance,
            "run_number": self._run_number,
            **about_keys(self._credentials),
            **self._binding,
            **about_run(self._config),
            "ticks": self._care.ticks,
        }
        duration_ms = (self._clock.monotonic_ns() - self._boot_monotonic) // NS_PER_MS
        recovery = {**recovered.facts_about(), "duration_ms": duration_ms}
        # Time goes back, where it does, at the line that says so, and nowhere else.
        at_ns = max(self._boot_ns, recovered.ts_ns)
        lines = [(EventType.RUN_START, run_start, at_ns), (EventType.RECOVERY, recovery, at_ns)]
        lines += accepted_lines(self._accepted, self._engine, self._boot_ns)
        for event_type, fields, ts_ns in lines:
            self._journal.append(event_type, fields, ts_ns=ts_ns, session_id="")
            self._metrics.on_record(event_type, fields, ts_ns)
        self._journal.flush()
        self._mark.begun(first_run=self._run_number if not recovered.seq else self._proof.first_run)

    def _build_pump(self, sinks: tuple[RecordSink, ...]) -> Pump:
        return Pump(
            engine=self._engine,
            journal=self._journal,
            clock=self._clock,
            halt=self._halt,
            on_reply=self._on_reply,
            on_exit=self._on_exit,
            on_fatal=self._on_fatal,
            sinks=sinks,
            counters=(self._metrics,),
            checkpoint_seq=self._since_checkpoint[0],
            facts_since=self._since_checkpoint[1],
            thin_to=self._care.thin_to,
            on_bot=self._gateway.post,
            on_worked=spin_of(self._config.settings, self._halt, self._clock),
        )

    def _build_link(self, pump: Pump, _venue: str, deliver: Callable[[Input], None]) -> VenueLink:
        link = VenueLink(
            endpoints=self._endpoints,
            adapter=link_adapter(self._config.settings, self._credentials, self._engine),
            config=link_config(self._config.settings),
            clock=self._clock,
            halt=self._halt,
            deliver=deliver,
            settle=pump.take,
            gate=self._engine.gate.risk,
            rng=random.Random(self._run),  # noqa: S311 - jitter of back-off, not a secret
        )
        pause = self._engine.venue_pause
        if pause.until_ns > self._clock.now_ns():
            link.pause(pause.scope, pause.until_ns)
        return link

    def _build_emergency(self) -> VenueStop:
        one = EmergencyStop(
            endpoints=self._endpoints,
            adapter=stop_adapter(self._config.settings, self._credentials),
            instance=self._instance,
            clock=self._clock,
            head=lambda: self._journal.known_head,
        )
        return stop_of({self._endpoints.environment: one})

    def _build_end(self, pump: Pump, notifier: Notifier) -> ProcessEnd:
        return ProcessEnd(
            pump=pump,
            halt=self._halt,
            late=self._late,
            clock=self._clock,
            notifier=notifier,
            emergency=self._build_emergency,
            on_exit=self._on_exit,
            stop_deadline_s=self._config.settings.session.stop_deadline_ms / 1_000,
        )

    def _build_watchdog(self, pump: Pump) -> Watchdog:
        return Watchdog(
            pump=pump,
            halt=self._halt,
            latch=self._latch,
            clock=self._clock,
            audit_period_s=self._config.settings.session.audit_period_ms / 1_000,
        )

    def _build_drills(self, pump: Pump, link: VenueLink, port: ControlPort) -> Drills:
        main_loop = asyncio.get_running_loop()
        config = engine_config(
            self._config, instance=self._instance, run=self._run, binding=self._binding
        )
        return Drills(
            tools=DrillTools(
                status=port.status,
                command=port.command,
                cancel_and_verify=port.cancel_and_verify,
                lose_orders=lambda why: main_loop.call_soon_threadsafe(link.lose_orders, why),
                orders_approved=lambda: self._late.approved,
                rehearsal=lambda: Rehearsal(config, self._config.capset, self._clock.now_ns()),
            ),
            pump=pump,
            clock=self._clock,
            state_dir=self._config.settings.state_dir,
        )

    def _build_publisher(
        self,
        pump: Pump,
        link: VenueLink,
        watchdog: Watchdog,
        notifier: Notifier,
        parts: tuple[StatusPart, ...],
    ) -> StatusPublisher:
        return StatusPublisher(
            engine=self._engine,
            journal=self._journal,
            clock=self._clock,
            pump=pump,
            link=link,
            watchdog=watchdog,
            notifier=notifier,
            identity={
                "run_id": self._run,
                "instance": self._instance,
                "version": seatrial_version(),
                "environment": self._config.settings.venue.environment,
                "mode": self._mode.value,
                **about_keys(self._credentials),
            },
            parts=parts,
            publish=self._publish,
            boot_monotonic_ns=self._boot_monotonic,
        )

    def _build_port(self, pump: Pump) -> ControlPort:
        return ControlPort(
            pump=pump,
            halt=self._halt,
            latch=self._latch,
            emergency=self._build_emergency(),
            late=self._late,
            clock=self._clock,
            main_loop=asyncio.get_running_loop(),
            may_start=start_rule(self._config, self._gate),
            bots=self._config.settings.bots,
        )

    def _on_reply(self, reply: Reply) -> None:
        if self._port is not None:
            self._port.on_reply(reply)

    def _on_exit(self, effect: ExitDaemon) -> None:
        if self._exit is not None and not self._exit.done():
            self._exit.set_result(effect)

    def _on_fatal(self, error: BaseException) -> None:
        self._fatal = error
        self._halt.close(f"crash: {error}")
        log.critical("invariant or bug: %s", error, exc_info=error)
        self._on_exit(ExitDaemon(EXIT_CRASH, f"{type(error).__name__}: {error}"))


def _reason(fatal: BaseException | None, ended: "asyncio.Future[ExitDaemon] | None") -> str:
    """Why a run has ended."""
    if fatal is not None:
        return f"{type(fatal).__name__}: {fatal}"
    if ended is not None and ended.done() and not ended.cancelled():
        return ended.result().reason
    return "cancelled"
