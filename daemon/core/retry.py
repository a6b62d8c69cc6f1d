"""Pure backoff: when to ask again. No jitter: one daemon, one account, nobody to collide with."""


def backoff_ns(attempt: int, base_ns: int, cap_ns: int) -> int:
    """The wait after attempt `attempt` (from 1): doubling from `base_ns`, at most `cap_ns`."""
    if attempt < 1 or base_ns <= 0:
        raise ValueError(f"attempts count from 1 and the base is positive: {attempt}, {base_ns}")
    doublings = min(attempt - 1, 40)
    return int(min(base_ns << doublings, cap_ns))
