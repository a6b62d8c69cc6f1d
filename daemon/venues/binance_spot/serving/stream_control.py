"""Requests on a market stream connection: SUBSCRIBE and its kin (binance-spot.md §9)."""

from collections.abc import Container, Iterable

import msgspec
import orjson

from daemon.venues.binance_spot.serving.params import RequestId
from daemon.venues.binance_spot.serving.stream_names import is_stream
from daemon.venues.binance_spot.serving.units import ms_of

STREAMS_MAX = 1_024
REQUEST_ID_LENGTH_MAX = 36


class _Control(msgspec.Struct):
    id: RequestId | None = None
    method: str = ""
    params: list[str | bool] = msgspec.field(default_factory=list)


_DECODER = msgspec.json.Decoder(_Control)


class _RefusedControlError(Exception):
    """A control request that is answered with an error."""

    def __init__(self, code: int, msg: str) -> None:
        super().__init__(msg)
        self.code = code
        self.msg = msg


class StreamSession(msgspec.Struct, eq=False):
    """One market stream connection, and the names that it listens to."""

    combined: bool
    names: dict[str, None] = msgspec.field(default_factory=dict)


class ControlReply(msgspec.Struct, frozen=True):
    """The answer to a control request, and how it has changed the session's names."""

    frame: bytes
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def open_streams(
    session: StreamSession, names: Iterable[str], symbols: Container[str]
) -> list[bytes]:
    """Listen to the names of the URL, as many as a connection may have; error frames for the rest.

    What does not look like a stream asks for nothing: clients number their connections (`/ws/0`).
    """
    errors: list[bytes] = []
    for name in names:
        if is_stream(name, symbols):
            if len(session.names) >= STREAMS_MAX:
                return [*errors, _error(2, "Invalid request: too many parameters", None)]
            session.names[name] = None
        elif "@" in name or name.startswith("!"):
            errors.append(_error(2, f"Invalid request: unknown stream {name}", None))
    return errors


def control(session: StreamSession, frame: bytes, symbols: Container[str]) -> ControlReply:
    """Carry out and answer one control request; `symbols` are those that have streams."""
    try:
        request = _DECODER.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ControlReply(_error(3, "Invalid JSON: expected value at line 1 column 1", None))
    if isinstance(request.id, str) and len(request.id) > REQUEST_ID_LENGTH_MAX:
        words = "Invalid request: request ID must be an unsigned integer"
        return ControlReply(_error(2, words, None))
    before = dict(session.names)
    try:
        result = _execute(session, request, symbols)
    except _RefusedControlError as error:
        return ControlReply(_error(error.code, error.msg, request.id))
    return ControlReply(
        orjson.dumps({"result": result, "id": request.id}),
        added=tuple(name for name in session.names if name not in before),
        removed=tuple(name for name in before if name not in session.names),
    )


def stream_frame(session: StreamSession, stream: str, body: bytes) -> bytes:
    """A stream's payload as this connection expects it: bare, or wrapped with its name."""
    return b'{"stream":"%b","data":%b}' % (stream.encode(), body) if session.combined else body


def shutdown_frame(session: StreamSession, now_ns: int) -> bytes:
    """`serverShutdown`, as this connection expects it."""
    body = orjson.dumps({"e": "serverShutdown", "E": ms_of(now_ns)})
    return stream_frame(session, "!serverShutdown", body)


def _execute(session: StreamSession, request: _Control, symbols: Container[str]) -> object:
    match request.method:
        case "SUBSCRIBE":
            _subscribe(session, _names_of(request), symbols)
        case "UNSUBSCRIBE":
            for name in _names_of(request):
                session.names.pop(name, None)
        case "LIST_SUBSCRIPTIONS":
            if request.params:
                raise _RefusedControlError(2, "Invalid request: too many parameters")
            return list(session.names)
        case "SET_PROPERTY":
            _check_property(request, 2)
            if not isinstance(request.params[1], bool):
                raise _RefusedControlError(1, "Invalid value type: expected Boolean")
            session.combined = request.params[1]
        case "GET_PROPERTY":
            _check_property(request, 1)
            return session.combined
        case "":
            raise _RefusedControlError(2, "Invalid request: missing field `method`")
        case _:
            raise _RefusedControlError(
                2,
                f"Invalid request: unknown variant {request.method}, expected one of "
                "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, "
                "`GET_PROPERTY`",
            )
    return None


def _subscribe(session: StreamSession, names: list[str], symbols: Container[str]) -> None:
    for name in names:
        if not is_stream(name, symbols):
            raise _RefusedControlError(2, f"Invalid request: unknown stream {name}")
    if len(session.names.keys() | set(names)) > STREAMS_MAX:
        raise _RefusedControlError(2, "Invalid request: too many parameters")
    session.names |= dict.fromkeys(names)


def _names_of(request: _Control) -> list[str]:
    names = [name for name in request.params if isinstance(name, str)]
    if not names or len(names) != len(request.params):
        raise _RefusedControlError(2, "Invalid request: a list of stream names was expected")
    return names


def _check_property(request: _Control, count: int) -> None:
    """`params` is the property's name, and its value when it is set."""
    if not request.params or not isinstance(request.params[0], str):
        raise _RefusedControlError(2, "Invalid request: property name must be a string")
    if len(request.params) > count:
        raise _RefusedControlError(2, "Invalid request: too many parameters")
    if request.params[0] != "combined":
        raise _RefusedControlError(0, "Unknown property")
    if len(request.params) < count:
        raise _RefusedControlError(1, "Invalid value type: expected Boolean")


def _error(code: int, msg: str, request_id: RequestId | None) -> bytes:
    return orjson.dumps({"error": {"code": code, "msg": msg}, "id": request_id})
