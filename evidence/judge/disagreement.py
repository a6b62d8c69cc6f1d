"""Explains a decision that does not hold: the daemon's computation beside the accountant's.

Rules of this file:
1. Nothing here decides. A decision that disagreed is decided once more, by the same rules, by one
   that remembers what it asked for; so a decision that agrees costs nothing.
2. One row is one quantity: what the decision states of it, and what the accountant has.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from evidence.judge.redecide import Redecision
from evidence.read.decision_inputs import StatedInputs
from evidence.read.exact_amounts import AmountTextError, amount, text_of
from evidence.read.integrity import INTACT_FAULTS
from evidence.read.journal_lines import OrderApprovedLine, OrderDeniedLine

ASKED_SHOWN = 8
"""The last so many inputs and caps that the accountant asked for before he was done."""
EXPLAINED_MAX = 20
NOTHING = "-"
BROKEN = (INTACT_FAULTS - {"torn_tail"}) | {"gap", "foreign_line"}
"""Reader's faults that forbid to agree. A torn tail does not: a decision is written before its
order leaves, so the line that a kill cut short sent nothing."""
Pairs = Mapping[str, tuple[object, object]]


class RecordedInputs(StatedInputs):
    """Inputs that are told of when they are asked for; of tables, what is asked of them is told."""

    def __init__(self, inputs: Mapping[str, Any], tell: Callable[[str, object], None]) -> None:
        super().__init__(inputs)
        self._tell = tell

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if not isinstance(value, dict):
            self._tell(key, value)
        return value


class AskedCaps(dict[str, Decimal]):
    """Caps that are told of whenever they are asked for."""

    def __init__(
        self, caps: Mapping[str, Decimal], of: str, tell: Callable[[str, object], None]
    ) -> None:
        super().__init__()
        self._caps, self._of, self._tell = caps, of, tell

    def __getitem__(self, key: str) -> Decimal:
        limit = self._caps[key]
        self._tell(f"{key} ({self._of})", limit)
        return limit


class Traced(Redecision):
    """Decides as its base does, and remembers what it asked for, in order."""

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self.asked: dict[str, object] = {}
        super().__init__(inputs)
        self.cap = AskedCaps(self.cap, "cap of the symbol", self._remember)
        self.portfolio_cap = AskedCaps(self.portfolio_cap, "cap", self._remember)

    def _remember(self, name: str, value: object) -> None:
        self.asked.pop(name, None)
        self.asked[name] = value

    def stated_in(self, inputs: Mapping[str, Any]) -> StatedInputs:
        """The inputs, each remembered when it is asked for."""
        return RecordedInputs(super().stated_in(inputs), self._remember)


class Disagreement(msgspec.Struct, frozen=True):
    """One decision that does not hold."""

    seq: int
    order: str
    why: Sequence[str]
    rows: Sequence[tuple[str, str, str]]
    """(what, by the decision, by the accountant)."""

    def plain(self) -> dict[str, Any]:
        """JSON-ready."""
        rows = [{"what": what, "daemon": a, "accountant": b} for what, a, b in self.rows]
        return {"seq": self.seq, "order": self.order, "why": list(self.why), "rows": rows}


def side_by_side(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    """A table of three columns for a terminal; `≠` stands where the two differ."""
    table = [("", "the daemon's", "the accountant's"), *rows]
    widths = [max(len(row[n]) for row in table) for n in (0, 1)]
    return [
        f"      {what:<{widths[0]}}  {theirs:<{widths[1]}} {_mark(theirs, mine)} {mine}"
        for what, theirs, mine in table
    ]


def _mark(theirs: str, mine: str) -> str:
    is_pair = NOTHING not in (theirs, mine) and not theirs.startswith("the ")
    return "≠" if is_pair and theirs != mine else " "


def explained(
    record: OrderApprovedLine | OrderDeniedLine, order: str, why: Sequence[str], *, said: str,
    pairs: Pairs, inputs: Mapping[str, Any],
) -> Disagreement:  # fmt: skip
    """Put the two computations side by side.

    Args:
        record: the decision's line; with a denial stands the limit that it met, and by how much.
        order: its order, or its side and symbol where it was denied.
        why: what is wrong with it, in words.
        said: the verdict that the line states.
        pairs: quantities, as stated and by the lines before.
        inputs: the decision's own, with caps and filters where its context is known.
    """
    mine, asked = _decided_again(inputs)
    rows = [("verdict", said, mine)]
    if isinstance(record, OrderDeniedLine):
        context = record.deny_context.items()
        rows += [(f"{name} (with the denial)", _text(v), NOTHING) for name, v in context]
    rows += [(name, _text(theirs), _text(ours)) for name, (theirs, ours) in pairs.items()]
    rows += [(f"asked for: {name}", NOTHING, _text(v)) for name, v in asked[-ASKED_SHOWN:]]
    return Disagreement(record.seq, order, why, rows)


def _decided_again(inputs: Mapping[str, Any]) -> tuple[str, list[tuple[str, object]]]:
    """The accountant's verdict, and what he asked for; where he could not decide, why."""
    again = None
    try:
        again = Traced(inputs)
        verdict = again.verdict()
    except Exception as error:  # noqa: BLE001 - a hostile decision may hold anything anywhere
        verdict = f"cannot be decided: {error}"
    return verdict, list(again.asked.items()) if again is not None else []


def _text(value: object) -> str:
    """One cell."""
    if value is None:
        return NOTHING
    try:
        return text_of(amount(value))  # equal amounts read equal
    except AmountTextError:
        return str(value)[:60]


def tell(result: Mapping[str, Any]) -> str:
    """The result for a terminal."""
    lines = [f"{result['agreed']} of {result['checked']} decisions agree"]
    for journal in result["journals"]:
        by_verdict = journal["agreed_by_verdict"].items()
        lines += [f"  {count:>8}  {verdict}" for verdict, count in by_verdict]
        for kind, fault in journal["disagreements"].items():
            lines += [
                f"  DISAGREES ({kind}, {fault['count']} in all) {x}" for x in fault["examples"]
            ]
        for one in journal["explained"]:
            lines += [f"  seq {one['seq']}, {one['order']}: {'; '.join(one['why'])}".rstrip(": ")]
            lines += side_by_side([(r["what"], r["daemon"], r["accountant"]) for r in one["rows"]])
        for kind, fault in journal["reader_faults"].items():
            word = "BROKEN" if kind in BROKEN else "reader"
            lines += [f"  {word} ({kind}, {fault['count']} in all) {x}" for x in fault["examples"]]
    return "\n".join(lines)
