"""One instance on the testnet box, seen from inside: its venue, its unit, its socket.

Runs on the booted machine with the packaged interpreter; knows nothing of pytest.
"""

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import time
import tomllib
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from daemon.demo.plan import DemoOptions, strategies_of, symbols_of, toml_text

PYTHON = "/opt/seatrial/bin/python3"
TOOL = "/opt/seatrial/bin/seatrial"
CAPS = Path("/opt/seatrial/caps.toml")
DEADLINE_S = 60.0


def run(*command: str, fine: bool = True, stdin: str = "") -> str:
    """Run a command; its output."""
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, timeout=180
    )
    if fine and done.returncode != 0:
        raise RuntimeError(f"{command}: {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def until(what: str, condition: Callable[[], Any], deadline_s: float = DEADLINE_S) -> Any:
    """Wait for a condition; its value."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise TimeoutError(f"{what}: not in {deadline_s:.0f} s")


class Box:
    """An instance NAME with a simulated venue of its own."""

    def __init__(
        self,
        name: str,
        *,
        venue: bool = True,
        strategies: Mapping[str, Any] = {},
        sim_options: tuple[str, ...] = (),
    ) -> None:
        self._sim_options = sim_options
        self.name = name
        self.unit = f"seatriald@{name}.service"
        self.state = Path("/var/lib/seatrial") / name
        self.socket = Path("/run/seatrial") / name / "control.sock"
        self._sim: subprocess.Popen[str] | None = None
        self._strategies = strategies
        self.ready: dict[str, Any] = {
            "rest": "http://127.0.0.1:9",
            "ws_api": "ws://127.0.0.1:9/ws-api/v3",
            "streams": "ws://127.0.0.1:9",
            "api_key": f"key-of-{name}",
            "api_secret": f"secret-of-{name}",
        }
        if venue:
            self.start_venue()
        self.write_keys()
        self.write_config()

    def start_venue(self) -> None:
        """A simulated venue on loopback."""
        self._sim = subprocess.Popen(
            [PYTHON, "-m", "daemon.cli.sim_command", "--port", "0", "--seed", "7", "--symbols",
             ",".join(symbols_of(self._options())), *self._sim_options],
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
        )  # fmt: skip
        line = self._sim.stdout.readline() if self._sim.stdout else ""
        self.ready = json.loads(line)

    def _options(self) -> DemoOptions:
        return DemoOptions(directory=Path("/nowhere"))

    def write_keys(self) -> None:
        """Encrypt the keys for this machine, as the unit's comment says."""
        store = Path("/etc/credstore.encrypted")
        store.mkdir(mode=0o700, exist_ok=True)
        for key in ("api_key", "api_secret"):
            target = store / f"seatrial.{self.name}.{key}"
            target.unlink(missing_ok=True)
            run("systemd-creds", "encrypt", f"--name={key}", "-", str(target),
                stdin=str(self.ready[key]))  # fmt: skip

    def write_config(self, **extra: Any) -> None:
        """/etc/seatrial/NAME.toml"""
        caps = tomllib.loads(CAPS.read_text())["caps"]
        wanted = symbols_of(self._options())
        caps["symbols"] = {s: v for s, v in caps["symbols"].items() if s in wanted}
        table = {
            "state_dir": str(self.state),
            "venue": {
                "environment": "sim",
                "symbols": list(wanted),
                "rest": self.ready["rest"],
                "ws_api": self.ready["ws_api"],
                "streams": self.ready["streams"],
            },
            "control": {"socket": str(self.socket)},
            "metrics": {"port": 0},
            "strategies": {**strategies_of(self._options()), **self._strategies},
            "caps": caps,
            **extra,
        }
        path = Path("/etc/seatrial") / f"{self.name}.toml"
        path.write_text(toml_text(table))
        shutil.chown(path, "root", "seatrial")
        path.chmod(0o640)

    def drop_in(self, name: str, text: str) -> None:
        """A drop-in of the instance."""
        directory = Path("/etc/systemd/system") / f"{self.unit}.d"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{name}.conf").write_text(text)
        run("systemctl", "daemon-reload")

    def start(self) -> float:
        """`systemctl start`; seconds until systemd called it started."""
        begin = time.monotonic()
        run("systemctl", "start", self.unit)
        return time.monotonic() - begin

    def show(self, *names: str, unit: str = "") -> dict[str, str]:
        """Properties of the unit."""
        text = run("systemctl", "show", unit or self.unit, *(f"--property={one}" for one in names))
        return dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)

    @property
    def pid(self) -> int:
        """The daemon's main process; 0 when there is none."""
        return int(self.show("MainPID")["MainPID"])

    def call(self, *arguments: str, fine: bool = True) -> dict[str, Any]:
        """One command of the operator's tool, as root."""
        said = run(TOOL, "--socket", str(self.socket), *arguments, "--json", fine=fine)
        lines = [line for line in said.splitlines() if line.startswith("{")]
        made: dict[str, Any] = json.loads(lines[-1]) if lines else {"said": said}
        return made

    def status(self) -> dict[str, Any]:
        """`seatrial status`, or nothing while nobody answers."""
        return self.call("status", fine=False)

    def until_gate_ready(self) -> dict[str, Any]:
        """Wait until the gate is READY."""
        return until(  # type: ignore[no-any-return]
            "gate READY", lambda: (s := self.status()).get("gate_state") == "READY" and s
        )

    def trade(self, orders: int = 3) -> list[dict[str, Any]]:
        """Start a session and wait until so many orders are open at the venue."""
        self.until_gate_ready()
        self.call("start", "--yes", "--reason", "system test")
        return until(  # type: ignore[no-any-return]
            "open orders", lambda: len(found := self.open_orders()) >= orders and found
        )

    def ledger(self) -> dict[str, Any]:
        """The venue's own books."""
        with urllib.request.urlopen(f"{self.ready['admin']}/ledger", timeout=30) as answer:
            made: dict[str, Any] = json.loads(answer.read())
        return made

    def open_orders(self) -> list[dict[str, Any]]:
        """What the venue says is open of ours."""
        return [one for one in self.ledger()["open_orders"] if one.get("ours", True)]

    def latched(self) -> bool:
        """Whether a kill latch lies in the state directory."""
        directory = self.state / "kill-latch"
        return directory.is_dir() and any(directory.iterdir())

    def journal(self, event_type: str) -> list[dict[str, Any]]:
        """Lines of one type, over all segments."""
        found = []
        for path in sorted((self.state / "journal").glob("*.jsonl")):
            for line in path.read_bytes().splitlines():
                if f'"event_type":"{event_type}"'.encode() in line:
                    with contextlib.suppress(ValueError):
                        found.append(json.loads(line))
        return found

    def log(self) -> str:
        """The unit's last words."""
        return run("journalctl", "--no-pager", "-n", "60", "-u", self.unit, fine=False)

    def close(self) -> None:
        """Stop unit and venue."""
        run("systemctl", "stop", f"seatriald@{self.name}.socket", self.unit, fine=False)
        run("systemctl", "reset-failed", self.unit, fine=False)
        if self._sim is not None:
            self._sim.terminate()
            self._sim.wait(timeout=20)


def as_user(user: str, *command: str) -> tuple[int, str]:
    """Run as somebody else; exit code and output."""
    who = pwd.getpwnam(user)
    done = subprocess.run(
        command, user=who.pw_uid, group=who.pw_gid, capture_output=True, text=True, check=False,
        extra_groups=os.getgrouplist(user, who.pw_gid), timeout=90,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr
