"""An input as the fields of its journal line: what a replay reads back (model/plain_values.py).

Most lines of a journal are inputs, so the frequent kinds are written by an encoder of native code.
Its text is the same, byte for byte, as that of the general form; a test holds them together.
"""

import msgspec
import orjson

from daemon.model.inputs import (
    BalancesChanged,
    BotPlace,
    Input,
    MarketData,
    PublicTrade,
    TimerFired,
    VenueReject,
    VenueReport,
)
from daemon.model.plain_values import to_tagged

_ENCODE = msgspec.json.Encoder(decimal_format="string").encode
FREQUENT = (
    MarketData, PublicTrade, VenueReport, BalancesChanged, TimerFired, VenueReject, BotPlace,
)  # fmt: skip
_OPENED: dict[type, bytes] = {
    kind: b'{"input":{"type":"%b",' % kind.__name__.encode() for kind in FREQUENT
}


def input_text(item: Input) -> bytes:
    """The fields of the INPUT line of `item`, as the text of a JSON object."""
    opened = _OPENED.get(type(item))
    if opened is None:
        return orjson.dumps({"input": to_tagged(item)})
    return opened + _ENCODE(item)[1:] + b"}"
