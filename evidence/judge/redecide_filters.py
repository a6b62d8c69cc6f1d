"""The rules of a decision that belong to the venue: its price, size and account filters (24-31).

They work on what the rules before them have settled: the quantity, the order's price, the
reference price.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from evidence.judge.redecide_features import ExtrasRules
from evidence.read.decision_inputs import CapsAndFilters
from evidence.read.exact_amounts import ZERO

UNPRICED = frozenset({"MARKET", "STOP_LOSS", "TAKE_PROFIT"})
STOPS = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})


class FilterRules(ExtrasRules):
    """A decision's inputs, what was settled of them, and the venue's filters over both."""

    def __init__(self, inputs: Mapping[str, Any], terms: CapsAndFilters | None = None) -> None:
        super().__init__(inputs, terms)
        self.is_unpriced = self.kind in UNPRICED
        self.px = ZERO
        self.ref = ZERO
        self.value_px = ZERO
        self.reducing = False

    def price_filters(self) -> str:
        """Rules 24-26."""
        low, high = self.venue_filter["price_min"], self.venue_filter["price_max"]
        tick = self.venue_filter["tick"]
        tick = tick or Decimal(1).scaleb(-int(self.venue_filter["quote_precision"]))
        for key in ("price", "stop_price"):
            if self.inputs[key] is None:
                continue
            px = self.wished(key)
            if (low and px < low) or (high and px > high):
                return "filter_price"
            if px % tick:
                return "filter_tick"
        if self.is_unpriced or self.is_pegged:
            return ""
        side = "bid" if self.is_buy else "ask"
        up, down = (
            self.venue_filter[f"{side}_multiplier_up"],
            self.venue_filter[f"{side}_multiplier_down"],
        )
        px = self.wished("price")
        is_far = (up and px > self.ref * up) or (down and px < self.ref * down)
        return "filter_percent_price" if is_far else ""

    def size_filters(self) -> str:
        """Rules 27-29."""
        if self._outside("qty_min", "qty_max"):
            return "filter_qty"
        if self.qty % self.lot():
            return "filter_lot"
        reason = self.extras_filters()
        if reason:
            return reason
        checks_min = checks_max = True
        if self.is_unpriced:
            if self._outside("market_qty_min", "market_qty_max"):
                return "filter_qty"
            lot = self.venue_filter["market_lot"]
            if lot and self.qty % lot:
                return "filter_lot"
            filters = self.filters
            checks_min = bool(filters.get("notional_min_applies_to_market", True))
            checks_max = bool(filters.get("notional_max_applies_to_market", False))
        low, high = self.venue_filter["notional_min"], self.venue_filter["notional_max"]
        has_price = not self.is_unpriced and not self.is_pegged
        px = self.wished("price") if has_price else self.amount_at("bid")
        if checks_min and low and self.qty * px < low:
            return "filter_notional"
        return "filter_notional" if checks_max and high and self.qty * self.px > high else ""

    def _outside(self, low_key: str, high_key: str) -> bool:
        low, high = self.venue_filter[low_key], self.venue_filter[high_key]
        return bool((low and self.qty < low) or (high and self.qty > high))

    def account_filters(self) -> str:
        """Rules 30-31."""
        of_symbol, stops, total = self.row("orders_open", 3)
        open_max, stops_max = (
            self.venue_filter["orders_open_max"],
            self.venue_filter["algo_orders_open_max"],
        )
        if open_max and of_symbol + 1 > open_max:
            return "filter_orders_open"
        if self.kind in STOPS and stops_max and stops + 1 > stops_max:
            return "filter_orders_open"
        if self._is_over_on_the_account(total):
            return "filter_orders_open"
        base_max, quote_max = (
            self.venue_filter["asset_base_max"],
            self.venue_filter["asset_quote_max"],
        )
        if (base_max and self.qty > base_max) or (quote_max and self.qty * self.px > quote_max):
            return "filter_asset"
        position_max = self.venue_filter["position_max"]
        if not position_max or not self.is_buy:
            return ""
        if self.inputs["base_total"] is None:
            return "balance_unknown"
        worst = self.amount_at("base_total") + self.amount_at("buys_open") + self.qty
        return "filter_position" if worst > position_max else ""

    def _is_over_on_the_account(self, total: int) -> bool:
        """Whether a filter of the whole account is exceeded; each open order counts as one."""
        names = ["exchange_orders_open_max"]
        if self.kind in STOPS:
            names.append("exchange_algo_orders_open_max")
        if self.extras is not None and self.extras.get("iceberg_qty") is not None:
            names.append("exchange_iceberg_orders_open_max")
        return any(0 < self.venue_filter[name] < total + 1 for name in names)
