"""The REST road: one request of raw bytes in, one response of bytes out."""

from dataclasses import dataclass, field, replace

import orjson

from daemon.venues.sim.dialect.call_handlers import Endpoint
from daemon.venues.sim.dialect.disturbed_answers import DisturbedAnswer, refused, run
from daemon.venues.sim.dialect.door import check_right, check_signature, check_time, key_of
from daemon.venues.sim.dialect.endpoints import ROUTES
from daemon.venues.sim.dialect.parameters import check_parameters
from daemon.venues.sim.dialect.params import Params, from_form, signed_text
from daemon.venues.sim.exchange import Exchange
from daemon.venues.sim.keys import raw_signature
from daemon.venues.sim.sim_orders import SimRefusalError

_JSON = "application/json;charset=UTF-8"
_GONE_PATHS = frozenset(
    {"/api/v3/userDataStream", "/api/v1/userDataStream", "/sapi/v1/userDataStream"}
)


@dataclass(frozen=True, slots=True)
class RestRequest:
    """A request as received: `query` and `body` are the raw bytes that were signed."""

    method: str
    path: str
    query: bytes = b""
    body: bytes = b""
    api_key: str = ""
    time_unit: str = ""


@dataclass(frozen=True, slots=True)
class RestResponse:
    """What goes back; `abort` cuts the connection instead."""

    status: int
    body: bytes
    content_type: str = _JSON
    headers: dict[str, str] = field(default_factory=dict)
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
    if response.status < 400 or response.content_type != _JSON:
        return 0
    return int(orjson.loads(response.body)["code"])


def _handle(
    exchange: Exchange, request: RestRequest, now_ns: int, *, was_held: bool
) -> RestResponse:
    if request.path in _GONE_PATHS:
        return _html(410, "410 Gone")
    try:
        exchange.limiter.admit(now_ns)
    except SimRefusalError as error:
        return _error(exchange, error, now_ns)
    unit = request.time_unit.upper()
    if unit not in {"", "MILLISECOND"}:
        # Times in microseconds are not served: better no answer than one off by a thousand.
        refusal = SimRefusalError(-1020, "This operation is not supported.")
        if unit != "MICROSECOND":
            words = "Invalid value for time unit; expected either MICROSECOND or MILLISECOND."
            refusal = SimRefusalError(-1194, words)
        return _error(exchange, refusal, now_ns)
    endpoint = ROUTES.get((request.method, request.path))
    if endpoint is None:
        return _error(
            exchange, SimRefusalError(-1020, "This operation is not supported.", 404), now_ns
        )
    params = from_form(request.query, request.body)
    try:
        account = _admit(exchange, endpoint, request, params, now_ns)
    except SimRefusalError as error:
        answer = refused(exchange, endpoint, params, error, now_ns=now_ns)
    else:
        answer = run(exchange, endpoint, params, account, now_ns, is_rest=True, was_held=was_held)
    return _respond(exchange, endpoint, answer, now_ns)


def _admit(
    exchange: Exchange, endpoint: Endpoint, request: RestRequest, params: Params, now_ns: int
) -> str:
    if not endpoint.signed:
        check_parameters(endpoint.name, params, signed=False, is_rest=True)
        return ""
    key = key_of(exchange, request.api_key)
    check_parameters(endpoint.name, params, signed=True, is_rest=True)
    check_time(exchange, params, now_ns)
    payload = signed_text(request.query, request.body)
    check_signature(key, payload, raw_signature(request.query, request.body))
    check_right(key, endpoint)
    return key.account


def _respond(
    exchange: Exchange, endpoint: Endpoint, answer: DisturbedAnswer, now_ns: int
) -> RestResponse:
    if answer.hold_ms:
        return RestResponse(0, b"", hold_ms=answer.hold_ms)
    if answer.silent:
        return RestResponse(0, b"", abort=True)
    if answer.is_html:
        return _html(403, "403 Forbidden")
    counted = answer.account if endpoint.counts_orders else ""
    if answer.error is not None:
        refusal = _error(exchange, answer.error, now_ns, counted, answer.delay_ms)
        return replace(refusal, again_ms=answer.again_ms)
    headers = exchange.limiter.headers(now_ns, counted)
    body = orjson.dumps(answer.result)
    return RestResponse(200, body, headers=headers, delay_ms=answer.delay_ms)


def _error(
    exchange: Exchange, error: SimRefusalError, now_ns: int, account: str = "", delay_ms: int = 0
) -> RestResponse:
    headers = exchange.limiter.headers(now_ns, account)
    row: dict[str, object] = {"code": error.code, "msg": error.msg}
    retry_after_ms = (error.data or {}).get("retryAfter")
    if isinstance(retry_after_ms, int):
        left_ms = retry_after_ms - now_ns // 1_000_000
        headers["retry-after"] = str(max(1, -(-left_ms // 1000)))
    elif error.data is not None:
        row["data"] = error.data
    return RestResponse(error.status, orjson.dumps(row), headers=headers, delay_ms=delay_ms)


def _html(status: int, title: str) -> RestResponse:
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return RestResponse(status, page.encode(), "text/html")
