"""A strategy is played a canned recording, in a process of its own: `python -m` with JSON on stdin.

stdin is an `AskedRecording`. stdout: `{"findings", "remarks", "wishes", "lines", "file", "calls",
"slowest_ms"}`; `wishes` has a line a call, so that two processes can be compared. A strategy that
does not return is ended, with its stack on stderr: after `call_s` of CPU time in one call, or after
`patience_s` in all.

Rules of this file:
1. Every scene (`recorded_scenes.py`) has a bench of its own.
2. While the strategy is called, Python's own audit tells what it opens, connects, starts and
   sleeps: so a call that blocks is found however it is reached.
"""

import faulthandler
import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from daemon.model.copies import replace
from daemon.model.ids import InstrumentId, StrategyId
from daemon.model.instrument import Instrument
from daemon.model.intents import PlaceIntent, ReplaceIntent
from daemon.own_strategy.class_place import ClassPlace, class_place
from daemon.own_strategy.class_shape import METHODS, imported, remarks_of, shape_findings
from daemon.own_strategy.findings import StrategyFinding
from daemon.own_strategy.recorded_scenes import CAPS_OF, SCENES
from daemon.own_strategy.source_check import BLOCKING
from daemon.own_strategy.strategy_bench import HeardCall, StrategyBench, WishRefusedError
from daemon.settings import StrategySettings
from daemon.shell.strategy_loader import StrategyConfigError, StrategyFactory, strategy_factory
from riskcaps.words.denials import OF_THE_VENUES_LIST, DenyReason

FINDINGS_MAX = 50
LEAST_S = 1e-6
"""A timer of 0 never ends."""
_BLOCKING_EVENTS = frozenset(
    {
        "open", "time.sleep", "socket.connect", "socket.getaddrinfo", "socket.bind", "os.system",
        "subprocess.Popen", "os.posix_spawn", "os.fork", "sqlite3.connect", "urllib.Request",
    }
)  # fmt: skip
_STOPS = "a strategy that raises is stopped, and the session halts"
_ASK_TOP = "`view.top()` is None before the first tick"
_MENDS: tuple[tuple[type[Exception], str, str], ...] = (
    (AttributeError, "NoneType", f"{_ASK_TOP}, `view.order()` for an order not yours: ask first"),
    (TypeError, "NoneType", f"{_ASK_TOP}, the price of a MARKET order always: ask first"),
    (TypeError, "decimal.Decimal", 'amounts are exact: Decimal("0.001"), parameters as Decimal'),
    (ZeroDivisionError, "", "ask for zero first"),
    (KeyError, "", "after a restart there are orders which this object has not placed: use .get()"),
)
"""Kind of exception, a word of its message, the mend."""


class AskedRecording(msgspec.Struct):
    """What the parent wants played."""

    target: str
    sets: dict[str, dict[str, Any]]
    """Parameters by the strategy's name; the first set is played."""
    symbol: str
    patience_s: float
    call_s: float
    wall_s: float


class Watched:
    """The strategy, with each of its calls timed and watched for what blocks."""

    def __init__(self, strategy: Any, play: "Play") -> None:
        """Stand in for `strategy`."""
        self._strategy, self._play = strategy, play
        self.strategy_id = strategy.strategy_id

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._strategy, name)
        if name not in METHODS:
            return found

        def call(*arguments: Any) -> Any:
            return self._play.watched(name, found, arguments)

        return call


class Play:
    """One recording of one strategy."""

    def __init__(self, asked: AskedRecording, place: ClassPlace, made: Any) -> None:
        """Nothing is played yet."""
        self._asked, self._place, self._class = asked, place, made
        self._found: dict[tuple[str, int, str], StrategyFinding] = {}
        self._times: Counter[tuple[str, int, str]] = Counter()
        self.wishes: list[str] = []
        self.calls = 0
        self.slowest_ms = 0.0
        self._is_in_call = self._has_bad_amount = False
        self._last_method = "constructor"

    @property
    def findings(self) -> list[StrategyFinding]:
        """Each fault once, as it was first seen, with how often."""
        counted = ((one, self._times[key]) for key, one in self._found.items())
        return [
            one if times == 1 else replace(one, what=f"{one.what} [{times} times]")
            for one, times in counted
        ]

    def run(self) -> None:
        """Play every scene; what goes wrong is a finding, and the next scene begins."""
        factories = list(self._factories())
        if self._found or not factories:
            return
        factory = factories[0]
        sys.addaudithook(self._audit)

        def make(name: StrategyId, instruments: Mapping[InstrumentId, Instrument]) -> Watched:
            return Watched(factory(name, instruments), self)

        for name, scene in SCENES.items():
            bench: StrategyBench | None = None
            try:
                bench = StrategyBench(make, symbol=self._asked.symbol, caps=CAPS_OF.get(name))
                scene(bench)
            except Exception as error:  # noqa: BLE001 - a user's own code may raise anything
                self._raised(name, error)
            if bench is not None:
                self._look(name, bench)

    def _factories(self) -> Iterator[StrategyFactory]:
        """What builds it, with each set of parameters; one that does not fit is a finding."""
        for name, params in self._asked.sets.items():
            told = {"class": self._place.class_path, "symbols": [self._asked.symbol]}
            settings = StrategySettings.model_validate({**told, "params": params})
            try:
                yield strategy_factory(name, settings)
            except StrategyConfigError as error:
                for line in str(error).splitlines():
                    mend = f"mend [strategies.{name}.params], or the constructor's parameter"
                    self.find(self.line_of("constructor"), line, mend)

    def watched(self, name: str, call: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Make one call of the strategy; what it yields is taken inside the watch, too."""
        began = time.thread_time()
        self._is_in_call, self._last_method = True, name
        left_s, _ = signal.getitimer(signal.ITIMER_PROF)
        may_s = max(min(left_s, self._asked.call_s), LEAST_S)
        signal.setitimer(signal.ITIMER_PROF, may_s)
        try:
            made = call(*arguments)
            return tuple(made) if hasattr(made, "__next__") else made
        finally:
            unused_s, _ = signal.getitimer(signal.ITIMER_PROF)
            signal.setitimer(signal.ITIMER_PROF, max(left_s - may_s + unused_s, LEAST_S))
            self._is_in_call = False
            self.calls += 1
            self.slowest_ms = max(self.slowest_ms, (time.thread_time() - began) * 1e3)

    def find(self, line: int, what: str, mend: str, file: str = "", *, fault: str = "") -> None:
        """Keep one problem, once; `fault` is what is the same where the words differ."""
        key = (file or self._file(), line, fault or what)
        if key in self._found or len(self._found) < FINDINGS_MAX:
            self._found.setdefault(key, StrategyFinding(*key[:2], what, mend))
            self._times[key] += 1

    def _file(self) -> str:
        return str(sys.modules[self._place.module].__file__)

    def line_of(self, method: str) -> int:
        """Where a method is defined; 0: not in a file of its own."""
        name = "__init__" if method == "constructor" else method
        code = getattr(getattr(self._class, name, None), "__code__", None)
        return code.co_firstlineno if code and code.co_filename == self._file() else 0

    def _own_frame(self, frames: list[traceback.FrameSummary]) -> tuple[str, int]:
        """The innermost frame that is the user's: not ours, and no library's."""
        root = str(self._place.root or Path(self._file()).parent)
        for frame in reversed(frames):
            is_theirs = frame.filename.startswith(root) and "site-packages" not in frame.filename
            if is_theirs and not frame.filename.startswith(_OURS):
                return frame.filename, frame.lineno or 0
        return self._file(), self.line_of(self._last_method)

    def _raised(self, scene: str, error: Exception) -> None:
        if isinstance(error, WishRefusedError):
            mend = "the engine would stop the strategy for it: see daemon/model/intents.py"
            self.find(self.line_of(self._last_method), f"{self._last_method}: {error}", mend)
            return
        file, line = self._own_frame(traceback.extract_tb(error.__traceback__))
        what = f"{type(error).__name__}: {error} (in {self._last_method}, scene {scene!r})"
        text = str(error)
        fits = (mend for kind, word, mend in _MENDS if isinstance(error, kind) and word in text)
        mend = f"{next(fits, 'mend this line')}; {_STOPS}"
        self.find(line, what, mend, file, fault=type(error).__name__)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_in_call or event not in _BLOCKING_EVENTS:
            return
        self._is_in_call = False  # what the look itself opens is not the strategy's
        try:
            frames = traceback.extract_stack()
            if any("importlib" in frame.filename for frame in frames):
                what, mend = "imports a module inside of a call", "import it at the top of the file"
            else:
                about = f" {arguments[0]!r}" if arguments else ""
                what, mend = f"{self._last_method} blocks: {event}{about}", BLOCKING
            file, line = self._own_frame(frames)
            self.find(line, what, mend, file)
        finally:
            self._is_in_call = True

    def _look(self, scene: str, bench: StrategyBench) -> None:
        """The wishes of a scene: their amounts, what the filters deny, what is wished again."""
        for call in bench.calls:
            self.wishes.append(f"{scene} {call.method} {call.wishes!r}")
            for wish in call.wishes:
                if isinstance(wish, PlaceIntent | ReplaceIntent):
                    self._amounts(call, wish)
        for code in dict.fromkeys(bench.denials):
            is_told = self._has_bad_amount and code == DenyReason.MALFORMED_ORDER.value
            if scene == "calm" and code in _FAULTS and not is_told:
                mend = "round with daemon.strategies.sizing, or ask `instrument.tick`, `lot`, …"
                line = self.line_of("on_market") or self.line_of("on_timer")
                self.find(line, f"wishes an order that is denied: {_SAID[code]}", mend)
        if scene == "denials":
            self._again(bench)

    def _amounts(self, call: HeardCall, wish: PlaceIntent | ReplaceIntent) -> None:
        for name, amount in (("qty", wish.qty), ("price", wish.price)):
            if amount is not None and type(amount).__name__ != "Decimal":
                kind = type(amount).__name__
                what = f"in {call.method} an order is wished whose {name} is {amount!r}, a {kind}"
                mend = 'write Decimal("0.001"): money is exact'
                self._has_bad_amount = True
                fault = f"{call.method} {name} {kind}"
                self.find(self.line_of(call.method), what, mend, fault=fault)

    def _again(self, bench: StrategyBench) -> None:
        wished: PlaceIntent | None = None
        for call in bench.calls:
            places = [one for one in call.wishes if isinstance(one, PlaceIntent)]
            if call.method == "on_denied" and wished is not None and wished in places:
                self.find(
                    self.line_of("on_denied"), "wishes the very order again that was denied",
                    "return (), and try later or smaller: what was denied is denied again",
                )  # fmt: skip
                return
            wished = places[-1] if places else wished


_OURS = str(Path(__file__).parents[1])
_SAID = {one.value: one.text for one in DenyReason}
_FAULTS = frozenset(str(one) for one in OF_THE_VENUES_LIST) | {DenyReason.MALFORMED_ORDER.value}


def _played(asked: AskedRecording, place: ClassPlace, made: Any) -> dict[str, Any]:
    shape = list(shape_findings(made))
    play = Play(asked, place, made)
    if not shape:
        play.run()
    return {
        "findings": [*shape, *play.findings],
        "remarks": list(remarks_of(made)),
        "wishes": play.wishes,
        "lines": {name: play.line_of(name) for name in METHODS},
        "file": str(sys.modules[place.module].__file__),
        "calls": play.calls,
        "slowest_ms": play.slowest_ms,
    }


def _end_after(cpu_s: float, wall_s: float) -> None:
    """The process ends, its stack on stderr, after so much CPU time, or much later by clock."""
    faulthandler.register(signal.SIGPROF, all_threads=False, chain=True)  # and then the default
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    faulthandler.dump_traceback_later(wall_s, exit=True)


def main() -> int:
    """Play the recording and tell what was found."""
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the strategy prints is no answer
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=AskedRecording)
    place = class_place(asked.target)
    _end_after(asked.patience_s, asked.wall_s)
    made, problem = imported(place)
    answer: dict[str, Any] = {"findings": [problem], "remarks": [], "wishes": [], "lines": {},
                              "file": "", "calls": 0, "slowest_ms": 0.0}  # fmt: skip
    if problem is None:
        answer |= _played(asked, place, made)
    signal.setitimer(signal.ITIMER_PROF, 0)
    faulthandler.cancel_dump_traceback_later()
    answer["findings"] = [msgspec.to_builtins(one) for one in answer["findings"]]
    told.write(json.dumps(answer))
    told.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
