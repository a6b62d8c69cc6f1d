"""The journal and the venue's books of a simulated world, for the accountant to judge.

The facts are the engine's own records; the books are read from the venue's core, which the engine
never touches. So a false alarm of the accountant shows as well as a lie of the engine.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

from daemon.model.amounts import NS_PER_MS
from daemon.model.records import EventType, severity_of
from daemon.venues.binance_spot.serving.units import decimal_of_e8
from tests.support.builders import INSTANCE
from tests.support.sim_runner import SYMBOL, SimRun

BUILD = {"version": "0.1.0", "commit": "c0ffee", "code": "c0de" * 16, "config_hash": "c0f1"}
OF_THE_ENVELOPE = {"seq", "ts_ns", "event_type", "session_id"}


def records_of(run: SimRun) -> list[dict[str, Any]]:
    """The run's facts as whole journal lines: each boot begins with its run's lines, as a daemon's
    does, and the last run has a stop.
    """
    out: list[dict[str, Any]] = []
    boots, noted = deque(enumerate(run.boots, 1)), deque(run.shell.noted)
    for number, fact in enumerate([*run.facts, None]):
        while True:
            is_boot = bool(boots) and boots[0][1][0] == number
            is_noted = bool(noted) and noted[0][0] == number
            if is_boot and not (is_noted and noted[0][1]["ts_ns"] < boots[0][1][1]):
                run_number, (_, booted_ns) = boots.popleft()
                out += boot_lines(run, run_number, booted_ns, lines_before=len(out))
            elif is_noted:
                out.append(_line(out[-1]["run_id"], noted.popleft()[1]))
            else:
                break
        if fact is not None:
            out.append(_line(out[-1]["run_id"], fact))
    end = {"event_type": "run_stop", "ts_ns": run.now_ns, "reason": "end", "exit_code": 0}
    return [*out, _line(out[-1]["run_id"], end)]


def _line(run_name: str, fact: Mapping[str, Any]) -> dict[str, Any]:
    fields = {key: value for key, value in fact.items() if key not in OF_THE_ENVELOPE}
    if fact["event_type"] == "session_start":
        fields |= BUILD
    session_id = fact.get("session_id", "")
    return line_of(run_name, fact["event_type"], fact["ts_ns"], session_id, **fields)


def line_of(
    run_name: str, event_type: str, ts_ns: int, session_id: str, **fields: Any
) -> dict[str, Any]:
    """A line in its envelope, without what numbers and chains it."""
    severity = severity_of(EventType(event_type))
    return {
        "ts_ns": ts_ns, "schema": 1, "run_id": run_name, "mode": "sim", "exchange": "sim",
        "session_id": session_id, "event_type": event_type, "level": severity.level,
        "is_error": severity.is_error, "is_anomaly": severity.is_anomaly, **fields,
    }  # fmt: skip


def boot_lines(
    run: SimRun, run_number: int, ts_ns: int, *, lines_before: int
) -> list[dict[str, Any]]:
    """A boot's two lines: the run, and what it found."""
    name = f"{INSTANCE}-{run_number}"
    period_ms = run.engine._config.heartbeat_period_ns // NS_PER_MS
    start = line_of(
        name, "run_start", ts_ns, "", instance=INSTANCE, run_number=run_number, environment="sim",
        heartbeat_period_ms=period_ms, caps_hash=run.capset.hash, ticks="thinned",
        account=run.engine._config.account, **BUILD,
    )  # fmt: skip
    found = {"from_seq": lines_before, "checkpoint_seq": 0, "torn_bytes": 0}
    return [start, line_of(name, "recovery", ts_ns, "", **found)]


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
        "balances": balances, "faults": {}, "requests": {}, "rejects": run.shell.rejects,
        "initial_balances": {
            asset: str(decimal_of_e8(granted)) for asset, granted in account.grants.items()
        },
    }  # fmt: skip
