"""The WebSocket API as a server speaks it: one request frame in, one answer frame out.

Rules of this file:
1. Garbage is answered with an error, never with an exception of a decoder.
2. Sessions and subscriptions are state of a connection, and nothing here knows what a call does.
"""

import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping

import msgspec
import orjson

from daemon.venues.binance_spot.serving.authentication import (
    check_right,
    check_signature,
    check_time,
    key_of,
)
from daemon.venues.binance_spot.serving.call_table import Endpoint
from daemon.venues.binance_spot.serving.dialect_errors import DialectError, mandatory, not_supported
from daemon.venues.binance_spot.serving.event_rows import ServedEvent, user_event
from daemon.venues.binance_spot.serving.parameters import check_parameters
from daemon.venues.binance_spot.serving.params import Params, RequestId
from daemon.venues.binance_spot.serving.registered_keys import ApiKey
from daemon.venues.binance_spot.serving.units import ms_of

SUBSCRIPTIONS_MAX = 1_000
SUBSCRIPTION_ID_LAST = 65_535
ID_LENGTH_MAX = 256
"""Of a text that a request calls itself; the venue names no bound, and clients use a UUID."""
CONTROL_WEIGHT = 2
"""What each call that only concerns the connection costs."""


class _Frame(msgspec.Struct):
    id: RequestId | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"{}")


_DECODER = msgspec.json.Decoder(_Frame)
_PARAMS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_VALUES = msgspec.json.Decoder(dict[str, str | int])
_SPACED = re.compile(rb'"\s')
_PAIRS = json.JSONDecoder(object_pairs_hook=list)
"""Only for the names: a decoder of dicts keeps one of two values and does not say so."""
_TEXT = msgspec.json.Decoder(str)


class ApiRequest(msgspec.Struct, frozen=True):
    """One request frame."""

    request_id: RequestId | None
    method: str
    """Without the `v3/` that may stand before it."""
    params: Params


MALFORMED = ApiRequest(None, "", Params({}))
"""What an unreadable frame counts as; it is answered without an id."""


class ApiSession(msgspec.Struct, eq=False):
    """One WebSocket API connection, as the server remembers it."""

    connected_ns: int
    show_limits: bool = True
    key: ApiKey | None = None
    authorized_ns: int = 0
    subscriptions: dict[int, tuple[str, bool]] = msgspec.field(default_factory=dict)
    """Subscription id -> (account, made through the session's logon)."""
    last_subscription_id: int = -1


class ControlResult(msgspec.Struct, frozen=True):
    """The answer to a call about the connection itself."""

    result: object
    ended: tuple[int, ...] = ()
    """Subscriptions that it ended: `terminated_frame` of each follows the answer."""


class _Asked(msgspec.Struct, frozen=True):
    """A call about the connection, and what it is judged by."""

    keys: Mapping[str, ApiKey]
    session: ApiSession
    params: Params
    judge_ns: int
    """The clock that timestamps are judged by."""
    clock_ns: int
    """The clock that clients are told."""


def decode_request(frame: bytes) -> ApiRequest:
    """Read one request frame.

    Raises:
        DialectError: -1135 for what is no request.
    """
    try:
        request = _DECODER.decode(frame)
        if isinstance(request.id, str) and len(request.id) > ID_LENGTH_MAX:
            raise ValueError("its answer would repeat it")
        params = _params_of(bytes(request.params))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise DialectError(-1135, "Invalid JSON Request") from None
    return ApiRequest(request.id, request.method.removeprefix("v3/"), params)


def authenticate(
    keys: Mapping[str, ApiKey],
    session: ApiSession,
    endpoint: Endpoint,
    params: Params,
    judge_ns: int,
) -> ApiKey | None:
    """The key behind a request, its own or the session's; None for a public call.

    Raises:
        DialectError: no key, an unknown one, one without the right; a signature, a time or a
            parameter that does not pass.
    """
    check_parameters(endpoint.name, params, signed=endpoint.signed, is_rest=False)
    if not endpoint.signed:
        return None
    key = _caller(keys, session, params, judge_ns)
    check_right(key, endpoint)
    return key


def control(
    keys: Mapping[str, ApiKey],
    session: ApiSession,
    request: ApiRequest,
    *,
    judge_ns: int,
    clock_ns: int,
) -> ControlResult:
    """Answer logon, logout, status and subscriptions.

    Raises:
        DialectError: -1020 for a method that does not exist, or the documented refusal.
    """
    handler = _CONTROLS.get(request.method)
    if handler is None:
        raise not_supported()
    check_parameters(request.method, request.params, signed=False, is_rest=False)
    return handler(_Asked(keys, session, request.params, judge_ns, clock_ns))


def answer_frame(
    session: ApiSession,
    request: ApiRequest,
    answer: object,
    now_ns: int,
    rate_limits: Callable[[], object],
) -> bytes:
    """The frame of a result, or of a refusal when `answer` is one."""
    row: dict[str, object] = {"id": request.request_id, "status": 200}
    if isinstance(answer, DialectError):
        row["status"] = answer.status
        body: dict[str, object] = {"code": answer.code, "msg": answer.msg}
        if answer.data is not None:
            body["data"] = answer.data
            if "retryAfter" in answer.data:
                body["data"] = {"serverTime": ms_of(now_ns), **answer.data}
        row["error"] = body
    else:
        row["result"] = answer
    if request.params.flag("returnRateLimits", default=session.show_limits):
        row["rateLimits"] = rate_limits()
    return orjson.dumps(row)


def subscribers(session: ApiSession, account: str) -> list[int]:
    """Subscription ids of this connection that get the account's events."""
    return [number for number, (owner, _) in session.subscriptions.items() if owner == account]


def event_body(event: ServedEvent) -> bytes:
    """The event's JSON, once for all subscribers."""
    return orjson.dumps(user_event(event))


def envelope(subscription_id: int, body: bytes) -> bytes:
    """The frame of one subscription."""
    return b'{"subscriptionId":%d,"event":%b}' % (subscription_id, body)


def terminated_frame(subscription_id: int, now_ns: int) -> bytes:
    """`eventStreamTerminated` of one subscription."""
    body = orjson.dumps({"e": "eventStreamTerminated", "E": ms_of(now_ns)})
    return envelope(subscription_id, body)


def shutdown_frame(now_ns: int) -> bytes:
    """`serverShutdown`, without a subscription id."""
    return orjson.dumps({"event": {"e": "serverShutdown", "E": ms_of(now_ns)}})


def _params_of(text: bytes) -> Params:
    values = _texts_of(text)
    # Every pair has a `":`; where nothing stands between the two, as many as values means that no
    # name was sent twice, and the slow look at the pairs is spared.
    if text.count(b'":') == len(values) and not _SPACED.search(text):
        return Params(values)
    seen = Counter(name for name, _ in _PAIRS.decode(text.decode()))
    return Params(values, doubled=tuple(name for name, count in seen.items() if count > 1))


def _texts_of(text: bytes) -> dict[str, str]:
    """Each value as the text that was signed."""
    with contextlib.suppress(msgspec.ValidationError):
        found = _VALUES.decode(text)  # what nearly all clients send costs a third this way
        if 0 not in found.values():  # that may have been sent as -0, and was signed so
            return {name: one if type(one) is str else str(one) for name, one in found.items()}
    return {name: _text_of(raw) for name, raw in _PARAMS.decode(text).items()}


def _text_of(raw: msgspec.Raw) -> str:
    """A JSON value as the text that was signed: strings without quotes, the rest as it stands."""
    data = bytes(raw)
    return _TEXT.decode(data) if data[:1] == b'"' else data.decode()


def _caller(
    keys: Mapping[str, ApiKey], session: ApiSession, params: Params, judge_ns: int
) -> ApiKey:
    own_key, signature = params.text("apiKey"), params.text("signature")
    if not own_key and not signature and session.key is not None:
        check_time(params, judge_ns)
        return session.key
    if not own_key:
        raise mandatory("apiKey")
    return _signer(keys, params, judge_ns)


def _signer(keys: Mapping[str, ApiKey], params: Params, judge_ns: int) -> ApiKey:
    """The key that signed these parameters, sorted by name."""
    key = key_of(keys, params.required("apiKey"))
    check_time(params, judge_ns)
    check_signature(key, signed_params(params), params.text("signature"))
    return key


def signed_params(params: Params) -> bytes:
    """The text that a client signs: every parameter but the signature, sorted by name."""
    values = params.values
    names = sorted(values)
    return "&".join([f"{one}={values[one]}" for one in names if one != "signature"]).encode()


def _logon(asked: _Asked) -> ControlResult:
    if not key_of(asked.keys, asked.params.required("apiKey")).is_ed25519:
        raise DialectError(-4056, "HMAC_SHA256 API key is not supported.", 400)
    asked.session.key = _signer(asked.keys, asked.params, asked.judge_ns)
    asked.session.authorized_ns = asked.clock_ns
    return _status(asked)


def _status(asked: _Asked) -> ControlResult:
    session = asked.session
    row = {
        "apiKey": session.key.api_key if session.key else None,
        "authorizedSince": ms_of(session.authorized_ns) if session.key else None,
        "connectedSince": ms_of(session.connected_ns),
        "returnRateLimits": session.show_limits,
        "serverTime": ms_of(asked.clock_ns),
        "userDataStream": any(by_session for _, by_session in session.subscriptions.values()),
    }
    return ControlResult(row)


def _logout(asked: _Asked) -> ControlResult:
    session = asked.session
    session.key = None
    ended = tuple(n for n, (_, by_session) in session.subscriptions.items() if by_session)
    for number in ended:
        del session.subscriptions[number]
    return ControlResult(_status(asked).result, ended)


def _subscriptions(asked: _Asked) -> ControlResult:
    return ControlResult([{"subscriptionId": number} for number in asked.session.subscriptions])


def _subscribe(asked: _Asked) -> ControlResult:
    key = asked.session.key
    if key is None:
        raise DialectError(
            -1002, "You are not authorized to execute this request: log on first.", 401
        )
    return _open_subscription(asked.session, key.account, by_session=True)


def _subscribe_signed(asked: _Asked) -> ControlResult:
    key = _signer(asked.keys, asked.params, asked.judge_ns)
    return _open_subscription(asked.session, key.account, by_session=False)


def _unsubscribe(asked: _Asked) -> ControlResult:
    number = asked.params.integer("subscriptionId")
    subscriptions = asked.session.subscriptions
    if number is None:
        ended = tuple(subscriptions)
        subscriptions.clear()
        return ControlResult({}, ended)
    if number not in subscriptions:
        raise DialectError(-2036, "User Data Stream subscription is inactive.")
    del subscriptions[number]
    return ControlResult({}, (number,))


def _open_subscription(session: ApiSession, account: str, *, by_session: bool) -> ControlResult:
    if any(owner == account for owner, _ in session.subscriptions.values()):
        raise DialectError(-2035, "User Data Stream subscription is already active.")
    out_of_ids = session.last_subscription_id >= SUBSCRIPTION_ID_LAST
    if out_of_ids or len(session.subscriptions) >= SUBSCRIPTIONS_MAX:
        raise DialectError(-2042, "Subscription limit reached.")
    session.last_subscription_id += 1
    session.subscriptions[session.last_subscription_id] = (account, by_session)
    return ControlResult({"subscriptionId": session.last_subscription_id})


_CONTROLS: dict[str, Callable[[_Asked], ControlResult]] = {
    "session.logon": _logon,
    "session.status": _status,
    "session.logout": _logout,
    "session.subscriptions": _subscriptions,
    "userDataStream.subscribe": _subscribe,
    "userDataStream.subscribe.signature": _subscribe_signed,
    "userDataStream.unsubscribe": _unsubscribe,
}
