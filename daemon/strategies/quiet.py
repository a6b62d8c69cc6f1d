"""Quiet: connects, watches, never trades. For watching a venue, and for drills in NO_TRADE mode."""

from typing import ClassVar

from daemon.strategies.silent import Silent


class Quiet(Silent):
    """Never wishes anything."""

    needs_every_tick: ClassVar[bool] = False
