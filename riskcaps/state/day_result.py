"""What one bot's fills have gained and lost since 00:00 UTC, and what its positions would lose now.

Rules of this file:
1. The realised part is a fold of fills, by quote asset; nothing that is not journalled moves it.
2. A gain that is not realised counts for nothing, a loss in full (at bid or ask, rates against us).
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from daemon.model.amounts import ZERO, decimal_of
from riskcaps.state.risk_books import RiskBooks
from riskcaps.state.windows import DAY_NS


class DayResult:
    """Realised profit of the day by quote asset, fees taken off."""

    def __init__(self) -> None:
        self.day = 0
        self.realised: dict[str, Decimal] = {}

    def add(self, quote: str, gained: Decimal, now_ns: int) -> None:
        """A fill has moved the result."""
        day = now_ns // DAY_NS
        if day != self.day:
            self.day, self.realised = day, {}
        self.realised[quote] = self.realised.get(quote, ZERO) + gained

    def loss(self, books: RiskBooks, now_ns: int) -> Decimal | None:
        """The loss of the day in the numeraire; None while a part of it cannot be valued."""
        results = dict(self.realised) if now_ns // DAY_NS == self.day else {}
        for book in books.active.values():
            mark = book.mark_bid if book.position > 0 else book.mark_ask
            if not book.position:
                continue
            if not mark:
                return None
            open_result = min(book.position * mark - book.cost, ZERO)
            results[book.quote] = results.get(book.quote, ZERO) + open_result
        loss = ZERO
        for quote, result in results.items():
            rate = books.rates.rate(quote)
            if rate is None:
                return None
            loss -= result * (rate[0] if result > 0 else rate[1])
        return loss

    def state(self) -> dict[str, Any]:
        """Everything durable, as plain JSON."""
        return {"day": self.day, "realised": {k: str(v) for k, v in sorted(self.realised.items())}}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a `state()` back."""
        self.day = int(state["day"])
        self.realised = {quote: decimal_of(text) for quote, text in state["realised"].items()}
