"""`start` at the control port: refused without a pass, before the engine hears of it."""

import asyncio
from typing import Any

import pytest

from daemon.model.effects import Reply
from daemon.model.halt import HaltFlag
from daemon.model.inputs import Actor, Command, Input
from daemon.model.records import EventType
from daemon.shell.checks.preflight_pass import StartPermit
from daemon.shell.control_port import ControlPort
from daemon.shell.process.clock import SystemClock


class Pump:
    def __init__(self) -> None:
        self.offered: list[Input] = []
        self.noted: list[tuple[EventType, dict[str, Any]]] = []

    def offer_threadsafe(self, item: Input) -> None:
        self.offered.append(item)

    def note_threadsafe(self, event_type: EventType, fields: dict[str, Any]) -> None:
        self.noted.append((event_type, fields))


def command(method: str) -> Command:
    actor = Actor(uid=1, pid=2, role="operator", name="ann")
    return Command(command_id="c-1", method=method, actor=actor, reason="go")


@pytest.fixture
def ask():
    pump = Pump()
    loop = asyncio.new_event_loop()

    def run(method: str, permit: StartPermit):
        port = ControlPort(
            pump=pump, halt=HaltFlag(), latch=None, emergency=None, late=None, clock=SystemClock(),
            main_loop=loop, may_start=lambda _command, _now_ns: permit,
        )  # fmt: skip
        return port.command(command(method)), port, pump

    yield run
    loop.close()


def test_a_start_without_a_pass_never_reaches_the_engine(ask):
    future, _port, pump = ask("start", StartPermit(allowed=False, msg="no preflight"))
    reply = future.result(timeout=0)
    assert (reply.error_code, reply.error_message) == ("no_preflight", "no preflight")
    assert pump.offered == []
    assert pump.noted == []  # the refusal is recorded where every refusal is


def test_a_start_with_a_pass_is_noted_and_goes_on(ask):
    future, port, pump = ask("start", StartPermit(allowed=True, msg="exempt: simulated"))
    assert [item.method for item in pump.offered] == ["start"]
    ((event_type, fields),) = pump.noted
    assert event_type is EventType.COMMAND
    assert (fields["method"], fields["msg"], fields["by"]) == (
        "preflight",
        "exempt: simulated",
        "ann",
    )
    port.on_reply(Reply(command_id="c-1", result={"session_id": "s"}))
    assert future.result(timeout=0).result == {"session_id": "s"}


def test_stopping_asks_for_no_pass(ask):
    _future, _port, pump = ask("stop", StartPermit(allowed=False, msg="no preflight"))
    assert [item.method for item in pump.offered] == ["stop"]
    assert pump.noted == []
