"""One request on its way through the simulated venue."""

import msgspec

from daemon.venues.binance_spot.serving.params import Params
from daemon.venues.sim.exchange import Exchange


class Call(msgspec.Struct, frozen=True):
    """A request that has been authenticated."""

    exchange: Exchange
    params: Params
    account: str
    """Empty for public calls."""
    now_ns: int
