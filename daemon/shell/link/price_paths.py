"""Which prices the valuation of an account needs and has not, and what would give them.

Rules of this file:
1. Pure. The caps declare paths (`conversions`); a path holds only when every one of its symbols is
   among `venue.symbols`: a price that nobody watches is none.
2. Each missing price is named with the lines that would give it. The gate itself goes by
   `riskcaps.state.conversion`; a test holds both to the same answer.
"""

from collections.abc import Mapping, Sequence

import msgspec

from daemon.model.instrument import Instrument


class PriceCaps(msgspec.Struct, frozen=True):
    """What the caps say of prices."""

    numeraire: str
    conversions: Mapping[str, Sequence[str]]


class MissingPrice(msgspec.Struct, frozen=True):
    """An asset that cannot be valued, why it must be, and what stands in the way."""

    asset: str
    needed_for: str
    problem: str

    @property
    def sentence(self) -> str:
        """For a person."""
        return f"{self.asset} has no price ({self.needed_for}): {self.problem}"


def missing_prices(
    instruments: Sequence[Instrument],
    numeraire: str,
    conversions: Mapping[str, Sequence[str]],
    fee_assets: Sequence[str] = (),
) -> list[MissingPrice]:
    """Every asset that our trading will have to value and that has no path to the numeraire.

    Args:
        instruments: what we watch, as the venue lists it.
        numeraire: what the portfolio is counted in.
        conversions: the declared paths.
        fee_assets: what fees may be paid in, beside base and quote.
    """
    pairs = {one.symbol: (one.base, one.quote) for one in instruments}
    needed: dict[str, str] = {}
    for one in instruments:
        needed.setdefault(one.quote, f"{one.symbol} is quoted in it")
    for asset in fee_assets:
        needed.setdefault(asset, "fees of this account are paid in it")
    found = []
    for asset, needed_for in sorted(needed.items()):
        problem = _problem(asset, numeraire, conversions.get(asset), pairs)
        if asset != numeraire and problem:
            found.append(MissingPrice(asset, needed_for, problem))
    return found


def _problem(
    asset: str,
    numeraire: str,
    path: Sequence[str] | None,
    pairs: Mapping[str, tuple[str, str]],
) -> str:
    """Why a path does not lead to the numeraire; empty when it does."""
    if not path:
        return "no path in [caps.conversions]"
    at = asset
    for symbol in path:
        if symbol not in pairs:
            return f"its path goes by {symbol}, which is not among venue.symbols"
        base, quote = pairs[symbol]
        if at not in (base, quote):
            return f"its path goes by {symbol}, which does not trade {at}"
        at = quote if at == base else base
    return "" if at == numeraire else f"its path ends at {at}, not at {numeraire}"


def offer(missing: MissingPrice, pair: str, *, has_symbol: bool) -> str:
    """The lines of the configuration that would give a price."""
    path = f'add {missing.asset} = ["{pair}"] to [caps.conversions]'
    return path if has_symbol else f'{path}, and "{pair}" to venue.symbols'
