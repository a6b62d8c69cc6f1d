"""Seeded worlds with bots in the loop: what each bot was told is held against the venue's ledger.

A `BotWorld` is a `SimRun` beside whose strategy two bots trade: clumsy ones, which ask again under
the same id when no answer comes, cancel twice, and replace what may be gone. The gateway is a
patience: a request without an answer for so long is told "unknown" and forgotten.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from daemon.core.engine import Engine, EngineConfig
from daemon.core.engine_config import BotSpec
from daemon.model.amounts import NS_PER_MS, floor_to
from daemon.model.bots import (
    BotDenial,
    BotOrderRow,
    BotState,
    BotSwitched,
    DenialSource,
    ReplaceMode,
)
from daemon.model.copies import replace
from daemon.model.effects import BotAnswered, BotBalances, BotListChanged, BotOrderChanged, Effect
from daemon.model.enums import ExecType, OrderType, Side, TimeInForce, VenueOrderStatus
from daemon.model.inputs import (
    BOT_REQUESTS,
    BotAmend,
    BotCancel,
    BotCancelAll,
    BotCancelList,
    BotPlace,
    BotPlaceList,
    BotReplace,
    Input,
)
from daemon.model.list_legs import Contingency
from daemon.model.plain_values import to_tagged
from daemon.venues.binance_spot.serving.units import decimal_of_e8
from tests.support.builders import BTC
from tests.support.sim_runner import SimRun
from tests.support.sim_words import SYMBOL, world_caps

MS = NS_PER_MS
PATIENCE_NS = 900 * MS
LOT = Decimal("0.00001")
ZERO = Decimal(0)
SPECS = (
    BotSpec(name="ft", symbols=(SYMBOL,), reject_streak_max=0, stops_reduce_only=False),
    BotSpec(
        name="cx", symbols=(SYMBOL,), capital={"USDT": Decimal(3000), "BTC": Decimal("0.05")},
        reject_streak_max=0,
    ),
)  # fmt: skip
_ENDS = {VenueOrderStatus.CANCELED, VenueOrderStatus.EXPIRED, VenueOrderStatus.FILLED}


@dataclass(slots=True)
class Heard:
    """What one bot has heard of one of its orders on its stream."""

    kinds: list[ExecType] = field(default_factory=list)
    trades: list[int] = field(default_factory=list)
    qty: Decimal = ZERO


class BotWorld(SimRun):
    """One seed with bots; the judge is `Judge`."""

    def __init__(self, seed: int, **more: Any) -> None:
        self.judge = Judge(self)
        self.bots_rng = random.Random(f"{seed}/bots")
        self.asked: dict[int, tuple[Any, int]] = {}
        """Requests without an answer yet: what was asked, when."""
        self.request = 0
        self.own_ids: dict[str, list[str]] = {spec.name: [] for spec in SPECS}
        more.setdefault("capset", world_caps(order_types=[one.value for one in OrderType]))
        super().__init__(seed, **more)
        for spec in SPECS:
            self.later(50 * MS, lambda name=spec.name: self._bot(name))  # type: ignore[misc]

    def engine_config(self, made: EngineConfig) -> EngineConfig:
        return replace(made, bots=SPECS, orders_retained=10_000)

    def tell(self, item: Input) -> None:
        if isinstance(item, BOT_REQUESTS):
            told = {"event_type": "input", "session_id": self.engine.session_id}
            place = {"seq": len(self.facts) + 1, "ts_ns": self.now_ns}
            self.facts.append({**place, **told, "input": to_tagged(item)})
        super().tell(item)
        self.judge.hear(self.turns[-1][1] if self.turns else ())

    def die(self) -> None:
        super().die()
        self.asked.clear()  # connections are gone, and with them who waited
        self.judge.crashed()

    # ------------------------------------------------------------------ the bots
    def _bot(self, name: str) -> None:
        rng = self.bots_rng
        if self.session_wanted:
            for request, (_, since_ns) in list(self.asked.items()):
                if self.now_ns - since_ns >= PATIENCE_NS:
                    self._gave_up(request)
            self._act(name, rng.random())
        self.later(rng.randrange(40, 200) * MS, lambda: self._bot(name))

    def _gave_up(self, request: int) -> None:
        """The gateway says "unknown"; the bot asks again under the same id, as some do."""
        item, _ = self.asked.pop(request)
        self.judge.unknown.add(request)
        if isinstance(item, BotPlace):
            self.request += 1
            self._ask(replace(item, request=self.request))

    def _act(self, name: str, roll: float) -> None:
        rng, mine = self.bots_rng, self.own_ids[name]
        old = rng.choice(mine[-6:]) if mine else "none"
        self.request += 1
        number = self.request
        if roll < 0.12:
            self._ask(self._place_list(name, number))
        elif roll < 0.14:
            self._ask(self._cancel_list(name, number))
        elif roll < 0.5 or not mine:
            self._ask(self._place(name, number))
        elif roll < 0.65:
            self._ask(BotCancel(bot=name, request=number, instrument_id=BTC, client_order_id=old))
        elif roll < 0.68:
            self._ask(BotCancelAll(bot=name, request=number, instrument_id=BTC))
        elif roll < 0.82:
            place = self._place(name, number)
            cancel = BotCancel(bot=name, request=number, instrument_id=BTC, client_order_id=old)
            mode = rng.choice(list(ReplaceMode))
            self._ask(BotReplace(bot=name, request=number, cancel=cancel, place=place, mode=mode))
        elif roll < 0.9:
            qty = floor_to(Decimal(rng.randrange(1, 20)) / 1000, LOT)
            self._ask(
                BotAmend(
                    bot=name, request=number, instrument_id=BTC, client_order_id=old, new_qty=qty
                )
            )
        elif roll < 0.92:
            state = rng.choice((BotState.GONE, BotState.SUSPENDED, BotState.ACTIVE))
            self.tell(BotSwitched(bot=name, state=state, reason="sim", cancel=True))
            if state is BotState.SUSPENDED:
                self.later(
                    300 * MS,
                    lambda: self.tell(BotSwitched(bot=name, state=BotState.ACTIVE, reason="sim")),
                )
        else:
            other = "cx" if name == "ft" else "ft"  # it tries another's id: its own, or nobody's
            theirs = self.own_ids[other][-1] if self.own_ids[other] else "none"
            self._ask(
                BotCancel(bot=name, request=number, instrument_id=BTC, client_order_id=theirs)
            )

    def _place(self, name: str, number: int) -> BotPlace:
        rng = self.bots_rng
        own_id = f"{name}-{number}" if rng.random() < 0.8 else f"{name}-{number % 7}"
        self.own_ids[name].append(own_id)
        side = rng.choice((Side.BUY, Side.SELL))
        roll = rng.random()
        top = self.engine._market.tops.get(BTC)
        touch = Decimal(60_000) if top is None else (top.bid_px if side is Side.BUY else top.ask_px)
        away = rng.randrange(-12, 8) * (1 if side is Side.BUY else -1)
        market = roll < 0.15
        by_quote = roll < 0.06
        qty = Decimal(rng.randrange(1, 20)) / 1000
        return BotPlace(
            bot=name,
            request=number,
            client_order_id=own_id,
            instrument_id=BTC,
            side=side,
            order_type=OrderType.MARKET if market else OrderType.LIMIT,
            qty=None if by_quote else qty,
            quote_qty=Decimal(rng.randrange(100, 900)) if by_quote else None,
            price=None if market else floor_to(touch - away, Decimal("0.01")),
            time_in_force=None if market else (TimeInForce.IOC if roll < 0.35 else TimeInForce.GTC),
            is_test=rng.random() < 0.03,
        )

    def _place_list(self, name: str, number: int) -> BotPlaceList:
        """An OCO around the market, now and then on the wrong side of it."""
        rng = self.bots_rng
        side = rng.choice((Side.BUY, Side.SELL))
        top = self.engine._market.tops.get(BTC)
        mid = Decimal(60_000) if top is None else floor_to(top.mid, Decimal("0.01"))
        up, down = (mid + rng.randrange(-1, 14), mid - rng.randrange(-1, 14))
        limit, stop = (up, down) if side is Side.SELL else (down, up)
        qty = Decimal(rng.randrange(1, 20)) / 1000
        shared: dict[str, Any] = {
            "bot": name, "request": number, "instrument_id": BTC, "side": side, "qty": qty,
        }  # fmt: skip
        ids = [f"{name}-{number}-{leg}" for leg in ("up", "down")]
        kinds = ["stop", "limit"] if side is Side.BUY else ["limit", "stop"]
        away = 3 if side is Side.BUY else -3
        orders = tuple(
            BotPlace(
                **shared, client_order_id=own_id, order_type=OrderType.LIMIT_MAKER, price=limit
            )
            if kind == "limit"
            else BotPlace(
                **shared, client_order_id=own_id, order_type=OrderType.STOP_LOSS_LIMIT,
                price=stop + away, stop_price=stop, time_in_force=TimeInForce.GTC,
            )
            for own_id, kind in zip(ids, kinds, strict=True)
        )  # fmt: skip
        self.own_ids[name] += ids
        made = BotPlaceList(
            bot=name, request=number, list_id=f"{name}-list-{number}",
            contingency=Contingency.OCO, orders=orders,
        )  # fmt: skip
        return self._behind_another(made, mid) if rng.random() < 0.5 else made

    def _behind_another(self, oco: BotPlaceList, mid: Decimal) -> BotPlaceList:
        """The pair, or its resting leg alone, pending behind an order of the other side."""
        rng, pair = self.bots_rng, oco.orders
        side = Side.BUY if pair[0].side is Side.SELL else Side.SELL
        away = rng.randrange(-4, 3) * (1 if side is Side.BUY else -1)
        first = replace(
            pair[0], client_order_id=f"{oco.bot}-{oco.request}-first", side=side,
            order_type=OrderType.LIMIT, price=mid + away, stop_price=None,
            time_in_force=TimeInForce.GTC,
        )  # fmt: skip
        self.own_ids[oco.bot].append(first.client_order_id)
        alone = [one for one in pair if one.order_type is OrderType.LIMIT_MAKER]
        behind = pair if rng.random() < 0.5 else tuple(alone)
        pays = side is Side.BUY and rng.random() < 0.3
        return replace(oco, contingency=Contingency.OTO, orders=(first, *behind), pays=pays)

    def _cancel_list(self, name: str, number: int) -> BotCancelList:
        lists = [one for one in self.judge.asks.values() if isinstance(one, BotPlaceList)]
        mine = [one.list_id for one in lists if one.bot == name]
        return BotCancelList(
            bot=name, request=number, instrument_id=BTC,
            list_id=mine[-1] if mine else "none",
        )  # fmt: skip

    def _ask(self, item: Any) -> None:
        self.asked[item.request] = (item, self.now_ns)
        self.judge.asks[item.request] = item
        self.tell(item)


class Judge:
    """Holds what bots were told against the venue's own books."""

    def __init__(self, world: BotWorld) -> None:
        self.world = world
        self.asks: dict[int, Any] = {}
        self.unknown: set[int] = set()
        self.answers: dict[int, BotAnswered] = {}
        self.heard: dict[str, Heard] = {}
        """By our id of the order, since the last crash."""
        self.lists: dict[str, list[bool]] = {}
        """By our id of a list: what was said of it since the last crash."""
        self.balances = 0
        self.counts: Counter[str] = Counter()

    def crashed(self) -> None:
        self.heard.clear()
        self.lists.clear()

    # ------------------------------------------------------------------ as it is told
    def hear(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            if isinstance(effect, BotAnswered):
                self._answer(effect)
            elif isinstance(effect, BotOrderChanged):
                self._change(effect)
            elif isinstance(effect, BotListChanged):
                self._list(effect)
            elif isinstance(effect, BotBalances):
                self.balances += 1
                assert all(one.free >= 0 for one in effect.rows)

    def _answer(self, answer: BotAnswered) -> None:
        request = answer.request
        assert request not in self.answers, f"request {request} is answered twice"
        asked = self.asks[request]
        assert asked.bot == answer.bot
        self.answers[request] = answer
        self.world.asked.pop(request, None)
        self.counts[type(asked).__name__ + ("" if answer.denial is None else " denied")] += 1
        for row in (*answer.rows, *((answer.cancel_row,) if answer.cancel_row else ())):
            self._row(row, asked.bot)

    def _change(self, change: BotOrderChanged) -> None:
        row, cid = change.row, change.row.own_id
        self._row(row, change.bot)
        heard = self.heard.setdefault(cid, Heard())
        if change.exec_type is ExecType.NEW:
            leg = row.order_list
            again = [ExecType.NEW] if leg is not None and leg.is_pending else []
            assert heard.kinds in ([], again), f"{cid}: NEW after {heard.kinds}"
        if change.fill is not None:
            assert change.exec_type is ExecType.TRADE
            assert change.fill.trade_id not in heard.trades, f"{cid}: a trade is told twice"
            heard.trades.append(change.fill.trade_id)
            heard.qty += change.fill.qty
        ended = [kind for kind in heard.kinds if kind in _END_KINDS]
        assert not ended or change.exec_type == ExecType.TRADE, f"{cid}: {change} after its end"
        heard.kinds.append(change.exec_type)
        self.counts[f"told {change.exec_type}"] += 1

    def _list(self, change: BotListChanged) -> None:
        """Two orders of one list at the venue; begun once, and over only when it is over there."""
        first = change.rows[0].order_list
        assert first is not None
        told = self.lists.setdefault(first.list_id, [])
        phases = 2 if first.contingency is Contingency.OTO else 1
        assert told.count(change.is_done) < (1 if change.is_done else phases), first.list_id
        assert True not in told, f"{first.list_id} begins after its end"
        told.append(change.is_done)
        found = [self._at_venue(row.own_id) for row in change.rows]
        lists = {one.list_id for one in found if one is not None}
        assert len(lists) == 1, f"{first.list_id} is no list at the venue"
        legs = [row.order_list for row in change.rows if row.order_list is not None]
        assert [one.leg for one in legs] == list(range(first.legs))
        if change.is_done:
            assert all(one is None or not one.is_open for one in found)
            traded = [one is not None and bool(one.executed) for one in found]
            pair = [did for leg, did in zip(legs, traded, strict=True) if leg.excludes_others]
            assert sum(pair) <= 1, "of a pair one trades at most"
        self.counts[f"{first.contingency} of {first.legs} done {change.is_done}"] += 1

    def _row(self, row: BotOrderRow, bot: str) -> None:
        """Whatever a row says is so, or has been, at the venue at this very moment."""
        assert row.bot == bot
        assert not row.is_pending or not row.cum_qty
        if row.status in (None, VenueOrderStatus.REJECTED):
            return
        order = self._at_venue(row.own_id)
        assert order is not None, f"{row.own_id} is told {row.status}, and was never at the venue"
        assert str(order.order_id) == row.venue_order_id
        assert row.cum_qty <= decimal_of_e8(order.executed)
        assert len(row.fills) == 0 or sum(one.qty for one in row.fills) == row.cum_qty
        rows = {
            one.trade_id: one
            for one in self.world.venue.my_trades("main", SYMBOL, order_id=order.order_id)
        }
        for fill in row.fills:
            theirs = rows[fill.trade_id]
            assert fill.qty == decimal_of_e8(theirs.qty)
            assert fill.price == decimal_of_e8(theirs.price)
            assert (fill.fee, fill.fee_asset) == (decimal_of_e8(theirs.fee), theirs.fee_asset)
        if row.status in _ENDS:
            assert str(order.status).startswith(str(row.status)), f"{row.own_id}: a false end"

    def _at_venue(self, cid: str) -> Any:
        return self.world.venue.accounts["main"].history.named(SYMBOL, cid)

    # ------------------------------------------------------------------ at rest
    def at_rest(self) -> None:
        approved = [
            fact for fact in self.world.facts
            if fact["event_type"] == "order_approved" and fact.get("owner")
        ]  # fmt: skip
        wishes = {(fact["owner"]["request"], fact["owner"]["client_order_id"]) for fact in approved}
        assert len(wishes) == len(approved), "one wish made two orders"
        placed = {fact["owner"]["request"]: fact["client_order_id"] for fact in approved}
        for request, answer in self.answers.items():
            self._is_nothing_left_of(request, answer.denial, placed)
        self._views(approved)

    def _is_nothing_left_of(
        self, request: int, denial: BotDenial | None, placed: dict[int, str]
    ) -> None:
        if denial is None:
            return
        asked = self.asks[request]
        if not isinstance(asked, BotPlace | BotReplace):
            return
        if denial.source in (DenialSource.CAPS, DenialSource.DOOR):
            assert request not in placed, f"request {request} was denied and has an order"
        else:
            at_venue = self._at_venue(placed[request])
            assert at_venue is None, f"request {request} was refused, and its order is there"

    def _views(self, approved: list[dict[str, Any]]) -> None:
        """What each bot can look up is what the venue has of its orders, and nothing else."""
        owners = {fact["client_order_id"]: fact["owner"] for fact in approved}
        flows: Counter[str] = Counter()
        for view in self.world.engine.bot_views():
            seen = {row.own_id: row for row in view.orders}
            mine = {cid for cid, owner in owners.items() if owner["bot"] == view.bot}
            assert set(seen) == mine, "a bot sees another's order, or misses one of its own"
            for cid, row in seen.items():
                assert row.client_order_id == owners[cid]["client_order_id"]
                order = self._at_venue(cid)
                if order is None:
                    assert row.status in (None, VenueOrderStatus.REJECTED)
                    continue
                if not row.in_doubt:
                    assert str(order.status).startswith(str(row.status))
                    assert row.cum_qty == decimal_of_e8(order.executed)
                for fill in row.fills:
                    sign = 1 if row.side is Side.BUY else -1
                    flows[view.bot] += sign * fill.qty  # type: ignore[assignment]
                    if fill.fee_asset == "BTC":
                        flows[view.bot] -= fill.fee  # type: ignore[assignment]
        told = self.world.engine.status(self.world.now_ns)["bots"]
        for bot, flow in flows.items():
            positions = told[bot]["positions"].get(SYMBOL, {"qty": "0"})
            assert Decimal(positions["qty"]) == flow, f"{bot}: its position is not its fills"


_END_KINDS = {ExecType.CANCELED, ExecType.EXPIRED, ExecType.REJECTED}


def run_world(seed: int, **more: Any) -> BotWorld:
    """One world from boot to rest, judged."""
    world = BotWorld(seed, **more)
    world.run()
    try:
        world.judge.at_rest()
    except AssertionError as error:
        error.args = (f"seed {seed}: {error}",)
        raise
    return world


__all__ = ["BotWorld", "Engine", "Judge", "run_world"]
