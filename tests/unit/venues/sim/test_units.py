from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.venues.binance_spot.serving.units import (
    E8,
    UnitError,
    decimal_of_e8,
    e8_of,
    quote_of,
    text_of,
)
from daemon.venues.sim.listed_symbols import SYMBOLS, UnknownSymbolError, spec_of


@given(st.decimals(min_value=0, max_value=10**12, places=8, allow_nan=False))
def test_text_survives_the_round_trip_exactly(amount: Decimal) -> None:
    units = e8_of(format(amount, "f"))
    assert Decimal(text_of(units)) == amount
    assert decimal_of_e8(units) == amount


@pytest.mark.parametrize("text", ["", "-1", "1e3", "1.", ".5", "NaN", "1,0", " 1", "1.2.3", "٣"])
def test_other_spellings_of_numbers_are_refused(text: str) -> None:
    with pytest.raises(UnitError) as caught:
        e8_of(text)
    assert not caught.value.too_precise


def test_a_ninth_decimal_is_too_precise_unless_it_is_zero() -> None:
    assert e8_of("0.123456780") == 12_345_678
    with pytest.raises(UnitError) as caught:
        e8_of("0.123456789")
    assert caught.value.too_precise


@pytest.mark.parametrize("spec", SYMBOLS.values(), ids=lambda spec: spec.symbol)
def test_price_times_quantity_is_exact_on_every_symbol(spec: object) -> None:
    tick, step = spec.tick, spec.step  # type: ignore[attr-defined]
    price, qty = tick * 12_347, step * 991
    assert quote_of(price, qty) * E8 == price * qty


def test_an_unknown_symbol_names_the_known_ones() -> None:
    with pytest.raises(UnknownSymbolError, match="BTCUSDT"):
        spec_of("NOPE")
