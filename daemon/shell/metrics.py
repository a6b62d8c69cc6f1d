"""Prometheus view of records and of the engine's published status.

Counters follow records as they are journalled; gauges are read from the last published status at
scrape time. The endpoint is served from a thread of its own: a scrape never runs on the main loop.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from daemon.model.records import EventType

Status = Mapping[str, Any]
GATE_STATES = ("DOWN", "CONNECTING", "RECONCILING", "READY", "STALE")
TRADING_STATES = ("ACTIVE", "REDUCING", "HALTED")
REQUEST_TIMEOUT_S = 5


class Metrics:
    """Counters by record; gauges by status. `registry` is what a scrape renders."""

    def __init__(self, status: Callable[[], Status], build: Mapping[str, str]) -> None:
        """Make the metrics.

        Args:
            status: the last published status (plain values; see `Publisher`).
            build: labels of `seatrial_build_info` (version, commit, python, environment).
        """
        self.registry = CollectorRegistry()
        self._status = status
        self._build = dict(build)
        self._events = self._counter("events", "Journal lines by event type.", ["event_type"])
        self._denied = self._counter("orders_denied", "Wishes denied by reason.", ["reason"])
        self._approved = self._counter("orders_approved", "Orders approved.", ["symbol"])
        self._fills = self._counter("fills", "Fills booked.", ["symbol", "liquidity"])
        self._rejects = self._counter("order_rejects", "Venue rejects by code.", ["code"])
        self._incidents = self._counter("incidents", "Incidents opened.", ["trigger"])
        self._alerts = self._counter("cap_alerts", "Pre-alert bands crossed.", ["cap", "band"])
        self._reconnects = self._counter("reconnects", "Reconnects by link.", ["link"])
        self._limits = self._counter("rate_limits", "Venue rate limits hit.", ["scope"])
        self._by_type: dict[EventType, Any] = {
            kind: self._events.labels(kind.value) for kind in EventType
        }
        self.registry.register(self)

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(f"seatrial_{name}", text, labels, registry=self.registry)

    def on_record(self, event_type: EventType, fields: Mapping[str, Any], ts_ns: int) -> None:
        """Count one journal line."""
        del ts_ns
        self._by_type[event_type].inc()
        if event_type is EventType.ORDER_DENIED:
            self._denied.labels(fields["deny_reason"]).inc()
        elif event_type is EventType.ORDER_APPROVED:
            self._approved.labels(fields["symbol"]).inc()
        elif event_type is EventType.FILL:
            self._fills.labels(fields["symbol"], fields["liquidity"]).inc()
        elif event_type is EventType.ORDER_REJECT:
            self._rejects.labels(str(fields["code"])).inc()
        elif event_type is EventType.INCIDENT_OPENED:
            self._incidents.labels(fields["trigger"]).inc()
        elif event_type is EventType.CAP_ALERT:
            self._alerts.labels(fields["cap"], str(fields["band"])).inc()
        elif event_type is EventType.RECONNECT:
            self._reconnects.labels(fields["link"]).inc()
        elif event_type is EventType.RATE_LIMIT:
            self._limits.labels(fields["scope"]).inc()

    def collect(self) -> Iterator[Metric]:
        """Render the gauges from the last published status (prometheus-client's protocol)."""
        status = self._status()
        yield InfoMetricFamily("seatrial_build", "What runs.", value=self._build)
        yield from _state("seatrial_gate_state", "Gate state.", GATE_STATES, status, "gate_state")
        yield from _state(
            "seatrial_trading_state", "Trading state.", TRADING_STATES, status, "trading_state"
        )
        yield _gauge("seatrial_latched", "1 while the kill latch holds.", status.get("latched"))
        for name, text, read in _PLAIN:
            value = _read(read, status)
            if value is not None:
                yield _gauge(name, text, value)
        yield from _caps(status)
        yield from _by_symbol(status)
        links = GaugeMetricFamily("seatrial_link_up", "1 while a link is up.", labels=["link"])
        for link, up in (status.get("links") or {}).items():
            links.add_metric([link], 1.0 if up else 0.0)
        yield links


_PLAIN: tuple[tuple[str, str, Callable[[Status], Any]], ...] = (
    ("seatrial_open_orders", "Open orders of ours.", lambda s: len(s["open_orders"])),
    (
        "seatrial_unknown_orders",
        "Orders whose outcome is unknown.",
        lambda s: s["orders"].get("UNKNOWN", 0),
    ),
    ("seatrial_incidents_unresolved", "Unresolved incidents.", lambda s: s["incidents_open"]),
    ("seatrial_uptime_seconds", "Seconds since boot.", lambda s: s["uptime_s"]),
    (
        "seatrial_last_reconcile_age_seconds",
        "Age of the last clean reconciliation.",
        lambda s: _seconds(s["reconcile"]["clean_age_ms"]),
    ),
    ("seatrial_queue_age_seconds", "Wait of the last input.", lambda s: s["queue_age_s"]),
    ("seatrial_loop_lag_seconds", "Lag of the main loop.", lambda s: s["loop_lag_s"]),
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
    ("seatrial_journal_seq", "Last journal sequence number.", lambda s: s["journal_seq"]),
    ("seatrial_clock_offset_seconds", "Venue clock minus ours.", lambda s: s["clock_offset_s"]),
    ("seatrial_drawdown", "Fall from the peak, numeraire.", lambda s: s["equity"]["drawdown"]),
)


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _read(read: Callable[[Status], Any], status: Status) -> Any:
    try:
        return read(status)
    except KeyError:
        return None  # before the first status is published


def _gauge(name: str, text: str, value: Any) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=float(value or 0))


def _state(
    name: str, text: str, states: tuple[str, ...], status: Status, key: str
) -> Iterator[Metric]:
    family = GaugeMetricFamily(name, text, labels=["state"])
    for state in states:
        family.add_metric([state], 1.0 if status.get(key) == state else 0.0)
    yield family


def _caps(status: Status) -> Iterator[Metric]:
    used = GaugeMetricFamily("seatrial_cap_used", "Use of a cap.", labels=["cap", "symbol"])
    limit = GaugeMetricFamily("seatrial_cap_limit", "Limit of a cap.", labels=["cap", "symbol"])
    for row in status.get("caps") or ():
        labels = [row["cap"], row.get("symbol") or ""]
        used.add_metric(labels, float(row["used"]))
        limit.add_metric(labels, float(row["limit"]))
    yield used
    yield limit


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


class MetricsServer:
    """`/metrics`, `/healthz` (the process turns) and `/readyz` (the gate is READY), in a thread."""

    def __init__(
        self, metrics: Metrics, host: str, port: int, *, healthy: Callable[[], bool]
    ) -> None:
        """Bind at once.

        Raises:
            OSError: the port is taken or the address is not ours.
        """

        class Handler(BaseHTTPRequestHandler):
            timeout = REQUEST_TIMEOUT_S

            def do_GET(self) -> None:
                """Answer one request."""
                status, kind, body = _answer(self.path, metrics, healthy)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - inherited name
                """Say nothing: scrapes are not news."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="seatrial-metrics", daemon=True
        )

    def start(self) -> None:
        """Serve until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=REQUEST_TIMEOUT_S)


def _answer(path: str, metrics: Metrics, healthy: Callable[[], bool]) -> tuple[int, str, bytes]:
    plain = "text/plain; charset=utf-8"
    if path == "/metrics":
        return 200, CONTENT_TYPE_LATEST, generate_latest(metrics.registry)
    if path == "/healthz":
        return (200, plain, b"ok\n") if healthy() else (503, plain, b"main loop does not turn\n")
    if path == "/readyz":
        state = str(metrics._status().get("gate_state", "DOWN"))  # noqa: SLF001 - same module
        return (200 if state == "READY" else 503), plain, f"{state}\n".encode()
    return 404, plain, b"try /metrics, /healthz or /readyz\n"
