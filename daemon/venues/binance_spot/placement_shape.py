"""The shape of a placement: everything that orders of one kind have in common, written once.

Rules of this file:
1. A shape is made from the parameters that the general path makes (params.py), so the two cannot
   differ; a test holds them to the same bytes.
2. What is filled in matches one pattern: the id in the venue's letters, each amount a decimal above
   zero, of which the zeros at its end are left out. Neither can hold a quote, a percent sign or a
   backslash.
3. What does not match goes the general path, which has the word for it: an order that has other
   parts than the one it was learnt from, an amount in scientific notation, an id that is none.
"""

import re
from collections.abc import Mapping

import msgspec

from daemon.model.orders import NewOrder
from daemon.venues.binance_spot.request_params import place_amounts
from daemon.venues.binance_spot.request_signing import Signer, ws_signing_text
from daemon.venues.binance_spot.ws_envelope import Value

_STAMP, _SIGNATURE, _ID = "timestamp", "signature", "id"
_OWN_ID = r"([0-9A-Za-z_-]{1,36})"
_AMOUNT = r"(?!0(?:\.0*)?(?: |\Z))([0-9]+(?:\.[0-9]*[1-9])?)\.?0*"
_PARTS = "%s %s %s %s"
"""No f-string: that asks each Decimal for its format, and takes twice as long."""
_AMOUNTS = ("price", "quantity", "stopPrice")
"""Amounts that an order of a shape may have, sorted as they are sent."""


class PlacementShape:
    """Two templates: the text to sign and the frame to send. Both are filled in sorted order."""

    __slots__ = ("_filled", "_frame", "_signed", "_text")

    def __init__(
        self,
        order: NewOrder,
        fields: Mapping[str, Value],
        fixed: Mapping[str, Value],
        *,
        signed: bool,
    ) -> None:
        """Learn from one order and its parameters; `fixed` are those of the connection."""
        names = tuple(place_amounts(order))
        amounts = (_AMOUNT if name in names else "None" for name in _AMOUNTS)
        self._filled = re.compile(" ".join((_OWN_ID, *amounts)), re.ASCII).fullmatch
        self._signed = signed
        filled = (*names, _STAMP)
        values: dict[str, Value] = {**fields, **fixed, _STAMP: ""}
        params = {name: _mark(name) if name in filled else values[name] for name in sorted(values)}
        self._text = _template(ws_signing_text(params).decode("utf-8"), filled)
        if signed:
            params[_SIGNATURE] = _mark(_SIGNATURE)
        call = {_ID: _mark(_ID), "method": "order.place", "params": params}
        frame = msgspec.json.encode(call).decode("utf-8")
        for name in (*filled, _SIGNATURE, _ID):  # as JSON writes the mark
            frame = frame.replace(msgspec.json.encode(_mark(name)).decode()[1:-1], _mark(name))
        # The timestamp is a number: its quotes go with the mark.
        frame = frame.replace(f'"{_mark(_STAMP)}"', _mark(_STAMP))
        self._frame = _template(frame, (_ID, *filled, _SIGNATURE) if signed else (_ID, *filled))

    def payload(
        self, order: NewOrder, request_id: str, timestamp_ms: int, signer: Signer
    ) -> bytes | None:
        """The frame of one order; None: it does not fit, take the general path."""
        parts = (order.client_order_id, order.price, order.qty, order.stop_price)
        found = self._filled(_PARTS % parts)
        if found is None:
            return None
        filled = (*found.groups(), timestamp_ms)
        if not self._signed:
            return (self._frame % (request_id, *filled)).encode("utf-8")
        signature = signer.sign((self._text % filled).encode("utf-8"))
        return (self._frame % (request_id, *filled, signature)).encode("utf-8")


def _mark(name: str) -> str:
    return f"\x00{name}\x00"


def _template(text: str, names: tuple[str, ...]) -> str:
    """Marks become places, which are filled by position.

    Raises:
        ValueError: the marks do not stand once each, in this order.
    """
    if tuple(text.split("\x00")[1::2]) != names:
        raise ValueError(f"a template is filled in the order {names}")
    text = text.replace("%", "%%")
    for name in names:
        text = text.replace(_mark(name), "%s")
    return text
