"""One account: balances that always add up, its orders, its trades, its order counts.

Rules of this file:
1. free and locked never go below zero; a breach is a bug of the venue and raises at once.
2. An order locks what it may give when it is accepted, gives from the lock when it fills, and gets
   the rest back when it ends.
"""

from operator import attrgetter

from daemon.model.enums import Side
from daemon.venues.binance_spot.serving.dialect_errors import insufficient_balance
from daemon.venues.sim.account_history import OrderHistory
from daemon.venues.sim.listed_symbols import ExchangeFilters
from daemon.venues.sim.newest_rows import Kept
from daemon.venues.sim.sim_orders import OrderList, SimOrder, TradeFill

TRADES_RETAINED = 500_000
"""Trades of one symbol that `myTrades` can tell, at least."""


class Wallet:
    """One asset."""

    __slots__ = ("free", "locked")

    def __init__(self, free: int) -> None:
        self.free = free
        self.locked = 0


class VenueAccount:
    """Balances, orders and trades of one account. Amounts in units of 1e-8."""

    def __init__(self, name: str, uid: int, grants: dict[str, int], *, epoch: int = 0) -> None:
        self.name = name
        self.uid = uid
        self.grants = dict(grants)
        self.wallets: dict[str, Wallet] = {asset: Wallet(free) for asset, free in grants.items()}
        self.maker_ppm = 1000
        self.taker_ppm = 1000
        self.can_trade = True
        self.fee_asset: tuple[str, int] | None = None
        """A fault: fees are paid in this asset, whose price in the quote asset stands beside it."""
        self.exchange_filters = ExchangeFilters()
        self.updated_ns = 0
        self.epoch = epoch
        self.open_orders: dict[tuple[str, int], SimOrder] = {}
        self.open_by_client_id: dict[tuple[str, str], SimOrder] = {}
        self.history = OrderHistory()
        self.trades: dict[str, Kept[TradeFill]] = {}
        self.lists: dict[int, OrderList] = {}
        self.open_lists: dict[int, OrderList] = {}
        self.touched: dict[str, None] = {}
        """Assets changed since the last AccountPosition event."""

    def begun_anew(self, epoch: int, now_ns: int) -> "VenueAccount":
        """The account after a wipe: its grants and terms, and nothing else."""
        fresh = VenueAccount(self.name, self.uid, self.grants, epoch=epoch)
        fresh.maker_ppm, fresh.taker_ppm = self.maker_ppm, self.taker_ppm
        fresh.exchange_filters = self.exchange_filters
        fresh.updated_ns = now_ns
        return fresh

    def wallet(self, asset: str) -> Wallet:
        """The asset's wallet, made empty when it is new."""
        wallet = self.wallets.get(asset)
        if wallet is None:
            wallet = self.wallets[asset] = Wallet(0)
        return wallet

    def lock(self, order: SimOrder, asset: str, amount: int) -> None:
        """Lock what an order may give.

        Raises:
            DialectError: -2010 when the free balance is too small.
        """
        wallet = self.wallet(asset)
        if wallet.free < amount:
            raise insufficient_balance()
        wallet.free -= amount
        wallet.locked += amount
        order.locked += amount
        self.touched[asset] = None

    def unlock(self, order: SimOrder, asset: str, amount: int) -> None:
        """Give back a part of what an order locks."""
        wallet = self.wallet(asset)
        if amount > order.locked or amount > wallet.locked or amount < 0:
            raise RuntimeError(f"venue bug: order {order.order_id} unlocks more than it locked")
        wallet.locked -= amount
        wallet.free += amount
        order.locked -= amount
        self.touched[asset] = None

    def pay(self, order: SimOrder, asset: str, amount: int) -> None:
        """Give from the order's lock."""
        wallet = self.wallet(asset)
        if amount > order.locked or amount > wallet.locked:
            raise RuntimeError(f"venue bug: order {order.order_id} pays more than it locked")
        wallet.locked -= amount
        order.locked -= amount
        self.touched[asset] = None

    def receive(self, asset: str, amount: int) -> None:
        """Take in the other side of a trade, or a deposit."""
        self.wallet(asset).free += amount
        self.touched[asset] = None

    def add_order(self, order: SimOrder) -> None:
        """Remember an accepted order."""
        self.open_orders[(order.symbol, order.order_id)] = order
        self.open_by_client_id[(order.symbol, order.client_order_id)] = order
        self.history.add(order)

    def close_order(self, order: SimOrder) -> None:
        """An order has ended: it no longer counts as open and frees its client id."""
        if self.open_orders.pop((order.symbol, order.order_id), None) is not None:
            forgotten = self.history.end(order)
            if forgotten is not None and forgotten.order_list is not None:
                self.lists.pop(forgotten.order_list.list_id, None)
        for name in order.client_order_ids:
            if self.open_by_client_id.get((order.symbol, name)) is order:
                del self.open_by_client_id[(order.symbol, name)]

    def find(self, symbol: str, order_id: int | None, client_order_id: str) -> SimOrder | None:
        """An order by id, or by client id: the open one first, else the latest that had it."""
        if order_id is not None:
            return self.history.get(symbol, order_id)
        is_open = self.open_by_client_id.get((symbol, client_order_id))
        return is_open or self.history.named(symbol, client_order_id)

    def open_on(self, symbol: str) -> list[SimOrder]:
        """Open orders of one symbol, oldest first."""
        return [order for order in self.open_orders.values() if order.symbol == symbol]

    def find_list(self, list_id: int | None, client_id: str) -> OrderList | None:
        """A list by id, or by client id: an open one first, else the latest that had it."""
        if list_id is not None:
            return self.lists.get(list_id)
        for group in (self.open_lists, self.lists):
            for order_list in reversed(group.values()):
                if order_list.client_id == client_id:
                    return order_list
        return None

    def add_trade(self, fill: TradeFill) -> None:
        """Book a fill into the history."""
        kept = self.trades.get(fill.symbol)
        if kept is None:
            kept = self.trades[fill.symbol] = Kept(TRADES_RETAINED, attrgetter("trade_id"))
        kept.append(fill)

    def trades_from(self, symbol: str, trade_id: int) -> list[TradeFill]:
        """Trades with an id at or above `trade_id`, ascending."""
        kept = self.trades.get(symbol)
        return [] if kept is None else kept.rows[kept.place_of(trade_id) :]

    def last_trade_id(self, symbol: str) -> int:
        """The id of the latest trade of a symbol; -1 before the first."""
        kept = self.trades.get(symbol)
        return kept.rows[-1].trade_id if kept else -1

    def open_buy_qty(self, symbol: str) -> int:
        """Σ leaves of open buys, for MAX_POSITION."""
        return sum(o.leaves for o in self.open_on(symbol) if o.side is Side.BUY)
