"""Price-time matching, settlement, self-trade prevention, triggers.

Rules of this file:
1. A trade happens at the resting order's price; the earlier order at a price trades first.
2. Every change of an account's order emits one ExecReport with the values of that moment; the
   account's balances follow once per venue call (`flush_positions`).
3. The background flow (orders without an account) trades like anyone, but owns no money.
"""

from collections.abc import Callable

from daemon.model.enums import ExecType, Side, TimeInForce
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.events import AccountPosition, ExecReport, Prevented
from daemon.venues.binance_spot.serving.order_requests import MARKET_TYPES, Status, StpMode
from daemon.venues.binance_spot.serving.units import quote_of
from daemon.venues.sim.accounts import VenueAccount
from daemon.venues.sim.book import PriceLevel
from daemon.venues.sim.contingencies import Contingencies
from daemon.venues.sim.placing import price_pegged
from daemon.venues.sim.pricing import given_asset
from daemon.venues.sim.sim_orders import (
    BookTop,
    SimOrder,
    TradeFill,
    TradePrint,
    VenueEvent,
)
from daemon.venues.sim.symbol_market import SymbolMarket

_RANGE_EXCEEDED = "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"


class Matcher:
    """Executes orders against books and settles what trades."""

    def __init__(
        self, accounts: dict[str, VenueAccount], emit: Callable[[VenueEvent], None]
    ) -> None:
        self._accounts = accounts
        self._emit = emit
        self.lists = Contingencies(self, accounts, emit)
        self._tops: dict[str, tuple[int, int, int, int]] = {}
        self.background_trades = 0

    def enter(self, market: SymbolMarket, order: SimOrder, now_ns: int) -> tuple[Prevented, ...]:
        """Match an order that may trade now; rest, expire or fill what is left of it."""
        prevented: list[Prevented] = []
        order.working_ns = now_ns
        if order.time_in_force is TimeInForce.FOK and not self._can_fill(market, order):
            self.end(market, order, Status.EXPIRED, now_ns, "UNFILLED_FOK_ORDER_EXPIRED")
            return ()
        self._match(market, order, now_ns, prevented)
        if not order.is_open:
            return tuple(prevented)
        if order.type in MARKET_TYPES:
            self.end(market, order, Status.EXPIRED, now_ns, "INSUFFICIENT_LIQUIDITY")
        elif order.time_in_force is not TimeInForce.GTC:
            self.end(market, order, Status.EXPIRED, now_ns, "UNFILLED_IOC_QUANTITY_EXPIRED")
        else:
            market.book.add(order)
        return tuple(prevented)

    def run_triggers(self, market: SymbolMarket, now_ns: int) -> None:
        """Fire waiting orders until the last price fires none (each may move the price)."""
        while (fired := market.triggered(now_ns)) or self.lists.is_due(market):
            for order in fired:
                if market.waiting.pop(order.order_id, None) is None:
                    continue
                order.waiting = False
                order.updated_ns = order.working_ns = now_ns
                self.report(market, order, ExecType.NEW, now_ns)
                if order.order_list is not None:
                    self.lists.has_triggered(market, order, now_ns)
                if price_pegged(market, self._accounts[order.account], order):
                    self.enter(market, order, now_ns)
                else:
                    self.end(market, order, Status.EXPIRED, now_ns, "REJECTED")
            self.lists.run_due(market, now_ns)

    def end(
        self,
        market: SymbolMarket,
        order: SimOrder,
        status: Status,
        now_ns: int,
        reason: str = "",
    ) -> None:
        """Close an order: off the book, lock returned, id freed, report sent."""
        if order.waiting:
            market.waiting.pop(order.order_id, None)
            order.waiting = False
        else:
            market.book.remove(order)
        order.status = status
        order.updated_ns = now_ns
        order.expiry_reason = reason
        account = self._accounts.get(order.account)
        if account is None:
            return
        if order.locked:
            account.unlock(order, given_asset(market, order.side), order.locked)
        account.close_order(order)
        kind = ExecType.CANCELED if status is Status.CANCELED else ExecType.EXPIRED
        self.report(market, order, kind, now_ns)
        if order.order_list is not None:
            self.lists.has_ended(market, order, now_ns)

    def report(
        self,
        market: SymbolMarket,
        order: SimOrder,
        exec_type: ExecType,
        now_ns: int,
        *,
        fill: TradeFill | None = None,
        prevented: Prevented | None = None,
    ) -> None:
        """Emit an order's ExecReport; the background's orders have none."""
        if not order.account:
            return
        renamed = exec_type in {ExecType.CANCELED, ExecType.REPLACED}
        self._emit(
            ExecReport(
                account=order.account,
                order=order,
                exec_type=exec_type,
                status=order.status,
                client_order_id=(
                    order.shown_client_order_id if renamed else order.own_client_order_id
                ),
                orig_client_order_id=_replaced_id(order) if renamed else "",
                qty=order.qty,
                executed=order.executed,
                leaves=order.leaves if order.is_open else 0,
                cum_quote=order.cum_quote,
                last_qty=fill.qty if fill else 0,
                last_price=fill.price if fill else 0,
                fee=fill.fee if fill else 0,
                fee_asset=fill.fee_asset if fill else "",
                trade_id=fill.trade_id if fill else -1,
                execution_id=market.next_execution_id(),
                maker=fill.maker if fill else False,
                on_book=_is_working(order),
                reject_reason="NONE",
                expiry_reason=order.expiry_reason,
                prevented=prevented,
                ts_ns=now_ns,
            )
        )

    def flush_positions(self, now_ns: int) -> None:
        """One AccountPosition for every account whose balances moved in this call."""
        for account in self._accounts.values():
            if not account.touched:
                continue
            rows = [
                (asset, account.wallets[asset].free, account.wallets[asset].locked)
                for asset in account.touched
            ]
            account.touched = {}
            account.updated_ns = now_ns
            self._emit(AccountPosition(account=account.name, balances=rows, ts_ns=now_ns))

    def publish_top(self, market: SymbolMarket, now_ns: int) -> None:
        """Emit BookTop when the best bid or ask has changed since the last one."""
        bid, ask = market.book.bids.best(), market.book.asks.best()
        top = (
            bid.price if bid else 0,
            bid.qty if bid else 0,
            ask.price if ask else 0,
            ask.qty if ask else 0,
        )
        if self._tops.get(market.spec.symbol) == top:
            return
        self._tops[market.spec.symbol] = top
        self._emit(BookTop(market.spec.symbol, market.book.update_id, *top, now_ns))

    def _can_fill(self, market: SymbolMarket, order: SimOrder) -> bool:
        need = order.leaves
        for level in market.book.side(order.side.opposite).from_best():
            if not _crosses(order, level.price):
                break
            need -= sum(
                maker.leaves for maker in level.orders.values() if not _is_self_trade(order, maker)
            )
            if need <= 0:
                return True
        return False

    def _match(
        self, market: SymbolMarket, order: SimOrder, now_ns: int, prevented: list[Prevented]
    ) -> None:
        makers = market.book.side(order.side.opposite)
        allowed: tuple[int, int] | None = None
        while order.is_open and order.leaves:
            level = makers.best()
            if level is None or not _crosses(order, level.price):
                return
            if order.account and allowed is None:
                allowed = market.allowed_prices(now_ns)
            if allowed is not None and not allowed[0] <= level.price <= allowed[1]:
                self.end(market, order, Status.EXPIRED, now_ns, _RANGE_EXCEEDED)
                return
            maker = _first(level)
            if _is_self_trade(order, maker):
                prevented.append(self._prevent(market, order, maker, now_ns))
                continue
            if not self._trade(market, order, maker, now_ns):
                return

    def _trade(self, market: SymbolMarket, taker: SimOrder, maker: SimOrder, now_ns: int) -> bool:
        """One trade; False when the taker cannot pay for it (MARKET buys only)."""
        qty, price = min(taker.leaves, maker.visible), maker.price
        if not self._can_pay(market, taker, quote_of(price, qty)):
            return False
        trade_id = market.next_trade_id()
        buyer_is_maker = maker.side is Side.BUY
        trade = TradePrint(
            market.spec.symbol, trade_id, price, qty, buyer_is_maker, taker.order_id, now_ns
        )
        if not taker.account and not maker.account:
            self.background_trades += 1
        if maker.order_list is not None:
            self.lists.starts(market, maker)
        self._apply_fill(market, maker, trade, maker=True)
        self._apply_fill(market, taker, trade, maker=False)
        market.book.reduce(maker)
        if maker.leaves == 0:
            self._close_filled(maker)
        if taker.leaves == 0:
            self._close_filled(taker)
        market.tape.add(trade)
        market.reference.add(price, now_ns)
        self._emit(trade)
        for order in (maker, taker):
            if order.order_list is not None:
                self.lists.has_traded(market, order, now_ns)
        return True

    def _can_pay(self, market: SymbolMarket, order: SimOrder, amount: int) -> bool:
        """A MARKET buy whose cost was underestimated locks more, if the account has it."""
        account = self._accounts.get(order.account)
        if account is None or order.side is Side.SELL or order.locked >= amount:
            return True
        try:
            account.lock(order, market.spec.quote, amount - order.locked)
        except DialectError:
            return False
        return True

    def _apply_fill(
        self, market: SymbolMarket, order: SimOrder, trade: TradePrint, *, maker: bool
    ) -> None:
        quote = quote_of(trade.price, trade.qty)
        order.executed += trade.qty
        order.cum_quote += quote
        order.updated_ns = trade.ts_ns
        order.status = Status.PARTIALLY_FILLED if order.leaves else Status.FILLED
        account = self._accounts.get(order.account)
        if account is None:
            return
        spec = market.spec
        buys = order.side is Side.BUY
        gross, asset = (trade.qty, spec.base) if buys else (quote, spec.quote)
        fee = gross * (account.maker_ppm if maker else account.taker_ppm) // 1_000_000
        account.pay(order, spec.quote if buys else spec.base, quote if buys else trade.qty)
        if buys and order.type not in MARKET_TYPES:
            account.unlock(order, spec.quote, quote_of(order.price, trade.qty) - quote)
        elif buys and not order.leaves and order.locked:
            account.unlock(order, spec.quote, order.locked)
        account.receive(asset, gross - fee)
        fill = TradeFill(
            symbol=spec.symbol,
            trade_id=trade.trade_id,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            account=order.account,
            side=order.side,
            price=trade.price,
            qty=trade.qty,
            fee=fee,
            fee_asset=asset,
            maker=maker,
            ts_ns=trade.ts_ns,
            origin=order.origin,
            epoch=account.epoch,
            list_id=order.list_id,
        )
        account.add_trade(fill)
        self.report(market, order, ExecType.TRADE, trade.ts_ns, fill=fill)

    def _close_filled(self, order: SimOrder) -> None:
        account = self._accounts.get(order.account)
        if account is not None:
            account.close_order(order)

    def _prevent(
        self, market: SymbolMarket, taker: SimOrder, maker: SimOrder, now_ns: int
    ) -> Prevented:
        qty = min(taker.leaves, maker.leaves)
        match = Prevented(
            id=market.next_prevented_id(),
            symbol=market.spec.symbol,
            account=taker.account,
            mode=taker.stp_mode,
            maker_order_id=maker.order_id,
            taker_order_id=taker.order_id,
            qty=qty,
            price=maker.price,
            ts_ns=now_ns,
        )
        market.prevented.append(match)
        mode = taker.stp_mode
        if mode is StpMode.DECREMENT:
            for order in (maker, taker):
                self._decrement(market, order, qty, match, now_ns)
            return match
        if mode in {StpMode.EXPIRE_MAKER, StpMode.EXPIRE_BOTH}:
            self._expire_in_match(market, maker, match, now_ns)
        if mode in {StpMode.EXPIRE_TAKER, StpMode.EXPIRE_BOTH}:
            self._expire_in_match(market, taker, match, now_ns)
        return match

    def _decrement(
        self, market: SymbolMarket, order: SimOrder, qty: int, match: Prevented, now_ns: int
    ) -> None:
        order.prevented += qty
        account = self._accounts[order.account]
        if order.leaves == 0:
            order.prevented -= qty
            self._expire_in_match(market, order, match, now_ns)
            return
        buys = order.side is Side.BUY
        back = quote_of(order.price, qty) if buys else qty
        account.unlock(order, given_asset(market, order.side), min(back, order.locked))
        if order.visible:
            market.book.reduce(order)
        order.updated_ns = now_ns
        self.report(market, order, ExecType.TRADE_PREVENTION, now_ns, prevented=match)

    def _expire_in_match(
        self, market: SymbolMarket, order: SimOrder, match: Prevented, now_ns: int
    ) -> None:
        market.book.remove(order)
        order.prevented += order.leaves
        order.status = Status.EXPIRED_IN_MATCH
        order.updated_ns = now_ns
        account = self._accounts[order.account]
        if order.locked:
            account.unlock(order, given_asset(market, order.side), order.locked)
        account.close_order(order)
        self.report(market, order, ExecType.TRADE_PREVENTION, now_ns, prevented=match)
        if order.order_list is not None:
            self.lists.has_ended(market, order, now_ns)


def _is_working(order: SimOrder) -> bool:
    return order.is_open and not order.waiting and order.status is not Status.PENDING_NEW


def _crosses(order: SimOrder, price: int) -> bool:
    if order.type in MARKET_TYPES:
        return True
    return order.price >= price if order.side is Side.BUY else order.price <= price


def _is_self_trade(taker: SimOrder, maker: SimOrder) -> bool:
    return (
        bool(taker.account)
        and taker.account == maker.account
        and taker.stp_mode is not StpMode.NONE
    )


def _first(level: PriceLevel) -> SimOrder:
    return next(iter(level.orders.values()))


def _replaced_id(order: SimOrder) -> str:
    """`C`: the id that the cancel or amend replaced."""
    if order.cancel_id:
        return order.own_client_order_id
    return order.amends[-1].old_client_order_id if order.amends else order.client_order_id
