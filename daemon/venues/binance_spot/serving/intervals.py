"""Intervals of candles and windows of tickers, by the names that clients use."""

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
MONTH = "1M"
INTERVAL_NS: dict[str, int] = {
    "1s": SECOND_NS,
    "1m": MINUTE_NS,
    "3m": 3 * MINUTE_NS,
    "5m": 5 * MINUTE_NS,
    "15m": 15 * MINUTE_NS,
    "30m": 30 * MINUTE_NS,
    "1h": HOUR_NS,
    "2h": 2 * HOUR_NS,
    "4h": 4 * HOUR_NS,
    "6h": 6 * HOUR_NS,
    "8h": 8 * HOUR_NS,
    "12h": 12 * HOUR_NS,
    "1d": DAY_NS,
    "3d": 3 * DAY_NS,
    "1w": 7 * DAY_NS,
    MONTH: 31 * DAY_NS,
}
"""Length of each interval; of a month, the longest."""
WINDOW_NS = {"1h": HOUR_NS, "4h": 4 * HOUR_NS, "1d": DAY_NS}
"""Windows of the rolling tickers."""
