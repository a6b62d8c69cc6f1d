"""Synthetic journals and the venue's matching books, made by the schema's text alone.

Nothing of the daemon is used, so the accountant's tests stand on `daemon/model/records.py` only.
Lines are kept as mappings, so that a test can play the clever operator: edit, then `encode` again
with fresh sequence numbers and a fresh, consistent chain.
"""

import copy
import hashlib
import json
import random
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from daemon.model.records import GENESIS, EventType, severity_of

START_NS = 1_790_000_000_000_000_000
MS = 1_000_000
ASSETS = {"BTCUSDT": ("BTC", "USDT"), "ETHUSDT": ("ETH", "USDT")}
CAPS: dict[str, Any] = {
    "numeraire": "USDT",
    "conversions": {},
    "exposure_gross_numeraire_max": "4000",
    "exposure_net_numeraire_max": "4000",
    "orders_open_max": 20,
    "balance_free_min": {},
    "orders_per_second_max": 1000,
    "orders_per_minute_max": 2000,
    "orders_per_hour_max": 2000,
    "orders_per_day_max": 10000,
    "cancels_per_second_max": 1000,
    "messages_per_second_max": 1000,
    "messages_per_second_cancel_reserve": 100,
    "messages_per_minute_max": 10000,
    "messages_per_minute_cancel_reserve": 100,
    "venue_budget_percent_max": 80,
    "order_to_trade_ratio_max": "1000",
    "order_to_trade_grace_orders": 1000,
    "traded_notional_per_day_numeraire_max": "1000000",
    "loss_session_numeraire_max": "500",
    "loss_day_numeraire_max": "500",
    "drawdown_numeraire_max": "500",
    "loss_streak_max": 1000,
    "executions_without_human_max": 10000,
    "venue_reject_streak_max": 1000,
    "duplicate_window_ms": 1,
    "clock_offset_ms_max": 500,
    "clock_age_ms_max": 60000,
    "valuation_age_ms_max": 60000,
    "reduce_oversized": "deny",
    "symbols": {
        symbol: {
            "order_qty_base_max": "0.1",
            "order_notional_quote_max": "1000",
            "position_long_base_max": "1",
            "position_short_base_max": "1",
            "exposure_quote_max": "3000",
            "orders_open_max": 10,
            "orders_per_minute_max": 1000,
            "traded_qty_per_day_base_max": "1000",
            "collar_bps_max": 100,
            "collar_reference": "mid",
            "market_slippage_bps": 50,
            "market_data_age_ms_max": 5000,
            "sides": ["BUY", "SELL"],
            "order_types": ["LIMIT", "MARKET"],
            "times_in_force": ["GTC"],
            "trading_windows_utc": ["00:00-24:00"],
        }
        for symbol in ASSETS
    },
}
FILTERS: dict[str, Any] = {
    "status": "TRADING", "order_types": ["LIMIT", "MARKET"], "base_precision": 8,
    "quote_precision": 8, "tick": "0.01", "lot": "0.0001",
}  # fmt: skip
MINUTE_NS = 60_000 * MS
DRILLED: dict[str, dict[str, Any]] = {
    "kill-switch": {
        "gate_us": 3, "latched_ms": 1, "latch_read_back": True, "empty_ms": 9,
        "venue_verified_empty": True, "venue_open_orders": 0, "rehearsed_order": "",
        "wish_after_gate_closed": "halt_flag_closed", "order_canceled": True,
        "trading_state": "HALTED", "latched": True, "start_while_latched": "latched",
    },
    "cap-rejection": {
        "symbol": "BTCUSDT", "caps_hash": "22", "within_caps": "", "quantity": "order_qty",
        "notional": "order_notional", "price": "price_collar", "gate_closed": "halt_flag_closed",
        "orders_let_through": 1, "denials_journalled": 4,
    },
    "disconnect": {
        "gate_without_orders": "STALE", "wish_without_orders": True, "denied_as": "stale",
        "compares_again": True, "gate_mended": "READY", "loss_seen": True,
        "compared_and_ready_again": True, "outage_ms": 40,
    },
    "rate-limit": {
        "rehearsed_order": "", "refusals": 3, "incident": ["rate_limit_storm"],
        "trading_state": "HALTED", "gate_closed": True, "order_canceled": True,
        "start_with_incident": "incident_open",
    },
    "reconcile": {
        "incident": ["foreign_order"], "trading_state": "HALTED", "answer": "compared",
        "own_books_clean": True,
    },
    "gating": {
        "confirm_token_needed_here": False,
        **{f"{step}: what it tries": True for step in "ABCDEFG"},
    },
}  # fmt: skip
"""Each drill's details as the daemon writes them when it has passed."""
PRICES = {"BTCUSDT": Decimal("3000.00"), "ETHUSDT": Decimal("200.00")}


def encode(records: Iterable[dict[str, Any]]) -> list[bytes]:
    """Number and chain the records anew; each line without its newline."""
    lines, head = [], GENESIS
    for seq, record in enumerate(records, 1):
        body = {k: v for k, v in record.items() if k not in {"seq", "prev"}}
        line = json.dumps({"seq": seq, **body, "prev": head}, separators=(",", ":")).encode()
        head = hashlib.sha256(line).hexdigest()
        lines.append(line)
    return lines


def write_journal(
    directory: Path, lines: list[bytes], *, segment_lines: int = 0, is_anchored: bool = False
) -> Path:
    """Write lines as segments of a journal directory, and the anchor of the last one if wanted."""
    directory.mkdir(parents=True, exist_ok=True)
    size = segment_lines or max(len(lines), 1)
    for number, start in enumerate(range(0, max(len(lines), 1), size), 1):
        part = lines[start : start + size]
        (directory / f"journal-{number:06d}.jsonl").write_bytes(b"".join(x + b"\n" for x in part))
    if is_anchored:
        anchor = {"segment": "journal-000001.jsonl", "seq": json.loads(lines[-1])["seq"],
                  "head": hashlib.sha256(lines[-1]).hexdigest()}  # fmt: skip
        (directory / "anchors.jsonl").write_text(json.dumps(anchor) + "\n")
    return directory


def plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


class JournalMaker:
    """A small daemon and a small venue that agree: `records` and `ledger` grow together."""

    def __init__(
        self, seed: int = 7, *, mode: str = "sim", exchange: str = "sim", instance: str = "abc123"
    ) -> None:
        self.rng = random.Random(seed)
        self.mode, self.exchange, self.instance = mode, exchange, instance
        self.now_ns = START_NS
        self.records: list[dict[str, Any]] = []
        self.run_number = 0
        self.session_number = 0
        self.session_id = ""
        self.orders = 0
        self.counts = {"orders": 0, "fills": 0, "denied": 0}
        self.positions = dict.fromkeys(ASSETS, Decimal(0))
        self.incidents = 0
        self.next_order_id = 100
        self.next_trade_id = 1000
        start = {"BTC": "10", "ETH": "100", "USDT": "100000"}
        self.ledger: dict[str, Any] = {
            "orders": [], "fills": [], "cancels": [], "rejects": [], "events": [],
            "open_orders": [], "requests": {}, "faults": [],
            "initial_balances": {a: {"free": v, "locked": "0"} for a, v in start.items()},
        }  # fmt: skip
        self.balances = {asset: Decimal(v) for asset, v in start.items()}
        self.next_beat_ns = 0
        self.open: dict[str, dict[str, Any]] = {}
        self.caps: dict[str, Any] = CAPS
        self.approved: list[tuple[int, str]] = []
        self.traded: list[tuple[int, str, Decimal]] = []

    # ------------------------------------------------------------------ lines
    def write(self, event_type: EventType, **fields: Any) -> dict[str, Any]:
        severity = severity_of(event_type)
        record = {
            "ts": "2026-09-21T14:13:20.000000Z", "ts_ns": self.now_ns, "schema": 1,
            "run_id": f"{self.instance}-{self.run_number}", "session_id": self.session_id,
            "mode": self.mode, "exchange": self.exchange, "event_type": event_type.value,
            "level": severity.level, "is_error": severity.is_error,
            "is_anomaly": severity.is_anomaly, **fields,
        }  # fmt: skip
        self.records.append(record)
        return record

    def wait(self, ms: int = 1, jitter_ns: int = 900_000) -> None:
        """Let time pass; heartbeats come when they are due."""
        self.now_ns += ms * MS + self.rng.randrange(jitter_ns)
        while self.session_id and self.next_beat_ns <= self.now_ns:
            now, self.now_ns = self.now_ns, self.next_beat_ns
            self.write(
                EventType.HEARTBEAT, trading_state="ACTIVE", gate_state="READY",
                open_orders=len(self.open), unknown_orders=0, queue_age_ms=0, period_ms=1000,
                counts=[*self.decided(), self.counts["fills"], self.incidents],
            )  # fmt: skip
            self.now_ns = now
            self.next_beat_ns += 1000 * MS

    def decided(self) -> list[int]:
        """What every decision states: approved and denied so far."""
        return [self.counts["orders"], self.counts["denied"]]

    def incident(self, trigger: str = "reject_storm") -> str:
        """An incident is opened; its id."""
        self.incidents += 1
        name = f"{self.instance}-{self.run_number}-i{self.incidents}"
        self.write(
            EventType.INCIDENT_OPENED, incident_id=name, trigger=trigger, msg="10 in 10 s",
            symbol="", context={},
        )  # fmt: skip
        return name

    def resolve(self, incident_id: str) -> None:
        self.write(
            EventType.INCIDENT_RESOLVED, incident_id=incident_id, by="tester",
            root_cause="a wrong price", remediation="mended", follow_up="none",
        )  # fmt: skip

    # ------------------------------------------------------------------ runs and sessions
    def run_start(self, **more: Any) -> None:
        self.run_number += 1
        self.incidents = 0
        self.orders = 0
        self.write(
            EventType.RUN_START, instance=self.instance, run_number=self.run_number,
            version="0.1.0", commit="c0ffee", config_hash="11", caps_hash="22", account="acc",
            environment=self.exchange, packages={}, python="3.11", **more,
        )  # fmt: skip
        self.write(
            EventType.INSTRUMENTS,
            instruments=[{"symbol": s, "base": b, "quote": q} for s, (b, q) in ASSETS.items()],
        )

    def run_stop(self) -> None:
        self.wait()
        self.write(EventType.RUN_STOP, reason="operator", exit_code=0)

    def session_start(self, caps: dict[str, Any] | None = None) -> None:
        self.wait()
        self.session_number += 1
        self.session_id = f"{self.instance}-s{self.session_number}"
        self.counts = {"orders": 0, "fills": 0, "denied": 0}
        self.next_beat_ns = self.now_ns + 1000 * MS
        self.caps = caps or CAPS
        self.write(
            EventType.SESSION_START, version="0.1.0", commit="c0ffee", config_hash="11",
            caps_hash="22", account="acc", environment=self.exchange, host="127.0.0.1",
            packages={}, strategies=["quoter"], caps=self.caps, by="tester", reason="test",
        )  # fmt: skip
        self.write(
            EventType.TRADING_STATE, old="HALTED", new="ACTIVE", why="start", by="tester",
            latched=False,
        )  # fmt: skip

    def session_stop(self, reason: str = "done") -> None:
        self.wait()
        for cid in list(self.open):
            self.cancel(cid)
        self.write(
            EventType.TRADING_STATE, old="ACTIVE", new="HALTED", why="stop", by="tester",
            latched=False,
        )  # fmt: skip
        self.write(EventType.SESSION_STOP, reason=reason, by="tester", duration_ms=0, **self.counts)
        self.session_id = ""

    # ------------------------------------------------------------------ orders
    def decision(
        self, verdict: str, symbol: str, side: str, qty: str, price: str
    ) -> dict[str, Any]:
        """Every input of a decision, as the gate would write it (riskcaps/gate/gate_inputs.py)."""
        now, instrument = self.now_ns, f"{symbol}@{self.exchange}"
        held = {s: [o for o in self.open.values() if o["symbol"] == s] for s in ASSETS}
        mid = PRICES[symbol]
        stamps = [stamp for stamp, _ in self.approved]
        attempts = [sum(t >= now - w * 1000 * MS for t in stamps) for w in (1, 60, 3600, 86400)]
        buys = [o["price"] for o in held[symbol] if o["side"] == "BUY"]
        sells = [o["price"] for o in held[symbol] if o["side"] == "SELL"]

        def leaves(of: str, way: str) -> str:
            return plain(
                sum((o["qty"] - o["cum"] for o in held[of] if o["side"] == way), Decimal(0))
            )

        others = {
            f"{s}@{self.exchange}": [
                plain(self.positions[s]), leaves(s, "BUY"), leaves(s, "SELL"),
                plain(max((o["price"] for o in held[s]), default=Decimal(0))),
                plain(PRICES[s] - Decimal("0.5")), plain(PRICES[s] + Decimal("0.5")), now,
                "1", "1", 0,
            ]
            for s in ASSETS
            if s != symbol and (self.positions[s] or held[s])
        }  # fmt: skip
        return {
            "verdict": verdict, "strategy_id": "quoter", "instrument_id": instrument, "side": side,
            "order_type": "LIMIT", "time_in_force": "GTC", "reduce_only": False, "qty": qty,
            "qty_approved": qty, "price": price, "stop_price": None, "px": price, "now_ns": now,
            "caps_hash": "22", "caps": self.caps["symbols"][symbol],
            "portfolio_caps": {k: v for k, v in self.caps.items() if k != "symbols"},
            "halted": False, "halt_reason": "", "trading_state": "ACTIVE", "journal_ok": True,
            "clock": [0, 1000, now], "blocked": "", "unknown_orders": 0, "filters": FILTERS,
            "streaks": [0, 0, 0], "bid": plain(mid - Decimal("0.5")),
            "ask": plain(mid + Decimal("0.5")), "top_ns": now, "reference_px": None,
            "reference_ns": None, "position": plain(self.positions[symbol]),
            "buys_open": leaves(symbol, "BUY"), "sells_open": leaves(symbol, "SELL"),
            "own_px": [
                plain(max(buys)) if buys else None, plain(min(sells)) if sells else None,
                plain(max(buys + sells)) if buys or sells else None,
            ],
            "orders_open": [len(held[symbol]), 0, len(self.open)], "rate": ["1", "1", 0],
            "others": others, "balance": ["USDT", "90000", "0", "0"], "base_total": None,
            "attempts": attempts, "messages": attempts[:2],
            "symbol_minute": sum(t >= now - MINUTE_NS and s == symbol for t, s in self.approved),
            "executions": len(self.traded), "budget": {}, "turnover": {},
            "traded_qty": plain(sum((q for _, s, q in self.traded if s == symbol), Decimal(0))),
            "equity": "0", "losses": [["0", "500", "halt", False]] * 3, "duplicate_ns": -1,
        }  # fmt: skip

    def approve(self, symbol: str, side: str, qty: str, price: str) -> str:
        self.wait()
        self.orders += 1
        self.counts["orders"] += 1
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"
        number, text = self.orders, ""
        while number:
            number, digit = divmod(number, 36)
            text = digits[digit] + text
        cid = f"st{self.instance}-{self.run_number}-{text}"
        self.write(
            EventType.ORDER_APPROVED, client_order_id=cid, symbol=symbol,
            instrument_id=f"{symbol}@{self.exchange}", strategy_id="quoter", side=side,
            order_type="LIMIT", qty=qty, price=price, time_in_force="GTC", stop_price=None,
            reduce_only=False, reason="",
            decision=self.decision("approved", symbol, side, qty, price),
            counts=self.decided(),
        )  # fmt: skip
        self.approved.append((self.now_ns, symbol))
        self.open[cid] = {
            "symbol": symbol, "side": side, "qty": Decimal(qty), "price": Decimal(price),
            "cum": Decimal(0), "state": "SUBMITTED", "order_id": "",
        }  # fmt: skip
        return cid

    def state(self, cid: str, new: str, why: str = "ack") -> None:
        order = self.open[cid]
        self.write(
            EventType.ORDER_STATE, client_order_id=cid, symbol=order["symbol"],
            instrument_id=f"{order['symbol']}@{self.exchange}", order_id=order["order_id"],
            old=order["state"], new=new, why=why, cum_qty=plain(order["cum"]),
            venue_cum_qty=plain(order["cum"]), source="" if why == "reject" else "stream",
        )  # fmt: skip
        order["state"] = new
        if new in {"FILLED", "CANCELED", "EXPIRED", "REJECTED"}:
            del self.open[cid]

    def venue_accepts(self, cid: str) -> None:
        order = self.open[cid]
        self.next_order_id += 1
        order["order_id"] = str(self.next_order_id)
        row = {
            "symbol": order["symbol"], "order_id": self.next_order_id, "client_order_id": cid,
            "side": order["side"], "type": "LIMIT", "time_in_force": "GTC",
            "price": plain(order["price"]), "qty": plain(order["qty"]), "executed_qty": "0",
            "cum_quote": "0", "status": "NEW", "ts_ns": self.now_ns, "updated_ns": self.now_ns,
        }  # fmt: skip
        self.ledger["orders"].append(row)
        order["row"] = row
        self._event("accepted", cid, order["qty"], order["price"])

    def _event(self, kind: str, cid: str, qty: Decimal, price: Decimal) -> None:
        order = self.open[cid]
        self.ledger["events"].append({
            "ts_ns": self.now_ns, "kind": kind, "symbol": order["symbol"], "side": order["side"],
            "order_id": order["order_id"], "client_order_id": cid, "qty": plain(qty),
            "price": plain(price), "leaves": plain(order["qty"] - order["cum"]),
        })  # fmt: skip

    def accept(self, cid: str) -> None:
        self.venue_accepts(cid)
        self.wait()
        self.state(cid, "ACCEPTED")

    def fill(self, cid: str, qty: str | None = None, *, is_journalled: bool = True) -> None:
        self.wait(5)
        order = self.open[cid]
        amount = Decimal(qty) if qty else order["qty"] - order["cum"]
        order["cum"] += amount
        partial = order["cum"] < order["qty"]
        self.next_trade_id += 1
        base, quote = ASSETS[order["symbol"]]
        is_buy = order["side"] == "BUY"
        fee = amount * Decimal("0.001") if is_buy else amount * order["price"] * Decimal("0.001")
        fee_asset = base if is_buy else quote
        sign = 1 if is_buy else -1
        self.balances[base] += sign * amount
        self.balances[quote] -= sign * amount * order["price"]
        self.balances[fee_asset] -= fee
        self.positions[order["symbol"]] += sign * amount - (fee if is_buy else 0)
        order["row"]["executed_qty"] = plain(order["cum"])
        order["row"]["status"] = "PARTIALLY_FILLED" if partial else "FILLED"
        self.ledger["fills"].append({
            "symbol": order["symbol"], "trade_id": self.next_trade_id,
            "order_id": int(order["order_id"]), "client_order_id": cid, "side": order["side"],
            "price": plain(order["price"]), "qty": plain(amount), "fee": plain(fee),
            "fee_asset": fee_asset, "maker": True, "ts_ns": self.now_ns,
        })  # fmt: skip
        self._event("fill", cid, amount, order["price"])
        if not is_journalled:
            return
        self.counts["fills"] += 1
        self.traded.append((self.now_ns, order["symbol"], amount))
        self.write(
            EventType.FILL,
            exec_id=f"{order['symbol']}:{self.next_trade_id}:{order['order_id']}",
            client_order_id=cid, order_id=order["order_id"], symbol=order["symbol"],
            instrument_id=f"{order['symbol']}@{self.exchange}", side=order["side"],
            qty=plain(amount), price=plain(order["price"]), fee=plain(fee), fee_asset=fee_asset,
            liquidity="MAKER", partial=partial, recovered=False, late=False,
            ts_venue_ns=self.now_ns, ts_recv_ns=self.now_ns,
            position_qty=plain(self.positions[order["symbol"]]),
        )  # fmt: skip
        self.state(cid, "PARTIALLY_FILLED" if partial else "FILLED", "fill")

    def cancel(self, cid: str) -> None:
        self.wait()
        order = self.open[cid]
        self.write(
            EventType.CANCEL_REQUESTED, client_order_id=cid, symbol=order["symbol"],
            instrument_id=f"{order['symbol']}@{self.exchange}", order_id=order["order_id"],
            why="test",
        )  # fmt: skip
        order["state"] = "PENDING_CANCEL"
        self.wait()
        order["row"]["status"] = "CANCELED"
        self._event("canceled", cid, Decimal(0), Decimal(0))
        self.state(cid, "CANCELED", "cancel")

    def amend(self, cid: str, qty: str, *, is_journalled: bool = True) -> None:
        """Make an order smaller, at the venue and (when it is honest) in the journal."""
        self.wait()
        order = self.open[cid]
        old, order["qty"] = order["qty"], Decimal(qty)
        names = {
            "client_order_id": cid, "symbol": order["symbol"],
            "instrument_id": f"{order['symbol']}@{self.exchange}", "order_id": order["order_id"],
            "old_qty": plain(old), "qty": qty,
        }  # fmt: skip
        self.write(
            EventType.AMEND_REQUESTED, **names, cum_qty=plain(order["cum"]), lot="0.00001", why="x"
        )
        order["row"]["qty"] = qty
        self._event("amended", cid, order["qty"], order["price"])
        if is_journalled:
            self.write(EventType.ORDER_AMENDED, **names, source="reply")

    def reject(self, cid: str, code: int = -2010) -> None:
        order = self.open[cid]
        self.wait()
        msg = "Account has insufficient balance for requested action."
        self.ledger["rejects"].append({
            "code": code, "msg": msg, "client_order_id": cid, "symbol": order["symbol"],
            "ts_ns": self.now_ns,
        })  # fmt: skip
        self.write(
            EventType.ORDER_REJECT, client_order_id=cid, symbol=order["symbol"],
            instrument_id=f"{order['symbol']}@{self.exchange}", code=code, msg=msg,
        )  # fmt: skip
        self.state(cid, "REJECTED", "reject")

    def deny(self, reason: str = "order_qty") -> None:
        self.wait()
        self.counts["denied"] += 1
        self.write(
            EventType.ORDER_DENIED, symbol="BTCUSDT", instrument_id=f"BTCUSDT@{self.exchange}",
            strategy_id="quoter", side="BUY", order_type="LIMIT", qty="9", price="3000",
            time_in_force="GTC", deny_reason=reason, deny_context={},
            decision=self.decision(reason, "BTCUSDT", "BUY", "9", "3000"),
            counts=self.decided(),
        )  # fmt: skip

    def market_data(self, count: int = 3) -> None:
        for _ in range(count):
            self.wait(0, 200_000)
            top = {"instrument_id": f"BTCUSDT@{self.exchange}", "bid_px": "2999", "ask_px": "3001"}
            self.write(EventType.INPUT, input={"type": "MarketData", "top": top})

    # ------------------------------------------------------------------ stories
    def trade(self, orders: int = 20) -> None:
        """A mixed story within a session: accepted, filled, cut in parts, canceled, refused."""
        for _ in range(orders):
            symbol = self.rng.choice(list(ASSETS))
            side = self.rng.choice(["BUY", "SELL"])
            away = Decimal(self.rng.randrange(100, 180)) / 100
            price = PRICES[symbol] + (away if side == "SELL" else -away)
            cid = self.approve(symbol, side, self.rng.choice(["0.01", "0.02", "0.05"]), str(price))
            kind = self.rng.randrange(6)
            if kind == 0:
                self.reject(cid)
                continue
            self.accept(cid)
            self.market_data(2)
            if kind in {1, 2}:
                self.fill(cid)
            elif kind == 3:
                self.fill(cid, "0.005")
                self.cancel(cid)
            elif kind == 4:
                self.cancel(cid)
            if len(self.open) > 4:
                self.cancel(next(iter(self.open)))
            if self.rng.randrange(5) == 0:
                self.deny()
            self.wait(self.rng.randrange(300))

    def session(self, orders: int = 20) -> None:
        """One whole session with its kill drill."""
        self.session_start()
        self.trade(orders)
        for step in ("latched", "gate_closed", "verified_empty"):
            if step == "verified_empty":
                for cid in list(self.open):
                    self.cancel(cid)
            self.write(
                EventType.KILL, step=step, by="tester", uid=0, reason="drill", gate_ms=1,
                empty_ms=9,
            )  # fmt: skip
        self.drill()
        self.session_stop()

    def drill(self, name: str = "cap-rejection", **found: Any) -> None:
        """A drill that has passed, with what it found."""
        detail = {**DRILLED[name], "orders_approved": 0, **found}
        self.write(EventType.DRILL, drill=name, passed=True, detail=detail, duration_ms=90)

    def books(self) -> dict[str, Any]:
        """The venue's ledger as it stands now."""
        books = copy.deepcopy(self.ledger)
        books["balances"] = {a: {"free": plain(v), "locked": "0"} for a, v in self.balances.items()}
        books["open_orders"] = [
            {"client_order_id": cid, "symbol": o["symbol"]}
            for cid, o in self.open.items()
            if o["order_id"]
        ]
        return books

    def lines(self) -> list[bytes]:
        return encode(self.records)

    def save(self, directory: Path, *, segment_lines: int = 0) -> tuple[Path, Path]:
        """Write the journal and the ledger; returns both paths."""
        journal = write_journal(
            directory / "journal", self.lines(), segment_lines=segment_lines, is_anchored=True
        )
        ledger = directory / "ledger.json"
        ledger.write_text(json.dumps(self.books()))
        return journal, ledger


def whole_story(seed: int = 7, sessions: int = 1, orders: int = 20, **kwargs: Any) -> JournalMaker:
    """A clean journal: one run with sessions, closed in order."""
    maker = JournalMaker(seed, **kwargs)
    maker.run_start()
    for _ in range(sessions):
        maker.session(orders)
    maker.run_stop()
    return maker
