"""What a cap is, as data: its kind, unit, clauses, and which way is safe.

Rules of this file:
1. A cap is declared once, as a field of `SymbolCaps` or `CapSet` (capset.py) made by one of the
   functions here. Parsing, tightening, alert bands, `explain`, deploy/caps and the control map
   read these declarations.
2. `stricter` says which way is safe: a run may only move a cap that way.
3. `required`: a zero of this cap does not deny by its own rule (an age of zero, a loss of zero), so
   the gate denies `cap_not_set` while it is zero. For all others zero denies by arithmetic.
4. `optional`: unset does not deny, because another cap bounds it; an unset one is not written down,
   so that the hash of an older configuration stays what it was.
5. `fills`: its use grows with orders, so that bands at 70, 85 and 100 % of it are told.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

from daemon.model.amounts import ZERO

UNLIMITED = Decimal(10) ** 28
"""What the word `unlimited` becomes where it is allowed; no amount of a venue reaches it."""
UNLIMITED_COUNT = 10**15

Kind = Literal["amount", "count", "choice", "names", "windows", "amounts_by_asset", "paths"]
Stricter = Literal["lower", "higher", "subset", "severity", "fixed"]

ACTIONS = ("reduce_only", "deny", "halt", "halt_and_flatten")
"""What a breach of a loss cap does, mildest first. Unset is `halt`."""


class CapSpec(msgspec.Struct, frozen=True):
    """One cap of the config. `key` is the field's name."""

    key: str
    kind: Kind
    unit: str
    stricter: Stricter
    clauses: str
    text: str
    required: bool = False
    fills: bool = False
    optional: bool = False
    choices: tuple[str, ...] = ()


class _Declared(msgspec.Struct, frozen=True):
    """A field's row, and what makes its default: the one thing of a field that a struct keeps."""

    default: Any
    row: tuple[Any, ...]
    more: Mapping[str, Any]

    def __call__(self) -> Any:
        """The default."""
        return {} if self.default is dict else self.default


def _declared(default: Any, *row: Any, **more: Any) -> Any:
    """A field of a set of caps that carries its own row."""
    return msgspec.field(default_factory=_Declared(default, row, more))


def amount(unit: str, clauses: str, text: str, **more: bool) -> Any:
    """A Decimal that may only fall."""
    return _declared(ZERO, "amount", unit, "lower", clauses, text, **more)


def count(unit: str, clauses: str, text: str, **more: bool) -> Any:
    """A whole number that may only fall."""
    default = UNLIMITED_COUNT if more.get("optional") else 0
    return _declared(default, "count", unit, "lower", clauses, text, **more)


def floor(unit: str, clauses: str, text: str) -> Any:
    """A whole number that may only rise."""
    return _declared(0, "count", unit, "higher", clauses, text, required=True)


def action(text: str) -> Any:
    """What a breach does; it may only become more severe."""
    return _declared("halt", "choice", "", "severity", "18", text, choices=ACTIONS)


def choice(clauses: str, text: str, *choices: str) -> Any:
    """A word that stays as it is; the first choice is the default."""
    default = choices[0] if choices else ""
    return _declared(default, "choice", "", "fixed", clauses, text, choices=choices)


def names(clauses: str, text: str, *choices: str) -> Any:
    """A list that may only lose members."""
    return _declared((), "names", "", "subset", clauses, text, choices=choices)


def windows(clauses: str, text: str) -> Any:
    """Times of the week that may only become fewer."""
    return _declared((), "windows", "UTC", "subset", clauses, text)


def by_asset(kind: Kind, unit: str, stricter: Stricter, clauses: str, text: str) -> Any:
    """A table with one entry for each asset."""
    return _declared(dict, kind, unit, stricter, clauses, text)


def specs_of(holder: type[msgspec.Struct]) -> Mapping[str, CapSpec]:
    """The rows that the fields of a set of caps declare, in their order."""
    return {
        one.name: CapSpec(one.name, *one.default_factory.row, **one.default_factory.more)
        for one in msgspec.structs.fields(holder)
        if isinstance(one.default_factory, _Declared)
    }
