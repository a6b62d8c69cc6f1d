"""exchangeInfo as one bot sees it: the venue's own rows, cut to the bot's symbols and limits."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from daemon.venues.binance_spot.serving.dialect_errors import (
    combination_invalid,
    invalid_symbol,
)
from daemon.venues.binance_spot.serving.params import Params


def cut(
    document: Mapping[str, Any],
    params: Params,
    symbols: Collection[str],
    rate_limits: Sequence[Mapping[str, object]],
    *,
    clock_ms: int,
) -> dict[str, Any]:
    """The answer to GET /exchangeInfo of a bot that may trade `symbols`.

    `document` is the venue's, decoded; `rate_limits` are the bot's own rows.

    Raises:
        DialectError: -1121 for a symbol that the bot has not, -1128 for what cannot stand together.
    """
    names = params.symbols()
    status, permission = params.text("symbolStatus"), params.text("permissions")
    if names is not None and (status or permission):
        raise combination_invalid()
    wanted = set(symbols)
    if names is not None:
        if not set(names) <= wanted:
            raise invalid_symbol()
        wanted = set(names)
    if permission and "SPOT" not in permission:
        wanted = set()
    rows = [
        _served(row, with_permissions=params.flag("showPermissionSets", default=True))
        for row in document.get("symbols", ())
        if row.get("symbol") in wanted and (not status or row.get("status") == status)
    ]
    kept = {name: document[name] for name in ("timezone", "exchangeFilters") if name in document}
    return {
        **kept,
        "serverTime": clock_ms,
        "rateLimits": list(rate_limits),
        "symbols": rows,
    }


def _served(row: Mapping[str, Any], *, with_permissions: bool) -> dict[str, Any]:
    served = dict(row)
    if not with_permissions:
        served["permissionSets"] = []
    return served
