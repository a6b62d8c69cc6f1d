"""A venue that answers in every documented way, and a daemon that dies at any line of its journal.

What `SimRun` lacks: refusals of halves of a cancelReplace, -1006 and -1007 of what was executed,
answers after the deadline, a stream that lags or says nothing, reads that are behind, an order that
a read does not show yet, self-trade prevention, fees in another asset, orders of strangers, a boot
from a checkpoint, and a kill -9 in the middle of a turn: some of its lines written, some of its
requests sent.
"""

import json
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from daemon.core.engine import Engine
from daemon.model.copies import replace
from daemon.model.effects import ArmTimer, Effect, Record, SendOrder, SendOrderList, SendReplace
from daemon.model.enums import Link, OrderType, Side
from daemon.model.ids import instrument_id
from daemon.model.inputs import Input, MarketData
from daemon.model.instrument import Instrument
from daemon.model.market import TopOfBook
from daemon.venues.answers import Asked, unknown
from daemon.venues.binance_spot.serving.dialect_errors import (
    insufficient_balance,
    no_such_order,
    unknown_order,
)
from daemon.venues.binance_spot.serving.order_requests import ListRequest, PlaceRequest, StpMode
from daemon.venues.binance_spot.serving.units import decimal_of_e8, e8_of
from daemon.venues.sim.listed_symbols import spec_of
from daemon.venues.sim.sim_orders import OrderOrigin, PlaceOutcome, SimOrder, TradeFill
from daemon.venues.sim.venue import SimVenue
from riskcaps.words.capset import CapSet
from tests.support.builders import T0, command, instrument
from tests.support.sim_bots import BotWorld
from tests.support.sim_chaos import FaultMenu
from tests.support.sim_lists import open_at_venue
from tests.support.sim_runner import DEADLINE_NS, MS, SimRun
from tests.support.sim_words import SYMBOL, world_caps

LAG_NS = 150 * MS
"""How far a read may be behind: less than the settling time, as everything here."""
BNB = instrument_id("BNBUSDT", "sim")
ORDERS_OPEN_MAX = 8
TRADED_MAX = Decimal("1.5")
PER_SECOND_MAX = 12


@dataclass(frozen=True, kw_only=True)
class Hostility:
    """How often each fault happens: per request, event, read, turn, or 100 ms."""

    refuse_new: float = 0.0
    refuse_cancel: float = 0.0
    """-2011 while the order stands."""
    unknown_status: float = 0.0
    """-1006 or -1007, whatever became of the request."""
    unknown_first: float = 0.0
    """The same, told before the request has done anything."""
    late_answer: float = 0.0
    lagging_stream: float = 0.0
    silent_stream: float = 0.0
    old_read: float = 0.0
    young_hidden: float = 0.0
    """A read within `LAG_NS` of an order's placement does not show it."""
    lagging_trades: float = 0.0
    """`myTrades` lacks what is younger than `LAG_NS`."""
    prevention: float = 0.0
    stranger: float = 0.0
    fee_asset: float = 0.0
    cut: float = 0.0
    """Killed in the middle of a turn."""
    checkpoint: float = 0.0

    @staticmethod
    def of(rng: random.Random) -> "Hostility":
        """A random one: some faults are absent, some frequent."""
        heat = rng.choice((0.05, 0.15, 0.3))
        rates = {
            name: rng.choice((0.0, heat * rng.random(), heat))
            for name in Hostility.__dataclass_fields__
        }
        for rare in ("lagging_stream", "silent_stream", "stranger"):
            rates[rare] *= 0.2
        rates["cut"] *= rng.choice((0.0, 0.05, 0.2))
        rates["fee_asset"] = rng.choice((0.0, 0.0, 1.0))
        return Hostility(**rates)


class KilledError(BaseException):
    """kill -9: nothing between the pump and the heap may catch it."""


class HostileVenue(SimVenue):
    """The simulated venue, with refusals that its rules alone do not give."""

    run: "Hostile"

    def place(
        self,
        account: str,
        request: PlaceRequest,
        now_ns: int,
        origin: OrderOrigin = OrderOrigin.API,
    ) -> PlaceOutcome:
        if account == "main":
            hostility = self.run.hostility
            if self.run.chance(hostility.refuse_new):
                raise insufficient_balance()
            if self.run.chance(hostility.prevention):
                modes = [one for one in StpMode if one is not StpMode.NONE]
                request = replace(request, stp_mode=self.run.rng.choice(modes))
        return super().place(account, request, now_ns, origin)

    def place_list(self, account: str, request: ListRequest, now_ns: int) -> Any:
        if self.run.chance(self.run.hostility.refuse_new):
            raise insufficient_balance()
        return super().place_list(account, request, now_ns)

    def cancel(self, account: str, symbol: str, **named: Any) -> SimOrder:
        if account == "main" and self.run.chance(self.run.hostility.refuse_cancel):
            raise unknown_order()
        return super().cancel(account, symbol, **named)

    def query(self, account: str, symbol: str, **named: Any) -> SimOrder:
        found = super().query(account, symbol, **named)
        hostility = self.run.hostility
        if self.run.is_young(found) and self.run.chance(hostility.young_hidden):
            raise no_such_order()
        return found

    def open_orders(self, account: str, symbol: str | None = None) -> list[SimOrder]:
        found = super().open_orders(account, symbol)
        if account != "main":
            return found
        hidden = self.run.hostility.young_hidden
        return [one for one in found if not (self.run.is_young(one) and self.run.chance(hidden))]

    def my_trades(self, account: str, symbol: str, **named: Any) -> list[TradeFill]:
        rows = super().my_trades(account, symbol, **named)
        if not self.run.is_judging and self.run.chance(self.run.hostility.lagging_trades):
            return [one for one in rows if one.ts_ns <= self.run.now_ns - LAG_NS]
        return rows


class Hostile(SimRun):
    """One seed against the hostile venue."""

    def __init__(
        self, seed: int, *, menu: FaultMenu | None = None, hostility: Hostility | None = None
    ) -> None:
        self.hostility = hostility or Hostility.of(random.Random(f"{seed}/hostile"))
        self.is_judging = False
        self.checkpoint: tuple[int, dict[str, Any]] | None = None
        self.lines_left: int | None = None
        self.effects_left: int | None = None
        self.cuts = 0
        self.sent_ns: deque[int] = deque()
        self.silent_until_ns = 0
        self._fee = self.hostility.fee_asset
        super().__init__(seed, menu=menu, capset=self.hostile_caps())
        main = self.venue.accounts["main"]
        main.grants["BNB"] = e8_of("1000")
        main.receive("BNB", main.grants["BNB"])
        if self._fee:
            main.fee_asset = ("BNB", e8_of("600"))

    def hostile_caps(self) -> CapSet:
        return world_caps(
            conversions={"BTC": [SYMBOL], "BNB": ["BNBUSDT"]},
            orders_open_max=ORDERS_OPEN_MAX,
            orders_per_second_max=PER_SECOND_MAX,
            traded_qty_per_day_base_max=str(TRADED_MAX),
            order_types=[one.value for one in OrderType],
        )

    def new_venue(self) -> SimVenue:
        venue = HostileVenue(
            (spec_of(SYMBOL),),
            rng_of=lambda name: random.Random(f"{self.seed}/{name}"),
            now_ns=T0,
            flow_rate_per_s=0.0,
        )
        venue.run = self
        return venue

    def is_young(self, order: SimOrder) -> bool:
        return not self.is_judging and self.now_ns - order.ts_ns < LAG_NS

    def quiesce(self) -> None:
        self.hostility = Hostility(fee_asset=self._fee)
        main = self.venue.accounts["main"]
        for order in list(main.open_orders.values()):
            if order.order_id in self.checker.foreign:
                self.venue.cancel("main", SYMBOL, now_ns=self.now_ns, order_id=order.order_id)
        super().quiesce()
        self.is_judging = True
        self.checker.recovery()

    # ------------------------------------------------------------------ kill -9
    def later(self, delay_ns: int, what: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                what()
            except KilledError:
                self.cuts += 1
                self.now_ns += 1  # the next boot's lines are of a later moment
                self.die()

        super().later(delay_ns, guarded)

    def tell(self, item: Input) -> None:
        if len(self.turns) > 1 and self.chance(self.hostility.cut):
            self.lines_left = self.rng.choice((0, 1, 1, 2, 2, 3, 4, 6, 9))
            self.effects_left = self.rng.choice((0, 0, 1, 1, 2, 3))
        was, self.is_judging = self.is_judging, True
        try:
            super().tell(item)
        finally:
            self.is_judging = was
            self.lines_left = self.effects_left = None
        self._caps_hold()

    def record(self, effect: Record, session: str) -> None:
        if self.lines_left is not None:
            if self.lines_left == 0:
                raise KilledError
            self.lines_left -= 1
        super().record(effect, session)

    def _perform(self, effect: Effect) -> None:
        if self.effects_left is not None and not isinstance(effect, Record | ArmTimer):
            if self.effects_left == 0:
                raise KilledError
            self.effects_left -= 1
        super()._perform(effect)
        if isinstance(effect, SendOrder | SendReplace):
            self.sent_ns.append(self.now_ns)
        elif isinstance(effect, SendOrderList):
            self.sent_ns.extend([self.now_ns] * len(effect.order_list.orders))

    def recover(self, made: Engine, facts: list[dict[str, Any]]) -> None:
        start = 0
        if self.checkpoint is not None and self.checkpoint[0] <= len(facts):
            start = self.checkpoint[0]
            made.restore(json.loads(json.dumps(self.checkpoint[1])))
        super().recover(made, facts[start:])

    def _weather(self) -> None:
        if self.chance(self.hostility.checkpoint):
            self.checkpoint = (len(self.facts), json.loads(json.dumps(self.engine.state())))
            self.checker.recovery()
        elif self.checkpoint is not None and self.rng.random() < 0.05:
            self.checker.recovery()
        if self.chance(self.hostility.silent_stream):
            self.silent_until_ns = self.now_ns + self.rng.randrange(100, 1500) * MS
        if self.chance(self.hostility.lagging_stream):
            self._event_ns = self.now_ns + self.rng.randrange(300, 2500) * MS
        if self.chance(self.hostility.stranger):
            self._stranger()
        self._resolve()
        super()._weather()

    # ------------------------------------------------------------------ caps at the venue
    def _caps_hold(self) -> None:
        """What other caps than those of the position say of the venue, at this instant."""
        main = self.venue.accounts["main"]
        mine = [
            one for one in main.open_orders.values() if one.order_id not in self.checker.foreign
        ]
        is_open = len(mine) + len(self.wire.coming)
        assert is_open <= ORDERS_OPEN_MAX, f"{is_open} orders open or under way at the venue"
        while self.sent_ns and self.sent_ns[0] <= self.now_ns - 1000 * MS:
            self.sent_ns.popleft()
        assert len(self.sent_ns) <= PER_SECOND_MAX, f"{len(self.sent_ns)} orders in a second"
        traded = sum(decimal_of_e8(one.qty) for one in main.trades_from(SYMBOL, 0))
        coming: Iterable[tuple[Side, Decimal]] = self.wire.coming.values()
        worst = traded + sum(qty for _, qty in (*open_at_venue(mine), *coming))
        assert worst <= TRADED_MAX, f"{worst} traded and open, beyond the cap of a day"

    # ------------------------------------------------------------------ answers
    def _request_of(self, asked: Asked) -> int | None:
        number = super()._request_of(asked)
        if number is not None and self.chance(self.hostility.unknown_first):
            self.later(self.latency(), lambda: self._unknown(number))
        return number

    def _unknown(self, number: int) -> None:
        asked = self.wire.pending.pop(number, None)
        if asked is not None:
            self.told(unknown(asked, self.rng.choice(("-1006", "-1007"))))

    def _answer(self, number: int, *items: Input) -> None:
        generation = self.run_number
        if self.chance(self.hostility.unknown_status):
            self.later(self.latency(), lambda: self._unknown(number))
        elif self.chance(self.hostility.late_answer):

            def arrive() -> None:
                if generation == self.run_number and self.up[Link.ORDER]:
                    self.wire.pending.pop(number, None)
                    self.told(items)

            self.later(DEADLINE_NS + self.rng.randrange(1, 900) * MS, arrive)
        else:
            super()._answer(number, *items)

    def _stream(self, item: Input) -> None:
        if self.now_ns >= self.silent_until_ns:
            super()._stream(item)

    def latency(self) -> int:
        usual = super().latency()
        return usual * 10 if self.chance(self.hostility.old_read) else usual

    # ------------------------------------------------------------------ others
    def _resolve(self) -> None:
        """The operator, once the venue has none of the strangers' orders."""
        open_now = self.venue.accounts["main"].open_orders.values()
        if any(one.order_id in self.checker.foreign for one in open_now):
            return
        for incident in self.engine.status(self.now_ns)["incidents"]:
            told = {"incident_id": incident["incident_id"]}
            self.tell(command("incident-resolve", "looked at", **told))

    def _stranger(self) -> None:
        self._count += 1
        theirs = PlaceRequest(
            symbol=SYMBOL, side=Side.BUY, type=OrderType.LIMIT, qty=e8_of("0.001"),
            price=e8_of("50000"), client_order_id=f"web_{self._count}",
        )  # fmt: skip
        self.checker.expected.add("foreign_order")
        placed = SimVenue.place(self.venue, "main", theirs, self.now_ns).order
        self.checker.foreign.add(placed.order_id)
        self._pump_events()

        def gone() -> None:
            if placed.is_open:
                SimVenue.cancel(
                    self.venue, "main", SYMBOL, now_ns=self.now_ns, order_id=placed.order_id
                )
                self._pump_events()

        self.later(self.rng.randrange(50, 1500) * MS, gone)

    def instruments(self) -> tuple[Instrument, ...]:
        return (*super().instruments(), instrument("BNBUSDT"))

    def _crowd(self) -> None:
        super()._crowd()
        if self.up[Link.MARKET]:
            self._update += 1
            bid, ask = Decimal("599.9"), Decimal("600.1")
            self.tell(
                MarketData(
                    TopOfBook(BNB, bid, bid, ask, ask, self._update, self.now_ns, self.now_ns)
                )
            )


class HostileBots(Hostile, BotWorld):
    """The same with two bots: cancelReplace in both modes, order lists, amendments."""
