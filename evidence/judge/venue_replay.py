"""Replays the venue's own events against the caps: exposure as it really stood there."""

from collections import deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from evidence.folds.exposure_fold import (
    Assets,
    CapTable,
    ExposureBook,
    Use,
    Working,
    order_uses,
    quantity_uses,
    rate_uses,
    value_uses,
)
from evidence.read.exact_amounts import amount_or_zero

Rows = Sequence[Mapping[str, Any]]


class VenueReplay:
    """Exposure as it really stood at the venue, event by event."""

    def __init__(self, caps: CapTable, assets: Assets, fills: Rows) -> None:
        self.caps = caps
        self.assets = assets
        self.book = ExposureBook()
        self.has_grown = True
        """Whether the last order placed made its symbol's worst side larger: only then is it held
        against the caps on value, as in `CapsFold`."""
        self._fees: dict[str, deque[Mapping[str, Any]]] = {}
        for row in fills:
            self._fees.setdefault(str(row.get("client_order_id")), deque()).append(row)

    def standing(self, row: Mapping[str, Any]) -> dict[tuple[str, str], Decimal]:
        """The use, before an event, of the caps that a position may exceed."""
        symbol = str(row.get("symbol"))
        uses = [
            *value_uses(self.book, self.caps, symbol, self.assets),
            *quantity_uses(self.book, self.caps, symbol),
        ]
        return {(use.cap, use.symbol): use.used for use in uses}

    def step(
        self, row: Mapping[str, Any], reference_price: Decimal, *, is_oco: bool, first: str
    ) -> list[Use]:
        """Apply one event of an order; returns the use after it.

        `is_oco`: it is one of an OCO. `first`: the order that must be filled before it works.

        Raises:
            AmountError: the event's amounts are no amounts.
        """
        kind, cid = str(row.get("kind")), str(row.get("client_order_id"))
        symbol, is_buy = str(row.get("symbol")), str(row.get("side")) == "BUY"
        qty, price = amount_or_zero(row.get("qty")), amount_or_zero(row.get("price"))
        book = self.book
        if kind == "accepted":
            price = price or reference_price or book.book(symbol).mark
            list_id = row.get("order_list_id")
            oco = f"{symbol} {list_id}" if is_oco and list_id not in (None, -1, "-1") else ""
            worst_qty = book.book(symbol).worst_qty
            book.place(
                cid, Working(symbol, is_buy, qty, price, oco, first), int(row.get("ts_ns") or 0)
            )
            book.book(symbol).mark = reference_price or book.book(symbol).mark
            self.has_grown = book.book(symbol).worst_qty > worst_qty
            return [
                *order_uses(self.caps, symbol, qty, price),
                *rate_uses(book, self.caps),
                *value_uses(book, self.caps, symbol, self.assets),
                *quantity_uses(book, self.caps, symbol),
            ]
        if kind == "fill":
            # An event shows its order's quantity and price; the trade's own stand beside them.
            qty = amount_or_zero(row.get("last_qty", row.get("qty")))
            price = amount_or_zero(row.get("last_price", row.get("price")))
            book.fill(cid, symbol, is_buy=is_buy, qty=qty, price=price)
            self._take_base_fee(cid, symbol, is_buy=is_buy)
            order = book.working.get(cid)
            if order is not None and order.leaves == 0:
                book.end(cid, is_filled=True)
            return quantity_uses(book, self.caps, symbol)
        if kind == "amended":
            book.amend(cid, amount_or_zero(row.get("leaves")))
            return []
        if kind in {"canceled", "expired", "done", "rejected"}:
            book.end(cid, is_filled=False)
        return []

    def _take_base_fee(self, cid: str, symbol: str, *, is_buy: bool) -> None:
        """An order's fills stand in the ledger in the order of their events."""
        fills = self._fees.get(cid)
        fill = fills.popleft() if fills else {}
        if fill.get("fee_asset") and fill["fee_asset"] == self.assets.get(symbol, ("", ""))[0]:
            self.book.fee_in_base(cid, symbol, amount_or_zero(fill.get("fee")), is_buy=is_buy)
