"""The oracle's own reading of the rules, from the list in riskcaps/gate/gate_inputs.py."""

from fractions import Fraction
from typing import Any

from tests.property.riskcaps.oracle import MS, SECOND, F, World, base, opened, position

WINDOWS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


def verdict(world: World, wish: dict[str, Any], now: int) -> tuple[str, Fraction]:
    """(verdict, approved quantity) of a limit or market order on a symbol with caps."""
    caps = world.caps
    book = world.symbols[wish["symbol"]]
    for rule in (_gate, _symbol, _market):
        reason = rule(world, wish, now)
        if reason:
            return reason, wish["qty"]
    symbol, buy, qty = wish["symbol"], wish["buy"], wish["qty"]
    held = position(world, symbol)
    same = sum((o.left for o in opened(world, symbol, buy)), F(0))
    room = (-held if buy else held) - same
    reducing = 0 < qty <= room
    if (world.state == "REDUCING" or wish["reduce_only"]) and not reducing:
        cut = room // book["lot"] * book["lot"]
        if not (caps["reduce_oversized"] == "cut" and cut > 0):
            return "not_reducing", qty
        qty, reducing = cut, True
    wish = {**wish, "qty": qty, "reducing": reducing}
    for rule in (_behaviour, _filters, _order, _position, _portfolio, _balance, _rates, _turnover,
                 _loss, _repeat, _symbols):  # fmt: skip
        reason = rule(world, wish, now)
        if reason:
            return reason, qty
    return "approved", qty


def price(world: World, wish: dict[str, Any]) -> Fraction:
    """Its limit, or the touch made worse by the slippage cap."""
    if wish["price"] is not None:
        return wish["price"]
    bid, ask, _ = world.tops[wish["symbol"]]
    slip = F(world.symbols[wish["symbol"]]["market_slippage_bps"], 10_000)
    return ask * (1 + slip) if wish["buy"] else bid * (1 - slip)


def _gate(world: World, wish: dict[str, Any], now: int) -> str:
    if world.halted:
        return "halt_flag_closed"
    if world.state == "HALTED":
        return "trading_halted"
    if not world.journal:
        return "journal_unhealthy"
    if world.clock is None:
        return "clock_unknown"
    offset, trip, at = world.clock
    if now - at > world.caps["clock_age_ms_max"] * MS:
        return "clock_stale"
    if F(abs(offset)) + F(trip, 2) > world.caps["clock_offset_ms_max"] * MS:
        return "clock_drift"
    return ""


def _symbol(world: World, wish: dict[str, Any], now: int) -> str:
    return "unknown_order_open" if any(o.unknown for o in opened(world, wish["symbol"])) else ""


def _market(world: World, wish: dict[str, Any], now: int) -> str:
    if wish["symbol"] not in world.tops:
        return "no_market_data"
    bid, ask, at = world.tops[wish["symbol"]]
    if now - at > world.symbols[wish["symbol"]]["market_data_age_ms_max"] * MS:
        return "stale_market_data"
    return "crossed_book" if bid >= ask else ""


def _behaviour(world: World, wish: dict[str, Any], now: int) -> str:
    for count, cap, reason in (
        (world.executions, "executions_without_human_max", "executions_need_human"),
        (world.rejects.get(wish["symbol"], 0), "venue_reject_streak_max", "venue_reject_streak"),
        (world.losers.get(wish["symbol"], 0), "loss_streak_max", "loss_streak"),
    ):
        if count >= world.caps[cap]:
            return "" if wish["human"] and wish["reducing"] else reason
    return ""


def _filters(world: World, wish: dict[str, Any], now: int) -> str:
    book = world.symbols[wish["symbol"]]
    if wish["price"] is not None and (wish["price"] / book["tick"]).denominator != 1:
        return "filter_tick"
    if wish["qty"] < book["lot"]:
        return "filter_qty"
    if (wish["qty"] / book["lot"]).denominator != 1:
        return "filter_lot"
    bid = world.tops[wish["symbol"]][0]
    if wish["qty"] * (wish["price"] or bid) < book["notional_min"]:
        return "filter_notional"
    return ""


def _order(world: World, wish: dict[str, Any], now: int) -> str:
    book = world.symbols[wish["symbol"]]
    bid, ask, _ = world.tops[wish["symbol"]]
    px = price(world, wish)
    if wish["qty"] > F(book["order_qty_base_max"]):
        return "order_qty"
    if wish["qty"] * max(px, ask) > F(book["order_notional_quote_max"]):
        return "order_notional"
    mid = (bid + ask) / 2
    return "price_collar" if abs(px - mid) / mid * 10_000 > book["collar_bps_max"] else ""


def _highest(world: World, symbol: str, *more: Fraction) -> Fraction:
    return max([o.px for o in opened(world, symbol)] + [world.tops[symbol][1], *more])


def _sides(world: World, symbol: str) -> tuple[Fraction, Fraction]:
    held = position(world, symbol)
    buys = sum((o.left for o in opened(world, symbol, True)), F(0))
    sells = sum((o.left for o in opened(world, symbol, False)), F(0))
    return held + buys, sells - held


def _position(world: World, wish: dict[str, Any], now: int) -> str:
    symbol, book = wish["symbol"], world.symbols[wish["symbol"]]
    side = _sides(world, symbol)[0 if wish["buy"] else 1] + wish["qty"]
    cap = "position_long_base_max" if wish["buy"] else "position_short_base_max"
    if side > max(F(book[cap]), 0) and side > 0:
        return "position_long" if wish["buy"] else "position_short"
    value = side * _highest(world, symbol, price(world, wish))
    if side > 0 and value > F(book["exposure_quote_max"]):
        return "exposure_symbol"
    if len(opened(world, symbol)) >= book["orders_open_max"]:
        return "orders_open_symbol"
    return "orders_open_total" if len(opened(world)) >= world.caps["orders_open_max"] else ""


def _portfolio(world: World, wish: dict[str, Any], now: int) -> str:
    if wish["reducing"]:
        return ""
    gross = F(0)
    net = [F(0), F(0)]
    raised = False
    for symbol in sorted(world.symbols, key=lambda s: s != wish["symbol"]):
        here = symbol == wish["symbol"]
        if not here and not position(world, symbol) and not opened(world, symbol):
            continue
        if not here and (
            symbol not in world.tops
            or now - world.tops[symbol][2] > world.caps["valuation_age_ms_max"] * MS
        ):
            return "valuation_stale"
        sides = list(_sides(world, symbol))
        before = max(*sides, 0)
        if here:
            sides[0 if wish["buy"] else 1] += wish["qty"]
            raised = max(*sides, 0) > before
        high = _highest(world, symbol, *([price(world, wish)] if here else []))
        bid = world.tops[symbol][0]
        gross += max(*sides, 0) * high
        for i in (0, 1):
            net[i] += sides[i] * (high if sides[i] > 0 else bid)
    if raised and gross > F(world.caps["exposure_gross_numeraire_max"]):
        return "exposure_gross"
    signed = net[0 if wish["buy"] else 1]
    if signed > 0 and signed > F(world.caps["exposure_net_numeraire_max"]):
        return "exposure_net"
    return ""


def _balance(world: World, wish: dict[str, Any], now: int) -> str:
    asset = "USDT" if wish["buy"] else base(wish["symbol"])
    if asset not in world.free:
        return "balance_unknown"
    taken = world.spent.get(asset, F(0))
    for o in opened(world):
        if o.reserved and ("USDT" if o.buy else base(o.symbol)) == asset:
            taken += o.left * (o.px if o.buy else 1)
    need = wish["qty"] * (price(world, wish) if wish["buy"] else 1)
    floor = F(world.caps["balance_free_min"].get(asset, "0"))
    return "balance_insufficient" if need + floor + taken > world.free[asset] else ""


def _since(stamps: list[int], now: int, seconds: int) -> int:
    return sum(1 for at in stamps if at >= now - seconds * SECOND)


def _rates(world: World, wish: dict[str, Any], now: int) -> str:
    caps = world.caps
    placed = [o.at for o in world.orders]
    for window, seconds in WINDOWS.items():
        if _since(placed, now, seconds) + 1 > caps[f"orders_per_{window}_max"]:
            return f"orders_per_{window}"
    here = [o.at for o in world.orders if o.symbol == wish["symbol"]]
    if _since(here, now, 60) + 1 > world.symbols[wish["symbol"]]["orders_per_minute_max"]:
        return "orders_per_minute_symbol"
    for window in ("second", "minute"):
        used = _since(placed + world.cancels, now, WINDOWS[window])
        limit = caps[f"messages_per_{window}_max"] - caps[f"messages_per_{window}_cancel_reserve"]
        if used + 1 > limit:
            return f"messages_per_{window}"
    return ""


def _turnover(world: World, wish: dict[str, Any], now: int) -> str:
    caps = world.caps
    orders = _since([o.at for o in world.orders], now, 86_400) + 1
    day = [f for f in world.fills if f[0] >= now - 86_400 * SECOND]
    ratio = F(caps["order_to_trade_ratio_max"]) * max(len(day), 1)
    if orders > caps["order_to_trade_grace_orders"] and orders > ratio:
        return "order_to_trade_ratio"
    value = sum((qty * px for _, _, _, qty, px, _, _ in day), F(0))
    value += sum((o.left * o.px for o in opened(world)), F(0))
    value += wish["qty"] * max(price(world, wish), world.tops[wish["symbol"]][1])
    if value > F(caps["traded_notional_per_day_numeraire_max"]):
        return "traded_notional_per_day"
    qty = sum((f[3] for f in day if f[1] == wish["symbol"]), F(0)) + wish["qty"]
    qty += sum((o.left for o in opened(world, wish["symbol"])), F(0))
    limit = F(world.symbols[wish["symbol"]]["traded_qty_per_day_base_max"])
    return "traded_qty_per_day" if qty > limit else ""


def _loss(world: World, wish: dict[str, Any], now: int) -> str:
    if world.equity is None:
        return "" if wish["reducing"] else "equity_unknown"
    for name in ("loss_session", "loss_day", "drawdown"):
        reached = world.loss.get(name, F(0)) >= F(world.caps[f"{name}_numeraire_max"])
        if reached or name in world.latched:
            if wish["reducing"] and world.caps.get(f"{name}_action", "halt") != "deny":
                continue
            return name
    return ""


def _repeat(world: World, wish: dict[str, Any], now: int) -> str:
    for o in world.orders:
        same = (o.symbol, o.buy, o.limit, o.qty) == (
            wish["symbol"], wish["buy"], wish["price"], wish["qty"],
        )  # fmt: skip
        if same and now - o.at <= world.caps["duplicate_window_ms"] * MS:
            return "duplicate_order"
    others = [o.px for o in opened(world, wish["symbol"], not wish["buy"])]
    if not others:
        return ""
    px = price(world, wish)
    meets = px >= min(others) if wish["buy"] else px <= max(others)
    return "self_trade" if meets or wish["price"] is None else ""


def _symbols(world: World, wish: dict[str, Any], now: int) -> str:
    """Symbols with a position or an order that may still fill, the wish's own among them."""
    traded = {o.symbol for o in opened(world)}
    traded |= {name for name in world.symbols if position(world, name)}
    is_new = wish["symbol"] not in traded and not wish["reducing"]
    return "symbols_traded" if is_new and len(traded) >= world.caps["symbols_traded_max"] else ""
