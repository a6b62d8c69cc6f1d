"""Decides every cap decision again: `python -m evidence.recheck JOURNAL [--json]`.

Rules of this file:
1. Two questions to each decision: does its verdict follow from the inputs that it states, and do
   those inputs follow from the lines before it? The second catches an altered input.
2. The running books here are folded from facts (approvals, fills, states), never from checkpoints.
3. One disagreement is one too many: exit code 2, and the line is named.
4. So is one line whose bytes are not as they were written, or that is absent: what an altered line
   says about its decision may agree with the rules, and still nobody decided it.
"""

import contextlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from evidence.folds.exposure_fold import first_before, oco_of
from evidence.folds.journal_fold import Handler, JournalFold
from evidence.judge.disagreement import BROKEN, EXPLAINED_MAX, Disagreement, explained
from evidence.judge.redecide import APPROVED, Redecision, limits_of
from evidence.judge.replayed_books import (
    WINDOWS_NS,
    InstrumentBook,
    ReplayedBooks,
    ReplayedHold,
    within,
)
from evidence.judge.risk_contexts import RiskContexts
from evidence.read.decision_inputs import (
    CapsAndFilters,
    UndecidableError,
    number_of,
    wish_of,
)
from evidence.read.exact_amounts import (
    ZERO,
    AmountTextError,
    amount,
    amount_or_zero,
    text_of,
)
from evidence.read.integrity import Faults
from evidence.read.journal_lines import (
    CapsChangedLine,
    FillLine,
    InstrumentsLine,
    JournalLine,
    OrderAmendedLine,
    OrderApprovedLine,
    OrderDeniedLine,
    OrderRejectLine,
    OrderResolvedLine,
    OrderStateLine,
    ReconciledLine,
    RiskContextLine,
    RunStartLine,
    SessionStartLine,
)
from evidence.read.journal_reader import JournalReader, is_headless, is_journal
from evidence.read.journal_sources import SourceError, streams_of

EXIT_AGREED, EXIT_UNREADABLE, EXIT_DISAGREED = 0, 1, 2
UNDECIDABLE = (
    ArithmeticError, AttributeError, IndexError, KeyError, TypeError, UndecidableError, ValueError,
)  # fmt: skip
"""A hostile decision may hold anything anywhere; whatever it breaks, it is not decidable."""
OF_CANCELS = frozenset({"order_not_open", "not_owner", "cancels_per_second"})
"""Verdicts on cancels and replaces: there is no placement to decide again."""


class DecisionsFold:
    """Re-decides every approval and denial, and checks their inputs against the lines before."""

    name = "decisions"

    def __init__(self) -> None:
        self.replay = ReplayedBooks()
        self.contexts = RiskContexts()
        self.agreed: dict[str, int] = {}
        self.disagreements = Faults()
        self.checked = 0
        self.skipped = 0
        self._covers = False
        """Whether decisions so far state what comes before a pending order; older builds do not."""
        self.explained: list[Disagreement] = []
        """The first decisions that disagree, each with both computations."""

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """Decisions, and the facts that their inputs come from."""
        return {
            InstrumentsLine: self._instruments,
            RunStartLine: self._run_start,
            SessionStartLine: self._session_start,
            RiskContextLine: self._risk_context,
            CapsChangedLine: self._caps_changed,
            OrderApprovedLine: self._approved,
            OrderDeniedLine: self._denied,
            OrderStateLine: self.replay.state,
            OrderAmendedLine: self.replay.amended,
            OrderRejectLine: self.replay.reject,
            OrderResolvedLine: self.replay.resolved,
            FillLine: self.replay.fill,
            ReconciledLine: self.replay.reconciled,
        }

    def _disagree(self, kind: str, record: JournalLine, what: str) -> None:
        self.disagreements.note(kind, f"seq {record.seq}", what)

    # ------------------------------------------------------------------ decisions
    def _approved(self, record: OrderApprovedLine) -> None:
        self._decide(record, APPROVED)
        cid = record.client_order_id
        try:
            px = amount_or_zero(record.price) or amount_or_zero(record.decision.get("px"))
            hold = ReplayedHold(
                record.instrument_id, record.side == "BUY", amount(record.qty), px,
                oco=oco_of(record.order_list),
                # Builds that stated no cover counted what is pending as if it could be working.
                first=first_before(record.order_list) if "cover" in record.decision else "",
            )  # fmt: skip
        except AmountTextError as error:
            self._disagree("bad_amount", record, f"{cid}: {error}")
            return
        if not self.replay.place(cid, hold, record.ts_ns):
            self._disagree("list", record, f"{cid} excludes no other order")

    def _denied(self, record: OrderDeniedLine) -> None:
        verdict = str(record.decision.get("verdict", record.deny_reason))
        if record.deny_reason in OF_CANCELS or set(record.decision) == {"verdict"}:
            self.skipped += 1
            if verdict != record.deny_reason:
                self._disagree(
                    "verdict", record, f"{record.deny_reason} on the line, {verdict} in it"
                )
            return
        self._decide(record, record.deny_reason)

    def _decide(self, record: OrderApprovedLine | OrderDeniedLine, said: str) -> None:
        self.checked += 1
        name = f"{record.side} {record.symbol}"
        if isinstance(record, OrderApprovedLine):
            name = record.client_order_id
        if not record.decision:
            self._disagree("absent", record, f"{name}: {said} without the inputs of its decision")
            return
        inputs: Mapping[str, Any] = record.decision
        try:
            inputs = self.contexts.resolved(record.decision)
            terms = self.contexts.terms_of(inputs)
            again = Redecision(inputs, terms)
            mine = again.verdict()
            wrong = [*_line_differences(record, again, said), *self._inputs(record, inputs, terms)]
        except UNDECIDABLE as error:
            self._disagree("undecidable", record, f"{name}: {error}")
            self._explain(record, name, said, inputs, [str(error)])
            return
        if mine != said:
            self._disagree("verdict", record, f"{name}: {said} there, {mine} by the rules")
        for what in wrong:
            self._disagree("input", record, f"{name}: {what}")
        if mine == said and not wrong:
            self.agreed[mine] = self.agreed.get(mine, 0) + 1
        else:
            self._explain(record, name, said, inputs, wrong)

    def _explain(
        self,
        record: OrderApprovedLine | OrderDeniedLine,
        name: str,
        said: str,
        inputs: Mapping[str, Any],
        why: Sequence[str],
    ) -> None:
        """Keep the two computations side by side, of the first decisions that disagree."""
        if len(self.explained) >= EXPLAINED_MAX:
            return
        pairs: dict[str, tuple[object, object]] = {}
        with contextlib.suppress(*UNDECIDABLE):
            now_ns = int(inputs["now_ns"])
            pairs["attempts"] = (inputs["attempts"], self._attempts(now_ns))
            book = self.replay.book(record.instrument_id)
            pairs |= self._book_pairs(inputs, book, now_ns, record.order_list)
        self.explained += [explained(record, name, why, said=said, pairs=pairs, inputs=inputs)]

    # ------------------------------------------------------------------ inputs
    def _inputs(
        self,
        record: OrderApprovedLine | OrderDeniedLine,
        inputs: Mapping[str, Any],
        terms: CapsAndFilters | None,
    ) -> list[str]:
        """Compare what the decision states of our books with the lines before it."""
        wrong = self.contexts.differences(inputs, terms)
        if inputs["caps"] is None and "attempts" not in inputs:
            return wrong  # a wish for a stranger: the rules end at the seventh; it states no more
        if inputs.get("filters") is None and "position" not in inputs:
            return wrong  # the venue never told of it: no rule beyond the ninth was reached
        now_ns = int(inputs["now_ns"])
        counts = self._attempts(now_ns)
        if list(inputs["attempts"]) != counts:
            wrong.append(f"attempts {inputs['attempts']} stated, {counts} in the lines before")
        executions = within(self.replay.executions_ns, WINDOWS_NS[3], now_ns)
        if inputs["executions"] != executions:
            wrong.append(f"executions {inputs['executions']} stated, {executions} before")
        if inputs.get("caps") is None or "position" not in inputs:
            return wrong
        book = self.replay.book(record.instrument_id)
        wrong += self._book_differences(inputs, book, now_ns, record.order_list)
        return [*wrong, *self._other_differences(inputs, record.instrument_id)]

    def _attempts(self, now_ns: int) -> list[int]:
        pairs = zip(self.replay.attempts_ns, WINDOWS_NS, strict=True)
        return [within(stamps, window_ns, now_ns) for stamps, window_ns in pairs]

    def _book_differences(
        self, inputs: Mapping[str, Any], book: InstrumentBook, now_ns: int, listed: object
    ) -> list[str]:
        wrong = []
        for key, (stated, value) in self._book_pairs(inputs, book, now_ns, listed).items():
            theirs = None if stated is None else amount(stated)
            if theirs != value:
                wrong.append(f"{key} {theirs} stated, {value} by the lines before")
        return wrong

    def _book_pairs(
        self, inputs: Mapping[str, Any], book: InstrumentBook, now_ns: int, listed: object
    ) -> dict[str, tuple[Any, Decimal | int | None]]:
        """Quantities of a book: as a decision states them, and by the lines before."""
        while book.traded and book.traded[0][0] < now_ns - WINDOWS_NS[3]:
            book.traded_qty -= book.traded.popleft()[1]
        oco, first = oco_of(listed), first_before(listed)
        last_minute = within(book.minute_ns, WINDOWS_NS[1], now_ns)
        unknown = [hold for hold in book.holds.values() if hold.is_unknown]
        pairs: dict[str, tuple[Any, Decimal | int | None]] = {
            "position": (inputs["position"], book.position),
            "buys_open": (inputs["buys_open"], book.open_qty(is_buy=True, without=oco)),
            "sells_open": (inputs["sells_open"], book.open_qty(is_buy=False, without=oco)),
            "traded_qty": (inputs["traded_qty"], book.traded_qty),
            "unknown_orders": (inputs["unknown_orders"], len(unknown)),
            "symbol_minute": (inputs["symbol_minute"], last_minute),
        }
        self._covers = self._covers or "cover" in inputs
        ahead = book.holds.get(first)
        if self._covers and (ahead is not None or not first):
            # Where a list was denied, its first order has no line: that is bot_fold's to say.
            is_against = ahead is not None and ahead.is_buy is not (inputs["side"] == "BUY")
            brings = ahead.leaves if ahead is not None and is_against else ZERO
            pairs["cover"] = (inputs.get("cover", "0"), brings)
        covered = inputs.get("covered", ("0", "0"))
        pairs["covered buys"] = (covered[0], book.covered(is_buy=True, without=oco))
        pairs["covered sells"] = (covered[1], book.covered(is_buy=False, without=oco))
        of_symbol, own_px = inputs["orders_open"], inputs["own_px"]
        pairs["orders_open of the symbol"] = (of_symbol[0], len(book.holds))
        pairs["orders_open in total"] = (of_symbol[2], len(self.replay.holds))
        buys = book.prices(is_buy=True, without=first)
        pairs["highest own buy"] = (own_px[0], max(buys, default=None))
        sells = book.prices(is_buy=False, without=first)
        pairs["lowest own sell"] = (own_px[1], min(sells, default=None))
        return pairs

    def _other_differences(self, inputs: Mapping[str, Any], instrument_id: str) -> list[str]:
        others, wrong = inputs["others"], []
        for name, book in self.replay.books.items():
            if name == instrument_id or not (book.position or book.holds):
                continue
            row = others.get(name)
            mine = [book.position]
            mine += [book.open_qty(is_buy=s) - book.covered(is_buy=s) for s in (True, False)]
            if row is None:
                wrong.append(f"{name} has a position or open orders and is left out")
            elif [amount(cell) for cell in row[:3]] != mine:
                wrong.append(f"{name} stated as {row[:3]}, not so by the lines before")
        strangers = [name for name in others if name not in self.replay.books]
        return [*wrong, *(f"{name} is stated, but never traded before" for name in strangers)]

    # ------------------------------------------------------------------ caps and filters
    def _instruments(self, record: InstrumentsLine) -> None:
        self.contexts.instruments_told(record)
        self.replay.instruments_told(record)

    def _run_start(self, _: RunStartLine) -> None:
        self.contexts.run_started()

    def _session_start(self, record: SessionStartLine) -> None:
        self.contexts.session_started(record)

    def _risk_context(self, record: RiskContextLine) -> None:
        for what in self.contexts.learn(record):
            self._disagree("context", record, f"{record.instrument_id}: {what}")

    def _caps_changed(self, record: CapsChangedLine) -> None:
        """Apply tightened caps; the new set must follow from the old one."""
        in_force = self.contexts.caps_hash
        if in_force and record.old_hash != in_force:
            self._disagree("input", record, "caps were changed from a set that was not in force")
        self.contexts.caps_changed(record)

    # ------------------------------------------------------------------ result
    def result(self) -> dict[str, Any]:
        """Agreement by verdict, and every kind of disagreement with its first lines."""
        return {
            "checked": self.checked,
            "agreed": sum(self.agreed.values()),
            "agreed_by_verdict": dict(sorted(self.agreed.items())),
            "not_placements": self.skipped,
            "disagreements": self.disagreements.plain(),
        }


def _line_differences(
    record: OrderApprovedLine | OrderDeniedLine, again: Redecision, said: str
) -> list[str]:
    """Compare the order's fields in the line with those in its decision."""
    inputs, wrong = record.decision, []
    if inputs.get("verdict") != said:
        wrong.append(f"its decision says {inputs.get('verdict')}, the line {said}")
    for key in ("instrument_id", "side", "order_type"):
        decided, written = inputs.get(key), getattr(record, key)
        if decided != written:
            wrong.append(f"{key}: {decided} decided, {written} written")
    if "strategy_id" in inputs and inputs["strategy_id"] != record.strategy_id:
        wrong.append(f"strategy {inputs['strategy_id']} decided, {record.strategy_id} written")
    pairs = [("price", record.price, inputs.get("price"))]
    if said == APPROVED:
        pairs.append(("quantity", record.qty, text_of(again.qty)))
        pairs.append(("quantity", record.qty, inputs.get("qty_approved")))
        if inputs.get("now_ns") != record.ts_ns:
            wrong.append(f"decided at {inputs.get('now_ns')}, written at {record.ts_ns}")
    else:
        pairs.append(("quantity", record.qty, inputs.get("qty")))
        wrong += _context_differences(record, again)
    for what, written, decided in pairs:
        if not _is_same(written, decided):
            wrong.append(f"{what}: {decided} decided, {written} written")
    return wrong


def _context_differences(
    record: OrderApprovedLine | OrderDeniedLine, again: Redecision
) -> list[str]:
    """Compare the limit that a denial was told with to the caps in force, and the use with it."""
    context = record.deny_context if isinstance(record, OrderDeniedLine) else {}
    cap, limit, used = str(context.get("cap")), context.get("limit"), context.get("used")
    if limit is None or "cap" not in context or cap.startswith("messages"):
        return []  # of messages a part is kept for cancels
    in_force = limits_of(again, cap)
    if number_of(limit, "limit") not in in_force:
        told = ", ".join(text_of(one) for one in in_force)
        return [f"{cap} {limit} with the denial, {told} in force"]
    if used is not None and number_of(used, "used") < number_of(limit, "limit"):
        return [f"{cap}: {used} of {limit} with the denial, which is not too much"]
    return []


def _is_same(written: object, decided: object) -> bool:
    """Whether two texts are the same amount; if they are no amounts (NaN), the same text."""
    if written == decided:
        return True
    try:
        return wish_of(written, "") == wish_of(decided, "")
    except UndecidableError:
        return False


# ---------------------------------------------------------------------- the command
def recheck(inputs: Sequence[Path]) -> dict[str, Any]:
    """Re-decide every decision of the journals.

    Raises:
        SourceError: an input cannot be opened, or is no journal.
    """
    journals = []
    for stream in streams_of(list(inputs)):
        if not is_journal(stream):
            raise SourceError(f"{stream.name}: not a seatrial journal, there is nothing to recheck")
        fold = DecisionsFold()
        account = JournalFold(stream.name, [fold])
        reader = JournalReader(stream.files)
        account.chain = reader.chain
        account.read(reader.records())
        if stream.manifest is not None and is_headless(reader.chain):
            places = ", ".join(dict.fromkeys(one.place for one in stream.manifest.segments))
            raise SourceError(
                f"{stream.name}: its lines before seq {reader.chain.first_seq} are archived "
                f"and not at hand; name the archive, too: {places}"
            )
        faults = reader.chain.faults.plain()
        journals.append({
            "name": stream.name, "reader_faults": faults, **fold.result(),
            "explained": [one.plain() for one in fold.explained],
        })  # fmt: skip
    checked = sum(int(journal["checked"]) for journal in journals)
    agreed = sum(int(journal["agreed"]) for journal in journals)
    faulty = any(
        journal["disagreements"] or BROKEN & journal["reader_faults"].keys() for journal in journals
    )
    return {
        "checked": checked,
        "agreed": agreed,
        "is_agreed": agreed == checked and not faulty,
        "journals": journals,
    }
