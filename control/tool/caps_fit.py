"""Caps for a symbol that a preset does not know: drawn from what the venue says of it.

Rules of this file:
1. Pure: texts and facts in, a text out; `fit` asks the venue through the function that it is given.
2. Every line that is written says why its number is what it is: people read them there.
3. The pattern is a preset's first symbol. Nothing is ever looser than the pattern, in value.
"""

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any

from control.control_errors import ControlError

ORDER_SHARE_OF_DAY = Decimal("0.001")
"""An order is worth at most so much of what the symbol trades in a day."""
DAY_SHARE_OF_DAY = Decimal("0.1")
"""And all of ours in a day at most so much."""
TICKS_IN_COLLAR = 5
_BPS = 10_000
_IN_BASE = {
    "position_long_base_max": "position and open buys",
    "position_short_base_max": "short position and open sells",
}


class WizardError(ControlError):
    """A choice is invalid or a file exists already; the message says what to do."""


def symbols_of(caps_text: str) -> tuple[str, ...]:
    """The symbols that a caps text has limits for: no other can be traded.

    Raises:
        WizardError: it is no TOML with a [caps] table.
    """
    try:
        caps = tomllib.loads(caps_text)["caps"]
        return tuple(caps.get("symbols", {}))
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise WizardError(f"the caps file is no TOML with a [caps] table: {error}") from None


def lacking(caps_text: str, symbols: Sequence[str]) -> tuple[str, ...]:
    """The symbols that a caps text has no limits for, and what is needed to value them."""
    return tuple(symbol for symbol in symbols if symbol not in symbols_of(caps_text))


def cross_pairs(caps_text: str, quote: str) -> tuple[str, ...]:
    """Symbols that could price a quote asset in what the caps count in; none for that itself."""
    numeraire = str(tomllib.loads(caps_text)["caps"].get("numeraire", ""))
    return () if quote == numeraire else (f"{quote}{numeraire}", f"{numeraire}{quote}")


_SEE_NAME = "see its name in the venue's exchangeInfo"


def fit(
    caps_text: str,
    symbols: Sequence[str],
    facts_of: Callable[[Sequence[str]], Mapping[str, Mapping[str, str]]],
) -> tuple[str, tuple[str, ...]]:
    """A caps text with limits for every symbol, and the symbols whose prices that needs besides.

    Args:
        caps_text: a preset.
        symbols: those to be traded.
        facts_of: asks the venue (`fitted` says what of); leaves out what it does not list.

    Raises:
        WizardError: the venue does not list a symbol, or caps cannot be fitted to it.
    """
    absent = lacking(caps_text, symbols)
    facts = {name: dict(row) for name, row in (facts_of(absent) if absent else {}).items()}
    pairs: list[str] = []
    for symbol in absent:
        if symbol not in facts:
            name = symbol.upper()
            is_meant = name != symbol and (name in symbols_of(caps_text) or facts_of([name]))
            mend = f"did you mean {name}?" if is_meant else _SEE_NAME
            raise WizardError(f"the venue does not list {symbol}; {mend}")
        crosses = cross_pairs(caps_text, facts[symbol]["quote"])
        found = facts_of(crosses) if crosses else {}
        for pair in (name for name in crosses if name in found):
            facts[symbol] |= {"pair": pair, "rate": rate_of(pair, found, facts[symbol])}
            pairs.append(pair)
            break
    for symbol in absent:
        caps_text = fitted(caps_text, symbol, facts[symbol], (*symbols, *pairs))
    return caps_text, tuple(dict.fromkeys(pair for pair in pairs if pair not in symbols))


def rate_of(pair: str, found: Mapping[str, Mapping[str, str]], facts: Mapping[str, str]) -> str:
    """What one of a symbol's quote is worth, by the price of a pair in either direction."""
    told = found[pair]
    price = Decimal(told["price"])
    return str(price if told["base"] == facts["quote"] else 1 / price)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the venue says of a symbol; amounts in its own base and quote. 0: not known."""

    symbol: str
    base: str
    quote: str
    price: Decimal
    lot: Decimal
    tick: Decimal
    least: Decimal
    day_volume: Decimal
    orders_open: int
    order_types: tuple[str, ...]
    rate: Decimal
    """What one of its quote is worth in the numeraire."""


def _facts_of(symbol: str, told: Mapping[str, str]) -> _Facts:
    def amount(name: str, unknown: str = "0") -> Decimal:
        return Decimal(told.get(name, unknown))

    return _Facts(
        symbol=symbol, base=told["base"], quote=told["quote"], price=amount("price"),
        lot=amount("lot"), tick=amount("tick"), least=amount("notional_min"),
        day_volume=amount("day_volume"), orders_open=int(told.get("orders_open", "0")),
        order_types=tuple(told.get("order_types", "").split()), rate=amount("rate", "1"),
    )  # fmt: skip


def fitted(
    caps_text: str, symbol: str, told: Mapping[str, str], watched: Sequence[str] = ()
) -> str:
    """A caps text with limits for one more symbol, worth at most as much as those of its first one.

    Args:
        caps_text: a preset, with at least one symbol.
        symbol: one that the text has no limits for.
        told: `base`, `quote`, `lot`, `notional_min`, `price`, and where known `tick`, `day_volume`
            (in quote), `orders_open`, `order_types`, as text; for a quote that is not the numeraire
            also `rate` (what one of it is worth) and `pair` (who says).
        watched: symbols whose prices the box will hear; a path over any other is replaced.

    Raises:
        WizardError: nothing prices the symbol's quote, or an order that these caps allow would be
            below the venue's least.
    """
    caps = tomllib.loads(caps_text)["caps"]
    numeraire, rows = str(caps.get("numeraire", "")), caps.get("symbols", {})
    if not rows:
        raise WizardError("the caps file has no symbol that could be the pattern of another")
    facts, pair = _facts_of(symbol, told), told.get("pair", "")
    if facts.quote != numeraire and not pair:
        raise WizardError(
            f"{symbol} is quoted in {facts.quote}, these caps count in {numeraire}, and the venue "
            f"lists no symbol of both: write [caps.symbols.{symbol}] and a conversion of "
            f"{facts.quote}"
        )
    pattern = next((name for name in rows if name.endswith(numeraire)), next(iter(rows)))
    row = rows[pattern]
    if Decimal(row["order_notional_quote_max"]) < 2 * facts.least * facts.rate:
        raise WizardError(
            f"these caps allow orders of {row['order_notional_quote_max']} {numeraire}, {symbol} "
            f"takes none below {_plain(facts.least)} {facts.quote}: take a preset of larger orders"
        )
    caps_text = _with_paths(caps_text, facts, pair, numeraire, watched)
    day = facts.day_volume
    traded = f"{_rounded(day)} {facts.quote}" if day else "not known"
    lines = [
        f"# Fitted by `seatrial init` from {pattern}. The venue said: price {told['price']}, lot",
        f"# {told['lot']}, least order {_plain(facts.least)} {facts.quote}, 24 h {traded}.",
        f"[caps.symbols.{_key(symbol)}]",
    ]
    for name, value, why in _rows(facts, row, pattern):
        lines.append(f"{f'{name} = {json.dumps(value)}':<44} # {why}")
    return caps_text.rstrip("\n") + "\n\n" + "\n".join(lines) + "\n"


def _rows(facts: _Facts, row: Mapping[str, Any], pattern: str) -> Iterator[tuple[str, Any, str]]:
    """Every cap of the symbol: its name, its value, and why."""
    notional, why = _notional(facts, Decimal(row["order_notional_quote_max"]), pattern)
    order_qty = _lots(notional / facts.price, facts.lot)
    share = notional * facts.rate / Decimal(row["order_notional_quote_max"])
    of_pattern = Decimal(row["order_qty_base_max"])
    for name, value in row.items():
        if name == "order_notional_quote_max":
            yield name, _plain(notional), why
        elif name == "order_qty_base_max":
            yield (
                name,
                _plain(order_qty),
                f"that value at a price of {_plain(facts.price)}, in lots",
            )
        elif name in _IN_BASE:
            times = Decimal(value) / of_pattern
            qty = _plain(_lots(times * order_qty, facts.lot))
            yield name, qty, f"{_IN_BASE[name]}: {_rounded(times)} orders, as {pattern}"
        elif name == "traded_qty_per_day_base_max":
            yield name, *_day_qty(facts, Decimal(value) / of_pattern * order_qty, pattern)
        elif name.endswith("_quote_max"):
            worth = _plain(_lots(Decimal(value) * share / facts.rate, Decimal(0)))
            yield name, worth, f"as many orders' worth as {pattern}"
        elif name == "orders_open_max" and 0 < facts.orders_open < value:
            yield name, facts.orders_open, "the venue takes no more"
        elif name == "collar_bps_max" and _tick_bps(facts) * TICKS_IN_COLLAR > value:
            wide = int(_tick_bps(facts) * TICKS_IN_COLLAR) + 1
            yield name, wide, f"{TICKS_IN_COLLAR} ticks: one is {_rounded(_tick_bps(facts))} bps"
        elif name == "order_types" and facts.order_types:
            known = [one for one in value if one in facts.order_types]
            yield name, known, f"those of {pattern} that the venue takes here"
        else:
            yield name, value, f"as {pattern}"


def _notional(facts: _Facts, of_pattern: Decimal, pattern: str) -> tuple[Decimal, str]:
    """The value of the largest order in quote, and why."""
    as_pattern = of_pattern / facts.rate
    worth = as_pattern if facts.rate == 1 else _lots(as_pattern, Decimal(0))
    said = f"as {pattern}" if facts.rate == 1 else f"worth as much as of {pattern}"
    thin = facts.day_volume * ORDER_SHARE_OF_DAY
    if not facts.day_volume:
        return worth, f"{said}; the venue told no volume"
    if thin >= worth:
        return worth, f"{said}; {_rounded(worth / facts.day_volume * 100)} % of a day's trades"
    floor = 2 * facts.least
    if thin < floor:
        return floor, f"twice the venue's least order: {facts.symbol} hardly trades"
    return _lots(thin, Decimal(0)), f"{_rounded(ORDER_SHARE_OF_DAY * 100)} % of a day's trades"


def _day_qty(facts: _Facts, as_pattern: Decimal, pattern: str) -> tuple[str, str]:
    of_day = facts.day_volume / facts.price * DAY_SHARE_OF_DAY
    least = _lots(as_pattern, facts.lot)
    if 0 < of_day < as_pattern:
        qty = max(_lots(of_day, facts.lot), _lots(4 * facts.least / facts.price, facts.lot))
        return _plain(qty), f"{_rounded(DAY_SHARE_OF_DAY * 100)} % of what is traded in a day"
    return _plain(least), f"as many orders as {pattern}"


def _tick_bps(facts: _Facts) -> Decimal:
    return facts.tick / facts.price * _BPS


def _with_paths(
    caps_text: str, facts: _Facts, pair: str, numeraire: str, watched: Sequence[str]
) -> str:
    """The text with a way to value base and quote over prices that the box hears."""
    caps = tomllib.loads(caps_text)["caps"]
    paths = {facts.base: (facts.symbol, *((pair,) if pair else ()))}
    if pair:
        paths[facts.quote] = (pair,)
    for asset, path in paths.items():
        known = caps.get("conversions", {}).get(asset, ())
        if asset != numeraire and not (known and set(known) <= {facts.symbol, pair, *watched}):
            caps_text = _with_path(caps_text, asset, path)
    return caps_text


def lines_of(caps_text: str, symbol: str) -> list[str]:
    """The lines of a fitted symbol, as they stand in the text."""
    _, _, rest = caps_text.partition(f"[caps.symbols.{_key(symbol)}]\n")
    return rest.partition("\n\n")[0].strip("\n").splitlines()


def _with_path(caps_text: str, asset: str, path: Sequence[str]) -> str:
    """The text with a new conversion path from an asset to the numeraire."""
    head, mark, tail = caps_text.partition("[caps.conversions]\n")
    if not mark:
        head, mark, tail = caps_text.rstrip("\n") + "\n\n", "[caps.conversions]\n", ""
    table, bracket, rest = tail.partition("\n[")
    kept = [line for line in table.split("\n") if line.partition("=")[0].strip() != _key(asset)]
    said = f"{_key(asset)} = {json.dumps(list(path), ensure_ascii=False)}"
    return head + mark + "\n".join([said, *kept]) + bracket + rest


def _lots(qty: Decimal, lot: Decimal) -> Decimal:
    """An amount rounded to two significant digits and whole lots, at least one lot."""
    rounded = qty.quantize(Decimal(1).scaleb(qty.adjusted() - 1), rounding=ROUND_DOWN)
    step = lot or Decimal("0.00000001")
    return max(rounded // step, Decimal(1)) * step


def _rounded(number: Decimal) -> str:
    """Two significant digits, for a comment."""
    return _plain(Decimal(f"{number:.2g}"))


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _key(symbol: str) -> str:
    """A TOML key: quoted where it is not plain ASCII."""
    return (
        symbol if symbol.isascii() and symbol.isalnum() else json.dumps(symbol, ensure_ascii=False)
    )
