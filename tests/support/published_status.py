"""A status as the daemon publishes it in a quiet session, for tests of what reads it."""

from typing import Any


def published_status() -> dict[str, Any]:
    """Everything in it that metrics read (`daemon/core/status.py`, `daemon/app.py`)."""
    return {
        "gate_state": "READY",
        "trading_state": "ACTIVE",
        "latched": False,
        "open_orders": [],
        "orders": {"ACCEPTED": 2, "FILLED": 5},
        "incidents_open": 0,
        "uptime_s": 1.0,
        "reconcile": {"clean_age_ms": 5_000},
        "queue_age_s": 0.0,
        "loop_lag_s": 0.001,
        "journal_pending_lines": 0,
        "journal_undurable_lines": 3,
        "journal_seq": 100,
        "clock_offset_s": 0.004,
        "equity": {"drawdown": "0"},
        "links": {"rest": True, "market": True, "order": True},
        "caps": [{"cap": "orders_per_hour_max", "symbol": "", "used": "10", "limit": "100"}],
        "positions": {"BTCUSDT": {"qty": "0.5"}},
        "market": {"BTCUSDT": {"age_ms": 120}},
    }
