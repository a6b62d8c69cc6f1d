"""Bots' allotments (`capital`) decided again: what each may spend, from its own trades and orders.

Rules of this file:
1. A bot owns its allotment as the session states it, and what its own trades and fees have moved
   since the journal's beginning; what its open orders hold of it is not free. An order that is
   approved needs no more than that. (What the account itself has free bounds it, too: no line
   states that, so a refusal may be right where the allotment alone would pay.)
2. Of an order list each order is held against what was free before the list, with its first order.
   One that takes the place of another, and is placed only if that is canceled, may spend what that
   holds.
3. A buy without a price is taken at the touch and its trigger, below what the gate asks for it; a
   sell by a quantity in quote is not derived.
4. A refusal for the allotment is of a bot that has one; where it says what all bots own of an
   asset, that is the sum.
5. Nothing is said of a journal whose beginning is not at hand, nor after a wipe of the testnet.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from evidence.folds.account_models import SpotBooks, account_of, pairs_of
from evidence.folds.bot_fold import LISTS, PLACES, PREFIX, REPLACES, places_of
from evidence.folds.exposure_fold import ExposureBook, Working, first_before, oco_of
from evidence.folds.journal_fold import ComparingFold, Handler, Recent
from evidence.folds.order_fold import ABSENT_OUTCOMES, TERMINAL
from evidence.read.bot_lines import BotInputLine, BotRefusedLine
from evidence.read.decision_inputs import stated
from evidence.read.exact_amounts import ZERO, AmountTextError, amount, amount_or_zero, text_of
from evidence.read.journal_lines import (
    FillLine,
    InstrumentsLine,
    JournalLine,
    OrderAmendedLine,
    OrderApprovedLine,
    OrderResolvedLine,
    OrderStateLine,
    ReconciledLine,
    RunStartLine,
    SessionStartLine,
)

EXCEEDED = "allotment_exceeded"
ONLY_IF_CANCELED = "STOP_ON_FAILURE"
_SHORT = re.compile(r"the bots' allotments are (\S+) (\S+), the account has ")
Place = Mapping[str, Any]
Pairs = Mapping[str, tuple[str, str]]
"""Symbol -> base and quote."""


class BotsPurse(msgspec.Struct):
    """One bot: its allotment, what its trades have moved, and its open orders."""

    capital: dict[str, Decimal] = {}
    """Empty: it spends from the whole account."""
    flows: dict[str, Decimal] = {}
    book: ExposureBook = msgspec.field(default_factory=ExposureBook)
    lists: dict[str, str] = {}
    """Open orders that are of a list, with the list."""
    by_name: dict[str, str] = {}
    """The bot's own ids and the venue's of its orders, each with our id of the latest one."""
    in_place_of: dict[str, str] = {}
    """Orders that are placed only if another is canceled, with that one."""

    def owns(self, asset: str) -> Decimal:
        """What it has of an asset, held or not."""
        return self.capital.get(asset, ZERO) + self.flows.get(asset, ZERO)

    def held(self, assets: Pairs, asset: str) -> Decimal:
        """What its open orders hold of an asset."""
        total = ZERO
        for cid, order in self.book.working.items():
            amount = self._holds(order, assets, asset)
            if amount and self.in_place_of.get(cid) in self.book.working:
                amount = max(ZERO, amount - self.freed(self.in_place_of[cid], assets, asset))
            total += amount
        return total

    def freed(self, cid: str, assets: Pairs, asset: str) -> Decimal:
        """What the cancel of an order gives back of an asset; the rest of its list goes with it."""
        of = self.lists.get(cid)
        legs = [
            one for one in self.book.working if one == cid or (of and self.lists.get(one) == of)
        ]
        return sum((self._holds(self.book.working[one], assets, asset) for one in legs), ZERO)

    def _holds(self, order: Working, assets: Pairs, asset: str) -> Decimal:
        base, quote = assets.get(order.symbol, ("", ""))
        if asset == quote and order.is_buy:  # a pending buy is paid for whole
            return order.leaves * order.price if self.book.worst_of(order) is order else ZERO
        return order.counted if asset == base and not order.is_buy else ZERO


class AllotmentAsked(msgspec.Struct):
    """A request to place, with what was free when it came."""

    bot: str
    places: list[Place]
    first: Place | None
    free: dict[str, Decimal]
    freed: str = ""
    """The order that is canceled before; empty: none is."""


class AllotmentsFold(ComparingFold):
    """Holds each approved order of a bot against what its allotment had free."""

    name = "allotments"

    def __init__(self) -> None:
        super().__init__()
        self._is_whole = False
        """Whether all that moved the bots' money is at hand."""
        self._is_stated = False
        """Whether a session of this run has stated its bots: a boot may load others."""
        self._purses: dict[str, BotsPurse] = {}
        self._assets: dict[str, tuple[str, str]] = {}
        self._accounts: dict[str, SpotBooks] = {}
        self._owners: dict[str, BotsPurse] = {}
        self._asked: dict[int, AllotmentAsked] = {}
        self._seen = Recent()

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """Requests, the lines that end them, and what moves a bot's money."""
        return {
            RunStartLine: self._run_start,
            SessionStartLine: self._session_start,
            InstrumentsLine: self._instruments,
            BotInputLine: self._input,
            OrderApprovedLine: self._approved,
            BotRefusedLine: self._refused,
            OrderStateLine: self._state,
            OrderResolvedLine: self._resolved,
            OrderAmendedLine: self._amended,
            FillLine: self._fill,
            ReconciledLine: self._reconciled,
        }

    # ------------------------------------------------------------------ what is stated
    def _run_start(self, record: RunStartLine) -> None:
        self._is_whole = self._is_whole or record.seq == 1
        self._is_stated = False
        self._asked.clear()

    def _session_start(self, record: SessionStartLine) -> None:
        self._is_stated = True
        for spec in record.bots if isinstance(record.bots, list) else ():
            capital = spec.get("capital") if isinstance(spec, dict) else None
            if not isinstance(capital, dict):
                continue
            try:
                stated_of = {str(asset): amount(text) for asset, text in capital.items()}
            except AmountTextError as error:
                self.note("bad_amount", record, f"capital of {spec.get('name')}: {error}")
                continue
            self._purse(str(spec.get("name"))).capital = stated_of

    def _instruments(self, record: InstrumentsLine) -> None:
        self._assets |= pairs_of(record)
        for one in record.instruments:
            if (account := account_of(one)) is not None:
                self._accounts[str(one.get("symbol"))] = account

    def _purse(self, bot: str) -> BotsPurse:
        found = self._purses.get(bot)
        if found is None:
            found = self._purses[bot] = BotsPurse()
        return found

    # ------------------------------------------------------------------ requests
    def _input(self, record: BotInputLine) -> None:
        told = record.input
        kind, request, bot = str(told.get("type")), told.get("request"), str(told.get("bot"))
        if kind not in (PLACES, REPLACES, LISTS) or type(request) is not int:
            return
        places, purse = places_of(kind, told), self._purse(bot)
        if not places or not purse.capital:
            return
        target = self._target(purse, told.get("cancel")) if kind == REPLACES else ""
        freed = target if told.get("mode") == ONLY_IF_CANCELED else ""
        pair = self._assets.get(_symbol_of(places[0]), ())
        free = {
            asset: purse.owns(asset)
            - purse.held(self._assets, asset)
            + (purse.freed(freed, self._assets, asset) if freed else ZERO)
            for asset in pair
        }
        first = places[0] if told.get("contingency") == "OTO" else None
        self._asked[request] = AllotmentAsked(bot, places, first, free, freed)

    @staticmethod
    def _target(purse: BotsPurse, cancel: object) -> str:
        """The order that a replace cancels; empty: there is none that still works."""
        named = cancel if isinstance(cancel, Mapping) else {}
        cid = purse.by_name.get(str(named.get("venue_order_id") or named.get("client_order_id")))
        return cid if cid is not None and cid in purse.book.working else ""

    def _approved(self, record: OrderApprovedLine) -> None:
        if not record.strategy_id.startswith(PREFIX):
            return
        cid, purse = record.client_order_id, self._purse(record.strategy_id.removeprefix(PREFIX))
        owner = record.owner if isinstance(record.owner, dict) else {}
        own_id, request = str(owner.get("client_order_id")), owner.get("request")
        asked = self._asked.get(request) if type(request) is int else None
        try:
            if asked is not None and self._is_whole:
                self._hold(record, asked, own_id)
            price = amount_or_zero(record.price) or amount_or_zero(record.decision.get("px"))
            order = Working(
                record.symbol, record.side == "BUY", amount(record.qty), price,
                oco_of(record.order_list), first_before(record.order_list),
            )  # fmt: skip
        except AmountTextError:
            return  # counted by the orders fold
        purse.book.place(cid, order, record.ts_ns)
        purse.by_name[own_id] = cid
        self._owners[cid] = purse
        if isinstance(record.order_list, dict):
            purse.lists[cid] = str(record.order_list.get("list_id"))
        if asked is not None and asked.freed:
            purse.in_place_of[cid] = asked.freed

    def _hold(self, record: OrderApprovedLine, asked: AllotmentAsked, own_id: str) -> None:
        """Hold an approval against what was free of the asset that it spends."""
        place = next((one for one in asked.places if one.get("client_order_id") == own_id), None)
        pair = self._assets.get(record.symbol)
        if place is None or pair is None:
            return
        asset = pair[1] if record.side == "BUY" else pair[0]
        need = _need(place, record, None if place is asked.first else asked.first)
        self.checked += 1
        if need > (free := asked.free.get(asset, ZERO)):
            what = f"{record.client_order_id} needs {text_of(need)} {asset}, the allotment of "
            self.note("allotment_exceeded", record, f"{what}{asked.bot} has {text_of(free)} free")

    def _refused(self, record: BotRefusedLine) -> None:
        if record.refusal != EXCEEDED or not self._is_stated:
            return
        self.checked += 1
        if not self._purse(record.bot).capital:
            what = f"{record.bot} was refused for its allotment, and the session states none"
            self.note("allotment_absent", record, what)
        elif (told := _SHORT.match(record.msg)) and self._is_whole:
            owned = [one.owns(told[2]) for one in self._purses.values() if one.capital]
            mine = sum((max(ZERO, one) for one in owned), ZERO)
            if told[1] != text_of(mine):
                what = f"allotments of {told[1]} {told[2]} are stated, they are {text_of(mine)}"
                self.note("allotment_differs", record, what)

    # ------------------------------------------------------------------ what becomes of orders
    def _state(self, record: OrderStateLine) -> None:
        cid = record.client_order_id
        if (purse := self._owners.get(cid)) is not None:
            purse.by_name[str(record.order_id)] = cid
            if record.new in TERMINAL:
                self._over(cid, is_filled=record.new == "FILLED")

    def _resolved(self, record: OrderResolvedLine) -> None:
        sender = str((record.order or {}).get("strategy_id", ""))
        if record.outcome in ABSENT_OUTCOMES:
            self._over(record.client_order_id, is_filled=False)
        elif sender.startswith(PREFIX):  # what it holds is left out: an order too few is no fault
            self._owners[record.client_order_id] = self._purse(sender.removeprefix(PREFIX))

    def _over(self, cid: str, *, is_filled: bool) -> None:
        if (purse := self._owners.get(cid)) is not None:
            purse.book.end(cid, is_filled=is_filled)
            purse.in_place_of.pop(cid, None)
            purse.lists.pop(cid, None)

    def _amended(self, record: OrderAmendedLine) -> None:
        if (purse := self._owners.get(record.client_order_id)) is not None:
            purse.book.cut(record.client_order_id, record)

    def _fill(self, record: FillLine) -> None:
        purse, account = self._owners.get(record.client_order_id), self._accounts.get(record.symbol)
        if purse is None or not self._seen.is_new(record.exec_id):
            return
        if account is None:
            self._is_whole = False  # what it moves is not known
            return
        is_buy = record.side == "BUY"
        try:
            moves = account.moves_with_fee(self._assets[record.symbol], record)
            qty, price = amount(record.qty), amount(record.price)
        except AmountTextError:
            return  # counted by the orders fold
        for asset, change in moves.items():
            purse.flows[asset] = purse.flows.get(asset, ZERO) + change
        purse.book.fill(record.client_order_id, record.symbol, is_buy=is_buy, qty=qty, price=price)

    def _reconciled(self, record: ReconciledLine) -> None:
        if any("wipe" in str(one.get("class")) for one in record.differences):
            self._is_whole = False


def _symbol_of(place: Place) -> str:
    return str(place.get("instrument_id")).partition("@")[0]


def _need(place: Place, record: OrderApprovedLine, first: Place | None) -> Decimal:
    """The least that must be free for an order; of a list, beside or after the first of it."""
    need = _cost(place, record)
    if first is None or first.get("qty") is None:
        return need
    if first.get("side") == place.get("side"):
        return need + _cost(first, record)
    # What a pending sell sells is there when it works; a pending buy is paid for whole.
    return need if record.side == "BUY" else max(need - amount(first["qty"]), ZERO)


def _cost(place: Place, record: OrderApprovedLine) -> Decimal:
    qty, price, in_quote = (place.get(key) for key in ("qty", "price", "quote_qty"))
    if place.get("side") != "BUY":
        return amount_or_zero(qty)
    if in_quote is not None:
        return amount(in_quote)
    if price is not None:
        return amount_or_zero(qty) * amount(price)
    least = amount_or_zero(stated(record.decision, "ask"))
    return amount_or_zero(qty) * max(least, amount_or_zero(place.get("stop_price")))
