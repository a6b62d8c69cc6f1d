"""One request on its way through the simulated venue."""

from dataclasses import dataclass

from daemon.venues.binance_spot.serving.params import Params
from daemon.venues.sim.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Call:
    """A request that has been authenticated."""

    exchange: Exchange
    params: Params
    account: str
    """Empty for public calls."""
    now_ns: int
