"""Rates to the numeraire along declared paths, and worst-case values, by hand arithmetic."""

from decimal import Decimal

import pytest

from daemon.model.amounts import ZERO
from daemon.model.ids import InstrumentId, instrument_id
from riskcaps.gate.interceptor import Interceptor
from riskcaps.state.conversion import PAR, worst_value
from tests.unit.riskcaps.kit import T0, D, bare_gate, caps_of, instrument, symbol_caps, top

BTCUSDT, ETHBTC = instrument_id("BTCUSDT", "sim"), instrument_id("ETHBTC", "sim")
NAMES = (BTCUSDT, ETHBTC)


def gate_of(conversions: dict[str, list[str]], numeraire: str = "USDT") -> Interceptor:
    symbols = {"BTCUSDT": symbol_caps(), "ETHBTC": symbol_caps()}
    data = caps_of(symbols=symbols, numeraire=numeraire, conversions=conversions)
    if numeraire != "USDT":
        data["balance_free_min"] = {}
    gate = bare_gate(data)
    gate.risk.on_instruments(
        [instrument(BTCUSDT), instrument(ETHBTC, base="ETH", quote="BTC", symbol="ETHBTC")]
    )
    return gate


def tell(gate: Interceptor, name: InstrumentId, bid: str, ask: str, at_ns: int = T0) -> None:
    gate.risk.on_top(top(bid, ask, at_ns, name), at_ns)


def test_a_path_multiplies_lows_and_highs_and_is_as_old_as_its_oldest_price() -> None:
    gate = gate_of({"BTC": ["BTCUSDT"], "ETH": ["ETHBTC", "BTCUSDT"]})
    assert gate.risk.books.rates.rate("ETH") is None
    tell(gate, BTCUSDT, "99", "101", T0)
    assert gate.risk.books.rates.rate("ETH") is None
    assert gate.risk.books.rates.rate("BTC") == (D(99), D(101), T0)
    tell(gate, ETHBTC, "0.04", "0.05", T0 + 7)
    assert gate.risk.books.rates.rate("ETH") == (D("3.96"), D("5.05"), T0)
    tell(gate, BTCUSDT, "199", "201", T0 + 9)
    assert gate.risk.books.rates.rate("ETH") == (D("7.96"), D("10.05"), T0 + 7)
    assert gate.risk.books.rates.rate("USDT") is PAR
    assert gate.risk.books.rates.rate("XRP") is None
    assert [book.symbol for book in gate.risk.books.rates.books_of("ETH")] == ["ETHBTC", "BTCUSDT"]
    assert gate.risk.books.rates.books_of("USDT") == gate.risk.books.rates.books_of("XRP") == ()


def test_a_leg_that_runs_backward_divides_and_rounds_against_us() -> None:
    gate = gate_of({"USDT": ["BTCUSDT"], "ETH": ["ETHBTC"]}, numeraire="BTC")
    tell(gate, BTCUSDT, "3", "7", T0)
    tell(gate, ETHBTC, "0.04", "0.05", T0)
    found = gate.risk.books.rates.rate("USDT")
    assert found is not None
    low, high, _ = found
    assert low * 7 < 1 < (low + D("1E-35")) * 7, "rounded down"
    assert (high - D("1E-35")) * 3 < 1 < high * 3, "rounded up"
    assert gate.risk.books.rates.rate("ETH") == (D("0.04"), D("0.05"), T0)


@pytest.mark.parametrize(("bid", "ask"), [("100", "100"), ("101", "100"), ("0", "1")])
def test_a_price_that_means_nothing_makes_no_rate(bid: str, ask: str) -> None:
    gate = gate_of({"BTC": ["BTCUSDT"], "ETH": ["ETHBTC", "BTCUSDT"]})
    tell(gate, ETHBTC, "0.04", "0.05")
    tell(gate, BTCUSDT, bid, ask)
    assert gate.risk.books.rates.rate("ETH") is None
    tell(gate, BTCUSDT, "0.5", "0.6")
    assert gate.risk.books.rates.rate("ETH") == (D("0.020"), D("0.030"), T0)


@pytest.mark.parametrize(
    "path", [["ETHBTC"], ["BTCUSDT", "ETHBTC"], ["ETHBTC", "BTCUSDT", "BTCUSDT"], ["NOSUCH"]]
)
def test_a_path_that_does_not_lead_there_makes_no_rate(path: list[str]) -> None:
    gate = gate_of({"BTC": ["BTCUSDT"], "ETH": path})
    for name in NAMES:
        tell(gate, name, "2", "3")
    assert gate.risk.books.rates.rate("ETH") is None
    assert gate.risk.books.rates.rate("BTC") == (D(2), D(3), T0)


RATE = (D(2), D(3), 1)


@pytest.mark.parametrize(
    ("long_worst", "short_worst", "rate", "worth"),
    [
        ("5", "-5", RATE, ("165", "165", "-100")),  # 5 * 11 * 3; -5 * 10 * 2
        ("-5", "5", RATE, ("165", "-100", "165")),
        ("5", "2", RATE, ("165", "165", "66")),
        ("2", "5", RATE, ("165", "66", "165")),
        ("-1", "-2", RATE, ("0", "-20", "-40")),
        ("0", "0", RATE, ("0", "0", "0")),
        ("5", "-5", PAR, ("55", "55", "-50")),
        ("0.5", "0.25", PAR, ("5.5", "5.5", "2.75")),
    ],
)
def test_worst_values(
    long_worst: str, short_worst: str, rate: tuple[Decimal, Decimal, int], worth: tuple[str, ...]
) -> None:
    """What adds risk counts at the high price and rate, what takes it off at the low."""
    found = worst_value(D(long_worst), D(short_worst), D(11), D(10), rate)
    assert found == tuple(D(one) for one in worth)
    assert found[0] >= ZERO


def test_a_symbol_that_does_not_hold_the_asset_is_no_step_of_its_path() -> None:
    """Taken backward it would end at the numeraire, and value one asset at another's price."""
    gate = gate_of({"ETH": ["BTCUSDT"], "USDT": ["BTCUSDT"]}, numeraire="BTC")
    for name in NAMES:
        tell(gate, name, "2", "3")
    assert gate.risk.books.rates.rate("USDT") is not None
    assert gate.risk.books.rates.rate("ETH") is None
