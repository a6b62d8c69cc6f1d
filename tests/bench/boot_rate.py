"""Row f: from exec to READY, with 1500 symbols at the venue and a journal of 100 000 lines.

The journal is written by the product's own Journal from the turns of a real engine: ticks, orders,
reports and fills, one unbroken session that ended in a crash, with checkpoints as the pump writes
them. It ends where the next one is due, so that boot folds all the facts that may stand between
two. READY is the gate's own line in the journal, on the daemon's clock, which is the
clock that took the instant before exec. The baseline is an interpreter that imports the same
modules and ends.
"""

import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any

from daemon.model.amounts import NS_PER_MS, ZERO
from daemon.model.effects import Record
from daemon.model.enums import Side, VenueOrderStatus
from daemon.model.inputs import BalancesChanged, VenueReport
from daemon.model.plain_values import to_tagged
from daemon.model.position import Balance
from daemon.model.records import EventType
from daemon.shell.journal.journal_writer import Journal
from daemon.shell.process.clock import SystemClock
from daemon.shell.pump import CHECKPOINT_FACTS
from tests.bench.report import Row, at_most, median
from tests.bench.spin_stage import SpinStage, SpinVenue
from tests.bench.world import ROOT
from tests.support.builders import fill, report, wish
from tests.support.screenplay import Stage

SYMBOLS_LISTED = 1_500
LINES = 100_000
QUICK_LINES = 10_000
TICKS_AN_ORDER = 4
FACTS_A_ROUND = 20
"""More than two orders leave."""
ORDER_SPACING_MS = 10
ROUNDS = 3
QUICK_ROUNDS = 1
IMPORTS = "import gc; gc.disable(); import daemon.boot"
TARGETS_MS = {"recovery": 450.0, "empty": 350.0}
PACKAGES = ("daemon", "riskcaps", "control", "evidence")


class Past:
    """A journal of `lines` lines, and what the venue's account holds after them."""

    def __init__(self, directory: Path, lines: int) -> None:
        self.directory = directory
        self._clock = SystemClock()
        self._journal = Journal(directory, run_id="abc123-1", mode="sim", exchange="sim")
        self._stage = Stage()
        self._stage.now_ns = self._clock.now_ns() - 3_600_000 * NS_PER_MS
        self._stage.ready().start()
        self._orders = self._inputs = 0
        self._usdt, self._btc = Decimal(100_000), Decimal(100)
        self.facts_to_fold = 0
        self._save()
        while self._journal.seq < lines or self.facts_to_fold < CHECKPOINT_FACTS - FACTS_A_ROUND:
            if self.facts_to_fold >= CHECKPOINT_FACTS - FACTS_A_ROUND:
                self._checkpoint()
            self._order(Side.BUY, "99.00")
            self._order(Side.SELL, "101.00")
        self._journal.close()
        self.lines = self._journal.seq
        self.facts = self.lines - self._inputs
        self.balances = json.dumps({"USDT": str(self._usdt), "BTC": str(self._btc), "ETH": "100"})

    def _order(self, side: Side, price: str) -> None:
        stage = self._stage
        self._orders += 1
        stage.after(ORDER_SPACING_MS)
        for _ in range(TICKS_AN_ORDER // 2):
            stage.quote()
        order = stage.place(wish(side=side, qty="0.1", price=price))
        cid, venue_id = order.client_order_id, str(self._orders)
        trade = fill(cid, self._orders, "0.1", price, side=side, venue_id=venue_id)
        common: dict[str, Any] = {"side": side, "qty": "0.1", "price": price, "venue_id": venue_id}
        stage.tell(VenueReport(report(cid, **common)))
        done = report(cid, VenueOrderStatus.FILLED, cum="0.1", fills=(trade,), **common)
        stage.tell(VenueReport(done))
        sign = 1 if side is Side.BUY else -1
        self._usdt -= sign * Decimal(price) / 10
        self._btc += sign * Decimal("0.1")
        held = (Balance("USDT", self._usdt, ZERO), Balance("BTC", self._btc, ZERO))
        stage.tell(BalancesChanged(held, stage.now_ns))
        self._save()

    def _checkpoint(self) -> None:
        stage = self._stage
        state = {"state": stage.engine.state()}
        session = stage.engine.session_id
        self._journal.append(EventType.CHECKPOINT, state, ts_ns=stage.now_ns, session_id=session)
        self.facts_to_fold = 0

    def _save(self) -> None:
        """Write the turns as the pump writes them."""
        stage = self._stage
        session = stage.engine.session_id
        for item, effects in stage.turns:
            fields = {"input": to_tagged(item)}
            self._journal.append(EventType.INPUT, fields, ts_ns=stage.now_ns, session_id=session)
            self._inputs += 1
            for effect in effects:
                if isinstance(effect, Record):
                    self.facts_to_fold += 1
                    self._journal.append(
                        effect.event_type, effect.fields, ts_ns=stage.now_ns, session_id=session
                    )
        self._journal.flush()
        stage.turns.clear()
        stage.facts.clear()


def imported_ms() -> float:
    """An interpreter that imports what the daemon imports, and ends."""
    began = perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS], cwd=ROOT, check=True)
    return (perf_counter() - began) * 1e3


def booted_ms(venue: SpinVenue, past: Path | None) -> float:
    """A daemon with that past, from exec to READY."""
    with staged(venue, past) as stage:
        began_ns = SystemClock().now_ns()
        stage.start_daemon()
        return (stage.ready_ns() - began_ns) / NS_PER_MS


@contextmanager
def staged(venue: SpinVenue, past: Path | None) -> Iterator[SpinStage]:
    """A state directory of its own, with a copy of the past."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-boot-") as name,
        SpinStage(Path(name), venue) as stage,
    ):
        if past is not None:
            stage.state_dir.mkdir(mode=0o750)
            shutil.copytree(past, stage.state_dir / "journal")
            # As a daemon leaves it, on the disk: else the boot's first fsync writes all of it.
            for segment in (stage.state_dir / "journal").iterdir():
                with segment.open("rb") as written:
                    os.fsync(written.fileno())
            identity = stage.state_dir / "identity.json"
            identity.write_text('{"instance":"abc123","run_number":1}\n')
        yield stage


def rows(*, quick: bool) -> list[Row]:
    """The row of starting."""
    for package in PACKAGES:  # as an installation does; else a boot would compile its sources
        compileall.compile_dir(ROOT / package, quiet=1)
    took: dict[str, list[float]] = {"imports": [], "empty": [], "recovery": []}
    home = ROOT / "build"
    home.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-past-", dir=home) as name:
        past = Past(Path(name) / "journal", QUICK_LINES if quick else LINES)
        options = ("--others", str(SYMBOLS_LISTED), "--balances", past.balances, "--ticks", "200")
        with SpinVenue(*options) as venue:
            for _ in range(QUICK_ROUNDS if quick else ROUNDS):
                took["imports"].append(imported_ms())
                took["empty"].append(booted_ms(venue, None))
                took["recovery"].append(booted_ms(venue, past.directory))
    return rows_of(took, past)


def rows_of(took: dict[str, list[float]], past: Past) -> list[Row]:
    """Ratios from the figures of one run."""
    bare = median(took["imports"])
    return [
        Row(
            row="f",
            name=f"exec to READY, {SYMBOLS_LISTED} symbols listed, {what}",
            value=median(took[name]),
            unit="ms",
            baseline_name="interpreter, same imports",
            baseline=bare,
            ratio=median(took[name]) / bare,
            target=f"≤ {TARGETS_MS[name]:g} ms",
            met=at_most(median(took[name]), TARGETS_MS[name]),
            details={"rounds": [round(one) for one in took[name]], "facts": facts},
        )
        for name, what, facts in (
            ("recovery", f"{past.lines:,} lines in the journal", past.facts_to_fold),
            ("empty", "an empty journal", 0),
        )
    ]
