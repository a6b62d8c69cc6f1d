"""Why the gate said no: a closed list with stable codes.

Rules of this file:
1. A code is for ever: metrics, journals and the evidence module know it. Never rename, only add.
2. A reason is declared once: its code, one line for the operator, and the clauses of the control
   list that it meets (the numbers of docs/CONTROLS.md).
"""

from enum import StrEnum
from typing import Self


class DenyReason(StrEnum):
    """Every reason the interceptor can give. The value is what journals and metrics show."""

    text: str
    clauses: str

    def __new__(cls, code: str, text: str, clauses: str) -> Self:
        """A code with what it says and the clauses that ask for it."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.text = text
        member.clauses = clauses
        return member

    HALT_FLAG_CLOSED = (
        "halt_flag_closed",
        "A stop path has closed the halt flag; re-arm first.",
        "8, 36",
    )
    TRADING_HALTED = "trading_halted", "Trading state is HALTED (boot state too).", "8, 33"
    JOURNAL_UNHEALTHY = (
        "journal_unhealthy",
        "The journal cannot be written: no journal, no orders.",
        "9",
    )
    CLOCK_UNKNOWN = "clock_unknown", "The venue's clock was never sampled.", "24"
    CLOCK_STALE = "clock_stale", "The last clock sample is too old.", "24"
    CLOCK_DRIFT = "clock_drift", "Offset plus half the round trip is beyond the cap.", "24"
    SYMBOL_NOT_ALLOWED = "symbol_not_allowed", "The symbol has no table of caps.", "4, 17, 28, 38"
    CAP_NOT_SET = "cap_not_set", "A cap is not set; unset is zero, and zero denies.", "33, 35"
    INSTRUMENT_UNKNOWN = "instrument_unknown", "The venue's filters for it are not loaded.", "4, 28"
    SYMBOL_NOT_TRADING = "symbol_not_trading", "The venue does not take new orders on it.", "28"
    SYMBOL_BLOCKED = "symbol_blocked", "The engine has blocked the symbol.", "18"
    UNKNOWN_ORDER_OPEN = "unknown_order_open", "An order on it has no known outcome yet.", "15, 21"
    EXECUTIONS_NEED_HUMAN = (
        "executions_need_human",
        "Too many executions since a human last re-enabled; `re-enable` by name.",
        "16",
    )
    VENUE_REJECT_STREAK = (
        "venue_reject_streak",
        "Too many faulty orders in a row on the symbol; re-enable.",
        "18, 31",
    )
    LOSS_STREAK = "loss_streak", "Too many losing orders in a row on the symbol; re-enable.", "18"
    MALFORMED_ORDER = (
        "malformed_order",
        "A quantity or price is missing, not finite, or <= 0.",
        "27",
    )
    SIDE_NOT_ALLOWED = "side_not_allowed", "The side is not in the symbol's `sides`.", "17, 38"
    ORDER_TYPE_NOT_ALLOWED = (
        "order_type_not_allowed",
        "Order type not allowed by caps or venue.",
        "17, 38",
    )
    ORDER_FEATURE_NOT_ALLOWED = (
        "order_feature_not_allowed",
        "Trailing, iceberg or pegged: not in `order_features`, not at the venue, or boundless.",
        "17, 38",
    )
    TIME_IN_FORCE_NOT_ALLOWED = (
        "time_in_force_not_allowed",
        "Not in the symbol's `times_in_force`.",
        "17",
    )
    OUTSIDE_TRADING_WINDOW = "outside_trading_window", "Now is outside `trading_windows_utc`.", "4"
    NO_MARKET_DATA = "no_market_data", "No top of book was seen yet.", "33"
    STALE_MARKET_DATA = "stale_market_data", "The top of book is older than the cap.", "33"
    CROSSED_BOOK = "crossed_book", "The book is crossed or locked: its price means nothing.", "33"
    NO_REFERENCE_PRICE = "no_reference_price", "The collar's reference is missing or old.", "11, 33"
    NOT_REDUCING = (
        "not_reducing",
        "Only what strictly shrinks the position in the worst case may pass.",
        "18",
    )
    FILTER_PRICE = "filter_price", "Venue filter: price out of its bounds.", "27"
    FILTER_TICK = "filter_tick", "Venue filter: price is not on the tick.", "27"
    FILTER_QTY = "filter_qty", "Venue filter: quantity out of its bounds.", "13, 27"
    FILTER_LOT = "filter_lot", "Venue filter: quantity is not on the lot.", "27"
    FILTER_ICEBERG = "filter_iceberg", "Venue filter: an iceberg of too many parts.", "27"
    FILTER_TRAILING = "filter_trailing", "Venue filter: trailing distance out of its bounds.", "27"
    FILTER_NOTIONAL = "filter_notional", "Venue filter: notional out of its bounds.", "12, 27"
    FILTER_PERCENT_PRICE = "filter_percent_price", "Venue filter: price too far from market.", "11"
    FILTER_ORDERS_OPEN = "filter_orders_open", "Venue filter: too many open orders.", "14"
    FILTER_POSITION = "filter_position", "Venue filter: position would pass MAX_POSITION.", "21"
    FILTER_AMENDS = "filter_amends", "Venue filter: the order was amended too often.", "14, 27"
    FILTER_ASSET = "filter_asset", "Venue filter: an order beyond MAX_ASSET.", "12, 13, 27"
    ORDER_QTY = "order_qty", "Quantity above `order_qty_base_max`.", "4, 13, 34, 35, 38"
    ORDER_NOTIONAL = "order_notional", "Value above `order_notional_quote_max`.", "4, 12, 27, 38"
    PRICE_COLLAR = (
        "price_collar",
        "Price further from the reference than allowed.",
        "11, 27, 33, 34",
    )
    POSITION_LONG = "position_long", "Worst-case long position above its cap.", "4, 21, 33, 34"
    POSITION_SHORT = "position_short", "Worst-case short position above its cap.", "4, 21, 33, 34"
    EXPOSURE_SYMBOL = (
        "exposure_symbol",
        "Worst-case value on the symbol above its cap.",
        "26, 35, 40",
    )
    ORDERS_OPEN_SYMBOL = "orders_open_symbol", "Too many open orders on the symbol.", "4, 40"
    ORDERS_OPEN_TOTAL = "orders_open_total", "Too many open orders in total.", "4, 40"
    SYMBOLS_TRADED = (
        "symbols_traded",
        "One more symbol with a position or an open order.",
        "4, 17, 40",
    )
    RATE_MISSING = "rate_missing", "No path or no price to the numeraire.", "26"
    VALUATION_STALE = (
        "valuation_stale",
        "A price needed to value the portfolio is too old.",
        "26, 33",
    )
    EXPOSURE_GROSS = "exposure_gross", "Worst-case gross exposure above its cap.", "4, 26, 35, 40"
    EXPOSURE_NET = "exposure_net", "Worst-case net exposure above its cap.", "26"
    BALANCE_UNKNOWN = "balance_unknown", "The balance of the asset to spend is not known.", "17, 26"
    BALANCE_INSUFFICIENT = (
        "balance_insufficient",
        "Free balance after holds is too small.",
        "17, 26",
    )
    ORDERS_PER_SECOND = "orders_per_second", "Attempts in the last second.", "4, 14, 15, 37, 38"
    ORDERS_PER_MINUTE = "orders_per_minute", "Attempts in the last minute.", "4, 14, 15"
    ORDERS_PER_HOUR = "orders_per_hour", "Attempts in the last rolling hour.", "4, 14, 15"
    ORDERS_PER_DAY = "orders_per_day", "Attempts in the last rolling day.", "4, 14, 15"
    ORDERS_PER_MINUTE_SYMBOL = (
        "orders_per_minute_symbol",
        "Attempts on the symbol in a minute.",
        "14, 38",
    )
    MESSAGES_PER_SECOND = (
        "messages_per_second",
        "Message budget, less the cancels' reserve.",
        "14, 37",
    )
    MESSAGES_PER_MINUTE = (
        "messages_per_minute",
        "Message budget, less the cancels' reserve.",
        "14, 37",
    )
    VENUE_BUDGET = "venue_budget", "The venue's own rate limits are nearly used up.", "14"
    ORDER_TO_TRADE_RATIO = (
        "order_to_trade_ratio",
        "Too many orders for the executions of the day.",
        "14",
    )
    TRADED_NOTIONAL_PER_DAY = (
        "traded_notional_per_day",
        "Traded and open value of the day.",
        "12, 27, 38",
    )
    TRADED_QTY_PER_DAY = "traded_qty_per_day", "Traded and open quantity of the day.", "13, 27, 38"
    EQUITY_UNKNOWN = "equity_unknown", "Profit and loss cannot be valued now.", "18, 26"
    LOSS_SESSION = "loss_session", "Loss of the session at or above its cap.", "18"
    LOSS_DAY = "loss_day", "Loss of the UTC day at or above its cap.", "18"
    DRAWDOWN = "drawdown", "Drawdown from the peak at or above its cap.", "18"
    DUPLICATE_ORDER = "duplicate_order", "Same symbol, side, price and quantity again.", "27, 38"
    SELF_TRADE = "self_trade", "Would meet our own working order.", "27"
    CANCELS_PER_SECOND = "cancels_per_second", "Cancels in the last second.", "14, 37"
    ORDER_NOT_OPEN = "order_not_open", "The order is already terminal.", "31"
    AMEND_NOT_SMALLER = (
        "amend_not_smaller",
        "An amend only makes an order smaller, and leaves more than has traded.",
        "27, 31",
    )
    NOT_OWNER = "not_owner", "The order belongs to another strategy.", "8"


OF_THE_VENUES_LIST = frozenset(
    {reason for reason in DenyReason if reason.startswith("filter_")}
    | {DenyReason.SYMBOL_NOT_TRADING, DenyReason.INSTRUMENT_UNKNOWN}
)
"""Reasons that rest on what the venue's list of symbols said when it was last read. While one of
them denies, nothing leaves that the venue could answer: only the list tells that it has changed."""


def reasons_table() -> str:
    """The table of denials in deploy/caps/README.md."""
    lines = ["| code | what it says | clauses |", "|---|---|---|"]
    lines += [f"| `{reason}` | {reason.text} | {reason.clauses} |" for reason in DenyReason]
    return "\n".join(lines) + "\n"
