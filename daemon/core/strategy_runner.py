"""Strategies at work: calls in, wishes out, each wish through the interceptor.

Rules of this file:
1. A strategy that raises, wishes for what is not its own or has no shape, or floods, is dropped,
   and the session halts for it.
2. Every placement goes through `Interceptor.review`: there is no other way to an order (P1).
3. A denial is told to the strategy once; what it answers is heard, but a denial of that is not told
   again in the same turn, so that two stubborn parties cannot loop.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import msgspec

from daemon.core.amend_requests import Amends
from daemon.core.cancels import Cancels
from daemon.core.engine_config import StrategySpec
from daemon.core.latest_market import LatestMarket
from daemon.core.replaces import REPLACEABLE, Replaces
from daemon.core.strategy_view import View
from daemon.core.turn_context import TurnContext
from daemon.model import journal_records as journal
from daemon.model.effects import ArmTimer, SendOrder
from daemon.model.ids import InstrumentId, StrategyId, instrument_of
from daemon.model.instrument import Instrument
from daemon.model.intents import (
    AmendIntent,
    CancelIntent,
    PlaceIntent,
    ReplaceIntent,
    TimerIntent,
    Wish,
    misshapen,
)
from daemon.model.market import TopOfBook, TradeTick
from daemon.model.orders import Order
from daemon.model.records import EventType
from daemon.model.reports import ExecutionReport
from daemon.model.strategy import Strategy
from riskcaps.gate.interceptor import Approved, ReplaceApproved

TIMER_PREFIX = "strategy:"
DENIAL_DEPTH_MAX = 1
TRACE_FRAMES_MAX = 20


class HostedStrategy(msgspec.Struct):
    """One strategy at work, and its window."""

    strategy: Strategy
    view: View
    instruments: Mapping[InstrumentId, Instrument]
    own: frozenset[InstrumentId]
    """What it may wish for: its symbols of the config, listed by the venue or not."""


def _trace(error: Exception) -> list[str]:
    """Where it came from, innermost last: file name, line and function.

    No path and no source text: the line is the same wherever a recorded run is stepped again.
    """
    frames = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        name = code.co_filename.rpartition("/")[2]
        if step.tb_frame.f_globals.get("__name__") != __name__:
            frames.append(f"{name}:{step.tb_lineno} in {code.co_name}")
        step = step.tb_next
    return frames[-TRACE_FRAMES_MAX:]


class StrategyRunner:
    """Builds strategies at session start, calls them, and performs their wishes."""

    def __init__(
        self,
        ctx: TurnContext,
        market: LatestMarket,
        cancels: Cancels,
        amends: Amends,
        replaces: Replaces,
    ) -> None:
        """Share the desk."""
        self._replaces = replaces
        self._ctx = ctx
        self._market = market
        self._cancels = cancels
        self._amends = amends
        self.hosts: dict[StrategyId, HostedStrategy] = {}
        self._by_instrument: dict[InstrumentId, tuple[HostedStrategy, ...]] = {}
        self.started = False
        self.failed: list[str] = []
        """Strategies that were dropped in this turn; the session ends for it."""

    # ------------------------------------------------------------------ life
    def start(self) -> None:
        """Build every strategy of the config and call `on_start`."""
        self.started = True
        for spec in self._ctx.config.strategies:
            self._build(spec)
        for host in list(self.hosts.values()):
            self._call(host, "on_start", host.strategy.on_start)

    def stop(self) -> None:
        """Tell every strategy that the session ends, and let it go."""
        self.started = False
        for host in list(self.hosts.values()):
            self._call(host, "on_stop", partial(_last_call, host.strategy))
        self.hosts.clear()
        self._by_instrument.clear()

    def _build(self, spec: StrategySpec) -> None:
        ctx = self._ctx
        loaded = ctx.ledger.instruments
        names = [instrument_of(symbol, ctx.config.environment) for symbol in spec.symbols]
        instruments = {name: loaded[name] for name in names if name in loaded}
        try:
            strategy = spec.factory(spec.strategy_id, instruments)
        except Exception as error:  # noqa: BLE001 - a user's own code may raise anything
            self._failed(spec.strategy_id, "constructor", error)
            return
        view = View(ctx, self._market, spec.strategy_id, instruments)
        host = HostedStrategy(strategy, view, instruments, frozenset(names))
        self.hosts[spec.strategy_id] = host
        for name in instruments:
            self._by_instrument[name] = (*self._by_instrument.get(name, ()), host)

    # ------------------------------------------------------------------ calls
    def on_market(self, top: TopOfBook) -> None:
        """A new top of book, to the strategies that asked for the instrument."""
        for host in self._by_instrument.get(top.instrument_id, ()):
            self._call(host, "on_market", host.strategy.on_market, top)

    def on_trade(self, trade: TradeTick) -> None:
        """A public trade, to the strategies that asked for the instrument."""
        for host in self._by_instrument.get(trade.instrument_id, ()):
            self._call(host, "on_trade", host.strategy.on_trade, trade)

    def on_report(self, order: Order, report: ExecutionReport) -> None:
        """A report on an order, to the strategy that wished for it."""
        host = self.hosts.get(order.strategy_id)
        if host is not None:
            self._call(host, "on_report", host.strategy.on_report, report)

    def on_timer(self, timer_id: str) -> None:
        """A timer wished by a TimerIntent is due."""
        name, _, timer = timer_id.removeprefix(TIMER_PREFIX).partition(":")
        host = self.hosts.get(StrategyId(name))
        if host is not None:
            self._call(host, "on_timer", host.strategy.on_timer, timer)

    def _call(
        self,
        host: HostedStrategy,
        where: str,
        call: Callable[..., Iterable[Wish]],
        *told: object,
        depth: int = 0,
    ) -> None:
        try:
            wishes = tuple(call(host.view, *told))
        except Exception as error:  # noqa: BLE001 - a user's own code may raise anything
            self._drop(host, where, error)
            return
        if not wishes:
            return
        limit = self._ctx.config.wishes_per_call_max
        if len(wishes) > limit:
            self._drop(
                host, where, ValueError(f"{len(wishes)} wishes in one call, at most {limit}")
            )
            return
        for wish in wishes:
            if problem := misshapen(wish):
                self._drop(host, where, TypeError(problem))
                return
        self._perform(host, wishes, depth=depth)

    def _drop(self, host: HostedStrategy, where: str, error: Exception) -> None:
        strategy_id = host.view.strategy_id
        self.hosts.pop(strategy_id, None)
        self._by_instrument = {
            name: tuple(one for one in hosts if one is not host)
            for name, hosts in self._by_instrument.items()
        }
        self._failed(strategy_id, where, error)

    def _failed(self, strategy_id: StrategyId, where: str, error: Exception) -> None:
        msg = f"{type(error).__name__}: {error}"[:500]
        fields = journal.StrategyErrorRecord(strategy_id=strategy_id, where=where, msg=msg)
        trace = _trace(error)
        if trace:
            fields["trace"] = trace
            msg = f"{msg} ({trace[-1]})"
        self._ctx.record(EventType.STRATEGY_ERROR, fields)
        self.failed.append(f"{strategy_id} in {where}: {msg}")

    # ------------------------------------------------------------------ wishes
    def _perform(self, host: HostedStrategy, wishes: Iterable[Wish], *, depth: int) -> None:
        for wish in wishes:
            if host.view.strategy_id not in self.hosts:
                return
            if wish.strategy_id != host.view.strategy_id:
                self._drop(host, "wish", ValueError(f"a wish in the name of {wish.strategy_id!r}"))
            elif isinstance(wish, PlaceIntent):
                self._place(host, wish, depth=depth)
            elif isinstance(wish, CancelIntent):
                self._cancel(host, wish)
            elif isinstance(wish, ReplaceIntent):
                self._replace(host, wish)
            elif isinstance(wish, AmendIntent):
                self._amend(host, wish)
            else:
                self._arm(wish)

    def _place(self, host: HostedStrategy, intent: PlaceIntent, *, depth: int) -> None:
        if intent.instrument_id not in host.own:
            self._drop(host, "wish", ValueError(f"not its instrument: {intent.instrument_id}"))
            return
        denied = self.place(intent)
        if denied and depth < DENIAL_DEPTH_MAX:
            call = host.strategy.on_denied
            self._call(host, "on_denied", call, intent, denied, depth=depth + 1)

    def place(self, intent: PlaceIntent) -> str:
        """One wish through the interceptor; the deny code, or empty when it left."""
        ctx = self._ctx
        verdict = ctx.interceptor.review(intent, ctx.now_ns)
        ctx.ledger.heard(ctx.interceptor.risk.alerts.take())
        if isinstance(verdict, Approved):
            ctx.approve(verdict.order, intent.reason, verdict.inputs.plain())
            ctx.effects.append(SendOrder(verdict.order))
            return ""
        code = str(verdict.reason.value)
        ctx.deny(intent, code, verdict.context, verdict.decision)
        return code

    def _cancel(self, host: HostedStrategy, intent: CancelIntent) -> None:
        order = host.view.order(intent.client_order_id)
        if order is not None:
            self._cancels.want(order, intent.reason or "strategy", intent.strategy_id)

    def _replace(self, host: HostedStrategy, intent: ReplaceIntent) -> None:
        ctx = self._ctx
        target = host.view.order(intent.client_order_id)
        if target is None or target.status not in REPLACEABLE:
            return
        verdict = ctx.interceptor.review_replace(intent, target, ctx.now_ns)
        ctx.ledger.heard(ctx.interceptor.risk.alerts.take())
        if isinstance(verdict, ReplaceApproved):
            ctx.approve(verdict.replace.order, intent.reason, verdict.decision)
            self._replaces.send(target, verdict.replace, intent.reason or "strategy")
        else:
            wish = _as_place(intent, target)
            ctx.deny(wish, str(verdict.reason.value), verdict.context, verdict.decision)

    def _amend(self, host: HostedStrategy, intent: AmendIntent) -> None:
        order = host.view.order(intent.client_order_id)
        if order is not None:
            self._amends.want(order, intent)

    def _arm(self, wish: TimerIntent) -> None:
        timer_id = f"{TIMER_PREFIX}{wish.strategy_id}:{wish.name}"
        self._ctx.effects.append(ArmTimer(timer_id, wish.at_ns))


def _last_call(strategy: Strategy, view: View) -> tuple[Wish, ...]:
    strategy.on_stop(view)
    return ()


def _as_place(intent: ReplaceIntent, target: Order) -> PlaceIntent:
    """The placement half of a replace, for the record of its denial."""
    return PlaceIntent(
        strategy_id=intent.strategy_id,
        instrument_id=target.instrument_id,
        side=target.side,
        order_type=target.order_type,
        qty=intent.qty,
        price=intent.price,
        time_in_force=target.time_in_force,
        stop_price=target.stop_price,
        reduce_only=target.reduce_only,
        extras=target.extras,
        reason=intent.reason,
    )
