"""The journal against the venue's own books: matched one by one, every difference listed.

Rules of this file:
1. Orders match by client order id, fills by (symbol, trade id, order id). A match must also agree
   on what happened: quantity, price, side, end.
2. The venue's events are replayed against the caps in force with the accountant's own arithmetic: a
   breach that the journal hides still shows.
3. What is absent on one side is listed with its id: all counted, the first `LISTED_MAX` listed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any

from evidence.folds.cap_fold import NEVER, CapsFold
from evidence.folds.journal_fold import JournalFold
from evidence.folds.order_fold import ABSENT_OUTCOMES, OrdersFold, Trail
from evidence.folds.session_fold import SessionsFold
from evidence.judge.renamed_orders import under_own_ids
from evidence.judge.venue_replay import VenueReplay
from evidence.read.exact_amounts import ZERO, AmountTextError, amount, amount_or_zero, text_of

LISTED_MAX = 100
OUR_PREFIX = "st"
"""Client order ids of a state directory begin `st<instance>` and a letter for their kind (`-` in
journals of old builds); run_start names the instance."""
KINDS = ("o", "c", "r", "a", "k", "-")
SIMULATOR_KEYS = frozenset({"faults", "requests", "seed", "scenario"})
"""Only a simulated venue's ledger has these."""

Rows = list[Mapping[str, Any]]


@dataclass(slots=True)
class Offenders:
    """One kind of difference: its count and its first ids."""

    count: int = 0
    listed: list[str] = field(default_factory=list)

    def add(self, what: str) -> None:
        """Count and list one."""
        self.count += 1
        if len(self.listed) < LISTED_MAX:
            self.listed.append(what)

    def plain(self) -> dict[str, Any]:
        """Count and list."""
        return {"count": self.count, "listed": list(self.listed)}


@dataclass(slots=True)
class LedgerComparison:
    """What the venue's books say of the journal. Every `Offenders` must be empty to corroborate."""

    orders_submitted: int = 0
    fills: int = 0
    denied: int = 0
    rejects: int = 0
    is_simulated: bool = False
    orders_missing_from_journal: Offenders = field(default_factory=Offenders)
    fills_missing_from_journal: Offenders = field(default_factory=Offenders)
    rejects_missing_from_journal: Offenders = field(default_factory=Offenders)
    orders_missing_from_ledger: Offenders = field(default_factory=Offenders)
    fills_missing_from_ledger: Offenders = field(default_factory=Offenders)
    orders_differ: Offenders = field(default_factory=Offenders)
    fills_differ: Offenders = field(default_factory=Offenders)
    duplicate_orders: Offenders = field(default_factory=Offenders)
    duplicate_fills: Offenders = field(default_factory=Offenders)
    cap_breaches_at_venue: Offenders = field(default_factory=Offenders)
    open_orders_at_end: Offenders = field(default_factory=Offenders)
    foreign_orders: Offenders = field(default_factory=Offenders)
    """On our account, but no id of this state directory's: somebody else trades there."""
    balance_differences: Offenders = field(default_factory=Offenders)
    unreadable_rows: Offenders = field(default_factory=Offenders)
    other_venue: Offenders = field(default_factory=Offenders)
    cap_checks: int = 0
    silent: list[str] = field(default_factory=list)
    """What the books do not speak of: so far they confirm nothing."""
    remarks: list[str] = field(default_factory=list)

    def offences(self) -> dict[str, Offenders]:
        """Every kind of difference that was found."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: v for k, v in found.items() if isinstance(v, Offenders) and v.count}

    @property
    def is_clean(self) -> bool:
        """Whether the two books agree and no cap was broken."""
        return not self.offences()

    def plain(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        out: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            out[f.name] = value.plain() if isinstance(value, Offenders) else value
        if not self.other_venue.count:
            del out["other_venue"]  # reports of before do not state it
        return out


def compare_with_ledger(account: JournalFold, ledger: Mapping[str, Any]) -> LedgerComparison:
    """Match a journal's account with the venue's ledger.

    Args:
        account: a settled account whose orders fold kept everything.
        ledger: the venue's books: `orders`, `fills`, `rejects`, `balances`, `events`, …; keys that
            are absent or unknown are tolerated.
    """
    orders_fold = account.folds["orders"]
    caps_fold = account.folds["caps"]
    if not isinstance(orders_fold, OrdersFold) or not isinstance(caps_fold, CapsFold):
        raise TypeError("the account has no orders and caps folds")
    is_simulated = bool(SIMULATOR_KEYS & set(ledger) or ledger.get("is_simulated"))
    seen = LedgerComparison(is_simulated=is_simulated)
    seen.denied = orders_fold.counts.get("denied", 0)
    _look_for_parts(seen, ledger)
    _look_at_source(seen, account, ledger)
    trails = orders_fold.trails()
    ledger = under_own_ids(ledger, trails)
    orders, foreign = _parted(account, trails, _rows(ledger, "orders"))
    for row in foreign:
        what = f"{row.get('client_order_id')} {row.get('symbol')} {row.get('side')}"
        seen.foreign_orders.add(f"{what} order {row.get('order_id')}")
    at_venue = _match_orders(seen, trails, orders)
    _match_fills(seen, orders_fold, _parted(account, trails, _rows(ledger, "fills"))[0])
    _match_rejects(seen, trails, at_venue, _rows(ledger, "rejects"))
    for row in _parted(account, trails, _rows(ledger, "open_orders"))[0]:
        seen.open_orders_at_end.add(f"{row.get('client_order_id')} {row.get('symbol')}")
    _match_balances(seen, orders_fold, caps_fold, ledger)
    _replay_caps(seen, caps_fold, trails, ledger)
    return seen


def _look_for_parts(seen: LedgerComparison, ledger: Mapping[str, Any]) -> None:
    """Report each part of the ledger that is absent, because it confirms nothing.

    A real venue keeps no list of what it refused, nor of requests: of its history that is a finding
    with what rests on the journal alone. A simulator keeps both, and without them it is silent.
    """
    is_history = isinstance(ledger.get("source"), Mapping) and not SIMULATOR_KEYS & set(ledger)
    for part in ("orders", "fills", "rejects"):
        rows = ledger.get(part)
        if isinstance(rows, list):
            if strange := sum(not isinstance(row, Mapping) for row in rows):
                seen.unreadable_rows.add(f"{part}: {strange} rows are no objects")
        elif part == "rejects" and is_history:
            seen.remarks.append(
                "finding, not corroborated: the venue keeps no list of refusals and requests; "
                "they rest on the journal and on ids without a gap"
            )
        else:
            seen.silent.append(f"the books have no list of {part}")
    dropped = ledger.get("dropped")
    for part, count in dropped.items() if isinstance(dropped, Mapping) else ():
        seen.silent.append(f"the books are without their oldest {count} {part}")
    if SIMULATOR_KEYS & set(ledger) and not isinstance(ledger.get("requests"), Mapping):
        seen.silent.append("the books have no list of requests")


def _look_at_source(
    seen: LedgerComparison, account: JournalFold, ledger: Mapping[str, Any]
) -> None:
    """Report books that name another venue than the journal."""
    source, sessions = ledger.get("source"), account.folds["sessions"]
    named = source.get("environment") if isinstance(source, Mapping) else None
    if named and isinstance(sessions, SessionsFold):
        for run in sessions.runs:
            if run.environment and run.environment != named:
                what = f"the books are of {named}, run {run.run_id} of {run.environment}"
                seen.other_venue.add(what)


def _parted(account: JournalFold, trails: Mapping[str, Trail], rows: Rows) -> tuple[Rows, Rows]:
    """Rows of ours and of others, by client order id: ours name our instance."""
    sessions = account.folds["sessions"]
    runs = sessions.runs if isinstance(sessions, SessionsFold) else []
    instances = sorted({run.instance for run in runs if run.instance})
    prefixes = tuple(f"{OUR_PREFIX}{one}{kind}" for one in instances for kind in KINDS)
    ours: Rows = []
    others: Rows = []
    for row in rows:
        cid = str(row.get("client_order_id") or "")
        is_ours = not prefixes or cid in trails or cid.startswith(prefixes)
        (ours if is_ours else others).append(row)
    return ours, others


def _rows(ledger: Mapping[str, Any], key: str) -> Rows:
    value = ledger.get(key)
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


# ---------------------------------------------------------------------- orders
def _match_orders(
    seen: LedgerComparison, trails: Mapping[str, Trail], rows: Rows
) -> dict[str, Mapping[str, Any]]:
    at_venue: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        cid = str(row.get("client_order_id") or "")
        if cid in at_venue:
            seen.duplicate_orders.add(f"{cid} {row.get('symbol')} order {row.get('order_id')}")
            continue
        at_venue[cid] = row
        seen.orders_submitted += 1
        trail = trails.get(cid)
        if trail is None:
            what = f"{cid} {row.get('symbol')} {row.get('side')} order {row.get('order_id')}"
            seen.orders_missing_from_journal.add(what)
            continue
        for what in _order_differences(seen, trail, row):
            seen.orders_differ.add(f"{cid}: {what}")
    for cid, trail in trails.items():
        if cid not in at_venue and not _is_explained_absence(trail):
            where = f"{trail.symbol} {trail.side}, {trail.state} since seq {trail.approved_seq}"
            seen.orders_missing_from_ledger.add(f"{cid} {where}")
    return at_venue


def _is_explained_absence(trail: Trail) -> bool:
    """Whether an order may be absent from the ledger: rejected, proven absent, or never sent."""
    return trail.outcome in ABSENT_OUTCOMES or bool(trail.reject_code) or trail.state == "REJECTED"


def _order_differences(
    seen: LedgerComparison, trail: Trail, row: Mapping[str, Any]
) -> Iterable[str]:
    if trail.outcome in ABSENT_OUTCOMES:
        yield f"the journal proved it {trail.outcome}, the venue has it"
    if str(row.get("side")) != trail.side or str(row.get("symbol")) != trail.symbol:
        yield f"the venue has {row.get('side')} {row.get('symbol')}"
    try:
        qty, executed = amount(row.get("qty")), amount_or_zero(row.get("executed_qty"))
        price = amount_or_zero(row.get("price"))
    except AmountTextError as error:
        seen.unreadable_rows.add(f"order {trail.client_order_id}: {error}")
        return
    if qty != trail.qty:
        yield f"quantity {text_of(trail.qty)} here, {text_of(qty)} there"
    if trail.price and price and price != trail.price:
        yield f"price {text_of(trail.price)} here, {text_of(price)} there"
    if executed != trail.cum_qty:
        yield f"executed {text_of(trail.cum_qty)} here, {text_of(executed)} there"
    status = str(row.get("status") or "").removesuffix("_IN_MATCH")
    is_over = status in {"FILLED", "CANCELED", "EXPIRED", "REJECTED"}
    if is_over and trail.is_ended and status != trail.state:
        yield f"ended {trail.state} here, {status} there"
    if not is_over and trail.is_ended:
        yield f"ended {trail.state} here, still {status} there"


# ---------------------------------------------------------------------- fills
def _match_fills(seen: LedgerComparison, orders: OrdersFold, rows: Rows) -> None:
    booked = {}
    for fill in orders.fills:
        key = (fill.symbol, fill.trade_id, fill.order_id)
        if key in booked:
            seen.duplicate_fills.add(":".join(key))
        booked[key] = fill
    matched = set()
    for row in rows:
        seen.fills += 1
        key = (str(row.get("symbol")), str(row.get("trade_id")), str(row.get("order_id")))
        if key in matched:
            seen.duplicate_fills.add(f"{':'.join(key)} at the venue")
            continue
        matched.add(key)
        mine = booked.get(key)
        if mine is None:
            seen.fills_missing_from_journal.add(f"{':'.join(key)} {row.get('client_order_id')}")
            continue
        try:
            theirs = (amount(row.get("qty")), amount(row.get("price")), str(row.get("side")))
            fee = amount_or_zero(row.get("fee", row.get("commission")))
        except AmountTextError as error:
            seen.unreadable_rows.add(f"fill {':'.join(key)}: {error}")
            continue
        if theirs != (mine.qty, mine.price, mine.side) or fee != mine.fee:
            here = (
                f"{mine.side} {text_of(mine.qty)} @ {text_of(mine.price)} fee {text_of(mine.fee)}"
            )
            there = f"{theirs[2]} {text_of(theirs[0])} @ {text_of(theirs[1])} fee {text_of(fee)}"
            seen.fills_differ.add(f"{':'.join(key)}: {here} here, {there} there")
    for key in booked.keys() - matched:
        seen.fills_missing_from_ledger.add(":".join(key))
    seen.fills_missing_from_ledger.listed.sort()


# ---------------------------------------------------------------------- rejects
def _match_rejects(
    seen: LedgerComparison,
    trails: Mapping[str, Trail],
    at_venue: Mapping[str, Any],
    rows: Rows,
) -> None:
    """A placement that the venue refused must stand in the journal as refused."""
    for row in rows:
        seen.rejects += 1
        cid = str(row.get("client_order_id") or "")
        if not cid or cid in at_venue or not _is_placement(row):
            continue
        trail = trails.get(cid)
        refused = f"{cid} code {row.get('code')}: {row.get('msg')}"
        if trail is None:
            seen.rejects_missing_from_journal.add(f"{refused} (never approved)")
        elif trail.reject_code in {"", "report"} and trail.outcome not in ABSENT_OUTCOMES:
            seen.rejects_missing_from_journal.add(f"{refused} ({trail.state} in the journal)")


def _is_placement(row: Mapping[str, Any]) -> bool:
    """Whether a refused request was a placement; a refused cancel or query leaves no order."""
    asked = str(row.get("endpoint") or row.get("request") or "place").lower()
    if "replace" in asked:
        return True
    return not (asked.startswith(("delete", "get")) or "cancel" in asked or "status" in asked)


# ---------------------------------------------------------------------- balances
def _match_balances(
    seen: LedgerComparison, orders: OrdersFold, caps: CapsFold, ledger: Mapping[str, Any]
) -> None:
    """The journal's fills must explain every change of every balance, to the last digit."""
    try:
        before, after = _totals(ledger.get("initial_balances")), _totals(ledger.get("balances"))
    except AmountTextError as error:
        seen.unreadable_rows.add(f"balances: {error}")
        return
    if not before or not after:
        seen.silent.append("the books have no balances before and after")
        return
    expected = dict(before)
    for fill in orders.fills:
        assets = caps.assets.get(fill.symbol, ("", ""))
        account = caps.accounts.get(fill.symbol)
        if not all(assets) or account is None:
            seen.silent.append(
                f"{fill.symbol}: its assets are not in the journal, no balance follows"
            )
            return
        moves = account.moves(assets, fill.qty, fill.price, is_buy=fill.side == "BUY")
        for asset, change in moves.items():
            expected[asset] = expected.get(asset, ZERO) + change
        if fill.fee:
            expected[fill.fee_asset] = expected.get(fill.fee_asset, ZERO) - fill.fee
    for asset, moved in sorted(caps.moved_by_others.items()):
        expected[asset] = expected.get(asset, ZERO) + moved
        seen.remarks.append(f"{asset}: others moved {text_of(moved)}; it is not traded here")
    for asset in sorted(expected.keys() | after.keys()):
        mine, theirs = expected.get(asset, ZERO), after.get(asset, ZERO)
        if mine != theirs:
            what = f"{asset}: {text_of(mine)} by the journal, {text_of(theirs)} at the venue"
            seen.balance_differences.add(what)


def _totals(balances: object) -> dict[str, Decimal]:
    if not isinstance(balances, Mapping):
        return {}
    totals = {}
    for asset, row in balances.items():
        if isinstance(row, Mapping):
            parts = (row.get("free"), row.get("locked"))
        else:
            parts = tuple(row) if isinstance(row, list | tuple) else (row,)
        totals[str(asset)] = sum((amount_or_zero(part) for part in parts), ZERO)
    return totals


# ---------------------------------------------------------------------- caps at the venue
def _replay_caps(
    seen: LedgerComparison,
    caps: CapsFold,
    trails: Mapping[str, Trail],
    ledger: Mapping[str, Any],
) -> None:
    """Hold every moment of the venue's own event list against the caps in force."""
    if caps.caps is None:
        what = "no caps in the journal: breaches at the venue could not be looked for"
        (seen.silent if trails else seen.remarks).append(what)
        return
    replay = VenueReplay(caps.caps, caps.assets, _rows(ledger, "fills"))
    has_moved = len(caps.tables_in_force) > 1
    for row in _events(ledger):
        cid = str(row.get("client_order_id"))
        trail = trails.get(cid)
        # What was approved under other caps may go on under stricter ones, and be reduced.
        at_ns = trail.approved_ns if trail else _moment(row.get("ts_ns"))
        replay.caps = caps.table_at(at_ns) or caps.caps
        standing = replay.standing(row) if has_moved else {}
        try:
            reference_price = trail.reference_price if trail else ZERO
            is_oco = trail is not None and trail.is_oco
            first = trail.first if trail else ""
            uses = replay.step(row, reference_price, is_oco=is_oco, first=first)
        except (AmountTextError, TypeError, ValueError) as error:
            seen.unreadable_rows.add(f"event {row.get('kind')} {cid}: {error}")
            continue
        seen.cap_checks += len(uses)
        for use in uses:
            if use.cap.startswith("exposure") and not replay.has_grown:
                continue
            if use.is_breach and use.used > standing.get((use.cap, use.symbol), NEVER):
                seen.cap_breaches_at_venue.add(f"{use.words()} after {row.get('kind')} of {cid}")


def _events(ledger: Mapping[str, Any]) -> Rows:
    """The venue's events in its own order; rebuilt from orders and fills where it keeps none."""
    events = _rows(ledger, "events")
    if events:
        return events
    orders = _rows(ledger, "orders")
    made: list[tuple[int, int, Mapping[str, Any]]] = []
    for row in orders:
        began_ns, ended_ns = _moment(row.get("ts_ns")), _moment(row.get("updated_ns"))
        made.append((began_ns, 1, {**row, "kind": "accepted"}))
        if _has_ended(row):
            # A venue's clock may count milliseconds: within one, what was there before ends first.
            rank = 3 if ended_ns <= began_ns else 0
            made.append((max(ended_ns, began_ns), rank, {**row, "kind": "done"}))
    fills = _rows(ledger, "fills")
    made += [(_moment(row.get("ts_ns")), 2, {**row, "kind": "fill"}) for row in fills]
    return [row for _, _, row in sorted(made, key=lambda one: one[:2])]


def _has_ended(row: Mapping[str, Any]) -> bool:
    status = str(row.get("status") or "").removesuffix("_IN_MATCH")
    return status in {"CANCELED", "EXPIRED", "FILLED", "REJECTED"}


def _moment(ts_ns: object) -> int:
    """The time of a row; one that cannot be read sorts first and is counted where it is used."""
    return ts_ns if isinstance(ts_ns, int) else 0
