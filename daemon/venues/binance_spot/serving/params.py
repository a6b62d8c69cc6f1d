"""Parameters of one request, from query, body or WebSocket JSON, as text; getters that refuse.

Rules of this file:
1. REST and WebSocket API share the getters: both arrive as name -> text (binance-spot.md §2, §3).
2. Every refusal carries the documented code and wording, because clients match the wording.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, TypeAlias, TypeVar
from urllib.parse import unquote_plus

import msgspec

from daemon.venues.binance_spot.serving.dialect_errors import (
    DialectError,
    combination_invalid,
    illegal,
    invalid,
    mandatory,
)
from daemon.venues.binance_spot.serving.units import UnitError, e8_of

CLIENT_ID_RANGE = "^[a-zA-Z0-9-_]{1,36}$"
SYMBOL_RANGE = "^[A-Z0-9-_.]{1,20}$"
SYMBOLS_RANGE = '^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\\]$'
AMOUNT_RANGE = "^([0-9]{1,20})(\\.[0-9]{1,20})?$"
INTEGER_RANGE = "^[0-9]{1,20}$"
CLIENT_ID = re.compile(r"[a-zA-Z0-9_-]{1,36}")
_SYMBOL = re.compile(r"[A-Z0-9_.\u3400-\u9fff-]{1,20}")  # the venue lists Chinese names, too
Choice = TypeVar("Choice", bound=StrEnum)
RequestId: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | str
"""What a WebSocket request may call itself: a 64-bit number or a text (binance-spot.md §9)."""


class Params:
    """Name -> text of one request."""

    __slots__ = ("_labels", "doubled", "values")

    def __init__(
        self,
        values: dict[str, str],
        labels: Mapping[str, str] = MappingProxyType({}),
        *,
        doubled: tuple[str, ...] = (),
    ) -> None:
        """`labels` are the client's own names where they differ (a leg of a list)."""
        self.values = values
        self.doubled = doubled
        """Names that were sent twice in one place."""
        self._labels = labels

    def has(self, name: str) -> bool:
        """Whether it was sent."""
        return name in self.values

    def label(self, name: str) -> str:
        """What the client calls a parameter."""
        return self._labels.get(name, name)

    def part(self, names: Mapping[str, str]) -> "Params":
        """The parameters of one leg: `names` maps the usual name to the client's own."""
        taken = {name: self.values[own] for name, own in names.items() if own in self.values}
        return Params(taken, names)

    def text(self, name: str, default: str = "") -> str:
        """The text, or `default` when it was not sent or is empty."""
        return self.values.get(name) or default

    def required(self, name: str) -> str:
        """The text.

        Raises:
            DialectError: -1102 when it was not sent or is empty.
        """
        value = self.values.get(name)
        if not value:
            raise mandatory(self.label(name))
        return value

    def amount(self, name: str, *, required: bool = False) -> int:
        """Units of 1e-8; 0 when it was not sent.

        Raises:
            DialectError: -1102 missing, -1100 not a plain decimal, -1111 more than 8 decimals.
        """
        value = self.required(name) if required else self.values.get(name)
        if not value:
            return 0
        try:
            return e8_of(value)
        except UnitError as error:
            if error.too_precise:
                raise DialectError(
                    -1111, f"Parameter '{self.label(name)}' has too much precision."
                ) from None
            raise illegal(self.label(name), AMOUNT_RANGE) from None

    def integer(self, name: str) -> int | None:
        """A whole number, or None when it was not sent.

        Raises:
            DialectError: -1100 for anything else.
        """
        value = self.values.get(name)
        if not value:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= 20):
            raise illegal(self.label(name), INTEGER_RANGE)
        return int(value)

    def limit(self, default: int, maximum: int) -> int:
        """The `limit` of a list, cut to `maximum`.

        Raises:
            DialectError: -1130 for zero, -1100 for no number.
        """
        value = self.integer("limit")
        if value is None:
            return default
        if value == 0:
            raise invalid("limit")
        return min(value, maximum)

    def choice(self, name: str, kind: type[Choice], code: int, msg: str) -> Choice:
        """A value of a closed list.

        Raises:
            DialectError: -1102 missing, else `code` and `msg`.
        """
        found = kind._value2member_map_.get(self.required(name))
        if not isinstance(found, kind):
            raise DialectError(code, msg)
        return found

    def symbol(self) -> str:
        """The `symbol`, in the legal alphabet (that it exists is the venue's check)."""
        value = self.required("symbol")
        if not _SYMBOL.fullmatch(value):
            raise illegal("symbol", SYMBOL_RANGE)
        return value

    def symbols(self) -> list[str] | None:
        """`symbols` (a JSON array) or `symbol`, or None when neither was sent.

        Raises:
            DialectError: -1128 for both, -1100 for no JSON array of names.
        """
        many, one = self.values.get("symbols"), self.values.get("symbol")
        if many and one:
            raise combination_invalid()
        if one:
            return [self.symbol()]
        if not many:
            return None
        try:
            names = msgspec.json.decode(many, type=list[str])
        except (msgspec.MsgspecError, RecursionError):
            raise illegal("symbols", SYMBOLS_RANGE) from None
        if len(set(names)) < len(names):
            raise DialectError(-1151, "Symbol is present multiple times in the list.")
        return names

    def client_id(self, name: str) -> str:
        """A client order id, empty when it was not sent.

        Raises:
            DialectError: -1100 outside the legal alphabet and length.
        """
        value = self.values.get(name) or ""
        if value and not CLIENT_ID.fullmatch(value):
            raise illegal(self.label(name), CLIENT_ID_RANGE)
        return value

    def order_key(
        self, id_name: str = "orderId", text_name: str = "origClientOrderId"
    ) -> tuple[int | None, str]:
        """(order id, client id); at least one is given.

        Raises:
            DialectError: -1102 when both are missing.
        """
        order_id, text = self.integer(id_name), self.text(text_name)
        if order_id is None and not text:
            raise DialectError(
                -1102,
                f"Param '{text_name}' or '{id_name}' must be sent, but both were empty/null!",
            )
        return order_id, text

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean: `true` or `false` in any case."""
        value = self.values.get(name)
        return default if not value else value.lower() == "true"


def from_form(*texts: bytes) -> Params:
    """Query then body, decoded; a name in both keeps the query's value (the first text wins)."""
    values: dict[str, str] = {}
    doubled: list[str] = []
    for text in texts:
        here: dict[str, str] = {}
        for pair in filter(None, text.decode("utf-8", "replace").split("&")):
            name, _, value = pair.partition("=")
            if "%" in pair or "+" in pair:
                name, value = unquote_plus(name), unquote_plus(value)
            if name in here:
                doubled.append(name)
            here[name] = value
        values = here | values
    return Params(values, doubled=tuple(doubled))


def signed_text(*texts: bytes) -> bytes:
    """Raw query and raw body without their `signature` pair, joined without a separator."""
    return b"".join([_unsigned(text) if b"signature=" in text else text for text in texts])


def _unsigned(text: bytes) -> bytes:
    return b"&".join([pair for pair in text.split(b"&") if not pair.startswith(b"signature=")])
