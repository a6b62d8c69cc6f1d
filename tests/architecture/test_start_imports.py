"""A daemon without bots starts without the gateway, the tool's screens and what they import."""

import json
import subprocess
import sys

from tests.architecture.tree import ROOT

DAEMON = """
import json, sys
import daemon.boot
print(json.dumps(sorted(sys.modules)))
"""
NOT_AT_START = {
    "aiohttp.web",
    "click",
    "cryptography",
    "daemon.demo",
    "daemon.shell.gateway",
    "daemon.venues.binance_spot.serving",
    "daemon.venues.sim",
    "evidence",
    "rich",
    "textual",
}


def test_a_daemon_that_serves_no_bot_imports_nothing_for_one() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DAEMON],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    seen = set(json.loads(done.stdout))
    assert "daemon.app" in seen
    assert not seen & NOT_AT_START
