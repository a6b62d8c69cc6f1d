"""A seeded world around the real gate that reaches what `GateWorld` does not: a cross pair whose
quote asset has no price at times, stop types, extras, broken amounts, strangers, tightened caps and
restarts from a state. The accountant must follow all of it.
"""

from decimal import Decimal
from typing import Any

from daemon.model.amounts import NS_PER_MS
from daemon.model.copies import replace
from daemon.model.enums import OrderType, Side, TimeInForce, TradingState
from daemon.model.ids import ClientOrderIdFactory, InstrumentId, StrategyId
from daemon.model.instrument import Instrument
from daemon.model.intents import PlaceIntent
from daemon.model.order_features import Feature, OrderExtras, PegPrice
from daemon.model.position import Balance
from daemon.model.records import EventType
from riskcaps.gate.interceptor import Interceptor
from riskcaps.words.capset import CapSet, capset_from_mapping
from tests.support.builders import BTC, ETH, caps, instrument, top
from tests.support.gate_world import GateWorld

ETHBTC = InstrumentId("ETHBTC@sim")
BNBEUR = InstrumentId("BNBEUR@sim")
"""Its quote asset has no path to the numeraire at all."""
MIDS = {BTC: 10000, ETH: 10000, ETHBTC: 100, BNBEUR: 10000}
BASES = {BTC: ("BTC", "USDT"), ETH: ("ETH", "USDT"), ETHBTC: ("ETH", "BTC"), BNBEUR: ("BNB", "EUR")}
TYPES = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT",
         "TAKE_PROFIT_LIMIT"]  # fmt: skip
FEATURES = ["TRAILING", "ICEBERG", "PEGGED"]


class WideWorld(GateWorld):
    """`GateWorld` with four symbols in three quote assets, and wishes of every kind."""

    def make_caps(self, changed: dict[str, Any]) -> CapSet:
        changed = self.tight if self.is_calm else {**changed, **self.tight}
        portfolio = changed.pop("portfolio", {})  # for a cap that symbols have by the same name
        floor = {"USDT": "1", "BTC": self.rng.choice(["0", "1"])}
        plain = caps(
            ["BTCUSDT", "ETHUSDT", "ETHBTC", "BNBEUR"],
            **{"order_types": TYPES, "balance_free_min": floor, **changed},
        ).to_plain()
        for table in plain["symbols"].values():
            table["order_features"] = FEATURES
        return capset_from_mapping({**plain, **portfolio})

    def __init__(self, seed: int, *, is_calm: bool = False, **tight: Any) -> None:
        self.is_calm = is_calm
        self.tight = tight
        self.last: PlaceIntent | None = None
        super().__init__(seed)
        self.maker.write(
            EventType.INSTRUMENTS,
            instruments=[
                {"symbol": iid.partition("@")[0], "base": base, "quote": quote}
                for iid, (base, quote) in BASES.items()
            ],
        )

    def _instruments(self) -> tuple[Instrument, ...]:
        return tuple(
            replace(
                instrument(iid.partition("@")[0]), base=base, quote=quote,
                order_types=frozenset(OrderType(one) for one in TYPES),
                features=frozenset(Feature(one) for one in FEATURES),
                trailing_above_bps_min=10, trailing_above_bps_max=2000,
                trailing_below_bps_min=10, trailing_below_bps_max=2000, iceberg_parts_max=10,
                notional_min=Decimal("0.001"), tick=Decimal("0.0001"),
                price_min=Decimal("0.0001"), algo_orders_open_max=2,
            )
            for iid, (base, quote) in BASES.items()
        )  # fmt: skip

    def _wake(self) -> None:
        super()._wake()
        gate, rng, now = self.gate, self.rng, self.maker.now_ns
        if self.is_calm:
            gate.risk.on_journal_health(ok=True)
            gate.risk.on_clock(0, NS_PER_MS, now)
            gate.risk.set_trading_state(TradingState.ACTIVE)
        if self.is_calm or rng.random() < 0.95:
            gate.risk.on_instruments(self._instruments())
        held = dict.fromkeys(("USDT", "BTC", "ETH", "BNB", "EUR"), Decimal(1000))
        if self.is_calm or rng.random() < 0.9:
            gate.risk.on_balances(tuple(Balance(a, v, Decimal(0)) for a, v in held.items()), now)
        self._market()

    def _market(self) -> None:
        for iid, mid in MIDS.items():
            # BTCUSDT is the path of the cross pair's quote: without it there is no rate.
            if self.rng.random() < (0.6 if iid == BTC else 0.9):
                low = Decimal(mid) * self.rng.randrange(990, 1011) / 100_000
                ask = low * (Decimal("0.999") if self.rng.random() < 0.05 else Decimal("1.001"))
                self.price(iid, f"{low:.4f}", f"{ask:.4f}")

    def price(self, iid: InstrumentId, bid: str, ask: str) -> None:
        """Tell a top of book."""
        now = self.maker.now_ns
        self.gate.risk.on_top(top(bid, ask, iid=iid, ts_ns=now), now)

    def fill_whole(self, cid: str) -> None:
        """The venue fills an order."""
        self._fill(cid, self.orders[cid]["leaves"])

    def turn(self) -> None:
        roll = self.rng.random()
        if roll < 0.004:
            self._tighten()
        elif roll < 0.008:
            self._restart()
        elif roll < 0.012:
            self.gate.risk.on_clock(
                self.rng.choice([0, 600]) * NS_PER_MS, NS_PER_MS, self.maker.now_ns
            )
        elif roll < 0.15:
            self.maker.now_ns += self.rng.choice([0, 5, 700]) * NS_PER_MS
            self._odd_wish()
        else:
            super().turn()

    def symbols_wished(self) -> list[InstrumentId]:
        return [BTC, ETH, ETHBTC, ETHBTC, ETHBTC, BNBEUR]

    def base_of(self, iid: InstrumentId) -> str:
        return BASES[iid][0]

    def price_of(self, iid: InstrumentId) -> Decimal:
        return Decimal(MIDS[iid]) / 100

    def scaled(self, intent: PlaceIntent) -> PlaceIntent:
        if intent.price is None:
            return intent
        return replace(intent, price=intent.price * self.price_of(intent.instrument_id) / 100)

    def _tighten(self) -> None:
        key = self.rng.choice(["orders_per_day_max", "order_to_trade_grace_orders"])
        old = self.gate.risk.capset
        new = old.tighten({key: max(1, getattr(old, key) // 2)})
        self.gate.risk.set_capset(new)
        self.contexts.clear()
        self.maker.write(
            EventType.CAPS_CHANGED, old_hash=old.hash, new_hash=new.hash,
            changes={key: getattr(new, key)}, by="tester", reason="tighter",
        )  # fmt: skip

    def _restart(self) -> None:
        """The gate's whole state into a fresh gate; market, balances and health come again."""
        state = self.gate.state()
        gate = Interceptor(
            capset=self.gate.risk.capset, ids=ClientOrderIdFactory(run=f"{self.maker.instance}-1"),  # type: ignore[arg-type]
            halt=self.halt,
        )  # fmt: skip
        gate.risk.on_instruments(self._instruments())
        gate.restore(state)
        self.gate = gate
        self._wake()

    def _odd_wish(self) -> None:
        rng = self.rng
        if self.last is not None and rng.random() < 0.2:
            self.wish(self.last)  # the same once more, within the window of duplicates or not
            return
        kind = OrderType(rng.choice(TYPES))
        iid = rng.choice([*self.symbols_wished(), InstrumentId("DOGEUSDT@sim")])
        mid = MIDS.get(iid, 100)
        has_price = kind.value not in {"MARKET", "STOP_LOSS", "TAKE_PROFIT"}
        price = Decimal(mid) * rng.randrange(950, 1051) / 100_000
        stop = Decimal(mid) * rng.randrange(950, 1051) / 100_000
        is_stop = "STOP" in kind.value or "PROFIT" in kind.value
        shown = Decimal(rng.choice(["0.1", "0.005", "5", "0"]))
        extras = rng.choice([
            None, None, None,
            OrderExtras(trailing_bps=rng.choice([5, 50, 5000])),
            OrderExtras(iceberg_qty=shown),
            OrderExtras(peg=rng.choice(list(PegPrice)), peg_levels=rng.choice([0, 3, 101])),
        ])  # fmt: skip
        if extras is not None and extras.peg and rng.random() < 0.9:
            has_price = False
        if rng.random() < 0.03:
            price = rng.choice([Decimal("0.00001"), Decimal(2_000_000)])
        self.last = PlaceIntent(
            strategy_id=StrategyId(rng.choice(["quoter", "operator", "engine"])),
            instrument_id=iid, side=rng.choice([Side.BUY, Side.SELL]), order_type=kind,
            qty=Decimal(rng.choice(["0.1"] * 6 + ["0.2", "0", "-1", "NaN", "Infinity", "1E+60",
                                                  "0.0000000001"])),
            price=price if has_price and rng.random() < 0.95 else None,
            stop_price=stop if is_stop and rng.random() < 0.9 else None,
            time_in_force=TimeInForce.GTC if rng.random() < 0.9 else None,
            reduce_only=rng.random() < 0.2, extras=extras,
        )  # fmt: skip
        self.wish(self.last)
