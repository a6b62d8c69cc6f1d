"""msgspec, imported without `typing_extensions`, for a process that lives as long as one stop.

msgspec takes type hints from `typing_extensions` where that can be imported, and from `typing`
where it cannot; from Python 3.11 on both are the same. That package imports `inspect`, and with it
six other modules: a tenth of what a stop in a second process imports.
"""

import sys

_HIDDEN = "typing_extensions"

_is_absent = _HIDDEN not in sys.modules
if _is_absent:
    # None there makes an import say that there is no such module.
    sys.modules[_HIDDEN] = None  # type: ignore[assignment]
try:
    import msgspec
finally:
    if _is_absent:
        del sys.modules[_HIDDEN]

__all__ = ["msgspec"]
