"""The canonical form of durable state: what two engines must agree on, and its hash.

Rules of this file:
1. Left out is what a restart may not remember or need not: the moment of the last input, this run's
   id counter, alert bands, and the gate's own blocks (a recovered gate is DOWN and blocks anew).
2. Amounts count by value: `0.0100` from a venue and `0.01` from a journal are the same.
"""

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from daemon.model.amounts import plain

_VOLATILE = frozenset({"now_ns", "ids", "bands", "blocked"})
_DIGITS = frozenset("0123456789")


def canonical(value: Any) -> Any:
    """`value` without its volatile keys, every amount in one spelling."""
    if isinstance(value, Mapping):
        return {key: canonical(item) for key, item in value.items() if key not in _VOLATILE}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, str) and value and value[-1] in _DIGITS:
        return _amount(value)
    return value


def hash_of(state: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the canonical state."""
    text = json.dumps(canonical(state), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _amount(text: str) -> str:
    try:
        return plain(Decimal(text))
    except InvalidOperation:
        return text
