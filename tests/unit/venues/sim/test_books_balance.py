"""Whatever clients do: money is neither made nor lost, and the book never stands crossed."""

import contextlib
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.order_requests import (
    ListRequest,
    PegType,
    PlaceRequest,
    Status,
    StpMode,
)
from daemon.venues.binance_spot.serving.units import decimal_of_e8, e8_of
from tests.support.sim_stage import SYMBOL, Stage

KINDS = (
    "limit", "limit", "limit", "market", "quote", "cancel", "amend", "stop", "trail", "peg",
    "oco", "oto", "otoco", "opo", "cancel_list",
)  # fmt: skip
actions = st.lists(
    st.tuples(
        st.sampled_from(["main", "other"]),
        st.sampled_from(KINDS),
        st.sampled_from(list(Side)),
        st.integers(1, 200),
        st.integers(-40, 40),
        st.sampled_from(list(TimeInForce)),
        st.sampled_from(list(StpMode)),
    ),
    max_size=40,
)


def act(stage: Stage, action: tuple[str, str, Side, int, int, TimeInForce, StpMode]) -> None:
    account, kind, side, lots, offset, tif, stp = action
    qty, price = f"{lots / 100:.2f}", f"{60000 + offset}"
    if kind in {"cancel", "amend"}:
        orders = stage.venue.open_orders(account)
        if not orders:
            return
        order = orders[lots % len(orders)]
        if kind == "cancel":
            stage.venue.cancel(account, SYMBOL, order_id=order.order_id, now_ns=stage.tick())
        else:
            half = order.qty // 2 - order.qty // 2 % 1000
            stage.venue.amend(account, SYMBOL, half, order_id=order.order_id, now_ns=stage.tick())
    elif kind == "cancel_list":
        for one in list(stage.venue.accounts[account].open_lists)[:1]:
            stage.venue.cancel_list(account, SYMBOL, one, "", now_ns=stage.tick())
    elif kind in {"oco", "oto", "otoco", "opo"}:
        stage.venue.place_list(account, a_list(stage, kind, side, lots), stage.tick())
    elif kind == "trail":
        types = (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)
        stage.place(side, qty, type=types[lots % 2], trailing_bps=10 + abs(offset), account=account)
    elif kind == "peg":
        peg = (PegType.PRIMARY_PEG, PegType.MARKET_PEG)[lots % 2]
        stage.place(side, qty, type=OrderType.LIMIT, peg=peg, peg_levels=lots % 3, account=account)
    elif kind == "market":
        stage.place(side, qty, account=account, stp=stp)
    elif kind == "quote":
        stage.place(side, "0", quote_order_qty=f"{lots * 50}", account=account, stp=stp)
    elif kind == "stop":
        stage.place(
            side,
            qty,
            price,
            stop_price=price,
            type=OrderType.STOP_LOSS_LIMIT,
            tif=tif,
            account=account,
            stp=stp,
        )
    else:
        iceberg = {"iceberg_qty": "0.30"} if lots % 7 == 0 and tif is TimeInForce.GTC else {}
        stage.place(side, qty, price, tif=tif, account=account, stp=stp, **iceberg)


def a_list(stage: Stage, kind: str, side: Side, lots: int) -> ListRequest:
    """A list around the last price; its legs' distances follow from `lots`."""
    last = stage.venue.market(SYMBOL).tape.last_price
    step = e8_of("1") * (1 + lots % 25)
    qty = e8_of(f"{lots / 100:.2f}")

    def leg(one: Side, order_type: OrderType, price: int, stop: int = 0) -> PlaceRequest:
        opened = kind == "opo" and one is not side
        return PlaceRequest(
            symbol=SYMBOL, side=one, type=order_type, qty=0 if opened else qty, price=price,
            stop_price=stop, is_open_sized=opened,
        )  # fmt: skip

    def pair(one: Side) -> tuple[PlaceRequest, PlaceRequest]:
        away = step if one is Side.SELL else -step
        limit_leg = leg(one, OrderType.LIMIT_MAKER, last + away)
        stop_leg = leg(one, OrderType.STOP_LOSS_LIMIT, last - 2 * away, last - away)
        return (limit_leg, stop_leg) if one is Side.SELL else (stop_leg, limit_leg)

    if kind == "oco":
        return ListRequest(symbol=SYMBOL, pair=pair(side))
    near = -step if side is Side.BUY else step
    first = leg(side, OrderType.LIMIT, last + (near if lots % 3 else -near))
    if kind == "otoco":
        return ListRequest(symbol=SYMBOL, first=first, pair=pair(side.opposite))
    after = leg(side.opposite, OrderType.LIMIT, last - near)
    return ListRequest(symbol=SYMBOL, first=first, pending=after, pays=kind == "opo")


def total(stage: Stage, asset: str) -> Decimal:
    wallets = [account.wallet(asset) for account in stage.venue.accounts.values()]
    assert all(wallet.free >= 0 and wallet.locked >= 0 for wallet in wallets)
    fees = sum(
        fill.fee
        for account in stage.venue.accounts.values()
        for fill in account.trades_from(SYMBOL, 0)
        if fill.fee_asset == asset
    )
    return decimal_of_e8(sum(wallet.free + wallet.locked for wallet in wallets) + fees)


@settings(max_examples=150, deadline=None)
@given(actions)
def test_invariants_hold_after_every_action(
    script: list[tuple[str, str, Side, int, int, TimeInForce, StpMode]],
) -> None:
    stage = Stage()
    money = {asset: total(stage, asset) for asset in ("USDT", "BTC")}
    market = stage.venue.market(SYMBOL)
    for action in script:
        with contextlib.suppress(DialectError):
            act(stage, action)
        assert {asset: total(stage, asset) for asset in money} == money
        bid, ask = market.best_price(Side.BUY), market.best_price(Side.SELL)
        assert not (bid and ask) or bid < ask
        for account in stage.venue.accounts.values():
            open_orders = list(account.open_orders.values())
            begun = [o for o in open_orders if o.status is not Status.PENDING_NEW]
            assert all(order.is_open and order.leaves > 0 for order in begun)
            assert all(o.locked == o.visible == 0 for o in open_orders if o not in begun)
            for one in account.lists.values():
                assert one.is_done == (not any(order.is_open for order in one.orders))
                assert one.is_done == (one.list_id not in account.open_lists)
                rivals = one.orders if one.contingency == "OCO" else one.orders[1:]
                if len(rivals) == 2:
                    assert not all(order.executed for order in rivals), "both legs of a pair traded"
            locked = sum(wallet.locked for wallet in account.wallets.values())
            assert locked == sum(order.locked for order in open_orders)
        for side in (market.book.bids, market.book.asks):
            for price, level in side.levels.items():
                assert level.qty == sum(o.visible for o in level.orders.values()) > 0
                assert all(order.price == price for order in level.orders.values())
            assert side.prices == sorted(side.levels)
