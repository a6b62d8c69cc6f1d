"""What a rule is, and the case that it looks at.

Rules of this file:
1. A rule reads the case and answers; it changes nothing. What later rules need is worked out by the
   named functions of derive.py, which stand in the table between the rules.
2. A missing input is a denial, never a pass.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from daemon.model.amounts import ZERO
from daemon.model.copies import replace
from daemon.model.enums import Side
from daemon.model.instrument import Instrument
from daemon.model.market import TopOfBook
from riskcaps.gate.gate_inputs import DecisionInputs
from riskcaps.state.bands import Watch
from riskcaps.state.behaviour import DuplicateKey
from riskcaps.state.conversion import Worth
from riskcaps.state.risk_state import RiskState
from riskcaps.state.symbol_book import SymbolBook
from riskcaps.words.capset import CapSet, SymbolCaps
from riskcaps.words.denials import DenyReason
from riskcaps.words.order_kinds import MARKET_TYPES

_BUY = Side.BUY  # a look at a member of an enum costs as much as a call on Python 3.11


class Denial(NamedTuple):
    """Why an order may not leave, and what the operator needs to see."""

    reason: DenyReason
    context: Mapping[str, str]


def denial(reason: DenyReason, **context: object) -> Denial:
    """A denial with its context as text."""
    return Denial(reason, {key: str(value) for key, value in context.items()})


class Case:
    """One wish on its way through the rules, and what has been worked out for them so far.

    What has a default here is set by derive.py. No slots: a case is made for each tick that is
    answered, and so it begins without a store for each of these.
    """

    # Known only where the wish is for an instrument with caps and filters: rules 7 and 9.
    book: SymbolBook
    caps: SymbolCaps
    filters: Instrument
    px: Decimal | None = None
    """Limit price, or the worst price of an order that has none."""
    ref_px: Decimal = ZERO
    order_px: Decimal = ZERO
    value_px: Decimal = ZERO
    room: Decimal = ZERO
    added: Decimal = ZERO
    """What it adds to its side: of a pending order, what is more than the first one brings."""
    reducing: bool = False
    """Whether it strictly shrinks the position in the worst case."""
    worth: Worth = (ZERO, ZERO, ZERO)
    """Worst-case gross, net long and net short of the portfolio with the order in it."""
    raises: bool = False
    """Whether it raises its symbol's part of the gross."""
    total: Decimal | str = ZERO
    """Value of the day with the order in it; or the asset that has no rate."""
    key: DuplicateKey | None = None

    def __init__(self, risk: RiskState, given: DecisionInputs, book: SymbolBook | None) -> None:
        intent = given.intent
        self.risk, self.given, self.intent = risk, given, intent
        self.portfolio: CapSet = risk.capset
        self.instrument_id = intent.instrument_id
        self.now_ns = given.now_ns
        if book is not None:
            self.book = book
            if book.caps is not None:
                self.caps = book.caps
            if book.instrument is not None:
                self.filters = book.instrument
        self.qty = intent.qty
        self.is_buy = intent.side is _BUY
        self.is_market = intent.order_type in MARKET_TYPES
        self.is_pegged = intent.extras is not None and intent.extras.peg is not None

    @property
    def top(self) -> TopOfBook:
        """The top of the book, where rule 18 has passed."""
        top = self.book.top
        if top is None:
            raise LookupError("no top of book: rule 18 stands before")
        return top


Check = Callable[[Case], Denial | None]
Kept = Literal["", "terms", "standing"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. Its docstring says when it denies, in the words of the inputs."""

    number: int
    check: Check
    inputs: str
    """What it reads: keys of the decision, of its caps and of its filters."""
    reasons: tuple[DenyReason, ...]
    last: int = 0
    """The last number of a row that asks two rules of one price or quantity after another."""
    kept: Kept = ""
    """Its answer is the same for every order of one side, type and time in force until these
    change: the instrument's terms, or what stands before every order."""
    until: Callable[[Case], int] | None = None
    """The last moment at which a pass still holds, for a rule over an age or a time of the week."""
    cap: str = ""
    used: Callable[[Case], Decimal | int | None] | None = None
    """For a cap that fills up: what would be used; None where the order does not raise it."""
    of_symbol: bool = False
    of_inputs: Callable[[DecisionInputs], int | None] | None = None
    """`used` of a count that the inputs alone tell: the fast path need not draw a bound for it."""

    @property
    def clauses(self) -> str:
        """The clauses of the control list that its reasons meet."""
        numbers = {int(one) for reason in self.reasons for one in reason.clauses.split(", ")}
        return ", ".join(str(number) for number in sorted(numbers))

    def watch(self, case: Case) -> Watch:
        """The limit and the bands of its cap."""
        return (case.book.watch if self.of_symbol else case.risk.alerts.watch)[self.cap]

    def reaches_band(self, case: Case) -> bool:
        """Whether the order brings its cap to the next band."""
        if self.used is None:
            return False
        used = self.used(case)
        return used is not None and used >= self.watch(case).up


def row(
    number: int,
    check: Check,
    inputs: str,
    *reasons: DenyReason,
    last: int = 0,
    kept: Kept = "",
    until: Callable[[Case], int] | None = None,
) -> Rule:
    """A rule with a check of its own."""
    return Rule(
        number=number, check=check, inputs=inputs, reasons=reasons, last=last, kept=kept,
        until=until,
    )  # fmt: skip


def cap_row(
    number: int,
    used: Callable[[Case], Decimal | int | None],
    inputs: str,
    reason: DenyReason,
    cap: str,
    *,
    of_symbol: bool = False,
) -> Rule:
    """A rule over a cap that fills up: what would be used of it. A count shows what is used now."""

    def check(case: Case) -> Denial | None:
        would = used(case)
        if would is None:
            return None
        watch = (case.book.watch if of_symbol else case.risk.alerts.watch)[cap]
        if would <= watch.limit:
            return None
        shown = would - 1 if isinstance(would, int) else would
        return denial(reason, cap=cap, used=shown, limit=watch.limit)

    check.__doc__ = (
        f"{(used.__doc__ or '').strip()}; more than {cap}{' of the symbol' if of_symbol else ''}"
    )
    return Rule(
        number=number, check=check, inputs=inputs, reasons=(reason,), cap=cap, used=used,
        of_symbol=of_symbol,
    )  # fmt: skip


def count_row(
    number: int,
    of_inputs: Callable[[DecisionInputs], int | None],
    inputs: str,
    reason: DenyReason,
    cap: str,
) -> Rule:
    """A rule over a count of the account that the inputs alone tell."""

    def used(case: Case) -> int | None:
        return of_inputs(case.given)

    used.__doc__ = of_inputs.__doc__
    return replace(cap_row(number, used, inputs, reason, cap), of_inputs=of_inputs)
