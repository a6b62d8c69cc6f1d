"""The INPUT line's text: the encoder of frequent kinds writes what the general form writes."""

from decimal import Decimal

import orjson
import pytest

from daemon.model.enums import LiquidityFlag, OrderType, Side, TimeInForce, VenueOrderStatus
from daemon.model.ids import ClientOrderId
from daemon.model.inputs import (
    BalancesChanged,
    BotPlace,
    Input,
    InstrumentsLoaded,
    MarketData,
    PublicTrade,
    TimerFired,
    VenueReject,
    VenueReport,
)
from daemon.model.market import TradeTick
from daemon.model.order_features import OrderExtras, PegPrice
from daemon.model.plain_values import from_tagged, to_tagged
from daemon.model.position import Balance
from daemon.model.reports import Reject
from daemon.shell.journal.input_lines import FREQUENT, input_text
from tests.support.builders import BTC, T0, fill, instrument, report, top

CID = ClientOrderId("stabc123-1-7")
ODD_AMOUNTS = ["0.00000001", "1E-8", "1E+3", "100.00", "0", "-0.0", "123456789012345678.12345678"]


def inputs() -> list[Input]:
    """One of each frequent kind, with every part that a line can hold."""
    filled = report(CID, VenueOrderStatus.FILLED, fills=(fill(CID, 1, "0.1"),))
    return [
        MarketData(top()),
        PublicTrade(TradeTick(BTC, 5, Side.SELL, Decimal("99.10"), Decimal("0.5"), 1, 2)),
        VenueReport(report(CID)),
        VenueReport(filled),
        BalancesChanged(
            tuple(Balance("USDT", Decimal(one), Decimal(0)) for one in ODD_AMOUNTS), T0
        ),
        TimerFired('strategy:a:"quoted" \\ ü \u2028 \x07'),
        BotPlace(
            bot="ft",
            request=7,
            client_order_id="own",
            instrument_id=BTC,
            side=Side.BUY,
            order_type=OrderType.LIMIT,
            qty=Decimal("0.00001000"),
            price=Decimal("1E+3"),
            time_in_force=TimeInForce.GTC,
            tags=(("strategyId", "7"),),
            proof="a=1&signature=ü/+=",
            extras=OrderExtras(iceberg_qty=Decimal("0.1"), peg=PegPrice.PRIMARY_PEG, peg_levels=1),
        ),
        BotPlace(
            bot="ft",
            request=8,
            client_order_id="own",
            instrument_id=BTC,
            side=Side.SELL,
            order_type=OrderType.MARKET,
            quote_qty=Decimal(12),
            is_test=True,
        ),
        VenueReject(
            Reject(client_order_id=CID, instrument_id=BTC, code=-1, reason="é\n", ts_recv_ns=T0)
        ),
    ]


@pytest.mark.parametrize("item", inputs(), ids=lambda item: type(item).__name__)
def test_the_quick_text_is_the_general_text(item: Input) -> None:
    assert input_text(item) == orjson.dumps({"input": to_tagged(item)})


@pytest.mark.parametrize("item", inputs(), ids=lambda item: type(item).__name__)
def test_a_replay_reads_back_what_was_told(item: Input) -> None:
    assert from_tagged(Input, orjson.loads(input_text(item))["input"]) == item


def test_every_frequent_kind_is_compared_here() -> None:
    assert {type(item) for item in inputs()} == set(FREQUENT)


def test_a_rare_kind_takes_the_general_road() -> None:
    item = InstrumentsLoaded((instrument("BTCUSDT"),))
    assert orjson.loads(input_text(item))["input"] == to_tagged(item)


def test_liquidity_and_flags_stand_in_the_text() -> None:
    item = VenueReport(report(CID, VenueOrderStatus.FILLED, fills=(fill(CID, 1, "0.1"),)))
    told = orjson.loads(input_text(item))["input"]["report"]["fills"][0]
    assert told["liquidity"] in {flag.value for flag in LiquidityFlag}
    assert told["recovered"] is False
