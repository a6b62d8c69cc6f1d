"""The venue's list of orders, as it was downloaded: whoever has it and wherever it comes from.

Rules of this file:
1. What is read: the rows of `allOrders` (a list, or by symbol under `all_orders`), the file that
   `seatrial evidence venue-history` and `download` write, and a simulated venue's ledger.
2. A row that names no order is an error, not a row less: a shorter list proves more than it should.
3. Whose list it is, the file cannot prove. Who fetched it is said by who calls.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from evidence.read.exact_amounts import NS_PER_MS
from evidence.read.journal_sources import SourceError
from evidence.read.json_inputs import once_each

SIMULATOR_KEYS = frozenset({"faults", "requests", "seed", "scenario"})
"""Only a simulated venue's ledger has these."""


class Source(StrEnum):
    """Who vouches for the list."""

    FETCHED = "fetched from the venue by the verifier"
    HANDED_OVER = "handed over as a file"
    SIMULATED = "of a simulated venue"


class VenueOrder(msgspec.Struct, frozen=True):
    """One order under one id that the venue showed for it."""

    symbol: str
    order_id: str
    shown: str
    placed_ns: int
    updated_ns: int


class VenueList(msgspec.Struct, frozen=True):
    """All of one download. It speaks of what was placed from `since_ns` to `until_ns`."""

    source: Source
    orders: tuple[VenueOrder, ...]
    since_ns: int
    until_ns: int
    symbols: frozenset[str]
    """Those that it lists, or says that it was asked for."""


def read_list(path: Path) -> VenueList:
    """Read a file that somebody handed over.

    Raises:
        SourceError: it cannot be read, or is no list of orders.
    """
    return list_of(read_json(path), str(path))


def read_json(path: Path) -> Any:
    """What a file holds that somebody handed over.

    Raises:
        SourceError: it cannot be read, or is no JSON, or has a key twice.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=once_each)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: not JSON: {error}") from error


def list_of(found: object, name: str, source: Source = Source.HANDED_OVER) -> VenueList:
    """A downloaded value as a list; `name` is how errors call it.

    Raises:
        SourceError: it is no list of orders.
    """
    books: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    if books.get("is_simulated") or SIMULATOR_KEYS & books.keys():
        source = Source.SIMULATED
    rows = _rows_of(found)
    if rows is None:
        raise SourceError(
            f"{name}: no list of orders; give what `GET /api/v3/allOrders` answered, or what "
            "`seatrial evidence venue-history` wrote"
        )
    orders = tuple(_orders(rows, books.get("cancels"), name))
    placed = [one.placed_ns for one in orders]
    fetched_ns = books.get("fetched_ns")
    until_ns = fetched_ns if isinstance(fetched_ns, int) else 0
    return VenueList(
        source,
        orders,
        min(placed, default=0),
        until_ns or max((one.updated_ns for one in orders), default=0),
        frozenset((*(one.symbol for one in orders), *_asked_for(books))),
    )


def _asked_for(books: Mapping[str, Any]) -> Iterator[str]:
    for part in (books.get("symbols"), books.get("all_orders")):
        yield from map(str, part if isinstance(part, list | Mapping) else ())


def _rows_of(found: object) -> Iterable[Any] | None:
    if isinstance(found, list):
        return found
    if not isinstance(found, Mapping):
        return None
    by_symbol = found.get("all_orders")
    if isinstance(by_symbol, Mapping):
        return [row for rows in by_symbol.values() for row in (rows or ())]
    orders = found.get("orders")
    return orders if isinstance(orders, list) else None


def _orders(rows: Iterable[Any], cancels: object, name: str) -> Iterator[VenueOrder]:
    for number, row in enumerate(rows, 1):
        try:
            yield _order(row)
        except (KeyError, TypeError, ValueError) as error:
            raise SourceError(f"{name}: order {number}: {type(error).__name__} {error}") from error
    listed: Sequence[Any] = cancels if isinstance(cancels, list) else ()
    for row in listed:  # a ledger keeps both of an order's ids
        ts_ns = int(row["ts_ns"])
        yield VenueOrder(
            str(row["symbol"]), str(row["order_id"]), str(row["cancel_id"]), ts_ns, ts_ns
        )


def _order(row: Any) -> VenueOrder:
    """A row as the venue writes it (camel case, ms), or as the accountant's download does."""
    if "clientOrderId" in row:
        placed_ns, updated_ns = (int(row[key]) * NS_PER_MS for key in ("time", "updateTime"))
        number, shown = row["orderId"], row["clientOrderId"]
    else:
        placed_ns, updated_ns = int(row["ts_ns"]), int(row.get("updated_ns") or row["ts_ns"])
        number, shown = row["order_id"], row["client_order_id"]
    return VenueOrder(str(row["symbol"]), str(number), str(shown), placed_ns, updated_ns)
