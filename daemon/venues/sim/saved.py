"""What a venue must not forget between an orderly end and its next start.

Rules of this file:
1. Accounts, client orders, lists, trades, ids, prices and the ledger are kept. The background's
   orders are not (the crowd comes anew), nor is what has traded publicly: that is past by then.
2. Ids go on: no order, trade or execution of the next run has an id of this one.
"""

import msgspec
import orjson

from daemon.model.copies import replace
from daemon.model.enums import SymbolStatus
from daemon.model.list_legs import Contingency
from daemon.venues.binance_spot.serving.events import Prevented
from daemon.venues.binance_spot.serving.order_requests import (
    Status,
)
from daemon.venues.binance_spot.serving.registered_keys import ApiKey
from daemon.venues.sim.account_history import without_list
from daemon.venues.sim.accounts import VenueAccount
from daemon.venues.sim.exchange import Exchange
from daemon.venues.sim.listed_symbols import SymbolSpec
from daemon.venues.sim.sim_orders import (
    OrderList,
    RandomSource,
    SimOrder,
    TradeFill,
)
from daemon.venues.sim.symbol_market import MarketIds
from daemon.venues.sim.venue import SimVenue


class SavedList(msgspec.Struct, frozen=True, kw_only=True):
    """An order list; its orders by id."""

    list_id: int
    symbol: str
    contingency: Contingency
    client_id: str
    ts_ns: int
    orders: list[int]
    pending: list[int]
    pays: bool
    is_done: bool
    updated_ns: int


class SavedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One account."""

    name: str
    uid: int
    grants: dict[str, int]
    wallets: dict[str, tuple[int, int]]
    maker_ppm: int
    taker_ppm: int
    can_trade: bool
    updated_ns: int
    epoch: int
    orders: list[SimOrder]
    trades: list[TradeFill]
    lists: list[SavedList]


class SavedMarket(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol."""

    status: SymbolStatus
    last_price: int
    ids: MarketIds
    prevented: list[Prevented]


class SavedKey(msgspec.Struct, frozen=True, kw_only=True):
    """An HMAC key; others are given anew at every start."""

    api_key: str
    account: str
    secret: str
    can_trade: bool


class SavedVenue(msgspec.Struct, frozen=True, kw_only=True):
    """The whole venue."""

    version: int = 1
    seed: int
    epoch: int
    last_list_id: int
    accounts: list[SavedAccount]
    markets: dict[str, SavedMarket]
    keys: list[SavedKey]


_DECODER = msgspec.msgpack.Decoder(SavedVenue)


class SavedVenueError(ValueError):
    """A file that holds no saved venue."""


def pack(exchange: Exchange, seed: int) -> bytes:
    """The venue as one text."""
    venue = exchange.venue
    saved = SavedVenue(
        seed=seed,
        epoch=venue.epoch,
        last_list_id=venue.lists.last_id,
        accounts=[_account(account) for account in venue.accounts.values()],
        markets={
            symbol: SavedMarket(
                status=market.status,
                last_price=market.tape.last_price,
                ids=market.ids,
                prevented=list(market.prevented),
            )
            for symbol, market in venue.markets.items()
        },
        keys=[
            SavedKey(
                api_key=key.api_key,
                account=key.account,
                secret=key.secret,
                can_trade=key.can_trade,
            )
            for key in exchange.keys.values()
            if key.secret
        ],
    )
    return msgspec.msgpack.encode(saved)


def unpack(data: bytes) -> SavedVenue:
    """The saved venue.

    Raises:
        SavedVenueError: the text is none.
    """
    try:
        return _DECODER.decode(data)
    except msgspec.MsgspecError as error:
        raise SavedVenueError(str(error)) from error


def at_last_price(spec: SymbolSpec, saved: SavedVenue) -> SymbolSpec:
    """The symbol, to be opened at the price at which it was left."""
    market = saved.markets.get(spec.symbol)
    return spec if market is None else replace(spec, start_price=market.last_price)


def restore(
    exchange: Exchange, saved: SavedVenue, ledger: bytes, id_rng: RandomSource, now_ns: int
) -> None:
    """Give a venue that has just been built what it had; `id_rng` makes ids that it never made.

    Raises:
        SavedVenueError: an open order is on a symbol that the venue does not list now.
    """
    venue = exchange.venue
    venue.epoch = saved.epoch
    venue.id_rng = id_rng
    venue.lists.last_id = saved.last_list_id
    open_orders: list[SimOrder] = []
    for row in saved.accounts:
        account = _restored(row, venue)
        venue.accounts[row.name] = account
        open_orders += account.open_orders.values()
    for order in open_orders:
        if order.symbol not in venue.markets:
            raise SavedVenueError(f"an order is open on {order.symbol}: list it in --symbols")
    for symbol, kept in saved.markets.items():
        market = venue.markets.get(symbol)
        if market is not None:
            market.status = kept.status
            market.prevented.extend(kept.prevented)
    for key in saved.keys:
        exchange.keys[key.api_key] = ApiKey(
            api_key=key.api_key,
            account=key.account,
            secret=key.secret,
            can_trade=key.can_trade,
        )
    by_number = {(o.account, o.symbol, o.order_id): o for o in open_orders}
    exchange.ledger.restore(orjson.loads(ledger), by_number, saved.epoch)
    # Those that were first are first on the book again, and trade with the crowd that came before.
    for order in sorted(open_orders, key=_moment):
        if order.status is not Status.PENDING_NEW:
            _put_back(venue, order, now_ns)
    exchange.collect()


def _account(account: VenueAccount) -> SavedAccount:
    return SavedAccount(
        name=account.name,
        uid=account.uid,
        grants=account.grants,
        wallets={asset: (one.free, one.locked) for asset, one in account.wallets.items()},
        maker_ppm=account.maker_ppm,
        taker_ppm=account.taker_ppm,
        can_trade=account.can_trade,
        updated_ns=account.updated_ns,
        epoch=account.epoch,
        orders=[without_list(order) for order in account.history.all()],
        trades=[fill for kept in account.trades.values() for fill in kept.rows],
        lists=[
            SavedList(
                list_id=one.list_id,
                symbol=one.symbol,
                contingency=one.contingency,
                client_id=one.client_id,
                ts_ns=one.ts_ns,
                orders=[order.order_id for order in one.orders],
                pending=[order.order_id for order in one.pending],
                pays=one.pays,
                is_done=one.is_done,
                updated_ns=one.updated_ns,
            )
            for one in account.lists.values()
        ],
    )


def _restored(row: SavedAccount, venue: SimVenue) -> VenueAccount:
    account = VenueAccount(row.name, row.uid, row.grants, epoch=row.epoch)
    account.exchange_filters = venue.exchange_filters
    account.maker_ppm, account.taker_ppm = row.maker_ppm, row.taker_ppm
    account.can_trade, account.updated_ns = row.can_trade, row.updated_ns
    for asset, (free, locked) in row.wallets.items():
        account.wallet(asset).free, account.wallet(asset).locked = free, locked
    orders = {(order.symbol, order.order_id): order for order in row.orders}
    for one in row.lists:
        order_list = OrderList(
            list_id=one.list_id,
            symbol=one.symbol,
            account=row.name,
            contingency=one.contingency,
            client_id=one.client_id,
            ts_ns=one.ts_ns,
            orders=[orders[one.symbol, order_id] for order_id in one.orders],
            pending=[orders[one.symbol, order_id] for order_id in one.pending],
            pays=one.pays,
            is_done=one.is_done,
            updated_ns=one.updated_ns,
        )
        account.lists[one.list_id] = order_list
        if not one.is_done:
            account.open_lists[one.list_id] = order_list
        for order in order_list.orders:
            order.order_list = order_list
    for order in sorted(row.orders, key=_moment):
        order.ledger_number = -1
        account.add_order(order)
        for name in order.client_order_ids:
            account.history.name(order, name)
            account.open_by_client_id[order.symbol, name] = order
        if not order.is_open:
            account.close_order(order)
    for fill in row.trades:
        account.add_trade(fill)
    return account


def _put_back(venue: SimVenue, order: SimOrder, now_ns: int) -> None:
    """An order of an earlier run waits or works again, as it did then."""
    market, working_ns = venue.markets[order.symbol], order.working_ns
    if order.waiting:
        market.waiting[order.order_id] = order
    else:
        venue.matcher.enter(market, order, now_ns)
        order.working_ns = working_ns
    venue.matcher.run_triggers(market, now_ns)
    venue.matcher.publish_top(market, now_ns)


def _moment(order: SimOrder) -> tuple[int, int]:
    return order.ts_ns, order.order_id
