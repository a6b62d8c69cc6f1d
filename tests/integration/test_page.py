"""The operator's page of a real daemon: what status says, pushed; a kill and a restart show."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.box import Box

DEADLINE_S = 60.0


def frames(port: int) -> Iterator[Any]:
    """What a browser is pushed, for at most a minute."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    end = time.monotonic() + DEADLINE_S
    try:
        connection.request("GET", "/page/live")
        answer = connection.getresponse()
        assert answer.status == 200
        while time.monotonic() < end:
            line = answer.readline()
            assert line, "the feed ended"
            if line.startswith(b"data: "):
                yield json.loads(line[6:])
    finally:
        connection.close()


def history(port: int) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    connection.request("GET", "/page/history")
    told = json.loads(connection.getresponse().read())
    connection.close()
    return told


def test_the_page_tells_what_status_tells_and_remembers_over_a_restart(tmp_path: Path) -> None:
    with Box(tmp_path) as box:
        box.must("start", "--reason", "page test", "--yes")
        status = box.until(lambda one: one["trading_state"] == "ACTIVE" and one["open_orders"])
        port = status["metrics_port"]
        shown = next(one for one in frames(port) if one["open_orders"])
        assert shown["state"]["session_id"] == status["session_id"]
        assert {one["cap"] for one in shown["caps"]} == {one["cap"] for one in status["caps"]}
        assert next(one for one in frames(port) if one["recent"]["sample"][3:])["market"]["BTCUSDT"]
        healths = [one["health"] for one, _ in zip(frames(port), range(3), strict=False)]
        assert all(one["loop_lag_s"] <= one["loop_lag_max_s"] for one in healths), healths
        box.must("kill", "--reason", "seen on the page")
        latched = next(one for one in frames(port) if one["state"]["latched"])
        assert latched["latch"]["reason"] == "seen on the page"
        assert latched["alarms"][0]["next"] == "seatrial re-arm --reason …"
        box.signal_daemon(signal.SIGTERM)
        assert box.wait_daemon() == 0
        box.start_daemon()
        port = box.until(lambda one: bool(one.get("metrics_port")))["metrics_port"]
        (session,) = history(port)["sessions"]
        assert session["session_id"] == status["session_id"]
        assert (session["reason"], bool(session["stopped_ms"])) == ("page test", True)


def test_a_daemon_that_nobody_looks_at_has_not_imported_the_page() -> None:
    asked = (
        "import sys, daemon.app\n"
        "print(sorted(one for one in sys.modules if one.startswith('daemon.shell.page')))"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
