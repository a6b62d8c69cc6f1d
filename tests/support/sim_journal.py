"""The journal and the venue's books of a simulated world, for the accountant to judge.

The facts are the engine's own records; the books are read from the venue's core, which the engine
never touches. So a false alarm of the accountant shows as well as a lie of the engine.
"""

from typing import Any

from daemon.model.records import EventType, severity_of
from daemon.venues.binance_spot.serving.units import decimal_of_e8
from tests.support.builders import INSTANCE, T0
from tests.support.sim_runner import SYMBOL, SimRun


def records_of(run: SimRun) -> list[dict[str, Any]]:
    """The run's facts as whole journal lines, between a run's start and its stop."""
    envelope = {"schema": 1, "run_id": f"{INSTANCE}-1", "mode": "sim", "exchange": "sim"}

    def line(event_type: str, ts_ns: int, session_id: str, **fields: Any) -> dict[str, Any]:
        severity = severity_of(EventType(event_type))
        return {
            "ts_ns": ts_ns, **envelope, "session_id": session_id, "event_type": event_type,
            "level": severity.level, "is_error": severity.is_error,
            "is_anomaly": severity.is_anomaly, **fields,
        }  # fmt: skip

    out = [line("run_start", T0, "", instance=INSTANCE, run_number=1, environment="sim")]
    caps_hash, caps = run.capset.hash, run.capset.to_plain()
    second_run = run.boots[1][0] if len(run.boots) > 1 else len(run.facts)
    for number, fact in enumerate(run.facts):
        fields = {k: v for k, v in fact.items() if k not in {"seq", "ts_ns", "event_type"}}
        if fact["event_type"] == "heartbeat" and number >= second_run:
            del fields["counts"]  # they count from the crash on; these lines are one run's
        if fact["event_type"] == "session_start":
            fields |= {"caps_hash": caps_hash, "caps": caps, "environment": "sim"}
        session = fields.pop("session_id", "")
        out.append(line(fact["event_type"], fact["ts_ns"], session, **fields))
    out.append(line("run_stop", run.now_ns, "", reason="end", exit_code=0))
    return out


def books_of(run: SimRun) -> dict[str, Any]:
    """Orders, fills, balances of our account, as the venue's core keeps them."""
    account = run.venue.accounts["main"]
    orders = [
        {
            "symbol": order.symbol, "order_id": order.order_id,
            "order_list_id": order.list_id,
            "client_order_id": order.client_order_id, "side": order.side.value,
            "type": order.type.value, "price": str(decimal_of_e8(order.price)),
            "qty": str(decimal_of_e8(order.qty)),
            "executed_qty": str(decimal_of_e8(order.executed)), "status": order.status.value,
            "ts_ns": order.ts_ns, "updated_ns": order.updated_ns,
        }
        for order in account.history.all()
        if order.symbol == SYMBOL
    ]  # fmt: skip
    fills = [
        {
            "symbol": row.symbol, "trade_id": row.trade_id, "order_id": row.order_id,
            "client_order_id": row.client_order_id, "side": row.side.value,
            "price": str(decimal_of_e8(row.price)), "qty": str(decimal_of_e8(row.qty)),
            "fee": str(decimal_of_e8(row.fee)), "fee_asset": row.fee_asset, "ts_ns": row.ts_ns,
        }
        for row in run.venue.my_trades("main", SYMBOL)
    ]  # fmt: skip
    balances = {
        asset: {"free": str(decimal_of_e8(w.free)), "locked": str(decimal_of_e8(w.locked))}
        for asset, w in account.wallets.items()
    }
    return {
        "source": {"environment": "sim", "host": "core"}, "orders": orders, "fills": fills,
        "balances": balances, "faults": {},
        "initial_balances": {"USDT": "1000000", "BTC": "100"},
    }  # fmt: skip
