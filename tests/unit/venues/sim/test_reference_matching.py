"""The fast book beside the slowest honest one: sort everything, take the first, repeat."""

from dataclasses import dataclass
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.units import decimal_of_e8
from tests.support.sim_stage import SYMBOL, Stage

Trade = tuple[int, int, Decimal, Decimal]


@dataclass
class Resting:
    number: int
    side: Side
    price: Decimal
    left: Decimal


class ReferenceBook:
    """Price-time priority from its definition, on Decimals and a plain list."""

    def __init__(self) -> None:
        self.resting: list[Resting] = []
        self.trades: list[Trade] = []

    def enter(self, taker: Resting, tif: TimeInForce, *, is_market: bool) -> None:
        sign = 1 if taker.side is Side.BUY else -1
        crossing = [
            maker
            for maker in self.resting
            if maker.side is not taker.side
            and (is_market or sign * maker.price <= sign * taker.price)
        ]
        crossing.sort(key=lambda maker: (sign * maker.price, maker.number))
        if tif is TimeInForce.FOK and sum(m.left for m in crossing) < taker.left:
            return
        for maker in crossing:
            qty = min(maker.left, taker.left)
            if qty == 0:
                break
            self.trades.append((maker.number, taker.number, maker.price, qty))
            maker.left -= qty
            taker.left -= qty
        self.resting = [maker for maker in self.resting if maker.left]
        if taker.left and tif is TimeInForce.GTC and not is_market:
            self.resting.append(taker)

    def cancel(self, number: int) -> None:
        self.resting = [order for order in self.resting if order.number != number]

    def depth(self, side: Side) -> list[tuple[Decimal, Decimal]]:
        prices: dict[Decimal, Decimal] = {}
        for order in self.resting:
            if order.side is side:
                prices[order.price] = prices.get(order.price, Decimal(0)) + order.left
        return sorted(prices.items(), reverse=side is Side.BUY)


steps = st.lists(
    st.tuples(
        st.sampled_from(["limit", "limit", "limit", "market", "cancel"]),
        st.sampled_from(list(Side)),
        st.integers(1, 30),
        st.integers(-6, 6),
        st.sampled_from([TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(steps)
def test_trades_and_depth_equal_the_reference(
    script: list[tuple[str, Side, int, int, TimeInForce]],
) -> None:
    stage, reference = Stage(), ReferenceBook()
    for number, (kind, side, lots, offset, tif) in enumerate(script):
        # Buyers and sellers are different accounts: nobody trades with himself.
        account = "main" if side is Side.BUY else "other"
        qty, price = Decimal(lots) / 100, Decimal(60000 + offset)
        if kind == "cancel":
            open_orders = stage.venue.open_orders(account)
            if open_orders:
                order = open_orders[lots % len(open_orders)]
                stage.venue.cancel(account, SYMBOL, order_id=order.order_id, now_ns=stage.tick())
                reference.cancel(int(order.client_order_id))
            continue
        is_market = kind == "market"
        try:
            stage.place(
                side,
                str(qty),
                "" if is_market else str(price),
                account=account,
                id=str(number),
                type=OrderType.MARKET if is_market else OrderType.LIMIT,
                tif=TimeInForce.GTC if is_market else tif,
            )
        except DialectError:
            continue
        taker = Resting(number, side, price, qty)
        reference.enter(taker, TimeInForce.GTC if is_market else tif, is_market=is_market)
        book = stage.venue.market(SYMBOL).book
        for depth_side, rows in zip((Side.BUY, Side.SELL), book.snapshot(100), strict=True):
            ours = [(decimal_of_e8(p), decimal_of_e8(q)) for p, q in rows]
            assert ours == reference.depth(depth_side)
    assert booked_trades(stage) == reference.trades


def booked_trades(stage: Stage) -> list[Trade]:
    """(maker, taker, price, qty) in the order of trade ids, from both accounts' histories."""
    sides: dict[int, dict[bool, int]] = {}
    amounts: dict[int, tuple[Decimal, Decimal]] = {}
    for account in ("main", "other"):
        for fill in stage.venue.my_trades(account, SYMBOL):
            sides.setdefault(fill.trade_id, {})[fill.maker] = int(fill.client_order_id)
            amounts[fill.trade_id] = (decimal_of_e8(fill.price), decimal_of_e8(fill.qty))
    return [
        (sides[number][True], sides[number][False], *amounts[number]) for number in sorted(sides)
    ]
