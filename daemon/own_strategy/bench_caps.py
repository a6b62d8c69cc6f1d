"""Caps of a bench: so roomy that a test is denied nothing, unless it asks for narrower ones."""

from collections.abc import Mapping
from typing import Any

PORTFOLIO: Mapping[str, Any] = {
    "exposure_gross_numeraire_max": "100000000",
    "exposure_net_numeraire_max": "100000000",
    "orders_open_max": 1000,
    "orders_per_second_max": 100000,
    "orders_per_minute_max": 1000000,
    "orders_per_hour_max": 10000000,
    "orders_per_day_max": 100000000,
    "cancels_per_second_max": 100000,
    "messages_per_second_max": 200000,
    "messages_per_second_cancel_reserve": 50000,
    "messages_per_minute_max": 6000000,
    "messages_per_minute_cancel_reserve": 1000000,
    "venue_budget_percent_max": 80,
    "order_to_trade_ratio_max": "1000000",
    "order_to_trade_grace_orders": 1000000,
    "traded_notional_per_day_numeraire_max": "100000000000",
    "loss_session_numeraire_max": "50000000",
    "loss_day_numeraire_max": "50000000",
    "drawdown_numeraire_max": "50000000",
    "loss_confirm_ms": 1000,
    "loss_streak_max": 1000000,
    "executions_without_human_max": 1000000,
    "venue_reject_streak_max": 1000000,
    "duplicate_window_ms": 1,
    "clock_offset_ms_max": 500,
    "clock_age_ms_max": 900000,
    "valuation_age_ms_max": 86400000,
    "reduce_oversized": "cut",
}
"""Caps of the whole portfolio; numeraire and conversions are those of the bench's symbol."""

SYMBOL: Mapping[str, Any] = {
    "order_qty_base_max": "1000000",
    "order_notional_quote_max": "10000000",
    "position_long_base_max": "1000000",
    "position_short_base_max": "1000000",
    "exposure_quote_max": "10000000",
    "orders_open_max": 1000,
    "orders_per_minute_max": 1000000,
    "traded_qty_per_day_base_max": "100000000",
    "collar_bps_max": 5000,
    "collar_reference": "mid",
    "market_slippage_bps": 50,
    "market_data_age_ms_max": 86400000,
    "sides": ["BUY", "SELL"],
    "order_types": ["LIMIT", "LIMIT_MAKER", "MARKET"],
    "times_in_force": ["GTC", "IOC", "FOK"],
    "trading_windows_utc": ["00:00-24:00"],
}
"""Caps of its symbol."""
