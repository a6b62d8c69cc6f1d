"""Whatever an engine's turn raises, the pump ends the process in order: it never turns again."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from daemon.model.halt import HaltFlag
from daemon.model.inputs import TimerFired, Turn
from daemon.shell.journal.journal_writer import Journal
from daemon.shell.process.clock import SystemClock
from daemon.shell.pump import Pump


class Escape(BaseException):
    """Passes every `except Exception`, as a strategy's own may."""


class Engine:
    """Raises in its second turn."""

    session_id = ""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.turns: list[Turn] = []

    def step(self, turn: Turn) -> tuple[Any, ...]:
        self.turns.append(turn)
        if len(self.turns) == 2:
            raise self.error
        return ()


@pytest.mark.parametrize(
    "error",
    [Escape("a strategy's own"), SystemExit(0), asyncio.CancelledError(), RecursionError("deep")],
)
async def test_nothing_escapes_the_pump(tmp_path: Path, error: BaseException) -> None:
    engine = Engine(error)
    fatal: list[BaseException] = []
    ended = asyncio.Event()

    def on_fatal(reason: BaseException) -> None:
        fatal.append(reason)
        ended.set()

    journal = Journal(tmp_path, run_id="r", mode="sim", exchange="sim")
    pump = Pump(
        engine=engine,  # type: ignore[arg-type]  # a fake that raises
        journal=journal,
        clock=SystemClock(),
        halt=HaltFlag(),
        on_reply=lambda _: None,
        on_exit=lambda _: None,
        on_fatal=on_fatal,
    )
    try:
        for number in range(3):
            pump.offer(TimerFired(f"t{number}"))
        async with asyncio.timeout(60):
            await ended.wait()
        pump.offer(TimerFired("after"))
        await asyncio.sleep(0)
    finally:
        journal.close()
    assert fatal == [error]
    assert len(engine.turns) == 2, "it took no further turn"
