"""What orders cost against the present book: locks and MARKET quantities. Exact ints."""

from daemon.model.enums import OrderType, Side
from daemon.venues.binance_spot.serving.order_requests import MARKET_TYPES
from daemon.venues.binance_spot.serving.units import quote_of
from daemon.venues.sim.sim_orders import SimOrder
from daemon.venues.sim.symbol_market import SymbolMarket


def given_asset(market: SymbolMarket, side: Side) -> str:
    """What an order of this side pays with."""
    return market.spec.quote if side is Side.BUY else market.spec.base


def market_cost(market: SymbolMarket, side: Side, qty: int) -> int:
    """What a MARKET order of `qty` would pay (BUY) or take in (SELL) against the present book."""
    cost, need = 0, qty
    for level in market.book.side(side.opposite).from_best():
        for maker in level.orders.values():
            take = min(need, maker.leaves)
            cost += quote_of(level.price, take)
            need -= take
            if need == 0:
                return cost
    return cost


def qty_for_quote(market: SymbolMarket, side: Side, quote: int) -> int:
    """The largest whole number of steps that `quote` buys (or raises) from the present book."""
    total, left, step = 0, quote, market.spec.step
    for level in market.book.side(side.opposite).from_best():
        for maker in level.orders.values():
            affordable = left * 100_000_000 // level.price
            take = min(affordable - affordable % step, maker.leaves)
            total += take
            left -= quote_of(level.price, take)
            if take < maker.leaves:
                return total
    return total


def lock_needed(market: SymbolMarket, order: SimOrder) -> int:
    """What accepting an order locks, in the asset it gives."""
    if order.side is Side.SELL:
        return order.qty
    if order.type is OrderType.MARKET:
        return market_cost(market, order.side, order.qty)
    if order.type in MARKET_TYPES:
        return quote_of(order.stop_price or market.tape.last_price, order.qty)
    return quote_of(order.price or order.stop_price or market.tape.last_price, order.qty)
