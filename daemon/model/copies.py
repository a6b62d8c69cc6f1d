"""Changed copies of the product's frozen values: for the product, and for authors of strategies.

`replace(wish, qty=…)` is the same value with the fields that are named changed. The values are
`msgspec.Struct`, so `dataclasses.replace` does not take them.

Raises:
    TypeError: the value has no such field, or is no value of ours.
"""

from msgspec.structs import replace

__all__ = ["replace"]
