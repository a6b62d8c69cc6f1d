"""The WebSocket API road: sessions, subscriptions, one request frame in, one answer frame out."""

import json
import re
from dataclasses import dataclass, field

import msgspec
import orjson

from daemon.venues.sim.dialect.call_handlers import Endpoint
from daemon.venues.sim.dialect.disturbed_answers import DisturbedAnswer, refused, run
from daemon.venues.sim.dialect.door import check_right, check_signature, check_time, key_of
from daemon.venues.sim.dialect.endpoints import ENDPOINTS
from daemon.venues.sim.dialect.events import user_event
from daemon.venues.sim.dialect.parameters import check_parameters
from daemon.venues.sim.dialect.params import Params, RequestId, mandatory
from daemon.venues.sim.exchange import Exchange
from daemon.venues.sim.keys import ApiKey
from daemon.venues.sim.sim_orders import SimRefusalError, UserEvent
from daemon.venues.sim.units import ms_of

SUBSCRIPTIONS_MAX = 1_000
SUBSCRIPTION_ID_LAST = 65_535


class _Frame(msgspec.Struct):
    id: RequestId | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"{}")


_DECODER = msgspec.json.Decoder(_Frame)
_PARAMS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SPACED = re.compile(rb'"\s')
_PAIRS = json.JSONDecoder(object_pairs_hook=list)
"""Only for the names: a decoder of dicts keeps one of two values and does not say so."""
_TEXT = msgspec.json.Decoder(str)


@dataclass(slots=True, eq=False)
class ApiSession:
    """One WebSocket API connection, as the venue remembers it."""

    connected_ns: int
    show_limits: bool = True
    key: ApiKey | None = None
    authorized_ns: int = 0
    subscriptions: dict[int, tuple[str, bool]] = field(default_factory=dict)
    """Subscription id -> (account, made through the session's logon)."""
    last_subscription_id: int = -1


@dataclass(frozen=True, slots=True)
class ApiReply:
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


@dataclass(frozen=True, slots=True)
class _Asked:
    session: ApiSession
    request_id: RequestId | None
    params: Params
    now_ns: int


def handle(
    exchange: Exchange, session: ApiSession, frame: bytes, now_ns: int, *, was_held: bool = False
) -> ApiReply:
    """Answer one request frame; garbage gets an error answer, never an exception."""
    try:
        request = _DECODER.decode(frame)
        params = _params_of(bytes(request.params))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        exchange.ledger.requests["WS malformed"] += 1
        error = SimRefusalError(-1135, "Invalid JSON Request")
        return _reply(
            exchange, _Asked(session, None, Params({}), now_ns), DisturbedAnswer(error=error)
        )
    method = request.method.removeprefix("v3/")
    if not was_held:
        exchange.ledger.requests[f"WS {method or 'malformed'}"] += 1
    asked = _Asked(session, request.id, params, now_ns)
    reply = _route(exchange, asked, method, was_held=was_held)
    if reply.hold_ms:
        return reply
    exchange.ledger.statuses["WS silent" if reply.frame is None else f"WS {reply.status}"] += 1
    exchange.ledger.on_wire(
        f"WS {method}",
        params.values,
        status=0 if reply.frame is None else reply.status,
        code=reply.code,
        ts_ns=now_ns,
    )
    return reply


def _params_of(text: bytes) -> Params:
    values = {name: _text_of(raw) for name, raw in _PARAMS.decode(text).items()}
    # Every pair has a `":`; where nothing stands between the two, as many as values means that no
    # name was sent twice, and the slow look at the pairs is spared.
    if text.count(b'":') == len(values) and not _SPACED.search(text):
        return Params(values)
    names = [name for name, _ in _PAIRS.decode(text.decode())]
    doubled = [name for number, name in enumerate(names) if name in names[:number]]
    return Params(values, doubled=tuple(doubled))


def subscribers(session: ApiSession, event: UserEvent) -> list[int]:
    """Subscription ids of this connection that get the event."""
    return [n for n, (account, _) in session.subscriptions.items() if account == event.account]


def event_body(event: UserEvent) -> bytes:
    """The event's JSON, once for all subscribers."""
    return orjson.dumps(user_event(event))


def envelope(subscription_id: int, body: bytes) -> bytes:
    """The frame of one subscription."""
    return b'{"subscriptionId":%d,"event":%b}' % (subscription_id, body)


def shutdown_frame(now_ns: int) -> bytes:
    """`serverShutdown`, without a subscription id."""
    return orjson.dumps({"event": {"e": "serverShutdown", "E": ms_of(now_ns)}})


def _route(exchange: Exchange, asked: _Asked, method: str, *, was_held: bool) -> ApiReply:
    now_ns = asked.now_ns
    try:
        exchange.limiter.admit(now_ns)
    except SimRefusalError as error:
        return _reply(exchange, asked, DisturbedAnswer(error=error))
    endpoint = ENDPOINTS.get(method)
    if endpoint is None:
        return _control(exchange, asked, method)
    try:
        check_parameters(method, asked.params, signed=endpoint.signed, is_rest=False)
        account = _admit(exchange, asked, endpoint) if endpoint.signed else ""
    except SimRefusalError as error:
        answer = refused(exchange, endpoint, asked.params, error, now_ns=now_ns)
    else:
        answer = run(
            exchange,
            endpoint,
            asked.params,
            account,
            now_ns,
            is_rest=False,
            was_held=was_held,
        )
    counted = answer.account if endpoint.counts_orders else ""
    return _reply(exchange, asked, answer, counted)


def _admit(exchange: Exchange, asked: _Asked, endpoint: Endpoint) -> str:
    key = _caller(exchange, asked)
    check_right(key, endpoint)
    return key.account


def _caller(exchange: Exchange, asked: _Asked) -> ApiKey:
    """The key behind a signed request: its own, or the session's.

    Raises:
        VenueError: -1102, -2014, -2015, -1021, -1022.
    """
    params = asked.params
    own_key, signature = params.text("apiKey"), params.text("signature")
    if not own_key and not signature and asked.session.key is not None:
        check_time(exchange, params, asked.now_ns)
        return asked.session.key
    if not own_key:
        raise mandatory("apiKey")
    key = key_of(exchange, own_key)
    check_time(exchange, params, asked.now_ns)
    check_signature(key, _payload(params), signature)
    return key


def _payload(params: Params) -> bytes:
    pairs = sorted(item for item in params.values.items() if item[0] != "signature")
    return "&".join(f"{name}={value}" for name, value in pairs).encode()


def _control(exchange: Exchange, asked: _Asked, method: str) -> ApiReply:
    now_ns = asked.now_ns
    handlers = {
        "session.logon": _logon,
        "session.status": _status,
        "session.logout": _logout,
        "session.subscriptions": _subscriptions,
        "userDataStream.subscribe": _subscribe,
        "userDataStream.subscribe.signature": _subscribe_signed,
        "userDataStream.unsubscribe": _unsubscribe,
    }
    handler = handlers.get(method)
    ended: list[int] = []
    if handler is None:
        error = SimRefusalError(-1020, "This operation is not supported.")
        return _reply(exchange, asked, DisturbedAnswer(error=error))
    try:
        check_parameters(method, asked.params, signed=False, is_rest=False)
        answer = DisturbedAnswer(result=handler(exchange, asked, ended))
    except SimRefusalError as error:
        answer = DisturbedAnswer(error=error)
    exchange.limiter.charge(2, now_ns)
    terminated = orjson.dumps({"e": "eventStreamTerminated", "E": ms_of(now_ns)})
    extra = tuple(envelope(number, terminated) for number in ended)
    reply = _reply(exchange, asked, answer)
    return ApiReply(reply.frame, extra=extra, status=reply.status, code=reply.code)


def _logon(exchange: Exchange, asked: _Asked, _ended: list[int]) -> object:
    params = asked.params
    key = key_of(exchange, params.required("apiKey"))
    if not key.is_ed25519:
        raise SimRefusalError(-4056, "HMAC_SHA256 API key is not supported.", 400)
    check_time(exchange, params, asked.now_ns)
    check_signature(key, _payload(params), params.text("signature"))
    asked.session.key = key
    asked.session.authorized_ns = asked.now_ns
    return _session_row(exchange, asked)


def _status(exchange: Exchange, asked: _Asked, _ended: list[int]) -> object:
    return _session_row(exchange, asked)


def _logout(exchange: Exchange, asked: _Asked, ended: list[int]) -> object:
    session = asked.session
    session.key = None
    for number in [n for n, (_, by_session) in session.subscriptions.items() if by_session]:
        del session.subscriptions[number]
        ended.append(number)
    return _session_row(exchange, asked)


def _subscriptions(_exchange: Exchange, asked: _Asked, _ended: list[int]) -> object:
    return [{"subscriptionId": number} for number in asked.session.subscriptions]


def _subscribe(_exchange: Exchange, asked: _Asked, _ended: list[int]) -> object:
    key = asked.session.key
    if key is None:
        raise SimRefusalError(
            -1002, "You are not authorized to execute this request: log on first.", 401
        )
    return _open_subscription(asked.session, key.account, by_session=True)


def _subscribe_signed(exchange: Exchange, asked: _Asked, _ended: list[int]) -> object:
    params = asked.params
    key = key_of(exchange, params.required("apiKey"))
    check_time(exchange, params, asked.now_ns)
    check_signature(key, _payload(params), params.text("signature"))
    return _open_subscription(asked.session, key.account, by_session=False)


def _unsubscribe(_exchange: Exchange, asked: _Asked, ended: list[int]) -> object:
    number = asked.params.integer("subscriptionId")
    subscriptions = asked.session.subscriptions
    if number is None:
        ended.extend(subscriptions)
        subscriptions.clear()
        return {}
    if number not in subscriptions:
        raise SimRefusalError(-2036, "User Data Stream subscription is inactive.")
    del subscriptions[number]
    ended.append(number)
    return {}


def _open_subscription(session: ApiSession, account: str, *, by_session: bool) -> object:
    if any(owner == account for owner, _ in session.subscriptions.values()):
        raise SimRefusalError(-2035, "User Data Stream subscription is already active.")
    out_of_ids = session.last_subscription_id >= SUBSCRIPTION_ID_LAST
    if out_of_ids or len(session.subscriptions) >= SUBSCRIPTIONS_MAX:
        raise SimRefusalError(-2042, "Subscription limit reached.")
    session.last_subscription_id += 1
    session.subscriptions[session.last_subscription_id] = (account, by_session)
    return {"subscriptionId": session.last_subscription_id}


def _session_row(exchange: Exchange, asked: _Asked) -> dict[str, object]:
    session = asked.session
    return {
        "apiKey": session.key.api_key if session.key else None,
        "authorizedSince": ms_of(session.authorized_ns) if session.key else None,
        "connectedSince": ms_of(session.connected_ns),
        "returnRateLimits": session.show_limits,
        "serverTime": ms_of(exchange.clock_ns(asked.now_ns)),
        "userDataStream": any(by_session for _, by_session in session.subscriptions.values()),
    }


def _reply(
    exchange: Exchange, asked: _Asked, answer: DisturbedAnswer, counted: str = ""
) -> ApiReply:
    if answer.silent or answer.hold_ms:
        return ApiReply(None, hold_ms=answer.hold_ms)
    row: dict[str, object] = {"id": asked.request_id}
    status = 200
    if answer.error is None:
        row["status"] = 200
        row["result"] = answer.result
    else:
        error = answer.error
        status = row["status"] = error.status
        body: dict[str, object] = {"code": error.code, "msg": error.msg}
        if error.data is not None:
            body["data"] = error.data
            if "retryAfter" in error.data:
                body["data"] = {"serverTime": ms_of(asked.now_ns), **error.data}
        row["error"] = body
    if asked.params.flag("returnRateLimits", default=asked.session.show_limits):
        row["rateLimits"] = exchange.limiter.rows(asked.now_ns, counted)
    code = answer.error.code if answer.error is not None else 0
    return ApiReply(
        orjson.dumps(row),
        delay_ms=answer.delay_ms,
        again_ms=answer.again_ms,
        status=status,
        code=code,
    )


def _text_of(raw: msgspec.Raw) -> str:
    """A JSON value as the text that was signed: strings without quotes, the rest as it stands."""
    data = bytes(raw)
    return _TEXT.decode(data) if data[:1] == b'"' else data.decode()
