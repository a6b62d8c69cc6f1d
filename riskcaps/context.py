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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.model.ids import InstrumentId

if TYPE_CHECKING:
    from riskcaps.exposure import SymbolBook
    from riskcaps.keeper import Keeper


@dataclass(frozen=True, slots=True)
class RiskContext:
    """Caps and filters of one instrument, as one line writes them down."""

    digest: str
    plain: Mapping[str, Any]
    """{instrument_id, caps_hash: of the whole set, portfolio_caps, caps: the symbol's or null,
    filters: the venue's or null}."""


def context_of(keeper: "Keeper", book: "SymbolBook") -> RiskContext:
    """The context of decisions on a book now; made when caps or filters have changed."""
    if book.context is None:
        book.context = _make(keeper, book.instrument_id, book.caps_plain, book.filters)
    return book.context


def context_of_stranger(keeper: "Keeper", instrument_id: InstrumentId) -> RiskContext:
    """The context of a denial for an instrument that the venue has not told: it may have caps."""
    caps = keeper.capset.for_instrument(instrument_id)
    return _make(keeper, instrument_id, caps.to_plain() if caps else None, None)


def _make(
    keeper: "Keeper",
    instrument_id: InstrumentId,
    caps: Mapping[str, Any] | None,
    filters: Mapping[str, Any] | None,
) -> RiskContext:
    plain = {
        "instrument_id": instrument_id,
        "caps_hash": keeper.caps_hash,
        "portfolio_caps": keeper.caps_plain,
        "caps": caps,
        "filters": filters,
    }
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return RiskContext(hashlib.sha256(text.encode()).hexdigest(), plain)
