"""The metrics endpoint, asked over real HTTP; parsed by prometheus-client's own parser."""

import contextlib
import http.client
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from daemon.model.records import EventType
from daemon.shell.health.http_places import CONNECTIONS_MAX, HEAD_S
from daemon.shell.health.latencies import BEGUN_MAX
from daemon.shell.health.metrics import CODES_MAX, Metrics, MetricsServer

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
        with urllib.request.urlopen(url, timeout=60) as answer:
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
    fill = {"symbol": "BTCUSDT", "liquidity": "MAKER", "recovered": True}
    metrics.on_record(EventType.FILL, fill, 0)
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


def test_what_is_not_known_is_absent_and_what_may_be_asked_for_begins_at_zero(
    served: tuple[Metrics, str, dict[str, Any]],
) -> None:
    _, url, status = served
    found = samples(get(f"{url}/metrics")[1])
    names = {name for name, _ in found}
    assert "seatrial_last_reconcile_age_seconds" not in names
    assert found["seatrial_orders_denied_total", (("reason", "order_qty"),)] == 0
    assert found["seatrial_reconnects_total", (("link", "market"),)] == 0
    assert found["seatrial_kill_empty_seconds_count", ()] == 0
    status["reconcile"] = {"clean_age_ms": None}
    status["equity"] = {"equity": None, "drawdown": "3.5"}
    found = samples(get(f"{url}/metrics")[1])
    assert ("seatrial_equity", ()) not in found
    assert found["seatrial_drawdown", ()] == 3.5


def test_headroom_is_a_share_and_an_unset_cap_has_none(
    served: tuple[Metrics, str, dict[str, Any]],
) -> None:
    _, url, status = served
    status["caps"] = [
        {"cap": "a_max", "symbol": "", "used": "0.5", "limit": "2"},
        {"cap": "b_max", "symbol": "", "used": "0", "limit": "0"},
    ]
    found = samples(get(f"{url}/metrics")[1])
    assert found["seatrial_cap_headroom_ratio", (("cap", "a_max"), ("symbol", ""))] == 0.75
    assert ("seatrial_cap_headroom_ratio", (("cap", "b_max"), ("symbol", ""))) not in found


def test_an_order_is_timed_from_disk_to_answer_and_a_cancel_to_its_end(
    served: tuple[Metrics, str, dict[str, Any]],
) -> None:
    metrics, url, _ = served
    named = {"client_order_id": "st1", "symbol": "BTCUSDT"}
    ms = 1_000_000
    metrics.on_record(EventType.ORDER_APPROVED, named, 0)
    metrics.on_record(EventType.ORDER_STATE, {**named, "new": "SUBMITTED"}, 0)
    metrics.on_record(EventType.ORDER_STATE, {**named, "new": "ACCEPTED"}, 3 * ms)
    metrics.on_record(EventType.ORDER_STATE, {**named, "new": "PARTIALLY_FILLED"}, 900 * ms)
    metrics.on_record(EventType.CANCEL_REQUESTED, named, 1_000 * ms)
    metrics.on_record(EventType.ORDER_STATE, {**named, "new": "CANCELED"}, 1_040 * ms)
    metrics.on_record(EventType.KILL, {"step": "gate_closed", "gate_ms": "0.1"}, 0)
    kill = {"step": "verified_empty", "gate_ms": "0.004", "empty_ms": "80.5"}
    metrics.on_record(EventType.KILL, kill, 0)
    found = samples(get(f"{url}/metrics")[1])
    assert found["seatrial_order_answer_seconds_count", ()] == 1
    assert found["seatrial_order_answer_seconds_sum", ()] == pytest.approx(0.003)
    assert found["seatrial_order_answer_seconds_bucket", (("le", "0.0025"),)] == 0
    assert found["seatrial_order_answer_seconds_bucket", (("le", "0.005"),)] == 1
    assert found["seatrial_cancel_answer_seconds_sum", ()] == pytest.approx(0.04)
    assert found["seatrial_kill_gate_seconds_sum", ()] == pytest.approx(4e-6)
    assert found["seatrial_kill_empty_seconds_bucket", (("le", "0.1"),)] == 1
    assert found["seatrial_order_states_total", (("status", "ACCEPTED"),)] == 1


def test_orders_that_never_end_and_codes_without_end_stay_bounded() -> None:
    metrics = Metrics(dict, {})
    for number in range(BEGUN_MAX + 50):
        named = {"client_order_id": f"st{number}", "symbol": "BTCUSDT"}
        metrics.on_record(EventType.ORDER_APPROVED, named, 0)
        metrics.on_record(EventType.CANCEL_REQUESTED, named, 0)
    assert len(metrics._latencies._placed_ns) == BEGUN_MAX
    assert len(metrics._latencies._canceled_ns) == BEGUN_MAX
    for number in range(CODES_MAX + 6):
        metrics.on_record(EventType.ORDER_REJECT, {"code": number}, 0)
    found = samples(metrics.render().decode())
    codes = [labels for name, labels in found if name == "seatrial_order_rejects_total"]
    assert len(codes) == CODES_MAX + 1
    assert found["seatrial_order_rejects_total", (("code", "other"),)] == 6


def test_a_scrape_that_keeps_old_text_says_what_prometheus_client_would_say() -> None:
    status: dict[str, Any] = {**STATUS, "uptime_s": float("nan")}
    metrics = Metrics(lambda: status, {"version": "1"})
    order = {"client_order_id": "st0-1", "symbol": "BTCUSDT", "new": "ACCEPTED"}
    for change in (
        lambda: None,
        lambda: metrics.on_record(EventType.ORDER_APPROVED, order, 1_000),
        lambda: metrics.on_record(EventType.ORDER_STATE, order, 9_000_000),
        lambda: metrics.on_record(EventType.ORDER_DENIED, {"deny_reason": "order_qty"}, 1),
        lambda: status.update(latched=False, uptime_s=1.5, market={"ETHUSDT": {"age_ms": 20}}),
        lambda: status.pop("positions"),
        lambda: status.update(session_id="abc-1-s1"),
    ):
        change()
        ours, theirs = metrics.render(), generate_latest(metrics.registry)
        assert _without_process(ours) == _without_process(theirs)


def _without_process(text: bytes) -> list[bytes]:
    """The lines that do not change from one look to the next by themselves."""
    return [line for line in text.splitlines() if b"process_" not in line]


def test_a_drill_is_dated_and_the_process_shows_its_size() -> None:
    drills = {
        "kill-switch": {"ts_ns": 1_700_000_000_000_000_000, "passed": False},
        "reconcile": None,
    }
    metrics = Metrics(lambda: {"drills": drills}, {})
    found = samples(metrics.render().decode())
    assert found["seatrial_last_drill_timestamp_seconds", (("drill", "kill-switch"),)] == 1.7e9
    assert found["seatrial_last_drill_passed", (("drill", "kill-switch"),)] == 0
    assert ("seatrial_last_drill_passed", (("drill", "reconcile"),)) not in found
    assert found["process_resident_memory_bytes", ()] > 1_000_000
    assert found["process_cpu_seconds_total", ()] > 0


def test_a_head_and_a_query_are_answered_like_a_get(
    served: tuple[Metrics, str, dict[str, Any]],
) -> None:
    _, url, _ = served
    assert get(f"{url}/metrics?name[]=x")[0] == 200
    assert get(f"{url}/healthz?probe=1") == (200, "ok\n")
    for path in ("/metrics", "/healthz", "/readyz", "/nothing"):
        asked = urllib.request.Request(f"{url}{path}", method="HEAD")
        expected = get(f"{url}{path}")[0]
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                code, length, body = answer.status, answer.headers["Content-Length"], answer.read()
        except urllib.error.HTTPError as error:
            with error:
                code, length, body = error.code, error.headers["Content-Length"], error.read()
        assert (code, body) == (expected, b"")
        assert int(length) > 0


def test_silent_connections_cost_a_bounded_number_of_threads_and_keep_nobody_out(
    served: tuple[Metrics, str, dict[str, Any]],
) -> None:
    _, url, _ = served
    port = int(url.rpartition(":")[2])
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        quiet = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            for _ in range(CONNECTIONS_MAX + 4)
        ]
        for one in quiet[CONNECTIONS_MAX:]:
            one.sendall(b"GET /metr")  # half of a request is none either
        for _ in range(20):
            assert get(f"{url}/healthz") == (200, "ok\n")
        assert threading.active_count() <= before + CONNECTIONS_MAX
        assert quiet[0].recv(1) == b""  # the oldest made room


def test_a_head_that_drips_has_one_deadline_in_all(
    served: tuple[Metrics, str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte came in time, so a limit on the wait for each would never end it."""
    assert HEAD_S <= 5
    monkeypatch.setattr("daemon.shell.health.http_places.HEAD_S", 0.2)
    _, url, _ = served
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as slow:
        slow.settimeout(0.02)
        for _ in range(5_000):
            try:
                slow.sendall(b"x")
                assert slow.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                pass
            return
    pytest.fail("it is still served")


@pytest.mark.parametrize("target", ["http://[", "//[", "/%ff%00", "*"])
def test_whatever_is_asked_for_has_an_answer(
    served: tuple[Metrics, str, dict[str, Any]], target: str
) -> None:
    _, url, _ = served
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=60) as asked:
        asked.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        status = asked.makefile("rb").readline().split()[1]
    assert status in ({b"400"} if "http" in target else {b"400", b"404"})


def test_a_scrape_that_fails_is_told(
    served: tuple[Metrics, str, dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    _, url, status = served
    status["caps"] = [{"cap": "orders_open_max", "used": "0"}]  # as no daemon publishes it
    with pytest.raises((OSError, http.client.HTTPException)):
        get(f"{url}/metrics")
    told = [one for one in caplog.records if "could not be answered" in one.message]
    assert [one.exc_info[0] for one in told if one.exc_info] == [KeyError]
