"""Worst-case exposure of one instrument: position, and everything open on each side.

Rules of this file:
1. Position is the net traded quantity since the books' epoch (daemon/model/position.py).
2. A hold is taken before the bytes leave; a fill turns hold into position; only the venue's word
   (or proof) releases the rest. In flight, working and unknown orders weigh the same.
3. The sides stand apart: buys never net against sells. The worst side is what counts.
4. Sums run; nothing here loops over open orders. Open prices are kept sorted (log n).
5. A fee taken in base shrinks the position as the venue does. It is known only with the fill, so a
   sell whose fee is taken in base ends that fee lower than its hold said: no breach, but the next
   sell is measured from there (`fees_since_sell`). The same holds of the fee of a buy, where sells
   wait for it (OTO).
6. A pending order trades only after the first order of its list, so its side counts it given that
   the first stands in the position. Counts, notional and turnover hold it whole from the start.
"""

from bisect import bisect_left, insort
from decimal import Decimal
from typing import Any

from daemon.model.account_model import SPOT_ACCOUNT, AccountModel, account_of
from daemon.model.amounts import ZERO
from daemon.model.enums import OrderType, Side
from daemon.model.ids import InstrumentId, symbol_of
from daemon.model.instrument import Instrument
from daemon.model.market import TopOfBook
from daemon.model.plain_values import to_plain
from daemon.model.reports import Fill
from riskcaps.state.bands import Watch
from riskcaps.state.holds import Account, Hold
from riskcaps.state.windows import DAY_NS, MINUTE_NS, RollingCount, RollingSum
from riskcaps.words.cap_values import window_minutes
from riskcaps.words.caps import UNLIMITED
from riskcaps.words.capset import SYMBOL_CAPS, SymbolCaps

_BUY, _SELL = Side.BUY, Side.SELL
"""Looked up once: on Python 3.11 a look at a member of an enum costs as much as a call."""

_COST_STEP = Decimal("1E-18")
"""Where a share of the cost is cut; what is cut stays in the rest, so the sum is exact."""


class SymbolBook:
    """All that the gate knows of one instrument."""

    __slots__ = (
        "arriving", "at_par", "base", "base_account", "blocked", "buy_pxs", "buys_covered",
        "buys_open", "caps", "cost",
        "fees_quote", "fees_since_sell", "filters", "ground", "has_multipliers", "instrument",
        "instrument_id", "last", "last_ns", "mark_ask", "mark_bid", "market_made",
        "market_version", "minute", "model", "open_count", "order_types", "position",
        "price_high", "price_low", "qty_high", "qty_low", "qty_step", "quote", "quote_account",
        "realised", "sell_pxs", "sells_covered", "sells_open", "stops_open", "symbol",
        "terms_version", "tick", "top", "top_ns", "traded", "unknown_count", "unset", "version",
        "was_traded", "watch", "windows", "worth",
    )  # fmt: skip

    def __init__(self, instrument_id: InstrumentId) -> None:
        self.instrument_id = instrument_id
        self.symbol = symbol_of(instrument_id)
        self.terms_version = self.market_version = self.version = 0
        """Counters that only grow: of what the rules read of caps, filters, blocks and accounts; of
        the market; and of anything at all. Whoever keeps something that was worked out from here
        keeps the counter with it, and works it out again when that has moved."""
        self.market_made: tuple[int, dict[str, object]] = (-1, {})
        self.ground: Any = None
        """What the last decision on it stood on (riskcaps/gate/ground.py)."""
        self.base = self.quote = ""
        self.model: AccountModel = SPOT_ACCOUNT
        self.at_par = False
        """Whether its quote is the numeraire itself, which needs no rate."""
        self.instrument: Instrument | None = None
        self.filters: dict[str, object] | None = None
        self.qty_step = self.tick = ZERO
        self.price_low = self.price_high = self.qty_low = self.qty_high = ZERO
        self.has_multipliers = False
        self.order_types: tuple[OrderType, ...] = ()
        """Types that both the caps and the venue take."""
        self.top: TopOfBook | None = None
        self.top_ns = 0
        self.mark_bid = self.mark_ask = ZERO
        """The last touch that was not crossed: what a position is marked at. 0: none yet."""
        self.last = ZERO
        self.last_ns = 0
        self.blocked = ""
        self.minute = RollingCount(MINUTE_NS)
        self.traded = RollingSum(DAY_NS)
        self.position = self.cost = self.realised = self.fees_quote = ZERO
        self.was_traded = False
        """Whether it has a part in the equity; every tick of a conversion's leg asks."""
        self.fees_since_sell = ZERO
        """Fees that sells paid in base since the last sell was approved."""
        self.worth: Decimal | None = ZERO
        """Its part of the equity in the numeraire; None while it cannot be valued."""
        self.base_account = self.quote_account = Account("")
        self.set_caps(None)
        self.clear_holds()

    def clear_holds(self) -> None:
        """Forget every open order (restore, testnet wipe)."""
        self.buys_open = self.sells_open = ZERO
        self.buys_covered = self.sells_covered = self.arriving = ZERO
        """Of what is open on a side, how much adds nothing to it: it is pending behind an order of
        the other side that is filled before (rule 6). `arriving`: bought less sold, not told."""
        self.buy_pxs: list[Decimal] = []
        self.sell_pxs: list[Decimal] = []
        self.open_count = self.stops_open = self.unknown_count = 0
        self.version += 1

    def clear_position(self) -> None:
        """Back to the epoch: nothing was ever traded."""
        self.position = self.cost = self.realised = self.fees_quote = ZERO
        self.was_traded = False
        self.fees_since_sell = ZERO
        self.version += 1

    def change_terms(self) -> None:
        """Call after a change of caps, filters, a block or the accounts that it spends."""
        self.terms_version += 1
        self.version += 1

    def block(self, why: str) -> None:
        """Deny every order on it while `why` is not empty."""
        self.blocked = why
        self.change_terms()

    def set_top(self, top: TopOfBook, now_ns: int) -> None:
        """The latest top of its book. It is as old as its receipt, never younger than now."""
        self.top = top
        received_ns = top.ts_recv_ns
        self.top_ns = received_ns if 0 < received_ns < now_ns else now_ns
        self.market_version += 1
        self.version += 1
        if 0 < top.bid_px < top.ask_px:
            self.mark_bid, self.mark_ask = top.bid_px, top.ask_px

    def set_last(self, price: Decimal, now_ns: int) -> None:
        """The price of the last public trade."""
        self.last = price
        self.last_ns = now_ns
        self.market_version += 1

    def set_caps(self, caps: SymbolCaps | None) -> None:
        """Caps of this run; None denies."""
        self.caps = caps
        self.unset = caps.unset() if caps else ()
        self.market_version += 1  # the caps say which reference a decision records
        self.change_terms()
        self._allow_types()
        self.windows = window_minutes(caps.trading_windows_utc) if caps else ()
        self.watch = (
            {
                key: Watch(key, self.symbol, getattr(caps, key))
                for key, spec in SYMBOL_CAPS.items()
                if spec.fills
            }
            if caps
            else {}
        )

    def set_instrument(self, instrument: Instrument) -> None:
        """The venue's filters."""
        self.change_terms()
        self.instrument = instrument
        self.model = account_of(instrument)
        self.base = instrument.base
        self.quote = instrument.quote
        self.filters = to_plain(instrument)
        self.qty_step = instrument.lot or Decimal(1).scaleb(-instrument.base_precision)
        self.tick = instrument.tick or Decimal(1).scaleb(-instrument.quote_precision)
        self.price_low = instrument.price_min
        self.price_high = instrument.price_max or UNLIMITED
        self.qty_low = instrument.qty_min
        self.qty_high = instrument.qty_max or UNLIMITED
        self.has_multipliers = bool(
            instrument.bid_multiplier_up
            or instrument.bid_multiplier_down
            or instrument.ask_multiplier_up
            or instrument.ask_multiplier_down
        )
        self._allow_types()

    def _allow_types(self) -> None:
        if self.caps is None or self.instrument is None:
            self.order_types = ()
            return
        both = self.caps.order_types
        self.order_types = tuple(
            kind for kind in OrderType if kind in both and kind in self.instrument.order_types
        )

    def market_plain(self) -> dict[str, object]:
        """The market as a decision records it (shared by all decisions on this top)."""
        if self.market_made[0] != self.market_version:
            top = self.top
            is_mid = self.caps is None or self.caps.collar_reference == "mid"
            plain_market: dict[str, object] = {
                "bid": str(top.bid_px) if top else None,
                "ask": str(top.ask_px) if top else None,
                "top_ns": self.top_ns,
                "reference_px": None if is_mid else str(self.last),
                "reference_ns": None if is_mid else self.last_ns,
            }
            self.market_made = self.market_version, plain_market
        return self.market_made[1]

    def note_traded(self) -> None:
        """Call after every change of the position or of its money."""
        self.was_traded = bool(self.cost or self.realised or self.fees_quote or self.position)

    def long_worst(self) -> Decimal:
        """Position when every open buy fills and no sell does (may be negative)."""
        return self.position + self.buys_open - self.buys_covered

    def short_worst(self) -> Decimal:
        """Short position when every open sell fills and no buy does (may be negative)."""
        return self.sells_open - self.sells_covered - self.position

    def px_max(self) -> Decimal:
        """The highest price of our open orders, 0 without any."""
        buy = self.buy_pxs[-1] if self.buy_pxs else ZERO
        sell = self.sell_pxs[-1] if self.sell_pxs else ZERO
        return max(sell, buy)

    def pays_value(self, *, is_buy: bool) -> bool:
        """Whether an order spends its value in quote; else its quantity in base."""
        return is_buy or self.model.sell_pays_value

    def weigh(self, hold: Hold, *, weighs: bool) -> None:
        """Count a hold's quantity from now on, or not: of a group one counts (risk_books.py)."""
        if hold.weighs is weighs:
            return
        leaves = hold.leaves if weighs else -hold.leaves
        hold.weighs = weighs
        value = leaves * hold.px
        if hold.is_buy:
            self.buys_open += leaves
        else:
            self.sells_open += leaves
        hold.quote.open_notional += value
        if hold.reserved:
            hold.account.inflight += value if hold.pays_value else leaves
        self.version += 1

    def show_price(self, hold: Hold, *, shown: bool) -> None:
        """Leave an order's price out of the open ones, or put it back.

        What is decided on meanwhile works only when that order has ended, and cannot meet it.
        """
        prices = self.buy_pxs if hold.is_buy else self.sell_pxs
        if shown:
            insort(prices, hold.px)
        else:
            del prices[bisect_left(prices, hold.px)]
        self.version += 1

    def cover(self, hold: Hold, qty: Decimal) -> None:
        """Of a pending order so much adds nothing to its side from now on."""
        change = qty - hold.covered
        if not change:
            return
        hold.covered = qty
        if hold.is_buy:
            self.buys_covered += change
        else:
            self.sells_covered += change
        if hold.reserved and not hold.pays_value:
            hold.account.inflight -= change
        self.version += 1

    def arrive(self, hold: Hold, qty: Decimal) -> None:
        """So much of an order is known to have traded, though its fills are not told yet."""
        change, hold.arrives = qty - hold.arrives, qty
        if hold.is_buy:
            self.sells_covered += change
            self.arriving += change
        else:
            self.buys_covered += change
            self.arriving -= change
        self.version += 1

    def shrink_hold(self, hold: Hold, qty: Decimal, *, settled: bool) -> None:
        """Take `qty` (at most its leaves) out of a hold; `settled`: the venue spent it."""
        hold.leaves -= qty
        if not hold.weighs:
            return
        value = qty * hold.px
        if hold.is_buy:
            self.buys_open -= qty
        else:
            self.sells_open -= qty
        self.version += 1
        hold.quote.open_notional -= value
        if hold.reserved:
            amount = value if hold.pays_value else qty
            hold.account.inflight -= amount
            if settled:
                hold.account.unsettled += amount

    def book_fill(self, fill: Fill) -> tuple[Decimal, bool]:
        """Move the position by a fill. Returns the profit it realised and whether it reduced.

        Average-cost accounting; `cost` is what the present position cost, so cash, cost and
        realised always sum to what was really paid, to the last digit.
        """
        qty = fill.qty if fill.side is _BUY else -fill.qty
        if fill.fee_asset and fill.fee_asset == self.base:
            qty -= fill.fee
            if fill.side is _SELL:
                self.fees_since_sell += fill.fee
            self.fees_quote += fill.fee * fill.price
        elif fill.fee_asset == self.quote:
            self.fees_quote += fill.fee
        gained = ZERO
        before = self.position
        reduced = before != 0 and (before > 0) != (fill.side is _BUY)
        if reduced and qty:
            closed = -qty if abs(qty) <= abs(before) else before
            part = self.cost
            if closed != before:
                part = (self.cost * closed / before).quantize(_COST_STEP)
            gained = closed * fill.price - part
            self.cost += qty * fill.price + gained
        else:
            self.cost += qty * fill.price
        self.position = before + qty
        self.realised += gained
        if not self.was_traded or not self.position:
            self.note_traded()
        self.version += 1
        return gained, reduced
