"""What everything is worth in the numeraire: equity as marked, worst cases, and the day's turnover.

Rules of this file:
1. What cannot be valued makes the whole None: no rule may pass on a guess.
2. Worst cases are worked out again only for a book whose `version` has moved.
"""

from collections.abc import Iterable
from decimal import Decimal

from daemon.model.amounts import NS_PER_MS, ZERO
from daemon.model.ids import InstrumentId
from riskcaps.state.conversion import PAR, Rate, Worth, worst_value
from riskcaps.state.drawdown import EquityLedger, EquityView, LossRule
from riskcaps.state.risk_books import RiskBooks
from riskcaps.state.symbol_book import SymbolBook

Turnover = tuple[str, Decimal, Decimal, Rate | None]
"""Of one quote asset: its name, traded in 24 hours, open, its rate to the numeraire."""


class Valuation:
    """Values what `books` hold; `ledger` keeps peak, baselines and losses."""

    def __init__(self, books: RiskBooks) -> None:
        self.ledger = EquityLedger()
        self._books = books
        self._worst: dict[InstrumentId, tuple[int, Worth]] = {}

    # ------------------------------------------------------------------ equity
    def mark_all(self, now_ns: int) -> tuple[LossRule, ...]:
        """Value every traded symbol anew; the loss rules whose action falls due."""
        self._value_all()
        return self.ledger.mark(self.equity(), now_ns)

    def mark(self, book: SymbolBook, now_ns: int) -> tuple[LossRule, ...]:
        """Value one symbol anew; the loss rules whose action falls due."""
        self._value(book)
        return self.ledger.mark(self.equity(), now_ns)

    def resume(self) -> None:
        """Value what a restored state holds; peaks and baselines are the state's own."""
        self._value_all()
        self.ledger.resume(self.equity())

    def _value_all(self) -> None:
        for book in self._books.by_id.values():
            if book.was_traded:
                self._value(book)

    def _value(self, book: SymbolBook) -> None:
        position = book.position
        total = book.realised - book.fees_quote - book.cost
        if position:
            mark = book.mark_bid if position > 0 else book.mark_ask
            if not mark:
                book.worth = None
                return
            total += position * mark
        rates, quote = self._books.rates, book.quote
        if quote != rates.numeraire or not quote:
            rate = rates.rate(quote)
            if rate is None:
                book.worth = None
                return
            total *= rate[0] if total > 0 else rate[1]
        book.worth = total

    def equity(self) -> Decimal | None:
        """Equity as last valued; None while a part of it cannot be valued."""
        total = ZERO
        for book in self._books.by_id.values():
            if book.was_traded:
                if book.worth is None:
                    return None
                total += book.worth
        if not self._books.fees_owed:
            return total
        owed = self._owed()
        return None if owed is None else total - owed

    def _owed(self) -> Decimal | None:
        total = ZERO
        for asset, owed in self._books.fees_owed.items():
            rate = self._books.rates.rate(asset)
            if rate is None:
                return None
            total += owed * rate[1]
        return total

    def unvalued(self) -> dict[str, str]:
        """What keeps equity from being known: each asset or symbol with what would mend it."""
        missing: dict[str, str] = {}
        if self.ledger.equity is not None:
            return missing
        rates = self._books.rates
        for book in self._books.by_id.values():
            if not book.was_traded or book.worth is not None:
                continue
            if rates.rate(book.quote) is None:
                missing[book.quote] = f"{book.symbol} is quoted in it; {self._no_rate(book.quote)}"
            else:
                missing[book.symbol] = "no price of it was seen yet"
        for asset in self._books.fees_owed:
            if rates.rate(asset) is None:
                missing[asset] = f"fees were paid in it; {self._no_rate(asset)}"
        return missing

    def _no_rate(self, asset: str) -> str:
        """Why an asset has no rate, and what would give it one."""
        legs, caps = self._books.rates.legs(asset), self._books.capset
        if legs:
            silent = [leg.book.symbol for leg in legs if leg.book.top is None] or ["its path"]
            return f"no price of {', '.join(silent)} was seen yet"
        declared = caps.conversions.get(asset)
        if declared:
            return f"the path {' '.join(declared)} does not lead to {caps.numeraire}: watch it"
        pair = f"{asset}{caps.numeraire}"
        return f'no path: add {asset} = ["{pair}"] to [caps.conversions], "{pair}" to venue.symbols'

    def view(self) -> EquityView:
        """Equity with its parts, where they can be valued."""
        realised: Decimal | None = ZERO
        fees = self._owed()
        for book in self._books.by_id.values():
            if not book.was_traded:
                continue
            rate = self._books.rates.rate(book.quote)
            if rate is None or realised is None or fees is None:
                realised = fees = None
                break
            realised += book.realised * (rate[0] if book.realised > 0 else rate[1])
            fees += book.fees_quote * rate[1]
        held = self.ledger
        known = held.equity is not None and realised is not None and fees is not None
        unrealised = held.equity - realised + fees if known else None  # type: ignore[operator]
        drawdown = None
        if held.equity is not None and held.peak is not None:
            drawdown = max(held.peak - held.equity, ZERO)
        return EquityView(
            numeraire=self._books.capset.numeraire,
            equity=held.equity,
            peak=held.peak,
            drawdown=drawdown,
            realised=realised,
            unrealised=unrealised,
            fees=fees,
            day=held.day,
            day_open=held.day_open,
            session_open=held.session_open,
            rebased=held.rebased,
        )

    def take_record(self) -> EquityView | None:
        """What an EQUITY record must carry now (peak or baseline moved), or None."""
        if not self.ledger.due:
            return None
        view = self.view()
        self.ledger.due = False
        self.ledger.rebased = ""
        return view

    # ------------------------------------------------------------------ worst cases
    def worst(self, book: SymbolBook) -> Worth | None:
        """Worst-case value of one symbol as it stands; None while it cannot be valued."""
        kept = self._worst.get(book.instrument_id)
        if kept is not None and kept[0] == book.version:
            return kept[1]
        rate, top = self._books.rates.rate(book.quote), book.top
        if rate is None or top is None:
            return None
        px = max(book.px_max(), top.ask_px)
        worth = worst_value(book.long_worst(), book.short_worst(), px, top.bid_px, rate)
        if book.at_par:  # else it moves with the tops of other books too
            self._worst[book.instrument_id] = (book.version, worth)
        return worth

    def worst_of(self, names: Iterable[InstrumentId], now_ns: int) -> Worth | None:
        """Worst-case values of these symbols; None while one has no fresh price."""
        gross = net_long = net_short = ZERO
        books = self._books
        oldest_ns = now_ns - books.capset.valuation_age_ms_max * NS_PER_MS
        for name in names:
            book = books.by_id[name]
            worth = self.worst(book)
            if worth is None or book.top_ns < oldest_ns:
                return None
            if not book.at_par:
                rate = books.rates.rate(book.quote)
                if rate is None or rate[2] < oldest_ns:
                    return None
            gross += worth[0]
            net_long += worth[1]
            net_short += worth[2]
        return gross, net_long, net_short

    def worst_of_all(self) -> Worth | None:
        """Worst-case gross and net values now; None while something cannot be valued."""
        gross = net_long = net_short = ZERO
        for book in self._books.active.values():
            worth = self.worst(book)
            if worth is None:
                return None
            gross += worth[0]
            net_long += worth[1]
            net_short += worth[2]
        return gross, net_long, net_short

    def turnover(self, now_ns: int) -> list[Turnover]:
        """Each quote asset that was traded in or is open."""
        rows: list[Turnover] = []
        rates = self._books.rates
        for asset, account in self._books.quotes.items():
            kept = account.traded
            traded = kept.kept if now_ns <= kept.leaves_ns else kept.total(now_ns)
            if traded or account.open_notional:
                rate = PAR if asset == rates.numeraire else rates.rate(asset)
                rows.append((asset, traded, account.open_notional, rate))
        return rows


def total_of(turnover: list[Turnover]) -> Decimal | None:
    """Traded plus open, in the numeraire; None while a rate is missing."""
    total = ZERO
    for _, traded, is_open, rate in turnover:
        if rate is None:
            return None
        value = traded + is_open
        total += value if rate is PAR else value * rate[1]
    return total
