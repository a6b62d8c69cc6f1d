"""Waiting times between tries: doubling, capped, with jitter against synchronised retries."""

from typing import Protocol


class Jitter(Protocol):
    """The part of `random.Random` that a backoff needs."""

    def uniform(self, a: float, b: float) -> float:
        """A number between `a` and `b`."""


class Backoff:
    """`next_s()` grows from `min_s` to `max_s`; each wait is drawn from its upper half."""

    __slots__ = ("_max_s", "_min_s", "_rng", "_step_s")

    def __init__(self, *, min_s: float, max_s: float, rng: Jitter) -> None:
        self._min_s = min_s
        self._max_s = max(min_s, max_s)
        self._step_s = min_s
        self._rng = rng

    def next_s(self) -> float:
        """Seconds to wait before the next try."""
        step_s = self._step_s
        self._step_s = min(self._max_s, step_s * 2)
        return self._rng.uniform(step_s / 2, step_s)

    def reset(self) -> None:
        """Start from `min_s` again, after a connection that lasted."""
        self._step_s = self._min_s
