"""Derives order lifecycles again: every approved order ends or is listed.

Rules of this file:
1. An order is what its approval line says; its end is what later lines prove, checked against
   each other: the states that the daemon claims, the fills that stand there, the venue's count.
2. A contradiction is a problem (the record is not complete); an oddity that real venues produce
   (a fill after the cancel, a jump over a state) is a remark.
3. Finished orders leave memory after a while, unless the caller keeps them for a cross-check.
"""

from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from evidence.folds.exposure_fold import first_before, oco_of
from evidence.folds.histogram import Histogram, Series
from evidence.folds.journal_fold import Handler
from evidence.read.decision_inputs import reference_price_of
from evidence.read.exact_amounts import ZERO, AmountTextError, amount, amount_or_zero, text_of
from evidence.read.integrity import Faults
from evidence.read.journal_lines import (
    AmendRejectLine,
    AmendRequestedLine,
    CancelRejectLine,
    CancelRequestedLine,
    FillLine,
    JournalLine,
    OrderAmendedLine,
    OrderApprovedLine,
    OrderDeniedLine,
    OrderRejectLine,
    OrderResolvedLine,
    OrderStateLine,
    RunStartLine,
    TimeoutLine,
)
from evidence.read.order_ids import counter_of

TERMINAL = frozenset({"FILLED", "CANCELED", "EXPIRED", "REJECTED"})
_ENDS_IN = {"absent": "REJECTED", "not_sent": "CANCELED"}
"""The state that a doubt's end leaves the order in; its line stands before that of the end."""
ABSENT_OUTCOMES = frozenset(_ENDS_IN)
_SAME_STATE = {"APPROVED": "SUBMITTED"}
"""An approved order is sent in the turn of its approval; both words stand for that moment."""
FINISHED_KEPT = 20_000
COUNTED = ("approved", "denied", "fills", "recovered_fills", "rejects", "timeouts",
           "cancels_requested", "cancel_rejects")  # fmt: skip
"""What a report counts, in its order."""

REFUSED = frozenset({"-2011", "-2013", "-2038"})
"""Codes by which the venue's books refuse a cancel or an amend; others are those of its door."""


class Trail(msgspec.Struct):
    """What became of one approved order."""

    client_order_id: str
    symbol: str
    side: str
    order_type: str
    qty: Decimal
    price: Decimal
    session_id: str
    run_id: str
    approved_seq: int
    approved_ns: int
    reference_price: Decimal = ZERO
    """The market price that its decision states; zero where it states none."""
    is_oco: bool = False
    """Whether it was approved as a leg of an OCO."""
    first: str = ""
    """The order that must be filled before it works; empty: it waits for none."""
    is_paid: bool = False
    """Whether another order pays for it: the venue says its quantity when that one is filled."""
    order_id: str = ""
    state: str = "APPROVED"
    sent_ns: int = 0
    acked_ns: int = 0
    filled_ns: int = 0
    ended_ns: int = 0
    cum_qty: Decimal = ZERO
    claimed_qty: Decimal = ZERO
    venue_qty: Decimal = ZERO
    exec_ids: set[str] = set()
    cancel_requested: bool = False
    outcome: str = ""
    reject_code: str = ""
    refusals: int = 0
    """Cancels and amends of it that the venue refused."""
    unanswered: int = 0
    asked_in: list[str] = []
    """The run of each cancel or amend of it that left."""
    is_reopened: bool = False
    """Whether it works again after an end, and no line has told that it is held again."""
    is_replaced: bool = False
    """Whether it was to be replaced: the refusal of that is a row of the order in its place."""
    is_cut_off: bool = False
    """Whether its end is a run's last line, cut off by a kill: none could follow that says why."""

    @property
    def is_ended(self) -> bool:
        """Whether later lines prove an end."""
        return self.state in TERMINAL or self.outcome in ABSENT_OUTCOMES

    @property
    def is_refused(self) -> bool:
        """Whether its lines say why the venue never had it, or were cut off before they could."""
        return bool(self.reject_code) or self.outcome in ABSENT_OUTCOMES or self.is_cut_off


class JournalledFill(msgspec.Struct):
    """One trade as journalled, kept when a cross-check will ask for it."""

    symbol: str
    trade_id: str
    order_id: str
    client_order_id: str
    side: str
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    recovered: bool


class OrdersFold:
    """Lifecycles, counts, latencies, client order id gaps."""

    name = "orders"

    def __init__(self, *, keep_all: bool = False) -> None:
        """`keep_all` keeps every order and fill, for a cross-check with the venue's books."""
        self.keep_all = keep_all
        self.open: dict[str, Trail] = {}
        self.finished: OrderedDict[str, Trail] = OrderedDict()
        self.fills: list[JournalledFill] = []
        self.problems = Faults()
        self.remarks = Faults()
        self.counts: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        self.denials: dict[str, int] = {}
        self.rejects: dict[str, int] = {}
        self.unknown_ends: dict[str, int] = {}
        self.latency = {name: Histogram() for name in ("sent", "acked", "filled", "unknown")}
        self.rate = Series()
        self._minted: dict[str, int] = {}
        self._unshown: tuple[int, Trail] | None = None  # the last end unseen by the venue, its seq

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """All the types that an order's life consists of."""
        return {
            RunStartLine: self._run_start,
            OrderApprovedLine: self._approved,
            OrderDeniedLine: self._denied,
            OrderStateLine: self._state,
            FillLine: self._fill,
            OrderRejectLine: self._reject,
            CancelRequestedLine: self._cancel_requested,
            CancelRejectLine: self._cancel_reject,
            AmendRequestedLine: self._amend_requested,
            AmendRejectLine: self._amend_reject,
            OrderAmendedLine: self._amended,
            TimeoutLine: self._timeout,
            OrderResolvedLine: self._resolved,
        }

    def trail(self, client_order_id: str) -> Trail | None:
        """An order that is still in memory."""
        return self.open.get(client_order_id) or self.finished.get(client_order_id)

    def trails(self) -> dict[str, Trail]:
        """Every order in memory, by client order id."""
        return {**self.finished, **self.open}

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def _problem(self, kind: str, record: JournalLine, what: str) -> None:
        self.problems.note(kind, f"seq {record.seq}", what)

    def _run_start(self, record: RunStartLine) -> None:
        if self._unshown is not None and self._unshown[0] + 1 == record.seq:
            self._unshown[1].is_cut_off = True

    def _approved(self, record: OrderApprovedLine) -> None:
        self._count("approved")
        self.rate.add(record.ts_ns)
        cid = record.client_order_id
        if self.trail(cid) is not None:
            self._problem("approved_twice", record, f"client order id {cid} is used again")
            return
        self._check_counter(record)
        try:
            qty, price = amount(record.qty), amount_or_zero(record.price)
        except AmountTextError as error:
            self._problem("bad_amount", record, f"{cid}: {error}")
            return
        self.open[cid] = Trail(
            client_order_id=cid, symbol=record.symbol, side=record.side,
            order_type=record.order_type, qty=qty, price=price, session_id=record.session_id,
            run_id=record.run_id, approved_seq=record.seq, approved_ns=record.ts_ns,
            reference_price=reference_price_of(record.decision),
            is_oco=bool(oco_of(record.order_list)), first=first_before(record.order_list),
            is_paid=isinstance(record.order_list, dict)
            and record.order_list.get("is_paid") is True,
        )  # fmt: skip

    def _check_counter(self, record: OrderApprovedLine) -> None:
        """Check that the counters in a run's ids have no gap, which would be a removed approval."""
        prefix, digits = counter_of(record.client_order_id)
        try:
            number = int(digits, 36)
        except ValueError:
            self._problem("odd_id", record, f"{record.client_order_id} carries no counter")
            return
        expected = self._minted.get(prefix, 0) + 1
        if number != expected:
            what = f"{prefix}: order {number} where {expected} is due; the ones between are absent"
            self._problem("id_gap", record, what)
        self._minted[prefix] = max(number, expected)

    def _denied(self, record: OrderDeniedLine) -> None:
        self._count("denied")
        self.denials[record.deny_reason] = self.denials.get(record.deny_reason, 0) + 1

    def _known(self, record: Any, what: str) -> Trail | None:
        trail = self.trail(record.client_order_id)
        if trail is None:
            what = f"{what} for {record.client_order_id or 'no order'}, which was never approved"
            self._problem("never_approved", record, what)
        return trail

    def _state(self, record: OrderStateLine) -> None:
        trail = self._known(record, f"state {record.new}")
        if trail is None:
            return
        if not _follows(record.old, trail):
            what = f"{trail.client_order_id}: from {record.old}, but it was {trail.state}"
            self._problem("state_jump", record, what)
        if trail.state in TERMINAL and record.new not in TERMINAL:
            what = f"{trail.client_order_id}: {trail.state} to {record.new}"
            self.remarks.note("reopened", f"seq {record.seq}", what)
            self._reopen(trail)
        if record.new == "REJECTED" and record.source:
            trail.reject_code = trail.reject_code or "report"
        trail.state = record.new
        trail.is_replaced |= record.new == "PENDING_REPLACE"
        trail.order_id = str(record.order_id or trail.order_id)
        self._claimed(trail, record)
        if record.new == "SUBMITTED" and not trail.sent_ns:
            trail.sent_ns = record.ts_ns
            self.latency["sent"].add(record.ts_ns - trail.approved_ns)
        elif trail.order_id and record.new not in {"REJECTED", "UNKNOWN"}:
            self._acked(trail, record.ts_ns)
        if trail.is_ended:
            if not (record.source or trail.order_id or trail.exec_ids):
                self._unshown = record.seq, trail
            self._end(trail, record.ts_ns)

    def _claimed(self, trail: Trail, record: OrderStateLine) -> None:
        try:
            trail.claimed_qty = max(trail.claimed_qty, amount_or_zero(record.cum_qty))
            trail.venue_qty = max(trail.venue_qty, amount_or_zero(record.venue_cum_qty))
        except AmountTextError as error:
            self._problem("bad_amount", record, f"{trail.client_order_id}: {error}")

    def _acked(self, trail: Trail, ts_ns: int) -> None:
        if not trail.acked_ns:
            trail.acked_ns = ts_ns
            self.latency["acked"].add(ts_ns - (trail.sent_ns or trail.approved_ns))

    def _reopen(self, trail: Trail) -> None:
        self.finished.pop(trail.client_order_id, None)
        self.open[trail.client_order_id] = trail
        trail.is_reopened, trail.is_cut_off, trail.outcome = True, False, ""
        if trail.ended_ns:
            self.ends[trail.state] = self.ends.get(trail.state, 0) - 1
            trail.ended_ns = 0

    def _end(self, trail: Trail, ts_ns: int) -> None:
        if trail.ended_ns:
            return
        trail.ended_ns = ts_ns
        state = trail.state if trail.state in TERMINAL else trail.outcome.upper()
        self.ends[state] = self.ends.get(state, 0) + 1
        self.open.pop(trail.client_order_id, None)
        self.finished[trail.client_order_id] = trail
        if not self.keep_all and len(self.finished) > FINISHED_KEPT:
            _, oldest = self.finished.popitem(last=False)
            self._audit(oldest)

    def _fill(self, record: FillLine) -> None:
        self._count("fills")
        if record.recovered:
            self._count("recovered_fills")
        trail = self._known(record, f"fill {record.exec_id}")
        try:
            row = _fill_row(record)
        except AmountTextError as error:
            self._problem("bad_amount", record, f"fill {record.exec_id}: {error}")
            return
        if self.keep_all:
            self.fills.append(row)
        if trail is None:
            return
        if record.exec_id in trail.exec_ids:
            self._problem("fill_twice", record, f"fill {record.exec_id} stands twice")
            return
        if record.side != trail.side or (record.symbol and record.symbol != trail.symbol):
            what = f"fill {record.exec_id} is {record.side} {record.symbol}, its order is not"
            self._problem("fill_differs", record, what)
        trail.exec_ids.add(record.exec_id)
        trail.cum_qty += row.qty
        trail.order_id = trail.order_id or row.order_id
        if trail.cum_qty > trail.qty:
            what = f"{trail.client_order_id}: {text_of(trail.cum_qty)} of {text_of(trail.qty)}"
            self._problem("overfilled", record, what)
        if not trail.filled_ns:
            trail.filled_ns = record.ts_ns
            self.latency["filled"].add(record.ts_ns - trail.approved_ns)
        if trail.ended_ns and not record.late and trail.state != "FILLED":
            what = f"fill {record.exec_id} after {trail.state}"
            self.remarks.note("fill_after_end", f"seq {record.seq}", what)

    def _reject(self, record: OrderRejectLine) -> None:
        self._count("rejects")
        code = str(record.code)
        self.rejects[code] = self.rejects.get(code, 0) + 1
        trail = self._known(record, "reject")
        if trail is not None:
            trail.reject_code = code

    def _cancel_requested(self, record: CancelRequestedLine) -> None:
        self._count("cancels_requested")
        trail = self._known(record, "cancel")
        if trail is not None:
            trail.cancel_requested = True
            trail.asked_in.append(record.run_id)

    def _cancel_reject(self, record: CancelRejectLine) -> None:
        self._count("cancel_rejects")
        trail = self._known(record, "cancel reject")
        if trail is not None:
            trail.refusals += str(record.code) in REFUSED

    def _amend_requested(self, record: AmendRequestedLine) -> None:
        """Check that an amend asks for less than the order has and more than has traded."""
        self._count("amends_requested")
        trail = self._known(record, "amend")
        if trail is None:
            return
        trail.asked_in.append(record.run_id)
        try:
            qty, lot = amount(record.qty), amount_or_zero(record.lot)
        except AmountTextError as error:
            self._problem("bad_amount", record, f"{trail.client_order_id}: {error}")
            return
        if not trail.cum_qty < qty < trail.qty or (lot and qty % lot):
            what = f"{trail.client_order_id}: {text_of(qty)} of {text_of(trail.qty)}, "
            what += f"{text_of(trail.cum_qty)} of it traded"
            self._problem("amend_not_smaller", record, what)

    def _amend_reject(self, record: AmendRejectLine) -> None:
        self._count("amend_rejects")
        trail = self._known(record, "amend reject")
        if trail is not None and record.by == "venue":
            trail.refusals += str(record.code) in REFUSED

    def _amended(self, record: OrderAmendedLine) -> None:
        self._count("amended")
        trail = self._known(record, "amend")
        if trail is None:
            return
        try:
            qty = amount(record.qty)
        except AmountTextError as error:
            self._problem("bad_amount", record, f"{trail.client_order_id}: {error}")
            return
        if qty > trail.qty or qty < trail.cum_qty:
            what = f"{trail.client_order_id}: from {text_of(trail.qty)} to {text_of(qty)}"
            self._problem("amended_larger", record, what)
        trail.qty = qty

    def _timeout(self, record: TimeoutLine) -> None:
        self._count("timeouts")
        if record.client_order_id and record.request == "place":
            self._known(record, "timeout")
        elif (trail := self.trail(record.client_order_id)) is not None:
            trail.unanswered += 1

    def _resolved(self, record: OrderResolvedLine) -> None:
        self.unknown_ends[record.outcome] = self.unknown_ends.get(record.outcome, 0) + 1
        trail = self._known(record, f"resolution {record.outcome}")
        if trail is None:
            return
        if what := _misfit(record, trail):
            self._problem("outcome_differs", record, f"{trail.client_order_id}: {what}")
        trail.outcome, trail.is_reopened = record.outcome, False
        self.latency["unknown"].add(record.ts_ns - (trail.sent_ns or trail.approved_ns))
        if trail.is_ended:
            self._end(trail, record.ts_ns)

    def _audit(self, trail: Trail) -> None:
        """Compare the three accounts of one order's executed quantity."""
        place = f"seq {trail.approved_seq}"
        cid, booked = trail.client_order_id, text_of(trail.cum_qty)
        if trail.claimed_qty > trail.cum_qty:
            what = f"{cid}: state lines claim {text_of(trail.claimed_qty)}, fills sum to {booked}"
            self.problems.note("fills_absent", place, what)
        elif trail.venue_qty > trail.cum_qty:
            what = f"{cid}: the venue claims {text_of(trail.venue_qty)}, fills sum to {booked}"
            self.problems.note("fills_absent", place, what)
        elif trail.state == "FILLED" and trail.cum_qty < trail.qty:
            what = f"{cid}: FILLED, but fills sum to {booked} of {text_of(trail.qty)}"
            self.problems.note("fills_absent", place, what)
        if trail.state == "REJECTED" and not trail.is_refused:
            self.problems.note("reject_absent", place, f"{cid}: REJECTED without a reject line")

    def audit(self) -> Faults:
        """All problems: found on the way, of ended orders, and orders without an end."""
        found = Faults()
        found.merge(self.problems)
        kept, self.problems = self.problems, found
        for trail in (*self.finished.values(), *self.open.values()):
            self._audit(trail)
        for trail in self.open.values():
            what = f"{trail.client_order_id} {trail.symbol} {trail.side}: still {trail.state}"
            found.note("without_end", f"seq {trail.approved_seq}", what)
        self.problems = kept
        return found

    def result(self) -> dict[str, Any]:
        """Counts, ends, problems and latencies."""
        audit = self.audit()
        return {
            **{name: self.counts.get(name, 0) for name in COUNTED},
            "ends": dict(sorted((k, v) for k, v in self.ends.items() if v)),
            "without_end": [trail.client_order_id for trail in self.open.values()],
            "denials_by_reason": dict(sorted(self.denials.items())),
            "rejects_by_code": dict(sorted(self.rejects.items())),
            "unknown_ends": dict(sorted(self.unknown_ends.items())),
            "unknown_at_end": sum(t.state == "UNKNOWN" for t in self.open.values()),
            "problems": audit.plain(),
            "remarks": self.remarks.plain(),
            "latency_ns": {
                "intent_to_sent": self.latency["sent"].plain(),
                "sent_to_ack": self.latency["acked"].plain(),
                "intent_to_first_fill": self.latency["filled"].plain(),
                "sent_to_resolution": self.latency["unknown"].plain(),
            },
            "latency_curves_ns": {
                "intent to acknowledgement": self.latency["acked"].curve(),
                "intent to first fill": self.latency["filled"].curve(),
                "intent to resolution": self.latency["unknown"].curve(),
            },
            "rate": self.rate.plain(),
        }


def _follows(old: str, trail: Trail) -> bool:
    """Whether a state line starts where the lines before it left the order."""
    before = _SAME_STATE.get(trail.state, trail.state)
    claimed = _SAME_STATE.get(old, old)
    # A cancel or replace that leaves moves the order to pending with its own line.
    pending = trail.cancel_requested and claimed in {"PENDING_CANCEL", "PENDING_REPLACE"}
    return not old or claimed == before or pending


def _misfit(record: OrderResolvedLine, trail: Trail) -> str:
    """Why an approved order's doubt cannot have ended like this; empty: it can."""
    due = _ENDS_IN.get(record.outcome)
    if due is None:
        if record.outcome != "adopted":
            return f"outcome {record.outcome!r} is none"
        if not trail.is_reopened:
            return f"adopted, but it was approved, and {trail.state} is no return from an end"
        return "" if record.order else "adopted, but the line does not carry the order"
    if trail.state != due:
        return f"{record.outcome} leaves an order {due}, but it was {trail.state}"
    is_shown = trail.order_id or trail.exec_ids
    return f"{record.outcome}, but the venue has shown it" if is_shown else ""


def _fill_row(record: FillLine) -> JournalledFill:
    symbol, _, rest = record.exec_id.partition(":")
    trade_id, _, order_id = rest.partition(":")
    order_id = str(record.order_id or order_id)
    return JournalledFill(
        symbol=record.symbol or symbol, trade_id=trade_id, order_id=order_id,
        client_order_id=record.client_order_id, side=record.side, qty=amount(record.qty),
        price=amount(record.price), fee=amount_or_zero(record.fee),
        fee_asset=record.fee_asset or "", recovered=record.recovered,
    )  # fmt: skip
