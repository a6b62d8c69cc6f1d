"""What a bot signed, held against what the journal says that it asked for.

Rules of this file:
1. A proof is JSON text: `text`, the very text that was signed, and `signature`, base64. It proves
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
    try:
        said = json.loads(proof)
        text, signature = said["text"], base64.b64decode(said["signature"], validate=True)
        parameters = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError):
        return "its proof cannot be read"
    if not is_signed_by(key, signature, text.encode("utf-8", "surrogatepass")):
        return "its signature is not the bot's"
    named = dict(parameters)
    if len(named) != len(parameters):
        return "its signed text names a parameter twice"
    return _difference(named, asked)


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
