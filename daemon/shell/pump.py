"""The pump: the one place where inputs become effects.

One turn, always in this order: take one input, stamp it; `engine.step`; append the input's line and
every `Record`; flush to the kernel when anything is sent; perform the effects, awaiting none. In a
thinned run a tick without a consequence goes to the ring instead, and leaves no line.

Queue policy: market data keeps the latest per instrument, and is not taken at all while the journal
refuses (what nobody may trade on need not fill the memory); every other input is kept. When more
than `INPUTS_MAX` wait, the process stops (crash-only) rather than lose a report.
"""

import asyncio
import typing
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from daemon.core.engine import Engine
from daemon.core.ticks import had_no_consequence
from daemon.model.checks import InvariantViolation
from daemon.model.effects import (
    ArmTimer,
    BotAnswered,
    BotEffect,
    CloseHalt,
    Effect,
    ExitDaemon,
    OpenHalt,
    Record,
    Reply,
    SendAmend,
    SendOrder,
    SendOrderList,
    SendReplace,
    VenueEffect,
)
from daemon.model.halt import HaltFlag
from daemon.model.ids import InstrumentId
from daemon.model.inputs import (
    Input,
    JournalFault,
    JournalMended,
    MarketData,
    NotSent,
    TimerFired,
    Turn,
)
from daemon.model.records import EventType
from daemon.shell.journal.input_lines import input_text
from daemon.shell.journal.journal_writer import Journal, JournalError
from daemon.shell.process.clock import Clock

_INPUT = EventType.INPUT
"""Looked up once: on Python 3.11 a look at a member of an enum costs as much as a call."""

INPUTS_MAX = 100_000
INPUTS_PER_DRAIN_MAX = 128
"""After so many turns the loop gets a chance to move bytes."""


CHECKPOINT_FACTS = 5_000
CHECKPOINT_LINES = 50_000
"""After so many facts, or lines of any kind, the next quiet moment writes a checkpoint; after twice
as many any moment does. So much at most does a recovery fold and read, however long we have run."""


class VenuePort(Protocol):
    """What the pump asks of a venue link."""

    def perform(self, effect: VenueEffect) -> None:
        """Start the effect now; never block, never await."""


class TickSink(Protocol):
    """Where a thinned run puts ticks without a consequence."""

    def put(self, after_seq: int, ts_ns: int, item: Input) -> None:
        """Take one; never block, never raise."""


class RecordSink(Protocol):
    """A read-only end that sees every fact of the kinds that it names."""

    hears: frozenset[EventType]

    def on_record(self, event_type: EventType, fields: Mapping[str, Any], ts_ns: int) -> None:
        """One line was appended to the journal."""


class RecordCounter(Protocol):
    """A read-only end that sees every line; of an INPUT line it sees no fields."""

    def on_record(self, event_type: EventType, fields: Mapping[str, Any], ts_ns: int) -> None:
        """One line was appended to the journal."""


_NO_FIELDS: Mapping[str, Any] = MappingProxyType({})
_PLACING = frozenset({SendOrder, SendOrderList, SendReplace, SendAmend})
"""Effects that leave only when the turn's lines are with the kernel (promise P5)."""
_TOLD = frozenset(typing.get_args(BotEffect))
"""Effects for bots, in order; a bot hears of nothing that a crash could still undo."""
_AFTER_LINES = _PLACING | {BotAnswered}
"""Effects that are waited for, so that the turn's lines are written at once. What else a bot is
told follows when the turns that wait are over, or right before the next answer."""


class Pump:
    """Runs the engine on the main loop. All methods but `offer_threadsafe` belong to that loop."""

    def __init__(
        self,
        *,
        engine: Engine,
        journal: Journal,
        clock: Clock,
        halt: HaltFlag,
        on_reply: Callable[[Reply], None],
        on_exit: Callable[[ExitDaemon], None],
        on_fatal: Callable[[BaseException], None],
        sinks: tuple[RecordSink, ...] = (),
        counters: tuple[RecordCounter, ...] = (),
        checkpoint_seq: int | None = None,
        facts_since: int = 0,
        thin_to: TickSink | None = None,
        on_bot: Callable[[BotEffect], None] | None = None,
        on_worked: Callable[[], None] | None = None,
    ) -> None:
        """Wire the pump; `attach` gives it the venue before the first turn.

        `sinks` hear of a turn's records before its effects leave, `counters` after, and of its
        input too. `checkpoint_seq` is the line of the last checkpoint, `facts_since` how many facts
        recovery found after it (absent: the journal's end is as good as one). `thin_to`: the run is
        thinned, and where ticks without a consequence go; absent: every input is a line. `on_bot`
        hears what bots are to be told, once the lines of the turn are with the kernel. `on_worked`
        is called, while a session is on, when the turns that waited are over.
        """
        self._engine = engine
        self._journal = journal
        self._clock = clock
        self._on_fatal = on_fatal
        self._thin_to = thin_to
        self._sinks = {kind: tuple(one for one in sinks if kind in one.hears) for kind in EventType}
        self._counters = counters
        self._venue: VenuePort | None = None
        self._inputs: deque[tuple[int, Input]] = deque()
        self._market: OrderedDict[InstrumentId, tuple[int, MarketData]] = OrderedDict()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._inner: dict[type, Callable[[Any], None]] = {
            ArmTimer: self._arm,
            Reply: on_reply,
            CloseHalt: lambda effect: halt.close(effect.reason),
            OpenHalt: lambda _: halt.open(),
            ExitDaemon: on_exit,
        }
        """Effects that are performed here; the others are the venue's."""
        self._on_bot = on_bot or _nobody
        self._on_worked = on_worked
        self._untold: deque[BotEffect] = deque(maxlen=INPUTS_MAX)
        """What bots are told when its lines are written."""
        self._loop = asyncio.get_running_loop()
        self._session = engine.session_id
        self._scheduled = False
        self._draining = False
        self._stopped = False
        self._checkpoint_seq = journal.seq if checkpoint_seq is None else checkpoint_seq
        self._facts = facts_since
        """Facts since then that a turn made."""
        self.turns = 0
        self.conflated = 0
        self.queue_age_ns = 0
        """How long the input of the last turn had waited."""
        self.turn_max_ns = 0
        """The longest turn of this run so far."""
        journal.on_mended = self._on_mended

    def attach(self, venue: VenuePort) -> None:
        """Give the pump its venue."""
        self._venue = venue

    def offer(self, item: Input) -> None:
        """Queue one input; it is taken in this loop iteration or the next."""
        if self._stopped:
            return
        now = self._clock.monotonic_ns()
        if type(item) is MarketData:
            if self._journal.fault:
                self.conflated += 1
                return
            key = item.top.instrument_id
            if key in self._market:
                self.conflated += 1
                now = self._market[key][0]
            self._market[key] = (now, item)
        else:
            if len(self._inputs) >= INPUTS_MAX:
                raise InvariantViolation(f"{INPUTS_MAX} inputs wait: pump is stuck")
            self._inputs.append((now, item))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._drain_later)

    def take(self) -> None:
        """Take what waits now, not in the next loop iteration: for who has offered all it has."""
        if not self._draining and (self._inputs or self._market):
            self._drain()

    def offer_threadsafe(self, item: Input) -> None:
        """Queue one input from another thread (control, watchdog, gateway)."""
        self._loop.call_soon_threadsafe(self._offer_and_take, item)

    def _offer_and_take(self, item: Input) -> None:
        self.offer(item)
        self.take()

    def note(self, event_type: EventType, fields: Mapping[str, Any]) -> None:
        """Journal a fact that no engine step makes (operator commands, kill steps, drills)."""
        if self._stopped:
            return
        self._append(event_type, fields, self._engine.session_id)
        self._flush_or_fault(self._journal.flush)

    def note_threadsafe(self, event_type: EventType, fields: Mapping[str, Any]) -> None:
        """`note` from another thread."""
        self._loop.call_soon_threadsafe(self.note, event_type, fields)

    def checkpoint(self) -> None:
        """Write one now: the daemon ends in order, and the next start folds nothing."""
        if not self._stopped:
            self._write_checkpoint()
            self._flush_or_fault(self._journal.flush)

    def stop(self) -> None:
        """Take no more inputs and forget the timers."""
        self._stopped = True
        for handle in self._timers.values():
            handle.cancel()
        self._timers.clear()

    def _drain_later(self) -> None:
        self._scheduled = False
        self.take()

    def _drain(self) -> None:
        self._draining = True
        try:
            for _ in range(INPUTS_PER_DRAIN_MAX):
                if self._stopped:
                    return
                if self._inputs:
                    queued_ns, item = self._inputs.popleft()
                elif self._market:
                    _, (queued_ns, item) = self._market.popitem(last=False)
                else:
                    break
                self._turn(queued_ns, item)
            if self._is_checkpoint_due():
                self._write_checkpoint()
            if self._flush_or_fault(self._journal.flush) and self._untold:
                self._tell_bots()
        except BaseException as error:  # noqa: BLE001 - crash-only: whatever it is, the process ends
            self.stop()
            self._on_fatal(error)
            return
        finally:
            self._draining = False
        if (self._inputs or self._market) and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._drain_later)
        if self._on_worked is not None and self._session:
            self._on_worked()

    def _write_checkpoint(self) -> None:
        state = {"state": self._engine.state()}
        self._append(EventType.CHECKPOINT, state, self._engine.session_id)
        self._checkpoint_seq, self._facts = self._journal.seq, 0

    def _is_checkpoint_due(self) -> bool:
        facts, lines = self._facts, self._journal.seq - self._checkpoint_seq
        if facts < CHECKPOINT_FACTS and lines < CHECKPOINT_LINES:
            return False
        is_quiet = not self._inputs and not self._market
        return is_quiet or facts >= 2 * CHECKPOINT_FACTS or lines >= 2 * CHECKPOINT_LINES

    def _turn(self, queued_ns: int, item: Input) -> None:
        engine, journal = self._engine, self._journal
        started = self._clock.monotonic_ns()
        self.queue_age_ns = started - queued_ns
        ts_ns = self._clock.now_ns()
        session_before = self._session
        effects = engine.step(Turn(journal.seq + 1, ts_ns, item, journal.head))
        if self._thin_to is not None and had_no_consequence(item, effects):
            self._thin_to.put(journal.seq, ts_ns, item)
        else:
            journal.append(_INPUT, input_text(item), ts_ns=ts_ns, session_id=session_before)
        if effects:
            self._session = engine.session_id
            self._take(effects, self._session or session_before, ts_ns)
        for counter in self._counters:
            counter.on_record(_INPUT, _NO_FIELDS, ts_ns)
        self.turns += 1
        if (took_ns := self._clock.monotonic_ns() - started) > self.turn_max_ns:
            self.turn_max_ns = took_ns

    def _take(self, effects: tuple[Effect, ...], session: str, ts_ns: int) -> None:
        """Write every record, then perform the rest, then count."""
        others: list[Effect] = []
        records: list[Record] = []
        placing = False
        for effect in effects:
            kind = type(effect)
            if kind is Record:
                records.append(effect)  # type: ignore[arg-type] # its type was just looked at
            else:
                others.append(effect)
                placing = placing or kind in _AFTER_LINES
        self._facts += len(records)
        for one in records:
            self._journal.append(one.event_type, one.fields, ts_ns=ts_ns, session_id=session)
            for sink in self._sinks[one.event_type]:
                sink.on_record(one.event_type, one.fields, ts_ns)
        written = not placing or self._flush_or_fault(self._journal.write)
        for effect in others:
            self._perform(effect, written=written)
        for one in records:
            for counter in self._counters:
                counter.on_record(one.event_type, one.fields, ts_ns)

    def _append(self, event_type: EventType, fields: Mapping[str, Any], session: str) -> None:
        stamp = self._clock.now_ns()
        self._journal.append(event_type, fields, ts_ns=stamp, session_id=session)
        for sink in (*self._sinks[event_type], *self._counters):
            sink.on_record(event_type, fields, stamp)

    def _flush_or_fault(self, flush: Callable[[], None]) -> bool:
        """Flush; on refusal tell the engine once, which halts trading. True when all is written."""
        had_fault = bool(self._journal.fault)
        try:
            flush()
        except JournalError as error:
            if not had_fault:
                self.offer(JournalFault(str(error)))
            return False
        return True

    def _tell_bots(self) -> None:
        while self._untold:
            self._on_bot(self._untold.popleft())

    def _on_mended(self) -> None:
        """What had been refused is written: bots hear of it, and a human may start again."""
        self._tell_bots()
        self.offer(JournalMended())

    def _perform(self, effect: Effect, *, written: bool) -> None:
        kind = type(effect)
        inner = self._inner.get(kind)
        if kind in _TOLD:
            told: BotEffect = effect  # type: ignore[assignment] # its kind was just looked at
            if not written and _is_denial(told):
                self._on_bot(told)
                return
            self._untold.append(told)
            if written and kind is BotAnswered:
                self._tell_bots()
        elif inner is not None:
            inner(effect)
        elif not written and kind in _PLACING:
            self._refuse(effect)
        elif self._venue is None:
            raise InvariantViolation("the pump has no venue")
        else:
            self._venue.perform(effect)  # type: ignore[arg-type] # what is not inner is the venue's

    def _refuse(self, effect: Effect) -> None:
        """The line of an order could not be written: the order does not leave."""
        if isinstance(effect, SendAmend):
            amend = effect.amend
            self.offer(
                NotSent(amend.client_order_id, amend.instrument_id, "amend", "journal not written")
            )
            return
        if isinstance(effect, SendOrderList):
            for one in effect.order_list.orders:
                self.offer(
                    NotSent(one.client_order_id, one.instrument_id, "place", "journal not written")
                )
            return
        if not isinstance(effect, SendOrder | SendReplace):
            raise InvariantViolation(f"{type(effect).__name__} places no order")
        order = effect.order if isinstance(effect, SendOrder) else effect.replace.order
        iid, why = order.instrument_id, "journal not written"
        if isinstance(effect, SendReplace):
            self.offer(NotSent(effect.replace.target, iid, "replace", why))
        self.offer(NotSent(order.client_order_id, iid, "place", why))

    def _arm(self, effect: ArmTimer) -> None:
        old = self._timers.pop(effect.timer_id, None)
        if old is not None:
            old.cancel()
        delay_s = max(0, effect.at_ns - self._clock.now_ns()) / 1e9
        self._timers[effect.timer_id] = self._loop.call_later(delay_s, self._fire, effect.timer_id)

    def _fire(self, timer_id: str) -> None:
        self._timers.pop(timer_id, None)
        self.offer(TimerFired(timer_id))


def _nobody(effect: BotEffect) -> None:
    """No bot is configured."""
    del effect


def _is_denial(effect: Effect) -> bool:
    """Whether a bot is told that nothing came of its request: no crash can undo that."""
    return (
        isinstance(effect, BotAnswered)
        and effect.denial is not None
        and not effect.rows
        and effect.cancel_row is None
    )
