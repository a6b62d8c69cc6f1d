"""Amend keep priority: an open order may only shrink; it keeps its id and its queue position."""

import msgspec

from daemon.model.enums import Side
from daemon.venues.binance_spot.serving.dialect_errors import (
    DialectError,
    duplicate_order,
    filter_failure,
)
from daemon.venues.binance_spot.serving.units import quote_of
from daemon.venues.sim.accounts import VenueAccount
from daemon.venues.sim.contingencies import rivals_of
from daemon.venues.sim.pricing import given_asset, lock_needed
from daemon.venues.sim.sim_orders import AmendRow, SimOrder
from daemon.venues.sim.symbol_market import SymbolMarket

AMENDS_MAX = 10


class Amendment(msgspec.Struct, frozen=True):
    """What an amend asks: the new quantity, and the client id that the order shows from then on."""

    qty: int
    client_order_id: str
    now_ns: int


def check_amend(market: SymbolMarket, order: SimOrder, new_qty: int) -> None:
    """Whether the order may shrink to `new_qty`.

    Raises:
        DialectError: -2038 for anything but a reduction or for too many amends, -1013 for lots.
    """
    if not order.executed + order.prevented < new_qty < order.qty:
        raise DialectError(-2038, "The requested action would change no state; rejecting.")
    if len(order.amends) >= AMENDS_MAX:
        raise DialectError(-2038, "The order has been amended too many times.")
    if new_qty % market.spec.step or new_qty < market.spec.min_qty:
        raise filter_failure("LOT_SIZE")


def apply_amend(
    market: SymbolMarket, owner: VenueAccount, order: SimOrder, amendment: Amendment
) -> None:
    """Shrink the order, give back what it no longer locks, note it in the order's history.

    Raises:
        DialectError: -2010 when the new client id is another open order's; nothing has changed.
    """
    old_id, new_id = order.own_client_order_id, amendment.client_order_id
    key = (order.symbol, new_id)
    if new_id != old_id:
        if key in owner.open_by_client_id:
            raise duplicate_order()
        owner.open_by_client_id[key] = order
        owner.history.name(order, new_id)
    cut = order.qty - amendment.qty
    order.amends.append(
        AmendRow(
            execution_id=market.execution_id + 1,
            old_client_order_id=old_id,
            new_client_order_id=new_id,
            old_qty=order.qty,
            new_qty=amendment.qty,
            ts_ns=amendment.now_ns,
        )
    )
    order.qty = amendment.qty
    order.updated_ns = amendment.now_ns
    _give_back(market, owner, order, cut)
    if order.visible:
        market.book.reduce(order)


def _give_back(market: SymbolMarket, owner: VenueAccount, order: SimOrder, cut: int) -> None:
    """Unlock what an order that was made smaller needs no more.

    Orders that exclude each other lock once, the larger of their needs.
    """
    asset, rivals = given_asset(market, order.side), rivals_of(order)
    price = order.price or order.stop_price
    back = quote_of(price, cut) if order.side is Side.BUY else cut
    together = [order, *rivals]
    if rivals:
        need = max(lock_needed(market, one) for one in together)
        back = max(sum(one.locked for one in together) - need, 0)
    for one in together:
        part = min(back, one.locked)
        owner.unlock(one, asset, part)
        back -= part
