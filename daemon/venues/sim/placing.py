"""From a client's wish to an order that the venue takes, or the documented refusal.

Rules of this file:
1. Nothing is changed here: an order comes out, and what it would lock; the venue books both.
2. A pending order of a list (`is_pending`) is judged by its filters only; what its moment will
   bring (balance, trigger, taking) is asked when its moment has come (contingencies.py).
"""

from collections.abc import Callable, Sequence

from daemon.model.enums import OrderType, SymbolStatus
from daemon.venues.binance_spot.serving.dialect_errors import (
    DialectError,
    disabled,
    duplicate_order,
    filter_failure,
    insufficient_balance,
    market_closed,
)
from daemon.venues.binance_spot.serving.order_requests import TRIGGER_TYPES, PlaceRequest, Status
from daemon.venues.sim.accounts import VenueAccount
from daemon.venues.sim.filters import check_filters
from daemon.venues.sim.pricing import given_asset, lock_needed, qty_for_quote
from daemon.venues.sim.sim_orders import OrderOrigin, RandomSource, SimOrder
from daemon.venues.sim.symbol_market import SymbolMarket, fires

_ID_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def check_open(market: SymbolMarket, owner: VenueAccount) -> None:
    """Whether this account may place anything on this market.

    Raises:
        DialectError: -2010 in the documented wording.
    """
    if market.status is not SymbolStatus.TRADING:
        raise market_closed()
    if not owner.can_trade:
        raise disabled()


def prepare(
    market: SymbolMarket,
    owner: VenueAccount,
    request: PlaceRequest,
    now_ns: int,
    *,
    new_id: Callable[[], str],
    beside: Sequence[PlaceRequest] = (),
    is_pending: bool = False,
    origin: OrderOrigin = OrderOrigin.API,
) -> SimOrder:
    """The order that a request becomes; `beside` are requests accepted in the same call.

    Raises:
        DialectError: the request is refused.
    """
    price = request.price
    if request.peg is not None and request.type not in TRIGGER_TYPES:
        price = market.peg_price(request.side, request.peg, request.peg_levels)
        if not price:
            raise DialectError(-2010, "No orders on book for symbol.")
    check_filters(market, owner, request, now_ns, price=price, beside=beside)
    if request.iceberg_qty > request.qty:
        raise DialectError(-2010, "IcebergQty exceeds QTY.")
    name = request.client_order_id or new_id()
    taken = {other.client_order_id for other in beside}
    if (request.symbol, name) in owner.open_by_client_id or name in taken:
        raise duplicate_order()
    makes = request.type is OrderType.LIMIT_MAKER and not is_pending
    if makes and market.would_take(request.side, price):
        raise DialectError(-2010, "Order would immediately match and take.")
    qty = request.qty or qty_for_quote(market, request.side, request.quote_order_qty)
    if qty == 0 and not is_pending:
        raise filter_failure("LOT_SIZE")
    order = SimOrder(
        order_id=0,
        symbol=request.symbol,
        account=owner.name,
        origin=origin,
        client_order_id=name,
        side=request.side,
        type=request.type,
        time_in_force=request.time_in_force,
        qty=qty,
        price=price,
        ts_ns=now_ns,
        updated_ns=now_ns,
        quote_order_qty=request.quote_order_qty,
        stop_price=request.stop_price,
        iceberg_qty=request.iceberg_qty,
        trailing_bps=request.trailing_bps,
        peg=request.peg,
        peg_levels=request.peg_levels,
        stp_mode=request.stp_mode,
        strategy_id=request.strategy_id,
        strategy_type=request.strategy_type,
        epoch=owner.epoch,
    )
    if is_pending:
        order.status = Status.PENDING_NEW
    elif order.type in TRIGGER_TYPES and fires(order, market.tape.last_price, now_ns):
        raise DialectError(-2010, "Order would trigger immediately.")
    return order


def check_balance(market: SymbolMarket, owner: VenueAccount, order: SimOrder, lock: int) -> None:
    """Whether the account can lock what an order needs.

    Raises:
        DialectError: -2010 when it cannot.
    """
    if owner.wallet(given_asset(market, order.side)).free < lock:
        raise insufficient_balance()


def price_pegged(market: SymbolMarket, owner: VenueAccount, order: SimOrder) -> bool:
    """Give a pegged order whose trigger has fired its price; False when it cannot have one."""
    if order.peg is None:
        return True
    price = market.peg_price(order.side, order.peg, order.peg_levels)
    if not price:
        return False
    order.price = price
    short = lock_needed(market, order) - order.locked
    if short > 0:
        try:
            owner.lock(order, given_asset(market, order.side), short)
        except DialectError:
            return False
    elif short < 0:
        owner.unlock(order, given_asset(market, order.side), -short)
    return True


def random_id(rng: RandomSource) -> str:
    """A client order id of the venue's own making (22 letters)."""
    number, letters = rng.randrange(0, 62**22), []
    for _ in range(22):
        number, letter = divmod(number, 62)
        letters.append(_ID_LETTERS[letter])
    return "".join(letters)
