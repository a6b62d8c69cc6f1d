"""One symbol, live: its spec and status, book, tape, waiting triggers and id counters."""

from collections import deque

import msgspec

from daemon.model.copies import replace
from daemon.model.enums import OrderType, Side, SymbolStatus
from daemon.venues.binance_spot.serving.events import Prevented
from daemon.venues.binance_spot.serving.order_requests import STOP_TYPES, PegType
from daemon.venues.binance_spot.serving.units import E8
from daemon.venues.sim.book import DepthFeed, OrderBook
from daemon.venues.sim.listed_symbols import SymbolSpec
from daemon.venues.sim.past import Past
from daemon.venues.sim.reference import BlockTrades, ReferencePrice
from daemon.venues.sim.sim_orders import SimOrder
from daemon.venues.sim.tape import Tape

_PREVENTED_KEPT = 10_000
BPS = 10_000


class MarketIds(msgspec.Struct, frozen=True, kw_only=True):
    """The latest id of each kind."""

    order: int
    trade: int
    execution: int
    prevented: int
    aggregate: int


class SymbolMarket:
    """Everything of one symbol that changes."""

    def __init__(self, spec: SymbolSpec, now_ns: int, past: Past | None = None) -> None:
        self.spec = spec
        self.status = SymbolStatus.TRADING
        self.is_deserted = False
        """A fault: the crowd stays away from the book."""
        self.book = OrderBook(spec.symbol, first_update_id=1)
        self.feed_100ms = DepthFeed(self.book)
        self.feed_1000ms = DepthFeed(self.book)
        self.tape = Tape(spec.start_price, now_ns, past)
        self.reference = ReferencePrice()
        self.blocks = BlockTrades(spec, now_ns)
        self.waiting: dict[int, SimOrder] = {}
        """Stops and take-profits that have not triggered, oldest first."""
        self.prevented: deque[Prevented] = deque(maxlen=_PREVENTED_KEPT)
        self._order_id = 0
        self._trade_id = past.last_id if past else 0
        self._execution_id = 0
        self._prevented_id = 0

    def next_order_id(self) -> int:
        """Per symbol, rising: ids of different symbols overlap, as the real ones do."""
        self._order_id += 1
        return self._order_id

    def next_trade_id(self) -> int:
        """Per symbol, rising; background trades share the sequence."""
        self._trade_id += 1
        return self._trade_id

    def next_execution_id(self) -> int:
        """Per symbol, rising."""
        self._execution_id += 1
        return self._execution_id

    @property
    def execution_id(self) -> int:
        """The latest execution id."""
        return self._execution_id

    def next_prevented_id(self) -> int:
        """Per symbol, rising."""
        self._prevented_id += 1
        return self._prevented_id

    def restart_ids(self) -> None:
        """After a wipe ids begin again (inferred of the real testnet)."""
        self._order_id = self._trade_id = self._execution_id = self._prevented_id = 0

    @property
    def ids(self) -> MarketIds:
        """The latest id of each kind."""
        return MarketIds(
            order=self._order_id,
            trade=self._trade_id,
            execution=self._execution_id,
            prevented=self._prevented_id,
            aggregate=self.tape.last_agg_id,
        )

    def go_on_from(self, ids: MarketIds) -> None:
        """Ids rise from where an earlier run has left them, or from where they are."""
        self._order_id = max(self._order_id, ids.order)
        self._execution_id = max(self._execution_id, ids.execution)
        self._prevented_id = max(self._prevented_id, ids.prevented)
        self._trade_id = max(self._trade_id, ids.trade)
        self.tape.go_on_from(self._trade_id, ids.aggregate)

    def change_spec(self, **changes: int) -> None:
        """Change filters while running.

        Raises:
            ValueError: for a change that breaks tick x step.
        """
        self.spec = replace(self.spec, **changes)

    def best_price(self, side: Side) -> int:
        """Best price of a side, 0 when it is empty."""
        level = self.book.side(side).best()
        return level.price if level else 0

    def peg_price(self, side: Side, peg: PegType, levels: int) -> int:
        """The price that a pegged order gets now; 0 when the book has no such level."""
        source = side if peg is PegType.PRIMARY_PEG else side.opposite
        for number, level in enumerate(self.book.side(source).from_best()):
            if number == levels:
                return level.price
        return 0

    def allowed_prices(self, now_ns: int) -> tuple[int, int] | None:
        """Where a taker that comes now may trade; None: anywhere, there is no reference price."""
        reference = self.reference.at(now_ns)
        if reference is None or not self.spec.range_up:
            return None
        return reference * self.spec.range_down // E8, reference * self.spec.range_up // E8

    def would_take(self, side: Side, price: int) -> bool:
        """Whether an order at `price` would trade at once."""
        best = self.best_price(side.opposite)
        if not best:
            return False
        return price >= best if side is Side.BUY else price <= best

    def triggered(self, now_ns: int) -> list[SimOrder]:
        """Waiting orders whose stop price the last trade has reached."""
        if not self.waiting:
            return []
        last = self.tape.last_price
        return [order for order in self.waiting.values() if fires(order, last, now_ns)]


def fires(order: SimOrder, last_price: int, now_ns: int) -> bool:
    """Whether the last price has reached an order's trigger; a trailing one follows it first."""
    rises = waits_for_rise(order.type, order.side)
    if not order.trailing_bps:
        return last_price >= order.stop_price if rises else last_price <= order.stop_price
    if not order.trailing_since_ns:
        reached = last_price >= order.stop_price if rises else last_price <= order.stop_price
        if order.stop_price and not reached:
            return False
        order.trailing_since_ns, order.extreme = now_ns, last_price
    order.extreme = (min if rises else max)(order.extreme, last_price)
    trigger = trailing_trigger(order)
    return last_price >= trigger if rises else last_price <= trigger


def trailing_trigger(order: SimOrder) -> int:
    """Where a trailing order that follows the price would fire now."""
    rises = waits_for_rise(order.type, order.side)
    bps = BPS + order.trailing_bps if rises else BPS - order.trailing_bps
    # Rounded away from the price: a trail is never shorter than what was asked.
    return -(-order.extreme * bps // BPS) if rises else order.extreme * bps // BPS


def waits_for_rise(order_type: OrderType, side: Side) -> bool:
    """STOP_LOSS BUY and TAKE_PROFIT SELL stand above the market, the others below."""
    return (order_type in STOP_TYPES) == (side is Side.BUY)
