"""The journal against the venue's own books: matched one by one, every difference listed.

Rules of this file:
1. Orders match by client order id, fills by (symbol, trade id, order id). A match must also agree
   on what happened: quantity, price, side, end.
2. The venue's events are replayed against the caps in force with the accountant's own arithmetic: a
   breach that the journal hides still shows.
3. What is absent on one side is listed with its id (`ledger_comparison.py`); what the venue refused
   and the money are matched beside (`venue_refusals.py`, `venue_balances.py`).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from evidence.folds.balance_fold import BalancesFold
from evidence.folds.cap_fold import NEVER, CapsFold
from evidence.folds.journal_fold import JournalFold
from evidence.folds.kill_fold import KillsFold
from evidence.folds.order_fold import ABSENT_OUTCOMES, OrdersFold, Trail
from evidence.folds.session_fold import SessionsFold
from evidence.judge.ledger_comparison import LedgerComparison, Rows, rows_of
from evidence.judge.renamed_orders import stems_of, under_own_ids
from evidence.judge.venue_balances import match_balances
from evidence.judge.venue_kills import match_kills
from evidence.judge.venue_refusals import match_refusals, match_rejects
from evidence.judge.venue_replay import VenueReplay
from evidence.read.exact_amounts import ZERO, AmountTextError, amount, amount_or_zero, text_of
from evidence.read.order_ids import is_of
from evidence.read.venue_list import SIMULATOR_KEYS


def compare_with_ledger(account: JournalFold, ledger: Mapping[str, Any]) -> LedgerComparison:
    """Match a journal's account with the venue's ledger.

    Args:
        account: a settled account whose orders fold kept everything.
        ledger: the venue's books: `orders`, `fills`, `rejects`, `balances`, `events`, …; keys that
            are absent or unknown are tolerated.
    """
    orders_fold, caps_fold = account.fold(OrdersFold), account.fold(CapsFold)
    sessions = account.fold(SessionsFold)
    is_simulated = bool(SIMULATOR_KEYS & set(ledger) or ledger.get("is_simulated"))
    seen = LedgerComparison(is_simulated=is_simulated)
    seen.denied = orders_fold.counts.get("denied", 0)
    _look_for_parts(seen, ledger)
    _look_at_source(seen, sessions, ledger)
    trails = orders_fold.trails()
    by_stem = stems_of(trails)
    ledger = under_own_ids(ledger, trails, by_stem)
    orders, foreign = _parted(sessions, trails, rows_of(ledger, "orders"))
    for row in foreign:
        what = f"{row.get('client_order_id')} {row.get('symbol')} {row.get('side')}"
        seen.foreign_orders.add(f"{what} order {row.get('order_id')}")
    at_venue = _match_orders(seen, trails, orders)
    _match_fills(seen, orders_fold, _parted(sessions, trails, rows_of(ledger, "fills"))[0])
    match_rejects(seen, trails, at_venue, rows_of(ledger, "rejects"))
    match_refusals(seen, trails, by_stem, sessions, ledger)
    for row in _parted(sessions, trails, rows_of(ledger, "open_orders"))[0]:
        seen.open_orders_at_end.add(f"{row.get('client_order_id')} {row.get('symbol')}")
    match_kills(seen, account.fold(KillsFold), ledger)
    match_balances(seen, account.fold(BalancesFold), orders_fold, caps_fold, ledger)
    _replay_caps(seen, caps_fold, trails, _parted(sessions, trails, _events(ledger))[0], ledger)
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
    seen: LedgerComparison, sessions: SessionsFold, ledger: Mapping[str, Any]
) -> None:
    """Report books that name another venue than the journal."""
    source = ledger.get("source")
    named = source.get("environment") if isinstance(source, Mapping) else None
    for run in sessions.runs if named else ():
        if run.environment and run.environment != named:
            what = f"the books are of {named}, run {run.run_id} of {run.environment}"
            seen.other_venue.add(what)


def _parted(sessions: SessionsFold, trails: Mapping[str, Trail], rows: Rows) -> tuple[Rows, Rows]:
    """Rows of ours and of others, by client order id: ours name our instance."""
    instances = {run.instance for run in sessions.runs if run.instance}
    ours: Rows = []
    others: Rows = []
    for row in rows:
        cid = str(row.get("client_order_id") or "")
        is_ours = cid in trails or any(is_of(instance, cid) for instance in instances)
        (ours if is_ours or not instances else others).append(row)
    return ours, others


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
    return trail.is_refused or trail.state == "REJECTED"


def _order_differences(
    seen: LedgerComparison, trail: Trail, row: Mapping[str, Any]
) -> Iterable[str]:
    if trail.outcome in ABSENT_OUTCOMES:
        yield f"the journal proved it {trail.outcome}, the venue has it"
    if str(row.get("side")) != trail.side or str(row.get("symbol")) != trail.symbol:
        yield f"the venue has {row.get('side')} {row.get('symbol')}"
    if row.get("type") and trail.order_type and row["type"] != trail.order_type:
        yield f"{trail.order_type} here, {row['type']} there"
    try:
        qty, executed = amount(row.get("qty")), amount_or_zero(row.get("executed_qty"))
        price = amount_or_zero(row.get("price"))
    except AmountTextError as error:
        seen.unreadable_rows.add(f"order {trail.client_order_id}: {error}")
        return
    # What an entry pays for has no quantity there before the entry is filled.
    if qty != trail.qty and (qty or not trail.is_paid):
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


# ---------------------------------------------------------------------- caps at the venue
def _replay_caps(
    seen: LedgerComparison,
    caps: CapsFold,
    trails: Mapping[str, Trail],
    events: Rows,
    ledger: Mapping[str, Any],
) -> None:
    """Hold every moment of ours in the venue's own event list against the caps in force."""
    if caps.caps is None:
        what = "no caps in the journal: breaches at the venue could not be looked for"
        (seen.silent if trails else seen.remarks).append(what)
        return
    replay = VenueReplay(caps.caps, caps.assets, rows_of(ledger, "fills"))
    has_moved = len(caps.tables_in_force) > 1
    for row in events:
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
    events = rows_of(ledger, "events")
    if events:
        return events
    orders = rows_of(ledger, "orders")
    made: list[tuple[int, int, Mapping[str, Any]]] = []
    for row in orders:
        began_ns, ended_ns = _moment(row.get("ts_ns")), _moment(row.get("updated_ns"))
        made.append((began_ns, 1, {**row, "kind": "accepted"}))
        if _has_ended(row):
            # A venue's clock may count milliseconds: within one, what was there before ends first.
            rank = 3 if ended_ns <= began_ns else 0
            made.append((max(ended_ns, began_ns), rank, {**row, "kind": "done"}))
    fills = rows_of(ledger, "fills")
    made += [(_moment(row.get("ts_ns")), 2, {**row, "kind": "fill"}) for row in fills]
    return [row for _, _, row in sorted(made, key=lambda one: one[:2])]


def _has_ended(row: Mapping[str, Any]) -> bool:
    status = str(row.get("status") or "").removesuffix("_IN_MATCH")
    return status in {"CANCELED", "EXPIRED", "FILLED", "REJECTED"}


def _moment(ts_ns: object) -> int:
    """The time of a row; one that cannot be read sorts first and is counted where it is used."""
    return ts_ns if isinstance(ts_ns, int) else 0
