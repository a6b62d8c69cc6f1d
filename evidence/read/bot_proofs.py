"""What a bot signed, held against what the journal says that it asked for.

Rules of this file:
1. A proof is the very text that was signed, and behind it `&signature=` with the signature in
   base64; or JSON text of both, `text` and `signature`. It proves
   that whoever holds the private half of the registered key asked for this order, and nobody else.
2. Every parameter of the text that speaks of the order must say what the request says; one that
   the request has and the text has not is a difference, too.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from evidence.read.exact_amounts import AmountTextError, amount
from evidence.read.signing import is_signed_by

_AMOUNTS = {"quantity": "qty", "quoteOrderQty": "quote_qty", "price": "price",
            "stopPrice": "stop_price"}  # fmt: skip
_WORDS = {"side": "side", "type": "order_type", "timeInForce": "time_in_force"}
_REPLACE_ONLY = frozenset({"timeInForce"})
_LEGACY_LIMIT = {"limitClientOrderId": "newClientOrderId", "price": "price"}
_LEGACY_STOP = {
    "stopClientOrderId": "newClientOrderId", "stopLimitPrice": "price", "stopPrice": "stopPrice",
    "stopLimitTimeInForce": "timeInForce",
}  # fmt: skip


def public_key_of(text: object) -> Ed25519PublicKey | None:
    """A registered key: PEM, or the raw 32 bytes in base64; None where it is neither."""
    if not isinstance(text, str) or not text:
        return None
    try:
        if "BEGIN" in text:
            found = load_pem_public_key(text.encode())
            return found if isinstance(found, Ed25519PublicKey) else None
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error, UnicodeError):
        return None


def wrong_with(proof: str, asked: Mapping[str, Any], key: Ed25519PublicKey) -> str:
    """Why a proof does not show that the bot asked for `asked`; empty when it does."""
    named = _signed(proof, key)
    return named if isinstance(named, str) else _difference(named, asked)


def wrong_with_list(proof: str, asked: Mapping[str, Any], key: Ed25519PublicKey) -> str:
    """Why a proof does not show that the bot asked for this order list; empty when it does.

    Each order's parameters are looked up under the names that they have in the call of a list.
    """
    named = _signed(proof, key)
    if isinstance(named, str):
        return named
    own_id, orders = asked.get("list_id"), asked.get("orders")
    if "listClientOrderId" in named and named["listClientOrderId"] != own_id:
        return f"signed as list {named['listClientOrderId']}, asked as {own_id}"
    parts = _parts_of(named)
    if not isinstance(orders, list) or len(orders) != len(parts):
        return f"a list of {len(parts)} orders is signed, another number is asked for"
    if asked.get("pays"):  # the orders behind the first bear its quantity, which says the most
        for part in parts[1:]:
            part.setdefault("quantity", parts[0].get("quantity", ""))
    wrong = [_difference(part, order) for part, order in zip(parts, orders, strict=True)]
    return next((one for one in wrong if one), "")


def _parts_of(named: Mapping[str, str]) -> list[dict[str, str]]:
    """The orders of a list as the signed text names them, each in the words of a single order."""
    for prefixes in (("working", "pendingAbove", "pendingBelow"), ("working", "pending")):
        if all(f"{prefix}Type" in named for prefix in prefixes):
            return [_part(named, prefix) for prefix in prefixes]
    if "aboveType" in named:
        return [_part(named, prefix) for prefix in ("above", "below")]
    return _legacy_parts(named)


def _part(named: Mapping[str, str], prefix: str) -> dict[str, str]:
    """What the call of a list says of one order, in the words of a single order."""
    pair = prefix in ("pendingAbove", "pendingBelow")
    shared = {"side": "pendingSide", "quantity": "pendingQuantity"} if pair else {}
    found = {"symbol": named["symbol"]} if "symbol" in named else {}
    for name in ("side", "quantity"):
        own = shared.get(name, name)
        if own in named:
            found[name] = named[own]
    for name, value in named.items():
        rest = name.removeprefix(prefix)
        if rest != name:
            found[rest[:1].lower() + rest[1:]] = value
    if "clientOrderId" in found:
        found["newClientOrderId"] = found.pop("clientOrderId")
    return found


def _legacy_parts(named: Mapping[str, str]) -> list[dict[str, str]]:
    """The legs above and below of the old call: a limit leg and a stop leg."""
    shared = {name: named[name] for name in ("symbol", "side", "quantity") if name in named}
    is_limit = "stopLimitPrice" in named
    limit = {**shared, "type": "LIMIT_MAKER"}
    stop = {**shared, "type": "STOP_LOSS_LIMIT" if is_limit else "STOP_LOSS"}
    for leg, names in ((limit, _LEGACY_LIMIT), (stop, _LEGACY_STOP)):
        leg |= {usual: named[own] for own, usual in names.items() if own in named}
    return [limit, stop] if named.get("side") == "SELL" else [stop, limit]


def _signed(proof: str, key: Ed25519PublicKey) -> dict[str, str] | str:
    """What was signed, by parameter; or why the proof is none."""
    try:
        if proof.startswith(("{", "[")):
            said = json.loads(proof)
            text, signed = said["text"], said["signature"]
        else:  # as the gateway writes it: the signed text, and the signature behind it
            text, _, signed = proof.rpartition("&signature=")
        signature = base64.b64decode(signed, validate=True)
        parameters = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError):
        return "its proof cannot be read"
    if not is_signed_by(key, signature, text.encode("utf-8", "surrogatepass")):
        return "its signature is not the bot's"
    named = dict(parameters)
    if len(named) != len(parameters):
        return "its signed text names a parameter twice"
    return named


def _difference(named: Mapping[str, str], asked: Mapping[str, Any]) -> str:
    symbol = str(asked.get("instrument_id")).partition("@")[0]
    if named.get("symbol") != symbol:
        return f"signed for {named.get('symbol')}, asked for {symbol}"
    own_id = asked.get("client_order_id")
    if "newClientOrderId" in named and named["newClientOrderId"] != own_id:
        return f"signed as {named['newClientOrderId']}, asked as {own_id}"
    for parameter, name in _WORDS.items():
        if parameter in named and named[parameter] != asked.get(name):
            return f"{parameter} {named[parameter]} signed, {asked.get(name)} asked for"
        if parameter not in named and parameter not in _REPLACE_ONLY:
            return f"{parameter} is not signed"
    for parameter, name in _AMOUNTS.items():
        signed, wanted = named.get(parameter), asked.get(name)
        try:
            is_same = (signed is None) == (wanted is None) and (
                signed is None or amount(signed) == amount(wanted)
            )
        except AmountTextError:
            is_same = False
        if not is_same:
            return f"{parameter} {signed} signed, {wanted} asked for"
    return ""
