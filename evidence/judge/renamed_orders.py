"""The venue's rows under the ids that our journal knows.

A cancel, an amend or the venue itself gives an order another client id than its own. Rule of this
file: such a row is matched by what the ids share, then by the venue's order id, else left as it is.

A row under an order's own id, digest and all, is never matched with another: a journal that has the
order under another digest was written anew, and both miss each other.
"""

from collections.abc import Mapping
from typing import Any

from evidence.folds.order_fold import Trail
from evidence.read.order_ids import ORDER, read_id

LISTS = ("orders", "fills", "open_orders")


Stem = tuple[str, int, str, int]


def stems_of(trails: Mapping[str, Trail]) -> dict[Stem, str]:
    """The orders that the journal knows, by what their ids share with those of requests."""
    return {found.stem: cid for cid in trails if (found := read_id(cid)) is not None}


def under_own_ids(
    ledger: Mapping[str, Any], trails: Mapping[str, Trail], by_stem: Mapping[Stem, str]
) -> Mapping[str, Any]:
    """The venue's books with renamed orders under their own ids; other parts as they are."""
    by_number = {(one.symbol, one.order_id): cid for cid, one in trails.items() if one.order_id}

    def own(row: Any) -> Any:
        if not isinstance(row, Mapping):
            return row
        shown = str(row.get("client_order_id") or "")
        if shown in trails:
            return row
        found = read_id(shown)
        if found is not None and found.kind == ORDER and found.key:
            return row
        number = (str(row.get("symbol")), str(row.get("order_id")))
        mine = by_stem.get(found.stem) if found is not None else by_number.get(number)
        return row if mine is None else {**row, "client_order_id": mine}

    renamed = {
        name: [own(row) for row in rows]
        for name in LISTS
        if isinstance(rows := ledger.get(name), list)
    }
    return {**ledger, **renamed}
