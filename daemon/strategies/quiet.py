"""Quiet: connects, watches, never trades. For watching a venue, and for drills in NO_TRADE mode."""

from daemon.strategies.silent import Silent


class Quiet(Silent):
    """Never wishes anything."""
