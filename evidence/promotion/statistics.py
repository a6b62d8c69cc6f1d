"""The statistical statement: what zero faults in n trials can and cannot say.

With no fault in n independent trials, the largest fault rate p that would still let this happen in
one case of twenty satisfies (1 - p)^n = 0.05, so p = 1 - 0.05^(1/n). Rounded up, never down.
"""

from decimal import ROUND_CEILING, Context, Decimal

DOUBT = Decimal("0.05")
"""One minus the confidence."""
_STEP = Decimal("0.000001")
_WIDE = Context(prec=60)


def upper_bound_without_faults(trials: int) -> Decimal:
    """The 95 % upper bound of the fault rate after `trials` trials without a fault.

    Returns:
        Six decimals, rounded up; 1 when nothing was tried.
    """
    if trials <= 0:
        return Decimal(1)
    root = _WIDE.exp(_WIDE.divide(_WIDE.ln(DOUBT), Decimal(trials)))
    bound = _WIDE.subtract(Decimal(1), root)
    return bound.quantize(_STEP, rounding=ROUND_CEILING, context=_WIDE)


def statement(sessions: int, orders: int, faults: int) -> dict[str, object]:
    """The statement of a decision, in figures and in words."""
    if sessions <= 0:
        words = "no session qualifies: nothing was tried, so nothing can be said"
        bounds: dict[str, object] = {"session_upper_95": "1", "order_upper_95": "1"}
        return {**_counts(sessions, orders, faults), **bounds, "words": words}
    if faults:
        words = (
            f"{faults} faults in {sessions} sessions and {orders} orders: a bound for zero faults "
            "does not apply"
        )
        return {**_counts(sessions, orders, faults), "session_upper_95": None,
                "order_upper_95": None, "words": words}  # fmt: skip
    per_session = upper_bound_without_faults(sessions)
    per_order = upper_bound_without_faults(orders)
    words = (
        f"no fault in {sessions} sessions and {orders} orders: with 95 % confidence fewer than "
        f"{percent(per_session)} % of such sessions and {percent(per_order)} % of such orders "
        "would show one, if what comes is like what was tried"
    )
    return {
        **_counts(sessions, orders, faults),
        "session_upper_95": format(per_session, "f"),
        "order_upper_95": format(per_order, "f"),
        "words": words,
    }


def percent(rate: Decimal) -> str:
    """A rate as percent, without trailing zeros."""
    text = format(rate * 100, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _counts(sessions: int, orders: int, faults: int) -> dict[str, object]:
    return {"sessions": sessions, "orders": orders, "faults": faults}
