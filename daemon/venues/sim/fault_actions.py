"""Carries out timed faults: what concerns the exchange here, what concerns sockets in the host."""

from collections.abc import Callable

import msgspec

from daemon.model.copies import replace
from daemon.model.enums import OrderType, Side, SymbolStatus
from daemon.venues.binance_spot.serving.order_requests import PlaceRequest
from daemon.venues.binance_spot.serving.units import E8, e8_of
from daemon.venues.sim.exchange import Exchange
from daemon.venues.sim.fault_rules import FaultKind, FaultRule
from daemon.venues.sim.listed_symbols import SYMBOLS
from daemon.venues.sim.sim_orders import OrderOrigin, RandomSource

SOCKET_KINDS = frozenset(
    {
        FaultKind.MUTE,
        FaultKind.HALF_OPEN,
        FaultKind.ABRUPT_CLOSE,
        FaultKind.SERVER_SHUTDOWN,
        FaultKind.STREAM_OUTAGE,
        FaultKind.WS_API_OUTAGE,
        FaultKind.REST_OUTAGE,
        FaultKind.NETWORK_CUT,
        FaultKind.DEPTH_GAP,
        FaultKind.BAN_418,
    }
)
"""The host must act on these (a ban is also booked here)."""
_S_NS = 1_000_000_000


class _Undo(msgspec.Struct, frozen=True):
    due_ns: int
    run: Callable[[], None]
    name: str
    """A later fault of the same name takes the place of this one's end."""


class FaultRunner:
    """Strikes due faults and undoes the ones that last."""

    def __init__(self, exchange: Exchange, rng: RandomSource) -> None:
        self._exchange = exchange
        self._rng = rng
        self._undo: list[_Undo] = []

    def step(self, now_ns: int) -> list[FaultRule]:
        """Strike what is due; the socket faults are returned for the host."""
        for undo in [undo for undo in self._undo if undo.due_ns <= now_ns]:
            undo.run()
            self._undo.remove(undo)
        struck = self._exchange.faults.due(now_ns)
        return [rule for rule in struck if self.strike(rule, now_ns)]

    def calm(self) -> None:
        """End every fault now: what lasts is undone, no rule is left, nobody is banned."""
        for undo in self._undo:
            undo.run()
        self._undo = []
        self._exchange.faults.load((), 0)
        self._exchange.limiter.lift()
        self._exchange.thaw()

    def strike(self, rule: FaultRule, now_ns: int) -> bool:
        """Do one fault now; True when the host has to act on sockets.

        Raises:
            DialectError: for a symbol or order that the venue refuses.
            ValueError: for parameters that make no sense.
        """
        exchange = self._exchange
        until_ns = now_ns + int(rule.number("seconds", 5.0) * _S_NS)
        match rule.kind:
            case FaultKind.LIMIT_429:
                exchange.limiter.limit_until(until_ns)
            case FaultKind.BAN_418:
                exchange.limiter.ban(max(1, int(rule.number("seconds", 120.0))), now_ns)
            case FaultKind.CLOCK_STEP:
                step_ns = int(rule.number("step_ms", 7_000.0)) * 1_000_000
                if rule.number("hidden", 0.0):
                    exchange.judge_step_ns = step_ns
                else:
                    exchange.clock_step_ns = step_ns
                self._later(until_ns, self._reset_clock, "clock")
            case FaultKind.HALT_SYMBOL | FaultKind.CANCEL_ONLY:
                halted = rule.kind is FaultKind.HALT_SYMBOL
                status = SymbolStatus.HALT if halted else SymbolStatus.CANCEL_ONLY
                symbol = self._symbol(rule)
                exchange.venue.set_status(symbol, status)
                self._later(until_ns, self._reopen(symbol), f"status of {symbol}")
            case FaultKind.FILTER_CHANGE:
                self._change_filter(rule, until_ns)
            case FaultKind.WIPE:
                exchange.wipe(now_ns)
            case FaultKind.FOREIGN_ORDER:
                self._place_foreign(rule, now_ns)
            case FaultKind.CANCEL_RESTING:
                self._cancel_resting(self._symbol(rule), now_ns)
            case FaultKind.FREEZE_DATA:
                exchange.freeze(now_ns, until_ns)
            case FaultKind.DELIST:
                self._delist(rule, now_ns, until_ns)
            case FaultKind.FEE_ASSET:
                self._charge_in(rule, until_ns)
            case FaultKind.PRICE_JUMP | FaultKind.EMPTY_BOOK | FaultKind.FILL_RESTING:
                self._move_crowd(rule, now_ns, until_ns)
            case _:
                pass
        exchange.ledger.on_fault(rule.kind, now_ns, rule.text("symbol", rule.text("target", "")))
        return rule.kind in SOCKET_KINDS

    def _later(self, due_ns: int, run: Callable[[], None], name: str = "") -> None:
        if name:
            self._undo = [undo for undo in self._undo if undo.name != name]
        self._undo.append(_Undo(due_ns, run, name))

    def _reset_clock(self) -> None:
        self._exchange.clock_step_ns = self._exchange.judge_step_ns = 0

    def _reopen(self, symbol: str) -> Callable[[], None]:
        def reopen() -> None:
            self._exchange.venue.set_status(symbol, SymbolStatus.TRADING)

        return reopen

    def _symbol(self, rule: FaultRule) -> str:
        """The rule's symbol; else one with open client orders; else any."""
        named = rule.text("symbol", "")
        if named:
            return named
        venue = self._exchange.venue
        names = sorted({o.symbol for a in venue.accounts for o in venue.open_orders(a)})
        names = names or list(venue.markets)
        return names[self._rng.randrange(0, len(names))]

    def _change_filter(self, rule: FaultRule, until_ns: int) -> None:
        market = self._exchange.venue.market(self._symbol(rule))
        before = market.spec
        changes = {
            name: e8_of(str(rule.params[name]))
            for name in ("tick", "step", "min_qty", "max_qty", "min_notional", "max_position")
            if name in rule.params
        }
        if not changes:
            changes = {"min_notional": int(before.min_notional * rule.number("factor", 4.0))}
        market.change_spec(**changes)

        def restore() -> None:
            market.spec = replace(market.spec, **{name: getattr(before, name) for name in changes})

        self._later(until_ns, restore)

    def _delist(self, rule: FaultRule, now_ns: int, until_ns: int) -> None:
        venue, symbol = self._exchange.venue, self._symbol(rule)
        self._cancel_resting(symbol, now_ns)
        venue.delisted.add(symbol)
        self._later(until_ns, lambda: venue.delisted.discard(symbol), f"listing of {symbol}")

    def _cancel_resting(self, symbol: str, now_ns: int) -> None:
        venue = self._exchange.venue
        for account in venue.accounts:
            if venue.open_orders(account, symbol):
                venue.cancel_open(account, symbol, now_ns)
        self._exchange.collect()

    def _charge_in(self, rule: FaultRule, until_ns: int) -> None:
        """Fees of every account in a third asset; who has none gets enough for days.

        Who has some gets nothing: a deposit would be a second fault.
        """
        asset = rule.text("asset", "BNB")
        price = SYMBOLS[f"{asset}USDT"].start_price
        accounts = self._exchange.venue.accounts
        for account in accounts.values():
            account.fee_asset = (asset, price)
            if not account.wallet(asset).free:
                account.receive(asset, 100 * E8)

        def restore() -> None:
            for account in accounts.values():
                account.fee_asset = None

        self._later(until_ns, restore, "fee asset")

    def _move_crowd(self, rule: FaultRule, now_ns: int, until_ns: int) -> None:
        venue = self._exchange.venue
        symbol = self._symbol(rule)
        market, flow = venue.market(symbol), venue.flows[symbol]
        if rule.kind is FaultKind.PRICE_JUMP:
            ppm = 1_000_000 + int(rule.number("percent", 10.0) * 10_000)
            flow.jump(market.tape.last_price * max(ppm, 1) // 1_000_000, now_ns)
        elif rule.kind is FaultKind.EMPTY_BOOK:
            flow.clear(now_ns)
            market.is_deserted = True

            def come_back() -> None:
                market.is_deserted = False  # the book fills up with the next events

            self._later(until_ns, come_back, f"crowd of {symbol}")
        else:
            ppm = int(min(1.0, max(0.0, rule.number("fraction", 1.0))) * 1_000_000)
            for account in venue.accounts:
                for order in venue.open_orders(account, symbol):
                    if order.origin is OrderOrigin.API and not order.waiting:
                        qty, step = order.leaves * ppm // 1_000_000, market.spec.step
                        least = min(step, order.leaves)  # no venue trades a part of a lot
                        flow.trade_with(order, max(qty - qty % step, least), now_ns)
        self._exchange.collect()

    def _place_foreign(self, rule: FaultRule, now_ns: int) -> None:
        exchange = self._exchange
        account = rule.text("account", next(iter(exchange.venue.accounts)))
        symbol = self._symbol(rule)
        market = exchange.venue.market(symbol)
        spec = market.spec
        side = Side(rule.text("side", Side.BUY))
        best = market.best_price(side) or market.tape.last_price
        # Ten spreads behind the best price by default, so that it rests and is seen.
        away = spec.spread_ticks * spec.tick * 10
        price = e8_of(rule.text("price", "")) if "price" in rule.params else 0
        price = price or max(spec.tick, best - away if side is Side.BUY else best + away)
        qty = e8_of(rule.text("qty", "")) if "qty" in rule.params else 0
        if not qty:
            qty = spec.min_notional * 2 * E8 // price
            qty = qty - qty % spec.step + spec.step
        kind = OrderType(rule.text("type", OrderType.LIMIT))
        request = PlaceRequest(
            symbol=symbol,
            side=side,
            type=kind,
            qty=qty,
            price=0 if kind is OrderType.MARKET else price,
            client_order_id=rule.text("client_order_id", ""),
        )
        exchange.venue.place(account, request, now_ns, origin=OrderOrigin.FOREIGN)
        exchange.collect()
