"""The link to one venue: three connections kept alive, effects performed, inputs delivered.

Rules of this file:
1. `perform` never blocks: it writes to the order socket in the caller's turn, or spawns a question.
2. Questions are bounded in number and in time; one that cannot be asked is answered at once.
3. What can be proven of a request, and its second route, is decided in `order_transport.py`.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from daemon.model.effects import (
    QueryOrder,
    RefreshInstruments,
    SendAmend,
    SendCancel,
    SendOrder,
    SendOrderList,
    SendReplace,
    TakeSnapshot,
    VenueEffect,
)
from daemon.model.enums import Link
from daemon.model.halt import HaltFlag
from daemon.model.inputs import (
    Input,
    QueryFailed,
    SnapshotFailed,
)
from daemon.shell.link.backoff import Backoff
from daemon.shell.link.governor import Governor
from daemon.shell.link.link_config import Credentials, LinkConfig, VenueEndpoints
from daemon.shell.link.market_transport import MarketTransport
from daemon.shell.link.order_transport import OrderTransport
from daemon.shell.link.rate_refusals import RateRefusals
from daemon.shell.link.rest_link import DENIED_GAP_NS, REFUSED_GAP_NS, RestLink
from daemon.shell.link.rest_session import HttpReply, RestSession
from daemon.shell.link.time_sync import TimeSync
from daemon.shell.link.venue_queries import VenueQueries
from daemon.shell.process.clock import Clock
from daemon.venues.adapter import VenueAdapter
from daemon.venues.answers import Asked, not_sent
from daemon.venues.faults import Cause, Fault, Outcome
from daemon.venues.hosts import EndpointKind
from daemon.venues.requests import HttpRequest
from riskcaps.state.risk_state import RiskState

__all__ = ["Credentials", "LinkConfig", "VenueEndpoints", "VenueLink"]

_NOT_ASKED = "the link is not running, or too many questions wait"


def _nothing() -> None:
    """Nobody minds where a read ends."""


class VenueLink:
    """See `ARCHITECTURE.md`, the seams. One loop owns it."""

    def __init__(
        self,
        *,
        endpoints: VenueEndpoints,
        adapter: VenueAdapter,
        config: LinkConfig,
        clock: Clock,
        halt: HaltFlag,
        deliver: Callable[[Input], None],
        rng: random.Random,
        settle: Callable[[], None] = _nothing,
        gate: RiskState | None = None,
    ) -> None:
        """Wire the link; nothing is connected before `run`.

        `settle`: all that one read from a socket had to tell was delivered. `gate`: its
        caps on rates are kept once more where the bytes leave.

        Raises:
            HostRefused: an address that cannot be used.
        """
        self._adapter, self._encoder, self._costs = adapter, adapter.encode, adapter.costs
        self._endpoints, self._config, self._clock = endpoints, config, clock
        self._deliver = deliver
        self._settle = settle
        self._rng = rng
        self._governor = Governor(adapter.rates)
        self._governor.rate.follow(gate, clock.now_ns())
        self._limits = RateRefusals(governor=self._governor, clock=clock, deliver=deliver)
        self._rest = RestSession(
            environment=endpoints.environment,
            endpoint=endpoints.endpoint(EndpointKind.REST),
            clock=clock,
            governor=self._governor,
            halt=halt,
            on_limited=deliver,
            read_error=adapter.decode.error,
            deadline_s=config.query_deadline_ms / 1000,
            connect_deadline_s=config.connect_deadline_ms / 1000,
        )
        self._sync = TimeSync(clock, adapter, self._rest.call)
        self._questions = self._make_questions()
        self._rest_life = self._make_rest_life()
        self._limits.on_refused = self._rest_life.sync_now.set
        self._orders = OrderTransport(
            endpoints=endpoints,
            adapter=adapter,
            config=config,
            clock=clock,
            halt=halt,
            governor=self._governor,
            limits=self._limits,
            rest=self._rest,
            sync=self._sync,
            deliver=deliver,
            settle=settle,
            on_fault=self._note_fault,
            backoff=self._backoff(),
        )
        by_rest = config.order_road == "rest"
        self._send = self._send_by_rest if by_rest else self._orders.write
        self._market = self._make_market()
        self._group: asyncio.TaskGroup | None = None
        self._questions_waiting = 0

    def _make_questions(self) -> VenueQueries:
        return VenueQueries(
            call=self._rest.call,
            adapter=self._adapter,
            sync=self._sync,
            clock=self._clock,
            config=self._config,
            on_fault=self._note_fault,
        )

    def _make_rest_life(self) -> RestLink:
        return RestLink(
            rest=self._rest,
            adapter=self._adapter,
            sync=self._sync,
            governor=self._governor,
            clock=self._clock,
            config=self._config,
            deliver=self._deliver,
            backoff=self._backoff(),
        )

    def _make_market(self) -> MarketTransport:
        return MarketTransport(
            endpoints=self._endpoints,
            adapter=self._adapter,
            config=self._config,
            clock=self._clock,
            limits=self._limits,
            call=self._rest.call,
            spawn=self._spawn,
            deliver=self._deliver,
            settle=self._settle,
            make_backoff=self._backoff,
        )

    async def run(self) -> None:
        """Keep the venue connected until cancelled; every task is a child of this call."""
        await self._rest.open()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._rest_life.run(), name="venue-rest")
                group.create_task(self._orders.sweep(), name="venue-deadlines")
                group.create_task(self._sockets(group), name="venue-sockets")
        finally:
            self._group = None
            self._orders.supervisor.close("stopped")
            self._market.supervisor.close("stopped")
            await self._rest.close()

    async def _sockets(self, group: asyncio.TaskGroup) -> None:
        # A signed request before the first clock sample would only be refused.
        await self._rest_life.ready.wait()
        group.create_task(self._orders.supervisor.run(group), name="venue-order")
        group.create_task(self._market.supervisor.run(group), name="venue-market")

    def perform(self, effect: VenueEffect) -> None:
        """Perform one effect now; answers come as inputs."""
        costs = self._costs
        if type(effect) is SendOrder:  # no `match`: it takes half a microsecond of an order's way
            order = effect.order
            asked = Asked("place", order.client_order_id, order.instrument_id)
            self._send(asked, "place", order, costs.place, 1)
            return
        match effect:
            case SendOrderList(made):
                first, *others = (one.client_order_id for one in made.orders)
                asked = Asked("place", first, made.instrument_id, others=tuple(others))
                self._send(asked, "place_list", made, costs.place, len(made.orders))
            case SendCancel(cancel):
                asked = Asked("cancel", cancel.client_order_id, cancel.instrument_id)
                is_down = self._orders.supervisor.current is None
                send = self._send_by_rest if is_down else self._send  # cancels have a second road
                send(asked, "cancel", cancel, costs.cancel)
            case SendReplace(replace):
                order = replace.order
                asked = Asked("replace", replace.target, order.instrument_id, order.client_order_id)
                self._send(asked, "replace", replace, costs.replace, 1)
            case SendAmend(amend):
                asked = Asked("amend", amend.client_order_id, amend.instrument_id)
                self._send(asked, "amend", amend, costs.amend)
            case QueryOrder() | TakeSnapshot() | RefreshInstruments():
                self._ask(effect)

    def _ask(self, effect: QueryOrder | TakeSnapshot | RefreshInstruments) -> None:
        match effect:
            case QueryOrder():
                if not self._spawn(
                    lambda: self._answer(lambda: self._questions.query(effect)), "query"
                ):
                    self._deliver(
                        QueryFailed(effect.client_order_id, effect.instrument_id, _NOT_ASKED)
                    )
            case TakeSnapshot():
                if not self._spawn(
                    lambda: self._answer(lambda: self._questions.snapshot(effect)), "snapshot"
                ):
                    self._deliver(SnapshotFailed(f"{effect.reason}: {_NOT_ASKED}"))
            case RefreshInstruments():
                self._rest_life.refresh(DENIED_GAP_NS)

    def facts(self) -> dict[str, Any]:
        """What status and metrics show of this link."""
        now_ns = self._clock.now_ns()
        sample = self._sync.sample
        return {
            "offset_ns": self._sync.offset_ns,
            "round_trip_ns": None if sample is None else sample.round_trip_ns,
            "used": self._governor.used(now_ns),
            "limits": self._governor.limits(),
            "used_by_rounds": self._governor.used_by_rounds(now_ns),
            "paused_until_ns": self._governor.paused_until_ns(now_ns),
            "paused_for": self._governor.pause_scope(now_ns),
            "links": {
                Link.REST.value: self._rest_life.facts(now_ns),
                Link.ORDER.value: self._orders.supervisor.facts(now_ns),
                Link.MARKET.value: self._market.facts(now_ns),
            },
            "in_flight": self._orders.in_flight,
            "questions_waiting": self._questions_waiting,
            "unknown_events": dict(self._orders.unknown_events),
            "ids_known": len(self._adapter.ids),
        }

    @property
    def offset_ns(self) -> int:
        """The venue's clock minus ours, as last measured; any thread may look."""
        return self._sync.offset_ns

    async def call_about_account(self, path: str, symbol: str) -> HttpReply:
        """Ask, signed, for commissions or filters of the account; they tell of no order."""
        request = self._encoder.about_account(path, symbol, self._sync.venue_ms())
        return await self._rest.call(request)

    async def call_public(self, request: HttpRequest) -> HttpReply:
        """Ask one public question, as `RestSession.call`; its purpose says from which share."""
        return await self._rest.call(request)

    def pause(self, scope: str, until_ns: int) -> None:
        """A pause that an earlier run was told of: nothing is sent before it is over."""
        self._governor.pause(scope, until_ns, self._clock.now_ns())

    def lose_orders(self, reason: str) -> bool:
        """Cut the order connection, as a drill does; False when it is down already."""
        session = self._orders.supervisor.current
        if session is not None:
            session.close(reason)
        return session is not None

    # ---------------------------------------------------------------- effects
    def _send_by_rest(
        self, asked: Asked, call: str, item: object, _weight: int, _orders: int = 0
    ) -> None:
        """As `OrderTransport.write`, over REST, which charges the governor itself."""

        def encode() -> HttpRequest:
            encoded: HttpRequest = getattr(self._encoder, call)(item, self._sync.venue_ms())
            return encoded

        if not self._spawn(lambda: self._orders.by_rest(asked, encode), asked.kind):
            for one in not_sent(asked, _NOT_ASKED):
                self._deliver(one)

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> bool:
        group = self._group
        if group is None or self._questions_waiting >= self._config.questions_max:
            return False
        coroutine = work()
        try:
            task = group.create_task(coroutine, name=f"venue-{name}")
        except RuntimeError:  # the link is ending; the engine may still turn once or twice
            coroutine.close()
            return False
        self._questions_waiting += 1
        task.add_done_callback(self._question_done)
        return True

    def _question_done(self, _task: asyncio.Task[None]) -> None:
        self._questions_waiting -= 1

    async def _answer(self, question: Callable[[], Coroutine[Any, Any, Input]]) -> None:
        self._deliver(await question())

    # ---------------------------------------------------------------- shared
    def _note_fault(self, fault: Fault) -> None:
        if fault.outcome is Outcome.CLOCK:
            self._rest_life.sync_now.set()
        elif fault.cause is Cause.FILTER:
            self._rest_life.refresh(REFUSED_GAP_NS)

    def _backoff(self) -> Backoff:
        return Backoff(
            min_s=self._config.backoff_min_ms / 1000,
            max_s=self._config.backoff_max_ms / 1000,
            rng=self._rng,
        )
