"""The pre-trade risk gate: the only mint of orders. Pure, exact, fail closed."""
