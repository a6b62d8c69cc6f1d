"""A fake daemon for the control plane's tests: records what it is asked, answers as scripted."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from control.server.daemon_port import Step
from control.server.line_events import EventHub
from daemon.model.effects import Reply
from daemon.model.inputs import Actor, Command

SNAPSHOT: Mapping[str, Any] = {
    "trading_state": "ACTIVE",
    "gate_state": "READY",
    "environment": "sim",
    "mode": "sim",
    "session_id": "s-1",
    "uptime_s": 3723,
    "open_orders": [
        {
            "client_order_id": "stabcdef-1-1",
            "symbol": "BTCUSDT",
            "side": "BUY",
            "qty": "0.0100",
            "price": "60000.10",
            "status": "ACCEPTED",
        }
    ],
    "positions": {"BTCUSDT": {"qty": "0.5", "avg_px": "61000", "realised_pnl": "-1.25"}},
    "caps": [
        {"cap": "order_qty", "symbol": "BTCUSDT", "used": "1", "limit": "4", "unit": "BTC"},
        {"cap": "gross_exposure", "symbol": "", "used": "95", "limit": "100", "unit": "USDT"},
    ],
    "incidents": [
        {"incident_id": "i-1", "trigger": "DRAWDOWN", "msg": "too deep", "resolved": True},
        {"incident_id": "i-2", "trigger": "STALE", "msg": "no data", "resolved": False},
    ],
}


class FakePort:
    """Implements DaemonPort. `reply` decides what a command is answered; None leaves it open."""

    def __init__(self) -> None:
        self.snapshot: Mapping[str, Any] = SNAPSHOT
        self.hub = EventHub()
        self.commands: list[Command] = []
        self.kills: list[tuple[Actor, str]] = []
        self.joined: list[tuple[Actor, str]] = []
        self.records: list[dict[str, Any]] = []
        self.open: list[tuple[Command, Future[Reply]]] = []
        self.reply: Callable[[Command], Reply | None] = lambda command: Reply(
            command_id=command.command_id, result={"did": command.method}
        )
        self.kill_result: Mapping[str, Any] | Exception = {
            "verified": True,
            "open_orders": 0,
            "gate_ms": 0.1,
            "latched_ms": 0.9,
            "cancel_ms": 3.0,
            "empty_ms": 12.0,
            "canceled": 7,
        }
        self.kill_gate: asyncio.Event | None = None
        self.threads: set[str] = set()
        self.gate_closed_ns = 0
        self._pump = ThreadPoolExecutor(1, "fake-pump")

    def status(self) -> Mapping[str, Any]:
        return self.snapshot

    def command(self, command: Command) -> Future[Reply]:
        self.commands.append(command)
        future: Future[Reply] = Future()
        reply = self.reply(command)
        if reply is None:
            self.open.append((command, future))
        else:
            self._pump.submit(future.set_result, reply)  # from another thread, as in the daemon
        return future

    def kill(
        self, actor: Actor, reason: str, received_ns: int, tell: Step
    ) -> Coroutine[Any, Any, Mapping[str, Any]]:
        self.gate_closed_ns = time.monotonic_ns()
        assert 0 <= self.gate_closed_ns - received_ns < 60_000_000_000
        tell({"step": "gate_closed", "gate_ms": 0.1})
        return self._kill(actor, reason)

    async def _kill(self, actor: Actor, reason: str) -> Mapping[str, Any]:
        self.threads.add(threading.current_thread().name)
        self.loop = asyncio.get_running_loop()
        self.kills.append((actor, reason))
        if self.kill_gate is not None:
            await self.kill_gate.wait()
        if isinstance(self.kill_result, Exception):
            raise self.kill_result
        return self.kill_result

    def kill_joined(self, actor: Actor, reason: str) -> None:
        self.joined.append((actor, reason))

    def events(self) -> EventHub:
        return self.hub

    def record_command(self, **fields: Any) -> None:
        self.records.append(fields)
