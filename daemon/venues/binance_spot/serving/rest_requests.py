"""REST as a server speaks it: which call a request is, who sends it, and how a refusal looks."""

from collections.abc import Mapping

import msgspec
import orjson

from daemon.venues.binance_spot.serving.authentication import (
    check_right,
    check_signature,
    check_time,
    key_of,
)
from daemon.venues.binance_spot.serving.call_table import ROUTES, Endpoint
from daemon.venues.binance_spot.serving.dialect_errors import DialectError, not_supported
from daemon.venues.binance_spot.serving.parameters import check_parameters
from daemon.venues.binance_spot.serving.params import Params, signed_text
from daemon.venues.binance_spot.serving.registered_keys import ApiKey, raw_signature

JSON_TYPE = "application/json;charset=UTF-8"
HTML_TYPE = "text/html"
GONE_PATHS = frozenset(
    {"/api/v3/userDataStream", "/api/v1/userDataStream", "/sapi/v1/userDataStream"}
)
"""Listen keys: answered with 410, as the venue does."""


class RestRequest(msgspec.Struct, frozen=True):
    """A request as received: `query` and `body` are the raw bytes that were signed."""

    method: str
    path: str
    query: bytes = b""
    body: bytes = b""
    api_key: str = ""
    time_unit: str = ""


def endpoint_of(request: RestRequest) -> Endpoint:
    """The call that a request makes.

    Raises:
        DialectError: there is none (404), or it asks for a time unit that is not served.
    """
    unit = request.time_unit.upper()
    if unit == "MICROSECOND":
        # Times in microseconds are not served: better no answer than one off by a thousand.
        raise not_supported()
    if unit not in {"", "MILLISECOND"}:
        words = "Invalid value for time unit; expected either MICROSECOND or MILLISECOND."
        raise DialectError(-1194, words)
    endpoint = ROUTES.get((request.method, request.path))
    if endpoint is None:
        raise not_supported(404)
    return endpoint


def authenticate(
    keys: Mapping[str, ApiKey],
    endpoint: Endpoint,
    request: RestRequest,
    params: Params,
    clock_ns: int,
) -> ApiKey | None:
    """The key that signed a request, None for a public call; its parameters are checked, too.

    Raises:
        DialectError: no key, an unknown one, one without the right; a signature, a time or a
            parameter that does not pass.
    """
    if not endpoint.signed:
        check_parameters(endpoint.name, params, signed=False, is_rest=True)
        return None
    key = key_of(keys, request.api_key)
    check_parameters(endpoint.name, params, signed=True, is_rest=True)
    check_time(params, clock_ns)
    payload = signed_text(request.query, request.body)
    check_signature(key, payload, raw_signature(request.query, request.body))
    check_right(key, endpoint)
    return key


def refusal(error: DialectError, now_ns: int) -> tuple[bytes, dict[str, str]]:
    """(body, headers) of a refusal; its status is the error's own."""
    row: dict[str, object] = {"code": error.code, "msg": error.msg}
    headers: dict[str, str] = {}
    retry_after_ms = (error.data or {}).get("retryAfter")
    if isinstance(retry_after_ms, int):
        left_ms = retry_after_ms - now_ns // 1_000_000
        headers["retry-after"] = str(max(1, -(-left_ms // 1000)))
    elif error.data is not None:
        row["data"] = error.data
    return orjson.dumps(row), headers


def html_page(title: str) -> bytes:
    """The page that stands in front of the venue answers with, like `410 Gone`."""
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    ).encode()
