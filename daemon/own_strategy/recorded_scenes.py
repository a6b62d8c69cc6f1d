"""The canned recording: what a strategy lives through in a bad hour, scene by scene, in memory."""

from collections.abc import Callable, Iterator, Mapping

from daemon.model.enums import OrderType, Side
from daemon.model.ids import StrategyId
from daemon.model.intents import PlaceIntent
from daemon.model.orders import Order
from daemon.own_strategy.strategy_bench import NAME, StrategyBench
from riskcaps.words.denials import DenyReason

TICKS = 300
STEP_MS = 200
CAPS_OF: Mapping[str, Mapping[str, str]] = {
    "denials": {"order_qty_base_max": "0.00000001", "position_long_base_max": "0.00000001"}
}
"""Caps of a scene; of all others, roomy ones."""


def _path(bench: StrategyBench, ticks: int = TICKS) -> Iterator[None]:
    """A market that goes up and down, with public trades; the same every time."""
    tick = bench.instrument.tick
    price = bench.first_price
    for n in range(ticks):
        wave = (n * 7_919 % 101 - 50) + (n % 60 - 30) * 8
        bid = price + wave * tick * 10
        bench.tick(f"{bid:f}", f"{bid + tick * (1 + n % 9):f}")
        if n % 3 == 0:
            side = Side.BUY if n % 2 else Side.SELL
            bench.trade(f"{bid:f}", f"{bench.instrument.lot * (1 + n % 50):f}", side)
        yield
        bench.after(STEP_MS)


def _calm(bench: StrategyBench) -> None:
    bench.start()
    for _ in _path(bench):
        pass
    bench.stop()


def _answers(bench: StrategyBench) -> None:
    """Every kind of answer of the venue, each in its turn, to whatever is wished."""
    bench.venue_answers = False
    bench.start()
    number, refused_once = 0, set[str]()
    for _ in _path(bench):
        for order in bench.unanswered:
            number += 1
            _answer(bench, order, number % 7)
        for order in bench.cancels_asked:
            refused = order.client_order_id in refused_once
            bench.cancel(order) if refused else bench.refuse_cancel(order)
            refused_once.add(order.client_order_id)
    bench.venue_answers = True
    for order in bench.cancels_asked:
        bench.cancel(order)
    bench.stop()


def _answer(bench: StrategyBench, order: Order, kind: int) -> None:
    if kind == 0:
        bench.reject(order)
        return
    if kind == 1:
        bench.lose_answer(order)  # it is asked for, and found
        return
    bench.accept(order)
    half = order.qty / 2
    if kind == 2:
        bench.expire(order)
    elif kind == 3:
        bench.fill(order, f"{half:f}")
        bench.fill(order)
    elif kind == 4:
        bench.fill(order, f"{half:f}")
        bench.expire(order)
    elif kind == 5:
        bench.fill(order)


def _denials(bench: StrategyBench) -> None:
    """Caps that admit nothing; then each code that there is."""
    bench.start()
    for _ in _path(bench, 100):
        pass
    wish = PlaceIntent(
        strategy_id=StrategyId(NAME), instrument_id=bench.instrument.instrument_id, side=Side.BUY,
        order_type=OrderType.LIMIT, qty=bench.instrument.qty_min, price=bench.first_price,
    )  # fmt: skip
    for code in DenyReason:
        tuple(bench.strategy.on_denied(bench.view, wish, code.value))
    bench.stop()


def _gaps(bench: StrategyBench) -> None:
    """No market at the start, then a lost connection, a crossed book, and one without depth."""
    bench.start()
    bench.after(5_000)
    for _ in _path(bench, 50):
        pass
    bench.disconnect()
    price = f"{bench.first_price:f}"
    bench.tick(price, price)
    bench.tick(price, f"{bench.first_price + bench.instrument.tick:f}", qty="0")
    bench.trade(price, "1")
    bench.after(30_000)
    bench.stop()


def _restart(bench: StrategyBench) -> None:
    """A second life: an object that has placed nothing sees the orders and reports of the first."""
    bench.start()
    for _ in _path(bench, 40):
        pass
    reports = [call.about for call in bench.calls if call.method == "on_report"]
    again = bench.another()
    tuple(again.on_start(bench.view))
    for report in reports:
        tuple(again.on_report(bench.view, report))
    tuple(again.on_timer(bench.view, "a timer of an earlier life"))
    again.on_stop(bench.view)
    bench.stop()


SCENES: Mapping[str, Callable[[StrategyBench], None]] = {
    "calm": _calm, "answers": _answers, "denials": _denials, "gaps": _gaps, "restart": _restart,
}  # fmt: skip
