"""The links of a set of venues as one: what the pump attaches, and what the engine hears of it.

Rules of this file:
1. Readiness is over all: a link counts as up when every venue's is, and as down with the first.
2. An effect about an instrument goes to its venue; a snapshot is asked of all, and told when all
   have answered. One venue's failure fails the round: half a comparison is none.
3. The first venue's assets keep their names; another's are `ASSET@venue`: equal names on two
   venues are two things. Its symbols and fills are named likewise.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from daemon.model.copies import replace
from daemon.model.effects import (
    QueryOrder,
    RefreshInstruments,
    SendAmend,
    SendCancel,
    SendOrder,
    SendOrderList,
    SendReplace,
    TakeSnapshot,
    VenueEffect,
)
from daemon.model.enums import Link
from daemon.model.ids import ExecId, InstrumentId, asset_id, venue_of
from daemon.model.inputs import (
    BalancesChanged,
    BudgetSampled,
    Input,
    InstrumentsLoaded,
    LinkDown,
    LinkUp,
    SnapshotFailed,
    SnapshotTaken,
    VenueReport,
)
from daemon.model.reports import ExecutionReport, Fill, VenueSnapshot
from daemon.shell.pump import VenuePort

LinkT = TypeVar("LinkT", bound=VenuePort)


def port_of(
    venues: tuple[str, ...],
    deliver: Callable[[Input], None],
    build: Callable[[str, Callable[[Input], None]], LinkT],
) -> tuple[VenuePort, dict[str, LinkT]]:
    """What the pump attaches, and the links by venue; of one venue the link itself is attached.

    `build` makes the link of a venue, which delivers where it is told.
    """
    if len(venues) == 1:
        only = build(venues[0], deliver)
        return only, {venues[0]: only}
    together = VenueSet(venues, deliver)
    links = {venue: build(venue, together.deliver_of(venue)) for venue in venues}
    together.attach(links)
    return together, links


class VenueSet:
    """Make it, give each link `deliver_of(venue)`, then `attach` the links by venue."""

    def __init__(self, venues: tuple[str, ...], deliver: Callable[[Input], None]) -> None:
        """`venues`: the first one's names are taken as they are."""
        self._venues = venues
        self._deliver = deliver
        self._links: dict[str, VenuePort] = {}
        self._up: dict[Link, set[str]] = {link: set() for link in Link}
        self._loaded: dict[str, InstrumentsLoaded] = {}
        self._taken: dict[str, VenueSnapshot] = {}
        self._reason: str | None = None
        """Of the snapshot that is under way."""

    def attach(self, links: Mapping[str, VenuePort]) -> None:
        """Give it its links."""
        self._links = dict(links)

    def deliver_of(self, venue: str) -> Callable[[Input], None]:
        """Where the link of a venue delivers."""
        return lambda item: self._hear(venue, item)

    def perform(self, effect: VenueEffect) -> None:
        """Start the effect at its venue, or at all of them."""
        if isinstance(effect, TakeSnapshot):
            self._reason = effect.reason
            self._taken.clear()
            for venue, link in self._links.items():
                link.perform(_part(effect, venue))
        else:
            self._links[venue_of(_instrument_of(effect))].perform(effect)

    def _hear(self, venue: str, item: Input) -> None:
        match item:
            case LinkUp(link):
                self._up[link].add(venue)
                if len(self._up[link]) == len(self._venues):
                    self._deliver(item)
            case LinkDown(link, reason):
                was_up = len(self._up[link]) == len(self._venues)
                self._up[link].discard(venue)
                if was_up:
                    self._deliver(LinkDown(link, f"{venue}: {reason}"))
            case InstrumentsLoaded():
                self._loaded[venue] = self._named(venue, item)
                if len(self._loaded) == len(self._venues):
                    self._deliver(_all_loaded(self._loaded))
            case SnapshotTaken(snapshot):
                self._on_taken(venue, snapshot)
            case SnapshotFailed(reason):
                if self._reason is not None:
                    self._reason = None
                    self._deliver(SnapshotFailed(f"{venue}: {reason}"))
            case _:
                self._deliver(self._named(venue, item))

    def _on_taken(self, venue: str, snapshot: VenueSnapshot) -> None:
        if snapshot.reason != self._reason:
            return  # of a round that is over
        self._taken[venue] = self._named(venue, SnapshotTaken(snapshot)).snapshot
        if len(self._taken) == len(self._venues):
            self._reason = None
            self._deliver(SnapshotTaken(_together(list(self._taken.values()))))

    def _named(self, venue: str, item: Any) -> Any:
        """The input with its assets, symbols and fills under the names of the whole set."""
        if venue == self._venues[0]:
            return item
        match item:
            case InstrumentsLoaded():
                made = tuple(
                    replace(one, base=asset_id(one.base, venue), quote=asset_id(one.quote, venue))
                    for one in item.instruments
                )
                absent = {asset_id(symbol, venue): why for symbol, why in item.absent.items()}
                return InstrumentsLoaded(made, absent)
            case BalancesChanged():
                return replace(item, balances=_balances(item.balances, venue))
            case BudgetSampled():
                used = {asset_id(name, venue): n for name, n in item.used.items()}
                limits = {asset_id(name, venue): n for name, n in item.limits.items()}
                return BudgetSampled(used, limits)
            case VenueReport(report):
                return VenueReport(_report(report, venue))
            case SnapshotTaken(snapshot):
                made_of = replace(
                    snapshot,
                    balances=_balances(snapshot.balances, venue),
                    fills=tuple(_fill(one, venue) for one in snapshot.fills),
                    mute_symbols=tuple((asset_id(s, venue), t) for s, t in snapshot.mute_symbols),
                )
                return SnapshotTaken(made_of)
        return item


def _instrument_of(
    effect: SendOrder
    | SendOrderList
    | SendReplace
    | SendCancel
    | SendAmend
    | QueryOrder
    | RefreshInstruments,
) -> InstrumentId:
    match effect:
        case SendOrder(order):
            return order.instrument_id
        case SendOrderList(made):
            return made.instrument_id
        case SendReplace(replaced):
            return replaced.order.instrument_id
        case SendCancel(cancel):
            return cancel.instrument_id
        case SendAmend(amend):
            return amend.instrument_id
        case _:
            return effect.instrument_id


def _part(effect: TakeSnapshot, venue: str) -> TakeSnapshot:
    history = effect.history
    if history is not None:
        after = {iid: last for iid, last in history.after.items() if venue_of(iid) == venue}
        history = replace(history, after=after)
    return replace(
        effect,
        believed_open=tuple(o for o in effect.believed_open if venue_of(o.instrument_id) == venue),
        trades_after={i: last for i, last in effect.trades_after.items() if venue_of(i) == venue},
        history=history,
    )


def _balances(rows: Any, venue: str) -> Any:
    return tuple(replace(one, asset=asset_id(one.asset, venue)) for one in rows)


def _fill(fill: Fill, venue: str) -> Fill:
    symbol, _, rest = fill.exec_id.partition(":")
    return replace(
        fill,
        exec_id=ExecId(f"{asset_id(symbol, venue)}:{rest}"),
        fee_asset=asset_id(fill.fee_asset, venue) if fill.fee_asset else "",
    )


def _report(report: ExecutionReport, venue: str) -> ExecutionReport:
    if not report.fills:
        return report
    return replace(report, fills=tuple(_fill(one, venue) for one in report.fills))


def _all_loaded(parts: Mapping[str, InstrumentsLoaded]) -> InstrumentsLoaded:
    absent = {symbol: why for one in parts.values() for symbol, why in one.absent.items()}
    return InstrumentsLoaded(tuple(i for one in parts.values() for i in one.instruments), absent)


def _together(parts: list[VenueSnapshot]) -> VenueSnapshot:
    def all_of(name: str) -> Any:
        return tuple(row for one in parts for row in getattr(one, name))

    return replace(
        parts[0],
        ts_ns=max(one.ts_ns for one in parts),
        unread="; ".join(one.unread for one in parts if one.unread),
        foreign_traded=sum(one.foreign_traded for one in parts),
        **{
            name: all_of(name)
            for name in (
                "balances", "open_orders", "statuses", "absent", "fills", "mute", "mute_symbols",
                "lost",
            )
        },
    )  # fmt: skip
