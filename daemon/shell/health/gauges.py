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
    yield from _state("seatrial_gate_state", "Gate state.", GateState, status, "gate_state")
    yield from _state(
        "seatrial_trading_state", "Trading state.", TradingState, status, "trading_state"
    )
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
) -> Iterator[Metric]:
    family = GaugeMetricFamily(name, text, labels=["state"])
    for state in states:
        family.add_metric([state.value], 1.0 if status.get(key) == state.value else 0.0)
    yield family


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


def _by_symbol(status: Status) -> Iterator[Metric]:
    position = GaugeMetricFamily("seatrial_position", "Net position in base.", labels=["symbol"])
    for symbol, row in (status.get("positions") or {}).items():
        position.add_metric([symbol], float(row["qty"]))
    yield position
    age = GaugeMetricFamily(
        "seatrial_market_data_age_seconds", "Age of the last top of book.", labels=["symbol"]
    )
    for symbol, row in (status.get("market") or {}).items():
        if row["age_ms"] is not None:
            age.add_metric([symbol], row["age_ms"] / 1000)
    yield age


def _links(status: Status) -> Iterator[Metric]:
    up = GaugeMetricFamily("seatrial_link_up", "1 while a link is up.", labels=["link"])
    for link, is_up in (status.get("links") or {}).items():
        up.add_metric([link], 1.0 if is_up else 0.0)
    yield up
    silence = GaugeMetricFamily(
        "seatrial_link_silence_seconds", "Age of the last frame of a link.", labels=["link"]
    )
    for link, row in ((status.get("venue") or {}).get("links") or {}).items():
        if row.get("last_frame_age_ms") is not None:
            silence.add_metric([link], row["last_frame_age_ms"] / 1000)
    yield silence


def _budget(status: Status) -> Iterator[Metric]:
    """What the venue still lets us ask in each of its windows (weights, orders)."""
    venue = status.get("venue") or {}
    limit = GaugeMetricFamily(
        "seatrial_venue_budget_limit", "The venue's limit in a window.", labels=["window"]
    )
    left = GaugeMetricFamily(
        "seatrial_venue_budget_left", "What is left of the venue's limit.", labels=["window"]
    )
    used = venue.get("used") or {}
    for window, bound in (venue.get("limits") or {}).items():
        limit.add_metric([window], float(bound))
        left.add_metric([window], float(bound - used.get(window, 0)))
    rounds = GaugeMetricFamily(
        "seatrial_venue_budget_rounds",
        "Weight that routine reconciliation has used in a window.",
        labels=["window"],
    )
    for window, weight in (venue.get("used_by_rounds") or {}).items():
        rounds.add_metric([window], float(weight))
    yield from (limit, left, rounds)


def _drills(status: Status) -> Iterator[Metric]:
    """When the controls were last tried, as the state directory remembers it."""
    at = GaugeMetricFamily(
        "seatrial_last_drill_timestamp_seconds",
        "When a drill was last run, Unix time.",
        labels=["drill"],
    )
    passed = GaugeMetricFamily(
        "seatrial_last_drill_passed", "1 when the last run of a drill passed.", labels=["drill"]
    )
    for name, row in (status.get("drills") or {}).items():
        if row:
            at.add_metric([name], row["ts_ns"] / NS_PER_S)
            passed.add_metric([name], 1.0 if row.get("passed") else 0.0)
    yield from (at, passed)


def _anchors(status: Status) -> Iterator[Metric]:
    """One series a sink of the configuration: the label is bounded by it."""
    sinks = (status.get("anchors") or {}).get("sinks") or {}
    if not sinks:
        return
    age = GaugeMetricFamily(
        "seatrial_anchor_age_seconds",
        "Since a sink last acknowledged a head of the journal; since boot where none did.",
        labels=["sink"],
    )
    refused = GaugeMetricFamily(
        "seatrial_anchor_refused",
        "1 when a sink holds another head than this journal has.",
        labels=["sink"],
    )
    queued = GaugeMetricFamily(
        "seatrial_anchor_queued", "Heads that wait for a sink.", labels=["sink"]
    )
    for name, row in sinks.items():
        age.add_metric([name], row["age_s"])
        refused.add_metric([name], 1.0 if row["refused"] else 0.0)
        queued.add_metric([name], float(row["queued"]))
    yield from (age, refused, queued)


def _bots(status: Status) -> Iterator[Metric]:
    """One series a bot of the configuration: the label is bounded by it."""
    bots = {name: row for name, row in status.get("bots", {}).items() if row["configured"]}
    if not bots:
        return
    seen = status.get("bots_seen", {})
    families: tuple[tuple[str, str, Callable[[str], float]], ...] = (
        (
            "seatrial_bot_active",
            "1 while a bot may place orders.",
            lambda name: float(bots[name]["state"] == "active"),
        ),
        (
            "seatrial_bot_open_orders",
            "Open orders of a bot.",
            lambda name: float(bots[name]["open_orders"]),
        ),
        ("seatrial_bot_orders", "Orders of a bot.", lambda name: float(bots[name]["orders"])),
        ("seatrial_bot_fills", "Fills of a bot.", lambda name: float(bots[name]["fills"])),
        (
            "seatrial_bot_throttled",
            "Requests of a bot refused for their rate since boot.",
            lambda name: float(seen.get(name, {}).get("throttled", 0)),
        ),
        (
            "seatrial_bot_longest_silence_seconds",
            "Longest time without a signed request of a bot since boot.",
            lambda name: float(seen.get(name, {}).get("longest_silence_s", 0)),
        ),
    )
    for family, text, read in families:
        made = GaugeMetricFamily(family, text, labels=["bot"])
        for name in bots:
            made.add_metric([name], read(name))
        yield made
