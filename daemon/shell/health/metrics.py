"""Prometheus view of records and of the engine's published status.

Counters and histograms follow records as they are journalled; gauges are read from the last
published status at scrape time. The endpoint is served from a thread of its own, which lets go of
the interpreter after each family: a scrape never runs on the main loop, and never holds it up.
At the port's root is the operator's page (`daemon/shell/page`), made when it is first asked for.

Rules of this file:
1. Labels are bounded: closed lists, symbols of the configuration, codes of the venue up to a bound.
2. A counter that may be asked for by `increase()` exists with 0 from the start.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, InfoMetricFamily, Metric, Sample
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from daemon.model.enums import Link, OrderStatus
from daemon.model.records import EventType
from daemon.shell.health.gauges import Status, gauges, process_metrics
from daemon.shell.health.http_places import ANSWER_S, BoundedHttpServer, BoundedRequest
from daemon.shell.health.latencies import Latencies
from daemon.shell.health.recent_activity import HEARD, RecentActivity
from daemon.shell.process.clock import monotonic_s
from riskcaps.words.denials import DenyReason

CODES_MAX = 64
"""So many reject codes of the venue get a label of their own; further ones are `other`."""
_INPUT = EventType.INPUT
_OWN_PATHS = frozenset({"/metrics", "/healthz", "/readyz"})
PIECE_S, BREATH_S = 0.000_05, 0.000_2
"""A scrape that has worked for so long sleeps for so long, so that the main loop is never kept
waiting. A sleep costs more than a small family does."""


class CheapCounter:
    """A counter that costs the main loop one addition. One thread counts; a scrape copies."""

    __slots__ = ("_family", "_labels", "_name", "_shown", "_text", "counts")

    def __init__(self, name: str, text: str, labels: tuple[str, ...] = ()) -> None:
        """Begin without a series, or with one of 0 where there are no labels."""
        self._name = f"seatrial_{name}"
        self._text = text
        self._labels = labels
        self.counts: dict[tuple[str, ...], int] = {} if labels else {(): 0}
        self._shown: dict[tuple[str, ...], int] | None = None
        self._family = CounterMetricFamily(self._name, text, labels=labels)

    def begin(self, *labels: str) -> None:
        """Show a series with 0 from the start."""
        self.counts.setdefault(labels, 0)

    def count(self, *labels: str) -> None:
        """One more."""
        self.counts[labels] = self.counts.get(labels, 0) + 1

    def family(self) -> Metric:
        """What a scrape shows; made anew when something was counted."""
        counts = self.counts.copy()
        if counts != self._shown:
            family = CounterMetricFamily(self._name, self._text, labels=self._labels)
            for labels, number in counts.items():
                family.add_metric(labels, number)
            self._family, self._shown = family, counts
        return self._family


class Metrics:
    """Counters by record; gauges by status. `registry` is what a scrape renders."""

    def __init__(self, status: Callable[[], Status], build: Mapping[str, str]) -> None:
        """Make the metrics.

        Args:
            status: the last published status (plain values; see `StatusPublisher`).
            build: labels of `seatrial_build_info` (version, commit, python, environment).
        """
        self.registry = CollectorRegistry()
        self.status = status
        self._build = dict(build)
        self._latencies = Latencies()
        self.activity = RecentActivity()
        """What the page shows beside the status."""
        self._events = CheapCounter("events", "Journal lines by event type.", ("event_type",))
        self._denied = CheapCounter("orders_denied", "Wishes denied by reason.", ("reason",))
        self._approved = CheapCounter("orders_approved", "Orders approved.", ("symbol",))
        self._orders = CheapCounter("order_states", "Orders that came to a state.", ("status",))
        self._fills = CheapCounter("fills", "Fills booked.", ("symbol", "liquidity"))
        self._rejects = CheapCounter("order_rejects", "Venue rejects by code.", ("code",))
        self._cancels = CheapCounter("cancel_requests", "Cancels asked for.", ("symbol",))
        self._incidents = CheapCounter("incidents", "Incidents opened.", ("trigger",))
        self._alerts = CheapCounter("cap_alerts", "Pre-alert bands crossed.", ("cap", "band"))
        self._reconnects = CheapCounter("reconnects", "Reconnects by link.", ("link",))
        self._limits = CheapCounter("rate_limits", "Venue rate limits hit.", ("scope",))
        self._faults = CheapCounter(
            "journal_write_errors", "Times that the journal began to refuse lines."
        )
        self._tallies = (
            self._events, self._denied, self._approved, self._orders, self._fills, self._rejects,
            self._cancels, self._incidents, self._alerts, self._reconnects, self._limits,
            self._faults,
        )  # fmt: skip
        self._counted: dict[EventType, tuple[dict[tuple[str, ...], int], tuple[str, ...]]] = {
            EventType.ORDER_STATE: (self._orders.counts, ("new",)),
            EventType.ORDER_DENIED: (self._denied.counts, ("deny_reason",)),
            EventType.ORDER_APPROVED: (self._approved.counts, ("symbol",)),
            EventType.CANCEL_REQUESTED: (self._cancels.counts, ("symbol",)),
            EventType.FILL: (self._fills.counts, ("symbol", "liquidity")),
        }
        self._codes: set[str] = set()
        for kind in EventType:
            self._events.begin(kind.value)
        self._lines = self._events.counts
        for reason in DenyReason:
            self._denied.begin(reason.value)
        for status_name in OrderStatus:
            self._orders.begin(status_name.value)
        for link in Link:
            self._reconnects.begin(link.value)
        self._texts: dict[str, tuple[list[Sample], bytes]] = {}
        """What each family showed last: most of it is the same at the next scrape."""
        self.registry.register(self)

    def on_record(self, event_type: EventType, fields: Mapping[str, Any], ts_ns: int) -> None:
        """Count one journal line."""
        self._lines[(event_type,)] += 1  # every kind has begun, and a call costs more than this
        if event_type is _INPUT:
            return  # by far the most lines
        self._latencies.on_record(event_type, fields, ts_ns)
        if event_type in HEARD:
            self.activity.on_record(event_type, fields, ts_ns)
        counted = self._counted.get(event_type)
        if counted is not None:
            counts, names = counted
            labels = tuple(map(fields.__getitem__, names))
            counts[labels] = counts.get(labels, 0) + 1
        else:
            self._on_rare_record(event_type, fields)

    def _on_rare_record(self, event_type: EventType, fields: Mapping[str, Any]) -> None:
        if event_type is EventType.ORDER_REJECT:
            self._rejects.count(self._code(str(fields["code"])))
        elif event_type is EventType.INCIDENT_OPENED:
            self._incidents.count(fields["trigger"])
        elif event_type is EventType.CAP_ALERT:
            self._alerts.count(fields["cap"], str(fields["band"]))
        elif event_type is EventType.RECONNECT:
            self._reconnects.count(fields["link"])
        elif event_type is EventType.RATE_LIMIT:
            self._limits.count(fields["scope"])
        elif event_type is EventType.JOURNAL_FAULT:
            self._faults.count()

    def _code(self, code: str) -> str:
        if code in self._codes or len(self._codes) < CODES_MAX:
            self._codes.add(code)
            return code
        return "other"

    def collect(self) -> Iterator[Metric]:
        """Every family (prometheus-client's protocol)."""
        yield InfoMetricFamily("seatrial_build", "What runs.", value=self._build)
        for tally in self._tallies:
            yield tally.family()
        yield from gauges(self.status())
        yield from self._latencies.collect()
        yield from process_metrics()

    def gate_state(self) -> str:
        """The gate's state as last published."""
        return str(self.status().get("gate_state", "DOWN"))

    def render(self) -> bytes:
        """The text of a scrape, made in small pieces with a breath between them."""
        parts, began_s = [], monotonic_s()
        for family in self.registry.collect():
            parts.append(self._text_of(family))
            if monotonic_s() - began_s > PIECE_S:
                time.sleep(BREATH_S)
                began_s = monotonic_s()
        return b"".join(parts)

    def _text_of(self, family: Metric) -> bytes:
        """A family's text; that of the last scrape where no sample of it is another now."""
        samples, text = self._texts.get(family.name, ([], b""))
        if not text or samples != family.samples:
            text = generate_latest(_Single(family))
            self._texts[family.name] = (family.samples, text)
        return text


class _Single(CollectorRegistry):
    """A registry with one metric family."""

    def __init__(self, family: Metric) -> None:
        super().__init__()
        self._family = family

    def collect(self) -> Iterator[Metric]:
        """The family."""
        yield self._family


class PageAnswer(msgspec.Struct, frozen=True):
    """What a page answers; `is_live` hands the connection to the page after the headers."""

    status: int
    kind: str
    body: bytes
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    is_live: bool = False


class Page(Protocol):
    """What is served beside metrics and health."""

    def answer(self, path: str, host: str, *, is_local: bool) -> PageAnswer | None:
        """The answer to a GET of a path under a Host; None: nothing of the page's."""

    def take(self, connection: socket.socket) -> bool:
        """Own a connection from now on; False: it cannot."""

    def stop(self) -> None:
        """Close what it owns."""


class MetricsServer:
    """`/metrics`, `/healthz` (the process turns), `/readyz` (the gate is READY), and a page."""

    def __init__(
        self,
        metrics: Metrics,
        host: str,
        port: int,
        *,
        healthy: Callable[[], bool],
        make_page: Callable[[], Page] | None = None,
    ) -> None:
        """Bind at once; `make_page` is called when something else than metrics is asked for.

        Raises:
            OSError: the port is taken or the address is not ours.
        """
        self._make_page = make_page
        self._page: Page | None = None
        self._making = threading.Lock()
        serve_page = self._serve_page

        class Handler(BoundedRequest):
            def answer(self, *, with_body: bool) -> None:
                """Answer one request."""
                try:
                    path = urlsplit(self.path).path  # a query changes nothing
                except ValueError:
                    self.send_error(400, "this is no address")
                    return
                if path not in _OWN_PATHS and serve_page(self, path, with_body=with_body):
                    return
                status, kind, body = _answer(path, metrics, healthy)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if with_body:
                    self.wfile.write(body)

        self._server = BoundedHttpServer((host, port), Handler)
        address = ip_address(str(self._server.server_address[0]))
        self._is_local = address.is_loopback
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="seatrial-metrics", daemon=True
        )

    def start(self) -> None:
        """Serve until `stop`."""
        self._thread.start()

    def _serve_page(self, request: BaseHTTPRequestHandler, path: str, *, with_body: bool) -> bool:
        """Answer what is the page's; False: it is not."""
        with self._making:
            if self._page is None and self._make_page is not None:
                self._page = self._make_page()
        page = self._page
        host = request.headers.get("Host", "")
        answer = page.answer(path, host, is_local=self._is_local) if page else None
        if page is None or answer is None:
            return False
        request.send_response(answer.status)
        request.send_header("Content-Type", answer.kind)
        for name, value in answer.headers.items():
            request.send_header(name, value)
        if not answer.is_live:
            request.send_header("Content-Length", str(len(answer.body)))
        request.end_headers()
        if with_body:
            request.wfile.write(answer.body)
            if answer.is_live and page.take(request.connection):
                self._server.handed_over.add(request.connection)
        return True

    def stop(self) -> None:
        """End the thread, the page, and free the port."""
        self._server.shutdown()
        if self._page is not None:
            self._page.stop()
        self._server.server_close()
        self._thread.join(timeout=ANSWER_S)


def _answer(path: str, metrics: Metrics, healthy: Callable[[], bool]) -> tuple[int, str, bytes]:
    plain = "text/plain; charset=utf-8"
    if path == "/metrics":
        return 200, CONTENT_TYPE_LATEST, metrics.render()
    if path == "/healthz":
        return (200, plain, b"ok\n") if healthy() else (503, plain, b"main loop does not turn\n")
    if path == "/readyz":
        state = metrics.gate_state()
        return (200 if state == "READY" else 503), plain, f"{state}\n".encode()
    return 404, plain, b"try /, /metrics, /healthz or /readyz\n"
