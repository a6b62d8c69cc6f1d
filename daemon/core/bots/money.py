"""What a bot may spend: the account's balances, or an allotment of them.

Rules of this file:
1. An allotment (`capital`) moves with the bot's own fills and fees, exactly, asset by asset; what
   its own open orders hold is not free. Never more is free than the account itself has.
2. An order that takes the place of another, and is placed only if that is canceled, holds beside it
   what it holds more. What the old one trades while it is canceled is paid all the same.
3. Allotments that together exceed what the account has are a promise that cannot be kept: a session
   does not start, and what would spend such an asset is refused until the account has it again.
"""

from collections.abc import Mapping
from decimal import Decimal

from daemon.core.cancels import open_legs
from daemon.core.engine_config import BotSpec
from daemon.core.turn_context import TurnContext
from daemon.model.amounts import ZERO, plain
from daemon.model.bots import bot_strategy
from daemon.model.enums import Side
from daemon.model.ids import ClientOrderId, instrument_id
from daemon.model.orders import Order
from daemon.model.position import Balance


class Money:
    """Balances per bot, from the gate's accounts and the bots' own flows."""

    def __init__(self, ctx: TurnContext, specs: Mapping[str, BotSpec]) -> None:
        """Share the desk."""
        self._ctx = ctx
        self._specs = specs
        self.in_place_of: dict[ClientOrderId, ClientOrderId] = {}
        """Orders that are placed only if another is canceled, with that one; until it has ended."""
        self._assets_of: dict[str, list[str]] = {}
        self._assets_version = -1
        self._made: dict[str, Balance] = {}
        """What was told last of each asset of the account."""

    def balances(self, spec: BotSpec) -> tuple[Balance, ...]:
        """Every asset of the bot's symbols and of its capital, in alphabetical order."""
        assets = self._assets(spec)
        if not spec.capital:
            return tuple([self._whole(asset) for asset in assets])
        held = self._held(spec.name)
        return tuple([self._balance(spec, asset, held.get(asset, ZERO)) for asset in assets])

    def free(self, spec: BotSpec, asset: str, *, but: Order | None = None) -> Decimal:
        """What the bot may still spend of an asset.

        `but`: an order that will have been canceled before it is spent.
        """
        free = self._balance(spec, asset, self._held(spec.name).get(asset, ZERO)).free
        return free if but is None else free + self._freed_by(but, asset)

    def allotted(self, asset: str) -> Decimal:
        """What all bots with a capital own of an asset together, by their own books."""
        return sum(
            (max(ZERO, self._own(spec, asset)) for spec in self._specs.values() if spec.capital),
            ZERO,
        )

    def short(self, asset: str) -> str:
        """Why the allotments of an asset cannot be kept; empty when they can, or it is unknown."""
        account = self._ctx.interceptor.risk.books.accounts.get(asset)
        if account is None or not account.known:
            return ""
        allotted, total = self.allotted(asset), account.free + account.locked
        if allotted <= total:
            return ""
        return f"the bots' allotments are {plain(allotted)} {asset}, the account has {plain(total)}"

    def _balance(self, spec: BotSpec, asset: str, held: Decimal) -> Balance:
        whole = self._whole(asset)
        if not spec.capital:
            return whole
        mine = self._own(spec, asset) - held
        return Balance(asset, max(ZERO, min(whole.free, mine)), held)

    def _whole(self, asset: str) -> Balance:
        """What the account has of an asset; the same object while that is the same."""
        account = self._ctx.interceptor.risk.books.accounts.get(asset)
        free = locked = ZERO
        if account is not None and account.known:
            free, locked = account.free, account.locked
        made = self._made.get(asset)
        if made is None or made.free is not free or made.locked is not locked:
            made = self._made[asset] = Balance(asset, free, locked)
        return made

    def _own(self, spec: BotSpec, asset: str) -> Decimal:
        account = self._ctx.ledger.bots.of.get(spec.name)
        flow = ZERO if account is None else account.flows.get(asset, ZERO)
        return spec.capital.get(asset, ZERO) + flow

    def _held(self, bot: str) -> dict[str, Decimal]:
        """What the bot's open orders hold of each asset."""
        held = dict[str, Decimal]()
        for cid, order in self._ctx.books.open_of(bot_strategy(bot)).items():
            found = self._hold_of(order)
            if found is None:
                continue
            asset, amount = found
            old = self._ctx.books.orders.get(self.in_place_of.get(cid, cid))
            if old is None or old.status.is_terminal:
                self.in_place_of.pop(cid, None)
            elif old is not order:
                amount = max(ZERO, amount - self._freed_by(old, asset))
            held[asset] = held.get(asset, ZERO) + amount
        return held

    def _freed_by(self, order: Order, asset: str) -> Decimal:
        """What the cancel of an order gives back of an asset; the rest of its list goes with it."""
        holds = [self._hold_of(one) for one in open_legs(self._ctx, order) or [order]]
        return sum((held[1] for held in holds if held and held[0] == asset), ZERO)

    def _hold_of(self, order: Order) -> tuple[str, Decimal] | None:
        """The asset that an order holds, and how much of it; of an OCO the worst leg alone."""
        hold = self._ctx.interceptor.risk.books.holds.get(order.client_order_id)
        instrument = self._ctx.ledger.instruments.get(order.instrument_id)
        if hold is None or instrument is None:
            return None
        if order.side is Side.BUY:
            return instrument.quote, hold.spends()
        return instrument.base, hold.spends()

    def _assets(self, spec: BotSpec) -> list[str]:
        ledger = self._ctx.ledger
        if self._assets_version != ledger.instruments_version:
            self._assets_version = ledger.instruments_version
            self._assets_of.clear()
        assets = self._assets_of.get(spec.name)
        if assets is None:
            names = (instrument_id(one, self._ctx.config.environment) for one in spec.symbols)
            loaded = ledger.instruments
            known = [loaded[name] for name in names if name in loaded]
            found = {a for one in known for a in (one.base, one.quote)} | set(spec.capital)
            assets = self._assets_of[spec.name] = sorted(found)
        return assets


def allotments_short(ctx: TurnContext) -> list[str]:
    """Every asset whose allotments the account cannot keep, in words; of none: empty."""
    money = Money(ctx, {spec.name: spec for spec in ctx.config.bots})
    assets = {asset for spec in ctx.config.bots for asset in spec.capital}
    return [why for asset in sorted(assets) if (why := money.short(asset))]
