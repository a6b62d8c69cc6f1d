"""A seeded world around the real risk gate: wishes of every kind, facts in between, lines out.

The lines are what the engine would write; the accountant must reach the same verdicts from them.
"""

import json
import random
from decimal import Decimal
from typing import Any

from daemon.model.amounts import NS_PER_MS, plain
from daemon.model.enums import OrderType, Side, SymbolStatus, TimeInForce, TradingState
from daemon.model.halt import HaltFlag
from daemon.model.ids import (
    ClientOrderId,
    ClientOrderIdFactory,
    InstrumentId,
    StrategyId,
    symbol_of,
)
from daemon.model.intents import PlaceIntent
from daemon.model.position import Balance
from daemon.model.records import EventType
from riskcaps.gate.interceptor import Approved, Interceptor
from riskcaps.words.capset import CapSet
from tests.support.builders import BTC, ETH, caps, fill, instrument, top
from tests.support.journal_maker import JournalMaker

TIGHT: dict[str, list[Any]] = {
    "order_qty_base_max": ["0.5", "1"],
    "order_notional_quote_max": ["60", "200"],
    "position_long_base_max": ["1", "3"],
    "position_short_base_max": ["1", "3"],
    "exposure_quote_max": ["120", "80000"],
    "exposure_gross_numeraire_max": ["200", "100000"],
    "exposure_net_numeraire_max": ["150", "100000"],
    "orders_open_max": [4, 30],
    "orders_per_minute_max": [6, 40, 10000],
    "orders_per_second_max": [2, 1000],
    "orders_per_hour_max": [15, 100000],
    "orders_per_day_max": [20, 1000000],
    "messages_per_second_max": [502, 2000],
    "messages_per_minute_max": [10012, 60000],
    "traded_qty_per_day_base_max": ["2", "100000"],
    "traded_notional_per_day_numeraire_max": ["300", "100000000"],
    "order_to_trade_grace_orders": [3, 100000],
    "order_to_trade_ratio_max": ["2.5", "100000"],
    "collar_bps_max": [100, 500],
    "market_data_age_ms_max": [1500, 60000],
    "valuation_age_ms_max": [2500, 600000],
    "clock_age_ms_max": [4000, 900000],
    "clock_offset_ms_max": [40, 500],
    "executions_without_human_max": [4, 100000],
    "venue_reject_streak_max": [2, 1000],
    "loss_streak_max": [2, 10000],
    "loss_session_numeraire_max": ["5", "50000"],
    "drawdown_numeraire_max": ["4", "50000"],
    "duplicate_window_ms": [1, 3000],
    "reduce_oversized": ["cut", "deny"],
    "sides": [["BUY", "SELL"], ["BUY"]],
    "order_types": [["LIMIT", "LIMIT_MAKER", "MARKET"], ["LIMIT"]],
    "times_in_force": [["GTC", "IOC", "FOK"], ["GTC"]],
    "trading_windows_utc": [["00:00-24:00"], ["Mon-Wed 06:00-12:30", "Thu 00:00-09:00"]],
    "collar_reference": ["mid", "last"],
    "market_slippage_bps": [100, 0],
}


class GateWorld:
    """One gate, its halt flag, a clock, and the journal of what was decided."""

    def __init__(self, seed: int, *, capset: CapSet | None = None) -> None:
        self.rng = rng = random.Random(seed)
        changed = {key: rng.choice(TIGHT[key]) for key in rng.sample(sorted(TIGHT), 5)}
        self.capset = capset or self.make_caps(changed)
        self.halt = HaltFlag()
        maker = self.maker = JournalMaker(seed)
        maker.run_start()
        maker.session_id = "abc123-s1"
        factory = ClientOrderIdFactory(run=f"{maker.instance}-1")  # type: ignore[arg-type]
        self.gate = Interceptor(capset=self.capset, ids=factory, halt=self.halt)
        maker.write(
            EventType.SESSION_START, version="0", commit="c", config_hash="1",
            caps_hash=self.capset.hash, account="acc", environment="sim", host="h", packages={},
            strategies=[], caps=self.capset.to_plain(), by="t", reason="t",
        )  # fmt: skip
        self.trade_id = 0
        self.contexts: set[str] = set()
        self.orders: dict[str, dict[str, Any]] = {}
        self.verdicts: list[str] = []
        self._wake()

    def make_caps(self, changed: dict[str, Any]) -> CapSet:
        """The caps of this world, some of them tight."""
        return caps(**changed)

    def symbols_wished(self) -> list[InstrumentId]:
        """What the wishes are for, by weight."""
        return [BTC, BTC, ETH]

    def _wake(self) -> None:
        gate, rng, now = self.gate, self.rng, self.maker.now_ns
        if rng.random() < 0.97:
            filters = {
                "position_max": Decimal(rng.choice([0, 0, 103])),
                "notional_max": Decimal(rng.choice([0, 90])),
                "bid_multiplier_up": Decimal(rng.choice(["0", "1.02"])),
                "ask_multiplier_down": Decimal(rng.choice(["0", "0.98"])),
                "orders_open_max": rng.choice([0, 3]),
                "asset_base_max": Decimal(rng.choice(["0", "0", "0", "0.3"])),
                "asset_quote_max": Decimal(rng.choice(["0", "0", "0", "45"])),
                "exchange_orders_open_max": rng.choice([0, 0, 4]),
                "market_lot": Decimal(rng.choice(["0", "0.01"])),
                "status": rng.choice([SymbolStatus.TRADING] * 30 + [SymbolStatus.BREAK]),
            }
            gate.risk.on_instruments((instrument("BTCUSDT", **filters), instrument("ETHUSDT")))
        if rng.random() < 0.97:
            gate.risk.on_journal_health(ok=True)
        if rng.random() < 0.97:
            gate.risk.on_clock(rng.choice([0, 30 * NS_PER_MS]), 2 * NS_PER_MS, now)
        if rng.random() < 0.97:
            held = {"USDT": rng.choice(["150", "100000"]), "BTC": "100", "ETH": "100"}
            gate.risk.on_balances(
                tuple(Balance(a, Decimal(v), Decimal(0)) for a, v in held.items()), now
            )
        if rng.random() < 0.97:
            gate.risk.set_trading_state(TradingState.ACTIVE)
        gate.risk.start_session(now)
        self._market()

    def _market(self) -> None:
        for iid in (BTC, ETH):
            if self.rng.random() < 0.9:
                mid = self.rng.randrange(9900, 10100)
                ask = mid + (-5 if self.rng.random() < 0.03 else 10)
                now = self.maker.now_ns
                self.gate.risk.on_top(
                    top(f"{mid / 100:.2f}", f"{ask / 100:.2f}", iid=iid, ts_ns=now), now
                )

    # ------------------------------------------------------------------ a turn
    def turn(self) -> None:
        rng, gate, maker = self.rng, self.gate, self.maker
        maker.now_ns += rng.choice([0, 0, 5, 20, 200, 700]) * NS_PER_MS
        roll = rng.random()
        if roll < 0.55:
            self._wish()
        elif roll < 0.65:
            self._market()
        elif roll < 0.93 and self.orders:
            self._venue(rng.choice(sorted(self.orders)))
        elif roll < 0.94:
            gate.risk.set_trading_state(
                rng.choice([*[TradingState.ACTIVE] * 5, TradingState.REDUCING])
            )
        elif roll < 0.96:
            gate.risk.on_clock(0, NS_PER_MS, maker.now_ns)
        elif roll < 0.965:
            gate.risk.on_venue_budget(
                {"REQUEST_WEIGHT/1m": 90}, {"REQUEST_WEIGHT/1m": 100}, maker.now_ns
            )
        elif roll < 0.967:
            gate.risk.block_symbol(ETH, "test")
        elif roll < 0.985:
            gate.risk.unblock_symbol(ETH)
        elif roll < 0.99:
            gate.risk.re_enable("tester", maker.now_ns)
        elif roll < 0.991:
            self.halt.close("test")
        else:
            self.halt.open()

    def _wish(self) -> None:
        self.wish_on(self.rng.choice(self.symbols_wished()))

    def wish_on(self, iid: InstrumentId) -> None:
        """One wish, and the lines that the engine would write of its answer."""
        rng = self.rng
        kind = rng.choice([OrderType.LIMIT] * 6 + [OrderType.MARKET, OrderType.LIMIT_MAKER])
        price = None if kind is OrderType.MARKET else Decimal(rng.randrange(9700, 10300)) / 100
        if price is not None and rng.random() < 0.02:
            price += Decimal("0.001")
        qty = Decimal(
            rng.choice(
                ["0.1", "0.1", "0.2", "0.3", "0.7"] * 4 + ["0.04", "0.0005", "0.1005", "1.5"]
            )
        )
        timed = rng.choice([TimeInForce.GTC] * 5 + [TimeInForce.IOC])
        intent = PlaceIntent(
            strategy_id=StrategyId(rng.choice(["quoter"] * 5 + ["operator"])),
            instrument_id=iid, side=rng.choice([Side.BUY, Side.SELL]),
            order_type=kind, qty=qty, price=price,
            time_in_force=timed if kind is OrderType.LIMIT else None,
            reduce_only=rng.random() < 0.1,
        )  # fmt: skip
        self.wish(self.scaled(intent))

    def scaled(self, intent: PlaceIntent) -> PlaceIntent:
        """The wish at the prices of its symbol."""
        return intent

    def wish(self, intent: PlaceIntent) -> None:
        """Put a wish to the gate, and write its decision down as the engine would."""
        qty, price = intent.qty, intent.price
        answer = self.gate.review(intent, self.maker.now_ns)
        self._tell_context(intent, answer.decision["context"])
        words = {
            "symbol": symbol_of(intent.instrument_id), "instrument_id": intent.instrument_id,
            "strategy_id": intent.strategy_id, "side": intent.side.value,
            "order_type": intent.order_type.value, "price": amount_text(price),
            "time_in_force": intent.time_in_force.value if intent.time_in_force else None,
            "decision": json.loads(json.dumps(dict(answer.decision))),
        }  # fmt: skip
        if isinstance(answer, Approved):
            order = answer.order
            self.verdicts.append("approved")
            self.orders[order.client_order_id] = {
                "iid": order.instrument_id, "side": order.side, "leaves": order.qty,
                "px": price or self.price_of(order.instrument_id), "state": "SUBMITTED",
                "cum": Decimal(0),
            }  # fmt: skip
            self.maker.write(
                EventType.ORDER_APPROVED, client_order_id=order.client_order_id,
                qty=plain(order.qty), stop_price=amount_text(order.stop_price),
                reduce_only=order.reduce_only, reason="",
                **words,
            )  # fmt: skip
        else:
            self.verdicts.append(answer.reason.value)
            self.maker.write(
                EventType.ORDER_DENIED, qty=amount_text(qty), deny_reason=answer.reason.value,
                deny_context=dict(answer.context), **words,
            )  # fmt: skip

    def _tell_context(self, intent: PlaceIntent, digest: str) -> None:
        if digest not in self.contexts:
            context = self.gate.risk.contexts.of(intent.instrument_id)
            assert context.digest == digest
            self.contexts.add(digest)
            plain_context = json.loads(json.dumps(dict(context.plain)))
            self.maker.write(EventType.RISK_CONTEXT, context=digest, **plain_context)

    def _state(self, cid: str, new: str) -> None:
        order = self.orders[cid]
        self.maker.write(
            EventType.ORDER_STATE, client_order_id=cid, symbol=symbol_of(order["iid"]),
            instrument_id=order["iid"], order_id="1", old=order["state"], new=new, why="x",
            cum_qty=plain(order["cum"]), venue_cum_qty=plain(order["cum"]), source="stream",
        )  # fmt: skip
        order["state"] = new

    def price_of(self, iid: InstrumentId) -> Decimal:
        """About what a symbol trades at."""
        return Decimal(100)

    def base_of(self, iid: InstrumentId) -> str:
        """The asset that a symbol buys."""
        return symbol_of(iid).removesuffix("USDT")

    def _venue(self, cid: str) -> None:
        order, gate, now = self.orders[cid], self.gate, self.maker.now_ns
        what = self.rng.choice(
            ["fill", "fill", "part", "cancel", "reject", "unknown", "ack", "amend"]
        )
        typed = ClientOrderId(cid)
        if what in {"fill", "part"}:
            self._fill(cid, order["leaves"] if what == "fill" else order["leaves"] / 2)
        elif what == "cancel":
            gate.risk.on_terminal(typed, now)
            self._state(cid, "CANCELED")
            del self.orders[cid]
        elif what == "reject":
            gate.risk.on_venue_reject(typed, now)
            self.maker.write(
                EventType.ORDER_REJECT, client_order_id=cid, symbol=symbol_of(order["iid"]),
                instrument_id=order["iid"], code=-2010, msg="no",
            )  # fmt: skip
            self._state(cid, "REJECTED")
            del self.orders[cid]
        elif what == "amend":
            self._amend(cid)
        elif what == "unknown":
            gate.risk.on_unknown(typed, now)
            self._state(cid, "UNKNOWN")
        else:
            gate.risk.on_known(typed, now)
            self._state(cid, "ACCEPTED")

    def _amend(self, cid: str) -> None:
        order = self.orders[cid]
        old = order["leaves"] + order["cum"]
        leaves = (order["leaves"] / 2).quantize(Decimal("0.00001"))
        if not 0 < leaves < order["leaves"]:
            return
        self.gate.risk.on_leaves(ClientOrderId(cid), leaves)
        order["leaves"] = leaves
        self.maker.write(
            EventType.ORDER_AMENDED, client_order_id=cid, symbol=symbol_of(order["iid"]),
            instrument_id=order["iid"], order_id="1", old_qty=plain(old),
            qty=plain(leaves + order["cum"]), source="stream",
        )  # fmt: skip

    def _fill(self, cid: str, qty: Decimal) -> None:
        order = self.orders[cid]
        self.trade_id += 1
        made = fill(
            cid, self.trade_id, plain(qty), plain(order["px"]), side=order["side"],
            iid=order["iid"], fee=plain(qty / 1000),
            fee_asset=self.base_of(order["iid"]),
            ts_ns=self.maker.now_ns,
        )  # fmt: skip
        self.gate.risk.on_fill(made, self.maker.now_ns)
        order["leaves"] -= qty
        order["cum"] += qty
        self.maker.write(
            EventType.FILL, exec_id=made.exec_id, client_order_id=cid, order_id="1",
            symbol=symbol_of(order["iid"]), instrument_id=order["iid"], side=order["side"].value,
            qty=plain(qty), price=plain(order["px"]), fee=plain(made.fee),
            fee_asset=made.fee_asset, liquidity="MAKER", partial=order["leaves"] > 0,
            recovered=False, late=False, ts_venue_ns=0, ts_recv_ns=0,
            position_qty=plain(self.gate.risk.books.positions()[order["iid"]].qty),
        )  # fmt: skip
        if order["leaves"] == 0:
            self._state(cid, "FILLED")
            del self.orders[cid]

    def run(self, turns: int) -> "GateWorld":
        for _ in range(turns):
            self.turn()
        return self


def amount_text(value: Decimal | None) -> str | None:
    """An amount as the engine writes it; one that is none, as it stands."""
    return None if value is None else plain(value) if value.is_finite() else str(value)
