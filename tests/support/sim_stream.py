"""The venue's streams in a simulated world: what is lost, late, told twice or out of order."""

from typing import TYPE_CHECKING

from daemon.model.enums import Link
from daemon.model.inputs import BalancesChanged, Input, MarketData, VenueReport
from daemon.model.market import TopOfBook
from daemon.model.position import Balance
from daemon.venues.binance_spot.serving.events import AccountPosition, ExecReport
from daemon.venues.binance_spot.serving.units import decimal_of_e8
from daemon.venues.sim.sim_orders import BookTop
from tests.support.builders import BTC
from tests.support.sim_words import MS, stream_report

if TYPE_CHECKING:
    from tests.support.sim_runner import SimRun


def pump_events(run: "SimRun") -> None:
    run.venue.matcher.flush_positions(run.now_ns)
    for event in run.venue.drain_events():
        if isinstance(event, ExecReport) and event.account == "main":
            _stream(run, VenueReport(stream_report(event, run.now_ns)))
        elif isinstance(event, AccountPosition) and event.account == "main":
            held = tuple(
                Balance(asset, decimal_of_e8(free), decimal_of_e8(locked))
                for asset, free, locked in event.balances
            )
            _stream(run, BalancesChanged(held, event.ts_ns))
        elif isinstance(event, BookTop) and run.up[Link.MARKET]:
            _market(run, event)


def _stream(run: "SimRun", item: Input) -> None:
    if not run.up[Link.ORDER] or run.chance(run.menu.drop_event):
        return
    generation = run.run_number

    def arrive() -> None:
        if generation == run.run_number and run.up[Link.ORDER]:
            run.tell(item)

    at_ns = max(run.event_ns, run.now_ns + run.latency())
    if run.chance(run.menu.reorder_event):
        run.later(at_ns - run.now_ns + run.rng.randrange(20, 300) * MS, arrive)
    else:
        run.event_ns = at_ns
        run.later(at_ns - run.now_ns, arrive)
    if run.chance(run.menu.duplicate_event):
        run.later(at_ns - run.now_ns + run.rng.randrange(0, 200) * MS, arrive)


def _market(run: "SimRun", event: BookTop) -> None:
    if not event.bid_price or not event.ask_price:
        return
    run.update += 1
    top = TopOfBook(
        BTC,
        decimal_of_e8(event.bid_price),
        decimal_of_e8(event.bid_qty),
        decimal_of_e8(event.ask_price),
        decimal_of_e8(event.ask_qty),
        run.update,
        event.ts_ns,
        run.now_ns,
    )
    run.tell(MarketData(top))
