"""msgspec, imported without what it imports beside its core, for a process that lives for 50 ms.

msgspec's package imports its schemas, TOML and YAML; its core takes type hints from
`typing_extensions` (and with it `inspect`) where that can be imported, and imports `uuid`, which
asks `platform` for the system's name. That is a tenth of what a stop in a second process imports,
and it uses none of it.
"""

import os
import sys
from types import ModuleType
from typing import Any

_platform = ModuleType("platform")
_platform.system = lambda: os.uname().sysname  # type: ignore[attr-defined]
_schema: Any = ModuleType("msgspec._json_schema")
_schema.schema = _schema.schema_components = None
_HIDDEN = {
    # None makes an import say that there is no such module: from Python 3.11 on, `typing` will do.
    "typing_extensions": None,
    "platform": _platform,
    "msgspec._json_schema": _schema,
    **{name: ModuleType(name) for name in ("msgspec.inspect", "msgspec.toml", "msgspec.yaml")},
}

if "msgspec" in sys.modules:
    import msgspec
else:
    _absent: dict[str, Any] = {
        name: held for name, held in _HIDDEN.items() if name not in sys.modules
    }
    sys.modules.update(_absent)
    try:
        import msgspec
    finally:
        # Whoever wants one of them in this process after all imports the real one.
        for _name in _absent:
            del sys.modules[_name]
    for _name in ("inspect", "toml", "yaml"):
        delattr(msgspec, _name)

__all__ = ["msgspec"]
