"""One request on its way through the house, and the shape of an endpoint."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from daemon.venues.sim.dialect.params import Params
from daemon.venues.sim.exchange import Exchange


class CallPurpose(StrEnum):
    """What a request is for; faults and limits choose by it."""

    PLACE = "place"
    CANCEL = "cancel"
    QUERY = "query"
    DATA = "data"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Call:
    """A request that has passed the door."""

    exchange: Exchange
    params: Params
    account: str
    """Empty for public calls."""
    now_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What answers a call, what it costs, whom it admits."""

    name: str
    handler: Callable[[Call], object]
    signed: bool = False
    weight: int | Callable[[Params], int] = 1
    purpose: CallPurpose = CallPurpose.DATA
    always_weighs: bool = False
    """An order call that costs its weight when it succeeds, and when it fails."""
    counts_orders: bool = False
    """Its answer shows the order counts."""

    @property
    def needs_trading(self) -> bool:
        """Whether a key without the right to trade is refused."""
        return self.purpose in {CallPurpose.PLACE, CallPurpose.CANCEL} or self.name == "order.test"

    def weight_of(self, params: Params) -> int:
        """The documented weight of this call."""
        return self.weight if isinstance(self.weight, int) else self.weight(params)
