"""The page over real HTTP: who may see it, what it is guarded with, what it tells."""

import json
import socket
from concurrent.futures import Future
from pathlib import Path

import pytest

from control.server.line_events import Found
from daemon.model.records import EventType
from daemon.shell.health.http_places import CONNECTIONS_MAX
from daemon.shell.page.live_feed import SUBSCRIBERS_MAX
from daemon.shell.page.page_site import is_own_name
from tests.support.page_stage import NOW_NS, SCRIPT, feed_activity, served_page

PATHS = [
    "/",
    "/page/page.css",
    "/page/page.js",
    "/page/charts.js",
    "/page/uplot.js",
    "/page/uplot.css",
]


def test_the_root_is_the_page_and_each_part_has_a_strict_policy(tmp_path: Path) -> None:
    with served_page(tmp_path) as stage:
        for path in [*PATHS, "/page/history"]:
            status, headers, body = stage.ask(path)
            assert (status, bool(body)) == (200, True), path
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self'" in policy
            assert "unsafe" not in policy
            assert "http" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
        assert b"<title>seatrial" in stage.ask("/?x=1")[2]
        assert stage.ask("/page/other")[0] == 404
        assert stage.ask("/other")[0] == 404


def test_a_head_is_answered_like_a_get_and_nothing_else_is(tmp_path: Path) -> None:
    with served_page(tmp_path) as stage:
        for path in ("/", "/page/live", "/page/history"):
            status, headers, body = stage.ask(path, method="HEAD")
            assert (status, body) == (200, b""), path
            assert "content-security-policy" in headers
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            assert stage.ask("/", method=method)[0] == 501


def test_where_metrics_listen_elsewhere_the_page_says_how_to_reach_it(tmp_path: Path) -> None:
    with served_page(tmp_path, host="0.0.0.0") as stage:
        for path in ("/", "/page/live", "/page/history", "/page/page.js"):
            status, _, body = stage.ask(path)
            assert status == 404
            assert b'[metrics] host = "127.0.0.1"' in body
            assert b"ssh -L" in body
        assert stage.ask("/healthz")[0] == 200


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1:9464", True),
        ("127.0.0.1", True),
        ("127.8.8.8:1", True),
        ("localhost:9464", True),
        ("LOCALHOST", True),
        ("[::1]:9464", True),
        ("::1", True),
        ("", False),
        ("evil.example:9464", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.1:9464", False),
        ("[2001:db8::1]:9464", False),
        ("0.0.0.0:9464", False),
    ],
)
def test_a_page_of_elsewhere_whose_name_points_here_sees_nothing(host: str, is_ours: bool) -> None:
    assert is_own_name(host) is is_ours


def test_the_host_is_asked_for_the_page_only(tmp_path: Path) -> None:
    with served_page(tmp_path) as stage:
        for path in ("/", "/page/live", "/page/history"):
            status, _, body = stage.ask(path, host="evil.example")
            assert status == 421
            assert SCRIPT.encode() not in body
        for path in ("/metrics", "/healthz", "/readyz"):
            assert stage.ask(path, host="node7.example:9464")[0] == 200


def test_a_frame_tells_the_status_and_what_came_since_the_last(tmp_path: Path) -> None:
    with served_page(tmp_path) as stage:
        stage.site.feed._frame_s = 0.05
        feed_activity(stage.metrics)
        first, second = stage.frames(2)
    assert first["state"]["trading_state"] == "HALTED"
    assert first["latch"]["reason"] == SCRIPT
    assert [one["level"] for one in first["alarms"]].count("bad") == 7
    assert first["counts"] == {
        "orders": 3, "fills": 1, "denied": 4, "open": 1, "unknown": 1, "incidents_open": 1,
    }  # fmt: skip
    shares = {one["cap"]: (one["share"], one["headroom"]) for one in first["caps"]}
    assert shares["position_long_base_max"] == (0.95, "0.05")
    assert shares["orders_open_max"] == (0.75, "1")
    assert len(first["recent"]["fills"]) == 40
    assert second["recent"]["fills"] == []
    assert first["recent"]["strategies"][0]["fills"] == 40


def test_an_incident_says_what_when_why_and_what_next(tmp_path: Path) -> None:
    with served_page(tmp_path) as stage:
        feed_activity(stage.metrics)
        stage.status["incidents"][0]["incident_id"] = "i-7"
        (told,) = stage.frames(1)[0]["incidents"]
        (older,) = stage.history()["incidents"]
    assert told["next"] == "seatrial incident show i-7"
    assert told["opened_ms"] == NOW_NS // 1_000_000
    assert "open order on our account" in told["why"]
    assert (older["resolved_by"], older["next"], older["why"]) == (SCRIPT, "", "")


def test_the_history_folds_the_journal_from_before_this_boot(tmp_path: Path) -> None:
    def older(event_type: str, count: int) -> "Future[Found]":
        asked: Future[Found] = Future()
        lines = []
        if event_type == "fill":
            fields = {"symbol": "ETHUSDT", "side": "SELL", "qty": "2", "price": "3", "ts_ns": 10**9}
            lines = [
                json.dumps({"seq": n, "event_type": "fill", **fields}).encode() for n in (4, 5)
            ]
        if event_type == "session_start":
            fields = {"session_id": "older-s1", "reason": "test", "ts_ns": 1}
            lines = [json.dumps({"seq": 1, "event_type": event_type, **fields}).encode()]
        if event_type == "incident_opened":
            lines = [b"{not json"]
        asked.set_result(Found(lines, is_whole=True))
        assert count > 0
        return asked

    with served_page(tmp_path, older=older) as stage:
        stage.metrics.on_record(
            EventType.FILL,
            {
                "symbol": "BTCUSDT",
                "liquidity": "MAKER",
                "qty": "1",
                "price": "1",
                "recovered": True,
            },
            2 * 10**9,
        )
        told = stage.history()
    assert [(one[0], one[2]) for one in told["fills"]] == [
        (-1, "ETHUSDT"), (0, "ETHUSDT"), (1, "BTCUSDT"),
    ]  # fmt: skip
    (session,) = told["sessions"]
    assert session["make"].endswith(f"--out-dir {tmp_path}/reports/older-s1")


def test_a_session_is_linked_to_its_report_and_its_verdict(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "abcdef-1-s1"
    folder.mkdir(parents=True)
    (folder / "evidence_report.json").write_text('{\n  "schema": "x",\n  "verdict": "NO_GO"\n}')
    (folder / "evidence_report.html").write_text("<p>the report")
    (tmp_path / "secret_report.html").write_text("not for you")
    with served_page(tmp_path) as stage:
        feed_activity(stage.metrics)
        (session,) = stage.history()["sessions"]
        assert session["report"] == {"verdict": "NO_GO", "href": "/page/reports/abcdef-1-s1"}
        status, headers, body = stage.ask(session["report"]["href"])
        assert (status, body) == (200, b"<p>the report")
        assert headers["content-security-policy"].startswith("sandbox allow-scripts;")
        for name in ("..", "../x", "%2e%2e", "abcdef-1-s1/../..", ".hidden", "none"):
            assert stage.ask(f"/page/reports/{name}")[0] == 404, name


def test_subscribers_are_bounded_and_hold_no_place_against_who_comes(tmp_path: Path) -> None:
    """Twelve that read nothing; the thirteenth is served, and comes back when it was put out."""
    with served_page(tmp_path) as stage:
        stage.site.feed._frame_s = 0.05
        held = []
        for _ in range(SUBSCRIBERS_MAX):
            one = socket.create_connection(("127.0.0.1", stage.port), timeout=60)
            one.sendall(b"GET /page/live HTTP/1.0\r\nHost: localhost\r\n\r\n")
            assert one.recv(12) == b"HTTP/1.0 200"
            held.append(one)
        while len(stage.site.feed) < SUBSCRIBERS_MAX:
            assert stage.ask("/readyz")[0] == 200
        for _ in range(3):
            assert stage.frames(2)[0]["state"]["gate_state"] == "READY"
        for _ in range(CONNECTIONS_MAX):
            assert stage.ask("/metrics")[0] == 200
        for one in held:
            one.close()
        while len(stage.site.feed):
            assert stage.ask("/healthz")[0] == 200
        assert stage.frames(1)[0]["state"]["gate_state"] == "READY"
