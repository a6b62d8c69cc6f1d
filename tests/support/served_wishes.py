"""A client's bytes to what a bot asks for, along the whole of `serving`, as the gateway goes."""

import hashlib
import hmac
from base64 import b64encode
from typing import TypeAlias
from urllib.parse import quote, urlencode

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.model.enums import OrderType
from daemon.model.ids import instrument_id
from daemon.model.inputs import (
    BotAmend,
    BotCancel,
    BotCancelAll,
    BotCancelList,
    BotPlace,
    BotPlaceList,
    BotReplace,
)
from daemon.venues.binance_spot.serving import rest_requests, ws_frames
from daemon.venues.binance_spot.serving.bot_forms import (
    amend_input,
    cancel_input,
    check_served,
    list_cancel_input,
    list_input,
    place_input,
    replace_input,
)
from daemon.venues.binance_spot.serving.call_table import ENDPOINTS
from daemon.venues.binance_spot.serving.list_forms import LIST_CALLS, parse_list
from daemon.venues.binance_spot.serving.order_forms import (
    parse_amend,
    parse_cancel,
    parse_place,
    parse_replace,
    response_type,
)
from daemon.venues.binance_spot.serving.params import Params, from_form
from daemon.venues.binance_spot.serving.registered_keys import ApiKey

Wish: TypeAlias = (
    BotPlace | BotCancel | BotCancelAll | BotReplace | BotAmend | BotPlaceList | BotCancelList
)

NOW_MS = 1_790_000_000_000
NOW_NS = NOW_MS * 1_000_000
HMAC_NAME, SECRET = "h" * 64, "s3cret"
ED_NAME, PRIVATE = "e" * 64, Ed25519PrivateKey.from_private_bytes(b"7" * 32)
KEYS = {
    HMAC_NAME: ApiKey(api_key=HMAC_NAME, account="ft", secret=SECRET),
    ED_NAME: ApiKey(api_key=ED_NAME, account="naut", public_key=PRIVATE.public_key()),
}
VENUE = "binance-spot-testnet"


def hmac_of(payload: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()


def ed25519_of(payload: bytes, private: Ed25519PrivateKey = PRIVATE) -> str:
    return b64encode(private.sign(payload)).decode()


def wish_of(name: str, params: Params, bot: str) -> Wish:
    """What a bot asks for with a call that has been authenticated."""
    check_served(name)
    where = instrument_id(params.symbol(), VENUE)
    if name in {"order.place", "order.test"}:
        asked = parse_place(params)
        response_type(params, asked.type)
        is_test = name == "order.test"
        return place_input(
            asked, params, where, bot, client_order_id="made-up", proof="p", is_test=is_test
        )(7)
    if name == "order.cancel":
        return cancel_input(parse_cancel(params), where, bot, cancel_id="made-up-c")(7)
    if name == "openOrders.cancelAll":
        return BotCancelAll(bot=bot, request=7, instrument_id=where)
    if name == "order.cancelReplace":
        return replace_input(
            parse_replace(params), params, where, bot,
            client_order_id="made-up", cancel_id="made-up-c",
        )(7)  # fmt: skip
    if name in LIST_CALLS:
        listed = parse_list(name, params)
        response_type(params, OrderType.LIMIT)
        return list_input(listed, params, where, bot, new_id=lambda: "made-up", proof="p")(7)
    if name == "orderList.cancel":
        return list_cancel_input(params, where, bot, cancel_id="made-up-c")(7)
    assert name == "order.amend.keepPriority"
    return amend_input(parse_amend(params), where, bot)(7)


def rest_wish(
    method: str, path: str, query: bytes, body: bytes = b"", key: str = HMAC_NAME
) -> Wish:
    """A REST request to a wish; the bytes carry their own signature."""
    request = rest_requests.RestRequest(method, f"/api/v3/{path}", query, body, key)
    endpoint = rest_requests.endpoint_of(request)
    params = from_form(query, body)
    who = rest_requests.authenticate(KEYS, endpoint, request, params, NOW_NS)
    assert who is not None
    return wish_of(endpoint.name, params, who.account)


def ws_wish(frame: bytes) -> Wish:
    """A frame of the WebSocket API to a wish."""
    request = ws_frames.decode_request(frame)
    session = ws_frames.ApiSession(connected_ns=NOW_NS)
    endpoint = ENDPOINTS[request.method]
    who = ws_frames.authenticate(KEYS, session, endpoint, request.params, NOW_NS)
    assert who is not None
    return wish_of(endpoint.name, request.params, who.account)


def signed_query(values: dict[str, str]) -> bytes:
    """A query with timestamp and signature of the HMAC key."""
    text = urlencode({**values, "timestamp": str(NOW_MS)}).encode()
    return text + b"&signature=" + hmac_of(text).encode()


def signed_query_ed25519(values: dict[str, str]) -> bytes:
    """The same with the Ed25519 key; its signature is percent-encoded, as clients send it."""
    text = urlencode({**values, "timestamp": str(NOW_MS)}).encode()
    return text + b"&signature=" + quote(ed25519_of(text), safe="").encode()


def signed_frame(method: str, values: dict[str, object], key: str = HMAC_NAME) -> bytes:
    """A request frame signed by `key`."""
    params = {**values, "apiKey": key, "timestamp": NOW_MS}
    text = "&".join(f"{name}={params[name]}" for name in sorted(params)).encode()
    params["signature"] = hmac_of(text) if key == HMAC_NAME else ed25519_of(text)
    return orjson.dumps({"id": "1", "method": method, "params": params})
