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
from daemon.model.amounts import NS_PER_MS, NS_PER_S
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
    OrderType,
    ReportSource,
    Side,
    TimeInForce,
)
from daemon.model.ids import (
    ClientOrderId,
    InstrumentId,
    StrategyId,
    VenueOrderId,
    run_id,
)
from daemon.model.inputs import (
    BalancesChanged,
    ClockSampled,
    Input,
    InstrumentsLoaded,
    KillLatched,
    LinkDown,
    LinkUp,
    MarketData,
    OrderAbsent,
    QueryFailed,
    SnapshotFailed,
    SnapshotTaken,
    TimerFired,
    Turn,
    VenueAmendReject,
    VenueCancelReject,
    VenueReject,
    VenueReport,
)
from daemon.model.instrument import Instrument
from daemon.model.market import TopOfBook
from daemon.model.orders import AmendOrder, CancelOrder
from daemon.model.position import Balance
from daemon.model.records import GENESIS
from daemon.model.reports import (
    CancelReject,
    ExecutionReport,
    NotFound,
    Reject,
    VenueSnapshot,
)
from daemon.venues.answers import Asked, not_sent, unknown
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.events import AccountPosition, ExecReport
from daemon.venues.binance_spot.serving.order_requests import PlaceRequest
from daemon.venues.binance_spot.serving.units import decimal_of_e8, e8_of
from daemon.venues.sim.listed_symbols import spec_of
from daemon.venues.sim.sim_orders import BookTop, SimOrder, TradeFill
from daemon.venues.sim.venue import SimVenue
from riskcaps.words.capset import CapSet
from tests.support.builders import (
    BTC,
    INSTANCE,
    OPERATOR_ACTOR,
    T0,
    command,
    config,
    engine,
)
from tests.support.checkers import Checker
from tests.support.sim_chaos import Chaos, FaultMenu
from tests.support.sim_lists import reports_of, send_list
from tests.support.sim_replaces import send_replace
from tests.support.sim_shell import ShellLines
from tests.support.sim_words import (
    STATUS,
    SYMBOL,
    fill_of,
    loaded_instrument,
    place_request,
    stream_report,
    world_caps,
)

MS = NS_PER_MS
DEADLINE_NS = 400 * MS
SETTLE_NS = 1 * NS_PER_S
MID = 60_000


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
        self._count = 0
        self._timers: dict[str, tuple[int, int]] = {}
        self.run_number = 0
        self.boots: list[tuple[int, int]] = []
        """Of each run: how many facts stood before it, and when it began."""
        self.shell = ShellLines(self)
        self.facts: list[dict[str, Any]] = []
        self.head = GENESIS
        """Of the journal, where a world writes one."""
        self.turns: list[tuple[Turn, tuple[Effect, ...]]] = []
        self.venue = self.new_venue()
        self.venue.add_account("main", {"USDT": e8_of("1000000"), "BTC": e8_of("100")})
        self.venue.add_account("crowd", {"USDT": e8_of("900000000"), "BTC": e8_of("9000")})
        self.up = dict.fromkeys(Link, False)
        self.wire = Wire()
        self._event_ns = 0
        self._update = 0
        self._request = 0
        self.session_wanted = True
        self.crashes = 0
        self.refused_locally = 0
        self.checker = Checker(self)
        self._boot()

    def new_venue(self) -> SimVenue:
        return SimVenue(
            (spec_of(SYMBOL),),
            rng_of=lambda name: random.Random(f"{self.seed}/{name}"),
            now_ns=T0,
            flow_rate_per_s=0.0,
        )

    # ------------------------------------------------------------------ time
    def later(self, delay_ns: int, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (self.now_ns + delay_ns, self._count, what))

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
            self.recover(self.engine, self.facts)
            self.engine.finish_recovery(self.now_ns)
        self.turns.clear()
        self._timers.clear()
        self.tell(ClockSampled(0, MS))
        self._connect()
        if self.run_number == 1:
            self._crowd()
            self._weather()

    def recover(self, made: Engine, facts: list[dict[str, Any]]) -> None:
        """Fold what a boot reads."""
        for fact in json.loads(json.dumps(facts)):
            made.apply_fact(fact)

    def crash(self) -> None:
        """SIGKILL between two turns."""
        self.checker.recovery()
        self.die()

    def die(self) -> None:
        """Memory, sockets and answers are gone; the journal and the venue remain."""
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
                self.record(effect, session)
        for effect in effects:
            self._perform(effect)
        self.checker.after(turn, effects)

    def record(self, effect: Record, session: str) -> None:
        """One line of the journal."""
        self.facts.append(
            {
                "seq": len(self.facts) + 1,
                "ts_ns": self.now_ns,
                "session_id": session,
                "event_type": effect.event_type.value,
                **effect.fields,
            }
        )

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
            self._send_query(effect)
        elif isinstance(effect, TakeSnapshot):
            self._send_snapshot(effect)
        elif isinstance(effect, CloseHalt):
            self.halt.close(effect.reason)
        elif isinstance(effect, OpenHalt):
            self.halt.open()

    def _arm(self, effect: ArmTimer) -> None:
        self._count += 1
        mark = (effect.at_ns, self._count)
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
            self.tell(InstrumentsLoaded(self.instruments()))
            for link in (Link.REST, Link.MARKET, Link.ORDER):
                if not self.up[link]:
                    self.up[link] = True
                    self.tell(LinkUp(link))

        self.later(self.latency(), up)

    def instruments(self) -> tuple[Instrument, ...]:
        return (loaded_instrument(),)

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
            self._pump_events()

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
            self._pump_events()

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
            self._pump_events()

        self.later(travel, arrive)

    def _send_query(self, query: QueryOrder) -> None:
        cid, iid = query.client_order_id, query.instrument_id
        generation = self.run_number
        if self.chance(self.menu.drop_query):
            self.later(DEADLINE_NS, lambda: self.tell(QueryFailed(cid, iid, "deadline")))
            return

        def arrive() -> None:
            item: Input
            try:
                order = self.venue.query("main", SYMBOL, client_order_id=cid)
            except DialectError:
                item = OrderAbsent(
                    NotFound(client_order_id=cid, instrument_id=iid, ts_recv_ns=self.now_ns)
                )
            else:
                fills = self.venue.my_trades("main", SYMBOL, order_id=order.order_id)
                item = VenueReport(self.report_of(order, ReportSource.QUERY, fills))
            if generation == self.run_number:
                self.later(
                    self.latency(),
                    lambda: self.tell(item) if generation == self.run_number else None,
                )

        self.later(self.latency(), arrive)

    # ------------------------------------------------------------------ snapshots
    def _send_snapshot(self, asked: TakeSnapshot) -> None:
        generation = self.run_number
        got: dict[str, Any] = {}

        def trades() -> None:
            after = asked.trades_after.get(BTC, -1)
            got["fills"] = [
                fill_of(row, recovered=True)
                for row in self.venue.my_trades("main", SYMBOL, from_id=max(0, after - 3))
            ]
            self.later(self.latency(), orders)

        def orders() -> None:
            got["open"] = [
                self.report_of(order, ReportSource.QUERY)
                for order in self.venue.open_orders("main", SYMBOL)
            ]
            listed = {one.client_order_id for one in got["open"]}
            got["statuses"], got["absent"] = [], []
            for ref in asked.believed_open:
                if ref.client_order_id in listed:
                    continue
                try:
                    order = self.venue.query("main", SYMBOL, client_order_id=ref.client_order_id)
                except DialectError:
                    got["absent"].append(
                        NotFound(
                            client_order_id=ref.client_order_id,
                            instrument_id=ref.instrument_id,
                            ts_recv_ns=self.now_ns,
                        )
                    )
                else:
                    rows = self.venue.my_trades("main", SYMBOL, order_id=order.order_id)
                    got["statuses"].append(self.report_of(order, ReportSource.QUERY, rows))
            self.later(self.latency(), account)

        def account() -> None:
            if self.chance(self.menu.fail_snapshot):
                self._tell_if(generation, SnapshotFailed("deadline"))
                return
            taken = VenueSnapshot(
                ts_ns=self.now_ns,
                balances=self.balances(),
                open_orders=tuple(got["open"]),
                statuses=tuple(got["statuses"]),
                absent=tuple(got["absent"]),
                fills=tuple(got["fills"]),
                reason=asked.reason,
            )
            self._tell_if(generation, SnapshotTaken(taken))

        self.later(self.latency(), trades)

    def _tell_if(self, generation: int, item: Input) -> None:
        if generation == self.run_number:
            self.tell(item)

    def balances(self) -> tuple[Balance, ...]:
        wallets = self.venue.accounts["main"].wallets
        return tuple(
            Balance(asset, decimal_of_e8(w.free), decimal_of_e8(w.locked))
            for asset, w in sorted(wallets.items())
        )

    # ------------------------------------------------------------------ the venue's stream
    def _pump_events(self) -> None:
        self.venue.matcher.flush_positions(self.now_ns)
        for event in self.venue.drain_events():
            if isinstance(event, ExecReport) and event.account == "main":
                self._stream(VenueReport(stream_report(event, self.now_ns)))
            elif isinstance(event, AccountPosition) and event.account == "main":
                held = tuple(
                    Balance(asset, decimal_of_e8(free), decimal_of_e8(locked))
                    for asset, free, locked in event.balances
                )
                self._stream(BalancesChanged(held, event.ts_ns))
            elif isinstance(event, BookTop) and self.up[Link.MARKET]:
                self._market(event)

    def _stream(self, item: Input) -> None:
        if not self.up[Link.ORDER] or self.chance(self.menu.drop_event):
            return
        generation = self.run_number

        def arrive() -> None:
            if generation == self.run_number and self.up[Link.ORDER]:
                self.tell(item)

        at_ns = max(self._event_ns, self.now_ns + self.latency())
        if self.chance(self.menu.reorder_event):
            self.later(at_ns - self.now_ns + self.rng.randrange(20, 300) * MS, arrive)
        else:
            self._event_ns = at_ns
            self.later(at_ns - self.now_ns, arrive)
        if self.chance(self.menu.duplicate_event):
            self.later(at_ns - self.now_ns + self.rng.randrange(0, 200) * MS, arrive)

    def _market(self, event: BookTop) -> None:
        if not event.bid_price or not event.ask_price:
            return
        self._update += 1
        top = TopOfBook(
            BTC,
            decimal_of_e8(event.bid_price),
            decimal_of_e8(event.bid_qty),
            decimal_of_e8(event.ask_price),
            decimal_of_e8(event.ask_qty),
            self._update,
            event.ts_ns,
            self.now_ns,
        )
        self.tell(MarketData(top))

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

    # ------------------------------------------------------------------ the world around
    def _crowd(self) -> None:
        """Other people: two quotes around a wandering middle, and sometimes somebody takes."""
        crowd, rng, now = "crowd", self.rng, self.now_ns
        for order in self.venue.open_orders(crowd, SYMBOL):
            if rng.random() < 0.5:
                self.venue.cancel(crowd, SYMBOL, now_ns=now, order_id=order.order_id)
        mid = MID + rng.randrange(-20, 21)
        for side, price in ((Side.BUY, mid - 5), (Side.SELL, mid + 5)):
            self._crowd_order(side, price, rng.randrange(5, 40))
        if rng.random() < 0.6:
            side = rng.choice((Side.BUY, Side.SELL))
            away = 15 if side is Side.BUY else -15
            self._crowd_order(side, mid + away, rng.randrange(1, 30), TimeInForce.IOC)
        self._pump_events()
        self.later(rng.randrange(60, 160) * MS * (1 if self.session_wanted else 8), self._crowd)

    def _crowd_order(
        self, side: Side, price: int, milli: int, tif: TimeInForce = TimeInForce.GTC
    ) -> None:
        request = PlaceRequest(
            symbol=SYMBOL,
            side=side,
            type=OrderType.LIMIT,
            time_in_force=tif,
            qty=e8_of(Decimal(milli) / 1000),
            price=e8_of(price),
            client_order_id=f"crowd-{self._count}-{price}",
        )
        self.venue.place("crowd", request, self.now_ns)

    def _weather(self) -> None:
        """Every 100 ms: start what is wanted; sometimes a socket breaks, sometimes we die."""
        if self.session_wanted and not self.engine.session_id:
            self.tell(command("start", "sim"))
        if self.chance(self.menu.disconnect):
            self.disconnect()
        if self.chance(self.menu.operator):
            self._operator()
        if self.chance(self.menu.crash):
            self.crash()
        self.later(100 * MS, self._weather)

    def _operator(self) -> None:
        method = self.rng.choice(("stop", "cancel-all", "reconcile", "kill", "kill"))
        if method == "kill":
            self.tell(KillLatched(OPERATOR_ACTOR, "sim", self.now_ns))
            self.later(
                self.rng.randrange(300, 1500) * MS, lambda: self.tell(command("re-arm", "sim"))
            )
        else:
            self.tell(command(method, "sim"))
