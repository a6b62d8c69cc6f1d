"""The simulated exchange: pure, seeded, on whatever time its caller hands in.

How to drive it (virtual or wall time alike; every amount an int in units of 1e-8, see units.py):

    venue = SimVenue(specs, rng_of=lambda name: random.Random(f"{seed}/{name}"), now_ns=t0)
    venue.add_account("main", {"USDT": e8_of("10000"), "BTC": e8_of("1")})
    outcome = venue.place("main", PlaceRequest(symbol="BTCUSDT", side=Side.BUY, …), now_ns=t)
    venue.cancel("main", "BTCUSDT", client_order_id="abc", now_ns=t)
    venue.advance(t)                   # background flow up to t
    events = venue.drain_events()      # ExecReport, AccountPosition, TradePrint, BookTop, in order

A definite refusal raises `DialectError` with the documented code and wording; whatever returns has
happened. `dialect/` stands above this: JSON in and out, pure as well.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from daemon.model.copies import replace
from daemon.model.enums import ExecType, SymbolStatus
from daemon.venues.binance_spot.serving import dialect_errors as errors
from daemon.venues.binance_spot.serving.events import Prevented
from daemon.venues.binance_spot.serving.order_requests import (
    TRIGGER_TYPES,
    ListRequest,
    PlaceRequest,
    Status,
)
from daemon.venues.sim.accounts import VenueAccount
from daemon.venues.sim.amending import Amendment, apply_amend, check_amend
from daemon.venues.sim.filters import check_filters
from daemon.venues.sim.flow import Flow, FlowOrders, RecordedTrade
from daemon.venues.sim.followed_flow import flow_of
from daemon.venues.sim.listed_symbols import ExchangeFilters, SymbolSpec
from daemon.venues.sim.lists import ListOutcome, OrderLists
from daemon.venues.sim.matching import Matcher
from daemon.venues.sim.past import LISTED_NS, Past
from daemon.venues.sim.placing import check_balance, check_open, prepare, random_id
from daemon.venues.sim.pricing import given_asset, lock_needed
from daemon.venues.sim.sim_orders import (
    OrderList,
    OrderOrigin,
    PlaceOutcome,
    RandomSource,
    SimOrder,
    TradeFill,
    VenueEvent,
)
from daemon.venues.sim.symbol_market import MarketIds, SymbolMarket


class SimVenue:
    """Markets, accounts, matching and background flow of one exchange."""

    def __init__(
        self,
        specs: Iterable[SymbolSpec],
        *,
        rng_of: Callable[[str], RandomSource],
        now_ns: int,
        flow_rate_per_s: float = 30.0,
        recordings: dict[str, tuple[Sequence[RecordedTrade], float]] | None = None,
        has_past: bool = False,
        exchange_filters: ExchangeFilters | None = None,
        last_ids: Mapping[str, MarketIds] = MappingProxyType({}),
        is_following: bool = False,
    ) -> None:
        """Open the markets; `recordings` maps a symbol to (trades, speed).

        With `has_past` every symbol has traded since LISTED_NS; ids go on after `last_ids`. With
        `is_following` each flow is a `FollowedFlow`, which waits to be told another venue's market.
        """
        self.accounts: dict[str, VenueAccount] = {}
        self.epoch = 0
        self.delisted: set[str] = set()  # a fault: clients are told that they are unknown
        self.exchange_filters = exchange_filters or ExchangeFilters()
        self._flow_rate_per_s = flow_rate_per_s
        self._events: list[VenueEvent] = []
        self.matcher = Matcher(self.accounts, self._events.append)
        self.id_rng = rng_of("ids")
        self.lists = OrderLists(self.matcher.lists, self.random_id)
        self.markets: dict[str, SymbolMarket] = {}
        self.flows: dict[str, Flow] = {}
        for spec in specs:
            recording = (recordings or {}).get(spec.symbol)
            start = recording[0][0].price if recording else spec.start_price
            listed = replace(spec, start_price=start)
            past = Past(listed, rng_of, now_ns) if has_past and now_ns > LISTED_NS else None
            market = SymbolMarket(listed, now_ns, past)
            if spec.symbol in last_ids:
                market.go_on_from(last_ids[spec.symbol])
            self.markets[spec.symbol] = market
            desk = FlowOrders(market, self.matcher, rng_of(spec.symbol))
            flow = flow_of(desk, recording, rate_per_s=flow_rate_per_s, is_following=is_following)
            self.flows[spec.symbol] = flow
            if flow_rate_per_s > 0:
                flow.open(now_ns)

    # ------------------------------------------------------------------ accounts, time, events

    def add_account(self, name: str, grants: dict[str, int]) -> VenueAccount:
        """Open an account with balances in units of 1e-8."""
        account = VenueAccount(name, uid=len(self.accounts) + 1, grants=grants, epoch=self.epoch)
        account.exchange_filters = self.exchange_filters
        self.accounts[name] = account
        return account

    def advance(self, now_ns: int) -> None:
        """Play the background flow up to now; clients' resting orders may fill."""
        for flow in self.flows.values():
            flow.advance(now_ns)
        for market in self.markets.values():
            market.blocks.advance(now_ns, market.tape.last_price)
        self.matcher.flush_positions(now_ns)

    def drain_events(self) -> list[VenueEvent]:
        """Everything that happened since the last call, in order."""
        events = self._events[:]
        self._events.clear()
        return events

    def market(self, symbol: str) -> SymbolMarket:
        """One symbol's market.

        Raises:
            DialectError: -1121 when the venue does not list it.
        """
        market = self.markets.get(symbol)
        if market is None or symbol in self.delisted:
            raise errors.invalid_symbol()
        return market

    @property
    def background(self) -> dict[str, int]:
        """Counts of the background flow, for the ledger."""
        return {
            "events": sum(flow.events for flow in self.flows.values()),
            "trades": self.matcher.background_trades,
        }

    # ------------------------------------------------------------------ orders

    def place(
        self,
        account: str,
        request: PlaceRequest,
        now_ns: int,
        origin: OrderOrigin = OrderOrigin.API,
    ) -> PlaceOutcome:
        """Accept an order and match it.

        Raises:
            DialectError: the order was refused and does not exist.
        """
        owner = self.accounts[account]
        market, order, lock = self._prepare(owner, request, now_ns, origin)
        if lock:
            owner.lock(order, given_asset(market, order.side), lock)
        order.order_id = market.next_order_id()
        owner.add_order(order)
        last_trade_id = owner.last_trade_id(order.symbol)
        prevented: tuple[Prevented, ...] = ()
        if order.type in TRIGGER_TYPES:
            order.waiting = True
            market.waiting[order.order_id] = order
            self.matcher.report(market, order, ExecType.NEW, now_ns)
        else:
            order.working_ns = now_ns
            self.matcher.report(market, order, ExecType.NEW, now_ns)
            prevented = self.matcher.enter(market, order, now_ns)
        own_fills = [
            fill
            for fill in owner.trades_from(order.symbol, last_trade_id + 1)
            if fill.order_id == order.order_id
        ]
        self._finish(market, now_ns)
        return PlaceOutcome(order=order, fills=tuple(own_fills), prevented=prevented)

    def check(self, account: str, request: PlaceRequest, now_ns: int) -> None:
        """Everything that `place` would refuse, without placing (order/test).

        Raises:
            DialectError: as `place`.
        """
        self._prepare(self.accounts[account], request, now_ns)

    def check_filters(self, account: str, request: PlaceRequest, now_ns: int) -> None:
        """The filters alone (cancel-replace evaluates them before its cancel).

        Raises:
            DialectError: -1121, -1013.
        """
        check_filters(self.market(request.symbol), self.accounts[account], request, now_ns)

    def cancel(
        self,
        account: str,
        symbol: str,
        *,
        now_ns: int,
        order_id: int | None = None,
        client_order_id: str = "",
        cancel_id: str = "",
        only_status: Status | None = None,
    ) -> SimOrder:
        """Cancel one open order; `cancel_id` becomes the id that the venue shows.

        Raises:
            DialectError: -2011 when no such order is open, or a restriction forbids it.
        """
        owner = self.accounts[account]
        market = self.market(symbol)
        order = self._find_open(owner, symbol, order_id, client_order_id)
        if only_status is not None and order.status is not only_status:
            raise errors.DialectError(-2011, "Order was not canceled due to cancel restrictions.")
        self._cancel(market, order, cancel_id, now_ns)
        self._finish(market, now_ns)
        return order

    def cancel_open(self, account: str, symbol: str, now_ns: int) -> list[SimOrder]:
        """Cancel every open order of a symbol, those of lists too.

        Raises:
            DialectError: -2011 when none is open.
        """
        owner = self.accounts[account]
        market = self.market(symbol)
        orders = owner.open_on(symbol)
        if not orders:
            raise errors.unknown_order()
        for order in orders:
            if order.is_open:  # an earlier leg may have ended its whole list
                self._cancel(market, order, "", now_ns)
        self._finish(market, now_ns)
        return orders

    def place_list(self, account: str, request: ListRequest, now_ns: int) -> ListOutcome:
        """Accept a whole list and match what works now.

        Raises:
            DialectError: it was refused and none of its orders exists.
        """
        market = self.market(request.symbol)
        outcome = self.lists.place(market, self.accounts[account], request, now_ns)
        self._finish(market, now_ns)
        return outcome

    def cancel_list(
        self,
        account: str,
        symbol: str,
        list_id: int | None,
        client_id: str,
        *,
        now_ns: int,
        cancel_id: str = "",
    ) -> OrderList:
        """Cancel every open order of a list.

        Raises:
            DialectError: -2011 when no such list is open.
        """
        market = self.market(symbol)
        found = self.accounts[account].find_list(list_id, client_id)
        if found is None or found.is_done or found.symbol != symbol:
            raise errors.unknown_order()
        first = next(order for order in found.orders if order.is_open)
        self._cancel(market, first, cancel_id, now_ns)
        self._finish(market, now_ns)
        return found

    def amend(
        self,
        account: str,
        symbol: str,
        new_qty: int,
        *,
        now_ns: int,
        order_id: int | None = None,
        client_order_id: str = "",
        new_client_order_id: str = "",
    ) -> SimOrder:
        """Reduce an open order in place; it keeps its id and its queue position.

        Raises:
            DialectError: -2013 unknown, -2038 for anything but a reduction, -1013 for filters.
        """
        owner = self.accounts[account]
        market = self.market(symbol)
        order = owner.find(symbol, order_id, client_order_id)
        if order is None or not order.is_open:
            raise errors.no_such_order()
        check_amend(market, order, new_qty)
        name = new_client_order_id or self.random_id()
        apply_amend(market, owner, order, Amendment(new_qty, name, now_ns))
        self.matcher.report(market, order, ExecType.REPLACED, now_ns)
        self._finish(market, now_ns)
        return order

    # ------------------------------------------------------------------ questions

    def query(
        self, account: str, symbol: str, *, order_id: int | None = None, client_order_id: str = ""
    ) -> SimOrder:
        """One order, open or ended.

        Raises:
            DialectError: -2013 when the account never had it (or a wipe took it).
        """
        self.market(symbol)
        order = self.accounts[account].find(symbol, order_id, client_order_id)
        if order is None:
            raise errors.no_such_order()
        if order_id is not None and not order.goes_by(client_order_id):
            raise errors.DialectError(-2039, "Client order ID does not match the order ID.")
        return order

    def open_orders(self, account: str, symbol: str | None = None) -> list[SimOrder]:
        """Open orders, oldest first."""
        owner = self.accounts[account]
        return list(owner.open_orders.values()) if symbol is None else owner.open_on(symbol)

    def my_trades(
        self, account: str, symbol: str, *, from_id: int = 0, order_id: int | None = None
    ) -> list[TradeFill]:
        """The account's trades of one symbol, ascending, `from_id` inclusive."""
        rows = self.accounts[account].trades_from(symbol, from_id)
        return rows if order_id is None else [row for row in rows if row.order_id == order_id]

    # ------------------------------------------------------------------ the operator of the venue

    def set_status(self, symbol: str, status: SymbolStatus) -> None:
        """Halt, reopen, or make a symbol cancel-only."""
        self.market(symbol).status = status

    def wipe(self, now_ns: int) -> None:
        """A testnet wipe: orders and trades vanish without events, balances are granted anew.

        Order, trade and execution ids begin again at 1, as after a real reset (inferred).
        """
        self.epoch += 1
        for name, old in list(self.accounts.items()):
            for order in list(old.open_orders.values()):
                market = self.markets[order.symbol]
                market.waiting.pop(order.order_id, None)
                market.book.remove(order)
            self.accounts[name] = old.begun_anew(self.epoch, now_ns)
        for symbol, market in self.markets.items():
            self.flows[symbol].clear(now_ns)
            market.prevented.clear()
            market.tape.forget_trades()
            market.restart_ids()
        self.lists.restart_ids()
        for symbol, market in self.markets.items():
            if self._flow_rate_per_s > 0:
                self.flows[symbol].open(now_ns)
            self.matcher.publish_top(market, now_ns)

    def random_id(self) -> str:
        """A client order id of the venue's own making (22 letters)."""
        return random_id(self.id_rng)

    # ------------------------------------------------------------------ inside

    def _prepare(
        self,
        owner: VenueAccount,
        request: PlaceRequest,
        now_ns: int,
        origin: OrderOrigin = OrderOrigin.API,
    ) -> tuple[SymbolMarket, SimOrder, int]:
        """Check a request; the order it would become, and what it would lock."""
        market = self.market(request.symbol)
        check_open(market, owner)
        order = prepare(market, owner, request, now_ns, new_id=self.random_id, origin=origin)
        lock = lock_needed(market, order)
        check_balance(market, owner, order, lock)
        return market, order, lock

    def _find_open(
        self, owner: VenueAccount, symbol: str, order_id: int | None, client_order_id: str
    ) -> SimOrder:
        order = owner.find(symbol, order_id, client_order_id)
        if order is None or not order.is_open:
            raise errors.unknown_order()
        if order_id is not None and not order.goes_by(client_order_id):
            raise errors.unknown_order()
        return order

    def _cancel(self, market: SymbolMarket, order: SimOrder, cancel_id: str, now_ns: int) -> None:
        order.cancel_id = cancel_id or self.random_id()
        self.matcher.end(market, order, Status.CANCELED, now_ns)

    def _finish(self, market: SymbolMarket, now_ns: int) -> None:
        self.matcher.run_triggers(market, now_ns)
        self.matcher.publish_top(market, now_ns)
        self.matcher.flush_positions(now_ns)
