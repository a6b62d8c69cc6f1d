"""Whatever clients do: money is neither made nor lost, and the book never stands crossed."""

import contextlib
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.venues.sim.orders import StpMode, VenueError
from daemon.venues.sim.units import decimal_of_e8
from tests.support.sim_stage import SYMBOL, Stage

actions = st.lists(
    st.tuples(
        st.sampled_from(["main", "other"]),
        st.sampled_from(["limit", "limit", "limit", "market", "quote", "cancel", "amend", "stop"]),
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


def total(stage: Stage, asset: str) -> Decimal:
    wallets = [account.wallet(asset) for account in stage.venue.accounts.values()]
    assert all(wallet.free >= 0 and wallet.locked >= 0 for wallet in wallets)
    fees = sum(
        fill.fee
        for account in stage.venue.accounts.values()
        for fill in account.trades.get(SYMBOL, ())
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
        with contextlib.suppress(VenueError):
            act(stage, action)
        assert {asset: total(stage, asset) for asset in money} == money
        bid, ask = market.best_price(Side.BUY), market.best_price(Side.SELL)
        assert not (bid and ask) or bid < ask
        for account in stage.venue.accounts.values():
            open_orders = list(account.open_orders.values())
            assert all(order.is_open and order.leaves > 0 for order in open_orders)
            locked = sum(wallet.locked for wallet in account.wallets.values())
            assert locked == sum(order.locked for order in open_orders)
        for side in (market.book.bids, market.book.asks):
            for price, level in side.levels.items():
                assert level.qty == sum(o.visible for o in level.orders.values()) > 0
                assert all(order.price == price for order in level.orders.values())
            assert side.prices == sorted(side.levels)
