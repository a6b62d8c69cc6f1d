"""The pump: order of a turn, conflation, faults of the journal. A recording engine is the judge."""

import asyncio
import errno
import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon.model.bots import BotDenial, BotOrderRow, DenialSource
from daemon.model.effects import (
    ArmTimer,
    BotAnswered,
    BotEffect,
    BotOrderChanged,
    CloseHalt,
    Effect,
    ExitDaemon,
    Record,
    Reply,
    SendOrder,
    VenueEffect,
)
from daemon.model.enums import (
    ExecType,
    Link,
    OrderType,
    Side,
    TimeInForce,
    VenueOrderStatus,
)
from daemon.model.halt import HaltFlag
from daemon.model.ids import ClientOrderId, InstrumentId, StrategyId
from daemon.model.inputs import (
    JournalFault,
    JournalMended,
    LinkUp,
    MarketData,
    NotSent,
    TimerFired,
    Turn,
)
from daemon.model.market import TopOfBook
from daemon.model.orders import NewOrder
from daemon.model.records import EventType
from daemon.shell import pump as loop_module
from daemon.shell.journal.journal_writer import Journal, segments
from daemon.shell.process.clock import SystemClock
from daemon.shell.pump import Pump

BTC = InstrumentId("BTCUSDT@sim")
ETH = InstrumentId("ETHUSDT@sim")


def order() -> NewOrder:
    return NewOrder(
        client_order_id=ClientOrderId("stabc123-1-1"),
        strategy_id=StrategyId("s"),
        instrument_id=BTC,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        qty=Decimal(1),
        price=Decimal(2),
        time_in_force=TimeInForce.GTC,
        stop_price=None,
        reduce_only=False,
        ts_ns=1,
    )


def market(instrument: InstrumentId, update_id: int) -> MarketData:
    one = Decimal(1)
    return MarketData(TopOfBook(instrument, one, one, Decimal(2), one, update_id, 0, 0))


class Engine:
    """Answers each input as the test says, and remembers the turns."""

    session_id = ""

    def __init__(self, answer: Callable[[Turn], tuple[Effect, ...]]) -> None:
        self.answer = answer
        self.turns: list[Turn] = []

    def step(self, turn: Turn) -> tuple[Effect, ...]:
        self.turns.append(turn)
        return self.answer(turn)

    def state(self) -> dict[str, int]:
        return {"turns": len(self.turns)}


class Venue:
    """Notes what the journal held at the moment an effect was performed."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.performed: list[tuple[VenueEffect, list[str]]] = []

    def perform(self, effect: VenueEffect) -> None:
        self.performed.append((effect, event_types(self.journal)))


def event_types(journal: Journal) -> list[str]:
    body = b"".join(p.read_bytes() for p in segments(journal.path.parent))
    return [json.loads(line)["event_type"] for line in body.splitlines()]


class Rig:
    def __init__(
        self, path: Path, answer: Callable[[Turn], tuple[Effect, ...]], **more: Any
    ) -> None:
        self.journal = Journal(path, run_id="r", mode="sim", exchange="sim")
        self.engine = Engine(answer)
        self.halt = HaltFlag()
        self.replies: list[Reply] = []
        self.exits: list[ExitDaemon] = []
        self.fatal: list[BaseException] = []
        self.pump = Pump(
            engine=self.engine,  # type: ignore[arg-type]
            journal=self.journal,
            clock=SystemClock(),
            halt=self.halt,
            on_reply=self.replies.append,
            on_exit=self.exits.append,
            on_fatal=self.fatal.append,
            **more,
        )
        self.venue = Venue(self.journal)
        self.pump.attach(self.venue)

    async def settle(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 - the condition is the loop's own progress
                await asyncio.sleep(0)


APPROVED = Record(EventType.ORDER_APPROVED, {"client_order_id": "stabc123-1-1"})


async def test_the_approved_line_is_in_the_file_before_the_bytes_may_leave(tmp_path: Path) -> None:
    rig = Rig(tmp_path, lambda _: (SendOrder(order()), APPROVED))
    rig.pump.offer(LinkUp(Link.REST))
    await rig.settle(lambda: rig.venue.performed)
    effect, written = rig.venue.performed[0]
    assert isinstance(effect, SendOrder)
    assert written == ["input", "order_approved"]


@pytest.mark.parametrize(("facts", "lines"), [(3, 1_000), (1_000, 6)])
async def test_a_checkpoint_is_written_after_so_many_facts_or_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: int, lines: int
) -> None:
    monkeypatch.setattr(loop_module, "CHECKPOINT_FACTS", facts)
    monkeypatch.setattr(loop_module, "CHECKPOINT_LINES", lines)
    rig = Rig(tmp_path, lambda _: (APPROVED,))
    for number in range(7):
        rig.pump.offer(TimerFired(f"t{number}"))
        await rig.settle(lambda wanted=number + 1: len(rig.engine.turns) == wanted)
    found = event_types(rig.journal)
    pairs = ["input", "order_approved"] * 3
    assert found == [*pairs, "checkpoint", *pairs, "checkpoint", "input", "order_approved"]


async def test_a_busy_pump_puts_its_checkpoint_off_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "CHECKPOINT_FACTS", 2)
    monkeypatch.setattr(loop_module, "INPUTS_PER_DRAIN_MAX", 1)
    rig = Rig(tmp_path, lambda _: (APPROVED,))
    for number in range(9):
        rig.pump.offer(TimerFired(f"t{number}"))
    await rig.settle(lambda: len(rig.engine.turns) == 9)
    found = [kind for kind in event_types(rig.journal) if kind != "input"]
    one = "order_approved"
    assert found == [one] * 4 + ["checkpoint"] + [one] * 4 + ["checkpoint", one]


async def test_what_recovery_folded_counts_towards_the_next_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "CHECKPOINT_FACTS", 10)
    rig = Rig(tmp_path, lambda _: (APPROVED,), checkpoint_seq=0, facts_since=9)
    rig.pump.offer(TimerFired("t"))
    await rig.settle(lambda: rig.engine.turns)
    assert event_types(rig.journal)[-1] == "checkpoint"


async def test_market_data_keeps_the_latest_and_reports_are_all_kept(tmp_path: Path) -> None:
    rig = Rig(tmp_path, lambda _: ())
    for update in range(5):
        rig.pump.offer(market(BTC, update))
        rig.pump.offer(market(ETH, update))
        rig.pump.offer(TimerFired(f"t{update}"))
    await rig.settle(lambda: len(rig.engine.turns) >= 7)
    inputs = [turn.input for turn in rig.engine.turns]
    assert [i.timer_id for i in inputs if isinstance(i, TimerFired)] == [f"t{n}" for n in range(5)]
    tops = [i.top for i in inputs if isinstance(i, MarketData)]
    assert [(t.instrument_id, t.update_id) for t in tops] == [(BTC, 4), (ETH, 4)]
    assert rig.pump.conflated == 8


async def test_who_has_offered_all_it_has_need_not_wait_for_the_next_iteration(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path, lambda _: ())
    rig.pump.offer(market(BTC, 1))
    rig.pump.offer(market(BTC, 2))
    rig.pump.offer(TimerFired("t"))
    assert not rig.engine.turns
    rig.pump.take()
    told = [turn.input for turn in rig.engine.turns]
    assert [type(one) for one in told] == [TimerFired, MarketData]
    assert told[1] == market(BTC, 2)
    assert event_types(rig.journal) == ["input", "input"]
    await asyncio.sleep(0)
    assert len(rig.engine.turns) == 2


async def test_taking_inside_a_turn_waits_until_the_turn_is_over(tmp_path: Path) -> None:
    """An effect whose venue answers at once must not begin a turn in the midst of one."""
    depths: list[int] = []
    depth = 0

    def answer(turn: Turn) -> tuple[Effect, ...]:
        depths.append(depth)
        return (SendOrder(order()),) if isinstance(turn.input, LinkUp) else ()

    rig = Rig(tmp_path, answer)

    class Hasty:
        def perform(self, effect: VenueEffect) -> None:
            nonlocal depth
            depth += 1
            rig.pump.offer(TimerFired("answered"))
            rig.pump.take()
            depth -= 1

    rig.pump.attach(Hasty())
    rig.pump.offer(LinkUp(Link.REST))
    rig.pump.take()
    assert [type(turn.input) for turn in rig.engine.turns] == [LinkUp, TimerFired]
    assert depths == [0, 0]


async def test_a_full_disk_sends_nothing_and_halts_and_loses_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(
        tmp_path,
        lambda turn: (APPROVED, SendOrder(order())) if isinstance(turn.input, LinkUp) else (),
    )

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    rig.pump.offer(LinkUp(Link.REST))
    await rig.settle(lambda: len(rig.engine.turns) >= 3)
    monkeypatch.undo()
    told = [turn.input for turn in rig.engine.turns[1:]]
    assert [type(i) for i in told] == [JournalFault, NotSent]
    assert rig.venue.performed == []
    rig.journal.flush()
    assert event_types(rig.journal) == ["input", "order_approved", "input", "input"]
    await rig.settle(lambda: len(rig.engine.turns) >= 4)
    assert rig.engine.turns[3].input == JournalMended(), "with room again the engine is told"


async def test_while_the_disk_is_full_market_data_is_left_alone_and_reports_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of a full disk must not become hours of ticks in memory."""
    rig = Rig(tmp_path, lambda _: ())

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    rig.pump.offer(LinkUp(Link.REST))
    await rig.settle(lambda: rig.journal.fault)
    for update in range(50):
        rig.pump.offer(market(BTC, update))
    rig.pump.offer(TimerFired("t"))
    await rig.settle(lambda: len(rig.engine.turns) >= 3)
    monkeypatch.undo()
    told = [type(turn.input) for turn in rig.engine.turns]
    assert told == [LinkUp, JournalFault, TimerFired]
    assert rig.journal.pending_lines == 3
    rig.journal.flush()
    rig.pump.offer(market(BTC, 51))
    await rig.settle(lambda: len(rig.engine.turns) >= 5)
    assert [type(turn.input) for turn in rig.engine.turns[3:]] == [JournalMended, MarketData]


async def test_timers_come_back_as_inputs_and_arming_again_replaces(tmp_path: Path) -> None:
    clock = SystemClock()

    def answer(turn: Turn) -> tuple[Effect, ...]:
        if isinstance(turn.input, LinkUp):
            late = clock.now_ns() + 3_600_000_000_000
            return (ArmTimer("a", late), ArmTimer("a", clock.now_ns()), ArmTimer("b", late))
        return ()

    rig = Rig(tmp_path, answer)
    rig.pump.offer(LinkUp(Link.REST))
    await rig.settle(lambda: len(rig.engine.turns) >= 2)
    assert rig.engine.turns[1].input == TimerFired("a")
    rig.pump.stop()


async def test_a_bug_in_the_engine_ends_the_process_and_nothing_else_runs(tmp_path: Path) -> None:
    def broken(turn: Turn) -> tuple[Effect, ...]:
        raise KeyError("bug")

    rig = Rig(tmp_path, broken)
    rig.pump.offer(LinkUp(Link.REST))
    rig.pump.offer(LinkUp(Link.MARKET))
    await rig.settle(lambda: rig.fatal)
    assert isinstance(rig.fatal[0], KeyError)
    assert len(rig.engine.turns) == 1


async def test_replies_halts_and_exit_reach_their_ends(tmp_path: Path) -> None:
    effects = (Reply(command_id="c"), CloseHalt("storm"), ExitDaemon(0, "done"))
    rig = Rig(tmp_path, lambda _: effects)
    rig.pump.offer_threadsafe(LinkUp(Link.REST))
    await rig.settle(lambda: rig.exits)
    assert (rig.replies, rig.exits) == ([effects[0]], [effects[2]])
    assert rig.halt.closed
    assert rig.halt.reason == "storm"


# ---------------------------------------------------------------------- bots
def row(status: VenueOrderStatus = VenueOrderStatus.NEW) -> BotOrderRow:
    return BotOrderRow(
        bot="ft",
        client_order_id="a1",
        own_id=ClientOrderId("stabc123-1-1"),
        instrument_id=BTC,
        venue_order_id=None,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        status=status,
        qty=Decimal(1),
        price=Decimal(2),
        stop_price=None,
    )


CHANGED = BotOrderChanged(bot="ft", row=row(), exec_type=ExecType.NEW)
DENIED = BotAnswered(
    bot="ft", request=1, denial=BotDenial(source=DenialSource.CAPS, reason="trading_halted")
)


async def test_a_bot_hears_of_a_change_when_its_lines_are_in_the_file(tmp_path: Path) -> None:
    told: list[tuple[BotEffect, list[str]]] = []
    rig = Rig(
        tmp_path,
        lambda _: (CHANGED, APPROVED),
        on_bot=lambda one: told.append((one, event_types(rig.journal))),
    )
    rig.pump.offer(LinkUp(Link.REST))
    await rig.settle(lambda: told)
    assert told == [(CHANGED, ["input", "order_approved"])]
    assert rig.venue.performed == [], "it is nothing for the venue"


async def test_while_the_journal_refuses_bots_hear_denials_only_and_the_rest_when_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[BotEffect] = []
    rig = Rig(
        tmp_path,
        lambda turn: (CHANGED, APPROVED, DENIED) if isinstance(turn.input, LinkUp) else (),
        on_bot=told.append,
    )

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    rig.pump.offer(LinkUp(Link.REST))
    await rig.settle(lambda: len(rig.engine.turns) >= 2)
    assert told == [DENIED], "no crash can undo what never was"
    monkeypatch.undo()
    rig.journal.flush()
    assert told == [DENIED, CHANGED]
