"""What the accountant holds against the position caps, fill by fill."""

from decimal import Decimal

from evidence.folds.cap_fold import CapTable
from evidence.folds.exposure_fold import ExposureBook, Use, Working, quantity_uses

CAPS = CapTable({"symbols": {"BTCUSDT": {"position_short_base_max": "1"}}})


def short(book: ExposureBook) -> Use:
    uses = quantity_uses(book, CAPS, "BTCUSDT")
    return next(use for use in uses if use.cap == "position_short_base_max")


def sold(book: ExposureBook, key: str, qty: str, fee: str) -> Use:
    book.fill(key, "BTCUSDT", is_buy=False, qty=Decimal(qty), price=Decimal(100))
    book.fee_in_base(key, "BTCUSDT", Decimal(fee), is_buy=False)
    return short(book)


def test_a_fee_in_base_of_a_sell_is_no_breach_until_the_next_sell_counts_it() -> None:
    book = ExposureBook()
    book.place("a", Working("BTCUSDT", is_buy=False, leaves=Decimal(1), price=Decimal(100)), 1)
    assert not short(book).is_breach
    assert not sold(book, "a", "0.6", "0.001").is_breach
    assert not sold(book, "a", "0.4", "0.002").is_breach
    assert sold(book, "a", "0.001", "0").is_breach
    book.place("b", Working("BTCUSDT", is_buy=False, leaves=Decimal(0), price=Decimal(100)), 2)
    assert short(book).used == Decimal("1.004")


def test_a_fee_in_base_of_a_buy_gives_no_room() -> None:
    book = ExposureBook()
    book.place("a", Working("BTCUSDT", is_buy=False, leaves=Decimal(1), price=Decimal(100)), 1)
    sold(book, "a", "1", "0")
    book.fee_in_base("b", "BTCUSDT", Decimal("0.001"), is_buy=True)
    assert short(book).is_breach


def test_a_cap_of_the_portfolio_is_not_that_of_a_nameless_symbol() -> None:
    table = CapTable({"orders_per_second_max": "3", "symbols": {}})
    assert table.symbol("", "orders_per_second_max") == 0
    assert table.portfolio("orders_per_second_max") == 3
    assert table.symbol("", "orders_per_second_max") == 0
