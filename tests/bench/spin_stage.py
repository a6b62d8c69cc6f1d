"""A real daemon process against the spinning venue: both on one machine, each on its own core."""

import contextlib
import json
import socket
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.bench.order_path import spinning_venue
from tests.support.stop_stage import SYMBOLS, StopStage

TICKS_PER_S = 900


class SpinVenue:
    """The spinning venue where a stage expects a simulated one."""

    api_key = "k" * 64
    api_secret = "s" * 64

    def __init__(self, *arguments: str) -> None:
        self._arguments = ("--symbols", ",".join(SYMBOLS), *arguments)
        self._stack = ExitStack()
        self.port = 0

    def __enter__(self) -> Self:
        """Start it; this process and its children leave it a core."""
        self.port = self._stack.enter_context(spinning_venue(*self._arguments))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> None:
        """A stage asks for it: the venue outlives stages, and has started."""

    def stop(self) -> None:
        """A stage asks for it: the venue outlives stages."""

    @property
    def rest(self) -> str:
        """Where REST is asked."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_api(self) -> str:
        """Where orders go."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def streams(self) -> str:
        """Where market data comes from."""
        return f"ws://127.0.0.1:{self.port}"

    def facts(self) -> dict[str, Any]:
        """What the venue saw since it was last asked."""
        return ask(self.port, "facts")


def ask(port: int, what: str) -> dict[str, Any]:
    """One of the venue's own questions."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/bench/{what}", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


class SpinStage(StopStage):
    """The stage of the stops, with the venue that stamps and answers at once."""

    def __init__(
        self,
        directory: Path,
        venue: SpinVenue,
        *,
        orders_per_symbol: int = 0,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.metrics_port = free_port()
        metrics = {"enabled": True, "port": self.metrics_port}
        super().__init__(
            directory,
            orders_per_symbol=orders_per_symbol,
            round_trip=False,
            settings={"metrics": metrics, **(settings or {})},
        )
        self.venue = venue
        self.sim = venue  # type: ignore[assignment]  # the same few attributes are asked

    def ready_ns(self) -> int:
        """When the gate of the last boot became READY, by the daemon's own journal."""
        newest = max((self.state_dir / "journal").glob("journal-*.jsonl"))
        with newest.open("rb") as lines:
            lines.seek(max(0, newest.stat().st_size - 2_000_000))
            for line in reversed(lines.read().splitlines()):
                if b'"event_type":"gate_state"' in line:
                    with contextlib.suppress(ValueError):
                        row = json.loads(line)
                        if row["new"] == "READY":
                            return int(row["ts_ns"])
        raise RuntimeError("the journal's end tells of no READY")


def free_port() -> int:
    """A loopback port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
