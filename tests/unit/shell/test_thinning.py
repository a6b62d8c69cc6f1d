"""What a thinned run leaves out, where it goes, which strategies forbid it, who is told."""

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import pytest

from daemon.core.ticks import HOUSEKEEPING
from daemon.model.effects import ArmTimer, Effect, ExitDaemon, Record, Reply
from daemon.model.enums import Link
from daemon.model.halt import HaltFlag
from daemon.model.ids import InstrumentId
from daemon.model.inputs import Input, LinkUp, MarketData, TimerFired, Turn
from daemon.model.market import TopOfBook
from daemon.model.records import EventType
from daemon.settings import JournalSettings, Settings, StrategySettings
from daemon.shell.journal.journal_writer import Journal, segments
from daemon.shell.journal.replay import ThinnedRunError, run_to_restep
from daemon.shell.journal.tick_ring import NAME, OLDER_NAME, TickRing
from daemon.shell.process.clock import SystemClock
from daemon.shell.pump import Pump
from daemon.shell.strategy_loader import BUILT_IN, keepers_of_ticks, needs_every_tick
from daemon.strategies.quoter import Quoter
from daemon.strategies.silent import Silent
from evidence.read.journal_reader import JournalReader

BTC = InstrumentId("BTCUSDT@sim")


def tick(update_id: int) -> MarketData:
    one = Decimal(1)
    return MarketData(TopOfBook(BTC, one, one, Decimal(2), one, update_id, 0, 0))


class Engine:
    """Every tenth tick has a fact; the housekeeping beats."""

    session_id = ""

    def __init__(self) -> None:
        self.turns = 0

    def step(self, turn: Turn) -> tuple[Effect, ...]:
        self.turns += 1
        if isinstance(turn.input, TimerFired):
            return (Record(EventType.HEARTBEAT, {"open_orders": 0}), ArmTimer(HOUSEKEEPING, 0))
        if isinstance(turn.input, MarketData) and turn.input.top.update_id % 10 == 0:
            return (Record(EventType.CLOCK, {"offset_ns": turn.input.top.update_id}),)
        return ()

    def state(self) -> dict[str, int]:
        return {"turns": self.turns}


async def run(directory: Path, ring: TickRing | None, inputs: list[Input]) -> Engine:
    """Push inputs through a real pump, one drain each."""
    engine, exits, replies = Engine(), list[ExitDaemon](), list[Reply]()
    failed: list[BaseException] = []
    journal = Journal(directory / "journal", run_id="r", mode="sim", exchange="sim")
    said = {"ticks": "all" if ring is None else "thinned"}
    journal.append(EventType.RUN_START, said, ts_ns=1, session_id="")
    pump = Pump(
        engine=engine,  # type: ignore[arg-type]
        journal=journal,
        clock=SystemClock(),
        halt=HaltFlag(),
        on_reply=replies.append,
        on_exit=exits.append,
        on_fatal=failed.append,
        thin_to=ring,
    )
    for item in inputs:
        pump.offer(item)
        pump.take()
    await asyncio.sleep(0)
    pump.stop()
    journal.close()
    assert not failed
    return engine


def lines_in(directory: Path) -> list[dict[str, object]]:
    body = b"".join(path.read_bytes() for path in segments(directory / "journal"))
    return [json.loads(line) for line in body.splitlines()]


INPUTS: list[Input] = [LinkUp(Link.REST), *map(tick, range(100)), TimerFired(HOUSEKEEPING)]


async def test_what_is_left_out_is_never_chained_and_the_ring_has_it(tmp_path: Path) -> None:
    ring = TickRing(tmp_path, 1_000_000)
    engine = await run(tmp_path, ring, INPUTS)
    assert engine.turns == len(INPUTS)
    lines = lines_in(tmp_path)
    # The run's start, the link, ten ticks with their facts, the heartbeat without its timer.
    assert [one["seq"] for one in lines] == list(range(1, len(lines) + 1))
    kinds = [one["event_type"] for one in lines]
    assert kinds == ["run_start", "input", *["input", "clock"] * 10, "heartbeat"]
    reader = JournalReader(segments(tmp_path / "journal"))
    assert len(list(reader.records())) == len(lines)
    assert not reader.chain.faults.counts
    assert ring.thinned == 91
    ring.write_out()
    held = [json.loads(line) for line in (tmp_path / NAME).read_bytes().splitlines()]
    assert len(held) == 91
    assert held[0]["after_seq"] == 4  # after tick 0 and its fact
    assert held[0]["input"]["top"]["update_id"] == 1


async def test_an_unthinned_run_has_a_line_for_every_input(tmp_path: Path) -> None:
    await run(tmp_path, None, INPUTS)
    kinds = [one["event_type"] for one in lines_in(tmp_path)]
    assert kinds.count("input") == len(INPUTS)


async def test_a_thinned_run_is_not_restepped_and_says_why(tmp_path: Path) -> None:
    await run(tmp_path / "thin", TickRing(tmp_path, 0), INPUTS)
    with pytest.raises(ThinnedRunError, match=r'r is thinned.*keep_ticks = "all"'):
        run_to_restep(tmp_path / "thin" / "journal")
    await run(tmp_path / "all", None, INPUTS)
    past, now = run_to_restep(tmp_path / "all" / "journal")
    assert (past, now[0]["event_type"]) == ([], "run_start")


def test_the_ring_is_bounded_and_a_disk_that_refuses_costs_ticks_only(tmp_path: Path) -> None:
    ring = TickRing(tmp_path, 20_000)
    for batch in range(50):
        for number in range(20):
            ring.put(1, 1, tick(batch * 20 + number))
        ring.write_out()
    sizes = [(tmp_path / name).stat().st_size for name in (NAME, OLDER_NAME)]
    assert sum(sizes) <= 20_000
    newest = (tmp_path / NAME).read_bytes().splitlines()[-1]
    assert json.loads(newest)["input"]["top"]["update_id"] == 999
    lost = TickRing(tmp_path / "is" / "not" / "there", 20_000)
    lost.put(1, 1, tick(1))
    lost.write_out()
    nowhere = TickRing(tmp_path / "none", 0)
    nowhere.put(1, 1, tick(1))
    nowhere.write_out()
    assert not (tmp_path / "none").exists()


class Declared(Silent):
    """Says that it keeps nothing."""

    needs_every_tick: ClassVar[bool] = False

    def on_market(self, view: object, top: object) -> tuple[()]:  # type: ignore[override]
        return ()


class Undeclared(Silent):
    """Hears ticks and says nothing about them."""

    def on_trade(self, view: object, trade: object) -> tuple[()]:  # type: ignore[override]
        return ()


class Heir(Declared):
    """A base class does not speak for it."""

    def on_market(self, view: object, top: object) -> tuple[()]:  # type: ignore[override]
        self.last = top
        return ()


class QuoterWithMemory(Quoter):
    """The same of a built-in one."""


class Deaf(Silent):
    """Hears no tick at all: it lives by timers."""


class Stranger:
    """Not built on Silent, and silent about ticks."""

    def on_start(self, view: object) -> tuple[()]:
        return ()

    on_market = on_report = on_start


@pytest.mark.parametrize(
    ("class_path", "needs"),
    [
        ("quiet", False),
        ("heartbeat", False),
        ("quoter", False),
        ("anchor", False),
        ("ma_crossover", True),
        ("prober", True),
        (f"{__name__}:Declared", False),
        (f"{__name__}:Undeclared", True),
        (f"{__name__}:Heir", True),
        (f"{__name__}:QuoterWithMemory", True),
        (f"{__name__}:Deaf", False),
        (f"{__name__}:Stranger", True),
    ],
)
def test_a_strategy_keeps_its_ticks_unless_its_own_class_says_otherwise(
    class_path: str, *, needs: bool
) -> None:
    settings = StrategySettings.model_validate({"class": class_path, "symbols": ["BTCUSDT"]})
    assert needs_every_tick("one", settings) is needs
    assert set(BUILT_IN) == {"quiet", "heartbeat", "quoter", "anchor", "prober", "ma_crossover"}


@pytest.mark.parametrize(
    ("keep", "classes", "why"),
    [
        ("auto", {}, ()),
        ("auto", {"a": "quoter", "b": "heartbeat"}, ()),
        ("auto", {"a": "quoter", "b": "ma_crossover"}, ("strategies.b",)),
        ("all", {"a": "quoter"}, ("journal.keep_ticks",)),
    ],
)
def test_one_keeper_keeps_them_for_the_whole_run(
    keep: str, classes: dict[str, str], why: tuple[str, ...], tmp_path: Path
) -> None:
    made: Callable[..., Settings] = Settings.model_validate
    settings = made(
        {
            "state_dir": str(tmp_path),
            "venue": {"environment": "binance-spot-testnet", "symbols": ["BTCUSDT"]},
            "journal": JournalSettings.model_validate({"keep_ticks": keep}),
            "strategies": {
                name: {"class": path, "symbols": ["BTCUSDT"]} for name, path in classes.items()
            },
        },
        context={"base": tmp_path},
    )
    assert keepers_of_ticks(settings) == why
