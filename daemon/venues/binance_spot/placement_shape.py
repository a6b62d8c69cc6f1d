"""The shape of a placement: everything that orders of one kind have in common, written once.

Rules of this file:
1. A shape is made from the parameters that the general path makes (params.py), so the two cannot
   differ; a test holds them to the same bytes.
2. What is filled in is checked as the general path checks it: ids by pattern, amounts as plain
   decimal text. Neither can hold a quote, a percent sign or a backslash.
"""

from collections.abc import Mapping

import orjson

from daemon.model.orders import NewOrder
from daemon.venues.binance_spot.params import Value, place_amounts
from daemon.venues.binance_spot.signing import Signer, ws_signing_text

_FILLED = ("newClientOrderId", "price", "quantity", "stopPrice", "timestamp")
"""Parameters that differ from order to order, in the order in which they are filled in."""
_MARKS = {name: f"\x00{name}\x00" for name in (*_FILLED, "signature", "id")}


class PlacementShape:
    """Two templates: the text to sign and the frame to send."""

    __slots__ = ("_frame", "_names", "_signed", "_text")

    def __init__(
        self, fields: Mapping[str, Value], fixed: Mapping[str, Value], *, signed: bool
    ) -> None:
        """Learn from one order's parameters; `fixed` are those of the connection."""
        params: dict[str, Value] = {**fields, **fixed, "timestamp": ""}
        self._names = tuple(name for name in _FILLED if name in params)
        self._signed = signed
        for name in self._names:
            params[name] = _MARKS[name]
        self._text = _template(ws_signing_text(params).decode("utf-8"), self._names)
        if signed:
            params["signature"] = _MARKS["signature"]
        call = {"id": _MARKS["id"], "method": "order.place", "params": params}
        frame = orjson.dumps(call).decode("utf-8")
        for mark in _MARKS.values():  # as JSON writes the mark
            frame = frame.replace(orjson.dumps(mark).decode()[1:-1], mark)
        # The timestamp is a number: its quotes go with the mark.
        stamp = _MARKS["timestamp"]
        frame = frame.replace(f'"{stamp}"', stamp)
        self._frame = _template(frame, (*self._names, "signature", "id"))

    def payload(self, order: NewOrder, request_id: str, timestamp_ms: int, signer: Signer) -> bytes:
        """The frame of one order.

        Raises:
            Unencodable: as the general path does.
        """
        values = place_amounts(order)
        values["timestamp"] = str(timestamp_ms)
        if self._signed:
            values["signature"] = signer.sign((self._text % values).encode("utf-8"))
        values["id"] = request_id
        return (self._frame % values).encode("utf-8")


def _template(text: str, names: tuple[str, ...]) -> str:
    text = text.replace("%", "%%")
    for name in names:
        text = text.replace(_MARKS[name], f"%({name})s")
    return text
