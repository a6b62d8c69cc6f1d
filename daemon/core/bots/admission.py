"""The door of the bots: what is refused before the caps are asked, and the wish that passes.

Rules of this file:
1. A refusal names a reason of a closed list (`DoorReason`); nothing is refused silently.
2. A market order by quantity in quote is held at the most base that it could move: its quote
   quantity at the collar's edge, on the side where base is cheap, up to the next lot. What the
   venue then does beyond it is an overfill, and stops us as any does.
"""

from collections.abc import Mapping
from decimal import Decimal

from daemon.core.bots.bot_accounts import BotAccount
from daemon.core.bots.money import Money
from daemon.core.engine_config import BotSpec
from daemon.core.latest_market import LatestMarket
from daemon.core.turn_context import TurnContext
from daemon.model.amounts import ZERO, ceil_to, plain
from daemon.model.bots import (
    BotDenial,
    BotRefusal,
    BotState,
    DenialSource,
    bot_strategy,
)
from daemon.model.enums import OrderType, Side, TradingState
from daemon.model.ids import ClientOrderId, InstrumentId, symbol_of
from daemon.model.inputs import BotPlace
from daemon.model.instrument import Instrument
from daemon.model.intents import PlaceIntent
from daemon.model.orders import Order, OrderTerms
from daemon.model.position import Balance
from riskcaps.words.order_kinds import STOP_TYPES

_BPS = 10_000


class AdmissionRefused(Exception):  # noqa: N818 - a business outcome, caught where the request is answered
    """The door does not let a request pass."""

    def __init__(self, denial: BotDenial) -> None:
        """Name the reason."""
        super().__init__(denial.reason)
        self.denial = denial


def refusal(reason: BotRefusal, msg: str = "", **context: str) -> BotDenial:
    """A denial of the door's own."""
    return BotDenial(source=DenialSource.DOOR, reason=reason, context=context, msg=msg)


def denied_by_caps(reason: str, context: Mapping[str, object]) -> BotDenial:
    """A denial of the interceptor's."""
    told = {key: str(value) for key, value in context.items()}
    return BotDenial(source=DenialSource.CAPS, reason=str(reason), context=told)


class BotAdmission:
    """Knows the bots of the configuration, and who of them may place."""

    def __init__(
        self, ctx: TurnContext, market: LatestMarket, money: Money, specs: Mapping[str, BotSpec]
    ) -> None:
        """Share the desk."""
        self._ctx = ctx
        self._market = market
        self._money = money
        self._specs = specs

    def intent_of(
        self,
        item: BotPlace,
        *,
        replacing: Order | None = None,
        is_freed: bool = False,
        first: BotPlace | None = None,
    ) -> PlaceIntent:
        """The wish that a request stands for.

        `replacing`: the order that it takes the place of; its id may be used again. `is_freed`:
        that one is canceled first, or this one is not placed: what it holds may be spent. `first`:
        the order of its list that is filled before this one works.

        Raises:
            Refused: the request does not come as far as the caps.
        """
        spec = self._let_in(item)
        used = self._ctx.ledger.bots.order(item.bot, item.client_order_id)
        if used is not None and not used.status.is_terminal and used is not replacing:
            raise AdmissionRefused(refusal(BotRefusal.DUPLICATE_ORDER_ID))
        if replacing is not None and replacing.instrument_id != item.instrument_id:
            raise AdmissionRefused(
                refusal(BotRefusal.MALFORMED, "both orders must be of one symbol")
            )
        instrument = self._ctx.ledger.instruments.get(item.instrument_id)
        qty = self._qty(item, instrument)
        if instrument is not None and spec.capital:
            free = self._free(spec, item, instrument, replacing if is_freed else None)
            self._afford(free, self._need(item, qty, first))
        terms = None
        if item.quote_qty is not None or item.tags:
            terms = OrderTerms(quote_qty=item.quote_qty, tags=item.tags)
        return PlaceIntent(
            strategy_id=bot_strategy(item.bot),
            instrument_id=item.instrument_id,
            side=item.side,
            order_type=item.order_type,
            qty=qty,
            price=item.price,
            time_in_force=item.time_in_force,
            stop_price=item.stop_price,
            reduce_only=spec.stops_reduce_only and item.order_type in STOP_TYPES,
            extras=item.extras,
            terms=terms,
            reason="bot",
        )

    def takes_place_of(self, new: ClientOrderId, old: ClientOrderId) -> None:
        """An order was approved that is placed only if another is canceled."""
        self._money.in_place_of[new] = old

    def _let_in(self, item: BotPlace) -> BotSpec:
        spec = self._specs.get(item.bot)
        if spec is None or not item.client_order_id:
            known = BotRefusal.UNKNOWN_BOT if spec is None else BotRefusal.MALFORMED
            raise AdmissionRefused(refusal(known))
        account = self._ctx.ledger.bots.of.get(item.bot) or BotAccount()
        if account.state is BotState.REVOKED:
            raise AdmissionRefused(refusal(BotRefusal.REVOKED, account.reason))
        if account.state is BotState.SUSPENDED:
            raise AdmissionRefused(refusal(BotRefusal.SUSPENDED, account.reason))
        symbol = symbol_of(item.instrument_id)
        # A symbol that has caps but is not traded must not reach the gate: it has no filters there.
        if symbol not in spec.symbols or symbol not in self._ctx.config.symbols:
            raise AdmissionRefused(refusal(BotRefusal.UNKNOWN_SYMBOL, symbol=symbol))
        return spec

    def _qty(self, item: BotPlace, instrument: Instrument | None) -> Decimal:
        """The base quantity, or the bound of it where the bot names a quantity in quote."""
        if (item.qty is None) == (item.quote_qty is None):
            raise AdmissionRefused(refusal(BotRefusal.MALFORMED, "either qty or quote_qty"))
        if item.qty is not None:
            return item.qty
        quote_qty = item.quote_qty
        if item.order_type is not OrderType.MARKET or quote_qty is None or item.price is not None:
            raise AdmissionRefused(refusal(BotRefusal.MALFORMED, "quote_qty is for market orders"))
        if not quote_qty.is_finite() or quote_qty <= 0:
            raise AdmissionRefused(refusal(BotRefusal.MALFORMED, "quote_qty"))
        if self._ctx.trading_state is TradingState.REDUCING:  # what is cut to the position is base
            why = "only what reduces passes now: name the quantity in base"
            raise AdmissionRefused(refusal(BotRefusal.MALFORMED, why))
        low = self._edge(item.instrument_id, Side.SELL)
        if low is None or instrument is None:
            raise AdmissionRefused(
                refusal(BotRefusal.NO_PRICE, symbol=symbol_of(item.instrument_id))
            )
        lot = instrument.lot or Decimal(1).scaleb(-instrument.base_precision)
        return ceil_to(quote_qty / low, lot)

    def _edge(self, instrument_id: InstrumentId, side: Side) -> Decimal | None:
        """The collar's edge on the side where `side` is worst off; None: no quote or no collar.

        A buy pays its upper edge; what a sell brings is worth its lower one.
        """
        top = self._market.tops.get(instrument_id)
        caps = self._ctx.interceptor.risk.capset.for_instrument(instrument_id)
        if top is None or caps is None or not 0 < caps.collar_bps_max < _BPS:
            return None
        if side is Side.BUY:
            return max(top.ask_px, top.mid) * (_BPS + caps.collar_bps_max) / _BPS
        return min(top.bid_px, top.mid) * (_BPS - caps.collar_bps_max) / _BPS

    def _free(
        self, spec: BotSpec, item: BotPlace, instrument: Instrument, freed: Order | None
    ) -> Balance:
        """What the bot's allotment has free of the asset that an order spends."""
        asset = instrument.quote if item.side is Side.BUY else instrument.base
        why = self._money.short(asset)
        if why:
            raise AdmissionRefused(refusal(BotRefusal.ALLOTMENT_EXCEEDED, why, asset=asset))
        return Balance(asset, self._money.free(spec, asset, but=freed), ZERO)

    def _need(self, item: BotPlace, qty: Decimal, first: BotPlace | None) -> Decimal:
        """What must be free for an order; of a list, beside or after the first order of it."""
        if item.side is Side.BUY:
            need = item.quote_qty if item.quote_qty is not None else self._cost(item, qty)
        else:
            need = qty
        if first is None or first.qty is None:
            return need
        if first.side is item.side:
            return need + self._need(first, first.qty, None)
        # What a pending sell sells is there when it works; a pending buy is paid for whole.
        return max(need - first.qty, ZERO) if item.side is Side.SELL else need

    @staticmethod
    def _afford(free: Balance, need: Decimal) -> None:
        """Refuse what the bot's allotment does not pay for."""
        if need > free.free:
            raise AdmissionRefused(
                refusal(
                    BotRefusal.ALLOTMENT_EXCEEDED,
                    asset=free.asset,
                    used=plain(need),
                    limit=plain(free.free),
                )
            )

    def _cost(self, item: BotPlace, qty: Decimal) -> Decimal:
        """What a buy costs in quote; without a limit price, at the collar's edge or its trigger."""
        if item.price is not None:
            return qty * item.price
        edge = self._edge(item.instrument_id, Side.BUY)
        if edge is None:
            raise AdmissionRefused(
                refusal(BotRefusal.NO_PRICE, symbol=symbol_of(item.instrument_id))
            )
        return qty * max(edge, item.stop_price or edge)
