"""A box with a gateway: the simulated venue, the daemon, and keys of bots that trade through it."""

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from daemon.shell.gateway.bot_keys import new_key, write_key
from daemon.shell.gateway.snippets import Address, snippet
from daemon.shell.process.clock import SystemClock
from tests.support.box import ROOT, Box
from tests.support.journal_lines import journal_lines
from tests.support.ports import kept_port
from tests.support.sim_process import SimProcess

CAPS = ROOT / "deploy" / "caps" / "bots.toml"
UNHURRIED = {
    "duplicate_window_ms": "1",
    "orders_per_second_max": "200",
    "messages_per_second_max": "400",
}
"""Tests place equal orders one after another, as fast as the machine can."""


@dataclass(frozen=True)
class Keys:
    """What a bot signs with."""

    api_key: str
    secret: str


class BotBox(Box):
    """`with BotBox(tmp_path, bots=("ft",)) as box:` … a session is on, and each bot has a key.

    `caps` are replacements of single lines of the preset: name -> value as TOML. `rules` are more
    lines of each bot's table; `bots.NAME` in them is that table. `caps_of_bots` are the lines of
    `[bots.NAME.caps]`, by name.
    """

    def __init__(
        self,
        directory: Path,
        *,
        bots: tuple[str, ...] = ("ft",),
        caps: Mapping[str, str] | None = None,
        rules: str = "",
        caps_of_bots: Mapping[str, str] | None = None,
        faults: str = "",
        sim: Mapping[str, object] | None = None,
        public_pem: str = "",
    ) -> None:
        text = CAPS.read_text()
        for name, value in {**UNHURRIED, **(caps or {})}.items():
            text, count = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
            assert count, f"no cap {name}"
        preset = directory / "bots-caps.toml"
        preset.write_text(text)
        self.address = f"127.0.0.1:{kept_port()}"  # the same after a restart
        tables = f'\n[gateway]\nlisten = "{self.address}"\n'
        for name in bots:
            own = rules.replace("bots.NAME", f"bots.{name}")
            tables += f'\n[bots.{name}]\nsymbols = ["BTCUSDT"]\n{own}\n'
            if caps_of_bots and name in caps_of_bots:
                tables += f"\n[bots.{name}.caps]\n{caps_of_bots[name]}\n"
        super().__init__(directory, strategy="quiet", caps=str(preset), tables=tables)
        options: dict[str, object] = {"seed": 7, **(sim or {})}
        if faults:
            options["faults"] = faults
        self.sim = SimProcess(**options)
        self.keys: dict[str, Keys] = {}
        self._bots = bots
        self._public_pem = public_pem

    def __enter__(self) -> Self:
        state = self.directory / "state"
        for name in self._bots:
            key = new_key(name, SystemClock().now_ns(), self._public_pem)
            write_key(state, key)
            self.keys[name] = Keys(key.api_key, key.secret)
        super().__enter__()
        try:
            self.start_session()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start_session(self) -> None:
        """A human starts the session."""
        self.must("start", "--yes", "--reason", "test")

    def snippet(self, client: str) -> str:
        """What `seatrial bot snippet` prints for a client."""
        place = Address(f"http://{self.address}", f"ws://{self.address}")
        return snippet(client, place, ("BTCUSDT",))

    def kill_daemon(self) -> None:
        """kill -9, and wait until it is gone."""
        self.signal_daemon(signal.SIGKILL)
        self.wait_daemon()

    @property
    def rest(self) -> str:
        return f"http://{self.address}"

    @property
    def ws(self) -> str:
        return f"ws://{self.address}"

    def journal(self, event_type: str) -> list[dict[str, Any]]:
        """Every line of one kind."""
        return journal_lines(self.directory / "state", event_type)
