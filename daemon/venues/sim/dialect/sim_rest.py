"""REST of the simulated venue: one request of raw bytes in, one response of bytes out."""

import msgspec
import orjson

from daemon.model.copies import replace
from daemon.venues.binance_spot.serving.call_table import Endpoint
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.params import from_form
from daemon.venues.binance_spot.serving.rest_requests import (
    GONE_PATHS,
    HTML_TYPE,
    JSON_TYPE,
    RestRequest,
    authenticate,
    endpoint_of,
    html_page,
    refusal,
)
from daemon.venues.sim.dialect.disturbed_answers import DisturbedAnswer, refused, run
from daemon.venues.sim.exchange import Exchange


class RestResponse(msgspec.Struct, frozen=True):
    """What goes back; `abort` cuts the connection instead."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    delay_ms: int = 0
    again_ms: int = 0
    """A fault executes the request after so long, unseen: handle it again then, with `was_held`."""
    hold_ms: int = 0
    """A fault holds the request: handle it again after so long, with `was_held`."""
    abort: bool = False


def handle(
    exchange: Exchange,
    request: RestRequest,
    now_ns: int,
    *,
    was_held: bool = False,
    was_answered: bool = False,
) -> RestResponse:
    """Answer one request; what was answered before, and is done now, makes no row of the wire."""
    if not was_held:
        exchange.ledger.requests[f"REST {request.method} {request.path}"] += 1
    response = _handle(exchange, request, now_ns, was_held=was_held)
    if response.hold_ms:
        return response
    exchange.ledger.statuses["REST aborted" if response.abort else f"REST {response.status}"] += 1
    if exchange.ledger.wire is not None and not was_answered:
        exchange.ledger.on_wire(
            f"REST {request.method} {request.path}",
            from_form(request.query, request.body).values,
            status=0 if response.abort else response.status,
            code=_code_of(response),
            ts_ns=now_ns,
        )
    return response


def _code_of(response: RestResponse) -> int:
    """The venue's code in an error's body; 0 when there is none."""
    if response.status < 400 or response.content_type != JSON_TYPE:
        return 0
    return int(orjson.loads(response.body)["code"])


def _handle(
    exchange: Exchange, request: RestRequest, now_ns: int, *, was_held: bool
) -> RestResponse:
    if request.path in GONE_PATHS:
        return RestResponse(410, html_page("410 Gone"), HTML_TYPE)
    try:
        exchange.limiter.admit(now_ns)
        endpoint = endpoint_of(request)
    except DialectError as error:
        return _error(exchange, error, now_ns)
    params = from_form(request.query, request.body)
    try:
        key = authenticate(exchange.keys, endpoint, request, params, exchange.judge_ns(now_ns))
    except DialectError as error:
        answer = refused(exchange, endpoint, params, error, now_ns=now_ns)
    else:
        account = key.account if key is not None else ""
        answer = run(exchange, endpoint, params, account, now_ns, is_rest=True, was_held=was_held)
    return _respond(exchange, endpoint, answer, now_ns)


def _respond(
    exchange: Exchange, endpoint: Endpoint, answer: DisturbedAnswer, now_ns: int
) -> RestResponse:
    if answer.hold_ms:
        return RestResponse(0, b"", hold_ms=answer.hold_ms)
    if answer.silent:
        return RestResponse(0, b"", abort=True)
    if answer.is_html:
        return RestResponse(403, html_page("403 Forbidden"), HTML_TYPE)
    counted = answer.account if endpoint.counts_orders else ""
    if answer.error is not None:
        refusal = _error(exchange, answer.error, now_ns, counted, answer.delay_ms)
        return replace(refusal, again_ms=answer.again_ms)
    headers = exchange.limiter.headers(now_ns, counted)
    body = orjson.dumps(answer.result)
    return RestResponse(200, body, headers=headers, delay_ms=answer.delay_ms)


def _error(
    exchange: Exchange, error: DialectError, now_ns: int, account: str = "", delay_ms: int = 0
) -> RestResponse:
    body, more = refusal(error, now_ns)
    headers = exchange.limiter.headers(now_ns, account) | more
    return RestResponse(error.status, body, headers=headers, delay_ms=delay_ms)
