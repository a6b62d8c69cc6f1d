"""The frozen set of caps of a run: made from config, hashed, tightened, never loosened.

Rules of this file:
1. Unset is zero, and zero denies. `unlimited` must be said in words, and strict mode refuses it.
2. Every violation of a config is reported at once, with its key and the mend.
3. A running daemon accepts stricter values only; loosening needs the config and a restart.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Any

from daemon.model.amounts import ZERO, plain
from riskcaps.cap_values import CapViolation, is_stricter, parse_value
from riskcaps.caps import PORTFOLIO_CAPS, SYMBOL_CAPS, UNLIMITED, UNLIMITED_COUNT, CapSpec

__all__ = ["CapConfigError", "CapSet", "CapViolation", "SymbolCaps", "capset_from_mapping"]


class CapConfigError(ValueError):
    """A set of caps that may not be used. `violations` holds all of them."""

    def __init__(self, violations: tuple[CapViolation, ...]) -> None:
        self.violations = violations
        super().__init__(
            "; ".join(f"caps.{v.key}: {v.problem} ({v.mend})" for v in violations) or "no caps"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolCaps:
    """Caps of one symbol. Every default denies."""

    order_qty_base_max: Decimal = ZERO
    order_notional_quote_max: Decimal = ZERO
    position_long_base_max: Decimal = ZERO
    position_short_base_max: Decimal = ZERO
    exposure_quote_max: Decimal = ZERO
    orders_open_max: int = 0
    orders_per_minute_max: int = 0
    traded_qty_per_day_base_max: Decimal = ZERO
    collar_bps_max: int = 0
    collar_reference: str = "mid"
    market_slippage_bps: int = 0
    market_data_age_ms_max: int = 0
    sides: tuple[str, ...] = ()
    order_types: tuple[str, ...] = ()
    order_features: tuple[str, ...] = ()
    times_in_force: tuple[str, ...] = ()
    trading_windows_utc: tuple[str, ...] = ()

    def unset(self) -> tuple[str, ...]:
        """Keys whose zero does not deny by arithmetic: while any is here, orders are denied."""
        return _unset(SYMBOL_CAPS, self)

    def to_plain(self) -> dict[str, Any]:
        """JSON-ready, amounts as text."""
        return {key: _plain_value(getattr(self, key)) for key in SYMBOL_CAPS}


@dataclass(frozen=True, kw_only=True)
class CapSet:
    """All caps of a run. Every default denies."""

    numeraire: str = ""
    conversions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exposure_gross_numeraire_max: Decimal = ZERO
    exposure_net_numeraire_max: Decimal = ZERO
    orders_open_max: int = 0
    balance_free_min: Mapping[str, Decimal] = field(default_factory=dict)
    orders_per_second_max: int = 0
    orders_per_minute_max: int = 0
    orders_per_hour_max: int = 0
    orders_per_day_max: int = 0
    cancels_per_second_max: int = 0
    messages_per_second_max: int = 0
    messages_per_second_cancel_reserve: int = 0
    messages_per_minute_max: int = 0
    messages_per_minute_cancel_reserve: int = 0
    venue_budget_percent_max: int = 0
    order_to_trade_ratio_max: Decimal = ZERO
    order_to_trade_grace_orders: int = 0
    traded_notional_per_day_numeraire_max: Decimal = ZERO
    loss_session_numeraire_max: Decimal = ZERO
    loss_session_action: str = "halt"
    loss_day_numeraire_max: Decimal = ZERO
    loss_day_action: str = "halt"
    drawdown_numeraire_max: Decimal = ZERO
    drawdown_action: str = "halt"
    loss_confirm_ms: int = 0
    loss_streak_max: int = 0
    loss_streak_action: str = "halt"
    executions_without_human_max: int = 0
    venue_reject_streak_max: int = 0
    venue_reject_streak_action: str = "halt"
    duplicate_window_ms: int = 0
    clock_offset_ms_max: int = 0
    clock_age_ms_max: int = 0
    valuation_age_ms_max: int = 0
    reduce_oversized: str = "deny"
    symbols: Mapping[str, SymbolCaps] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("conversions", "balance_free_min", "symbols"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def unset(self) -> tuple[str, ...]:
        """Keys whose zero does not deny by arithmetic: while any is here, orders are denied."""
        missing = _unset(PORTFOLIO_CAPS, self)
        return missing if self.numeraire else ("numeraire", *missing)

    def to_plain(self) -> dict[str, Any]:
        """JSON-ready canonical form, amounts as text; `capset_from_mapping` takes it back."""
        out: dict[str, Any] = {key: _plain_value(getattr(self, key)) for key in PORTFOLIO_CAPS}
        out["symbols"] = {name: self.symbols[name].to_plain() for name in sorted(self.symbols)}
        return out

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) of the canonical form: what `session_start` and every decision carry."""
        text = json.dumps(self.to_plain(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def for_instrument(self, instrument_id: str) -> SymbolCaps | None:
        """Caps of one instrument: its full id first, then the bare symbol."""
        return self.symbols.get(instrument_id) or self.symbols.get(instrument_id.partition("@")[0])

    def tighten(self, changes: Mapping[str, Any]) -> "CapSet":
        """A stricter set. Keys are dotted: `orders_per_hour_max`, `symbols.BTCUSDT.sides`.

        Raises:
            CapConfigError: for unknown keys, bad values, and anything that is not stricter.
        """
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
            if not is_stricter(spec, getattr(holder, spec.key), value):
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


_LOOSEN = "loosening needs the config file and a restart"


def capset_from_mapping(data: Mapping[str, Any], *, strict: bool = True) -> CapSet:
    """Read the `[caps]` table of a config.

    Raises:
        CapConfigError: with every violation at once; unknown keys are violations.
    """
    found: list[CapViolation] = []
    if not isinstance(data, Mapping):
        raise CapConfigError((CapViolation("", "is not a table", "write a [caps] table"),))
    portfolio = {key: raw for key, raw in data.items() if key != "symbols"}
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
    return CapSet(**values, symbols=symbols)


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
