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
        "bots": {
            "ft": {
                "state": "active",
                "configured": True,
                "open_orders": 1,
                "orders": 9,
                "fills": 4,
                "denied": {"order_qty": 2},
            }
        },
        "bots_seen": {"ft": {"throttled": 3, "longest_silence_s": 61.5}},
        "session_id": "abcdef-1-s1",
        "run_id": "abcdef-1",
        "instance": "abcdef",
        "mode": "sim",
        "environment": "sim",
        "session_age_ms": 900,
        "session_orders": 7,
        "session_fills": 3,
        "uptime_s": 1.0,
        "reconcile": {"clean_age_ms": 5_000},
        "queue_age_s": 0.0,
        "loop_lag_s": 0.001,
        "loop_lag_max_s": 0.02,
        "health": {"healthy": True, "problems": []},
        "drills": {"kill-switch": {"ts_ns": 1_000, "passed": True}, "reconcile": None},
        "journal_pending_lines": 0,
        "journal_undurable_lines": 3,
        "journal_seq": 100,
        "journal_fault": "",
        "journal_bytes": 2_000_000,
        "journal_bytes_per_day": 40_000_000,
        "journal_days_left": 500,
        "journal_pack_fault": "",
        "ticks_thinned": 7,
        "log_lines_dropped": 0,
        "disk_free_bytes": 40_000_000_000,
        "disk_size_bytes": 64_000_000_000,
        "ts_ns": 1_000_000_000_000,
        "clock_offset_s": 0.004,
        "equity": {
            "equity": "12.5",
            "peak": "12.5",
            "drawdown": "0",
            "realised": "10",
            "unrealised": "3",
            "fees": "0.5",
        },
        "venue": {
            "in_flight": 1,
            "paused_until_ns": 0,
            "used": {"REQUEST_WEIGHT/1m": 40},
            "used_by_rounds": {"REQUEST_WEIGHT/1m": 10},
            "limits": {"REQUEST_WEIGHT/1m": 6000, "ORDERS/10s": 100},
            "links": {
                "rest": {"last_frame_age_ms": 900},
                "market": {"last_frame_age_ms": 20},
                "order": {"last_frame_age_ms": None},
            },
        },
        "links": {"rest": True, "market": True, "order": True},
        "caps": [{"cap": "orders_per_hour_max", "symbol": "", "used": "10", "limit": "100"}],
        "positions": {"BTCUSDT": {"qty": "0.5"}},
        "market": {"BTCUSDT": {"age_ms": 120}},
    }
