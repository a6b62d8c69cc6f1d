"""Observations for judges, written by hand: seconds in, rows of a ledger out."""

from decimal import Decimal
from typing import Any

from daemon.trials.judging.observation import (
    S_NS,
    Cancel,
    LedgerFill,
    LedgerOrder,
    Observation,
    WireRequest,
)
from daemon.trials.judging.pace import OrderPace

T0_NS = 1_790_000_000 * S_NS
CALM = OrderPace(
    orders=20,
    seconds=10.0,
    peak_per_s=4,
    longest_gap_s=2.0,
    most_open={("BTCUSDT", "BUY"): 1, ("BTCUSDT", "SELL"): 1},
)


def at(seconds: float) -> int:
    return T0_NS + int(seconds * S_NS)


def placed(
    seconds: float, name: str = "", *, status: int = 200, code: int = 0, **more: Any
) -> WireRequest:
    return request(
        seconds,
        "REST POST /api/v3/order",
        status=status,
        code=code,
        **{"symbol": "BTCUSDT", "side": "BUY", "qty": "0.001", "client_order_id": name, **more},
    )


def request(
    seconds: float, name: str, *, status: int = 200, code: int = 0, **more: str
) -> WireRequest:
    return WireRequest(at(seconds), name, status, code, **more)


def asked(seconds: float) -> WireRequest:
    return request(seconds, "REST GET /api/v3/openOrders")


def order(
    seconds: float,
    name: str = "a",
    *,
    until: float | None = None,
    side: str = "BUY",
    price: str = "60000",
    number: int = 0,
    status: str = "",
    executed: str = "0",
    ours: bool = True,
) -> LedgerOrder:
    return LedgerOrder(
        ts_ns=at(seconds),
        ended_ns=None if until is None else at(until),
        symbol="BTCUSDT",
        side=side,
        type="LIMIT",
        price=Decimal(price),
        qty=Decimal("0.001"),
        executed=Decimal(executed),
        status=status or ("NEW" if until is None else "CANCELED"),
        order_id=number or int(seconds * 1000) + 1,
        client_order_id=name,
        ours=ours,
    )


def filled(
    seconds: float, *, number: int = 1, side: str = "BUY", fee_asset: str = "BTC"
) -> LedgerFill:
    return LedgerFill(
        ts_ns=at(seconds),
        symbol="BTCUSDT",
        side=side,
        price=Decimal(60000),
        qty=Decimal("0.001"),
        fee=Decimal("0.000001"),
        fee_asset=fee_asset,
        order_id=number,
        ours=True,
    )


def cancelled(seconds: float, number: int) -> Cancel:
    return Cancel(at(seconds), "BTCUSDT", number, "a")


def seen(
    *rows: WireRequest | LedgerOrder | LedgerFill | Cancel, end: float = 10.0, **more: Any
) -> Observation:
    """What was seen between second 0 and `end`; `marks` and `last_marks` in seconds."""
    for name in ("marks", "last_marks"):
        if name in more:
            more[name] = {deed: at(seconds) for deed, seconds in more[name].items()}
    if "ended" in more:
        more["ended_ns"] = at(more.pop("ended"))
    of = {
        kind: [row for row in rows if isinstance(row, kind)]
        for kind in (WireRequest, LedgerOrder, LedgerFill, Cancel)
    }
    return Observation(
        start_ns=at(0),
        end_ns=at(end),
        requests=of[WireRequest],
        orders=of[LedgerOrder],
        fills=of[LedgerFill],
        cancels=of[Cancel],
        **more,
    )
