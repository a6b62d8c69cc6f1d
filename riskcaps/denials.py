"""Why the gate said no: a closed list with stable codes.

Rules of this file:
1. A code is for ever: metrics, journals and the evidence module know it. Never rename, only add.
2. Every code has one line for the operator and the clauses of the control list that it meets
   (numbers of docs/CONTROLS.md, "P2".. for promises of ARCHITECTURE.md).
3. The numbers are the order of the rules: the first rule that fails names the verdict.
"""

from dataclasses import dataclass
from enum import StrEnum


class DenyReason(StrEnum):
    """Every reason the interceptor can give. The value is what journals and metrics show."""

    HALT_FLAG_CLOSED = "halt_flag_closed"
    TRADING_HALTED = "trading_halted"
    JOURNAL_UNHEALTHY = "journal_unhealthy"
    CLOCK_UNKNOWN = "clock_unknown"
    CLOCK_STALE = "clock_stale"
    CLOCK_DRIFT = "clock_drift"
    SYMBOL_NOT_ALLOWED = "symbol_not_allowed"
    CAP_NOT_SET = "cap_not_set"
    INSTRUMENT_UNKNOWN = "instrument_unknown"
    SYMBOL_NOT_TRADING = "symbol_not_trading"
    SYMBOL_BLOCKED = "symbol_blocked"
    UNKNOWN_ORDER_OPEN = "unknown_order_open"
    EXECUTIONS_NEED_HUMAN = "executions_need_human"
    VENUE_REJECT_STREAK = "venue_reject_streak"
    LOSS_STREAK = "loss_streak"
    MALFORMED_ORDER = "malformed_order"
    SIDE_NOT_ALLOWED = "side_not_allowed"
    ORDER_TYPE_NOT_ALLOWED = "order_type_not_allowed"
    ORDER_FEATURE_NOT_ALLOWED = "order_feature_not_allowed"
    TIME_IN_FORCE_NOT_ALLOWED = "time_in_force_not_allowed"
    OUTSIDE_TRADING_WINDOW = "outside_trading_window"
    NO_MARKET_DATA = "no_market_data"
    STALE_MARKET_DATA = "stale_market_data"
    CROSSED_BOOK = "crossed_book"
    NO_REFERENCE_PRICE = "no_reference_price"
    NOT_REDUCING = "not_reducing"
    FILTER_PRICE = "filter_price"
    FILTER_TICK = "filter_tick"
    FILTER_QTY = "filter_qty"
    FILTER_LOT = "filter_lot"
    FILTER_ICEBERG = "filter_iceberg"
    FILTER_TRAILING = "filter_trailing"
    FILTER_NOTIONAL = "filter_notional"
    FILTER_PERCENT_PRICE = "filter_percent_price"
    FILTER_ORDERS_OPEN = "filter_orders_open"
    FILTER_POSITION = "filter_position"
    FILTER_AMENDS = "filter_amends"
    FILTER_ASSET = "filter_asset"
    ORDER_QTY = "order_qty"
    ORDER_NOTIONAL = "order_notional"
    PRICE_COLLAR = "price_collar"
    POSITION_LONG = "position_long"
    POSITION_SHORT = "position_short"
    EXPOSURE_SYMBOL = "exposure_symbol"
    ORDERS_OPEN_SYMBOL = "orders_open_symbol"
    ORDERS_OPEN_TOTAL = "orders_open_total"
    RATE_MISSING = "rate_missing"
    VALUATION_STALE = "valuation_stale"
    EXPOSURE_GROSS = "exposure_gross"
    EXPOSURE_NET = "exposure_net"
    BALANCE_UNKNOWN = "balance_unknown"
    BALANCE_INSUFFICIENT = "balance_insufficient"
    ORDERS_PER_SECOND = "orders_per_second"
    ORDERS_PER_MINUTE = "orders_per_minute"
    ORDERS_PER_HOUR = "orders_per_hour"
    ORDERS_PER_DAY = "orders_per_day"
    ORDERS_PER_MINUTE_SYMBOL = "orders_per_minute_symbol"
    MESSAGES_PER_SECOND = "messages_per_second"
    MESSAGES_PER_MINUTE = "messages_per_minute"
    VENUE_BUDGET = "venue_budget"
    ORDER_TO_TRADE_RATIO = "order_to_trade_ratio"
    TRADED_NOTIONAL_PER_DAY = "traded_notional_per_day"
    TRADED_QTY_PER_DAY = "traded_qty_per_day"
    EQUITY_UNKNOWN = "equity_unknown"
    LOSS_SESSION = "loss_session"
    LOSS_DAY = "loss_day"
    DRAWDOWN = "drawdown"
    DUPLICATE_ORDER = "duplicate_order"
    SELF_TRADE = "self_trade"
    CANCELS_PER_SECOND = "cancels_per_second"
    ORDER_NOT_OPEN = "order_not_open"
    AMEND_NOT_SMALLER = "amend_not_smaller"
    NOT_OWNER = "not_owner"


@dataclass(frozen=True, slots=True)
class ReasonText:
    """One row of the table of denials: what happened, and the clauses that ask for the rule."""

    text: str
    clauses: str


_R = DenyReason
REASON_TEXT: dict[DenyReason, ReasonText] = {
    _R.HALT_FLAG_CLOSED: ReasonText("A stop path has closed the halt flag; re-arm first.", "8, 36"),
    _R.TRADING_HALTED: ReasonText("Trading state is HALTED (boot state too).", "8, 33"),
    _R.JOURNAL_UNHEALTHY: ReasonText("The journal cannot be written: no journal, no orders.", "9"),
    _R.CLOCK_UNKNOWN: ReasonText("The venue's clock was never sampled.", "24"),
    _R.CLOCK_STALE: ReasonText("The last clock sample is too old.", "24"),
    _R.CLOCK_DRIFT: ReasonText("Offset plus half the round trip is beyond the cap.", "24"),
    _R.SYMBOL_NOT_ALLOWED: ReasonText("The symbol has no table of caps.", "4, 17, 28, 38"),
    _R.CAP_NOT_SET: ReasonText("A cap is not set; unset is zero, and zero denies.", "33, 35"),
    _R.INSTRUMENT_UNKNOWN: ReasonText("The venue's filters for it are not loaded.", "4, 28"),
    _R.SYMBOL_NOT_TRADING: ReasonText("The venue does not take new orders on it.", "28"),
    _R.SYMBOL_BLOCKED: ReasonText("The engine has blocked the symbol.", "18"),
    _R.UNKNOWN_ORDER_OPEN: ReasonText("An order on it has no known outcome yet.", "15, 21"),
    _R.EXECUTIONS_NEED_HUMAN: ReasonText(
        "Too many executions since a human last re-enabled; `re-enable` by name.", "16"
    ),
    _R.VENUE_REJECT_STREAK: ReasonText(
        "Too many faulty orders in a row on the symbol; re-enable.", "18, 31"
    ),
    _R.LOSS_STREAK: ReasonText("Too many losing orders in a row on the symbol; re-enable.", "18"),
    _R.MALFORMED_ORDER: ReasonText("A quantity or price is missing, not finite, or <= 0.", "27"),
    _R.SIDE_NOT_ALLOWED: ReasonText("The side is not in the symbol's `sides`.", "17, 38"),
    _R.ORDER_TYPE_NOT_ALLOWED: ReasonText("Order type not allowed by caps or venue.", "17, 38"),
    _R.ORDER_FEATURE_NOT_ALLOWED: ReasonText(
        "Trailing, iceberg or pegged: not in `order_features`, not at the venue, or boundless.",
        "17, 38",
    ),
    _R.TIME_IN_FORCE_NOT_ALLOWED: ReasonText("Not in the symbol's `times_in_force`.", "17"),
    _R.OUTSIDE_TRADING_WINDOW: ReasonText("Now is outside `trading_windows_utc`.", "4"),
    _R.NO_MARKET_DATA: ReasonText("No top of book was seen yet.", "33"),
    _R.STALE_MARKET_DATA: ReasonText("The top of book is older than the cap.", "33"),
    _R.CROSSED_BOOK: ReasonText("The book is crossed or locked: its price means nothing.", "33"),
    _R.NO_REFERENCE_PRICE: ReasonText("The collar's reference is missing or old.", "11, 33"),
    _R.NOT_REDUCING: ReasonText(
        "Only what strictly shrinks the position in the worst case may pass.", "18"
    ),
    _R.FILTER_PRICE: ReasonText("Venue filter: price out of its bounds.", "27"),
    _R.FILTER_TICK: ReasonText("Venue filter: price is not on the tick.", "27"),
    _R.FILTER_QTY: ReasonText("Venue filter: quantity out of its bounds.", "13, 27"),
    _R.FILTER_LOT: ReasonText("Venue filter: quantity is not on the lot.", "27"),
    _R.FILTER_ICEBERG: ReasonText("Venue filter: an iceberg of too many parts.", "27"),
    _R.FILTER_TRAILING: ReasonText("Venue filter: trailing distance out of its bounds.", "27"),
    _R.FILTER_NOTIONAL: ReasonText("Venue filter: notional out of its bounds.", "12, 27"),
    _R.FILTER_PERCENT_PRICE: ReasonText("Venue filter: price too far from market.", "11"),
    _R.FILTER_ORDERS_OPEN: ReasonText("Venue filter: too many open orders.", "14"),
    _R.FILTER_POSITION: ReasonText("Venue filter: position would pass MAX_POSITION.", "21"),
    _R.FILTER_AMENDS: ReasonText("Venue filter: the order was amended too often.", "14, 27"),
    _R.FILTER_ASSET: ReasonText("Venue filter: an order beyond MAX_ASSET.", "12, 13, 27"),
    _R.ORDER_QTY: ReasonText("Quantity above `order_qty_base_max`.", "4, 13, 34, 35, 38"),
    _R.ORDER_NOTIONAL: ReasonText("Value above `order_notional_quote_max`.", "4, 12, 27, 38"),
    _R.PRICE_COLLAR: ReasonText("Price further from the reference than allowed.", "11, 27, 33, 34"),
    _R.POSITION_LONG: ReasonText("Worst-case long position above its cap.", "4, 21, 33, 34"),
    _R.POSITION_SHORT: ReasonText("Worst-case short position above its cap.", "4, 21, 33, 34"),
    _R.EXPOSURE_SYMBOL: ReasonText("Worst-case value on the symbol above its cap.", "26, 35, 40"),
    _R.ORDERS_OPEN_SYMBOL: ReasonText("Too many open orders on the symbol.", "4, 40"),
    _R.ORDERS_OPEN_TOTAL: ReasonText("Too many open orders in total.", "4, 40"),
    _R.RATE_MISSING: ReasonText("No path or no price to the numeraire.", "26"),
    _R.VALUATION_STALE: ReasonText("A price needed to value the portfolio is too old.", "26, 33"),
    _R.EXPOSURE_GROSS: ReasonText("Worst-case gross exposure above its cap.", "4, 26, 35, 40"),
    _R.EXPOSURE_NET: ReasonText("Worst-case net exposure above its cap.", "26"),
    _R.BALANCE_UNKNOWN: ReasonText("The balance of the asset to spend is not known.", "17, 26"),
    _R.BALANCE_INSUFFICIENT: ReasonText("Free balance after holds is too small.", "17, 26"),
    _R.ORDERS_PER_SECOND: ReasonText("Attempts in the last second.", "4, 14, 15, 37, 38"),
    _R.ORDERS_PER_MINUTE: ReasonText("Attempts in the last minute.", "4, 14, 15"),
    _R.ORDERS_PER_HOUR: ReasonText("Attempts in the last rolling hour.", "4, 14, 15"),
    _R.ORDERS_PER_DAY: ReasonText("Attempts in the last rolling day.", "4, 14, 15"),
    _R.ORDERS_PER_MINUTE_SYMBOL: ReasonText("Attempts on the symbol in a minute.", "14, 38"),
    _R.MESSAGES_PER_SECOND: ReasonText("Message budget, less the cancels' reserve.", "14, 37"),
    _R.MESSAGES_PER_MINUTE: ReasonText("Message budget, less the cancels' reserve.", "14, 37"),
    _R.VENUE_BUDGET: ReasonText("The venue's own rate limits are nearly used up.", "14"),
    _R.ORDER_TO_TRADE_RATIO: ReasonText("Too many orders for the executions of the day.", "14"),
    _R.TRADED_NOTIONAL_PER_DAY: ReasonText("Traded and open value of the day.", "12, 27, 38"),
    _R.TRADED_QTY_PER_DAY: ReasonText("Traded and open quantity of the day.", "13, 27, 38"),
    _R.EQUITY_UNKNOWN: ReasonText("Profit and loss cannot be valued now.", "18, 26"),
    _R.LOSS_SESSION: ReasonText("Loss of the session at or above its cap.", "18"),
    _R.LOSS_DAY: ReasonText("Loss of the UTC day at or above its cap.", "18"),
    _R.DRAWDOWN: ReasonText("Drawdown from the peak at or above its cap.", "18"),
    _R.DUPLICATE_ORDER: ReasonText("Same symbol, side, price and quantity again.", "27, 38"),
    _R.SELF_TRADE: ReasonText("Would meet our own working order.", "27"),
    _R.CANCELS_PER_SECOND: ReasonText("Cancels in the last second.", "14, 37"),
    _R.ORDER_NOT_OPEN: ReasonText("The order is already terminal.", "31"),
    _R.AMEND_NOT_SMALLER: ReasonText(
        "An amend only makes an order smaller, and leaves more than has traded.", "27, 31"
    ),
    _R.NOT_OWNER: ReasonText("The order belongs to another strategy.", "8"),
}


def reasons_table() -> str:
    """The table of denials in deploy/caps/README.md."""
    lines = ["| code | what it says | clauses |", "|---|---|---|"]
    lines += [f"| `{r}` | {REASON_TEXT[r].text} | {REASON_TEXT[r].clauses} |" for r in DenyReason]
    return "\n".join(lines) + "\n"
