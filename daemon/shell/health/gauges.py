"""Gauges read from the last published status, at scrape time and on the scrape's own thread.

What the status does not hold yet is left out, never shown as zero: a missing series is a question,
a zero is an answer.
"""

import os
import resource
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)

from daemon.model.enums import GateState, TradingState

Status = Mapping[str, Any]
Read = Callable[[Status], Any]
NS_PER_S = 1e9


def gauges(status: Status) -> Iterator[Metric]:
    """Every gauge that this status has a value for."""
    yield _state("seatrial_gate_state", "Gate state.", GateState, status, "gate_state")
    yield _state("seatrial_trading_state", "Trading state.", TradingState, status, "trading_state")
    for name, text, read in _PLAIN:
        value = _read(read, status)
        if value is not None:
            yield GaugeMetricFamily(name, text, value=float(value))
    yield _session(status)
    yield from _caps(status)
    yield from _by_symbol(status)
    yield from _links(status)
    yield from _budget(status)
    yield from _drills(status)
    yield from _anchors(status)
    yield from _bots(status)


def process_metrics() -> Iterator[Metric]:
    """The standard `process_…` series, from what a hardened unit still lets us read."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield CounterMetricFamily(
        "process_cpu_seconds",
        "User and system CPU time of the process.",
        value=used.ru_utime + used.ru_stime,
    )
    try:
        resident = int(Path("/proc/self/statm").read_text().split()[1])
        descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count; no Path needed
    except (OSError, IndexError, ValueError):
        return
    yield GaugeMetricFamily(
        "process_resident_memory_bytes",
        "Resident memory of the process.",
        value=float(resident * resource.getpagesize()),
    )
    yield GaugeMetricFamily(
        "process_open_fds", "Open file descriptors of the process.", value=float(descriptors)
    )


_PLAIN: tuple[tuple[str, str, Read], ...] = (
    ("seatrial_latched", "1 while the kill latch holds.", lambda s: s["latched"]),
    ("seatrial_open_orders", "Open orders of ours.", lambda s: len(s["open_orders"])),
    (
        "seatrial_unknown_orders",
        "Orders whose outcome is unknown.",
        lambda s: s["orders"].get("UNKNOWN", 0),
    ),
    ("seatrial_incidents_unresolved", "Unresolved incidents.", lambda s: s["incidents_open"]),
    ("seatrial_uptime_seconds", "Seconds since boot.", lambda s: s["uptime_s"]),
    (
        "seatrial_session_age_seconds",
        "Age of the session that is on.",
        lambda s: _seconds(s["session_age_ms"]),
    ),
    ("seatrial_session_orders", "Orders of this session.", lambda s: s["session_orders"]),
    ("seatrial_session_fills", "Fills of this session.", lambda s: s["session_fills"]),
    (
        "seatrial_last_reconcile_age_seconds",
        "Age of the last clean reconciliation.",
        lambda s: _seconds(s["reconcile"]["clean_age_ms"]),
    ),
    ("seatrial_queue_age_seconds", "Wait of the last input.", lambda s: s["queue_age_s"]),
    ("seatrial_loop_lag_seconds", "Lag of the main loop.", lambda s: s["loop_lag_s"]),
    (
        "seatrial_loop_lag_max_seconds",
        "Longest lag of the main loop since boot.",
        lambda s: s["loop_lag_max_s"],
    ),
    (
        "seatrial_healthy",
        "1 while the watchdog finds nothing wrong; 0: a restart is near.",
        lambda s: s["health"]["healthy"],
    ),
    (
        "seatrial_log_lines_dropped",
        "Log lines that nobody could be given since boot.",
        lambda s: s["log_lines_dropped"],
    ),
    (
        "seatrial_journal_pending_lines",
        "Lines not yet with the kernel.",
        lambda s: s["journal_pending_lines"],
    ),
    (
        "seatrial_journal_undurable_lines",
        "Lines not yet on disk.",
        lambda s: s["journal_undurable_lines"],
    ),
    (
        "seatrial_journal_faulty",
        "1 while the journal cannot be written.",
        lambda s: bool(s["journal_fault"]),
    ),
    (
        "seatrial_disk_free_bytes",
        "What may still be written under the state directory.",
        lambda s: s["disk_free_bytes"],
    ),
    (
        "seatrial_disk_size_bytes",
        "Size of the disk that the state directory is on.",
        lambda s: s["disk_size_bytes"],
    ),
    (
        "seatrial_journal_bytes",
        "What the journal's segments take on the disk; archived ones have left it.",
        lambda s: s["journal_bytes"],
    ),
    (
        "seatrial_journal_bytes_per_day",
        "What a day adds at the present rate, as packed; absent in the first minute.",
        lambda s: s["journal_bytes_per_day"],
    ),
    (
        "seatrial_journal_left_seconds",
        "For how long the disk lasts at that rate.",
        lambda s: s["journal_days_left"] * 86_400,
    ),
    (
        "seatrial_journal_pack_faulty",
        "1 while closed segments cannot be packed.",
        lambda s: bool(s["journal_pack_fault"]),
    ),
    (
        "seatrial_ticks_thinned",
        "Ticks of this run without a consequence, which left no line.",
        lambda s: s["ticks_thinned"],
    ),
    ("seatrial_journal_seq", "Last journal sequence number.", lambda s: s["journal_seq"]),
    ("seatrial_clock_offset_seconds", "Venue clock minus ours.", lambda s: s["clock_offset_s"]),
    (
        "seatrial_equity",
        "Equity since the books' epoch, numeraire.",
        lambda s: s["equity"]["equity"],
    ),
    ("seatrial_drawdown", "Fall from the peak, numeraire.", lambda s: s["equity"]["drawdown"]),
    ("seatrial_realised_pnl", "Realised result, numeraire.", lambda s: s["equity"]["realised"]),
    (
        "seatrial_unrealised_pnl",
        "Unrealised result, numeraire.",
        lambda s: s["equity"]["unrealised"],
    ),
    ("seatrial_fees", "Fees paid, numeraire.", lambda s: s["equity"]["fees"]),
    (
        "seatrial_venue_pause_seconds",
        "How long nothing is sent because of a rate limit.",
        lambda s: max(0.0, (s["venue"]["paused_until_ns"] - s["ts_ns"]) / NS_PER_S),
    ),
    (
        "seatrial_requests_in_flight",
        "Requests without an answer yet.",
        lambda s: s["venue"]["in_flight"],
    ),
)


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _read(read: Read, status: Status) -> Any:
    try:
        return read(status)
    except (KeyError, TypeError):
        return None  # before the first status is published, or not known now


def _state(
    name: str, text: str, states: type[GateState] | type[TradingState], status: Status, key: str
) -> Metric:
    now = status.get(key)
    return _labelled(name, text, "state", {one.value: now == one.value for one in states})


def _session(status: Status) -> Metric:
    family = InfoMetricFamily("seatrial_session", "The session that is on; empty: none.")
    names = ("session_id", "run_id", "mode", "environment")
    labels = {name: str(status.get(name, "")) for name in names}
    labels["instance_id"] = str(status.get("instance", ""))  # `instance` is Prometheus' own label
    family.add_metric([], labels)
    return family


def _caps(status: Status) -> Iterator[Metric]:
    labels = ["cap", "symbol"]
    used = GaugeMetricFamily("seatrial_cap_used", "Use of a cap, in its unit.", labels=labels)
    limit = GaugeMetricFamily("seatrial_cap_limit", "Limit of a cap, in its unit.", labels=labels)
    left = GaugeMetricFamily(
        "seatrial_cap_headroom_ratio", "What is left of a cap, as a share of it.", labels=labels
    )
    for row in status.get("caps") or ():
        values = [row["cap"], row.get("symbol") or ""]
        amount, bound = float(row["used"]), float(row["limit"])
        used.add_metric(values, amount)
        limit.add_metric(values, bound)
        if bound > 0:
            left.add_metric(values, (bound - amount) / bound)
    yield from (used, limit, left)


def _labelled(name: str, text: str, label: str, values: Mapping[str, Any]) -> Metric:
    """One gauge with a value for each label; what is not known (None) has no series."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for one, value in values.items():
        if value is not None:
            family.add_metric([one], float(value))
    return family


def _by_symbol(status: Status) -> Iterator[Metric]:
    positions, market = status.get("positions") or {}, status.get("market") or {}
    yield _labelled(
        "seatrial_position", "Net position in base.", "symbol",
        {symbol: row["qty"] for symbol, row in positions.items()},
    )  # fmt: skip
    yield _labelled(
        "seatrial_market_data_age_seconds", "Age of the last top of book.", "symbol",
        {symbol: _seconds(row["age_ms"]) for symbol, row in market.items()},
    )  # fmt: skip


def _links(status: Status) -> Iterator[Metric]:
    rows = (status.get("venue") or {}).get("links") or {}
    yield _labelled("seatrial_link_up", "1 while a link is up.", "link", status.get("links") or {})
    yield _labelled(
        "seatrial_link_silence_seconds", "Age of the last frame of a link.", "link",
        {link: _seconds(row.get("last_frame_age_ms")) for link, row in rows.items()},
    )  # fmt: skip


def _budget(status: Status) -> Iterator[Metric]:
    """What the venue still lets us ask in each of its windows (weights, orders)."""
    venue = status.get("venue") or {}
    limits, used = venue.get("limits") or {}, venue.get("used") or {}
    yield _labelled(
        "seatrial_venue_budget_limit", "The venue's limit in a window.", "window", limits
    )
    yield _labelled(
        "seatrial_venue_budget_left", "What is left of the venue's limit.", "window",
        {window: bound - used.get(window, 0) for window, bound in limits.items()},
    )  # fmt: skip
    yield _labelled(
        "seatrial_venue_budget_rounds", "Weight that routine reconciliation has used in a window.",
        "window", venue.get("used_by_rounds") or {},
    )  # fmt: skip


def _drills(status: Status) -> Iterator[Metric]:
    """When the controls were last tried, as the state directory remembers it."""
    rows = {name: row for name, row in (status.get("drills") or {}).items() if row}
    yield _labelled(
        "seatrial_last_drill_timestamp_seconds", "When a drill was last run, Unix time.", "drill",
        {name: row["ts_ns"] / NS_PER_S for name, row in rows.items()},
    )  # fmt: skip
    yield _labelled(
        "seatrial_last_drill_passed", "1 when the last run of a drill passed.", "drill",
        {name: bool(row.get("passed")) for name, row in rows.items()},
    )  # fmt: skip


def _anchors(status: Status) -> Iterator[Metric]:
    """One series a sink of the configuration: the label is bounded by it."""
    sinks = (status.get("anchors") or {}).get("sinks") or {}
    if not sinks:
        return
    yield _labelled(
        "seatrial_anchor_age_seconds",
        "Since a sink last acknowledged a head of the journal; since boot where none did.",
        "sink", {name: row["age_s"] for name, row in sinks.items()},
    )  # fmt: skip
    yield _labelled(
        "seatrial_anchor_refused", "1 when a sink holds another head than this journal has.",
        "sink", {name: bool(row["refused"]) for name, row in sinks.items()},
    )  # fmt: skip
    yield _labelled(
        "seatrial_anchor_queued", "Heads that wait for a sink.",
        "sink", {name: row["queued"] for name, row in sinks.items()},
    )  # fmt: skip


def _bots(status: Status) -> Iterator[Metric]:
    """One series a bot of the configuration: the label is bounded by it."""
    bots = {name: row for name, row in status.get("bots", {}).items() if row["configured"]}
    if not bots:
        return
    seen = {name: status.get("bots_seen", {}).get(name, {}) for name in bots}
    active = {name: row["state"] == "active" for name, row in bots.items()}
    yield _labelled("seatrial_bot_active", "1 while a bot may place orders.", "bot", active)
    for told, key, text in (
        (bots, "open_orders", "Open orders of a bot."),
        (bots, "orders", "Orders of a bot."),
        (bots, "fills", "Fills of a bot."),
        (seen, "throttled", "Requests of a bot refused for their rate since boot."),
    ):
        counts = {name: row.get(key, 0) for name, row in told.items()}
        yield _labelled(f"seatrial_bot_{key}", text, "bot", counts)
    yield _labelled(
        "seatrial_bot_longest_silence_seconds",
        "Longest time without a signed request of a bot since boot.",
        "bot", {name: row.get("longest_silence_s", 0) for name, row in seen.items()},
    )  # fmt: skip
