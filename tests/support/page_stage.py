"""The operator's page over real HTTP without a daemon: a status that a test may change, served."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.model.records import EventType
from daemon.shell.health.metrics import Metrics, MetricsServer
from daemon.shell.page.page_site import Older, PageSite
from daemon.shell.process.clock import monotonic_s

SCRIPT = (
    "<script>document.title='pwned';window.pwned=1</script><img src=x onerror='window.pwned=1'>"
)
"""What a page that made markup of texts would run."""
NOW_NS = 1_796_000_000_000_000_000


def hostile_status() -> dict[str, Any]:
    """A status in which every text of a bot, a strategy, a venue and a person is a script."""
    order = {
        "client_order_id": SCRIPT, "strategy_id": SCRIPT, "instrument_id": SCRIPT, "side": "BUY",
        "order_type": "LIMIT", "qty": "1", "cum_qty": "0", "price": "10", "status": SCRIPT,
        "ts_approved_ns": NOW_NS,
    }  # fmt: skip
    incident = {
        "incident_id": SCRIPT, "trigger": "foreign_order", "msg": SCRIPT, "symbol": SCRIPT,
        "opened_ns": NOW_NS, "context": {"bot": SCRIPT}, "resolved_by": "",
    }  # fmt: skip
    bot = {
        "configured": True, "state": SCRIPT, "reason": SCRIPT, "open_orders": 1, "orders": 1,
        "fills": 0, "denied": {SCRIPT: 1}, "refused": {}, "caps": [],
    }  # fmt: skip
    return {
        "ts_ns": NOW_NS, "published_monotonic_ns": int(monotonic_s() * 1e9),
        "trading_state": "HALTED", "gate_state": "READY", "environment": "sim", "mode": "sim",
        "session_id": "abcdef-1-s1", "session_age_ms": 9_000, "run_id": "abcdef-1",
        "instance": "abcdef", "version": "1", "uptime_s": 12.5, "ending": "", "latched": True,
        "latch": {"by_name": SCRIPT, "reason": SCRIPT, "ts_ns": NOW_NS, "kills": []},
        "not_ready": [{"reason": "link", "text": SCRIPT}], "symbols_blocked": {SCRIPT: SCRIPT},
        "prices_missing": {SCRIPT: SCRIPT}, "warnings": [SCRIPT], "journal_fault": SCRIPT,
        "venue_pause": {"text": SCRIPT, "left_ms": 9}, "open_orders": [order],
        "orders": {"UNKNOWN": 1},
        "session_orders": 3, "session_fills": 1, "denied": {SCRIPT: 4},
        "positions": {SCRIPT: {"qty": "1", "avg_px": "10", "realised_pnl": "-1"}},
        "caps": [
            {"cap": "orders_open_max", "symbol": SCRIPT, "used": "3", "limit": "4", "unit": SCRIPT},
            {"cap": "position_long_base_max", "symbol": "BTCUSDT", "used": "-0.95", "limit": "1",
             "unit": "base"},
        ],
        "equity": {"numeraire": "USDT", "equity": "-1.5", "drawdown": "2", "realised": "-1",
                   "unrealised": "-0.5", "fees": "0.2"},
        "market": {"BTCUSDT": {"bid": "99", "ask": "101", "age_ms": 100}},
        "incidents": [incident], "incidents_open": 1, "links": {"rest": True, SCRIPT: False},
        "bots": {SCRIPT: bot},
        "bots_seen": {SCRIPT: {"throttled": 1, "longest_silence_s": 3}},
        "health": {"healthy": False, "problems": [SCRIPT]}, "reconcile": {"clean_age_ms": 900},
        "dead_mans_switch": SCRIPT, "queue_age_s": 0.0, "loop_lag_s": 0.0, "loop_lag_max_s": 0.1,
        "journal_seq": 100,
    }  # fmt: skip


def feed_activity(metrics: Metrics) -> None:
    """An hour with fills, denials, incidents and a session, told as the pump tells them."""
    names = {"symbol": "BTCUSDT", "strategy_id": SCRIPT, "side": "BUY"}
    tell = metrics.on_record
    begun = {"session_id": "abcdef-1-s1", "environment": "sim", "by": SCRIPT, "reason": SCRIPT}
    tell(EventType.SESSION_START, begun, NOW_NS - 50 * 60 * 10**9)
    for number in range(40):
        ts_ns = NOW_NS - (40 - number) * 60 * 10**9
        order = f"order{number}{SCRIPT}"
        tell(EventType.ORDER_APPROVED, {**names, "client_order_id": order}, ts_ns)
        side = "BUY" if number % 3 else "SELL"
        price = str(100 + number % 7)
        fill = {"symbol": "BTCUSDT", "client_order_id": order, "side": side, "qty": "0.5",
                "price": price, "liquidity": "MAKER", "recovered": True}  # fmt: skip
        tell(EventType.FILL, fill, ts_ns)
        for _ in range(number % 4):
            denied = {**names, "deny_reason": SCRIPT if number % 2 else "order_qty"}
            tell(EventType.ORDER_DENIED, denied, ts_ns)
        status = {**hostile_status(), "ts_ns": ts_ns}
        status["equity"] = {**status["equity"], "equity": str(-number / 10)}
        metrics.activity.sample(status)
    opened = {"incident_id": "old-1", "trigger": "no such trigger", "msg": SCRIPT, "symbol": ""}
    tell(EventType.INCIDENT_OPENED, {**opened, "context": {}}, NOW_NS - 30 * 60 * 10**9)
    tell(EventType.INCIDENT_RESOLVED, {"incident_id": "old-1", "by": SCRIPT}, NOW_NS)


@dataclass
class PageStage:
    """Where it is served, and what it knows."""

    port: int
    status: dict[str, Any]
    metrics: Metrics
    site: PageSite

    def ask(
        self, path: str, *, host: str = "", method: str = "GET"
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower case) and body of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"Host": host} if host else {}
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, told, answer.read()
        finally:
            connection.close()

    def history(self) -> Any:
        return json.loads(self.ask("/page/history")[2])

    def frames(self, count: int) -> list[Any]:
        """The first frames that a browser would be pushed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", "/page/live")
            answer = connection.getresponse()
            assert answer.status == 200, answer.status
            found: list[Any] = []
            while len(found) < count:
                line = answer.readline()
                assert line, "the feed ended"
                if line.startswith(b"data: "):
                    found.append(json.loads(line[6:]))
            return found
        finally:
            connection.close()


@contextlib.contextmanager
def served_page(
    state_dir: Path,
    *,
    status: dict[str, Any] | None = None,
    host: str = "127.0.0.1",
    older: Older | None = None,
) -> Iterator[PageStage]:
    """Serve a page of its own."""
    told = hostile_status() if status is None else status
    metrics = Metrics(lambda: told, {"version": "1"})
    site = PageSite(
        status=lambda: told, activity=metrics.activity, older=older, state_dir=state_dir
    )
    server = MetricsServer(metrics, host, 0, healthy=lambda: True, make_page=lambda: site)
    server.start()
    try:
        yield PageStage(server.port, told, metrics, site)
    finally:
        server.stop()
