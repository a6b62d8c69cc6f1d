"""Latencies as Prometheus histograms that are cheap for the main loop.

Rules of this file:
1. `observe` is a bisect and two additions: no lock, no allocation. One thread observes (the main
   loop); a scrape copies the numbers and may see a sample that is not in the sum yet.
2. Every memory of something begun is bounded: beyond the bound the oldest is forgotten.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client.core import HistogramMetricFamily, Metric

from daemon.model.enums import OrderStatus
from daemon.model.records import EventType

WIRE_BOUNDS_S = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""From a loopback answer to a venue that does not answer."""
GATE_BOUNDS_S = (0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.05, 0.5)
OUTAGE_BOUNDS_S = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
BEGUN_MAX = 4_096

_APPROVED, _STATE = EventType.ORDER_APPROVED, EventType.ORDER_STATE
_CANCELED = OrderStatus.CANCELED.value
_ANSWERED = frozenset(
    {
        OrderStatus.ACCEPTED.value,
        OrderStatus.PARTIALLY_FILLED.value,
        OrderStatus.FILLED.value,
        OrderStatus.REJECTED.value,
        OrderStatus.EXPIRED.value,
    }
)


class Latency:
    """One histogram, in seconds."""

    __slots__ = ("_bounds", "_counts", "_name", "_sum", "_text")

    def __init__(self, name: str, text: str, bounds_s: tuple[float, ...]) -> None:
        """Make an empty histogram; `name` ends in `_seconds`."""
        self._name = name
        self._text = text
        self._bounds = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one. A negative span (two clocks) counts as zero."""
        span = max(0.0, seconds)
        self._counts[bisect_left(self._bounds, span)] += 1
        self._sum += span

    def family(self) -> Metric:
        """What a scrape shows."""
        running = list(accumulate(self._counts))
        edges = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        family = HistogramMetricFamily(self._name, self._text)
        family.add_metric([], list(zip(edges, map(float, running), strict=True)), self._sum)
        return family


class Latencies:
    """Every histogram of the daemon, fed by journal lines."""

    def __init__(self) -> None:
        """Begin with nothing observed."""
        self._place = Latency(
            "seatrial_order_answer_seconds",
            "From the approved order on disk to the venue's first answer.",
            WIRE_BOUNDS_S,
        )
        self._cancel = Latency(
            "seatrial_cancel_answer_seconds",
            "From a cancel asked for to the order's end.",
            WIRE_BOUNDS_S,
        )
        self._fill = Latency(
            "seatrial_fill_delay_seconds",
            "From the venue's time of a fill to our receipt of it (two clocks).",
            WIRE_BOUNDS_S,
        )
        self._round_trip = Latency(
            "seatrial_clock_round_trip_seconds",
            "Round trip of a question for the venue's time.",
            WIRE_BOUNDS_S,
        )
        self._outage = Latency(
            "seatrial_outage_seconds", "How long a lost link stayed down.", OUTAGE_BOUNDS_S
        )
        self._gate = Latency(
            "seatrial_kill_gate_seconds", "From a kill to the closed gate.", GATE_BOUNDS_S
        )
        self._empty = Latency(
            "seatrial_kill_empty_seconds",
            "From a kill to the venue verified empty of our orders.",
            WIRE_BOUNDS_S,
        )
        self._placed_ns: OrderedDict[str, int] = OrderedDict()
        self._canceled_ns: OrderedDict[str, int] = OrderedDict()

    def on_record(self, event_type: EventType, fields: Mapping[str, Any], ts_ns: int) -> None:
        """Follow one journal line. Recovered fills are old news and are not observed."""
        if event_type is _APPROVED:
            _remember(self._placed_ns, fields["client_order_id"], ts_ns)
        elif event_type is _STATE:
            self._moved(fields["client_order_id"], fields["new"], ts_ns)
        elif event_type is EventType.CANCEL_REQUESTED:
            _remember(self._canceled_ns, fields["client_order_id"], ts_ns)
        elif event_type is EventType.FILL:
            if not fields["recovered"]:
                self._fill.observe((fields["ts_recv_ns"] - fields["ts_venue_ns"]) / 1e9)
        elif event_type is EventType.CLOCK:
            self._round_trip.observe(fields["round_trip_ns"] / 1e9)
        elif event_type is EventType.RECONNECT:
            self._outage.observe(fields["outage_ms"] / 1e3)
        elif event_type is EventType.KILL and fields["step"] == "verified_empty":
            self._gate.observe(float(fields["gate_ms"]) / 1e3)
            self._empty.observe(float(fields["empty_ms"]) / 1e3)

    def collect(self) -> Iterator[Metric]:
        """Every histogram, observed or not."""
        for one in (
            self._place, self._cancel, self._fill, self._round_trip, self._outage, self._gate,
            self._empty,
        ):  # fmt: skip
            yield one.family()

    def _moved(self, client_order_id: str, new: str, ts_ns: int) -> None:
        if new in _ANSWERED:
            placed_ns = self._placed_ns.pop(client_order_id, None)
            if placed_ns is not None:
                self._place.observe((ts_ns - placed_ns) / 1e9)
        if new == _CANCELED:
            self._placed_ns.pop(client_order_id, None)
            asked_ns = self._canceled_ns.pop(client_order_id, None)
            if asked_ns is not None:
                self._cancel.observe((ts_ns - asked_ns) / 1e9)


def _remember(begun: OrderedDict[str, int], key: str, ts_ns: int) -> None:
    begun[key] = ts_ns
    if len(begun) > BEGUN_MAX:
        begun.popitem(last=False)
