"""Shadow mode's book: it is the followed top, trades once with each quantity, and forgets in time.

The judge is arithmetic on the followed figures, read back from the venue's own book and ledger.
"""

import random

import pytest

from daemon.model.enums import Side, TimeInForce
from daemon.venues.binance_spot.serving.units import e8_of
from daemon.venues.sim.followed_flow import STALE_NS, FollowedFlow, FollowedTop
from daemon.venues.sim.sim_orders import SimOrder, TradePrint
from tests.support.sim_stage import MS, SYMBOL, Stage

TOP = ("60000", "2", "60010", "3")


class Shadow(Stage):
    """A venue whose BTCUSDT follows what the test tells."""

    def __init__(self) -> None:
        super().__init__(is_following=True)
        flow = self.venue.flows[SYMBOL]
        assert isinstance(flow, FollowedFlow)
        self.flow = flow

    def top(self, bid: str, bid_qty: str, ask: str, ask_qty: str) -> None:
        self.flow.on_top(FollowedTop(*map(e8_of, (bid, bid_qty, ask, ask_qty))), self.tick())

    def trade(self, side: Side, price: str, qty: str) -> None:
        self.flow.on_trade(side, e8_of(price), e8_of(qty), self.tick())

    def book(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        return self.venue.markets[SYMBOL].book.snapshot(100)

    def prints(self) -> list[tuple[int, int]]:
        return [
            (event.price, event.qty)
            for event in self.venue.drain_events()
            if isinstance(event, TradePrint)
        ]


def levels(*rows: tuple[str, str]) -> list[tuple[int, int]]:
    return [(e8_of(price), e8_of(qty)) for price, qty in rows]


def filled(order: SimOrder) -> int:
    return order.executed


@pytest.fixture
def shadow() -> Shadow:
    return Shadow()


def test_the_book_is_the_followed_top_and_nothing_more(shadow: Shadow) -> None:
    assert shadow.book() == ([], [])
    rng = random.Random(4)
    for _ in range(300):
        bid = rng.randrange(59_000, 61_000)
        bid_qty, ask_qty = rng.randrange(1, 9), rng.randrange(1, 9)
        top = (str(bid), str(bid_qty), str(bid + rng.randrange(1, 50)), str(ask_qty))
        shadow.top(*top)
        assert shadow.book() == (levels(top[:2]), levels(top[2:]))
    assert shadow.prints() == []  # a top that moves through itself trades with nobody


def test_a_crossed_or_empty_top_changes_nothing(shadow: Shadow) -> None:
    shadow.top(*TOP)
    for wrong in (("60010", "1", "60010", "1"), ("0", "0", "60010", "1"), ("1", "0", "2", "1")):
        shadow.top(*wrong)
    assert shadow.book() == (levels(("60000", "2")), levels(("60010", "3")))
    assert shadow.flow.tops == 1


def test_a_quantity_is_traded_with_once_until_its_price_moves(shadow: Shadow) -> None:
    shadow.top(*TOP)
    assert filled(shadow.buy("2").order) == e8_of("2")
    shadow.top(*TOP)  # told again: it is not there a second time
    assert shadow.book()[1] == levels(("60010", "1"))
    first = shadow.buy("5").order
    assert filled(first) == e8_of("1")
    assert str(first.status) == "EXPIRED"
    shadow.top(*TOP)
    assert shadow.book()[1] == []
    shadow.top("60000", "2", "60010", "4")  # one more has come there
    assert shadow.book()[1] == levels(("60010", "1"))
    shadow.top("60000", "2", "60011", "3")
    assert shadow.book()[1] == levels(("60011", "3"))


def test_a_resting_order_waits_behind_what_was_there_before_it(shadow: Shadow) -> None:
    shadow.top(*TOP)
    mine = shadow.buy("1", "60000").order
    shadow.trade(Side.SELL, "60000", "1.5")
    assert filled(mine) == 0
    shadow.top("60000", "0.5", "60010", "3")
    assert filled(mine) == 0
    shadow.top("60000", "4", "60010", "3")  # who comes now stands behind us
    shadow.trade(Side.SELL, "60000", "0.75")
    assert filled(mine) == e8_of("0.25")
    shadow.trade(Side.SELL, "60000", "2")
    assert filled(mine) == e8_of("1")


def test_those_before_us_stay_before_us_when_the_quantity_falls(shadow: Shadow) -> None:
    shadow.top(*TOP)
    mine = shadow.buy("1", "60000").order
    shadow.top("60000", "0.4", "60010", "3")
    shadow.trade(Side.SELL, "60000", "0.4")
    assert filled(mine) == 0
    shadow.trade(Side.SELL, "60000", "0.3")
    assert filled(mine) == e8_of("0.3")


def test_a_trade_beyond_our_price_fills_us_first_at_our_price(shadow: Shadow) -> None:
    shadow.top(*TOP)
    mine = shadow.buy("1", "60005").order
    shadow.venue.drain_events()
    shadow.trade(Side.SELL, "59990", "2.5")
    assert filled(mine) == e8_of("1")
    assert shadow.prints() == levels(("60005", "1"), ("59990", "1.5"))


def test_a_top_that_moves_through_our_price_fills_us_once(shadow: Shadow) -> None:
    shadow.top(*TOP)
    mine = shadow.sell("1", "60020").order
    shadow.top("60025", "0.4", "60030", "1")
    assert filled(mine) == e8_of("0.4")
    shadow.top("60025", "0.4", "60030", "1")
    assert filled(mine) == e8_of("0.4")
    shadow.top("60026", "5", "60031", "1")
    assert filled(mine) == e8_of("1")
    assert shadow.book()[0] == levels(("60026", "4.4"))


def test_every_followed_trade_is_printed_with_its_price_and_quantity(shadow: Shadow) -> None:
    rng = random.Random(9)
    told = []
    for _ in range(200):
        mid = rng.randrange(59_900, 60_100)
        shadow.top(str(mid), "1", str(mid + 2), "1")
        side = rng.choice((Side.BUY, Side.SELL))
        row = (str(mid + rng.randrange(-3, 4)), f"0.{rng.randrange(1, 99):02d}")
        shadow.trade(side, *row)
        told.append(row)
    assert shadow.prints() == levels(*told)


def test_a_stale_symbol_has_no_book_and_fills_nobody(shadow: Shadow) -> None:
    shadow.top(*TOP)
    resting = shadow.buy("1", "60000").order
    heard_ns = shadow.flow.heard_ns
    shadow.venue.advance(heard_ns + STALE_NS)
    assert shadow.book()[1] == levels(("60010", "3"))
    shadow.now_ns = heard_ns + STALE_NS + 1
    shadow.venue.advance(shadow.now_ns)
    assert shadow.book() == (levels(("60000", "1")), [])  # our own order alone
    assert filled(shadow.buy("1", "60010", tif=TimeInForce.IOC).order) == 0
    assert filled(resting) == 0
    shadow.top(*TOP)
    assert shadow.book()[1] == levels(("60010", "3"))


def test_a_trade_does_not_make_a_stale_quote_fresh(shadow: Shadow) -> None:
    shadow.top(*TOP)
    heard_ns = shadow.flow.heard_ns
    shadow.trade(Side.BUY, "60010", "0.1")
    assert shadow.flow.heard_ns == heard_ns


def test_a_wipe_shows_the_last_top_again_only_while_it_is_fresh(shadow: Shadow) -> None:
    shadow.top(*TOP)
    shadow.flow.clear(shadow.tick())
    shadow.flow.open(shadow.tick())
    assert shadow.book() == (levels(("60000", "2")), levels(("60010", "3")))
    shadow.flow.clear(shadow.tick())
    shadow.flow.open(shadow.tick(STALE_NS // MS))
    assert shadow.book() == ([], [])
