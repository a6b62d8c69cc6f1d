"""The real engine and interceptor against the simulated venue's core, under virtual time.

One `SimRun(seed)` is a whole little world: an event heap, a lossy network, a crowd that trades
against us, a chaotic strategy, and faults of every kind. Nothing here reads a clock; the same seed
gives the same run. `run()` raises `AssertionError` with the seed when an invariant breaks.
"""

import heapq
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from daemon.core.engine import Engine
from daemon.core.engine_config import EngineConfig, StrategySpec
from daemon.model.amounts import NS_PER_S
from daemon.model.effects import (
    ArmTimer,
    CloseHalt,
    Effect,
    OpenHalt,
    QueryOrder,
    Record,
    SendAmend,
    SendCancel,
    SendOrder,
    SendOrderList,
    SendReplace,
    TakeSnapshot,
)
from daemon.model.enums import (
    ExecType,
    Link,
    ReportSource,
    Side,
)
from daemon.model.ids import (
    ClientOrderId,
    InstrumentId,
    StrategyId,
    VenueOrderId,
    run_id,
)
from daemon.model.inputs import (
    ClockSampled,
    Input,
    InstrumentsLoaded,
    LinkDown,
    LinkUp,
    TimerFired,
    Turn,
    VenueAmendReject,
    VenueCancelReject,
    VenueReject,
    VenueReport,
)
from daemon.model.orders import AmendOrder, CancelOrder
from daemon.model.position import Balance
from daemon.model.records import GENESIS
from daemon.model.reports import (
    CancelReject,
    ExecutionReport,
    Reject,
)
from daemon.venues.answers import Asked, not_sent, unknown
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.units import decimal_of_e8, e8_of
from daemon.venues.sim.listed_symbols import spec_of
from daemon.venues.sim.sim_orders import SimOrder, TradeFill
from daemon.venues.sim.venue import SimVenue
from riskcaps.words.capset import CapSet
from tests.support.builders import (
    BTC,
    INSTANCE,
    T0,
    command,
    config,
    engine,
)
from tests.support.checkers import Checker
from tests.support.sim_chaos import Chaos, FaultMenu
from tests.support.sim_lists import reports_of, send_list
from tests.support.sim_questions import send_query, send_snapshot
from tests.support.sim_replaces import send_replace
from tests.support.sim_shell import ShellLines
from tests.support.sim_stream import pump_events
from tests.support.sim_surroundings import CROWD, crowd, weather
from tests.support.sim_words import (
    DEADLINE_NS,
    MS,
    STATUS,
    SYMBOL,
    fill_of,
    loaded_instrument,
    place_request,
    world_caps,
)

SETTLE_NS = 1 * NS_PER_S


@dataclass(slots=True)
class Wire:
    """What the test knows of requests: those that will still arrive count against the caps."""

    coming: dict[ClientOrderId, tuple[Side, Decimal]] = field(default_factory=dict)
    pending: dict[int, Asked] = field(default_factory=dict)


class SimRun:
    """One seed, from boot to quiescence."""

    def __init__(
        self, seed: int, *, menu: FaultMenu | None = None, capset: CapSet | None = None
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.menu = FaultMenu.of(self.rng) if menu is None else menu
        self.calm = FaultMenu()
        self.capset = capset or world_caps()
        self.now_ns = T0
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self.faults = 0
        """How often a fault of the menu has struck."""
        self.count = 0
        self._timers: dict[str, tuple[int, int]] = {}
        self.run_number = 0
        self.boots: list[tuple[int, int]] = []
        """Of each run: how many facts stood before it, and when it began."""
        self.shell = ShellLines(self)
        self.facts: list[dict[str, Any]] = []
        self.head = GENESIS
        """Of the journal, where a world writes one."""
        self.turns: list[tuple[Turn, tuple[Effect, ...]]] = []
        self.venue = SimVenue(
            (spec_of(SYMBOL),),
            rng_of=lambda name: random.Random(f"{seed}/{name}"),
            now_ns=T0,
            flow_rate_per_s=0.0,
        )
        self.venue.add_account("main", {"USDT": e8_of("1000000"), "BTC": e8_of("100")})
        self.venue.add_account(CROWD, {"USDT": e8_of("900000000"), "BTC": e8_of("9000")})
        self.up = dict.fromkeys(Link, False)
        self.wire = Wire()
        self.event_ns = 0
        self.update = 0
        self._request = 0
        self.session_wanted = True
        self.crashes = 0
        self.refused_locally = 0
        self.checker = Checker(self)
        self._boot()

    # ------------------------------------------------------------------ time
    def later(self, delay_ns: int, what: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self._heap, (self.now_ns + delay_ns, self.count, what))

    def run_until(self, end_ns: int) -> None:
        while self._heap and self._heap[0][0] <= end_ns:
            at_ns, _, what = heapq.heappop(self._heap)
            self.now_ns = max(self.now_ns, at_ns)
            what()
        self.now_ns = end_ns

    def run(self, seconds: float = 3.0) -> "SimRun":
        """Chaos for a while, then calm, stop, and the books compared."""
        try:
            self.run_until(T0 + int(seconds * NS_PER_S))
            self.quiesce()
        except AssertionError as error:
            error.args = (f"seed {self.seed}: {error}",)
            raise
        return self

    def quiesce(self) -> None:
        """No more faults; stop the session; everything must come to rest and agree."""
        self.menu = self.calm
        self.session_wanted = False
        self.run_until(self.now_ns + 1500 * MS)
        for _ in range(10):
            if self.engine.session_id:
                self.tell(command("stop", "end"))
            elif not any(True for _ in self.engine._ctx.books.working()):
                break
            else:
                self.tell(command("cancel-all"))
            self.run_until(self.now_ns + 1500 * MS)
        self.tell(command("reconcile"))
        self.run_until(self.now_ns + 1500 * MS)
        self.checker.at_rest()

    # ------------------------------------------------------------------ the daemon
    def new_engine(self, run_number: int) -> tuple[Engine, Any, Any]:
        rng = random.Random(f"{self.seed}/strategy/{run_number}")
        spec = StrategySpec(
            strategy_id=StrategyId("chaos"),
            symbols=(SYMBOL,),
            factory=lambda sid, instruments: Chaos(sid, dict(instruments), rng=rng),
        )
        made = config(
            (spec,),
            symbols=(SYMBOL,),
            run=run_id(INSTANCE, run_number),
            unknown_settle_ns=SETTLE_NS,
            unknown_incident_ns=20 * NS_PER_S,
            ack_deadline_ns=1 * NS_PER_S,
            audit_period_ns=700 * MS,
            snapshot_deadline_ns=2 * NS_PER_S,
            cancel_attempts_max=60,
            ended_settle_ns=300 * MS,
            heartbeat_period_ns=500 * MS,
        )
        return engine(self.engine_config(made), self.capset)

    def engine_config(self, made: EngineConfig) -> EngineConfig:
        """For worlds with something more in it."""
        return made

    def _boot(self) -> None:
        self.run_number += 1
        self.engine, self.gate, self.halt = self.new_engine(self.run_number)
        self.facts_at_boot, self.booted_ns = len(self.facts), self.now_ns
        self.boots.append((self.facts_at_boot, self.booted_ns))
        if self.facts:
            for fact in json.loads(json.dumps(self.facts)):
                self.engine.apply_fact(fact)
            self.engine.finish_recovery(self.now_ns)
        self.turns.clear()
        self._timers.clear()
        self.tell(ClockSampled(0, MS))
        self._connect()
        if self.run_number == 1:
            crowd(self)
            weather(self)

    def crash(self) -> None:
        """SIGKILL: memory, sockets and answers are gone; the journal and the venue remain."""
        self.checker.recovery()
        self.crashes += 1
        for link in Link:
            self.up[link] = False
        self.wire.pending.clear()
        self._boot()

    def tell(self, item: Input) -> None:
        """One turn of the pump."""
        turn = Turn(len(self.turns) + 1, self.now_ns, item, self.head)
        self.checker.before()
        facts_before = len(self.facts)
        session_before = self.engine.session_id
        effects = self.engine.step(turn)
        self.turns.append((turn, effects))
        session = self.engine.session_id or session_before
        self.journalled(turn, session_before, session, effects)
        self.shell.heard(item, effects, facts_before)
        for effect in effects:
            if type(effect) is Record:
                self.facts.append(
                    {
                        "seq": len(self.facts) + 1,
                        "ts_ns": self.now_ns,
                        "session_id": session,
                        "event_type": effect.event_type.value,
                        **effect.fields,
                    }
                )
        for effect in effects:
            self._perform(effect)
        self.checker.after(turn, effects)

    def journalled(
        self, turn: Turn, session_before: str, session: str, effects: tuple[Effect, ...]
    ) -> None:
        """For worlds that write a journal: the lines of one turn."""

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, ArmTimer):
            self._arm(effect)
        elif isinstance(effect, SendOrder):
            self._send_place(effect.order)
        elif isinstance(effect, SendOrderList):
            send_list(self, effect.order_list)
        elif isinstance(effect, SendCancel):
            self._send_cancel(effect.cancel)
        elif isinstance(effect, SendReplace):
            send_replace(self, effect)
        elif isinstance(effect, SendAmend):
            self._send_amend(effect.amend)
        elif isinstance(effect, QueryOrder):
            send_query(self, effect)
        elif isinstance(effect, TakeSnapshot):
            send_snapshot(self, effect)
        elif isinstance(effect, CloseHalt):
            self.halt.close(effect.reason)
        elif isinstance(effect, OpenHalt):
            self.halt.open()

    def _arm(self, effect: ArmTimer) -> None:
        self.count += 1
        mark = (effect.at_ns, self.count)
        self._timers[effect.timer_id] = mark

        def fire() -> None:
            if self._timers.get(effect.timer_id) == mark:
                del self._timers[effect.timer_id]
                self.tell(TimerFired(effect.timer_id))

        self.later(max(0, effect.at_ns - self.now_ns), fire)

    # ------------------------------------------------------------------ the network
    def chance(self, rate: float) -> bool:
        struck = rate > 0 and self.rng.random() < rate
        self.faults += struck
        return struck

    def latency(self) -> int:
        return self.rng.randrange(1, 30) * MS

    def _connect(self) -> None:
        def up() -> None:
            self.tell(InstrumentsLoaded((loaded_instrument(),)))
            for link in (Link.REST, Link.MARKET, Link.ORDER):
                if not self.up[link]:
                    self.up[link] = True
                    self.tell(LinkUp(link))

        self.later(self.latency(), up)

    def disconnect(self) -> None:
        """The order socket breaks: requests on the wire may or may not have arrived."""
        if not self.up[Link.ORDER]:
            return
        self.up[Link.ORDER] = False
        pending, self.wire.pending = self.wire.pending, {}
        for asked in pending.values():
            self.told(unknown(asked, "socket lost"))
        self.tell(LinkDown(Link.ORDER, "reset by peer"))
        generation = self.run_number

        def up() -> None:
            if generation == self.run_number and not self.up[Link.ORDER]:
                self.up[Link.ORDER] = True
                self.tell(LinkUp(Link.ORDER))

        self.later(self.rng.randrange(50, 600) * MS, up)

    def told(self, items: Iterable[Input]) -> None:
        for item in items:
            self.tell(item)

    def _request_of(self, asked: Asked) -> int | None:
        """A request on the wire; None when it is refused before a byte leaves."""
        why = self._local_refusal()
        if why:
            self.later(0, lambda: self.told(not_sent(asked, why)))
            return None
        self._request += 1
        number = self._request
        self.wire.pending[number] = asked

        def deadline() -> None:
            if self.wire.pending.pop(number, None) is not None:
                self.told(unknown(asked, "deadline"))

        self.later(DEADLINE_NS, deadline)
        return number

    def _local_refusal(self) -> str:
        if not self.up[Link.ORDER]:
            return "no link"
        if self.chance(self.menu.lose_at_send):
            self.later(0, self.disconnect)
            return "the connection was lost before the bytes"
        if self.chance(self.menu.refuse_locally):
            self.refused_locally += 1
            return self.rng.choice(("no budget", "unencodable", "the halt flag is closed"))
        return ""

    def _answer(self, number: int, *items: Input) -> None:
        """Answer a request, unless its answer is lost or its socket is gone."""
        if self.chance(self.menu.drop_answer):
            return

        def arrive() -> None:
            if self.wire.pending.pop(number, None) is not None:
                for item in items:
                    self.tell(item)

        self.later(self.latency(), arrive)

    def _travel(self) -> int | None:
        """How long a request is on the road; None when it is lost."""
        if self.chance(self.menu.drop_request):
            return None
        if self.chance(self.menu.late_request):
            return DEADLINE_NS + self.rng.randrange(10, 400) * MS
        return self.latency()

    def _send_place(self, order: Any) -> None:
        cid, iid = order.client_order_id, order.instrument_id
        number = self._request_of(Asked(kind="place", client_order_id=cid, instrument_id=iid))
        if number is None:
            return
        travel = self._travel()
        if travel is None:
            return
        self.wire.coming[cid] = (order.side, order.qty)
        self.checker.sent(cid)

        def arrive() -> None:
            self._answer(number, self._placed(order))
            pump_events(self)

        self.later(travel, arrive)

    def _placed(self, order: Any) -> Input:
        """The venue takes a placement, or not."""
        self.wire.coming.pop(order.client_order_id, None)
        try:
            outcome = self.venue.place("main", place_request(order), self.now_ns)
        except DialectError as error:
            return self._rejected(order, error.code, error.msg)
        return VenueReport(self.report_of(outcome.order, ReportSource.REPLY, outcome.fills))

    def _rejected(self, order: Any, code: int, why: str) -> Input:
        self.shell.refused(order, code, why)
        no = Reject(
            client_order_id=order.client_order_id,
            instrument_id=order.instrument_id,
            code=code,
            reason=why,
            ts_recv_ns=self.now_ns,
        )
        return VenueReject(no)

    def _refused(self, cid: ClientOrderId, iid: InstrumentId, error: DialectError) -> CancelReject:
        return CancelReject(
            client_order_id=cid,
            instrument_id=iid,
            code=error.code,
            reason=error.msg,
            ts_recv_ns=self.now_ns,
        )

    def _send_cancel(self, cancel: CancelOrder) -> None:
        cid, iid = cancel.client_order_id, cancel.instrument_id
        self.checker.canceled(cid)
        number = self._request_of(Asked(kind="cancel", client_order_id=cid, instrument_id=iid))
        if number is None:
            return
        travel = self._travel()
        if travel is None:
            return

        def arrive() -> None:
            try:
                order = self.venue.cancel(
                    "main", SYMBOL, now_ns=self.now_ns, client_order_id=cid,
                    cancel_id=cancel.request_id,
                )  # fmt: skip
            except DialectError as error:
                self.shell.refused_request("order.cancel", cancel.request_id or cid, error)
                no = self._refused(cid, iid, error)
                self._answer(number, VenueCancelReject(no))
            else:
                self._answer(number, *reports_of(self, order))
            pump_events(self)

        self.later(travel, arrive)

    def _send_amend(self, amend: AmendOrder) -> None:
        cid, iid = amend.client_order_id, amend.instrument_id
        number = self._request_of(Asked(kind="amend", client_order_id=cid, instrument_id=iid))
        if number is None:
            return
        travel = self._travel()
        if travel is None:
            return

        def arrive() -> None:
            try:
                order = self.venue.amend(
                    "main",
                    SYMBOL,
                    e8_of(amend.qty),
                    now_ns=self.now_ns,
                    client_order_id=cid,
                    new_client_order_id=amend.request_id,
                )
            except DialectError as error:
                self.shell.refused_request("order.amend", amend.request_id or cid, error)
                no = self._refused(cid, iid, error)
                self._answer(number, VenueAmendReject(no))
            else:
                self._answer(number, VenueReport(self.report_of(order, ReportSource.REPLY)))
            pump_events(self)

        self.later(travel, arrive)

    # ------------------------------------------------------------------ the venue as a report
    def balances(self) -> tuple[Balance, ...]:
        wallets = self.venue.accounts["main"].wallets
        return tuple(
            Balance(asset, decimal_of_e8(w.free), decimal_of_e8(w.locked))
            for asset, w in sorted(wallets.items())
        )

    def report_of(
        self, order: SimOrder, source: ReportSource, rows: Iterable[TradeFill] = ()
    ) -> ExecutionReport:
        return ExecutionReport(
            client_order_id=ClientOrderId(order.client_order_id),
            venue_order_id=VenueOrderId(str(order.order_id)),
            instrument_id=BTC,
            exec_type=ExecType.STATUS,
            venue_status=STATUS[order.status],
            side=order.side,
            qty=decimal_of_e8(order.qty),
            price=decimal_of_e8(order.price),
            cum_qty=decimal_of_e8(order.executed),
            cum_quote=Decimal(0),
            fills=tuple(fill_of(row, recovered=source is ReportSource.QUERY) for row in rows),
            source=source,
            reason="",
            ts_venue_ns=order.updated_ns,
            ts_recv_ns=self.now_ns,
            venue_list_id=None if order.order_list is None else str(order.list_id),
        )
