"""REST of the simulated venue: one request of raw bytes in, one response of bytes out."""

from dataclasses import dataclass, field

import orjson

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


@dataclass(frozen=True, slots=True)
class RestResponse:
    """What goes back; `abort` cuts the connection instead."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)
    delay_ms: int = 0
    hold_ms: int = 0
    """A fault holds the request: handle it again after so long, with `was_held`."""
    abort: bool = False


def handle(
    exchange: Exchange, request: RestRequest, now_ns: int, *, was_held: bool = False
) -> RestResponse:
    """Answer one request."""
    if not was_held:
        exchange.ledger.requests[f"REST {request.method} {request.path}"] += 1
    response = _handle(exchange, request, now_ns, was_held=was_held)
    if response.hold_ms:
        return response
    exchange.ledger.statuses["REST aborted" if response.abort else f"REST {response.status}"] += 1
    return response


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
        return _error(exchange, answer.error, now_ns, counted, answer.delay_ms)
    headers = exchange.limiter.headers(now_ns, counted)
    body = orjson.dumps(answer.result)
    return RestResponse(200, body, headers=headers, delay_ms=answer.delay_ms)


def _error(
    exchange: Exchange, error: DialectError, now_ns: int, account: str = "", delay_ms: int = 0
) -> RestResponse:
    body, more = refusal(error, now_ns)
    headers = exchange.limiter.headers(now_ns, account) | more
    return RestResponse(error.status, body, headers=headers, delay_ms=delay_ms)
