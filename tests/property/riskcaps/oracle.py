"""A second gate, by another hand: it keeps the whole history and nothing else.

Every question is answered by replaying all that ever happened, in plain lists and fractions. It
shares no code with riskcaps and has no running sums, no windows, no caches.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

F = Fraction
ZERO = F(0)
SECOND = 1_000_000_000
MS = 1_000_000
Event = tuple[Any, ...]
"""(kind, time, …): place, fill, end, known, unknown, leaves, top, balance, cancel, state, halt,
journal, clock, session, re_enable, reject, restart."""


@dataclass
class Placed:
    """One approved order as the history tells it."""

    name: str
    symbol: str
    buy: bool
    left: Fraction
    px: Fraction
    limit: Fraction | None
    qty: Fraction
    at: int
    ended: bool = False
    unknown: bool = False
    acked: bool = False
    reserved: bool = True
    gain: Fraction = ZERO
    closing: bool = False


@dataclass
class World:
    """What a replay of the history arrives at."""

    caps: dict[str, Any]
    symbols: dict[str, dict[str, Any]]
    orders: list[Placed] = field(default_factory=list)
    fills: list[tuple[int, str, bool, Fraction, Fraction, Fraction, str]] = field(
        default_factory=list
    )
    tops: dict[str, tuple[Fraction, Fraction, int]] = field(default_factory=dict)
    marks: dict[str, tuple[Fraction, Fraction]] = field(default_factory=dict)
    free: dict[str, Fraction] = field(default_factory=dict)
    spent: dict[str, Fraction] = field(default_factory=dict)
    cancels: list[int] = field(default_factory=list)
    state: str = "HALTED"
    halted: bool = False
    journal: bool = False
    clock: tuple[int, int, int] | None = None
    rejects: dict[str, int] = field(default_factory=dict)
    losers: dict[str, int] = field(default_factory=dict)
    executions: int = 0
    peak: Fraction = ZERO
    day: int = 0
    day_open: Fraction = ZERO
    session_open: Fraction = ZERO
    equity: Fraction | None = ZERO
    loss: dict[str, Fraction] = field(default_factory=dict)
    latched: set[str] = field(default_factory=set)


def position(world: World, symbol: str) -> Fraction:
    """Net quantity of all fills, less fees in base."""
    total = F(0)
    for _, of, buy, qty, _, fee, asset in world.fills:
        if of == symbol:
            total += qty if buy else -qty
            total -= fee if asset == base(symbol) else 0
    return total


def base(symbol: str) -> str:
    return symbol[:3]


def opened(world: World, symbol: str | None = None, buy: bool | None = None) -> list[Placed]:
    """Orders that may still fill."""
    return [
        o
        for o in world.orders
        if not o.ended and symbol in (None, o.symbol) and buy in (None, o.buy)
    ]


def worth(world: World) -> Fraction | None:
    """Cash of all trades, plus positions at the wrong side of the book."""
    total = F(0)
    for symbol in {of for _, of, *_ in world.fills}:
        for _, of, buy, qty, px, fee, asset in world.fills:
            if of == symbol:
                total += -qty * px if buy else qty * px
                total -= fee if asset == "USDT" else 0
        held = position(world, symbol)
        if held:
            if symbol not in world.marks:
                return None
            bid, ask = world.marks[symbol]
            total += held * (bid if held > 0 else ask)
    return total


def mark(world: World, now: int) -> None:
    """Follow peak, day and losses, as an accountant would after every event that moves them."""
    before = world.equity
    world.equity = worth(world)
    if world.equity is None:
        return
    day = now // (86_400 * SECOND)
    if day != world.day:
        world.day_open = world.equity if before is None else before
        world.day = day
    if world.equity > world.peak + F(world.caps["drawdown_numeraire_max"]) / 1000:
        world.peak = world.equity
    world.loss = {
        "loss_session": world.session_open - world.equity,
        "loss_day": world.day_open - world.equity,
        "drawdown": world.peak - world.equity,
    }
    for name, used in world.loss.items():
        if used >= F(world.caps[f"{name}_numeraire_max"]):
            world.latched.add(name)


def average(world: World, symbol: str) -> tuple[Fraction, Fraction]:
    """(position, its cost) by average cost, folded from the first fill."""
    held = cost = F(0)
    for _, of, buy, qty, px, fee, asset in world.fills:
        if of != symbol:
            continue
        step = (qty if buy else -qty) - (fee if asset == base(symbol) else 0)
        if held and (held > 0) != buy:
            closing = min(abs(step), abs(held))
            sign = 1 if held > 0 else -1
            share = cost * closing / abs(held)
            rest = abs(step) - closing
            cost = cost - share - sign * rest * px
        else:
            cost += step * px
        held += step
    return held, cost


def replay(caps: dict[str, Any], symbols: dict[str, dict[str, Any]], history: list[Event]) -> World:
    """Live through the whole history again."""
    world = World(caps, symbols)
    known_fills: set[str] = set()
    for event in history:
        kind, now = event[0], event[1]
        if kind == "place":
            world.orders.append(event[2](now))
        elif kind == "fill":
            _fill(world, event, known_fills)
        elif kind in {"end", "reject", "known", "unknown", "leaves"}:
            _report(world, event)
        elif kind == "top":
            world.tops[event[2]] = event[3:]
            if event[3] < event[4]:
                world.marks[event[2]] = event[3:5]
            if any(of == event[2] for _, of, *_ in world.fills):
                mark(world, now)
        elif kind == "balance":
            world.free[event[2]] = event[3]
            world.spent[event[2]] = F(0)
        elif kind == "cancel":
            world.cancels.append(now)
        elif kind == "session":
            world.session_open = world.equity if world.equity is not None else F(0)
            world.latched.discard("loss_session")
            world.loss["loss_session"] = F(0)
        elif kind == "restart":
            for told_again in (world.tops, world.marks, world.free, world.spent, world.loss):
                told_again.clear()
            world.equity = worth(world)
        elif kind == "re_enable":
            world.rejects, world.losers, world.executions = {}, {}, 0
            world.latched.clear()
        else:
            setattr(world, kind, event[2])
    return world


def _fill(world: World, event: Event, seen: set[str]) -> None:
    _, now, exec_id, name, symbol, buy, qty, px, fee, asset = event
    if exec_id in seen:
        return
    seen.add(exec_id)
    held, cost = average(world, symbol)
    closes = bool(held) and (held > 0) != buy
    world.fills.append((now, symbol, buy, qty, px, fee, asset))
    held_after, cost_after = average(world, symbol)
    step = held_after - held
    gain = (cost_after - cost - step * px) if closes else F(0)
    world.executions += 1
    for order in world.orders:
        if order.name == name and not order.ended:
            taken = min(order.left, qty)
            if order.reserved:
                asset_spent = "USDT" if buy else base(symbol)
                amount = taken * (order.px if buy else 1)
                world.spent[asset_spent] = world.spent.get(asset_spent, F(0)) + amount
            order.left -= taken
            if closes:
                order.closing = True
                order.gain += gain - (fee if asset == "USDT" else 0)
            if order.left == 0:
                _finish(world, order)
    mark(world, now)


def _finish(world: World, order: Placed) -> None:
    order.ended = True
    if order.closing:
        if order.gain < 0:
            world.losers[order.symbol] = world.losers.get(order.symbol, 0) + 1
        elif world.losers.get(order.symbol, 0) < world.caps["loss_streak_max"]:
            world.losers[order.symbol] = 0


def _report(world: World, event: Event) -> None:
    kind, _, name = event[:3]
    for order in world.orders:
        if order.name != name or order.ended:
            continue
        if kind == "reject":
            world.rejects[order.symbol] = world.rejects.get(order.symbol, 0) + 1
        if kind in {"end", "reject"}:
            _finish(world, order)
        elif kind == "unknown":
            order.unknown = True
            order.acked = False
        elif kind == "leaves" and event[3] < order.left:
            order.left = max(event[3], F(0))
            if order.left == 0:
                _finish(world, order)
        elif kind == "known" and not order.acked:
            order.unknown = False
            order.acked = True
            if order.reserved:
                order.reserved = False
                asset = "USDT" if order.buy else base(order.symbol)
                amount = order.left * (order.px if order.buy else 1)
                world.spent[asset] = world.spent.get(asset, F(0)) + amount
            if world.rejects.get(order.symbol, 0) < world.caps["venue_reject_streak_max"]:
                world.rejects[order.symbol] = 0
