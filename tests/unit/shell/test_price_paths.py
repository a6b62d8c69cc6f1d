"""Missing prices: `doctor` and the gate give the same answer, and each is named with its mend."""

import itertools
import random

import pytest

from daemon.shell.link.price_paths import missing_prices, offer
from riskcaps.state.conversion import Rates
from riskcaps.state.symbol_book import SymbolBook
from tests.support.builders import instrument

ASSETS = ("USDT", "BTC", "ETH", "BNB")
PAIRS = [a + b for a, b in itertools.permutations(ASSETS, 2)]
CONVERSIONS = {"BTC": ("BTCUSDT",), "BNB": ("BNBUSDT",), "ETH": ("ETHBTC", "BTCUSDT")}


def listed(symbol: str) -> object:
    base = next(one for one in ASSETS if symbol.startswith(one))
    return instrument(symbol, base=base, quote=symbol.removeprefix(base))


@pytest.mark.parametrize("seed", range(200))
def test_it_agrees_with_the_gate_on_every_path(seed: int) -> None:
    rng = random.Random(seed)
    symbols = rng.sample(PAIRS, rng.randrange(1, 6))
    paths = {
        asset: tuple(rng.choice([*symbols, *PAIRS]) for _ in range(rng.randrange(1, 3)))
        for asset in rng.sample(ASSETS, rng.randrange(0, 4))
    }
    instruments = [listed(symbol) for symbol in symbols]
    books = []
    for one in instruments:
        book = SymbolBook(one.instrument_id)  # type: ignore[attr-defined]
        book.set_instrument(one)  # type: ignore[arg-type]
        books.append(book)
    rates = Rates()
    rates.rebuild("USDT", paths, books)
    found = {
        one.asset
        for one in missing_prices(instruments, "USDT", paths, ASSETS)  # type: ignore[arg-type]
    }
    for asset in ASSETS:
        assert (asset in found) == (asset != "USDT" and not rates.legs(asset)), (
            asset,
            symbols,
            paths,
        )


def test_a_fee_asset_without_a_watched_pair_is_named_with_what_gives_its_price() -> None:
    btc = listed("BTCUSDT")
    (missing,) = missing_prices([btc], "USDT", {"BTC": ("BTCUSDT",)}, ("BNB",))  # type: ignore[list-item]
    assert missing.asset == "BNB"
    assert "no path in [caps.conversions]" in missing.sentence
    text = offer(missing, "BNBUSDT", has_symbol=False)
    assert text == 'add BNB = ["BNBUSDT"] to [caps.conversions], and "BNBUSDT" to venue.symbols'
    (declared,) = missing_prices([btc], "USDT", CONVERSIONS, ("BNB",))  # type: ignore[list-item]
    assert "BNBUSDT, which is not among venue.symbols" in declared.sentence


def test_a_quote_that_is_not_the_numeraire_needs_a_path() -> None:
    found = missing_prices([listed("ETHBTC")], "USDT", CONVERSIONS)  # type: ignore[list-item]
    assert [one.asset for one in found] == ["BTC"]
    assert missing_prices([listed("ETHBTC"), listed("BTCUSDT")], "USDT", CONVERSIONS) == []  # type: ignore[list-item]
