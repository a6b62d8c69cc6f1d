"""The table of rules: the law of placements, in order; the first that fails is the verdict.

Rules of this file:
1. A number is for ever: documents and evidence cite it. A new rule takes the next one, whatever its
   place; a decision that an older build wrote knows nothing of it.
2. Between the rules stand the functions that work out what the following ones read (derive.py).
3. docs/RULES.md is generated from the rows (`rules_table`).
"""

from collections.abc import Callable

from riskcaps.gate import admission_rules, derive, filter_rules, limit_rules
from riskcaps.gate.rule import Case, Denial, Rule, denial
from riskcaps.words.denials import DenyReason

Step = Rule | Callable[[Case], None]

STEPS: tuple[Step, ...] = (
    *admission_rules.GATE_RULES,
    *admission_rules.SYMBOL_RULES,
    *admission_rules.SHAPE_RULES,
    *admission_rules.BOOK_RULES,
    derive.work_out_prices,
    *admission_rules.REFERENCE_RULES,
    derive.work_out_room,
    *admission_rules.REDUCING_RULES,
    *filter_rules.FILTER_RULES,
    *limit_rules.ORDER_QTY_RULES,
    derive.work_out_values,
    *limit_rules.ORDER_RULES,
    derive.work_out_worth,
    *limit_rules.PORTFOLIO_RULES,
    derive.work_out_turnover,
    *limit_rules.TURNOVER_RULES,
    derive.look_for_twin,
    *limit_rules.REPEAT_RULES,
)
RULES: tuple[Rule, ...] = tuple(step for step in STEPS if isinstance(step, Rule))
_CALLS = tuple(step.check if isinstance(step, Rule) else step for step in STEPS)


def first_failing(case: Case) -> Denial | None:
    """Why an order may not leave, or None: every rule lets it pass."""
    return reaches_first(case, _CALLS)


def reaches_first(case: Case, calls: tuple[Callable[[Case], Denial | None], ...]) -> Denial | None:
    """The first denial of these, in their order."""
    try:
        for call in calls:
            found = call(case)
            if found is not None:
                return found
    except ArithmeticError as error:  # digits beyond the 64 that arithmetic here is exact in
        return denial(DenyReason.MALFORMED_ORDER, problem=type(error).__name__)
    return None


def reaches_band(case: Case) -> bool:
    """Whether an order that passed brings a cap to its next band."""
    return any(rule.reaches_band(case) for rule in RULES if rule.used is not None)


def rules_table() -> str:
    """The table of docs/RULES.md."""
    lines = ["| # | denies when | denial | reads | clauses |", "|---|---|---|---|---|"]
    for rule in RULES:
        number = f"{rule.number}-{rule.last}" if rule.last else str(rule.number)
        reasons = ", ".join(f"`{reason}`" for reason in rule.reasons)
        lines.append(f"| {number} | {_says(rule)} | {reasons} | {rule.inputs} | {rule.clauses} |")
    return "\n".join(lines) + "\n"


def _says(rule: Rule) -> str:
    """When a rule denies: the docstring of its check, without its number."""
    said = " ".join((rule.check.__doc__ or "").split()).rstrip(".")
    number, _, text = said.partition(": ")
    return (text if number.startswith("Rule") else said).replace("*", "\\*")
