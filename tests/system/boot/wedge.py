"""A strategy that computes for ever: seconds after its start the main loop turns no more."""

from collections.abc import Iterable

from daemon.model.intents import TimerIntent, Wish
from daemon.model.strategy import StrategyView
from daemon.strategies.silent import Silent

AFTER_NS = 4_000_000_000


class Wedge(Silent):
    """Does nothing, then everything."""

    def on_start(self, view: StrategyView) -> Iterable[Wish]:
        """Ask to be woken once."""
        at_ns = view.now_ns + AFTER_NS
        return (TimerIntent(strategy_id=self.strategy_id, name="stuck", at_ns=at_ns),)

    def on_timer(self, view: StrategyView, name: str) -> Iterable[Wish]:
        """Never return."""
        del view, name
        number = 0
        while True:
            number += 1
