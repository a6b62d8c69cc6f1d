"""Every instrument, asset and open order that the gate knows, and the rates between them.

Rules of this file:
1. It keeps and finds. What an order or a fill does to one instrument is symbol_book.py's, but for
   how a hold begins and ends: every order pays for that, so it is one call each.
2. What is first heard of gets a book or an account without caps and balance: it is denied.
"""

from bisect import bisect_left, insort
from decimal import Decimal

from daemon.model.amounts import ZERO
from daemon.model.ids import ClientOrderId, InstrumentId, asset_name, first_of_list
from daemon.model.list_legs import ListLeg
from daemon.model.position import Position
from riskcaps.state.conversion import Rates
from riskcaps.state.holds import UNKNOWN, WORKING, Account, Awaited, Hold
from riskcaps.state.symbol_book import SymbolBook
from riskcaps.words.capset import CapSet


class RiskBooks:
    """Books by instrument, accounts by asset, holds by client order id."""

    def __init__(self, rates: Rates | None = None) -> None:
        """`rates`: those of the account, where these are the books of one bot."""
        self.capset = CapSet()
        self.by_id: dict[InstrumentId, SymbolBook] = {}
        self.accounts: dict[str, Account] = {}
        self.quotes: dict[str, Account] = {}
        """The accounts that are some instrument's quote: where turnover is counted."""
        self.holds: dict[ClientOrderId, Hold] = {}
        self.groups: dict[str, list[Hold]] = {}
        """Open legs of an OCO, of which one trades at most, by the list's id."""
        self.awaited: dict[ClientOrderId, Awaited] = {}
        """First orders that others are pending behind, by their id; until all have ended."""
        self.active: dict[InstrumentId, SymbolBook] = {}
        """The books that weigh in the portfolio: those with a position or an open order."""
        self.fees_owed: dict[str, Decimal] = {}
        """Fees paid in an asset that is neither base nor quote of their instrument."""
        self._has_own_rates = rates is None
        self.rates = Rates() if rates is None else rates
        self.leg_ids: frozenset[InstrumentId] = frozenset()
        """The instruments whose prices make a rate."""
        self.quote_leg_ids: frozenset[InstrumentId] = frozenset()
        """Of these, those that make the rate of a quote; the others value fees alone."""

    def set_capset(self, capset: CapSet) -> None:
        """Use these caps from now on."""
        self.capset = capset
        for book in self.by_id.values():
            book.set_caps(capset.for_instrument(book.instrument_id))
        self.rebuild_rates()

    def rebuild_rates(self) -> None:
        """Resolve the declared paths again: instruments or caps have changed."""
        caps, books = self.capset, self.by_id.values()
        for book in books:
            book.at_par = bool(book.quote) and asset_name(book.quote) == caps.numeraire
            book.base_account = self.account(book.base)
            book.quote_account = self.account(book.quote)
            book.change_terms()
        self.quotes = {book.quote: book.quote_account for book in books if book.quote}
        if not self._has_own_rates:
            return
        self.rates.rebuild(caps.numeraire, caps.conversions, books)
        legs = {
            asset: frozenset(book.instrument_id for book in self.rates.books_of(asset))
            for asset in caps.conversions
        }
        self.leg_ids = frozenset[InstrumentId]().union(*legs.values())
        self.quote_leg_ids = frozenset[InstrumentId]().union(
            *(legs.get(quote, ()) for quote in self.quotes)
        )

    def book(self, instrument_id: InstrumentId) -> SymbolBook:
        """The book of an instrument, made when first heard of."""
        book = self.by_id.get(instrument_id)
        if book is None:
            book = SymbolBook(instrument_id)
            book.set_caps(self.capset.for_instrument(instrument_id))
            self._guess_assets(book)
            self.by_id[instrument_id] = book
            self.rebuild_rates()
        return book

    def twin_of(self, theirs: SymbolBook) -> SymbolBook:
        """The book of the same instrument here, with the filters that the account's book has."""
        mine = self.book(theirs.instrument_id)
        if theirs.instrument is not None and mine.instrument is not theirs.instrument:
            mine.set_instrument(theirs.instrument)
            self.rebuild_rates()
        return mine

    def _guess_assets(self, book: SymbolBook) -> None:
        """Recovery meets fills before the venue has told its symbols: read them off the name."""
        for asset in (self.capset.numeraire, *self.capset.conversions):
            if asset and book.symbol.endswith(asset) and book.symbol != asset:
                book.base, book.quote = book.symbol.removesuffix(asset), asset
                return

    def account(self, asset: str) -> Account:
        """The account of an asset, unknown until the venue speaks."""
        account = self.accounts.get(asset)
        if account is None:
            account = self.accounts[asset] = Account(asset)
        return account

    def follow(self, book: SymbolBook) -> None:
        """Its position or its open orders have changed."""
        if book.open_count or book.position:
            self.active[book.instrument_id] = book
        else:
            self.active.pop(book.instrument_id, None)

    def take_hold(  # noqa: PLR0917 - by place: by name Python 3.11 enters it through C, twice as long
        self,
        client_order_id: ClientOrderId,
        book: SymbolBook,
        is_buy: bool,
        is_stop: bool,
        qty: Decimal,
        px: Decimal,
        phase: str,
        reserved: bool | None = None,
    ) -> Hold:
        """Hold an order against every cap; `reserved`: its cost is not in the venue's free yet.

        One of a list joins it with the next call.
        """
        quote, pays_value = book.quote_account, is_buy or book.model.sell_pays_value
        account = quote if pays_value else book.base_account
        is_reserved = phase != WORKING if reserved is None else reserved
        value = qty * px
        hold = self.holds[client_order_id] = Hold(  # by place: by name it takes four times as long
            client_order_id,
            book.instrument_id,
            is_buy,
            is_stop,
            qty,
            px,
            quote,
            pays_value,
            account,
            phase,
            is_reserved,
        )
        quote.open_notional += value
        if is_reserved:
            account.inflight += value if pays_value else qty
        if is_buy:
            book.buys_open += qty
            insort(book.buy_pxs, px)
        else:
            book.sells_open += qty
            insort(book.sell_pxs, px)
        book.version += 1
        book.open_count += 1
        if is_stop:
            book.stops_open += 1
        if phase == UNKNOWN:
            book.unknown_count += 1
        self.active[book.instrument_id] = book
        return hold

    def drop_hold(self, hold: Hold) -> None:
        """Forget an order, and release what it may still do."""
        del self.holds[hold.client_order_id]
        book = self.by_id[hold.instrument_id]
        if self.awaited:
            self._leave_list(hold)
        leaves = hold.leaves if hold.weighs else ZERO
        if hold.is_buy:
            prices = book.buy_pxs
            book.buys_open -= leaves
        else:
            prices = book.sell_pxs
            book.sells_open -= leaves
        del prices[bisect_left(prices, hold.px)]
        if leaves:
            value = leaves * hold.px
            hold.quote.open_notional -= value
            if hold.reserved:
                hold.account.inflight -= value if hold.pays_value else leaves
        book.version += 1
        book.open_count -= 1
        if hold.is_stop:
            book.stops_open -= 1
        if hold.phase == UNKNOWN:
            book.unknown_count -= 1
        if hold.group:
            self.groups[hold.group].remove(hold)
            self.weigh_group(hold.group)
        if not book.open_count and not book.position:
            del self.active[hold.instrument_id]

    def acknowledge(self, hold: Hold) -> None:
        """The venue has it: what it takes is the venue's to lock, at once or when it works."""
        if hold.phase == UNKNOWN:
            self.by_id[hold.instrument_id].unknown_count -= 1
        hold.phase = WORKING
        if hold.reserved and (hold.awaits is None or hold.awaits.first is None):
            hold.reserved = False
            account, amount = hold.account, hold.spends()
            account.inflight -= amount
            account.unsettled += amount

    # ------------------------------------------------------------------ order lists
    def join_list(self, hold: Hold, group: str, first: ClientOrderId | None) -> None:
        """A hold is a leg of the OCO `group`, and pending behind `first`, where there are such."""
        if group:
            hold.group = group
            self.groups.setdefault(group, []).append(hold)
            self.weigh_group(group)
        if first is not None:
            self.wait(first, hold)

    def weigh_group(self, group: str) -> None:
        """Of orders that exclude each other count the worst one: most quantity, dearest price."""
        holds = self.groups.get(group)
        if not holds:
            self.groups.pop(group, None)
            return
        worst = max(holds, key=lambda hold: (hold.leaves, hold.px))
        for hold in holds:
            self.by_id[hold.instrument_id].weigh(hold, weighs=hold is worst)
        self.cover(worst.awaits)

    def wait(
        self, first: ClientOrderId, *holds: Hold, has_begun: bool = False, is_void: bool = False
    ) -> None:
        """These orders are pending behind the one with this id."""
        awaited = self.awaited.get(first)
        if awaited is None:
            awaited = self.awaited[first] = Awaited(self.holds.get(first))
        awaited.has_begun |= has_begun
        awaited.is_void |= is_void
        for hold in holds:
            hold.awaits = awaited
            awaited.pending.append(hold)
        self.cover(awaited)

    def never_fills(self, client_order_id: ClientOrderId) -> None:
        """An order has ended with a rest: what is pending behind it never works."""
        awaited = self.awaited.get(client_order_id)
        if awaited is not None and not awaited.has_begun:
            awaited.is_void = True
            self.cover(awaited)

    def cover(self, awaited: Awaited | None) -> None:
        """Say anew of the orders of an OTO how much adds nothing to its side."""
        if awaited is None:
            return
        for hold in awaited.pending:
            self.by_id[hold.instrument_id].cover(hold, awaited.covered(hold))
        first = awaited.first
        if first is not None and awaited.has_begun:
            self.by_id[first.instrument_id].arrive(first, first.leaves)

    def _leave_list(self, hold: Hold) -> None:
        """An order has ended: those that are pending behind it work now, or never."""
        awaited, book = hold.awaits, self.by_id[hold.instrument_id]
        if awaited is not None:
            book.cover(hold, ZERO)
            awaited.pending.remove(hold)
        elif (awaited := self.awaited.get(hold.client_order_id)) is not None:
            if hold.leaves:
                self.never_fills(hold.client_order_id)
            book.arrive(hold, ZERO)
            awaited.first = None
            self.cover(awaited)
            for one in awaited.pending:
                if one.phase == WORKING:
                    self.acknowledge(one)
        if awaited is not None and awaited.first is None and not awaited.pending:
            self.awaited = {k: one for k, one in self.awaited.items() if one is not awaited}

    def lift_list(self, leg: ListLeg) -> None:
        """Another order of a list is being decided on; then `lower_list`, without exception.

        Orders that exclude it count nothing, and the first order's price is none that it can meet.
        """
        for hold in self.groups.get(leg.list_id, ()) if leg.excludes_others else ():
            self.by_id[hold.instrument_id].weigh(hold, weighs=False)
            self.cover(hold.awaits)
        self._show_first(leg, shown=False)

    def lower_list(self, leg: ListLeg) -> None:
        """The decision is made: all count again as they should."""
        if leg.excludes_others:
            self.weigh_group(leg.list_id)
        self._show_first(leg, shown=True)

    def _show_first(self, leg: ListLeg, *, shown: bool) -> None:
        hold = self.holds.get(first_of_list(leg.list_id)) if leg.is_pending else None
        if hold is not None:
            self.by_id[hold.instrument_id].show_price(hold, shown=shown)

    def shrink_by_fill(self, hold: Hold, qty: Decimal) -> None:
        """An order has traded so much; the others of its group can trade no more than the rest.

        Their orders stay open, with whatever quantity, until the venue has ended them.
        """
        taken = min(hold.leaves, qty)
        if not hold.group and not self.awaited:  # it is in no list: by far the most
            self.by_id[hold.instrument_id].shrink_hold(hold, taken, settled=True)
            return
        rivals = self.groups.get(hold.group, ()) if hold.group else ()
        awaited = self.awaited.get(hold.client_order_id, hold.awaits) if self.awaited else None
        if hold.awaits is not None:
            hold.awaits.has_begun = True
        for rival in rivals:  # what the venue has spent is in the weight of the one that traded
            self.by_id[rival.instrument_id].weigh(rival, weighs=rival is hold)
        self.by_id[hold.instrument_id].shrink_hold(hold, taken, settled=True)
        for rival in rivals:
            if rival is not hold:
                book = self.by_id[rival.instrument_id]
                book.shrink_hold(rival, min(rival.leaves, qty), settled=False)
        if rivals:
            self.weigh_group(hold.group)
        if awaited is not None:
            self.cover(awaited)

    def positions(self) -> dict[InstrumentId, Position]:
        """Net traded quantity and profit of every instrument that was traded."""
        return {
            book.instrument_id: Position(
                instrument_id=book.instrument_id,
                qty=book.position,
                avg_px=book.cost / book.position if book.position else ZERO,
                realised_pnl=book.realised - book.fees_quote,
                fees_quote=book.fees_quote,
            )
            for book in self.by_id.values()
            if book.was_traded
        }

    def position(self, instrument_id: InstrumentId) -> Decimal:
        """Net traded quantity of one instrument: `positions()` for the hot path."""
        book = self.by_id.get(instrument_id)
        return book.position if book is not None else ZERO

    def open_worst_case(self, instrument_id: InstrumentId) -> tuple[Decimal, Decimal]:
        """`(long, short)`: the position if every open buy fills, and if every open sell does."""
        book = self.book(instrument_id)
        return book.long_worst(), book.short_worst()

    def wipe(self) -> None:
        """The venue forgot everything: no order, no position, no balance is known."""
        self.holds.clear()
        self.groups.clear()
        self.awaited.clear()
        self.active.clear()
        self.fees_owed.clear()
        for account in self.accounts.values():
            account.forget()
        for book in self.by_id.values():
            book.clear_holds()
            book.clear_position()
