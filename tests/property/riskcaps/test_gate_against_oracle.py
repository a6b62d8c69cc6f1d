"""The gate and the oracle live through the same stories and must give the same answers."""

import json
import os
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daemon.model.enums import TradingState
from daemon.model.ids import ClientOrderId
from daemon.model.intents import OPERATOR
from daemon.model.position import Balance
from riskcaps.gate.interceptor import Approved, Interceptor
from riskcaps.words.capset import capset_from_mapping
from tests.property.riskcaps import oracle
from tests.property.riskcaps.oracle import F, Placed
from tests.property.riskcaps.oracle_rules import price, verdict
from tests.unit.riskcaps.kit import (
    BTC,
    ETH,
    STRATEGY,
    T0,
    bare_gate,
    caps_of,
    fill,
    instrument,
    symbol_caps,
    top,
    wish,
)  # fmt: skip

MS = 1_000_000
NAMES = {"BTCUSDT": BTC, "ETHUSDT": ETH}
TIGHT: dict[str, Any] = {
    "exposure_gross_numeraire_max": "900", "exposure_net_numeraire_max": "500",
    "orders_open_max": 6, "orders_per_second_max": 4, "orders_per_minute_max": 9,
    "orders_per_hour_max": 14, "orders_per_day_max": 18, "messages_per_second_max": 10,
    "messages_per_second_cancel_reserve": 4, "messages_per_minute_max": 20,
    "messages_per_minute_cancel_reserve": 8, "order_to_trade_ratio_max": "4",
    "order_to_trade_grace_orders": 8, "traded_notional_per_day_numeraire_max": "2500",
    "loss_session_numeraire_max": "8", "loss_day_numeraire_max": "9",
    "drawdown_numeraire_max": "10", "loss_streak_max": 2, "executions_without_human_max": 7,
    "venue_reject_streak_max": 2, "duplicate_window_ms": 300, "clock_age_ms_max": 90_000_000,
    "valuation_age_ms_max": 4000, "loss_confirm_ms": 0, "drawdown_action": "deny",
    "loss_day_action": "reduce_only",
}  # fmt: skip
SYMBOLS: dict[str, Any] = {
    "orders_open_max": 4, "orders_per_minute_max": 6, "traded_qty_per_day_base_max": "18",
    "collar_bps_max": 300, "position_long_base_max": "4", "position_short_base_max": "3",
}  # fmt: skip
good_qtys = st.sampled_from(["0.06", "0.3", "0.5", "0.7", "1", "1.5", "2"])
qtys = st.one_of(
    good_qtys, good_qtys, st.sampled_from(["0.001", "0.04", "2.5", "0.0005", "0.3335"])
)
seldom = st.integers(0, 9).map(lambda draw: draw == 0)
prices = st.sampled_from(
    ["90.00", "98.00", "99.00", "99.50", "100.00", "100.50", "101.00", "102.00", "103.10", "99.995"]
)
symbols = st.sampled_from(["BTCUSDT", "ETHUSDT"])


class GateAgainstOracle(RuleBasedStateMachine):
    """Facts and wishes in any order, restarts included."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[oracle.Event] = []
        self.now = T0
        self.names: list[tuple[str, str, bool]] = []
        self.trades = 0

    @initialize(cut=st.booleans(), symbols_max=st.sampled_from([1, 2, 2, 2]))
    def boot(self, cut: bool, symbols_max: int) -> None:
        table = caps_of(
            symbols={name: symbol_caps(**SYMBOLS) for name in NAMES},
            **TIGHT,
            reduce_oversized="cut" if cut else "deny",
            symbols_traded_max=symbols_max,
        )
        self.table = table
        self.caps = {**table}
        self.books = {
            name: {**table["symbols"][name], "tick": F(1, 100), "lot": F(1, 1000),
                   "notional_min": F(5)}
            for name in NAMES
        }  # fmt: skip
        self.gate = bare_gate(table)
        self.tell_standing(self.gate)
        for symbol in NAMES:
            self.tell_top(symbol, 0, 2)
        for asset, free in (("USDT", "3000"), ("BTC", "9"), ("ETH", "9")):
            self.tell_balance(asset, free)

    def tell_standing(self, gate: Interceptor) -> None:
        gate.risk.on_instruments([instrument(name, orders_open_max=0, qty_max=Decimal(0),
                                        price_max=Decimal(0), price_min=Decimal(0))
                             for name in NAMES.values()])  # fmt: skip
        gate.risk.on_clock(1_000_000, 2_000_000, self.now)
        gate.risk.on_journal_health(True)
        gate.risk.set_trading_state(TradingState.ACTIVE)
        self.note("clock", (1_000_000, 2_000_000, self.now))
        self.note("journal", True)
        self.note("state", "ACTIVE")

    def note(self, kind: str, *values: Any) -> None:
        self.history.append((kind, self.now, *values))

    # ------------------------------------------------------------------ the world
    def tell_top(self, symbol: str, shift: int, spread: int) -> None:
        bid, ask = Decimal(10_000 + shift) / 100, Decimal(10_000 + shift + spread) / 100
        self.note("top", symbol, F(bid), F(ask), self.now)
        self.gate.risk.on_top(top(str(bid), str(ask), self.now, NAMES[symbol]), self.now)

    @rule(symbol=symbols, shift=st.integers(-900, 900), spread=st.sampled_from([2, 2, 10, 0]))
    def market_moves(self, symbol: str, shift: int, spread: int) -> None:
        self.tell_top(symbol, shift, spread)

    @rule(step=st.sampled_from([1, 150 * MS, 999 * MS, 1000 * MS, 1001 * MS, 3000 * MS,
                                4001 * MS, 60_000 * MS, 3_600_000 * MS, 86_400_000 * MS]),
          stale=seldom)  # fmt: skip
    def time_passes(self, step: int, stale: bool) -> None:
        self.now += step
        if not stale:
            self.clock_is_sampled(drifts=False, trip=MS)
            for symbol in NAMES:
                self.tell_top(symbol, 0, 2)

    def tell_balance(self, asset: str, free: str) -> None:
        self.note("balance", asset, F(free))
        self.gate.risk.on_balances([Balance(asset, Decimal(free), Decimal(0))], self.now)

    @rule(
        asset=st.sampled_from(["USDT", "BTC", "ETH"]),
        free=st.sampled_from(["0", "150", "3000", "3000", "3000"]),
    )
    def balance_changes(self, asset: str, free: str) -> None:
        self.tell_balance(asset, free)

    @rule(state=st.sampled_from(["ACTIVE", "ACTIVE", "ACTIVE", "REDUCING", "HALTED"]))
    def state_changes(self, state: str) -> None:
        self.note("state", state)
        self.gate.risk.set_trading_state(TradingState(state))

    @rule(sick=seldom, closed=seldom)
    def health_changes(self, sick: bool, closed: bool) -> None:
        self.note("journal", not sick)
        self.gate.risk.on_journal_health(not sick)
        self.note("halted", closed)
        self.gate.risk.health.halt.close("kill") if closed else self.gate.risk.health.halt.open()

    @rule(drifts=seldom, trip=st.sampled_from([0, MS]))
    def clock_is_sampled(self, drifts: bool, trip: int) -> None:
        offset = -100 * MS if drifts else 99 * MS
        self.note("clock", (offset, trip, self.now))
        self.gate.risk.on_clock(offset, trip, self.now)

    @rule()
    def all_is_well_again(self) -> None:
        self.tell_standing(self.gate)
        self.gate.risk.health.halt.open()
        self.note("halted", False)
        for symbol in NAMES:
            self.tell_top(symbol, 0, 2)
        for asset in ("USDT", "BTC", "ETH"):
            self.tell_balance(asset, "3000")

    @rule()
    def a_cancel_leaves(self) -> None:
        self.note("cancel")
        self.gate.risk.on_cancel_sent(None, self.now)

    @rule(session=st.booleans())
    def a_human_looks(self, session: bool) -> None:
        self.note("re_enable")
        self.gate.risk.re_enable("ada", self.now)
        if session:
            self.note("session")
            self.gate.risk.start_session(self.now)

    # ------------------------------------------------------------------ reports
    @precondition(lambda self: self.names)
    @rule(data=st.data(), qty=qtys, px=prices, fee=st.sampled_from(["", "USDT", "base"]),
          again=st.booleans())  # fmt: skip
    def an_order_fills(self, data: Any, qty: str, px: str, fee: str, again: bool) -> None:
        name, symbol, buy = data.draw(st.sampled_from(self.names))
        self.trades += not again
        asset = symbol[:3] if fee == "base" else fee or "USDT"
        amount = {"": "0", "USDT": "0.25", "base": str(Decimal(qty) / 1000)}[fee]
        self.note("fill", str(self.trades), name, symbol, buy, F(qty), F(px), F(amount), asset)
        told = fill(name, "BUY" if buy else "SELL", qty, px, fee=amount, fee_asset=asset,
                    exec_id=str(self.trades), name=NAMES[symbol])  # fmt: skip
        self.gate.risk.on_fill(told, self.now)

    @precondition(lambda self: self.names)
    @rule(data=st.data(), kind=st.sampled_from(["known", "known", "unknown", "end", "reject"]))
    def the_venue_speaks(self, data: Any, kind: str) -> None:
        name = data.draw(st.sampled_from(self.names))[0]
        self.note(kind, name)
        told = ClientOrderId(name)
        {
            "known": self.gate.risk.on_known, "unknown": self.gate.risk.on_unknown,
            "end": self.gate.risk.on_terminal, "reject": self.gate.risk.on_venue_reject,
        }[kind](told, self.now)  # fmt: skip

    @precondition(lambda self: self.names)
    @rule(data=st.data(), left=st.sampled_from(["0", "0.2", "1"]))
    def an_amend_shrinks(self, data: Any, left: str) -> None:
        name = data.draw(st.sampled_from(self.names))[0]
        self.note("leaves", name, F(left))
        self.gate.risk.on_leaves(ClientOrderId(name), Decimal(left))

    # ------------------------------------------------------------------ restart
    @rule(really=seldom)
    def a_restart(self, really: bool) -> None:
        if not really:
            return
        before = self.gate.state()
        twin = Interceptor(
            capset=capset_from_mapping(self.table),
            ids=type(self.gate.risk.ids)(self.gate.risk.ids.run),
            halt=self.gate.risk.health.halt,
        )  # fmt: skip
        twin.restore(json.loads(json.dumps(before)))
        assert twin.state() == before
        world = oracle.replay(self.caps, self.books, self.history)
        self.gate = twin
        self.note("restart")
        self.tell_standing(twin)
        for symbol, (bid, ask, at) in world.tops.items():
            twin.risk.on_top(top(_text(bid), _text(ask), at, NAMES[symbol]), self.now)
            self.note("top", symbol, bid, ask, at)
        for asset, free in world.free.items():
            self.tell_balance(asset, _text(free))

    # ------------------------------------------------------------------ wishes
    @rule(symbol=symbols, buy=st.booleans(), qty=qtys, px=st.one_of(prices, st.none()),
          human=st.booleans(), reduce_only=seldom)  # fmt: skip
    def somebody_wishes(
        self, *, symbol: str, buy: bool, qty: str, px: str | None, human: bool, reduce_only: bool
    ) -> None:
        world = oracle.replay(self.caps, self.books, self.history)
        asked = {
            "symbol": symbol, "buy": buy, "qty": F(qty), "price": None if px is None else F(px),
            "reduce_only": reduce_only, "human": human,
        }  # fmt: skip
        expected, approved_qty = verdict(world, asked, self.now)
        answer = self.gate.review(
            wish("BUY" if buy else "SELL", qty, px, instrument_id=NAMES[symbol],
                 reduce_only=reduce_only, strategy_id=OPERATOR if human else STRATEGY),
            self.now,
        )  # fmt: skip
        got = "approved" if isinstance(answer, Approved) else str(answer.reason)
        assert got == expected, f"gate: {got}, oracle: {expected}"
        assert answer.decision["verdict"] == got
        if isinstance(answer, Approved):
            name = str(answer.order.client_order_id)
            assert F(answer.order.qty) == approved_qty
            px_held = price(world, asked)
            self.names.append((name, symbol, buy))
            self.note("place", lambda at: Placed(name, symbol, buy, approved_qty, px_held,
                                                 asked["price"], approved_qty, at))  # fmt: skip

    @rule(symbol=symbols, buy=st.booleans(), qty=good_qtys, steps=st.lists(st.integers(0, 12)))
    def a_strategy_quotes(self, symbol: str, buy: bool, qty: str, steps: list[int]) -> None:
        """Many plain orders, some of which fill or end: this is what fills the caps."""
        for step in steps[:8]:
            self.now += 20 * MS * step
            cents = 9990 - 10 * step if buy else 10_010 + 10 * step
            before = len(self.names)
            px = str(Decimal(cents) / 100)
            self.somebody_wishes(
                symbol=symbol, buy=buy, qty=qty, px=px, human=False, reduce_only=False
            )
            if len(self.names) == before:
                continue
            name = self.names[-1][0]
            if step % 3 == 1:
                self.tell_fill(name, symbol, buy, qty, px)
            elif step % 3 == 2:
                self.note("end", name)
                self.gate.risk.on_terminal(ClientOrderId(name), self.now)
            else:
                self.note("known", name)
                self.gate.risk.on_known(ClientOrderId(name), self.now)

    def tell_fill(self, name: str, symbol: str, buy: bool, qty: str, px: str) -> None:
        self.trades += 1
        exec_id = str(self.trades)
        self.note("fill", exec_id, name, symbol, buy, F(qty), F(px), F(0), "USDT")
        told = fill(name, "BUY" if buy else "SELL", qty, px, exec_id=exec_id, name=NAMES[symbol])
        self.gate.risk.on_fill(told, self.now)

    # ------------------------------------------------------------------ always
    @invariant()
    def the_books_agree(self) -> None:
        world = oracle.replay(self.caps, self.books, self.history)
        for symbol, name in NAMES.items():
            book = self.gate.risk.books.book(name)
            assert F(book.position) == oracle.position(world, symbol)
            buys = oracle.opened(world, symbol, True)
            sells = oracle.opened(world, symbol, False)
            assert F(book.buys_open) == sum((o.left for o in buys), F(0))
            assert F(book.sells_open) == sum((o.left for o in sells), F(0))
            assert [F(px) for px in book.buy_pxs] == sorted(o.px for o in buys)
            assert [F(px) for px in book.sell_pxs] == sorted(o.px for o in sells)
            assert book.unknown_count == sum(o.unknown for o in buys + sells)
        equity = self.gate.risk.equity(self.now).equity
        assert (None if equity is None else F(equity)) == world.equity
        assert F(self.gate.risk.ledger.peak or 0) == world.peak


def _text(value: Fraction) -> str:
    return str(Decimal(value.numerator) / Decimal(value.denominator))


TestGateAgainstOracle = GateAgainstOracle.TestCase
# Fixed examples in CI; GATE_EXAMPLES=2000 looks further, with fresh ones.
TestGateAgainstOracle.settings = settings(
    max_examples=int(os.environ.get("GATE_EXAMPLES", "60")),
    derandomize="GATE_EXAMPLES" not in os.environ,
    stateful_step_count=45,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
