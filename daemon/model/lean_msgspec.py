"""msgspec, imported without what a process that lives as long as one stop never asks it for.

msgspec takes type hints from `typing_extensions` where that can be imported, and from `typing`
where it cannot; from Python 3.11 on both are the same. It looks up `uuid.UUID`, and that module
asks the platform for its name; it offers JSON schemas, TOML, YAML, MessagePack and `inspect`. All
of this together is a seventh of what a stop in a second process imports.
"""

import sys
from types import ModuleType
from typing import Any

_OFFERED = ("inspect", "msgpack", "toml", "yaml")


def _stand_ins() -> dict[str, Any]:
    """By name, what stands in the place of a module while msgspec is imported."""
    uuid, schema = ModuleType("uuid"), ModuleType("msgspec._json_schema")
    # No value of ours is one; msgspec asks for the two names when it is imported.
    uuid.UUID = type("UUID", (), {})  # type: ignore[attr-defined]
    uuid.SafeUUID = type("SafeUUID", (), {"unknown": None})  # type: ignore[attr-defined]
    schema.schema = schema.schema_components = None  # type: ignore[attr-defined]
    names = [f"msgspec.{name}" for name in _OFFERED]
    # None there makes an import say that there is no such module.
    return {
        "typing_extensions": None, "uuid": uuid, "msgspec._json_schema": schema,
        **{name: ModuleType(name) for name in names},
    }  # fmt: skip


def _imported() -> ModuleType:
    """msgspec; what was left out can still be imported by its name afterwards."""
    found = {name: one for name, one in _stand_ins().items() if name not in sys.modules}
    sys.modules |= found
    try:
        import msgspec  # noqa: PLC0415 - that is what this is about
    finally:
        for name in found:
            del sys.modules[name]
    for name in _OFFERED:
        if f"msgspec.{name}" in found:
            delattr(msgspec, name)
    return msgspec


if "msgspec" not in sys.modules:
    try:
        _imported()
    except Exception:  # noqa: BLE001 - a build of msgspec that needs more of them: the usual way
        sys.modules.pop("msgspec", None)
import msgspec  # noqa: E402 - as above

__all__ = ["msgspec"]
