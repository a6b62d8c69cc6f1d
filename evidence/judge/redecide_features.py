"""Decides trailing, iceberg and pegged orders again, from the recorded inputs alone."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from evidence.read.decision_inputs import CapsAndFilters, WrittenInputs, is_positive
from evidence.read.exact_amounts import ZERO

STOP_KINDS = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
LIMIT_KINDS = frozenset({"LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
PEG_LEVELS_MAX = 100
_PARTS = {"trailing_bps": "TRAILING", "iceberg_qty": "ICEBERG", "peg": "PEGGED"}


class ExtrasRules(WrittenInputs):
    """What the decision states under `extras`; nothing for a plain order."""

    def __init__(self, inputs: Mapping[str, Any], terms: CapsAndFilters | None = None) -> None:
        super().__init__(inputs, terms)
        found = self.inputs.get("extras")
        self.extras: Mapping[str, Any] | None = found if isinstance(found, dict) else None
        self.now_ns = self.whole("now_ns")
        self.is_buy = self.inputs["side"] == "BUY"
        self.kind = str(self.inputs["order_type"])
        self.qty = ZERO
        trailing = (self.extras or {}).get("trailing_bps", 0)
        self.trailing_bps: int = trailing if _is_whole(trailing) else 0
        self.is_pegged = bool((self.extras or {}).get("peg"))

    def lot(self) -> Decimal:
        """The step of quantities."""
        return self.venue_filter["lot"] or Decimal(1).scaleb(
            -int(self.venue_filter["base_precision"])
        )

    def extras_are_well_formed(self) -> bool:
        """Rule 13 for trailing, iceberg and peg."""
        extras = self.extras
        if extras is None:
            return True
        if not any(extras.get(part) for part in _PARTS):
            return False
        shown, peg = extras.get("iceberg_qty"), extras.get("peg")
        bps, levels = extras.get("trailing_bps"), extras.get("peg_levels")
        if not (isinstance(bps, int) and isinstance(levels, int)):
            return False
        if bps < 0 or (bps and self.kind not in STOP_KINDS):
            return False
        is_gtc = self.kind == "LIMIT_MAKER" or self.inputs["time_in_force"] == "GTC"
        if shown is not None:
            whole = self.wished("qty")
            if not is_positive(shown) or not Decimal(str(shown)) < whole:
                return False
            if self.kind not in LIMIT_KINDS or not is_gtc:
                return False
        if not 0 <= levels <= PEG_LEVELS_MAX or (levels and not peg):
            return False
        if not peg:
            return True
        if self.kind not in LIMIT_KINDS or (self.kind == "LIMIT_MAKER" and peg != "PRIMARY_PEG"):
            return False
        return not (self.kind == "LIMIT" and peg == "PRIMARY_PEG" and not is_gtc)

    def has_denied_feature(self) -> bool:
        """Rule 15 for trailing, iceberg and peg."""
        if self.extras is None:
            return False
        wanted = [name for part, name in _PARTS.items() if self.extras.get(part)]
        allowed = self.caps.get("order_features", ())
        offered = self.filters.get("features", ())
        if any(name not in allowed or name not in offered for name in wanted):
            return True
        return self.kind == "TAKE_PROFIT" and self.trailing_bps > 0

    def extras_filters(self) -> str:
        """Rule 28 for trailing, iceberg and peg."""
        extras = self.extras
        if extras is None:
            return ""
        if extras.get("iceberg_qty") is not None:
            reason = self._iceberg(Decimal(str(extras["iceberg_qty"])))
            if reason:
                return reason
        if not self.trailing_bps:
            return ""
        is_stop = self.kind.startswith("STOP_LOSS")
        where = "above" if is_stop == self.is_buy else "below"
        low = self.venue_filter[f"trailing_{where}_bps_min"]
        high = self.venue_filter[f"trailing_{where}_bps_max"]
        is_out = self.trailing_bps < low or (high and self.trailing_bps > high)
        return "filter_trailing" if is_out else ""

    def _iceberg(self, shown: Decimal) -> str:
        low, high = self.venue_filter["qty_min"], self.venue_filter["qty_max"]
        if (low and shown < low) or (high and shown > high):
            return "filter_qty"
        if shown % self.lot():
            return "filter_lot"
        parts, orders = (
            self.venue_filter["iceberg_parts_max"],
            self.venue_filter["iceberg_orders_open_max"],
        )
        if parts and self.qty > shown * parts:
            return "filter_iceberg"
        too_many = orders and self.row("orders_open", 3)[0] + 1 > orders
        return "filter_orders_open" if too_many else ""


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
