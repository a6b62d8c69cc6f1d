"""Composition root: settings to objects to one TaskGroup to an exit code.

Boot is recovery, always in this order: take the state directory, count the boot, read the journal,
rebuild the engine, continue the journal, look at the kill latch, then connect. The daemon boots
HALTED; only an operator's `start` opens the gate.
"""

import asyncio
import gc
import logging
import random
import signal
from collections.abc import Mapping
from typing import Any

from control.errors import ControlError
from control.server import ControlThread
from daemon.assembly import (
    about_keys,
    account_fingerprint,
    binding_of,
    build_engine,
    build_labels,
    control_config,
    engine_config,
    greeting,
    link_config,
    own_credentials,
    start_metrics,
    unresolved_incidents,
)
from daemon.core.engine import Engine
from daemon.live_gate import LiveGate, check_live, mode_of, start_rule
from daemon.model.amounts import NS_PER_MS
from daemon.model.effects import ExitDaemon, Reply
from daemon.model.halt import HaltFlag
from daemon.model.inputs import Actor, Command
from daemon.model.records import EventType
from daemon.settings import Config
from daemon.shell.account_lock import AccountLock
from daemon.shell.archived import check_beginning
from daemon.shell.clock import SystemClock
from daemon.shell.disk import Disk
from daemon.shell.drills import Drills, DrillTools
from daemon.shell.drills_rehearsal import Rehearsal
from daemon.shell.emergency import EmergencyStop
from daemon.shell.endpoints import endpoints_of
from daemon.shell.incident_pack import IncidentPacks
from daemon.shell.journal import Journal, lock_journal
from daemon.shell.journal_care import JournalCare
from daemon.shell.key_environments import remember
from daemon.shell.latch import LatchStore
from daemon.shell.late_orders import LateOrders, until_settled
from daemon.shell.loop import Pump, RecordSink
from daemon.shell.metrics import Metrics, MetricsServer
from daemon.shell.port import ControlPort
from daemon.shell.publisher import Publisher, StatusPart
from daemon.shell.replay import Recovered, recover
from daemon.shell.sdnotify import Notifier
from daemon.shell.state_dir import next_run
from daemon.shell.strategy_loader import strategy_factory
from daemon.shell.tasks import spawn
from daemon.shell.venue_link import VenueLink
from daemon.shell.watchdog import LatchClearer, Watchdog, kill_of
from daemon.version import seatrial_version

log = logging.getLogger("seatriald")

EMERGENCY_DEADLINE_S = 5.0
EXIT_OK = 0
EXIT_CRASH = 70
SYSTEM = Actor(uid=0, pid=0, role="operator", name="system")


class Daemon:
    """One boot of the daemon. `await Daemon(config).run()` returns the exit code."""

    def __init__(self, config: Config) -> None:
        """Build everything that can fail before the venue is touched.

        Raises:
            OSError, ValueError: with a one-line message; nothing was left half done.
        """
        self._config = config
        settings = config.settings
        self._credentials = own_credentials(settings)
        self._mode = mode_of(settings.venue.environment)
        self._binding = binding_of(config, api_key=self._credentials.api_key)
        check_live(config, self._binding, SystemClock().now_ns())
        self._endpoints = endpoints_of(settings.venue)
        self._gate = LiveGate(config, mode=self._mode, binding=self._binding)
        for name, strategy in settings.strategies.items():
            strategy_factory(name, strategy)  # refused before a boot is counted
        # Before anything reads or mends the state: a second daemon must not touch a live journal.
        journal_lock = lock_journal(settings.state_dir / "journal")
        self._account = AccountLock(
            account_fingerprint(self._credentials.api_key),
            settings.venue.environment,
            self._endpoints.rest,
        )
        self._account.take()
        self._instance, self._run_number, self._run = next_run(settings.state_dir)
        remember(self._credentials, settings.venue.environment, settings.state_dir)
        self._boot_monotonic = SystemClock().monotonic_ns()
        check_beginning(settings.state_dir / "journal")
        recovered = recover(settings.state_dir / "journal")
        self._clock = SystemClock(floor_ns=recovered.ts_ns)
        self._boot_ns = self._clock.now_ns()
        self._halt = HaltFlag()
        self._latch = LatchStore(settings.state_dir)
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
        self._care = JournalCare(settings, self._journal)
        self._since_checkpoint = (recovered.checkpoint_seq, len(recovered.facts))
        self._engine = self._build_engine(recovered)
        self._write_boot_lines(recovered)
        self._exit: asyncio.Future[ExitDaemon] | None = None
        self._fatal: BaseException | None = None
        self._signalled = False
        self._published: Mapping[str, Any] = {}
        self._late = LateOrders(settings.venue.recv_window_ms)
        self._port: ControlPort | None = None

    async def run(self) -> int:
        """Connect and serve until told to exit. Returns the exit code."""
        loop = asyncio.get_running_loop()
        self._exit = loop.create_future()
        settings = self._config.settings
        metrics = Metrics(lambda: self._published, build_labels(self._config))
        clearer = LatchClearer(self._latch)
        packs = IncidentPacks(
            settings.state_dir,
            status=lambda: self._published,
            run_id=str(self._run),
            binding=self._binding,
        )
        pump = self._build_pump(sinks=(self._late, clearer, packs), counters=(metrics,))
        link = self._build_link(pump)
        pump.attach(link)
        watchdog = self._build_watchdog(pump)
        clearer.watch(watchdog)
        port = self._port = self._build_port(pump)
        drills = self._build_drills(pump, link, port)
        port.drills = drills.begin
        self._journal.on_line = port.events().publish
        self._care.answer(port.events())
        control = ControlThread(control_config(settings), port, background=(port.warm,))
        server: MetricsServer | None = None
        notifier = Notifier()
        parts = (drills, Disk(settings.state_dir), self._gate, self._care)
        publisher = self._build_publisher(pump, link, watchdog, notifier, parts=parts)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, pump, number)
        exit_code = EXIT_CRASH
        try:
            # Who waited for us in the socket's queue asks at once.
            self._publish(publisher.snapshot())
            await asyncio.to_thread(control.start)
            log.info("%s", greeting(settings))
            server = start_metrics(settings.metrics, metrics, healthy=lambda: watchdog.healthy)
            publisher.learn(metrics_port=server.port if server is not None else None)
            if settings.gc_freeze:
                gc.freeze()  # start-up objects live for ever: full collections skip them
            gc.enable()  # off since the entry point
            self._follow_latch(pump)
            watchdog.start()
            self._care.start()
            packs.start(unresolved_incidents(self._engine, self._clock.now_ns()))
            exit_code = await self._serve(link, publisher)
        except (OSError, ValueError, ControlError) as error:
            self._fatal = error
            raise
        finally:
            notifier.stopping()
            await asyncio.to_thread(watchdog.stop)
            await asyncio.to_thread(control.stop)
            if server is not None:
                await asyncio.to_thread(server.stop)
            if self._fatal is None and not self._journal.fault:
                pump.checkpoint()
            pump.note(EventType.RUN_STOP, {"reason": self._reason(), "exit_code": exit_code})
            pump.stop()
            self._journal.close()
            await asyncio.to_thread(self._care.stop)
            self._account.release()
            await asyncio.to_thread(packs.stop)
        return exit_code

    def _follow_latch(self, pump: Pump) -> None:
        """A kill latch from before this boot holds: no restart undoes it."""
        latched = self._latch.read()
        if latched is None:
            return
        self._halt.close(f"latched: {latched.reason}")
        pump.offer(kill_of(latched))

    async def _serve(self, link: VenueLink, publisher: Publisher) -> int:
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
        if self._fatal is None:
            return exit_future.result().exit_code
        await self._abandon_ship()
        return EXIT_CRASH

    async def _abandon_ship(self) -> None:
        """A broken invariant: shut the gate and cancel at the venue before dying."""
        self._halt.close("crash")
        stop = self._build_emergency()
        try:
            report = await stop.cancel_and_verify(deadline_s=EMERGENCY_DEADLINE_S)
            report = await until_settled(
                stop, report, self._late, self._clock, deadline_s=EMERGENCY_DEADLINE_S
            )
            log.error("crash: canceled %s, remaining %s", report.canceled, report.remaining)
        finally:
            await stop.close()

    def _publish(self, status: Mapping[str, Any]) -> None:
        self._published = status
        if self._port is not None:
            self._port.publish(status)

    def _build_engine(self, recovered: Recovered) -> Engine:
        engine = build_engine(
            self._config,
            instance=self._instance,
            run=self._run,
            binding=self._binding,
            halt=self._halt,
        )
        if recovered.checkpoint is not None:
            engine.restore(recovered.checkpoint)
        for record in recovered.facts:
            engine.apply_fact(record)
        engine.finish_recovery(self._boot_ns)
        return engine

    def _write_boot_lines(self, recovered: Recovered) -> None:
        run_start = {
            "instance": self._instance,
            "run_number": self._run_number,
            **about_keys(self._credentials),
            **self._binding,
            "ticks": self._care.ticks,
        }
        duration_ms = (self._clock.monotonic_ns() - self._boot_monotonic) // NS_PER_MS
        recovery = {**recovered.facts_about(), "duration_ms": duration_ms}
        lines = ((EventType.RUN_START, run_start), (EventType.RECOVERY, recovery))
        for event_type, fields in lines:
            self._journal.append(event_type, fields, ts_ns=self._boot_ns, session_id="")
        self._journal.flush()

    def _build_pump(
        self, *, sinks: tuple[RecordSink, ...], counters: tuple[RecordSink, ...]
    ) -> Pump:
        checkpoint_seq, facts_since = self._since_checkpoint
        return Pump(
            engine=self._engine,
            journal=self._journal,
            clock=self._clock,
            halt=self._halt,
            on_reply=self._on_reply,
            on_exit=self._on_exit,
            on_fatal=self._on_fatal,
            sinks=sinks,
            counters=counters,
            checkpoint_seq=checkpoint_seq,
            facts_since=facts_since,
            thin_to=self._care.thin_to,
        )

    def _build_link(self, pump: Pump) -> VenueLink:
        return VenueLink(
            endpoints=self._endpoints,
            credentials=self._credentials,
            config=link_config(self._config.settings),
            clock=self._clock,
            halt=self._halt,
            deliver=pump.offer,
            settle=pump.take,
            rng=random.Random(self._run),  # noqa: S311 - jitter of back-off, not a secret
        )

    def _build_emergency(self) -> EmergencyStop:
        return EmergencyStop(
            endpoints=self._endpoints,
            credentials=self._credentials,
            symbols=self._config.settings.venue.symbols,
            instance=self._instance,
            clock=self._clock,
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
    ) -> Publisher:
        return Publisher(
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

    def _on_signal(self, pump: Pump, number: signal.Signals) -> None:
        """First: stop the session in order, then exit 0. Second: exit now, gate shut."""
        if self._signalled:
            self._halt.close("second signal")
            self._on_exit(ExitDaemon(EXIT_OK, f"second {number.name}"))
            return
        self._signalled = True
        pump.offer(
            Command(
                command_id=f"signal-{number.name}",
                method="shutdown",
                actor=SYSTEM,
                reason=number.name,
            )
        )

    def _reason(self) -> str:
        if self._fatal is not None:
            return f"{type(self._fatal).__name__}: {self._fatal}"
        if self._exit is not None and self._exit.done() and not self._exit.cancelled():
            return self._exit.result().reason
        return "cancelled"
