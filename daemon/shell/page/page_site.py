"""What the metrics port answers at its root: the operator's page, its data, and reports.

Rules of this file:
1. It only reads: there is GET and HEAD, and no parameter changes anything.
2. It is for a browser on this machine. Requests under a name that is not this machine's own, as a
   page of elsewhere sends them after it has had its name point here, are refused.
3. Nothing is fetched from elsewhere and no text becomes markup: the policy of every answer says so.
"""

import ipaddress
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from control.server.line_events import Found
from daemon.model.records import EventType
from daemon.shell.health.metrics import BREATH_S, PageAnswer
from daemon.shell.health.recent_activity import RecentActivity, sample_of
from daemon.shell.page.live_feed import LiveFeed
from daemon.shell.page.page_view import (
    cleaned,
    denials_of,
    history_view,
    live_view,
    sample_row,
    strategies_of,
)
from daemon.shell.process.clock import monotonic_s

ASSETS = Path(__file__).parent / "assets"
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page/charts.js": ("charts.js", "text/javascript; charset=utf-8"),
    "/page/uplot.css": ("uplot/uPlot.min.css", "text/css; charset=utf-8"),
    "/page/uplot.js": ("uplot/uPlot.iife.min.js", "text/javascript; charset=utf-8"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""A report has one script of its own, which its own policy names by hash. Here it is a document of
no origin, and could ask nothing of this server."""
HISTORY_TYPES = {
    "fill": 300, "order_denied": 300, "session_start": 50, "session_stop": 50,
    "incident_opened": 50, "incident_resolved": 50,
}  # fmt: skip
"""So many lines of each kind are read back from before this boot."""
HISTORY_S = 4.0
REPORTS_MAX = 200
REPORT_BYTES_MAX = 32 * 1024 * 1024
MINUTES_TOLD = 3
"""A frame tells the denials of so many minutes; a page that missed more asks for the history."""
VERDICT_WITHIN_BYTES = 4_096
_VERDICT = re.compile(rb'"verdict": ?"([A-Za-z_ ]{1,40})"')
_REPORT_JSON, _REPORT_HTML = "evidence_report.json", "evidence_report.html"
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_JSON = "application/json"
_PLAIN = "text/plain; charset=utf-8"
_NOBODY = RecentActivity()
_LOCAL_NAMES = frozenset({"localhost", "ip6-localhost", "localhost.localdomain"})


Older = Callable[[str, int], "Future[Found]"]
"""Asks for the last lines of one type from before this boot."""


class PageSite:
    """Answers for one daemon. Called from threads of the metrics server."""

    def __init__(
        self,
        *,
        status: Callable[[], Mapping[str, Any]],
        activity: RecentActivity,
        older: Older | None,
        state_dir: Path,
    ) -> None:
        """Serve what these know.

        Args:
            status: the last published status.
            activity: what was seen since boot.
            older: finds lines from before it; None: nothing does.
            state_dir: below it lie `reports/SESSION/`.
        """
        self._status = status
        self._activity = activity
        self._older = older
        self._state_dir = state_dir
        self._before: RecentActivity | None = None
        self._reading = threading.Lock()
        self._files = {path: (ASSETS / name).read_bytes() for path, (name, _) in _FILES.items()}
        self.feed = LiveFeed(self._frame)
        self._told_fills = 0

    def answer(self, path: str, host: str, *, is_local: bool) -> PageAnswer | None:
        """The answer to a GET; None: this is none of the page's.

        Args:
            path: without its query.
            host: the request's Host header.
            is_local: whether the server listens on this machine's loopback alone.
        """
        if path != "/" and not path.startswith("/page/"):
            return None
        if not is_local:
            return PageAnswer(404, _PLAIN, _ELSEWHERE)
        if not is_own_name(host):
            return PageAnswer(421, _PLAIN, _MISDIRECTED)
        if path in self._files:
            return PageAnswer(200, _FILES[path][1], self._files[path], _guards(POLICY))
        if path == "/page/live":
            return PageAnswer(
                200, "text/event-stream", b"retry: 2000\n\n", _guards(POLICY), is_live=True
            )
        if path == "/page/history":
            return PageAnswer(200, _JSON, orjson.dumps(self._history()), _guards(POLICY))
        name = path.removeprefix("/page/reports/").removesuffix("/")
        if path.startswith("/page/reports/") and _SAFE_NAME.fullmatch(name):
            return self._report(name)
        return PageAnswer(404, _PLAIN, b"there is no such page here; try /\n")

    def take(self, connection: socket.socket) -> bool:
        """Push frames into a connection whose answer has begun; False: it ends."""
        return self.feed.subscribe(connection)

    def stop(self) -> None:
        """Close what is open."""
        self.feed.stop()

    # ------------------------------------------------------------------ data

    def _frame(self) -> bytes:
        """One server-sent event: the status, and what has happened since the last one."""
        status = self._status()
        age_s = monotonic_s() - int(status.get("published_monotonic_ns", 0)) / 1e9
        view = live_view(status, age_s=age_s if status else 0.0)
        fills = [one for one in self._activity.fills.copy() if one.number > self._told_fills]
        if fills:
            self._told_fills = fills[-1].number
        sample = sample_of(status)
        symbols = sorted(sample.prices)
        minute = view["now_ms"] // 60_000
        view["recent"] = {
            "fills": fills,
            "symbols": symbols,
            "sample": sample_row(sample, symbols),
            "denials": denials_of(
                self._before or _NOBODY, self._activity, since_minute=minute - MINUTES_TOLD
            ),
            "strategies": strategies_of(self._activity),
            "incidents_seen": len(self._activity.incidents),
            "sessions_seen": _ends(self._activity),
        }
        told = {}
        for name, part in view.items():
            told[name] = cleaned(part)
            time.sleep(BREATH_S)
        return b"data: " + orjson.dumps(told) + b"\n\n"

    def _history(self) -> Any:
        with self._reading:
            if self._before is None:
                self._before = self._read_before()
        return cleaned(history_view(self._activity, self._before, self._reports(), self._state_dir))

    def _read_before(self) -> RecentActivity:
        """Fold lines from before this boot, as many as are found in time."""
        before = RecentActivity()
        if self._older is None:
            return before
        asked = [self._older(name, count) for name, count in HISTORY_TYPES.items()]
        until = monotonic_s() + HISTORY_S
        lines: list[dict[str, Any]] = []
        for one in asked:
            try:
                found = one.result(timeout=max(0.0, until - monotonic_s()))
                lines += [orjson.loads(line) for line in found.lines]
            except (NotInTime, ValueError):
                continue
        for line in sorted(lines, key=lambda one: int(one.get("seq", 0))):
            before.on_record(EventType(line["event_type"]), line, int(line.get("ts_ns", 0)))
        return before

    def _reports(self) -> dict[str, dict[str, Any]]:
        """By session: the verdict of the report in `reports/SESSION/`, and where it is served."""
        found: dict[str, dict[str, Any]] = {}
        try:
            folders = sorted((self._state_dir / "reports").iterdir())[-REPORTS_MAX:]
        except OSError:
            return found
        for folder in folders:
            try:
                with (folder / _REPORT_JSON).open("rb") as report:
                    head = report.read(VERDICT_WITHIN_BYTES)
            except OSError:
                continue
            verdict = _VERDICT.search(head)
            if verdict and _SAFE_NAME.fullmatch(folder.name):
                href = f"/page/reports/{quote(folder.name)}"
                found[folder.name] = {"verdict": verdict[1].decode(), "href": href}
        return found

    def _report(self, name: str) -> PageAnswer:
        path = self._state_dir / "reports" / name / _REPORT_HTML
        try:
            if path.stat().st_size > REPORT_BYTES_MAX:
                return PageAnswer(404, _PLAIN, f"it is too large; open {path}\n".encode())
            body = path.read_bytes()
        except OSError:
            return PageAnswer(404, _PLAIN, b"there is no report of that session\n")
        return PageAnswer(200, "text/html; charset=utf-8", body, _guards(REPORT_POLICY))


def is_own_name(host: str) -> bool:
    """Whether a Host header names this machine's loopback: `localhost`, 127.0.0.0/8, `[::1]`."""
    name = host.strip().lower()
    if name.startswith("["):
        name, _, port = name[1:].partition("]")
        if port and not (port.startswith(":") and port[1:].isdecimal()):
            return False  # `[::1].example.com` is somebody else's name
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    if name in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _guards(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def _ends(activity: RecentActivity) -> int:
    """Rises when a session begins or ends."""
    told = activity.sessions.copy()
    return len(told) + sum("stopped_ms" in one for one in told)


_ELSEWHERE = (
    b"The operator's page has no password, so it is served on loopback only, and metrics listen\n"
    b"elsewhere here.\n"
    b'Set [metrics] host = "127.0.0.1" and restart; from another machine then:\n'
    b"  ssh -L 9464:127.0.0.1:9464 THIS-HOST   and open http://127.0.0.1:9464/\n"
    b"Here are /metrics, /healthz and /readyz.\n"
)
_MISDIRECTED = (
    b"This page answers only under the name of this machine's loopback.\n"
    b"Open http://127.0.0.1:PORT/ or http://localhost:PORT/ instead.\n"
)
