"""A strategy that takes all the memory that there is, seconds after its start."""

from collections.abc import Iterable

from daemon.model.intents import TimerIntent, Wish
from daemon.model.strategy import StrategyView
from daemon.strategies.silent import Silent

AFTER_NS = 4_000_000_000
PIECE_BYTES = 16 * 1024 * 1024
PIECES_MAX = 256
"""Four gigabytes: without a limit the test must fail, and not the machine."""


class Hog(Silent):
    """Does nothing, then hoards."""

    def on_start(self, view: StrategyView) -> Iterable[Wish]:
        """Ask to be woken once."""
        at_ns = view.now_ns + AFTER_NS
        return (TimerIntent(strategy_id=self.strategy_id, name="hoard", at_ns=at_ns),)

    def on_timer(self, view: StrategyView, name: str) -> Iterable[Wish]:
        """Hold ever more, every page of it touched."""
        del view, name
        self.hoard = [b"x" * PIECE_BYTES for _ in range(PIECES_MAX)]
        return ()
