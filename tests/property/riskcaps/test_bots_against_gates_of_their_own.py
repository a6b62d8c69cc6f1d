"""A bot's caps decide as a gate of its own would that hears of this bot's orders alone.

The account's caps are wide, so that only the third scope can deny. Each wish of a bot goes to the
common gate and to the gate of its own; verdicts must be the same, whatever the other bot does. And
`evidence.judge.decision_recheck` decides every line of random worlds with bots again.
"""

import json
import random
from pathlib import Path
from typing import Any

from daemon.model.copies import replace
from daemon.model.enums import Side, TradingState
from daemon.model.ids import ClientOrderId, StrategyId
from daemon.model.intents import PlaceIntent
from daemon.model.position import Balance
from evidence.judge.decision_recheck import recheck
from riskcaps.gate.interceptor import Approved, Interceptor
from riskcaps.words.capset import CapSet, capset_from_mapping
from tests.support.gate_world import TIGHT, GateWorld
from tests.support.journal_maker import write_journal
from tests.unit.riskcaps.kit import BTC, ETH, T0, D, bare_gate, caps_of, fill, instrument, top, wish
from tests.unit.riskcaps.kit import symbol_caps as symbol_table

MS = 1_000_000
WIDE: dict[str, Any] = {
    "exposure_gross_numeraire_max": "90000", "exposure_net_numeraire_max": "90000",
    "orders_open_max": 1000, "orders_per_second_max": 1000, "orders_per_minute_max": 9000,
    "loss_session_numeraire_max": "9000", "loss_day_numeraire_max": "9000",
    "drawdown_numeraire_max": "9000", "executions_without_human_max": 9000,
    "messages_per_second_max": 9000, "loss_streak_max": 1000,
}  # fmt: skip
WIDE_SYMBOL: dict[str, Any] = {
    "position_long_base_max": "500", "position_short_base_max": "500",
    "exposure_quote_max": "90000", "orders_open_max": 1000, "orders_per_minute_max": 9000,
}  # fmt: skip
PORTFOLIO: dict[str, list[Any]] = {
    "exposure_gross_numeraire_max": ["150", "300"],
    "exposure_net_numeraire_max": ["120", "250"],
    "orders_open_max": [1, 3],
    "symbols_traded_max": [1],
    "orders_per_second_max": [2],
    "orders_per_minute_max": [4, 9],
    "messages_per_second_max": [42],
    "traded_notional_per_day_numeraire_max": ["400", "900"],
    "duplicate_window_ms": [400],
    "venue_reject_streak_max": [2],
    "executions_without_human_max": [4],
}
SYMBOL: dict[str, list[Any]] = {
    "order_qty_base_max": ["0.9", "1"],
    "position_long_base_max": ["1", "2"],
    "position_short_base_max": ["1", "2"],
    "exposure_quote_max": ["150"],
    "orders_open_max": [1, 2],
    "orders_per_minute_max": [3],
    "traded_qty_per_day_base_max": ["3", "6"],
    "collar_bps_max": [200],
    "sides": [["BUY"]],
}


def some(rnd: random.Random, table: dict[str, list[Any]], most: int) -> dict[str, Any]:
    keys = rnd.sample(sorted(table), rnd.randint(0, most))
    return {key: rnd.choice(table[key]) for key in keys}


class Bots:
    """One account with two bots, and a gate of its own for each of them."""

    def __init__(self, seed: int) -> None:
        self.rnd = rnd = random.Random(seed)
        self.now = T0
        names = ("BTCUSDT", "ETHUSDT")
        wide = caps_of(symbols={n: symbol_table(**WIDE_SYMBOL) for n in names}, **WIDE)
        self.tables = {
            bot: {**some(rnd, PORTFOLIO, 3), "symbols": {n: some(rnd, SYMBOL, 2) for n in names}}
            for bot in ("a", "b")
        }
        self.gate = bare_gate({**wide, "bots": self.tables})
        self.own = {
            bot: bare_gate(
                {
                    **wide,
                    **{key: value for key, value in table.items() if key != "symbols"},
                    "symbols": {n: {**wide["symbols"][n], **table["symbols"][n]} for n in names},
                }
            )
            for bot, table in self.tables.items()
        }
        self.open: list[tuple[str, ClientOrderId, ClientOrderId, PlaceIntent]] = []
        self.verdicts: set[str] = set()
        self.fills = 0
        for gate in self.gates():
            gate.risk.on_instruments([instrument(BTC), instrument(ETH)])
            gate.risk.on_clock(0, 0, self.now)
            gate.risk.on_journal_health(True)
            gate.risk.set_trading_state(TradingState.ACTIVE)
        self.tell()

    def gates(self) -> tuple[Interceptor, ...]:
        return (self.gate, *self.own.values())

    def tell(self) -> None:
        bid = self.rnd.choice(["99.00", "99.99", "100.50"])
        for gate in self.gates():
            for name in (BTC, ETH):
                told = top(bid, str(D(bid) + D("0.02")), self.now, name)
                gate.risk.on_top(told, self.now)
            free = [Balance(asset, D(90_000), D(0)) for asset in ("USDT", "BTC", "ETH")]
            gate.risk.on_balances(free, self.now)

    def turn(self) -> None:
        self.now += self.rnd.choice([1, 30, 200, 900]) * MS
        if self.rnd.random() < 0.15:
            self.tell()
        if self.rnd.random() < 0.6 or not self.open:
            self.wish()
            return
        bot, name, own_name, intent = self.rnd.choice(self.open)
        both = ((self.gate, name), (self.own[bot], own_name))
        what = self.rnd.choice(["known", "end", "fill", "fill", "reject", "leaves"])
        self.fills += 1
        for gate, cid in both:
            if what == "known":
                gate.risk.on_known(cid, self.now)
            elif what == "end":
                gate.risk.on_terminal(cid, self.now)
            elif what == "reject":
                gate.risk.on_venue_reject(cid, self.now)
            elif what == "leaves":
                gate.risk.on_leaves(cid, D("0.1"))
            else:
                told = fill(cid, str(intent.side), "0.2", str(intent.price), fee="0.01",
                            exec_id=str(self.fills), name=intent.instrument_id)  # fmt: skip
                gate.risk.on_fill(told, self.now)

    def wish(self) -> None:
        bot, side = self.rnd.choice("ab"), self.rnd.choice([Side.BUY, Side.SELL])
        intent = wish(
            str(side),
            self.rnd.choice(["0.3", "0.5", "0.9", "1"]),
            self.rnd.choice(["98.50", "98.90"] if side is Side.BUY else ["100.60", "101.00"]),
            strategy_id=StrategyId(f"bot:{bot}"),
            instrument_id=self.rnd.choice([BTC, BTC, ETH]),
        )
        here = self.gate.review(intent, self.now)
        there = self.own[bot].review(replace(intent, strategy_id=StrategyId("quoter")), self.now)
        verdicts = here.decision["verdict"], there.decision["verdict"]
        if "bot" in here.decision:
            assert verdicts[0] == verdicts[1], (verdicts, intent, self.tables[bot])
        else:  # the account's own rules, stale prices for instance, stand before a bot's
            assert "approved" not in verdicts, (verdicts, intent)
        self.verdicts.add(verdicts[0])
        if isinstance(here, Approved) and isinstance(there, Approved):
            row = (bot, here.order.client_order_id, there.order.client_order_id, intent)
            self.open.append(row)


def test_a_bot_is_decided_as_by_a_gate_of_its_own() -> None:
    met: set[str] = set()
    for seed in range(250):
        bots = Bots(seed)
        try:
            for _ in range(40):
                bots.turn()
        except AssertionError:
            print(f"seed {seed}")
            raise
        met |= bots.verdicts
        twin = bare_gate(bots.gate.risk.capset.to_plain())
        twin.restore(json.loads(json.dumps(bots.gate.state())))
        assert twin.state() == bots.gate.state(), seed
    assert met >= {
        "approved", "orders_open_total", "orders_open_symbol", "position_long", "exposure_gross",
        "orders_per_minute", "duplicate_order", "symbols_traded", "venue_reject_streak",
        "traded_qty_per_day", "executions_need_human",
    }, met  # fmt: skip


class WorldWithBots(GateWorld):
    """Two thirds of the wishes come from bots with caps of their own."""

    def make_caps(self, changed: dict[str, Any]) -> CapSet:
        plain = super().make_caps({}).to_plain()
        self.tables = {}
        for bot in ("a", "b"):
            keys = self.rng.sample(
                sorted(set(TIGHT) - {"collar_reference", "market_slippage_bps"}), 6
            )
            table: dict[str, Any] = {"symbols": {"BTCUSDT": {}, "ETHUSDT": {}}}
            for key in keys:
                value = self.rng.choice(TIGHT[key])
                holder = table if key in plain else table["symbols"]["BTCUSDT"]
                holder[key] = value
            self.tables[bot] = _stricter(plain, table)
        return capset_from_mapping({**plain, "bots": self.tables})

    def scaled(self, intent: PlaceIntent) -> PlaceIntent:
        sender = self.rng.choice(["quoter", "bot:a", "bot:b"])
        return replace(intent, strategy_id=StrategyId(sender))


def _stricter(plain: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """What of a table is stricter than the account's caps."""
    kept: dict[str, Any] = {"symbols": {"BTCUSDT": {}}}
    for key, value in table.items():
        rows = value["BTCUSDT"] if key == "symbols" else {key: value}
        for name, one in rows.items():
            holder = kept["symbols"]["BTCUSDT"] if key == "symbols" else kept
            trial = {**holder, name: one}
            candidate = (
                {**kept, "symbols": {"BTCUSDT": trial}} if key == "symbols" else {**kept, **trial}
            )
            try:
                capset_from_mapping({**plain, "bots": {"a": candidate}})
            except ValueError:
                continue
            holder[name] = one
    return kept


def test_the_accountant_agrees_with_every_decision_of_worlds_with_bots(tmp_path: Path) -> None:
    checked, by_bots = 0, set()
    for seed in range(40):
        world = WorldWithBots(seed)
        for _ in range(120):
            world.turn()
        lines = world.maker.lines()
        result = recheck([write_journal(tmp_path / str(seed), lines)])
        assert result["is_agreed"], f"seed {seed}: {result['journals'][0]['disagreements'][:3]}"
        checked += result["checked"]
        for record in world.maker.records:
            if "bot" in record.get("decision", {}):
                by_bots.add(record["decision"]["verdict"])
    assert checked > 1500
    assert len(by_bots - {"approved"}) >= 8, by_bots
