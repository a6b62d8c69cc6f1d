"""The exchange as a house: venue, keys, limits and ledger together, and one outbox of events.

Every route (REST, WebSocket API, admin) works on this object; nothing else holds venue state.
"""

from copy import deepcopy
from typing import Self

import msgspec

from daemon.model.copies import replace
from daemon.venues.binance_spot.serving.events import (
    AccountPosition,
    BalanceUpdate,
    ExecReport,
    ListStatus,
)
from daemon.venues.binance_spot.serving.registered_keys import ApiKey
from daemon.venues.sim.fault_rules import FaultPlan
from daemon.venues.sim.request_limits import Limiter
from daemon.venues.sim.sim_orders import MarketEvent, SimOrder, TradeFill, UserEvent
from daemon.venues.sim.venue import SimVenue
from daemon.venues.sim.venue_ledger import Ledger


class Exchange(msgspec.Struct):
    """What the routes share."""

    venue: SimVenue
    limiter: Limiter
    faults: FaultPlan
    ledger: Ledger = msgspec.field(default_factory=Ledger)
    keys: dict[str, ApiKey] = msgspec.field(default_factory=dict)
    clock_step_ns: int = 0
    """A fault: the venue's clock, as clients are told and judged by, is off by so much."""
    judge_step_ns: int = 0
    """A fault: what judges timestamps is off by so much from the time that clients are told."""
    frozen_until_ns: int = 0
    """A fault: market data stands still until then."""
    frozen_ns: int = 0
    frozen: SimVenue | None = None
    """The venue as it stood at `frozen_ns`: what market data is read from meanwhile."""
    user_outbox: list[UserEvent] = msgspec.field(default_factory=list)
    market_outbox: list[MarketEvent] = msgspec.field(default_factory=list)

    def clock_ns(self, now_ns: int) -> int:
        """The time that clients are told."""
        return now_ns + self.clock_step_ns

    def judge_ns(self, now_ns: int) -> int:
        """The time that clients' timestamps are judged by."""
        return now_ns + self.clock_step_ns + self.judge_step_ns

    def freeze(self, now_ns: int, until_ns: int) -> None:
        """Market data stands still as it is now, also for who asks for the first time later."""
        self.frozen_until_ns = until_ns
        self.frozen_ns, self.frozen = now_ns, deepcopy(self.venue)

    def thaw(self) -> None:
        """Market data is that of the venue again."""
        self.frozen_until_ns, self.frozen = 0, None

    def as_frozen(self) -> tuple[Self, int]:
        """What market data is read from while it stands still, and the time there."""
        return replace(self, venue=self.frozen or self.venue), self.frozen_ns

    def collect(self) -> None:
        """Move what happened from the venue into the ledger, the order counts and the outboxes."""
        for event in self.venue.drain_events():
            if isinstance(event, ExecReport):
                self.ledger.on_user_event(event)
                if event.trade_id >= 0:
                    self._on_trade(event)
                self.user_outbox.append(event)
            elif isinstance(event, AccountPosition | BalanceUpdate | ListStatus):
                self.user_outbox.append(event)
            else:
                self.market_outbox.append(event)

    def advance(self, now_ns: int) -> None:
        """Background flow up to now."""
        self.venue.advance(now_ns)
        self.collect()

    def wipe(self, now_ns: int) -> None:
        """A testnet wipe."""
        self.venue.wipe(now_ns)
        self.ledger.on_wipe(now_ns)
        self.collect()

    def _on_trade(self, event: ExecReport[SimOrder]) -> None:
        order = event.order
        self.ledger.on_fill(_fill_of(event))
        if event.executed == event.last_qty:
            self.limiter.first_fill(order.account, maker=event.maker, now_ns=event.ts_ns)


def _fill_of(event: ExecReport[SimOrder]) -> TradeFill:
    order = event.order
    return TradeFill(
        symbol=order.symbol,
        trade_id=event.trade_id,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        account=event.account,
        side=order.side,
        price=event.last_price,
        qty=event.last_qty,
        fee=event.fee,
        fee_asset=event.fee_asset,
        maker=event.maker,
        ts_ns=event.ts_ns,
        origin=order.origin,
        epoch=order.epoch,
        list_id=order.list_id,
    )
