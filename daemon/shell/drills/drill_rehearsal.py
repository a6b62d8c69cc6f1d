"""A rehearsal: an engine with this daemon's caps and bounds, and invented venue events.

Rules of this file:
1. What the rehearsed engine asks for is collected, and nothing of it is performed: no order of a
   rehearsal can leave (no venue is attached to it).
2. Its state is its own: the daemon's engine, journal and latch never hear of it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from daemon.core.engine import Engine, EngineConfig, StrategySpec
from daemon.model.amounts import NS_PER_MS, floor_to
from daemon.model.copies import replace
from daemon.model.effects import (
    ArmTimer,
    CloseHalt,
    Effect,
    OpenHalt,
    Record,
    Reply,
    SendCancel,
    SendOrder,
    TakeSnapshot,
)
from daemon.model.enums import Link, OrderType, Side, SymbolStatus, TimeInForce
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
    LinkUp,
    MarketData,
    SnapshotTaken,
    TimerFired,
    Turn,
)
from daemon.model.instrument import Instrument
from daemon.model.intents import PlaceIntent, Wish
from daemon.model.market import TopOfBook
from daemon.model.position import Balance
from daemon.model.reports import ExecutionReport, VenueSnapshot
from daemon.model.strategy import StrategyView
from daemon.strategies.silent import Silent
from riskcaps.gate.interceptor import Interceptor
from riskcaps.words.capset import CapSet

DRILL_RUN = run_id("drill0", 1)
DRILL = StrategyId("drill")
WHO = Actor(uid=0, pid=0, role="operator", name="drill")
_PLENTY = Decimal(10) ** 12
_SMALL = Decimal("1E-8")


class Wisher(Silent):
    """A strategy that makes the drill's wish at the next tick and keeps the denials."""

    def __init__(
        self, strategy_id: StrategyId, instruments: Mapping[InstrumentId, Instrument]
    ) -> None:
        """No wish yet."""
        super().__init__(strategy_id, instruments)
        self.wishes: deque[Wish] = deque()

    def on_market(self, view: StrategyView, top: TopOfBook) -> Iterable[Wish]:
        """One wish a tick."""
        del view, top
        return (self.wishes.popleft(),) if self.wishes else ()


class Rehearsal:
    """One engine on a stage. Every method is a step of a drill; time moves when told."""

    def __init__(self, config: EngineConfig, capset: CapSet, now_ns: int) -> None:
        """HALTED, gate DOWN. The first symbol with caps that is counted in the numeraire is used.

        Raises:
            ValueError: the caps name no symbol that could be rehearsed.
        """
        self.symbol = _symbol_of(config.symbols, capset)
        self.instrument = _instrument(self.symbol, capset.numeraire, config.environment)
        # A drill at night is about the other caps: the trading window alone is left out.
        self.caps = replace(capset.symbols[self.symbol], trading_windows_utc=("00:00-24:00",))
        self.capset = replace(capset, symbols={**capset.symbols, self.symbol: self.caps})
        self.halt = HaltFlag()
        self.now_ns = now_ns
        self.facts: list[tuple[str, Mapping[str, Any]]] = []
        self.effects: list[Effect] = []
        self._timers: dict[str, int] = {}
        self._seq = 0
        self._wisher: Wisher | None = None
        spec = StrategySpec(strategy_id=DRILL, symbols=(self.symbol,), factory=self._build)
        rehearsed: dict[str, Any] = {
            "run": DRILL_RUN,
            "instance": "drill0",
            "symbols": (self.symbol,),
            "strategies": (spec,),
            "audit_period_ns": 0,
        }
        made = replace(config, **rehearsed)
        self.config = made
        gate = Interceptor(capset=self.capset, ids=ClientOrderIdFactory(DRILL_RUN), halt=self.halt)
        self.engine = Engine(config=made, interceptor=gate)

    def _build(
        self, strategy_id: StrategyId, instruments: Mapping[InstrumentId, Instrument]
    ) -> Wisher:
        self._wisher = Wisher(strategy_id, instruments)
        return self._wisher

    # ------------------------------------------------------------------ telling
    def tell(self, *items: Input) -> list[Effect]:
        """Step the engine; returns its effects."""
        out: list[Effect] = []
        for item in items:
            self._seq += 1
            for effect in self.engine.step(Turn(self._seq, self.now_ns, item)):
                out.append(effect)
                if isinstance(effect, Record):
                    self.facts.append((effect.event_type.value, effect.fields))
                elif isinstance(effect, ArmTimer):
                    self._timers[effect.timer_id] = effect.at_ns
                elif isinstance(effect, CloseHalt):
                    self.halt.close(effect.reason)
                elif isinstance(effect, OpenHalt):
                    self.halt.open()
        self.effects += out
        return out

    def after(self, ms: int) -> list[Effect]:
        """Let time pass; timers that fall due are fired."""
        end = self.now_ns + ms * NS_PER_MS
        out: list[Effect] = []
        while self._timers:
            timer_id, at_ns = min(self._timers.items(), key=lambda item: (item[1], item[0]))
            if at_ns > end:
                break
            del self._timers[timer_id]
            self.now_ns = max(self.now_ns, at_ns)
            out += self.tell(TimerFired(timer_id))
        self.now_ns = end
        return out

    def command(self, method: str, **params: Any) -> Reply | None:
        """One operator's command; its reply, when it comes in the same turn."""
        reason = str(params.pop("reason", "drill"))
        asked = Command(
            command_id=f"drill-{self._seq}", method=method, actor=WHO, params=params, reason=reason
        )
        replies = [effect for effect in self.tell(asked) if isinstance(effect, Reply)]
        return replies[0] if replies else None

    # ------------------------------------------------------------------ scenes
    def ready(self) -> None:
        """All links up, instruments and balances known, books compared: READY."""
        self.tell(ClockSampled(0, NS_PER_MS), InstrumentsLoaded((self.instrument,)))
        self.tell(LinkUp(Link.REST), LinkUp(Link.MARKET), LinkUp(Link.ORDER))
        self.snapshot()
        self.quote()

    def session(self) -> None:
        """READY, and a session on."""
        self.ready()
        self.command("start")
        self.after(0)

    def snapshot(self, *open_orders: ExecutionReport) -> list[Effect]:
        """The venue's answer to a comparison: the balances, and these open orders."""
        assets = (self.instrument.base, self.instrument.quote)
        return self.tell(
            SnapshotTaken(
                VenueSnapshot(
                    ts_ns=self.now_ns,
                    balances=tuple(Balance(asset, _PLENTY, Decimal(0)) for asset in assets),
                    open_orders=open_orders,
                    statuses=(),
                    absent=(),
                    fills=(),
                    reason=asked[-1] if (asked := self.snapshots) else "",
                )
            )
        )

    def quote(self) -> list[Effect]:
        """A fresh top of book around `price`."""
        edge = self.price / 10_000
        top = TopOfBook(
            self.instrument.instrument_id,
            self.price - edge,
            _PLENTY,
            self.price + edge,
            _PLENTY,
            self._seq,
            0,
            self.now_ns,
        )
        return self.tell(MarketData(top))

    def wish(self, *, qty: Decimal, price: Decimal | None = None) -> str:
        """One wish to buy; the deny code, or empty when the engine would have sent the order."""
        if self._wisher is None:
            return "no_session"
        before = len(self.sent)
        self._wisher.wishes.append(
            PlaceIntent(
                strategy_id=DRILL,
                instrument_id=self.instrument.instrument_id,
                side=Side.BUY,
                order_type=OrderType.LIMIT,
                qty=qty,
                price=self.price if price is None else price,
                time_in_force=TimeInForce.GTC,
                reason="drill",
            )
        )
        self.quote()
        if len(self.sent) > before:
            return ""
        denied = self.facts_of("order_denied")
        return str(denied[-1]["deny_reason"]) if denied else "not_decided"

    # ------------------------------------------------------------------ looking
    @property
    def price(self) -> Decimal:
        """A price at which an order of the largest quantity is twice the largest value."""
        made = 2 * self.caps.order_notional_quote_max / max(self.caps.order_qty_base_max, _SMALL)
        return made.quantize(_SMALL)

    @property
    def small_qty(self) -> Decimal:
        """A quantity well inside the caps of one order, on the lot."""
        return self.part_of_small(1)

    def part_of_small(self, count: int) -> Decimal:
        """One of `count` parts of it, on the lot: a drill is about caps, not about filters."""
        limits = (
            self.caps.order_notional_quote_max,
            self.caps.exposure_quote_max,
            self.capset.exposure_gross_numeraire_max,
            self.capset.exposure_net_numeraire_max,
        )
        base = min(self.caps.order_qty_base_max, self.caps.position_long_base_max)
        wanted = min(min(limits) / (4 * self.price), base / 4)
        return max(floor_to(wanted / count, _SMALL), _SMALL)

    @property
    def sent(self) -> list[SendOrder]:
        """Orders that the engine would have sent; no venue is attached."""
        return [effect for effect in self.effects if isinstance(effect, SendOrder)]

    @property
    def cancels(self) -> int:
        """Cancels that the engine asked for."""
        return sum(isinstance(effect, SendCancel) for effect in self.effects)

    @property
    def snapshots(self) -> list[str]:
        """The reasons for which the engine asked for snapshots, in order."""
        return [effect.reason for effect in self.effects if isinstance(effect, TakeSnapshot)]

    def status(self) -> dict[str, Any]:
        """The engine's own status."""
        return self.engine.status(self.now_ns)

    def facts_of(self, event_type: str) -> list[Mapping[str, Any]]:
        """Records of one type."""
        return [fields for kind, fields in self.facts if kind == event_type]

    def incidents(self) -> list[str]:
        """Triggers of the incidents that were opened."""
        return [str(fields["trigger"]) for fields in self.facts_of("incident_opened")]


RehearsalFactory = Callable[[], Rehearsal]


def _symbol_of(symbols: Iterable[str], capset: CapSet) -> str:
    usable = [
        symbol
        for symbol in symbols
        if symbol in capset.symbols and symbol.endswith(capset.numeraire)
    ]
    if not usable:
        raise ValueError(f"no symbol with caps is counted in {capset.numeraire or 'a numeraire'}")
    return usable[0]


def _instrument(symbol: str, quote: str, environment: str) -> Instrument:
    """No filter is in the way: a drill is about our caps, not about the venue's."""
    return Instrument(
        instrument_id=instrument_id(symbol, environment),
        symbol=symbol,
        base=symbol.removesuffix(quote),
        quote=quote,
        status=SymbolStatus.TRADING,
        order_types=frozenset(OrderType),
        base_precision=8,
        quote_precision=8,
        tick=_SMALL,
        lot=_SMALL,
        qty_max=_PLENTY,
        price_max=_PLENTY,
        orders_open_max=200,
    )
