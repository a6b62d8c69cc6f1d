"""A stage for engine tests: say what the engine is told, look at what it answers.

    stage = Stage()
    stage.ready().start()
    order = stage.wishes(wish())
    stage.tell(VenueReport(report(order.client_order_id)))
    assert stage.status_of(order) == "ACCEPTED"

The clock moves only when told (`after`); every turn's effects are kept in `turns`.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, TypeVar

from daemon.core.engine_config import EngineConfig, StrategySpec
from daemon.model.amounts import NS_PER_MS
from daemon.model.effects import (
    ArmTimer,
    CloseHalt,
    Effect,
    OpenHalt,
    QueryOrder,
    Record,
    Reply,
    SendCancel,
    SendOrder,
    TakeSnapshot,
)
from daemon.model.enums import Link
from daemon.model.ids import ClientOrderId, InstrumentId, StrategyId
from daemon.model.inputs import (
    ClockSampled,
    Input,
    InstrumentsLoaded,
    LinkUp,
    MarketData,
    SnapshotTaken,
    TimerFired,
    Turn,
)
from daemon.model.instrument import Instrument
from daemon.model.intents import Wish
from daemon.model.market import TopOfBook, TradeTick
from daemon.model.orders import NewOrder, Order
from daemon.model.reports import ExecutionReport
from daemon.model.strategy import StrategyView
from riskcaps.words.capset import CapSet
from tests.support.builders import BTC, ETH, T0, command, config, engine, instrument, snapshot, top

__all__ = [
    "Puppet",
    "QueryOrder",
    "Stage",
    "TakeSnapshot",
    "cancels",
    "only",
    "replies",
    "snapshots",
]
E = TypeVar("E")


class Puppet:
    """A strategy that wishes what the test tells it, and remembers what it was told."""

    def __init__(self, strategy_id: StrategyId) -> None:
        self.strategy_id = strategy_id
        self.wishes: deque[tuple[Wish, ...]] = deque()
        self.reports: list[ExecutionReport] = []
        self.denials: list[str] = []
        self.timers: list[str] = []
        self.calls: list[str] = []
        self.raises: Exception | None = None
        self.view: StrategyView | None = None

    def _next(self, view: StrategyView, call: str) -> tuple[Wish, ...]:
        self.view = view
        self.calls.append(call)
        if self.raises is not None:
            raise self.raises
        return self.wishes.popleft() if self.wishes else ()

    def on_start(self, view: StrategyView) -> Iterable[Wish]:
        self.view = view
        self.calls.append("on_start")
        return ()

    def on_market(self, view: StrategyView, top: TopOfBook) -> Iterable[Wish]:
        return self._next(view, "on_market")

    def on_trade(self, view: StrategyView, trade: TradeTick) -> Iterable[Wish]:
        return self._next(view, "on_trade")

    def on_report(self, view: StrategyView, report: ExecutionReport) -> Iterable[Wish]:
        self.reports.append(report)
        return ()

    def on_denied(self, view: StrategyView, intent: Any, code: str) -> Iterable[Wish]:
        self.denials.append(code)
        return ()

    def on_timer(self, view: StrategyView, name: str) -> Iterable[Wish]:
        self.timers.append(name)
        return ()

    def on_stop(self, view: StrategyView) -> None:
        self.calls.append("on_stop")


class Stage:
    """One engine, its clock and its halt flag."""

    def __init__(
        self, *, capset: CapSet | None = None, made: EngineConfig | None = None, **changes: Any
    ) -> None:
        self.puppet: Puppet | None = None
        spec = StrategySpec(
            strategy_id=StrategyId("test"), symbols=("BTCUSDT", "ETHUSDT"), factory=self._build
        )
        self.config = made or config((spec,), **changes)
        self.engine, self.gate, self.halt = engine(self.config, capset)
        self.now_ns = T0
        self.seq = 0
        self.turns: list[tuple[Input, tuple[Effect, ...]]] = []
        self.facts: list[dict[str, Any]] = []
        """Every record as a journal line (as far as recovery reads it)."""
        self.timers: dict[str, int] = {}
        self.asked: deque[str] = deque()
        """Reasons of snapshots asked for and not answered by `answer_all`."""

    def _build(self, strategy_id: StrategyId, _: dict[InstrumentId, Instrument]) -> Puppet:
        self.puppet = Puppet(strategy_id)
        return self.puppet

    # ------------------------------------------------------------------ telling
    def tell(self, *items: Input) -> tuple[Effect, ...]:
        """Step the engine with each input; effects of all of them."""
        out: list[Effect] = []
        for item in items:
            self.seq += 1
            session_before = self.engine.session_id
            effects = self.engine.step(Turn(self.seq, self.now_ns, item))
            self.turns.append((item, effects))
            session = self.engine.session_id or session_before
            for effect in effects:
                self._perform(effect, session)
            out += effects
        return tuple(out)

    def _perform(self, effect: Effect, session: str) -> None:
        if isinstance(effect, Record):
            self.facts.append(
                {
                    "seq": self.seq,
                    "ts_ns": self.now_ns,
                    "session_id": session,
                    "event_type": effect.event_type.value,
                    **effect.fields,
                }
            )
        elif isinstance(effect, ArmTimer):
            self.timers[effect.timer_id] = effect.at_ns
        elif isinstance(effect, TakeSnapshot):
            self.asked.append(effect.reason)
        elif isinstance(effect, CloseHalt):
            self.halt.close(effect.reason)
        elif isinstance(effect, OpenHalt):
            self.halt.open()

    def after(self, ms: int) -> tuple[Effect, ...]:
        """Let time pass, firing the timers that fall due."""
        end = self.now_ns + ms * NS_PER_MS
        out: list[Effect] = []
        while self.timers:
            timer_id, at_ns = min(self.timers.items(), key=lambda item: (item[1], item[0]))
            if at_ns > end:
                break
            del self.timers[timer_id]
            self.now_ns = max(self.now_ns, at_ns)
            out += self.tell(TimerFired(timer_id))
        self.now_ns = end
        return tuple(out)

    # ------------------------------------------------------------------ scenes
    def ready(self, **balances: str) -> "Stage":
        """All links up, instruments loaded, one clean snapshot: READY."""
        self.ready_links()
        self.tell(SnapshotTaken(snapshot(balances=balances or None)))
        self.asked.clear()
        self.quote()
        return self

    def ready_links(self) -> "Stage":
        """Everything up; the boot snapshot is asked for and not answered yet."""
        self.tell(ClockSampled(0, 1 * NS_PER_MS))
        self.tell(InstrumentsLoaded((instrument("BTCUSDT"), instrument("ETHUSDT"))))
        self.tell(LinkUp(Link.REST), LinkUp(Link.MARKET), LinkUp(Link.ORDER))
        return self

    def start(self) -> "Stage":
        """Start a session by command."""
        self.tell(command("start", "test"))
        self.after(0)
        return self

    def quote(self, bid: str = "100.00", ask: str = "100.10") -> None:
        """Fresh tops on both instruments."""
        self.tell(MarketData(top(bid, ask, iid=BTC, ts_ns=self.now_ns)))
        self.tell(MarketData(top(bid, ask, iid=ETH, ts_ns=self.now_ns)))

    def wishes(self, *wished: Wish) -> tuple[Effect, ...]:
        """Have the strategy wish these at the next tick."""
        assert self.puppet is not None, "start a session first"
        self.puppet.wishes.append(wished)
        return self.tell(MarketData(top(ts_ns=self.now_ns)))

    def place(self, wished: Wish) -> NewOrder:
        """Wish one order, which must leave."""
        sent = only(SendOrder, self.wishes(wished))
        assert len(sent) == 1, self.facts[-1]
        return sent[0].order

    def snapshot(self, **what: Any) -> tuple[Effect, ...]:
        """Answer the snapshot that was asked for."""
        return self.tell(SnapshotTaken(snapshot(**what)))

    def answer_all(self, **what: Any) -> None:
        """Answer every snapshot that is or will soon be asked for, alike."""
        for _ in range(5):
            while self.asked:
                self.tell(SnapshotTaken(snapshot(reason=self.asked.popleft(), **what)))
            self.after(400)

    # ------------------------------------------------------------------ looking
    def order(self, cid: str) -> Order:
        return self.engine._ctx.books.orders[ClientOrderId(cid)]

    def status_of(self, cid: str) -> str:
        return self.order(cid).status.value

    def facts_of(self, event_type: str) -> list[dict[str, Any]]:
        return [fact for fact in self.facts if fact["event_type"] == event_type]

    def incidents(self) -> list[str]:
        return [fact["trigger"] for fact in self.facts_of("incident_opened")]

    def position(self, iid: InstrumentId = BTC) -> str:
        held = self.gate.risk.books.positions().get(iid)
        return "0" if held is None else format(held.qty.normalize(), "f")


def only(kind: type[E], effects: Iterable[Effect]) -> list[E]:
    """The effects of one kind."""
    return [effect for effect in effects if isinstance(effect, kind)]


def replies(effects: Iterable[Effect]) -> list[Reply]:
    return only(Reply, effects)


def cancels(effects: Iterable[Effect]) -> list[str]:
    return [one.cancel.client_order_id for one in only(SendCancel, effects)]


def snapshots(effects: Iterable[Effect]) -> list[str]:
    return [one.reason for one in only(TakeSnapshot, effects)]
