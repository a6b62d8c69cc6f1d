"""Every cap, and the frozen set of a run: made from config, hashed, tightened, never loosened.

Rules of this file:
0. A cap is one field here, with its unit in its name, what it bounds, and the clauses it meets.
1. Unset is zero, and zero denies. `unlimited` must be said in words, and strict mode refuses it.
2. Every violation of a config is reported at once, with its key and the mend.
3. A running daemon accepts stricter values only; loosening needs the config and a restart.
"""

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from daemon.model.amounts import plain
from daemon.model.copies import replace
from riskcaps.words.cap_values import CapViolation, is_stricter, parse_value
from riskcaps.words.caps import (
    UNLIMITED,
    UNLIMITED_COUNT,
    CapSpec,
    action,
    amount,
    by_asset,
    choice,
    count,
    floor,
    names,
    specs_of,
    windows,
)

__all__ = ["CapConfigError", "CapSet", "CapViolation", "SymbolCaps", "capset_from_mapping"]


class CapConfigError(ValueError):
    """A set of caps that may not be used. `violations` holds all of them."""

    def __init__(self, violations: tuple[CapViolation, ...]) -> None:
        self.violations = violations
        super().__init__(
            "; ".join(f"caps.{v.key}: {v.problem} ({v.mend})" for v in violations) or "no caps"
        )

    @property
    def is_loosening(self) -> bool:
        """Whether every name and value could be read, and what is wrong is that one is looser."""
        return all(one.mend is _LOOSEN for one in self.violations)


class SymbolCaps(msgspec.Struct, frozen=True, kw_only=True):
    """Caps of one symbol. Every default denies."""

    order_qty_base_max: Decimal = amount("base", "13, 34, 35", "largest quantity of one order")
    order_notional_quote_max: Decimal = amount("quote", "12, 27", "largest value of one order")
    position_long_base_max: Decimal = amount(
        "base", "21, 33", "long position + all open buys", fills=True
    )
    position_short_base_max: Decimal = amount(
        "base", "21, 33", "short position + all open sells", fills=True
    )
    exposure_quote_max: Decimal = amount(
        "quote", "26, 35, 40", "worst side of the symbol, valued", fills=True
    )
    orders_open_max: int = count(
        "orders", "4, 40", "open, in flight and unknown orders", fills=True
    )
    orders_per_minute_max: int = count(
        "orders", "14, 38", "attempts on the symbol in a minute", fills=True
    )
    traded_qty_per_day_base_max: Decimal = amount(
        "base", "13, 38", "traded in 24 h + open", fills=True
    )
    collar_bps_max: int = count("bps", "11, 33", "price's distance from reference", required=True)
    collar_reference: str = choice("11", "reference of the collar", "mid", "last")
    market_slippage_bps: int = floor(
        "bps", "12, 26", "a market order is valued this far beyond the touch"
    )
    market_data_age_ms_max: int = count("ms", "33", "age of the top of book", required=True)
    sides: tuple[str, ...] = names("17, 38", "allowed sides", "BUY", "SELL")
    order_types: tuple[str, ...] = names(
        "17, 38", "allowed order types",
        "LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT",
        "TAKE_PROFIT_LIMIT",
    )  # fmt: skip
    order_features: tuple[str, ...] = names(
        "17, 38", "orders beyond their type: a trailing stop, an iceberg, a pegged price",
        "TRAILING", "ICEBERG", "PEGGED",
    )  # fmt: skip
    times_in_force: tuple[str, ...] = names("17", "allowed times in force", "GTC", "IOC", "FOK")
    trading_windows_utc: tuple[str, ...] = windows(
        "4", 'when orders may be placed, e.g. "Mon-Fri 07:00-21:30" or "00:00-24:00"'
    )

    def unset(self) -> tuple[str, ...]:
        """Keys whose zero does not deny by arithmetic: while any is here, orders are denied."""
        return _unset(SYMBOL_CAPS, self)

    def to_plain(self) -> dict[str, Any]:
        """JSON-ready, amounts as text."""
        return {key: _plain_value(getattr(self, key)) for key in SYMBOL_CAPS}


class CapSet(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All caps of a run. Every default denies."""

    numeraire: str = choice("26", "asset that the portfolio is counted in")
    conversions: Mapping[str, tuple[str, ...]] = by_asset(
        "paths", "", "fixed", "26", "asset -> symbols to the numeraire"
    )
    exposure_gross_numeraire_max: Decimal = amount(
        "numeraire", "26, 35, 40", "sum of worst sides", fills=True
    )
    exposure_net_numeraire_max: Decimal = amount("numeraire", "26", "worst signed sum", fills=True)
    orders_open_max: int = count(
        "orders", "4, 40", "open, in flight and unknown orders", fills=True
    )
    symbols_traded_max: int = count(
        "symbols", "4, 17, 40", "symbols with a position or an open order; unset: every symbol "
        "that has a table", fills=True, optional=True,
    )  # fmt: skip
    balance_free_min: Mapping[str, Decimal] = by_asset(
        "amounts_by_asset", "asset", "higher", "17, 26",
        "free balance that must remain after holds",
    )  # fmt: skip
    orders_per_second_max: int = count(
        "orders", "14, 15, 37", "attempts in a rolling second", fills=True
    )
    orders_per_minute_max: int = count(
        "orders", "14, 15", "attempts in a rolling minute", fills=True
    )
    orders_per_hour_max: int = count("orders", "14, 15", "attempts in a rolling hour", fills=True)
    orders_per_day_max: int = count("orders", "14, 15", "attempts in a rolling day", fills=True)
    cancels_per_second_max: int = count(
        "cancels", "14, 37", "strategies' cancels in a second", fills=True
    )
    messages_per_second_max: int = count(
        "messages", "14, 37", "orders and cancels in a second", fills=True
    )
    messages_per_second_cancel_reserve: int = floor("messages", "14, 37", "part kept for cancels")
    messages_per_minute_max: int = count(
        "messages", "14, 37", "orders and cancels in a minute", fills=True
    )
    messages_per_minute_cancel_reserve: int = floor("messages", "14, 37", "part kept for cancels")
    venue_budget_percent_max: int = count(
        "percent", "14", "share of the venue's own limits that new orders may use", required=True
    )
    order_to_trade_ratio_max: Decimal = amount(
        "ratio", "14", "orders / executions of a day", required=True
    )
    order_to_trade_grace_orders: int = count("orders", "14", "orders before the ratio counts")
    traded_notional_per_day_numeraire_max: Decimal = amount(
        "numeraire", "12, 38", "24 h + open", fills=True
    )
    loss_session_numeraire_max: Decimal = amount(
        "numeraire", "18", "loss since the session began", required=True, fills=True
    )
    loss_session_action: str = action("when the session's loss reaches its cap")
    loss_day_numeraire_max: Decimal = amount(
        "numeraire", "18", "loss since 00:00 UTC", required=True, fills=True
    )
    loss_day_action: str = action("when the day's loss reaches its cap")
    drawdown_numeraire_max: Decimal = amount(
        "numeraire", "18", "fall from the peak", required=True, fills=True
    )
    drawdown_action: str = action("when the drawdown reaches its cap")
    loss_confirm_ms: int = count(
        "ms", "18", "a loss must last this long before its action (new risk is denied at once)"
    )
    loss_streak_max: int = count(
        "orders", "18", "losing orders in a row on one symbol", required=True, fills=True
    )
    loss_streak_action: str = action("when the streak reaches its cap")
    executions_without_human_max: int = count(
        "executions", "16", "executions until a named human re-enables", required=True, fills=True
    )
    venue_reject_streak_max: int = count(
        "rejects", "18, 31", "faulty orders refused in a row on one symbol", required=True,
        fills=True,
    )  # fmt: skip
    venue_reject_streak_action: str = action("when the streak reaches its cap")
    duplicate_window_ms: int = floor("ms", "27, 38", "the same order again within this is denied")
    clock_offset_ms_max: int = count("ms", "24", "offset + half round trip", required=True)
    clock_age_ms_max: int = count("ms", "24", "age of the last clock sample", required=True)
    valuation_age_ms_max: int = count(
        "ms", "26, 33", "age of prices that value the portfolio", required=True
    )
    reduce_oversized: str = choice(
        "18", "an oversized reducing order is denied, or cut to what reduces", "deny", "cut"
    )
    symbols: Mapping[str, SymbolCaps] = msgspec.field(default_factory=dict)
    bots: Mapping[str, Mapping[str, Any]] = msgspec.field(default_factory=dict)
    """What binds the orders of one bot beyond these: bot -> dotted keys, each of them stricter."""

    def __post_init__(self) -> None:
        for name in ("conversions", "balance_free_min", "symbols", "bots"):
            force_setattr(self, name, MappingProxyType(dict(getattr(self, name))))

    def unset(self) -> tuple[str, ...]:
        """Keys whose zero does not deny by arithmetic: while any is here, orders are denied."""
        missing = _unset(PORTFOLIO_CAPS, self)
        return missing if self.numeraire else ("numeraire", *missing)

    def to_plain(self) -> dict[str, Any]:
        """JSON-ready canonical form, amounts as text; `capset_from_mapping` takes it back."""
        out: dict[str, Any] = {
            key: _plain_value(getattr(self, key))
            for key, spec in PORTFOLIO_CAPS.items()
            if not (spec.optional and getattr(self, key) == UNLIMITED_COUNT)
        }
        out["symbols"] = {name: self.symbols[name].to_plain() for name in sorted(self.symbols)}
        if self.bots:
            out["bots"] = {
                name: dict(sorted(self.bots[name].items())) for name in sorted(self.bots)
            }
        return out

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) of the canonical form: what `session_start` and every decision carry."""
        text = json.dumps(self.to_plain(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def limit(self, key: str) -> Any:
        """What new orders may use of a cap: of the messages, what is not kept for cancels."""
        reserve = getattr(self, f"{key.removesuffix('_max')}_cancel_reserve", 0)
        return max(getattr(self, key) - reserve, 0) if reserve else getattr(self, key)

    def for_instrument(self, instrument_id: str) -> SymbolCaps | None:
        """Caps of one instrument: its full id first, then the bare symbol."""
        return self.symbols.get(instrument_id) or self.symbols.get(instrument_id.partition("@")[0])

    def for_bot(self, bot: str) -> "CapSet | None":
        """The caps of one bot's orders: these, made stricter by its table; None without a table.

        A reducing order of a bot is denied where it is oversized, and never cut.
        """
        if bot not in self.bots:
            return None
        made = self._changed(self.bots[bot], is_checked=False)  # it was, when it was read
        return replace(made, bots={}, reduce_oversized="deny")

    def value_of(self, key: str) -> Any:
        """The value of a dotted key, JSON-ready; None where there is no cap of that name."""
        holder, spec, _ = self._locate(key)
        return None if holder is None or spec is None else _plain_value(getattr(holder, spec.key))

    def tighten(self, changes: Mapping[str, Any]) -> "CapSet":
        """A stricter set. Keys are dotted: `orders_per_hour_max`, `symbols.BTCUSDT.sides`.

        Raises:
            CapConfigError: for unknown keys, bad values, and anything that is not stricter.
        """
        return self._changed(changes, is_checked=True)

    def _changed(self, changes: Mapping[str, Any], *, is_checked: bool) -> "CapSet":
        found: list[CapViolation] = []
        portfolio: dict[str, Any] = {}
        symbols: dict[str, dict[str, Any]] = {}
        for key, raw in changes.items():
            holder, spec, name = self._locate(key)
            if holder is None or spec is None:
                found.append(CapViolation(key, "no such cap", "see `seatrial caps explain`"))
                continue
            value = parse_value(spec, key, raw, strict=True, found=found)
            if value is None:
                continue
            if is_checked and not is_stricter(spec, getattr(holder, spec.key), value):
                found.append(CapViolation(key, "is not stricter than now", _LOOSEN))
            elif name:
                symbols.setdefault(name, {})[spec.key] = value
            else:
                portfolio[spec.key] = value
        if found:
            raise CapConfigError(tuple(found))
        merged = dict(self.symbols)
        for name, values in symbols.items():
            merged[name] = replace(merged[name], **values)
        return replace(self, **portfolio, symbols=merged)

    def _locate(self, key: str) -> tuple["CapSet | SymbolCaps | None", CapSpec | None, str]:
        head, _, rest = key.partition(".")
        if head != "symbols":
            return self, PORTFOLIO_CAPS.get(key), ""
        name, _, cap = rest.rpartition(".")
        return self.symbols.get(name), SYMBOL_CAPS.get(cap), name


SYMBOL_CAPS = specs_of(SymbolCaps)
PORTFOLIO_CAPS = specs_of(CapSet)
_LOOSEN = "loosening needs the config file and a restart"
_NOT_ABOVE = "a bot's cap is at least as strict as the account's"


def capset_from_mapping(data: Mapping[str, Any], *, strict: bool = True) -> CapSet:
    """Read the `[caps]` table of a config.

    Raises:
        CapConfigError: with every violation at once; unknown keys are violations.
    """
    found: list[CapViolation] = []
    if not isinstance(data, Mapping):
        raise CapConfigError((CapViolation("", "is not a table", "write a [caps] table"),))
    portfolio = {key: raw for key, raw in data.items() if key not in {"symbols", "bots"}}
    values = _read_table(PORTFOLIO_CAPS, portfolio, "", strict=strict, found=found)
    tables = data.get("symbols", {})
    symbols: dict[str, SymbolCaps] = {}
    if not isinstance(tables, Mapping):
        found.append(CapViolation("symbols", "is not a table", "write [caps.symbols.BTCUSDT]"))
        tables = {}
    for name, table in tables.items():
        key = f"symbols.{name}"
        if not isinstance(table, Mapping):
            found.append(CapViolation(key, "is not a table", f"write [caps.{key}]"))
            continue
        if name != name.upper() and "@" not in name:
            found.append(CapViolation(key, "is not upper case", f"write {name.upper()}"))
        read = _read_table(SYMBOL_CAPS, table, f"{key}.", strict=strict, found=found)
        symbols[name] = SymbolCaps(**read)
    if found:
        raise CapConfigError(tuple(found))
    caps = CapSet(**values, symbols=symbols)
    return replace(caps, bots=_bots_of(caps, data.get("bots", {})))


def _bots_of(caps: CapSet, tables: Any) -> dict[str, dict[str, Any]]:
    """Each bot's table as dotted keys.

    Raises:
        CapConfigError: with every violation of every bot; what is not stricter is one.
    """
    found: list[CapViolation] = []
    bots: dict[str, dict[str, Any]] = {}
    for bot, table in tables.items():
        bots[bot] = {key: raw for key, raw in table.items() if key != "symbols"}
        for symbol, row in table.get("symbols", {}).items():
            bots[bot] |= {f"symbols.{symbol}.{key}": raw for key, raw in row.items()}
        try:
            caps.tighten(bots[bot])
        except CapConfigError as error:
            for one in error.violations:
                told = replace(one, key=f"bots.{bot}.{one.key}")
                if one.mend is _LOOSEN:
                    told = replace(told, problem="is looser than [caps]", mend=_NOT_ABOVE)
                found.append(told)
    if found:
        raise CapConfigError(tuple(found))
    return bots


def _read_table(
    specs: Mapping[str, CapSpec],
    table: Mapping[str, Any],
    prefix: str,
    *,
    strict: bool,
    found: list[CapViolation],
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, raw in table.items():
        spec = specs.get(key)
        if spec is None:
            found.append(CapViolation(f"{prefix}{key}", "unknown key", _nearest(key, specs)))
            continue
        value = parse_value(spec, f"{prefix}{key}", raw, strict=strict, found=found)
        if value is not None:
            values[key] = value
    return values


def _nearest(key: str, specs: Mapping[str, CapSpec]) -> str:
    words = set(key.split("_"))
    best = max(specs, key=lambda name: len(words & set(name.split("_"))))
    return f"did you mean {best}?" if words & set(best.split("_")) else "remove it"


def _unset(specs: Mapping[str, CapSpec], holder: object) -> tuple[str, ...]:
    return tuple(k for k, spec in specs.items() if spec.required and not getattr(holder, k))


def _plain_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return "unlimited" if value >= UNLIMITED else plain(value)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Mapping):
        return {key: _plain_value(value[key]) for key in sorted(value)}
    if isinstance(value, int) and value >= UNLIMITED_COUNT:
        return "unlimited"
    return value
