"""A testnet box in small: the simulated venue and the daemon as processes, the tool in this one."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from click.testing import CliRunner, Result

from control.control_errors import ControlError
from control.tool.client import call
from control.tool.command_frame import Wiring
from control.tool.root_command import control_group
from tests.support.forked import ForkedProcess, start
from tests.support.priority import before_others
from tests.support.sim_process import SimProcess

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 60.0
_TEST_TABLES = """
[metrics]
port = 0
"""


class Box:
    """`with Box(tmp_path) as box:` … everything is stopped at the end.

    The configuration comes from `seatrial init`, `tables` are added to it.
    """

    def __init__(
        self, directory: Path, *, strategy: str = "quoter", caps: str = "tiny", tables: str = ""
    ) -> None:
        self.directory = directory
        self.sim = SimProcess(seed=7)
        self._strategy = strategy
        self._caps = caps
        self._tables = tables
        self._daemon: ForkedProcess | subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.directory / "seatrial.toml"

    @property
    def socket(self) -> Path:
        return self.directory / "state" / "control.sock"

    def __enter__(self) -> Self:
        self.sim.start()
        try:
            line = json.dumps({k: self.sim.ready[k] for k in self.sim.ready})
            made = CliRunner().invoke(
                control_group,
                ["init", "--dir", str(self.directory), "--sim", "-", "--caps", self._caps,
                 "--symbol", "BTCUSDT", "--strategy", self._strategy],
                obj=Wiring(), input=line + "\n",
            )  # fmt: skip
            assert made.exit_code == 0, made.output
            # `init` writes this table itself where the usual port is taken.
            text = self.config.read_text()
            usual = re.sub(r"\n\[metrics\]\n(#.*\n)*port = \d+\n", "\n", text)
            self.config.write_text(usual + _TEST_TABLES + self._tables)
            self.start_daemon()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._daemon is not None and self._daemon.poll() is None:
            self._daemon.kill()
            self._daemon.wait()
        self.sim.stop()

    def start_daemon(self, gate: str = "READY") -> None:
        """Start it and wait until it knows its venue, or until its gate says another word."""
        with (self.directory / "daemon.log").open("ab") as log:
            arguments = ["--config", str(self.config)]
            self._daemon = start("daemon", arguments, stdout=log, stderr=log)
        before_others(self._daemon)
        self.until(lambda status: status.get("gate_state") == gate)

    def signal_daemon(self, number: int) -> None:
        assert self._daemon is not None
        self._daemon.send_signal(number)

    def wait_daemon(self) -> int:
        assert self._daemon is not None
        return self._daemon.wait(DEADLINE_S)

    def tool(self, *args: str, wiring: Wiring | None = None) -> Result:
        """Run the operator's tool."""
        return CliRunner().invoke(
            control_group, ["--socket", str(self.socket), *args], obj=wiring or Wiring()
        )

    def must(self, *args: str) -> str:
        """Run the tool; it has to succeed."""
        result = self.tool(*args)
        assert result.exit_code == 0, f"{args}: {result.output} {self.log()}"
        return str(result.stdout)

    def status(self) -> Mapping[str, Any]:
        return call(self.socket, "status")

    def until(self, condition: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        """Wait until the status fulfils a condition."""
        deadline = time.monotonic() + DEADLINE_S
        status: Mapping[str, Any] = {}
        while True:
            try:
                status = self.status()
                if condition(status):
                    return status
            except ControlError:
                pass  # not up yet
            assert time.monotonic() < deadline, f"it did not come to that: {status} {self.log()}"
            time.sleep(0.05)

    def open_at_venue(self) -> list[Any]:
        """Our open orders in the venue's own books."""
        found: list[Any] = self.sim.ledger()["open_orders"]
        return found

    def log(self) -> str:
        """The end of the daemon's log."""
        return (self.directory / "daemon.log").read_text(errors="replace")[-2_000:]
