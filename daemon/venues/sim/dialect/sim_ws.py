"""The WebSocket API of the simulated venue: one request frame in, one answer frame out."""

import msgspec

from daemon.venues.binance_spot.serving.call_table import ENDPOINTS
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.ws_frames import (
    CONTROL_WEIGHT,
    MALFORMED,
    ApiRequest,
    ApiSession,
    ControlResult,
    answer_frame,
    authenticate,
    control,
    decode_request,
    terminated_frame,
)
from daemon.venues.sim.dialect.disturbed_answers import DisturbedAnswer, refused, run
from daemon.venues.sim.exchange import Exchange


class ApiReply(msgspec.Struct, frozen=True):
    """What goes back on the connection; no frame at all when a fault swallowed it."""

    frame: bytes | None
    delay_ms: int = 0
    hold_ms: int = 0
    """A fault holds the request: handle it again after so long, with `was_held`."""
    extra: tuple[bytes, ...] = ()
    """Events that follow at once (eventStreamTerminated)."""
    status: int = 200
    again_ms: int = 0
    """A fault executes the request after so long, unseen: handle it again then."""
    code: int = 0
    """The venue's, of a refusal."""


def handle(
    exchange: Exchange, session: ApiSession, frame: bytes, now_ns: int, *, was_held: bool = False
) -> ApiReply:
    """Answer one request frame; garbage gets an error answer, never an exception."""
    try:
        request = decode_request(frame)
    except DialectError as error:
        exchange.ledger.requests["WS malformed"] += 1
        return _reply(exchange, session, MALFORMED, DisturbedAnswer(error=error), now_ns)
    if not was_held:
        exchange.ledger.requests[f"WS {request.method or 'malformed'}"] += 1
    reply = _route(exchange, session, request, now_ns, was_held=was_held)
    if reply.hold_ms:
        return reply
    exchange.ledger.statuses["WS silent" if reply.frame is None else f"WS {reply.status}"] += 1
    exchange.ledger.on_wire(
        f"WS {request.method}",
        request.params.values,
        status=0 if reply.frame is None else reply.status,
        code=reply.code,
        ts_ns=now_ns,
    )
    return reply


def _route(
    exchange: Exchange, session: ApiSession, request: ApiRequest, now_ns: int, *, was_held: bool
) -> ApiReply:
    try:
        exchange.limiter.admit(now_ns)
    except DialectError as error:
        return _reply(exchange, session, request, DisturbedAnswer(error=error), now_ns)
    endpoint, params = ENDPOINTS.get(request.method), request.params
    if endpoint is None:
        return _control(exchange, session, request, now_ns)
    try:
        key = authenticate(exchange.keys, session, endpoint, params, exchange.judge_ns(now_ns))
    except DialectError as error:
        answer = refused(exchange, endpoint, params, error, now_ns=now_ns)
    else:
        account = key.account if key is not None else ""
        answer = run(exchange, endpoint, params, account, now_ns, is_rest=False, was_held=was_held)
    counted = answer.account if endpoint.counts_orders else ""
    return _reply(exchange, session, request, answer, now_ns, counted=counted)


def _control(exchange: Exchange, session: ApiSession, request: ApiRequest, now_ns: int) -> ApiReply:
    judge_ns, clock_ns = exchange.judge_ns(now_ns), exchange.clock_ns(now_ns)
    done = ControlResult(None)
    try:
        done = control(exchange.keys, session, request, judge_ns=judge_ns, clock_ns=clock_ns)
        answer = DisturbedAnswer(result=done.result)
    except DialectError as error:
        answer = DisturbedAnswer(error=error)
    exchange.limiter.charge(CONTROL_WEIGHT, now_ns)
    reply = _reply(exchange, session, request, answer, now_ns)
    extra = tuple(terminated_frame(number, now_ns) for number in done.ended)
    return ApiReply(reply.frame, extra=extra, status=reply.status, code=reply.code)


def _reply(
    exchange: Exchange,
    session: ApiSession,
    request: ApiRequest,
    answer: DisturbedAnswer,
    now_ns: int,
    *,
    counted: str = "",
) -> ApiReply:
    if answer.silent or answer.hold_ms:
        return ApiReply(None, hold_ms=answer.hold_ms)
    said = answer.result if answer.error is None else answer.error
    frame = answer_frame(
        session, request, said, now_ns, lambda: exchange.limiter.rows(now_ns, counted)
    )
    status = 200 if answer.error is None else answer.error.status
    code = 0 if answer.error is None else answer.error.code
    return ApiReply(
        frame, delay_ms=answer.delay_ms, again_ms=answer.again_ms, status=status, code=code
    )
