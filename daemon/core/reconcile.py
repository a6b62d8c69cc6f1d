"""Reconciliation, pure: our books against one snapshot of the venue, as classified differences.

Rules of this file:
1. Nothing is repaired here. Missing fills and statuses are venue facts and are booked before; what
   still differs is a `Difference`, with a class: `in_flight` (younger than the question, or owed),
   `foreign` (not ours to touch), `external` (a balance that we neither trade nor cap: a fact),
   `wipe` (the testnet began anew), `real`. Balances say what they look like, too (`change`).
2. A difference counts only when the same one stands in two snapshots (`Suspects`): a snapshot is
   several requests, and the venue moves between them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec

from daemon.core.books import Books, trade_id_of
from daemon.model.amounts import ZERO, plain
from daemon.model.balance_changes import BalanceChange
from daemon.model.copies import replace
from daemon.model.ids import InstrumentId, is_ours, symbol_of
from daemon.model.reports import VenueSnapshot

Kind = Literal["balance", "vanished", "ended_order", "foreign_order", "foreign_fill"]
Class = Literal["in_flight", "foreign", "external", "wipe", "real"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One disagreement between the books and the venue."""

    kind: Kind
    cls: Class
    symbol: str
    client_order_id: str
    ours: str
    venue: str
    flow: Decimal = ZERO
    """For a balance: the net flow that the venue's total stands for."""
    mark: int = 0
    """For a balance: the moment in our flows when the snapshot was asked for."""
    change: BalanceChange | None = None
    """For a balance: what it looks like."""

    @property
    def key(self) -> tuple[str, ...]:
        """What must be the same in two snapshots for the difference to stand."""
        return (self.kind, self.symbol, self.client_order_id, self.gap)

    @property
    def gap(self) -> str:
        """How far apart: for balances the distance, so that flows do not make it another one."""
        if self.kind == "balance":
            return plain(Decimal(self.venue) - Decimal(self.ours))
        return f"{self.ours}|{self.venue}"

    def fields(self) -> dict[str, Any]:
        """The line of this difference in a `reconciled` record."""
        return {
            "kind": self.kind,
            "class": self.cls,
            "symbol": self.symbol,
            "client_order_id": self.client_order_id,
            "ours": self.ours,
            "venue": self.venue,
            **({} if self.change is None else {"change": self.change.value}),
        }


class Assets(msgspec.Struct, frozen=True, kw_only=True):
    """Which assets are ours to watch."""

    pairs: Mapping[InstrumentId, tuple[str, ...]]
    """The assets that each of our instruments moves."""
    capped: frozenset[str] = frozenset()
    """Assets that a cap speaks of: the numeraire, and what must stay free."""
    fees: frozenset[str] = frozenset()
    """Assets that have paid fees of ours, or may."""

    @property
    def touched(self) -> frozenset[str]:
        """What we trade or what caps speak of: nothing else stops us."""
        return self.capped.union(*self.pairs.values())


def compare(
    books: Books,
    snapshot: VenueSnapshot,
    *,
    basis: Mapping[str, Decimal],
    asked_ns: int,
    asked_mark: int,
    instance: str,
    assets: Assets,
    settle_ns: int = 0,
    ended_settle_ns: int = 0,
    trades_after: Mapping[InstrumentId, int] | None = None,
) -> tuple[Difference, ...]:
    """Every difference that stands after the snapshot's own facts were booked.

    `asked_ns`, `asked_mark`: the moment (in time, in our flows) when the snapshot was asked for;
    what the books passed through since then is in flight, no difference.
    `settle_ns`: a query may miss an order that was shown, and a fill that was announced, so
    recently (the venue's stores lag); within `ended_settle_ns` it may still list an ended one.
    """
    differences = [
        *_foreign(snapshot, instance),
        *_vanished(books, snapshot, asked_ns, settle_ns),
        *_ended(books, snapshot, asked_ns, ended_settle_ns, instance),
    ]
    owed = frozenset(owed_assets(books, assets, asked_ns, settle_ns))
    balances = list(_balances(books, snapshot, basis, asked_mark))
    balances = [_named(one, balances, basis, assets, owed) for one in balances]
    if snapshot.unread:  # fills of ours may be in what is left to read
        balances = [replace(one, cls="in_flight") for one in balances]
    moved = any(one.symbol in assets.touched for one in balances)
    if moved and _is_wipe(books, snapshot, differences, trades_after or {}):
        differences = [_as_wipe(one) for one in [*differences, *balances]]
    else:
        differences += balances
    return tuple(differences)


def _foreign(snapshot: VenueSnapshot, instance: str) -> Iterable[Difference]:
    for report in snapshot.open_orders:
        if not is_ours(report.client_order_id, instance):
            yield Difference(
                kind="foreign_order",
                cls="foreign",
                symbol=symbol_of(report.instrument_id),
                client_order_id=report.client_order_id,
                ours="",
                venue=f"{report.side} {plain(report.qty)}",
            )


def _vanished(
    books: Books, snapshot: VenueSnapshot, asked_ns: int, settle_ns: int
) -> Iterable[Difference]:
    for absent in snapshot.absent:
        order = books.orders.get(absent.client_order_id)
        if order is None or order.status.is_terminal or order.venue_order_id is None:
            continue
        yield Difference(
            kind="vanished",
            cls="in_flight" if asked_ns - order.ts_updated_ns < settle_ns else "real",
            symbol=symbol_of(order.instrument_id),
            client_order_id=order.client_order_id,
            ours=order.status.value,
            venue="absent",
        )


def _ended(
    books: Books, snapshot: VenueSnapshot, asked_ns: int, settle_ns: int, instance: str
) -> Iterable[Difference]:
    """The other direction: what is open there, and ended or forgotten here."""
    for report in snapshot.open_orders:
        cid = report.client_order_id
        if not is_ours(cid, instance):
            continue
        order = books.orders.get(cid)
        if order is not None and not order.status.is_terminal:
            continue
        ended_ns = 0 if order is None else order.ts_updated_ns
        yield Difference(
            kind="ended_order",
            cls="in_flight" if asked_ns - ended_ns < settle_ns else "real",
            symbol=symbol_of(report.instrument_id),
            client_order_id=cid,
            ours="forgotten" if order is None else order.status.value,
            venue=f"open, {report.side} {plain(report.qty)}",
        )


def _balances(
    books: Books, snapshot: VenueSnapshot, basis: Mapping[str, Decimal], asked_mark: int
) -> Iterable[Difference]:
    if not basis:
        return
    totals = {balance.asset: balance.free + balance.locked for balance in snapshot.balances}
    for asset in sorted({*totals, *basis}):
        ours = basis.get(asset, ZERO) + books.flows.get(asset, ZERO)
        venue = totals.get(asset, ZERO)
        if ours != venue:
            flow = venue - basis.get(asset, ZERO)
            passed = books.has_passed(asset, flow, asked_mark)
            yield Difference(
                kind="balance",
                cls="in_flight" if passed else "real",
                symbol=asset,
                client_order_id="",
                ours=plain(ours),
                venue=plain(venue),
                flow=flow,
                mark=asked_mark,
            )


def owed_assets(books: Books, assets: Assets, asked_ns: int, settle_ns: int) -> Iterator[str]:
    """Assets whose balance may be ahead of our books: a fill is announced, and its trade is not.

    An announcement that is older than `settle_ns` excuses nothing any more.
    """
    for order in books.open.values():
        if order.venue_cum_qty > order.cum_qty and asked_ns - order.ts_updated_ns < settle_ns:
            yield from assets.pairs.get(order.instrument_id, ())


def _named(
    one: Difference,
    balances: Sequence[Difference],
    basis: Mapping[str, Decimal],
    assets: Assets,
    owed: frozenset[str],
) -> Difference:
    """Say what a balance's difference looks like, and whether it is ours to stop for."""
    if one.cls == "in_flight":
        return replace(one, change=BalanceChange.PASSING)
    if one.symbol in owed or (owed and not _rises(one)):  # its fee may be paid in anything
        return replace(one, cls="in_flight", change=BalanceChange.OWED_FILL)
    touched = one.symbol in assets.touched
    rises = _rises(one)
    gone = [b for b in balances if not _rises(b) and b.symbol not in assets.touched]
    risen = [b for b in balances if _rises(b)]
    if gone and len(risen) == 1 and (one in gone or one in risen):
        change = BalanceChange.DUST_CONVERSION
    elif touched:
        change = BalanceChange.DEPOSIT if rises else BalanceChange.WITHDRAWAL
    elif one.symbol in assets.fees:
        change = BalanceChange.FEE_ASSET
    elif rises:
        had = Decimal(one.ours) or basis.get(one.symbol, ZERO)
        change = BalanceChange.UNTRADED_DEPOSIT if had else BalanceChange.AIRDROP
    else:
        change = BalanceChange.UNTRADED_WITHDRAWAL
    return replace(one, cls="real" if touched else "external", change=change)


def _rises(one: Difference) -> bool:
    return Decimal(one.venue) > Decimal(one.ours)


def _is_wipe(
    books: Books,
    snapshot: VenueSnapshot,
    differences: Iterable[Difference],
    trades_after: Mapping[InstrumentId, int],
) -> bool:
    """Money has moved without trades, and the venue no longer knows our last trades or orders.

    binance-spot.md §13. History is always fetched from a few ids before our
    last booked trade, so that trade missing from it means that the history itself is another.
    """
    last = {(iid, trade_id) for iid, trade_id in trades_after.items() if trade_id >= 0}
    if last:
        shown = {(fill.instrument_id, trade_id_of(fill.exec_id)) for fill in snapshot.fills}
        return not last & shown
    gone = {one.client_order_id for one in differences if one.kind == "vanished"}
    known = [order for order in books.working() if order.venue_order_id is not None]
    return bool(gone) and all(order.client_order_id in gone for order in known)


def _as_wipe(one: Difference) -> Difference:
    if one.kind == "foreign_order":
        return one
    change = None if one.change is None else BalanceChange.WIPE
    return replace(one, cls="wipe", change=change)


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot's differences after weighing."""

    newly: tuple[Difference, ...]
    """Those that stand since this snapshot."""
    reported: tuple[Difference, ...]
    """All of them, those that do not stand (yet) as `in_flight`."""
    waiting: bool
    """Whether another snapshot must tell."""

    @property
    def clean(self) -> bool:
        """Whether nothing stands against us."""
        return all(one.cls in ("in_flight", "external") for one in self.reported)

    @property
    def accepted(self) -> dict[str, Decimal]:
        """New totals of assets that are none of our business: the basis follows them."""
        return {one.symbol: Decimal(one.venue) for one in self.newly if one.cls == "external"}


class Suspects:
    """Differences seen once; the second time at least `confirm_ns` later they stand.

    A balance seen once may have been ahead of us: when our books pass through it before the second
    time, it was. Orders of one size make gaps of one size, so the same gap twice is not enough.
    """

    def __init__(self, confirm_ns: int) -> None:
        """Nobody is suspected."""
        self._confirm_ns = confirm_ns
        self._since: dict[tuple[str, ...], tuple[int, Difference]] = {}
        self._known: dict[tuple[str, ...], Class] = {}

    def weigh(self, differences: Iterable[Difference], books: Books, now_ns: int) -> "Weighed":
        """Which of these differences stand, newly or still; all others are in flight so far."""
        newly: list[Difference] = []
        reported: list[Difference] = []
        since: dict[tuple[str, ...], tuple[int, Difference]] = {}
        waiting = False
        for one in differences:
            known = self._known.get(one.key)
            if known is not None:
                reported.append(replace(one, cls=known))
                continue
            stands = None if one.cls == "in_flight" else self._stands(one, books, now_ns, since)
            if stands is not None:
                if stands.cls != "external":  # the basis follows it: it will not be told again
                    self._known[one.key] = stands.cls
                newly.append(stands)
                reported.append(stands)
            else:
                waiting = True
                reported.append(one if one.cls == "foreign" else replace(one, cls="in_flight"))
        self._since = since
        return Weighed(newly=tuple(newly), reported=tuple(reported), waiting=waiting)

    def _stands(
        self,
        one: Difference,
        books: Books,
        now_ns: int,
        since: dict[tuple[str, ...], tuple[int, Difference]],
    ) -> Difference | None:
        first_ns, first = self._since.get(one.key, (now_ns, one))
        if first.kind == "balance" and books.has_passed(first.symbol, first.flow, first.mark):
            first_ns, first = now_ns, one
        if now_ns - first_ns >= self._confirm_ns:
            # New trades after a wipe hide its first sign: once seen as one, it stays one.
            return replace(one, cls="wipe") if first.cls == "wipe" else one
        since[one.key] = (first_ns, first)
        return None

    def forget(self, one: Difference) -> None:
        """It was dealt with: should it come again, it counts again."""
        self._known.pop(one.key, None)

    def forgive(self) -> None:
        """An operator resolved the incident: what stood is accepted; new ones count again."""
        self._known.clear()
        self._since.clear()
