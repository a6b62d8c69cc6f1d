"""Our own quoter: the daemon with its quoter strategy, configured and started as an operator would.

An operator stands by only when it is started: incidents of earlier trials are resolved then, and
what a cap has disabled is enabled. Where the daemon halts in a trial, it stays halted.
"""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from control.control_errors import ControlError
from control.tool.client import call
from daemon.demo.box_config import caps_file
from daemon.demo.plan import DemoOptions, toml_text

WORK = Path(os.environ["SEATRIAL_WORK"]) / "own"
CONFIG, SOCKET = WORK / "seatrial.toml", WORK / "state" / "control.sock"
SYMBOL = os.environ["SEATRIAL_SYMBOL"]
SYMBOLS = list(dict.fromkeys((SYMBOL, "BNBUSDT")))
"""The second is watched, not traded: fees in BNB have a price then."""


def configure() -> None:
    WORK.mkdir(exist_ok=True)
    keys = WORK / "credentials.toml"
    keys.touch(mode=0o600)
    keys.write_text(
        toml_text(
            {
                "api_key": os.environ["SEATRIAL_KEY"],
                "api_secret": os.environ["SEATRIAL_SECRET"],
            }
        )
    )
    caps = tomllib.loads(caps_file(DemoOptions(directory=WORK).caps).read_text())["caps"]
    caps["symbols"] = {one: caps["symbols"][one] for one in SYMBOLS}
    CONFIG.write_text(
        toml_text(
            {
                "state_dir": str(WORK / "state"),
                "venue": {
                    "environment": "sim",
                    "symbols": SYMBOLS,
                    "rest": os.environ["SEATRIAL_REST"],
                    "ws_api": os.environ["SEATRIAL_WS_API"],
                    "streams": os.environ["SEATRIAL_STREAMS"],
                },
                "credentials": {"file": str(keys)},
                "control": {"socket": str(SOCKET)},
                "metrics": {"port": 0},
                "strategies": {
                    "quoter": {
                        "class": "quoter",
                        "symbols": [SYMBOL],
                        "params": {
                            "qty": "0.001",
                            "half_spread_bps": 15,
                            "requote_bps": 5,
                            "order_age_ms": 3_000,
                            "pause_ms": 100,
                        },
                    }
                },
                # As the demo's: an order without an answer is settled sooner than on a real venue.
                "session": {"unknown_settle_ms": 4_000, "audit_period_ms": 8_000},
                "caps": caps,
            }
        )
    )


def resolve(status: Mapping[str, Any]) -> None:
    for incident in status.get("incidents", ()):
        if not incident["resolved_by"]:
            print(f"resolved: {incident['trigger']}", flush=True)
            call(
                SOCKET,
                "incident-resolve",
                incident_id=incident["incident_id"],
                root_cause="done by a trial",
                remediation="none needed",
                follow_up="none",
                reason="trial",
            )


def main() -> int:
    configure()
    daemon = subprocess.Popen([sys.executable, "-m", "daemon", "--config", str(CONFIG)])
    signal.signal(signal.SIGTERM, lambda *_: daemon.send_signal(signal.SIGTERM))
    started = False
    while daemon.poll() is None:
        if not started:
            try:
                status = call(SOCKET, "status")
                if status.get("gate_state") == "READY":
                    resolve(status)
                    call(SOCKET, "re-enable", reason="trial")
                    print(json.dumps(dict(call(SOCKET, "start", reason="trial"))), flush=True)
                    started = True
            except ControlError as error:
                print(error, flush=True)
        time.sleep(0.3)
    return daemon.returncode


if __name__ == "__main__":
    sys.exit(main())
