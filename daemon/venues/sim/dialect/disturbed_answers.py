"""What REST and the WebSocket API share: admission, faults, execution, weight, books.

Rules of this file:
1. `run` never raises: every refusal is a `DisturbedAnswer`, and every refusal of an order is in
   the ledger.
2. A fault "before" leaves the venue untouched; a fault "after" hides what was really done.
"""

import msgspec

from daemon.venues.binance_spot.serving.call_table import CallKind, Endpoint
from daemon.venues.binance_spot.serving.dialect_errors import (
    DialectError,
    bus_lost,
    overloaded,
    unknown_outcome,
)
from daemon.venues.binance_spot.serving.params import Params
from daemon.venues.sim.dialect.call_handlers import Call
from daemon.venues.sim.dialect.handlers import HANDLERS
from daemon.venues.sim.exchange import Exchange
from daemon.venues.sim.fault_rules import NO_REQUEST_FAULT, FaultKind, RequestVerdict

_BEFORE = frozenset(
    {
        FaultKind.DROP_REQUEST,
        FaultKind.ERROR_5XX_BEFORE,
        FaultKind.UNKNOWN_1007_BEFORE,
        FaultKind.OVERLOAD_1008,
        FaultKind.WAF_403,
    }
)
_SILENT = frozenset({FaultKind.DROP_REQUEST, FaultKind.DROP_ANSWER})
_FAULT_ERRORS = {
    FaultKind.ERROR_5XX_BEFORE: bus_lost,
    FaultKind.ERROR_5XX_AFTER: bus_lost,
    FaultKind.UNKNOWN_1007_BEFORE: unknown_outcome,
    FaultKind.UNKNOWN_1007_AFTER: unknown_outcome,
    FaultKind.OVERLOAD_1008: overloaded,
}
_ORDER_KINDS = frozenset({CallKind.PLACE, CallKind.CANCEL})
_MARKET_DATA = frozenset({"avgPrice", "depth", "klines", "ticker", "trades", "uiKlines"})


class DisturbedAnswer(msgspec.Struct, frozen=True):
    """The end of a request: a result or an error, and how a fault disturbs its way back."""

    result: object = None
    error: DialectError | None = None
    delay_ms: int = 0
    again_ms: int = 0
    """Answered already, and executed after so long: handle it again, with `was_held`."""
    hold_ms: int = 0
    """Not handled yet: the request is to be handled again after so long, with `was_held`."""
    silent: bool = False
    """The client gets nothing."""
    is_html: bool = False
    """The firewall's page instead of JSON (REST only)."""
    account: str = ""


def run(
    exchange: Exchange,
    endpoint: Endpoint,
    params: Params,
    account: str,
    now_ns: int,
    *,
    is_rest: bool,
    was_held: bool = False,
) -> DisturbedAnswer:
    """Execute an admitted and authenticated request, with faults."""
    verdict = NO_REQUEST_FAULT
    if not was_held:
        verdict = exchange.faults.on_request(endpoint.kind, now_ns, is_rest=is_rest)
    if verdict.kind is not None:
        detail = params.text("newClientOrderId") or params.text("origClientOrderId")
        exchange.ledger.on_fault(verdict.kind, now_ns, f"{endpoint.name} {detail}".strip())
        if verdict.kind is FaultKind.DELAY_REQUEST:
            return DisturbedAnswer(hold_ms=verdict.delay_ms, account=account)
        if verdict.kind is FaultKind.LATE_1007:
            return DisturbedAnswer(
                error=unknown_outcome(), again_ms=verdict.delay_ms, account=account
            )
        if verdict.kind in _BEFORE:
            return _disturbed(DisturbedAnswer(account=account), verdict)
    try:
        result = _result(exchange, endpoint, params, account, now_ns)
    except DialectError as error:
        answer = refused(exchange, endpoint, params, error, now_ns=now_ns, account=account)
    else:
        free_of_charge = endpoint.kind in _ORDER_KINDS and not endpoint.always_weighs
        exchange.limiter.charge(0 if free_of_charge else endpoint.weight_of(params), now_ns)
        answer = DisturbedAnswer(result=result, account=account)
    exchange.collect()
    return answer if verdict.kind is None else _disturbed(answer, verdict)


def _result(
    exchange: Exchange, endpoint: Endpoint, params: Params, account: str, now_ns: int
) -> object:
    """What the handler says; of market data that is frozen, what it would have said then."""
    if now_ns < exchange.frozen_until_ns and endpoint.name.partition(".")[0] in _MARKET_DATA:
        exchange, now_ns = exchange.as_frozen()
    return HANDLERS[endpoint.name](Call(exchange, params, account, now_ns))


def refused(
    exchange: Exchange,
    endpoint: Endpoint,
    params: Params,
    error: DialectError,
    *,
    now_ns: int,
    account: str = "",
) -> DisturbedAnswer:
    """Book and answer a refusal."""
    exchange.limiter.charge(endpoint.weight_of(params) if endpoint.always_weighs else 1, now_ns)
    if endpoint.kind in _ORDER_KINDS:
        exchange.ledger.on_reject(
            endpoint=endpoint.name,
            code=error.code,
            msg=error.msg,
            values=params.values,
            ts_ns=now_ns,
        )
    return DisturbedAnswer(error=error, account=account)


def _disturbed(answer: DisturbedAnswer, verdict: RequestVerdict) -> DisturbedAnswer:
    kind = verdict.kind
    if kind in _SILENT:
        return DisturbedAnswer(silent=True, account=answer.account)
    if kind is FaultKind.WAF_403:
        return DisturbedAnswer(is_html=True, account=answer.account)
    refusal = _FAULT_ERRORS.get(kind) if kind is not None else None
    if refusal is not None:
        return DisturbedAnswer(error=refusal(), account=answer.account)
    return DisturbedAnswer(answer.result, answer.error, verdict.delay_ms, account=answer.account)
