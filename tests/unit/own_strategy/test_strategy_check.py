"""`seatrial strategy check`: each kind of broken strategy is named with its line and the mend."""

import re
import resource
from pathlib import Path

import pytest

from daemon.own_strategy.class_place import class_place
from daemon.own_strategy.strategy_check import CheckResult, check_strategy
from daemon.own_strategy.strategy_template import names_of, write_strategy
from daemon.shell.strategy_loader import StrategyConfigError

HEAD = """
from decimal import Decimal
from daemon.model.enums import OrderType, Side
from daemon.model.intents import PlaceIntent, TimerIntent
from daemon.strategies.silent import Silent


def order(strategy, top, **changes):
    told = {"qty": Decimal("0.001"), "price": top.bid_px, **changes}
    return PlaceIntent(
        strategy_id=strategy.strategy_id, instrument_id=top.instrument_id, side=Side.BUY,
        order_type=OrderType.LIMIT, **told)


"""

BROKEN = {
    "no-python": (
        """\
class Mine(Silent:
    pass
""",
        "SyntaxError",
        "mend it",
    ),
    "import": (
        """\
import seatrial_nowhere
class Mine(Silent):
    pass
""",
        "No module named",
        "install seatrial_nowhere",
    ),
    "no-methods": (
        """\
class Mine:
    def __init__(self, strategy_id, instruments): ...
""",
        "lacks on_start, on_market",
        "build on daemon.strategies.silent.Silent",
    ),
    "signature": (
        """\
class Mine(Silent):
    def on_market(self, top):
        return ()
""",
        "on_market: too many positional",
        "write def on_market(self, view, top)",
    ),
    "async": (
        """\
class Mine(Silent):
    async def on_market(self, view, top):
        return ()
""",
        "on_market is `async def`",
        "write `def`",
    ),
    "sleeps": (
        """\
import time as t
class Mine(Silent):
    def on_market(self, view, top):
        t.sleep(0)
        return ()
""",
        "calls time.sleep()",
        "TimerIntent",
    ),
    "clock": (
        """\
from datetime import datetime
class Mine(Silent):
    def on_market(self, view, top):
        self.at = datetime.now()
        return ()
""",
        "calls datetime.datetime.now()",
        "view.now_ns",
    ),
    "opens": (
        """\
import tokenize
class Mine(Silent):
    def on_market(self, view, top):
        tokenize.open(__file__).close()
        return ()
""",
        "on_market blocks: open",
        "the main loop stands still",
    ),
    "float": (
        """\
class Mine(Silent):
    def on_market(self, view, top):
        return (order(self, top, qty=0.001),)
""",
        "qty is 0.001, a float",
        'write Decimal("0.001")',
    ),
    "mixes": (
        """\
class Mine(Silent):
    def on_market(self, view, top):
        return (order(self, top, price=top.mid * 0.99),)
""",
        "unsupported operand",
        "amounts are exact",
    ),
    "off-tick": (
        """\
class Mine(Silent):
    def on_market(self, view, top):
        return (order(self, top, price=top.mid * Decimal('0.99999')),)
""",
        "price is not on the tick",
        "daemon.strategies.sizing",
    ),
    "no-market": (
        """\
class Mine(Silent):
    def on_start(self, view):
        view.top(next(iter(view.instruments))).mid
        return ()
""",
        "'NoneType' object has no attribute 'mid'",
        "None before the first tick",
    ),
    "none": (
        """\
class Mine(Silent):
    def on_report(self, view, report):
        pass
    def on_market(self, view, top):
        return (order(self, top),)
""",
        "on_report returned None",
        "see daemon/model/intents.py",
    ),
    "report": (
        """\
class Mine(Silent):
    def on_start(self, view):
        self.sent = {}
        return ()
    def on_market(self, view, top):
        return (order(self, top),)
    def on_report(self, view, report):
        self.sent[report.client_order_id] += 1
        return ()
""",
        "KeyError",
        "which this object has not placed",
    ),
    "denial": (
        """\
class Mine(Silent):
    def on_market(self, view, top):
        return (order(self, top),)
    def on_denied(self, view, intent, code):
        return {'order_qty': ()}[code]
""",
        "KeyError",
        "(in on_denied",
    ),
    "stubborn": (
        """\
class Mine(Silent):
    def on_market(self, view, top):
        return (order(self, top),)
    def on_denied(self, view, intent, code):
        return (intent,)
""",
        "wishes the very order again",
        "try later",
    ),
    "chance": (
        """\
class Mine(Silent):
    def on_market(self, view, top):
        first = next(iter({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}))
        return (TimerIntent(strategy_id=self.strategy_id, name=first, at_ns=0),)
""",
        "on_market wishes something else when the same is played again",
        "sort it",
    ),
    "endless": (
        """\
class Mine(Silent):
    def on_market(self, view, top):
        while True:
            pass
""",
        "on_market does not return",
        "TimerIntent",
    ),
}
"""By name: the body of the file, what is found, and a part of the mend."""


def checked(tmp_path: Path, body: str, **how: object) -> CheckResult:
    file = tmp_path / "own_one.py"
    file.write_text(HEAD + body)
    asked = {"params": {}, "symbol": "BTCUSDT", "patience_s": 3, **how}
    return check_strategy(f"{file}:Mine", **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_strategy_is_named_with_its_line_and_the_mend(tmp_path: Path, name: str) -> None:
    body, what, mend = BROKEN[name]
    found = checked(tmp_path, body).findings
    fitting = [one for one in found if what in one.what]
    assert fitting, [one.text() for one in found]
    assert mend in fitting[0].mend or mend in fitting[0].what, fitting[0].text()
    assert fitting[0].file == str(tmp_path / "own_one.py")
    assert HEAD.count("\n") < fitting[0].line <= (HEAD + body).count("\n"), fitting[0].text()


def test_one_fault_is_told_once_with_how_often(tmp_path: Path) -> None:
    floats = (
        "class Mine(Silent):\n"
        "    def on_market(self, view, top):\n"
        "        return (order(self, top, price=float(top.bid_px)),)\n"
    )
    (one,) = checked(tmp_path, floats).findings
    assert one.what.startswith("in on_market an order is wished whose price is ")
    assert re.search(r", a float \[\d+ times\]$", one.what)
    (one,) = checked(tmp_path, floats.replace("float(top.bid_px)", "None + 1")).findings
    assert re.search(r"\(in on_market, scene '.+'\) \[\d+ times\]$", one.what)


def test_a_call_that_does_not_return_is_ended_long_before_the_whole_patience(
    tmp_path: Path,
) -> None:
    began = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    (one,) = checked(tmp_path, BROKEN["endless"][0], patience_s=60).findings
    assert "does not return: 2 s of CPU time for one call" in one.what
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - began < 30


def test_a_parameter_that_does_not_fit_is_named(tmp_path: Path) -> None:
    body = (
        "class Mine(Silent):\n"
        "    def __init__(self, strategy_id, instruments, *, qty: Decimal, ms: int = 5):\n"
        "        super().__init__(strategy_id, instruments)\n"
    )
    found = checked(tmp_path, body, params={"ms": "soon", "qyt": "1"}).findings
    said = "\n".join(one.text() for one in found)
    assert "params.qty: missing; add it" in said
    assert "params.qyt: unknown; known: qty, ms" in said
    assert "params.ms: Input should be a valid integer" in said
    assert checked(tmp_path, body, params={"qty": "0.001"}).findings == ()


def test_the_template_has_nothing_to_find_on_any_symbol(tmp_path: Path) -> None:
    strategy, _, class_name = write_strategy("my-own idea2", tmp_path)
    assert (strategy.name, class_name) == ("my_own_idea2.py", "MyOwnIdea2")
    result = check_strategy(f"{strategy}:{class_name}", params={}, symbol="DOGEUSDT")
    assert result.findings == ()
    assert result.remarks == ()
    assert result.calls > 1_000


def test_names_are_made_from_what_people_type() -> None:
    assert names_of("firstOne") == ("first_one", "FirstOne")
    assert names_of("RSI-2") == ("rsi_2", "RSI2")
    assert names_of("Pair trade") == ("pair_trade", "PairTrade")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x.py", "write FILE.py:Class"),
        ("nowhere.py:X", "there is no such file"),
        ("x.py:not a name", "write FILE.py:Class"),
    ],
)
def test_what_names_no_class_is_refused(text: str, said: str) -> None:
    with pytest.raises(StrategyConfigError, match=said):
        class_place(text)


def test_a_file_that_hides_a_module_is_refused(tmp_path: Path) -> None:
    for name, said in (("json.py", "exists already"), ("my-own.py", "no module name")):
        (tmp_path / name).write_text("")
        with pytest.raises(StrategyConfigError, match=said):
            class_place(f"{tmp_path / name}:X")
