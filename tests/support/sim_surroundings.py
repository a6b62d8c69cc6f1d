"""What happens around a simulated daemon: other people trade, sockets break, an operator acts."""

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.model.inputs import KillLatched
from daemon.venues.binance_spot.serving.order_requests import PlaceRequest
from daemon.venues.binance_spot.serving.units import e8_of
from tests.support.builders import OPERATOR_ACTOR, command
from tests.support.sim_stream import pump_events
from tests.support.sim_words import MS, SYMBOL

if TYPE_CHECKING:
    from tests.support.sim_runner import SimRun


CROWD = "crowd"
"""The account of everybody else."""
MID = 60_000


def crowd(run: "SimRun") -> None:
    """Other people: two quotes around a wandering middle, and sometimes somebody takes."""
    rng, now = run.rng, run.now_ns
    for order in run.venue.open_orders(CROWD, SYMBOL):
        if rng.random() < 0.5:
            run.venue.cancel(CROWD, SYMBOL, now_ns=now, order_id=order.order_id)
    mid = MID + rng.randrange(-20, 21)
    for side, price in ((Side.BUY, mid - 5), (Side.SELL, mid + 5)):
        _crowd_order(run, side, price, rng.randrange(5, 40))
    if rng.random() < 0.6:
        side = rng.choice((Side.BUY, Side.SELL))
        away = 15 if side is Side.BUY else -15
        _crowd_order(run, side, mid + away, rng.randrange(1, 30), TimeInForce.IOC)
    pump_events(run)
    run.later(rng.randrange(60, 160) * MS * (1 if run.session_wanted else 8), lambda: crowd(run))


def _crowd_order(
    run: "SimRun", side: Side, price: int, milli: int, tif: TimeInForce = TimeInForce.GTC
) -> None:
    request = PlaceRequest(
        symbol=SYMBOL,
        side=side,
        type=OrderType.LIMIT,
        time_in_force=tif,
        qty=e8_of(Decimal(milli) / 1000),
        price=e8_of(price),
        client_order_id=f"crowd-{run.count}-{price}",
    )
    run.venue.place(CROWD, request, run.now_ns)


def weather(run: "SimRun") -> None:
    """Every 100 ms: start what is wanted; sometimes a socket breaks, sometimes we die."""
    if run.session_wanted and not run.engine.session_id:
        run.tell(command("start", "sim"))
    if run.chance(run.menu.disconnect):
        run.disconnect()
    if run.chance(run.menu.operator):
        _operator(run)
    if run.chance(run.menu.crash):
        run.crash()
    run.later(100 * MS, lambda: weather(run))


def _operator(run: "SimRun") -> None:
    method = run.rng.choice(("stop", "cancel-all", "reconcile", "kill", "kill"))
    if method == "kill":
        run.tell(KillLatched(OPERATOR_ACTOR, "sim", run.now_ns))
        run.later(run.rng.randrange(300, 1500) * MS, lambda: run.tell(command("re-arm", "sim")))
    else:
        run.tell(command(method, "sim"))
