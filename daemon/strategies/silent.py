"""A strategy that answers nothing: the others build on it, and show only what they do."""

from collections.abc import Iterable, Mapping

from daemon.model.ids import InstrumentId, StrategyId
from daemon.model.instrument import Instrument
from daemon.model.intents import PlaceIntent, Wish
from daemon.model.market import TopOfBook, TradeTick
from daemon.model.reports import ExecutionReport
from daemon.model.strategy import StrategyView


class Silent:
    """Every call of the Strategy protocol, answered with no wish."""

    def __init__(
        self, strategy_id: StrategyId, instruments: Mapping[InstrumentId, Instrument]
    ) -> None:
        """Remember who we are and what we may trade."""
        self.strategy_id = strategy_id
        self.instruments = instruments

    def on_start(self, view: StrategyView) -> Iterable[Wish]:
        """A session has started."""
        del view
        return ()

    def on_market(self, view: StrategyView, top: TopOfBook) -> Iterable[Wish]:
        """A new top of book."""
        del view, top
        return ()

    def on_trade(self, view: StrategyView, trade: TradeTick) -> Iterable[Wish]:
        """A public trade."""
        del view, trade
        return ()

    def on_report(self, view: StrategyView, report: ExecutionReport) -> Iterable[Wish]:
        """A report on an order of ours."""
        del view, report
        return ()

    def on_denied(self, view: StrategyView, intent: PlaceIntent, code: str) -> Iterable[Wish]:
        """The interceptor denied a wish."""
        del view, intent, code
        return ()

    def on_timer(self, view: StrategyView, name: str) -> Iterable[Wish]:
        """A timer is due."""
        del view, name
        return ()

    def on_stop(self, view: StrategyView) -> None:
        """The session ends."""
        del view
