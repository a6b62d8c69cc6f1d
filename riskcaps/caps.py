"""Every cap, as data: its key (unit in the name), what it bounds, and the clauses that it meets.

Rules of this file:
1. One row a cap: parsing, tightening, `explain`, deploy/caps and the control map read these rows.
2. `stricter` says which way is safe: a run may only move a cap that way.
3. `required`: a zero of this cap does not deny by its own rule (an age of zero, a loss of zero), so
   the gate denies `cap_not_set` while it is zero. For all others zero denies by arithmetic.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

UNLIMITED = Decimal(10) ** 28
"""What the word `unlimited` becomes where it is allowed; no amount of a venue reaches it."""
UNLIMITED_COUNT = 10**15

Kind = Literal["amount", "count", "choice", "names", "windows", "amounts_by_asset", "paths"]
Stricter = Literal["lower", "higher", "subset", "severity", "fixed"]

ACTIONS = ("reduce_only", "deny", "halt", "halt_and_flatten")
"""What a breach of a loss cap does, mildest first. Unset is `halt`."""


@dataclass(frozen=True, slots=True)
class CapSpec:
    """One cap of the config."""

    key: str
    kind: Kind
    unit: str
    stricter: Stricter
    clauses: str
    text: str
    required: bool = False
    choices: tuple[str, ...] = ()
    default: str = ""


def _amount(key: str, unit: str, clauses: str, text: str, *, required: bool = False) -> CapSpec:
    return CapSpec(key, "amount", unit, "lower", clauses, text, required)


def _count(key: str, unit: str, clauses: str, text: str, *, required: bool = False) -> CapSpec:
    return CapSpec(key, "count", unit, "lower", clauses, text, required)


def _floor(key: str, unit: str, clauses: str, text: str, *, required: bool = True) -> CapSpec:
    return CapSpec(key, "count", unit, "higher", clauses, text, required)


def _action(key: str, text: str) -> CapSpec:
    return CapSpec(key, "choice", "", "severity", "18", text, choices=ACTIONS, default="halt")


_SYMBOL_SPECS = (
    _amount("order_qty_base_max", "base", "13, 34, 35", "largest quantity of one order"),
    _amount("order_notional_quote_max", "quote", "12, 27", "largest value of one order"),
    _amount("position_long_base_max", "base", "21, 33", "long position + all open buys"),
    _amount("position_short_base_max", "base", "21, 33", "short position + all open sells"),
    _amount("exposure_quote_max", "quote", "26, 35, 40", "worst side of the symbol, valued"),
    _count("orders_open_max", "orders", "4, 40", "open, in flight and unknown orders"),
    _count("orders_per_minute_max", "orders", "14, 38", "attempts on the symbol in a minute"),
    _amount("traded_qty_per_day_base_max", "base", "13, 38", "traded in 24 h + open"),
    _count("collar_bps_max", "bps", "11, 33", "price's distance from reference", required=True),
    CapSpec(
        "collar_reference", "choice", "", "fixed", "11", "reference of the collar",
        choices=("mid", "last"), default="mid",
    ),
    CapSpec(
        "market_slippage_bps", "count", "bps", "higher", "12, 26",
        "a market order is valued this far beyond the touch", required=True,
    ),
    _count("market_data_age_ms_max", "ms", "33", "age of the top of book", required=True),
    CapSpec("sides", "names", "", "subset", "17, 38", "allowed sides", choices=("BUY", "SELL")),
    CapSpec(
        "order_types", "names", "", "subset", "17, 38", "allowed order types",
        choices=(
            "LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT",
            "TAKE_PROFIT_LIMIT",
        ),
    ),
    CapSpec(
        "order_features", "names", "", "subset", "17, 38",
        "orders beyond their type: a trailing stop, an iceberg, a pegged price",
        choices=("TRAILING", "ICEBERG", "PEGGED"),
    ),
    CapSpec(
        "times_in_force", "names", "", "subset", "17", "allowed times in force",
        choices=("GTC", "IOC", "FOK"),
    ),
    CapSpec(
        "trading_windows_utc", "windows", "UTC", "subset", "4",
        "when orders may be placed, e.g. \"Mon-Fri 07:00-21:30\" or \"00:00-24:00\"",
    ),
)  # fmt: skip

_PORTFOLIO_SPECS = (
    CapSpec("numeraire", "choice", "", "fixed", "26", "asset that the portfolio is counted in"),
    CapSpec("conversions", "paths", "", "fixed", "26", "asset -> symbols to the numeraire"),
    _amount("exposure_gross_numeraire_max", "numeraire", "26, 35, 40", "sum of worst sides"),
    _amount("exposure_net_numeraire_max", "numeraire", "26", "worst signed sum"),
    _count("orders_open_max", "orders", "4, 40", "open, in flight and unknown orders"),
    CapSpec(
        "balance_free_min", "amounts_by_asset", "asset", "higher", "17, 26",
        "free balance that must remain after holds",
    ),
    _count("orders_per_second_max", "orders", "14, 15, 37", "attempts in a rolling second"),
    _count("orders_per_minute_max", "orders", "14, 15", "attempts in a rolling minute"),
    _count("orders_per_hour_max", "orders", "14, 15", "attempts in a rolling hour"),
    _count("orders_per_day_max", "orders", "14, 15", "attempts in a rolling day"),
    _count("cancels_per_second_max", "cancels", "14, 37", "strategies' cancels in a second"),
    _count("messages_per_second_max", "messages", "14, 37", "orders and cancels in a second"),
    _floor("messages_per_second_cancel_reserve", "messages", "14, 37", "part kept for cancels"),
    _count("messages_per_minute_max", "messages", "14, 37", "orders and cancels in a minute"),
    _floor("messages_per_minute_cancel_reserve", "messages", "14, 37", "part kept for cancels"),
    _count(
        "venue_budget_percent_max", "percent", "14",
        "share of the venue's own limits that new orders may use", required=True,
    ),
    _amount("order_to_trade_ratio_max", "ratio", "14", "orders / executions of a day",
            required=True),
    _count("order_to_trade_grace_orders", "orders", "14", "orders before the ratio counts"),
    _amount("traded_notional_per_day_numeraire_max", "numeraire", "12, 38", "24 h + open"),
    _amount("loss_session_numeraire_max", "numeraire", "18", "loss since the session began",
            required=True),
    _action("loss_session_action", "when the session's loss reaches its cap"),
    _amount("loss_day_numeraire_max", "numeraire", "18", "loss since 00:00 UTC", required=True),
    _action("loss_day_action", "when the day's loss reaches its cap"),
    _amount("drawdown_numeraire_max", "numeraire", "18", "fall from the peak", required=True),
    _action("drawdown_action", "when the drawdown reaches its cap"),
    CapSpec(
        "loss_confirm_ms", "count", "ms", "lower", "18",
        "a loss must last this long before its action (new risk is denied at once)",
    ),
    _count("loss_streak_max", "orders", "18", "losing orders in a row on one symbol",
           required=True),
    _action("loss_streak_action", "when the streak reaches its cap"),
    _count("executions_without_human_max", "executions", "16",
           "executions until a named human re-enables", required=True),
    _count("venue_reject_streak_max", "rejects", "18, 31",
           "faulty orders refused in a row on one symbol", required=True),
    _action("venue_reject_streak_action", "when the streak reaches its cap"),
    _floor("duplicate_window_ms", "ms", "27, 38", "the same order again within this is denied"),
    _count("clock_offset_ms_max", "ms", "24", "offset + half round trip", required=True),
    _count("clock_age_ms_max", "ms", "24", "age of the last clock sample", required=True),
    _count("valuation_age_ms_max", "ms", "26, 33", "age of prices that value the portfolio",
           required=True),
    CapSpec(
        "reduce_oversized", "choice", "", "fixed", "18",
        "an oversized reducing order is denied, or cut to what reduces",
        choices=("deny", "cut"), default="deny",
    ),
)  # fmt: skip

SYMBOL_CAPS: dict[str, CapSpec] = {spec.key: spec for spec in _SYMBOL_SPECS}
PORTFOLIO_CAPS: dict[str, CapSpec] = {spec.key: spec for spec in _PORTFOLIO_SPECS}
