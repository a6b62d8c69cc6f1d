"""Decides a placement again from the recorded inputs of the decision alone.

Rules of this file:
1. The rules stand in the order of the decision's own documentation; the first that fails names the
   verdict. They are written down a second time here on purpose: the gate's code is not used.
2. An input that is absent or no amount makes the decision undecidable, which is never agreement.
3. Comparisons multiply instead of dividing, so they are exact.
"""

import decimal
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from evidence.folds.account_models import account_of
from evidence.judge.redecide_filters import STOPS, FilterRules
from evidence.read.decision_inputs import (
    UndecidableError,
    flat,
    in_windows,
    is_positive,
    limit_of,
    number_of,
)
from evidence.read.exact_amounts import NS_PER_MS, NS_PER_S, ZERO

APPROVED = "approved"
BPS = 10_000
BUDGET_AGE_NS = 60 * NS_PER_S
"""An older sample of the venue's own budget says nothing any more."""
TIMED = frozenset({"LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
ORDER_RATES = ("orders_per_second", "orders_per_minute", "orders_per_hour", "orders_per_day")
MESSAGE_RATES = ("messages_per_second", "messages_per_minute")
BOT_PREFIX = "bot:"
"""A bot's orders carry the strategy id `bot:NAME`."""
PEOPLE = frozenset({"operator", "engine"})


class Redecision(FilterRules):
    """One decision's inputs, and the rules over them."""

    # ------------------------------------------------------------------ the rules
    def verdict(self) -> str:
        """`approved`, or the first reason.

        Raises:
            UndecidableError: an input is absent.
        """
        try:
            reason = self._first_reason(
                self._gate, self._symbol, self._shape, self._market, self._reducing, self._streaks,
                self.price_filters, self.size_filters, self.account_filters, self._order_caps,
                self._position_caps, self._portfolio, self._balance, self._rates, self._turnover,
                self._losses, self._repeats, self._symbols,
            )  # fmt: skip
            return reason if reason != APPROVED else self._verdict_of_bot()
        except decimal.DecimalException:
            return "malformed_order"  # amounts that no exact arithmetic takes (rule 13)

    def _verdict_of_bot(self) -> str:
        """The third scope of the table: the caps of the bot whose order it is."""
        table = _table_of_bot(self)
        if table is None:
            return APPROVED
        mine = flat(self.table("bot"))
        again = Redecision({**self.inputs, **mine, **_caps_of_bot(self.inputs, table)})
        return again.verdict_in_bot(self.qty)

    def verdict_in_bot(self, qty: Decimal) -> str:
        """`approved`, or the first reason of a bot's own caps, over the bot's own inputs.

        `qty`: what the account's rules have made of the wish. The venue's filters and the balance
        are the account's: they have been asked.
        """
        shape = self._first_reason(self._gate, self._symbol, self._shape)
        if shape != APPROVED:
            return shape
        self.qty = qty
        return self._first_reason(
            self._market, self._reducing, self._streaks, self._order_caps, self._position_caps,
            self._portfolio, self._rates, self._turnover, self._losses, self._repeats,
            self._symbols,
        )  # fmt: skip

    def _first_reason(self, *rules: Callable[[], str]) -> str:
        for rule in rules:
            reason = rule()
            if reason:
                return reason
        return APPROVED

    def _gate(self) -> str:
        """Rules 1-6."""
        if self.inputs["halted"]:
            return "halt_flag_closed"
        if self.inputs["trading_state"] == "HALTED":
            return "trading_halted"
        if not self.inputs["journal_ok"]:
            return "journal_unhealthy"
        offset_ns, round_trip_ns, sampled_ns = self.row("clock", 3)
        if sampled_ns < 0:
            return "clock_unknown"
        if self.now_ns - sampled_ns > self.portfolio_cap["clock_age_ms_max"] * NS_PER_MS:
            return "clock_stale"
        drift_ns = 2 * abs(offset_ns) + round_trip_ns
        if drift_ns > 2 * self.portfolio_cap["clock_offset_ms_max"] * NS_PER_MS:
            return "clock_drift"
        return ""

    def _symbol(self) -> str:
        """Rules 7-12."""
        caps = self.inputs["caps"]
        if caps is None:
            return "symbol_not_allowed"
        if self.terms.lacks_a_cap:
            return "cap_not_set"
        if self.inputs["filters"] is None:
            return "instrument_unknown"
        if self.filters.get("status") != "TRADING":
            return "symbol_not_trading"
        if self.inputs["blocked"]:
            return "symbol_blocked"
        return "unknown_order_open" if self.whole("unknown_orders") > 0 else ""

    def _shape(self) -> str:
        """Rules 13-17."""
        caps, filters = self.caps, self.filters
        price, stop = self.inputs["price"], self.inputs["stop_price"]
        well_formed = (
            is_positive(self.inputs["qty"])
            and (price is None if self.is_unpriced or self.is_pegged else is_positive(price))
            and self._stop_is_well_formed(stop)
            and self.extras_are_well_formed()
        )
        if not well_formed:
            return "malformed_order"
        if self.inputs["side"] not in caps.get("sides", ()):
            return "side_not_allowed"
        if self.kind not in caps.get("order_types", ()):
            return "order_type_not_allowed"
        if self.kind not in filters.get("order_types", ()):
            return "order_type_not_allowed"
        if self.has_denied_feature():
            return "order_feature_not_allowed"
        allowed = caps.get("times_in_force", ())
        if self.kind in TIMED and self.inputs["time_in_force"] not in allowed:
            return "time_in_force_not_allowed"
        if not in_windows(self.now_ns, caps.get("trading_windows_utc", ())):
            return "outside_trading_window"
        self.qty = self.wished("qty")
        return ""

    def _stop_is_well_formed(self, stop: object) -> bool:
        if self.kind not in STOPS:
            return stop is None
        return is_positive(stop) or (stop is None and self.trailing_bps > 0)

    def _market(self) -> str:
        """Rules 18-21, and the order's price."""
        reason = self._book_and_reference()
        if not reason and self.is_pegged:
            edge = self.cap["collar_bps_max"]
            self.px = self.ref * (BPS + (edge if self.is_buy else -edge)) / BPS
        return reason

    def _book_and_reference(self) -> str:
        bid_text = self.inputs["bid"]
        if bid_text is None or self.amount_at("bid") <= 0:
            return "no_market_data"
        oldest_ns = self.now_ns - self.cap["market_data_age_ms_max"] * NS_PER_MS
        if self.whole("top_ns") < oldest_ns:
            return "stale_market_data"
        bid, ask = self.amount_at("bid"), self.amount_at("ask")
        if bid >= ask:
            return "crossed_book"
        if self.is_unpriced:
            self.px = _far_price(self, bid, ask)
        elif not self.is_pegged:
            self.px = self.wished("price")
        if self.inputs["reference_px"] is None:
            self.ref = (bid + ask) / 2
            return ""
        self.ref = self.amount_at("reference_px")
        is_old = self.whole("reference_ns") < oldest_ns
        return "no_reference_price" if self.ref <= 0 or is_old else ""

    def _room(self) -> Decimal:
        """The quantity by which this side may still reduce the position."""
        long_worst, short_worst = _worst(self)
        return _cover(self) - (long_worst if self.is_buy else short_worst)

    def _reducing(self) -> str:
        """Rule 22."""
        room = self._room()
        self.reducing = 0 < self.qty <= room
        must = bool(self.inputs["reduce_only"]) or self.inputs["trading_state"] == "REDUCING"
        if not must or self.reducing:
            return ""
        if self.portfolio_caps.get("reduce_oversized") == "cut":
            lot = self.lot()
            cut = room // lot * lot if room > 0 else ZERO
            if cut > 0:
                self.qty, self.reducing = cut, True
                return ""
        return "not_reducing"

    def _streaks(self) -> str:
        """Rule 23."""
        executions, rejects, losses = self.row("streaks", 3)
        if self.inputs["strategy_id"] in PEOPLE and self.reducing:
            return ""
        if executions >= self.portfolio_cap["executions_without_human_max"]:
            return "executions_need_human"
        if rejects >= self.portfolio_cap["venue_reject_streak_max"]:
            return "venue_reject_streak"
        return "loss_streak" if losses >= self.portfolio_cap["loss_streak_max"] else ""

    def _order_caps(self) -> str:
        """Rules 32-34."""
        ask = self.amount_at("ask")
        own_max = self.row("own_px", 3)[2]
        self.value_px = max(self.px, ask, number_of(own_max or 0, "own_px"))
        if self.qty > self.cap["order_qty_base_max"]:
            return "order_qty"
        if self.qty * max(self.px, ask) > self.cap["order_notional_quote_max"]:
            return "order_notional"
        if abs(self.px - self.ref) * BPS > self.ref * self.cap["collar_bps_max"]:
            return "price_collar"
        return ""

    def _position_caps(self) -> str:
        """Rules 35-38."""
        long_worst, short_worst = _worst(self)
        side = (long_worst if self.is_buy else short_worst) + _added(self)
        name = "long" if self.is_buy else "short"
        if side > 0 and side > self.cap[f"position_{name}_base_max"]:
            return f"position_{name}"
        if side > 0 and side * self.value_px > self.cap["exposure_quote_max"]:
            return "exposure_symbol"
        of_symbol, _, total = self.row("orders_open", 3)
        if of_symbol + 1 > self.cap["orders_open_max"]:
            return "orders_open_symbol"
        if total + 1 > self.portfolio_cap["orders_open_max"]:
            return "orders_open_total"
        return ""

    def _portfolio(self) -> str:
        """Rules 39-41."""
        if self.reducing:
            return ""
        rate = self.inputs["rate"]
        if rate is None:
            return "rate_missing"
        rate_low, rate_high = number_of(rate[0], "rate"), number_of(rate[1], "rate")
        oldest_ns = self.now_ns - self.portfolio_cap["valuation_age_ms_max"] * NS_PER_MS
        if rate[2] and rate[2] < oldest_ns:
            return "valuation_stale"
        long_worst, short_worst = _worst(self)
        before = max(long_worst, short_worst, ZERO)
        if self.is_buy:
            long_worst += _added(self)
        else:
            short_worst += _added(self)
        worst = max(long_worst, short_worst, ZERO)
        gross = worst * self.value_px * rate_high
        side = long_worst if self.is_buy else short_worst
        bid = self.amount_at("bid")
        net = side * (self.value_px * rate_high if side > 0 else bid * rate_low)
        for row in self.table("others").values():
            reason = _unvalued(row, oldest_ns)
            if reason:
                return reason
            more_gross, more_net = _other_worth(row, is_buy=self.is_buy)
            gross += more_gross
            net += more_net
        if worst > before and gross > self.portfolio_cap["exposure_gross_numeraire_max"]:
            return "exposure_gross"
        is_over = net > 0 and net > self.portfolio_cap["exposure_net_numeraire_max"]
        return "exposure_net" if is_over else ""

    def _balance(self) -> str:
        """Rules 42-43."""
        asset, free, inflight, unsettled = self.row("balance", 4)[:4]
        if free is None:
            return "balance_unknown"
        floors = self.portfolio_caps.get("balance_free_min") or {}
        account = account_of(self.filters)
        if account is None:
            raise UndecidableError(f"no rules are known for kind {self.table('filters')['kind']!r}")
        qty = self.qty if self.is_buy else _added(self)  # a pending buy is paid for whole
        need = account.cost(qty, self.px, is_buy=self.is_buy)
        need += number_of(floors.get(asset, 0), "balance_free_min")
        need += number_of(inflight, "balance") + number_of(unsettled, "balance")
        return "balance_insufficient" if need > number_of(free, "balance") else ""

    def _rates(self) -> str:
        """Rules 44-47."""
        attempts = self.row("attempts", 4)
        for count, name in zip(attempts, ORDER_RATES, strict=False):
            if count + 1 > self.portfolio_cap[f"{name}_max"]:
                return name
        if self.whole("symbol_minute") + 1 > self.cap["orders_per_minute_max"]:
            return "orders_per_minute_symbol"
        for count, name in zip(_messages(self), MESSAGE_RATES, strict=False):
            limit = self.portfolio_cap[f"{name}_max"]
            limit -= self.portfolio_cap[f"{name}_cancel_reserve"]
            if count + 1 > max(limit, ZERO):
                return name
        if self.now_ns - int(self.inputs.get("budget_ns", self.now_ns)) > BUDGET_AGE_NS:
            return ""
        share = self.portfolio_cap["venue_budget_percent_max"]
        for used, limit in self.table("budget").values():
            if (used + 1) * 100 > limit * share:
                return "venue_budget"
        return ""

    def _turnover(self) -> str:
        """Rules 48-50."""
        orders = self.row("attempts", 4)[3] + 1
        executions = max(self.whole("executions"), 1)
        if (
            orders > self.portfolio_cap["order_to_trade_grace_orders"]
            and orders > self.portfolio_cap["order_to_trade_ratio_max"] * executions
        ):
            return "order_to_trade_ratio"
        rate = self.inputs["rate"]
        if rate is None:  # a reducing order comes here without one: the portfolio does not ask it
            return "rate_missing"
        total = self.qty * max(self.px, self.amount_at("ask")) * number_of(rate[1], "rate")
        for traded, is_open, rate_high in self.table("turnover").values():
            value = number_of(traded, "turnover") + number_of(is_open, "turnover")
            if value and rate_high is None:
                return "rate_missing"
            total += value * number_of(rate_high or 0, "turnover")
        if total > self.portfolio_cap["traded_notional_per_day_numeraire_max"]:
            return "traded_notional_per_day"
        qty = (
            self.amount_at("traded_qty")
            + self.amount_at("buys_open")
            + self.amount_at("sells_open")
        )
        is_over = qty + self.qty > self.cap["traded_qty_per_day_base_max"]
        return "traded_qty_per_day" if is_over else ""

    def _losses(self) -> str:
        """Rules 51-52."""
        if self.inputs["equity"] is None:
            return "" if self.reducing else "equity_unknown"
        names = ("loss_session", "loss_day", "drawdown")
        for row, name in zip(self.row("losses", 3), names, strict=False):
            used, limit, action, latched = row
            is_reached = latched or number_of(used, "losses") >= number_of(limit, "losses")
            if is_reached and not (self.reducing and action != "deny"):
                return name
        return ""

    def _repeats(self) -> str:
        """Rules 53-54."""
        if self.whole("duplicate_ns") >= 0:
            return "duplicate_order"
        buy_max, sell_min, _ = self.row("own_px", 3)
        other = sell_min if self.is_buy else buy_max
        if other is None:
            return ""
        best = number_of(other, "own_px")
        crosses = self.px >= best if self.is_buy else self.px <= best
        return "self_trade" if crosses or self.is_unpriced else ""

    def _symbols(self) -> str:
        """Rule 55. A decision from before the cap states none, and was bound by none."""
        limit = self.portfolio_caps.get("symbols_traded_max")
        if limit is None or self.reducing or self.amount_at("position"):
            return ""
        if self.row("orders_open", 3)[0]:
            return ""
        is_over = len(self.table("others")) + 1 > limit_of(limit)
        return "symbols_traded" if is_over else ""


def _worst(again: Redecision) -> tuple[Decimal, Decimal]:
    """Long and short position in the worst case; what is covered adds nothing to its side."""
    position = again.amount_at("position")
    covered = again.row("covered", 2) if "covered" in again.inputs else (0, 0)
    buys = again.amount_at("buys_open") - number_of(covered[0], "covered")
    sells = again.amount_at("sells_open") - number_of(covered[1], "covered")
    return position + buys, sells - position


def _cover(again: Redecision) -> Decimal:
    """What the first order of its list brings before a pending order works."""
    return number_of(again.inputs.get("cover", 0), "cover")


def _added(again: Redecision) -> Decimal:
    """What the order adds to its side."""
    return max(again.qty - _cover(again), ZERO)


def _far_price(again: Redecision, bid: Decimal, ask: Decimal) -> Decimal:
    """The worst price of an order without one."""
    sign = 1 if again.is_buy else -1
    far = ask if again.is_buy else bid
    if again.inputs["stop_price"] is not None:
        far = (max if again.is_buy else min)(again.wished("stop_price"), far)
    far = far * (BPS + sign * again.trailing_bps) / BPS
    return far * (BPS + sign * again.cap["market_slippage_bps"]) / BPS


def _messages(again: Redecision) -> Sequence[int]:
    """Orders and cancels in the second and the minute; stated as a sum, or apart."""
    if "messages" in again.inputs:
        return again.row("messages", 2)
    attempts, cancels = again.row("attempts", 4), again.row("cancels", 2)
    return [attempts[0] + cancels[0], attempts[1] + cancels[1]]


def limits_of(again: Redecision, cap: str) -> list[Decimal]:
    """A cap as the symbol, the portfolio and the order's bot have it."""
    table = _caps_of_bot(again.inputs, _table_of_bot(again) or {})
    of_bot = (limit_of(table[part].get(cap)) for part in ("caps", "portfolio_caps"))
    return [again.cap[cap], again.portfolio_cap[cap], *of_bot]


def _table_of_bot(again: Redecision) -> Mapping[str, Any] | None:
    """The caps of the bot whose order it is; None: it is no bot's, or has none."""
    sender = str(again.inputs["strategy_id"])
    if not sender.startswith(BOT_PREFIX):
        return None
    bots: Mapping[str, Mapping[str, Any]] = again.portfolio_caps.get("bots") or {}
    return bots.get(sender.removeprefix(BOT_PREFIX))


def _caps_of_bot(inputs: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """The caps of one bot: the account's with the bot's dotted keys in their place."""
    portfolio, caps = dict(inputs["portfolio_caps"]), dict(inputs["caps"] or {})
    instrument_id = str(inputs.get("instrument_id"))
    for key, value in table.items():
        symbol, _, name = str(key).removeprefix("symbols.").rpartition(".")
        if not str(key).startswith("symbols."):
            portfolio[key] = value
        elif symbol in (instrument_id, instrument_id.partition("@")[0]):
            caps[name] = value
    portfolio["reduce_oversized"] = "deny"  # a bot's order is never cut
    return {"portfolio_caps": portfolio, "caps": caps}


def _unvalued(row: Sequence[Any], oldest_ns: Decimal) -> str:
    """Why another instrument cannot be valued, or nothing."""
    if row[7] is None or row[8] is None:
        return "rate_missing"
    if row[4] is None or row[5] is None or row[6] < oldest_ns:
        return "valuation_stale"
    return "valuation_stale" if row[9] and row[9] < oldest_ns else ""


def _other_worth(row: Sequence[Any], *, is_buy: bool) -> tuple[Decimal, Decimal]:
    """Gross and net worst-case value of another instrument in the numeraire."""
    position, buys, sells, open_px, bid, ask = (number_of(cell or 0, "others") for cell in row[:6])
    rate_low, rate_high = number_of(row[7], "others"), number_of(row[8], "others")
    long_worst, short_worst = position + buys, sells - position
    high = max(open_px, ask)
    side = long_worst if is_buy else short_worst
    net = side * (high * rate_high if side > 0 else bid * rate_low)
    return max(long_worst, short_worst, ZERO) * high * rate_high, net
