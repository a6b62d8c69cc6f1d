"""A bench for tests of a strategy: the real engine and the real caps, and a venue in memory.

    bench = StrategyBench(MyStrategy, params={"qty": "0.001"})
    bench.start()
    wishes = bench.tick("60000.00", "60000.10")
    bench.fill(bench.open_orders[0])

Rules of this file:
1. What the strategy wishes goes through the same engine and the same interceptor as in a session.
2. The venue accepts at once, fills what crosses the latest top of book, and confirms cancels; a
   test that needs something else says so (`venue_answers = False`, `reject`, `fill`, `expire`).
3. Time stands still until `after` moves it. Nothing here reads a clock or waits.
4. What the strategy raises is raised to the test, from the call in which it happened.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from daemon.core.engine import Engine
from daemon.core.engine_config import EngineConfig, Storm, StrategySpec
from daemon.model.amounts import NS_PER_MS, NS_PER_S, decimal_of
from daemon.model.effects import (
    ArmTimer,
    Effect,
    QueryOrder,
    Record,
    Reply,
    SendCancel,
    SendOrder,
    TakeSnapshot,
)
from daemon.model.enums import (
    ExecType,
    Link,
    Mode,
    OrderStatus,
    OrderType,
    Side,
    SymbolStatus,
    VenueOrderStatus,
)
from daemon.model.halt import HaltFlag
from daemon.model.ids import (
    ClientOrderIdFactory,
    InstrumentId,
    StrategyId,
    instrument_id,
    run_id,
)
from daemon.model.inputs import (
    Actor,
    ClockSampled,
    Command,
    Input,
    InstrumentsLoaded,
    LinkDown,
    LinkUp,
    MarketData,
    OutcomeUnknown,
    PublicTrade,
    SnapshotTaken,
    TimerFired,
    Turn,
)
from daemon.model.instrument import Instrument
from daemon.model.intents import PlaceIntent, Wish
from daemon.model.market import TopOfBook, TradeTick
from daemon.model.orders import Order
from daemon.model.records import EventType
from daemon.model.reports import ExecutionReport
from daemon.model.strategy import StrategyView
from daemon.own_strategy.bench_caps import PORTFOLIO, SYMBOL
from daemon.own_strategy.bench_venue import BenchVenue, VenueSide
from daemon.venues.binance_spot.serving.units import E8
from daemon.venues.sim.listed_symbols import SymbolSpec, spec_of
from riskcaps.gate.interceptor import Interceptor
from riskcaps.words.capset import capset_from_mapping

ENVIRONMENT = "sim"
T0_NS = 1_760_000_000 * NS_PER_S
NAME, INSTANCE = "bench", "bench1"
_NO_STORM = Storm(count=1_000_000, window_ns=NS_PER_S)
"""What a test plays is no weather."""
_OPERATOR = Actor(uid=0, pid=1, role="operator", name="bench")


class WishRefusedError(ValueError):
    """The engine takes no such wish, and would stop the strategy for it; the message says why."""


class HeardCall(msgspec.Struct, frozen=True):
    """One call of the strategy: which method, what about, and what it wished."""

    method: str
    about: Any
    wishes: tuple[Wish, ...]


class _Listener:
    """Stands between engine and strategy, and keeps what is asked and wished."""

    def __init__(self, strategy: Any, calls: list[HeardCall], raised: list[Exception]) -> None:
        self.strategy = strategy
        self.strategy_id = strategy.strategy_id
        self.view: StrategyView | None = None
        self._calls, self._raised = calls, raised

    def _heard(self, method: str, about: Any, view: StrategyView, *more: Any) -> tuple[Wish, ...]:
        self.view = view
        try:
            made = getattr(self.strategy, method)(view, *more)
            if method == "on_stop":
                made = ()
            elif made is None or hasattr(made, "__await__"):
                said = "None" if made is None else "a coroutine"
                raise WishRefusedError(f"{method} returned {said}: return wishes, or () for none")
            wishes = tuple(made)
        except Exception as error:  # rule 4
            self._raised.append(error)
            raise
        self._calls.append(HeardCall(method, about, wishes))
        return wishes

    def on_start(self, view: StrategyView) -> Iterable[Wish]:
        return self._heard("on_start", None, view)

    def on_market(self, view: StrategyView, top: TopOfBook) -> Iterable[Wish]:
        return self._heard("on_market", top, view, top)

    def on_trade(self, view: StrategyView, trade: TradeTick) -> Iterable[Wish]:
        return self._heard("on_trade", trade, view, trade)

    def on_report(self, view: StrategyView, report: ExecutionReport) -> Iterable[Wish]:
        return self._heard("on_report", report, view, report)

    def on_denied(self, view: StrategyView, intent: PlaceIntent, code: str) -> Iterable[Wish]:
        return self._heard("on_denied", code, view, intent, code)

    def on_timer(self, view: StrategyView, name: str) -> Iterable[Wish]:
        return self._heard("on_timer", name, view, name)

    def on_stop(self, view: StrategyView) -> None:
        self._heard("on_stop", None, view)


class StrategyBench:
    """One strategy on one symbol of the simulated venue.

    Args:
        make: the strategy's class.
        params: its keyword arguments, as its constructor takes them.
        symbol: one that the simulated venue lists (`seatrial sim` names them).
        caps: caps that differ from roomy ones, by the names of docs/RULES.md; amounts as text.
    """

    def __init__(
        self,
        make: Callable[..., Any],
        *,
        params: Mapping[str, Any] | None = None,
        symbol: str = "BTCUSDT",
        caps: Mapping[str, Any] | None = None,
    ) -> None:
        """Bring the engine to READY, with a market and rich balances; no session has begun."""
        self.calls: list[HeardCall] = []
        """Every call of the strategy, oldest first."""
        self.venue_answers = True
        """Whether placements and cancels are answered at once."""
        self.now_ns = T0_NS
        spec = spec_of(symbol)
        self.instrument = instrument_of_spec(spec)
        self.first_price = Decimal(spec.start_price) / E8
        """About what one of the base costs at the simulated venue."""
        self._make, self._params = make, dict(params or {})
        self._raised: list[Exception] = []
        self._listener: _Listener | None = None
        self._refused = ""
        self._seq = self._updates = self._trades = 0
        self._timers: dict[str, int] = {}
        self._said: deque[Input] = deque()
        """What the engine is to be told, the input of this turn first."""
        self._venue = BenchVenue(self.instrument)
        self._engine = self._build(dict(caps or {}))
        self._come_up()

    # ------------------------------------------------------------------ scenes
    def start(self) -> tuple[Wish, ...]:
        """Begin a session; what the strategy wishes in `on_start`."""
        before = len(self.calls)
        self._command("start")
        self.after(0)
        return self._wishes_since(before)

    def stop(self) -> tuple[Wish, ...]:
        """End the session in order."""
        before = len(self.calls)
        self._command("stop")
        return self._wishes_since(before)

    def tick(self, bid: str, ask: str, *, qty: str = "5") -> tuple[Wish, ...]:
        """A new top of book; resting orders that it crosses are filled, after the strategy saw it.

        Prices in quote per base, `qty` (of both sides) in base.
        """
        self._updates += 1
        amount = decimal_of(qty)
        self._venue.top = TopOfBook(
            self.instrument.instrument_id, decimal_of(bid), amount, decimal_of(ask), amount,
            self._updates, self.now_ns, self.now_ns,
        )  # fmt: skip
        before = len(self.calls)
        self._step(MarketData(self._venue.top))
        for one in list(self._venue.orders.values()) if self.venue_answers else ():
            self._say(self._venue.match(one))
        return self._wishes_since(before)

    def trade(self, price: str, qty: str, aggressor: Side = Side.BUY) -> tuple[Wish, ...]:
        """A public trade of others."""
        self._trades += 1
        return self._told(
            PublicTrade(
                TradeTick(self.instrument.instrument_id, self._trades, aggressor,
                          decimal_of(price), decimal_of(qty), self.now_ns, self.now_ns)
            )
        )  # fmt: skip

    def after(self, ms: int) -> tuple[Wish, ...]:
        """Let time pass (milliseconds); timers that fall due are told. The market stays."""
        before, end_ns = len(self.calls), self.now_ns + ms * NS_PER_MS
        while self._timers:
            timer_id, at_ns = min(self._timers.items(), key=lambda item: (item[1], item[0]))
            if at_ns > end_ns:
                break
            del self._timers[timer_id]
            self.now_ns = max(self.now_ns, at_ns)
            self._step(TimerFired(timer_id))
        self.now_ns = end_ns
        self._step(ClockSampled(0, NS_PER_MS))
        return self._wishes_since(before)

    # ------------------------------------------------------------------ the venue's word
    def accept(self, order: Order) -> tuple[Wish, ...]:
        """The venue takes an order that it has not answered yet."""
        return self._say(self._venue.accept(self._at_venue(order)))

    def fill(self, order: Order, qty: str | None = None) -> tuple[Wish, ...]:
        """An order trades at its own price: `qty` of it (base), or all that is left."""
        one = self._at_venue(order)
        left = one.order.qty - one.cum
        part = left if qty is None else min(left, decimal_of(qty))
        return self._say(self._venue.trade(one, part, self._venue.price_of(one)))

    def reject(self, order: Order, code: int = -2010, reason: str = "no") -> tuple[Wish, ...]:
        """The venue refuses an order that it has not answered yet."""
        return self._say(self._venue.reject(self._at_venue(order), code, reason))

    def expire(self, order: Order) -> tuple[Wish, ...]:
        """The venue ends an order by itself."""
        one = self._at_venue(order)
        return self._say(self._venue.end(one, ExecType.EXPIRED, VenueOrderStatus.EXPIRED))

    def cancel(self, order: Order) -> tuple[Wish, ...]:
        """The venue ends an order as canceled: at our wish, or at somebody's on its website."""
        one = self._at_venue(order)
        return self._say(self._venue.end(one, ExecType.CANCELED, VenueOrderStatus.CANCELED))

    def refuse_cancel(self, order: Order) -> tuple[Wish, ...]:
        """The venue refuses a cancel of an order (code -2011), as it does when the order traded."""
        return self._say(self._venue.refuse_cancel(self._at_venue(order)))

    def lose_answer(self, order: Order) -> tuple[Wish, ...]:
        """No answer comes: the order is UNKNOWN until the venue is asked, which knows it."""
        name, iid = order.client_order_id, order.instrument_id
        return self._told(OutcomeUnknown(name, iid, "place", "no answer in time"))

    def disconnect(self) -> tuple[Wish, ...]:
        """The venue's connections are lost and come back; books are compared in between."""
        before = len(self.calls)
        for link in Link:
            self._step(LinkDown(link, "bench"))
        self.after(1_000)
        for link in Link:
            self._step(LinkUp(link))
        self.after(1_000)
        return self._wishes_since(before)

    # ------------------------------------------------------------------ looking
    @property
    def view(self) -> StrategyView:
        """What the strategy sees; only in a session."""
        if self._listener is None or self._listener.view is None:
            raise RuntimeError("no session has begun: call start() first")
        return self._listener.view

    @property
    def strategy(self) -> Any:
        """The strategy itself; only in a session."""
        if self._listener is None:
            raise RuntimeError("no session has begun: call start() first")
        return self._listener.strategy

    @property
    def open_orders(self) -> list[Order]:
        """Its open orders, oldest first."""
        return list(self.view.open_orders())

    @property
    def unanswered(self) -> list[Order]:
        """Its orders that the venue has said nothing about."""
        known = (
            self.view.order(name) for name, one in self._venue.orders.items() if not one.is_told
        )
        return [order for order in known if order is not None and order.is_open]

    @property
    def cancels_asked(self) -> list[Order]:
        """Its orders whose cancel is under way."""
        return [one for one in self.open_orders if one.status is OrderStatus.PENDING_CANCEL]

    @property
    def position(self) -> Decimal:
        """Net traded quantity in base."""
        return self.view.position(self.instrument.instrument_id)

    @property
    def denials(self) -> list[str]:
        """The codes of all denials so far."""
        return [call.about for call in self.calls if call.method == "on_denied"]

    def another(self) -> Any:
        """A second object of the strategy, as a restarted daemon would make it; not called yet."""
        iid = self.instrument.instrument_id
        return self._make(StrategyId(NAME), {iid: self.instrument}, **self._params)

    # ------------------------------------------------------------------ the engine
    def _build(self, caps: dict[str, Any]) -> Engine:
        symbol = self.instrument.symbol
        portfolio = {**PORTFOLIO, **{k: v for k, v in caps.items() if k not in SYMBOL}}
        portfolio["conversions"] = {self.instrument.base: [symbol]}
        portfolio["numeraire"] = self.instrument.quote
        of_symbol = {**SYMBOL, **{k: v for k, v in caps.items() if k in SYMBOL}}
        run = run_id(INSTANCE, 1)
        config = EngineConfig(
            environment=ENVIRONMENT, mode=Mode.SIM, instance=INSTANCE, run=run, symbols=(symbol,),
            strategies=(StrategySpec(strategy_id=StrategyId(NAME), symbols=(symbol,),
                                     factory=self._hosted),),
            audit_period_ns=0, stale_feed_ns=86_400 * NS_PER_S, cancel_on_boot=False,
            rate_limit_storm=_NO_STORM, reject_storm=_NO_STORM, reconnect_storm=_NO_STORM,
        )  # fmt: skip
        gate = Interceptor(
            capset=capset_from_mapping({**portfolio, "symbols": {symbol: of_symbol}}),
            ids=ClientOrderIdFactory(run),
            halt=HaltFlag(),
        )
        gate.risk.on_journal_health(ok=True)
        return Engine(config=config, interceptor=gate)

    def _hosted(self, name: StrategyId, instruments: Mapping[InstrumentId, Instrument]) -> Any:
        try:
            made = self._make(name, instruments, **self._params)
        except Exception as error:  # rule 4
            self._raised.append(error)
            raise
        self._listener = _Listener(made, self.calls, self._raised)
        return self._listener

    def _come_up(self) -> None:
        self._step(ClockSampled(0, NS_PER_MS))
        self._step(InstrumentsLoaded((self.instrument,)))
        for link in Link:
            self._step(LinkUp(link))
        self.after(1)

    def _command(self, method: str) -> None:
        """An operator's command, which must succeed."""
        self._refused = ""
        self._step(Command(command_id=method, method=method, actor=_OPERATOR, reason="bench"))
        if self._refused:
            raise RuntimeError(f"the engine refuses to {method}: {self._refused}")

    def _told(self, item: Input) -> tuple[Wish, ...]:
        before = len(self.calls)
        self._step(item)
        return self._wishes_since(before)

    def _wishes_since(self, before: int) -> tuple[Wish, ...]:
        return tuple(wish for call in self.calls[before:] for wish in call.wishes)

    def _step(self, item: Input) -> None:
        """One turn, and the turns that the venue's answers to it make."""
        self._said.append(item)
        if len(self._said) > 1:
            return  # the turn that we are in takes it
        while self._said:
            self._seq += 1
            effects = self._engine.step(Turn(self._seq, self.now_ns, self._said[0]))
            if self._raised:
                self._said.clear()
                raise self._raised.pop()
            for effect in effects:
                if isinstance(effect, Record) and effect.event_type is EventType.STRATEGY_ERROR:
                    self._said.clear()
                    raise WishRefusedError(str(effect.fields["msg"]))
            for effect in effects:
                self._perform(effect)
            self._said.popleft()

    def _perform(self, effect: Effect) -> None:
        venue = self._venue
        if isinstance(effect, SendOrder):
            one = venue.placed(effect.order)
            if self.venue_answers:
                self._say(venue.accept(one))
                self._say(venue.match(one))
        elif isinstance(effect, SendCancel):
            known = venue.orders.get(effect.cancel.client_order_id)
            if self.venue_answers and known is not None and known.is_open:
                self._say(venue.end(known, ExecType.CANCELED, VenueOrderStatus.CANCELED))
        elif isinstance(effect, Reply):
            self._refused = effect.error_message
        elif isinstance(effect, ArmTimer):
            self._timers[effect.timer_id] = effect.at_ns
        elif isinstance(effect, TakeSnapshot):
            self._step(SnapshotTaken(venue.snapshot(effect.reason)))
        elif isinstance(effect, QueryOrder):
            self._say(venue.answer_query(effect.client_order_id))

    def _say(self, inputs: Iterable[Input]) -> tuple[Wish, ...]:
        """Tell the engine what the venue says; what the strategy wishes of it."""
        before = len(self.calls)
        self._venue.now_ns = self.now_ns
        for one in inputs:
            self._step(one)
        return self._wishes_since(before)

    def _at_venue(self, order: Order) -> VenueSide:
        return self._venue.orders[order.client_order_id]


def instrument_of_spec(spec: SymbolSpec) -> Instrument:
    """A symbol of the simulated venue with its filters, as the engine has it."""

    def amount(units: int) -> Decimal:
        return Decimal(units) / E8

    return Instrument(
        instrument_id=instrument_id(spec.symbol, ENVIRONMENT), symbol=spec.symbol, base=spec.base,
        quote=spec.quote, status=SymbolStatus.TRADING,
        order_types=frozenset({OrderType.LIMIT, OrderType.LIMIT_MAKER, OrderType.MARKET}),
        base_precision=8, quote_precision=8, price_min=amount(spec.least_price),
        price_max=amount(spec.max_price), tick=amount(spec.tick), qty_min=amount(spec.min_qty),
        qty_max=amount(spec.max_qty), lot=amount(spec.step), notional_min=amount(spec.min_notional),
    )  # fmt: skip
