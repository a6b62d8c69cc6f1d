"""A stage with bots: they ask, the venue answers, and what each bot was told is kept."""

import json
from collections.abc import Iterable
from typing import Any

from daemon.core.engine_config import BotSpec
from daemon.model.bots import BotDenial, BotOrderRow, BotState, BotSwitched, ReplaceMode
from daemon.model.effects import (
    BotAnswered,
    BotBalances,
    BotOrderChanged,
    Effect,
    SendOrder,
    SendReplace,
)
from daemon.model.enums import OrderType, ReportSource, Side, TimeInForce, VenueOrderStatus
from daemon.model.inputs import (
    BotAmend,
    BotCancel,
    BotCancelAll,
    BotPlace,
    BotReplace,
    Input,
    VenueReport,
)
from riskcaps.words.capset import CapSet
from tests.support.builders import BTC, caps, config, dec, fill, report
from tests.support.screenplay import Stage, only

FT = BotSpec(name="ft", symbols=("BTCUSDT", "ETHUSDT"))
CX = BotSpec(name="cx", symbols=("BTCUSDT",))
STOPS = ("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT")


def bot_caps(**changes: Any) -> CapSet:
    return caps(order_types=list(STOPS), **changes)


class BotStage(Stage):
    """A session of bots alone."""

    def __init__(self, *specs: BotSpec, capset: CapSet | None = None, **changes: Any) -> None:
        made = config((), bots=specs or (FT, CX), **changes)
        super().__init__(capset=capset or bot_caps(), made=made)
        self.requests = 0
        self.answers: dict[int, BotAnswered] = {}
        self.changes: list[BotOrderChanged] = []
        self.balances: dict[str, dict[str, tuple[str, str]]] = {}

    def tell(self, *items: Input) -> tuple[Effect, ...]:
        effects = super().tell(*items)
        for effect in effects:
            if isinstance(effect, BotAnswered):
                assert effect.request not in self.answers, "answered twice"
                self.answers[effect.request] = effect
            elif isinstance(effect, BotOrderChanged):
                self.changes.append(effect)
            elif isinstance(effect, BotBalances):
                mine = self.balances.setdefault(effect.bot, {})
                mine |= {one.asset: (str(one.free), str(one.locked)) for one in effect.rows}
        return effects

    # ------------------------------------------------------------------ asking
    def asks(
        self,
        own_id: str = "a1",
        *,
        bot: str = "ft",
        side: Side = Side.BUY,
        qty: str | None = "0.1",
        price: str | None = "99.00",
        tif: TimeInForce | None = TimeInForce.GTC,
        **more: Any,
    ) -> BotPlace:
        self.requests += 1
        kind = more.pop("order_type", OrderType.MARKET if price is None else OrderType.LIMIT)
        return BotPlace(
            bot=bot,
            request=self.requests,
            client_order_id=own_id,
            instrument_id=more.pop("iid", BTC),
            side=side,
            order_type=kind,
            qty=None if qty is None else dec(qty),
            price=None if price is None else dec(price),
            time_in_force=None if kind is OrderType.MARKET else tif,
            **more,
        )

    def place(self, own_id: str = "a1", **what: Any) -> str:  # type: ignore[override]
        """One order that must leave; our id of it."""
        (sent,) = only(SendOrder, self.tell(self.asks(own_id, **what)))
        return sent.order.client_order_id

    def rest(self, own_id: str = "a1", *, venue_id: str = "1", **what: Any) -> str:
        """One order that stands at the venue, acknowledged by the reply."""
        cid = self.place(own_id, **what)
        self.tell(self.ack(cid, venue_id=venue_id))
        return cid

    def ack(self, cid: str, *, venue_id: str = "1", **what: Any) -> VenueReport:
        order = self.order(cid)
        told: dict[str, Any] = {
            "qty": str(order.qty),
            "price": str(order.price or 0),
            "side": order.side,
            "iid": order.instrument_id,
            "source": ReportSource.REPLY,
            "ts_ns": self.now_ns,
        }
        return VenueReport(report(cid, venue_id=venue_id, **{**told, **what}))

    def trade(
        self, cid: str, trade_id: int, qty: str, *, price: str = "99.00", **what: Any
    ) -> VenueReport:
        """A trade as the stream tells it."""
        order = self.order(cid)
        cum = order.cum_qty + dec(qty)
        whole = cum >= order.qty
        status = VenueOrderStatus.FILLED if whole else VenueOrderStatus.PARTIALLY_FILLED
        fee = what.pop("fee", "0")
        one = fill(
            cid, trade_id, qty, price, side=order.side, fee=fee, ts_ns=self.now_ns,
            iid=order.instrument_id, fee_asset=what.pop("fee_asset", "USDT"),
        )  # fmt: skip
        return self.ack(
            cid, status=status, cum=str(cum), fills=(one,), source=ReportSource.STREAM, **what
        )

    def canceled(self, cid: str, source: ReportSource = ReportSource.STREAM) -> VenueReport:
        order = self.order(cid)
        return self.ack(
            cid, status=VenueOrderStatus.CANCELED, cum=str(order.cum_qty), source=source
        )

    def asks_cancel(self, own_id: str | None = "a1", *, bot: str = "ft", **more: Any) -> BotCancel:
        self.requests += 1
        return BotCancel(
            bot=bot,
            request=self.requests,
            instrument_id=more.pop("iid", BTC),
            client_order_id=own_id,
            **more,
        )

    def asks_cancel_all(self, bot: str = "ft") -> BotCancelAll:
        self.requests += 1
        return BotCancelAll(bot=bot, request=self.requests, instrument_id=BTC)

    def asks_replace(
        self, old: str, new: str, *, mode: ReplaceMode = ReplaceMode.STOP_ON_FAILURE, **what: Any
    ) -> BotReplace:
        placed = self.asks(new, **what)
        cancel = BotCancel(
            bot=placed.bot, request=placed.request, instrument_id=BTC, client_order_id=old
        )
        return BotReplace(
            bot=placed.bot, request=placed.request, cancel=cancel, place=placed, mode=mode
        )

    def replace(self, old: str, new: str, **what: Any) -> tuple[int, str]:
        """A replace that must leave: its request, and our id of the new order."""
        asked = self.asks_replace(old, new, **what)
        (sent,) = only(SendReplace, self.tell(asked))
        return asked.request, sent.replace.order.client_order_id

    def asks_amend(self, own_id: str, qty: str, bot: str = "ft") -> BotAmend:
        self.requests += 1
        return BotAmend(
            bot=bot,
            request=self.requests,
            instrument_id=BTC,
            client_order_id=own_id,
            new_qty=dec(qty),
        )

    def switch(self, state: BotState, *, bot: str = "ft", cancel: bool = False) -> None:
        self.tell(BotSwitched(bot=bot, state=state, reason="test", cancel=cancel))

    # ------------------------------------------------------------------ hearing
    @property
    def last(self) -> BotAnswered | None:
        """The answer to the latest request; None: not answered."""
        return self.answers.get(self.requests)

    def denial(self) -> BotDenial:
        answered = self.last
        assert answered is not None, "not answered"
        assert answered.denial is not None, answered
        return answered.denial

    def row(self) -> BotOrderRow:
        answered = self.last
        assert answered is not None, "not answered"
        assert answered.denial is None, answered
        return answered.rows[0]

    def heard(self, bot: str = "ft") -> list[tuple[str, str, str]]:
        """What the bot's user stream said: its id, execution type, status."""
        return [
            (one.row.client_order_id, one.exec_type.value, str(one.row.status))
            for one in self.changes
            if one.bot == bot
        ]

    def reborn(self) -> "BotStage":
        """The same bots after a crash: another engine, told the facts alone."""
        twin = BotStage(*self.config.bots, capset=self.gate.risk.capset)
        twin.now_ns = self.now_ns
        for fact in json.loads(json.dumps(self.facts)):
            twin.engine.apply_fact(fact)
        twin.engine.finish_recovery(self.now_ns)
        twin.requests = self.requests
        twin.facts = list(self.facts)
        return twin


def ready(*specs: BotSpec, balances: dict[str, str] | None = None, **changes: Any) -> BotStage:
    """A session of bots that may trade."""
    stage = BotStage(*specs, **changes)
    stage.ready(**(balances or {})).start()
    return stage


def kinds(effects: Iterable[Effect]) -> list[str]:
    return [type(one).__name__ for one in effects]
