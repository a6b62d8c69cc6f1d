"""The metrics endpoint, asked over real HTTP; parsed by prometheus-client's own parser."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.model.records import EventType
from daemon.shell.metrics import Metrics, MetricsServer

STATUS: dict[str, Any] = {
    "gate_state": "READY",
    "trading_state": "HALTED",
    "latched": True,
    "orders": {"UNKNOWN": 2, "ACCEPTED": 1},
    "open_orders": [{}, {}, {}],
    "market": {"BTCUSDT": {"age_ms": 1500}, "ETHUSDT": {"age_ms": None}},
    "caps": [{"cap": "position_long_base_max", "symbol": "BTCUSDT", "used": "0.5", "limit": "2"}],
    "positions": {"BTCUSDT": {"qty": "-0.25"}},
    "links": {"rest": True, "market": False},
}


@pytest.fixture
def served() -> Iterator[tuple[Metrics, str, dict[str, Any]]]:
    status = dict(STATUS)
    metrics = Metrics(lambda: status, {"version": "1", "commit": "c"})
    server = MetricsServer(metrics, "127.0.0.1", 0, healthy=lambda: status.get("healthy", True))
    server.start()
    yield metrics, f"http://127.0.0.1:{server.port}", status
    server.stop()


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_gauges_follow_the_published_status(served: tuple[Metrics, str, dict[str, Any]]) -> None:
    _, url, _ = served
    found = samples(get(f"{url}/metrics")[1])
    assert found["seatrial_latched", ()] == 1
    assert found["seatrial_unknown_orders", ()] == 2
    assert found["seatrial_open_orders", ()] == 3
    assert found["seatrial_market_data_age_seconds", (("symbol", "BTCUSDT"),)] == 1.5
    assert found["seatrial_position", (("symbol", "BTCUSDT"),)] == -0.25
    assert found["seatrial_gate_state", (("state", "READY"),)] == 1
    assert found["seatrial_gate_state", (("state", "DOWN"),)] == 0
    cap = (("cap", "position_long_base_max"), ("symbol", "BTCUSDT"))
    assert (found["seatrial_cap_used", cap], found["seatrial_cap_limit", cap]) == (0.5, 2)
    assert found["seatrial_link_up", (("link", "market"),)] == 0


def test_counters_follow_records(served: tuple[Metrics, str, dict[str, Any]]) -> None:
    metrics, url, _ = served
    for _ in range(3):
        metrics.on_record(EventType.ORDER_DENIED, {"deny_reason": "halted"}, 0)
    metrics.on_record(EventType.FILL, {"symbol": "BTCUSDT", "liquidity": "MAKER"}, 0)
    metrics.on_record(EventType.ORDER_REJECT, {"code": -2010}, 0)
    found = samples(get(f"{url}/metrics")[1])
    assert found["seatrial_orders_denied_total", (("reason", "halted"),)] == 3
    assert found["seatrial_fills_total", (("liquidity", "MAKER"), ("symbol", "BTCUSDT"))] == 1
    assert found["seatrial_order_rejects_total", (("code", "-2010"),)] == 1
    assert found["seatrial_events_total", (("event_type", "order_denied"),)] == 3


def test_health_and_readiness_are_two_questions(
    served: tuple[Metrics, str, dict[str, Any]],
) -> None:
    _, url, status = served
    assert get(f"{url}/healthz")[0] == 200
    assert get(f"{url}/readyz") == (200, "READY\n")
    status["gate_state"] = "STALE"
    status["healthy"] = False
    assert get(f"{url}/readyz") == (503, "STALE\n")
    assert get(f"{url}/healthz")[0] == 503
    assert get(f"{url}/other")[0] == 404


def test_a_taken_port_is_an_error_at_once(served: tuple[Metrics, str, dict[str, Any]]) -> None:
    metrics, url, _ = served
    with pytest.raises(OSError, match="in use"):
        MetricsServer(metrics, "127.0.0.1", int(url.rpartition(":")[2]), healthy=lambda: True)
