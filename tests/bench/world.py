"""What several rows need: ten symbols with roomy caps, an engine on them, a process beside us."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from daemon.core.engine import Engine, EngineConfig, StrategySpec
from daemon.model.copies import replace
from daemon.model.halt import HaltFlag
from daemon.model.ids import ClientOrderIdFactory
from daemon.model.inputs import InstrumentsLoaded, Turn
from daemon.model.instrument import Instrument
from riskcaps.gate.interceptor import Interceptor
from riskcaps.words.capset import capset_from_mapping
from tests.support import builders
from tests.support.stop_stage import SYMBOLS, wide_caps

__all__ = ["ROOT", "SYMBOLS", "beside", "engine_on", "instruments"]

ROOT = Path(__file__).resolve().parents[2]


def quote_of(symbol: str) -> str:
    """The quote asset of one of our symbols."""
    return next(q for q in ("USDT", "BTC", "ETH") if symbol.endswith(q))


def instruments() -> tuple[Instrument, ...]:
    """All ten, tradable."""
    return tuple(
        replace(
            builders.instrument(symbol),
            base=symbol.removesuffix(quote_of(symbol)),
            quote=quote_of(symbol),
            notional_min=Decimal(0),
        )
        for symbol in SYMBOLS
    )


def engine_on(
    now_ns: int, strategies: tuple[StrategySpec, ...] = ()
) -> tuple[Engine, EngineConfig, HaltFlag]:
    """An engine that knows its ten instruments; no link is up."""
    config = builders.config(strategies, symbols=SYMBOLS)
    halt = HaltFlag()
    gate = Interceptor(
        capset=capset_from_mapping(wide_caps(SYMBOLS)),
        ids=ClientOrderIdFactory(config.run),
        halt=halt,
    )
    engine = Engine(config=config, interceptor=gate)
    engine.step(Turn(1, now_ns, InstrumentsLoaded(instruments())))
    return engine, config, halt


@contextlib.contextmanager
def beside(module: str, *arguments: str) -> Iterator[int]:
    """A bench process on the last core, this one on the others; yields its port."""
    cores = sorted(os.sched_getaffinity(0))
    command = [sys.executable, "-m", module, *arguments]
    if len(cores) > 1:
        command += ["--core", str(cores[-1])]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["port"]
            if len(cores) > 1:
                os.sched_setaffinity(0, set(cores[:-1]))
            yield port
        finally:
            process.kill()
            os.sched_setaffinity(0, set(cores))
