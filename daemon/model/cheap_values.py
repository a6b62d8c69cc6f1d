"""Frozen values that are cheap to make: for the few classes that every report or order needs.

A frozen dataclass writes each field through `object.__setattr__`; that is half of what such an
object costs. `quick` gives it another `__init__`, of the same signature: the object is filled while
it is of an open twin class with the same slots, and then gets its own class back. From outside
nothing differs: it is frozen, and equal, hashed and replaced as any frozen dataclass.
"""

from dataclasses import MISSING, fields
from typing import Any, TypeVar

C = TypeVar("C", bound=type)


def quick(cls: C) -> C:
    """Decorate a frozen dataclass with slots and without default factories.

    Raises:
        TypeError: the class is of another kind.
    """
    made: Any = cls
    rules = made.__dataclass_params__
    members = fields(made)
    if not rules.frozen or "__slots__" not in vars(cls) or "__post_init__" in vars(cls):
        raise TypeError(f"{cls.__name__} is no plain frozen dataclass with slots")
    if any(one.default_factory is not MISSING or not one.init for one in members):
        raise TypeError(f"{cls.__name__} has a field that `quick` cannot fill")
    known: dict[str, Any] = {
        "_set": object.__setattr__,
        "_open": type(cls.__name__, (), {"__slots__": made.__slots__}),
        "_own": cls,
        **{f"_default_{one.name}": one.default for one in members},
    }
    parameters = ["self"]
    for index, one in enumerate(members):
        if one.kw_only and (index == 0 or not members[index - 1].kw_only):
            parameters.append("*")
        has_default = one.default is not MISSING
        parameters.append(f"{one.name}=_default_{one.name}" if has_default else one.name)
    lines = [
        f"def __init__({', '.join(parameters)}):",
        "    _set(self, '__class__', _open)",
        *(f"    self.{one.name} = {one.name}" for one in members),
        "    self.__class__ = _own",
    ]
    # As dataclasses itself does: names of fields only, nothing from outside.
    exec("\n".join(lines), known)  # noqa: S102
    init = known["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = made.__init__.__annotations__
    made.__init__ = init
    return cls
