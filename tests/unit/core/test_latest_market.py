"""The age of a quote: a venue that repeats a book which has been traded in makes nothing young."""

from decimal import Decimal

import pytest

from daemon.core.latest_market import LatestMarket
from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.model.copies import replace
from daemon.model.effects import SendOrder
from daemon.model.enums import Side, VenueOrderStatus
from daemon.model.inputs import Input, MarketData, PublicTrade, VenueReport
from daemon.model.market import TopOfBook, TradeTick
from tests.support.builders import BTC, caps, fill, report, top, wish
from tests.support.screenplay import Stage, only


def traded(stage: Stage, trade_id: int) -> PublicTrade:
    now = stage.now_ns
    return PublicTrade(TradeTick(BTC, trade_id, Side.BUY, Decimal(100), Decimal(1), now, now))


def told(stage: Stage, update_id: int, bid: str = "100.00", *, dated: bool = False) -> MarketData:
    """A top of book; one that a REST snapshot or bookTicker tells has no time of the venue's."""
    made = top(bid, ts_ns=stage.now_ns, update_id=update_id)
    return MarketData(made if dated else replace(made, ts_venue_ns=0))


def age_ms(stage: Stage) -> int:
    age: int = stage.engine.status(stage.now_ns)["market"]["BTCUSDT"]["age_ms"]
    return age


@pytest.fixture
def stage() -> Stage:
    made = Stage(capset=caps(market_data_age_ms_max=5_000)).ready().start()
    made.tell(told(made, 7))
    return made


def placed(stage: Stage) -> bool:
    """Whether an order leaves, wished at a trade, so that no top of book comes with it."""
    assert stage.puppet is not None
    stage.puppet.wishes.append((wish(price="98.00"),))
    return bool(only(SendOrder, stage.tell(traded(stage, 99))))


def test_a_quiet_quote_that_the_venue_tells_again_is_young(stage: Stage) -> None:
    for _ in range(3):
        stage.after(4_000)
        stage.tell(told(stage, 7))
    assert age_ms(stage) == 0
    assert placed(stage)


def of_ours(stage: Stage, cid: str) -> VenueReport:
    at_ns = stage.now_ns
    whole = (fill(cid, 5, "0.1", ts_ns=at_ns),)
    return VenueReport(report(cid, VenueOrderStatus.FILLED, cum="0.1", fills=whole, ts_ns=at_ns))


@pytest.mark.parametrize("is_ours", [False, True], ids=["public trade", "fill of ours"])
def test_frozen_data_grows_old_though_the_venue_tells_it_again(
    stage: Stage, *, is_ours: bool
) -> None:
    cid = stage.place(wish(price="99.00")).client_order_id
    stage.tell(VenueReport(report(cid)), told(stage, 7))
    stage.after(1_000)
    trade: Input = of_ours(stage, cid) if is_ours else traded(stage, 1)
    stage.tell(trade)
    stage.after(3_000)
    stage.tell(told(stage, 9))  # a newer count, as deeper levels had changed before it froze
    assert age_ms(stage) == 4_000
    stage.after(2_000)
    assert not placed(stage)
    assert stage.facts_of("order_denied")[-1]["deny_reason"] == "stale_market_data"
    stage.tell(told(stage, 10, "100.01"))
    assert age_ms(stage) == 0, "the venue tells another book"
    assert placed(stage)


def test_a_book_that_has_the_time_of_the_venue_after_the_trade_is_young(stage: Stage) -> None:
    stage.after(1_000)
    stage.tell(traded(stage, 1))
    stage.after(4_000)
    stage.tell(told(stage, 8, dated=True))  # it was refilled to what it was
    assert age_ms(stage) == 0


def undated(at_ns: int) -> TopOfBook:
    return replace(top(ts_ns=at_ns), ts_venue_ns=0)


def test_a_trade_of_the_moment_in_which_the_book_was_told_is_in_it() -> None:
    market = LatestMarket()
    at_ns = 10 * NS_PER_S
    market.on_top(undated(at_ns), at_ns)
    market.on_book_changed(BTC, at_ns + 400 * NS_PER_MS)  # the venue's clock is ahead
    later_ns = at_ns + 4 * NS_PER_S
    assert market.on_top(undated(later_ns), later_ns)
    assert market.quote_age_ns(BTC, later_ns) == 0


def test_a_confirmation_does_not_hide_that_the_book_was_told_long_ago() -> None:
    market = LatestMarket()

    def tell(seconds: int) -> bool:
        return market.on_top(undated(seconds * NS_PER_S), seconds * NS_PER_S)

    assert tell(10)
    assert tell(14)
    market.on_book_changed(BTC, 14 * NS_PER_S)
    assert not tell(18)
    assert market.quote_age_ns(BTC, 18 * NS_PER_S) == 4 * NS_PER_S
