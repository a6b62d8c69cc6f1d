"""A bot's own view: follows effects, finds by either id, forgets only what has ended."""

from decimal import Decimal

from daemon.model.bots import BotFill, BotOrderRow, BotState, BotView
from daemon.model.copies import replace
from daemon.model.effects import BotAnswered, BotBalances, BotOrderChanged
from daemon.model.enums import ExecType, OrderType, Side, TimeInForce, VenueOrderStatus
from daemon.model.ids import ClientOrderId, InstrumentId, VenueOrderId
from daemon.model.position import Balance
from daemon.shell.gateway import views
from daemon.shell.gateway.views import OwnView, Views, is_whole

BTC = InstrumentId("BTCUSDT@sim")
NEW, CANCELED = VenueOrderStatus.NEW, VenueOrderStatus.CANCELED


def row(number: int, status: VenueOrderStatus | None = NEW, name: str = "") -> BotOrderRow:
    return BotOrderRow(
        bot="ft",
        client_order_id=name or f"mine-{number}",
        own_id=ClientOrderId(f"st-{number}"),
        instrument_id=BTC,
        venue_order_id=VenueOrderId(str(number)) if status is not None else None,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        status=status,
        qty=Decimal("0.002"),
        price=Decimal(60_000),
        stop_price=None,
        ts_placed_ns=number,
        ts_updated_ns=number,
    )


def view(*rows: BotOrderRow) -> OwnView:
    made = BotView(
        bot="ft", state=BotState.ACTIVE, reason="", symbols=("BTCUSDT",), orders=rows, balances=()
    )
    return OwnView(made)


def test_an_order_is_found_by_either_id_and_only_when_both_fit() -> None:
    mine = view(row(9), row(10))
    assert mine.find(BTC, "mine-9", "") == row(9)
    assert mine.find(BTC, "", "10") == row(10)
    assert mine.find(BTC, "mine-9", "9") == row(9)
    assert mine.find(BTC, "mine-9", "10") is None
    assert mine.find(InstrumentId("ETHUSDT@sim"), "mine-9", "") is None
    assert mine.find(BTC, "unknown", "") is None


def test_orders_come_by_the_venues_number_not_by_its_text() -> None:
    assert [one.own_id for one in view(row(10), row(9), row(100)).orders()] == [
        "st-9",
        "st-10",
        "st-100",
    ]


def test_an_id_may_be_used_again_and_means_the_newest_order() -> None:
    mine = view(row(1, CANCELED, "again"))
    mine.take(row(2, NEW, "again"))
    found = mine.find(BTC, "again", "")
    assert found is not None
    assert found.own_id == "st-2"
    assert len(mine.orders()) == 2


def test_what_the_venue_never_had_is_forgotten_and_what_is_in_doubt_is_not() -> None:
    mine = view(row(1, None), row(2, None))
    mine.take(replace(row(1, None), status=VenueOrderStatus.REJECTED))
    assert mine.find(BTC, "mine-1", "") is None
    assert mine.find(BTC, "mine-2", "") is not None
    assert mine.open_orders() == []


def test_only_ended_orders_are_forgotten_the_oldest_first() -> None:
    mine = view(row(1))
    for number in range(2, views.ENDED_MAX + 4):
        mine.take(row(number, CANCELED))
    assert mine.find(BTC, "mine-1", "") is not None
    assert mine.find(BTC, "mine-2", "") is None
    assert mine.find(BTC, "", "3") is None
    assert mine.find(BTC, "mine-4", "") is not None


def test_effects_are_followed_by_bot() -> None:
    all_of_them = Views(
        BotView(bot=name, state=BotState.ACTIVE, reason="", symbols=(), orders=(), balances=())
        for name in ("ft", "other")
    )
    fill = BotFill(
        trade_id=7, qty=Decimal("0.002"), price=Decimal(1), fee=Decimal(0), fee_asset="BTC",
        is_maker=False, ts_venue_ns=3,
    )  # fmt: skip
    traded = replace(row(1, VenueOrderStatus.FILLED), cum_qty=Decimal("0.002"), fills=(fill,))
    all_of_them.follow(BotAnswered(bot="ft", request=1, rows=(row(1),)))
    assert [one.own_id for one in all_of_them["ft"].open_orders()] == ["st-1"]
    all_of_them.follow(BotOrderChanged(bot="ft", row=traded, exec_type=ExecType.TRADE, fill=fill))
    all_of_them.follow(BotBalances(bot="ft", rows=(Balance("BTC", Decimal(1), Decimal(0)),)))
    assert all_of_them["ft"].open_orders() == []
    assert list(all_of_them["ft"].fills(BTC)) == [(traded, fill)]
    assert all_of_them["ft"].balances()[0].free == 1
    assert all_of_them["other"].orders() == []
    assert is_whole(traded)
    assert not is_whole(replace(traded, fills=()))
