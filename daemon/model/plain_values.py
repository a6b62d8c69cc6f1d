"""Plain values: structs to JSON-ready dicts and back, exactly.

Decimal is text, enums their value, sets sorted lists, a union member tagged with `type`. The
converters are built once per class from its annotations; there is no reflection per value.
"""

import types
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from daemon.model.amounts import decimal_of

T = TypeVar("T", bound=msgspec.Struct)
OMIT = "omit"
"""Annotates a field that is not written while it has its default: lines stay as they were."""


def to_plain(value: Any) -> Any:
    """Turn a model value into JSON-ready plain values (dict, list, str, int, bool, None)."""
    kind = type(value)
    if kind in (str, int, bool) or value is None:
        return value
    if kind is Decimal:
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str | int):
        return value
    if issubclass(kind, msgspec.Struct):
        made = {name: to_plain(getattr(value, name)) for name in kind.__struct_fields__}
        for name, default in _omitted(kind):
            if made[name] == default:
                del made[name]
        return made
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(to_plain(item) for item in value)
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    raise TypeError(f"{kind.__name__} has no plain form (floats have no place in records)")


def to_tagged(value: Any) -> dict[str, Any]:
    """The plain form of a union member: its fields, and `type` naming its class."""
    return {"type": type(value).__name__, **to_plain(value)}


def from_plain(cls: type[T], data: Mapping[str, Any]) -> T:
    """Build a struct from its plain form.

    Raises:
        ValueError: naming the class and the field that does not fit.
    """
    made: dict[str, Any] = {}
    name = ""
    try:
        for name, convert in _converters(cast("Any", cls)):
            if name in data:
                made[name] = convert(data[name])
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"{cls.__name__}.{name}: {error}") from error
    try:
        return cls(**made)
    except TypeError as error:
        raise ValueError(f"{cls.__name__}: {error}") from error


def from_tagged(union: Any, data: Mapping[str, Any]) -> Any:
    """Build the member of `union` that `data["type"]` names."""
    for member in typing.get_args(union):
        if member.__name__ == data.get("type"):
            return from_plain(member, data)
    raise ValueError(f"no such member: {data.get('type')!r}")


@cache
def _omitted(cls: Any) -> tuple[tuple[str, Any], ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(
        (one.name, to_plain(one.default))
        for one in msgspec.structs.fields(cls)
        if OMIT in getattr(hints[one.name], "__metadata__", ())
    )


@cache
def _converters(cls: Any) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    hints = typing.get_type_hints(cls)
    return tuple((name, _converter(hints[name])) for name in cls.__struct_fields__)


def _converter(hint: Any) -> Callable[[Any], Any]:
    while isinstance(hint, typing.NewType):
        hint = hint.__supertype__
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _optional(hint)
    if origin in (tuple, frozenset, set, list):
        item = _converter(typing.get_args(hint)[0])
        return lambda value: origin(item(part) for part in value)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        part = _converter(typing.get_args(hint)[1])
        return lambda value: {key: part(item) for key, item in value.items()}
    if hint is Decimal:
        return decimal_of
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return lambda value: from_plain(hint, value)
    if hint in (int, str, bool):
        return _exactly(hint)
    return lambda value: value


def _optional(hint: Any) -> Callable[[Any], Any]:
    members = [m for m in typing.get_args(hint) if m is not type(None)]
    if len(members) == 1:
        inner = _converter(members[0])
        return lambda value: None if value is None else inner(value)
    return lambda value: from_tagged(hint, value)


def _exactly(kind: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise TypeError(f"expected {kind.__name__}, got {value!r}")
        return value

    return check
