"""What every decision on an instrument stands on: caps and filters, written once and named after.

Rules of this file:
1. `digest` is the SHA-256 (hex) of the canonical JSON of `plain`: keys sorted, no blanks. Whoever
   has the line can make it again, so that a decision's digest names exactly one text.
2. A context never changes; other caps or filters are another context.
3. Its line (`risk_context`) stands in the journal before any decision that names it.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from daemon.model.ids import InstrumentId
from riskcaps.state.risk_books import RiskBooks
from riskcaps.words.capset import CapSet


class RiskContext(msgspec.Struct, frozen=True):
    """Caps and filters of one instrument, as one line writes them down."""

    digest: str
    plain: Mapping[str, Any]
    """{instrument_id, caps_hash: of the whole set, portfolio_caps, caps: the symbol's or null,
    filters: the venue's or null}."""


class Contexts:
    """The context of each instrument, made again when its terms have changed."""

    def __init__(self, books: RiskBooks) -> None:
        self.caps_hash = ""
        self._books = books
        self._portfolio: dict[str, Any] = {}
        self.made: dict[InstrumentId, tuple[int, RiskContext]] = {}
        """The context of each book, while the book's `terms_version` is the one beside it."""

    def set_caps(self, capset: CapSet, caps_hash: str) -> None:
        """Caps of this run; the books' terms change with them."""
        self.caps_hash = caps_hash
        self._portfolio = {k: v for k, v in capset.to_plain().items() if k != "symbols"}

    def of(self, instrument_id: InstrumentId) -> RiskContext:
        """The context of a decision on an instrument now; nobody may have heard of it."""
        made, book = self.made.get(instrument_id), self._books.by_id.get(instrument_id)
        if made is not None and book is not None and made[0] == book.terms_version:
            return made[1]
        caps = self._books.capset.for_instrument(instrument_id)
        plain = {
            "instrument_id": instrument_id,
            "caps_hash": self.caps_hash,
            "portfolio_caps": self._portfolio,
            "caps": caps.to_plain() if caps else None,
            "filters": book.filters if book else None,
        }
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
        context = RiskContext(hashlib.sha256(text.encode()).hexdigest(), plain)
        if book is not None:
            self.made[instrument_id] = (book.terms_version, context)
        return context
