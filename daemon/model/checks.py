"""Asserts that never switch off (plain `assert` dies under `python -O`)."""


class InvariantViolation(AssertionError):  # noqa: N818 - the house calls it a violation
    """A promise of the house is broken: all bets are off, the process must stop (crash-only)."""


def invariant(condition: bool, why: str) -> None:
    """Stop the world when `condition` is false.

    Raises:
        InvariantViolation: with `why`, which names the broken promise.
    """
    if not condition:
        raise InvariantViolation(why)
