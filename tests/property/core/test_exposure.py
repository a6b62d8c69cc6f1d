"""Exposure at the venue never beyond the caps, whatever the order in which we hear of it.

A model venue of a few lines holds the truth. Hypothesis chooses what it does, and which of its
reports reach us, when, in which order and how often; requests may be lost, executed late, or
answered with silence. After every step the truth is measured against the caps.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from daemon.model.effects import SendCancel, SendOrder
from daemon.model.enums import OrderStatus, ReportSource, Side, VenueOrderStatus
from daemon.model.ids import ClientOrderId
from daemon.model.inputs import (
    Input,
    MarketData,
    OrderAbsent,
    OutcomeUnknown,
    VenueCancelReject,
    VenueReject,
    VenueReport,
)
from daemon.model.reports import CancelReject, ExecutionReport, Fill, NotFound, Reject
from tests.support.builders import BTC, caps, command, dec, fill, report, top, wish
from tests.support.screenplay import Stage, only

V = VenueOrderStatus
CAP = Decimal("0.3")
QTYS = st.sampled_from(["0.05", "0.1", "0.15"])
SIDES = st.sampled_from([Side.BUY, Side.SELL])
PICK = st.integers(min_value=0, max_value=10_000)


@dataclass
class AtVenue:
    """One order as the venue sees it; before it arrives it is on the road."""

    cid: ClientOrderId
    side: Side
    qty: Decimal
    number: int
    state: str = "road"
    filled: Decimal = Decimal(0)
    fills: list[Fill] = field(default_factory=list)

    @property
    def can_still_trade(self) -> bool:
        return self.state in ("road", "open")

    def status(self) -> VenueOrderStatus:
        if self.state == "canceled":
            return V.CANCELED
        if self.filled == self.qty:
            return V.FILLED
        return V.PARTIALLY_FILLED if self.filled else V.NEW


class Exposure(RuleBasedStateMachine):
    """Steps of the world; the invariant is checked after each."""

    def __init__(self) -> None:
        super().__init__()
        capset = caps(position_long_base_max=str(CAP), position_short_base_max=str(CAP))
        self.stage = Stage(capset=capset, unknown_incident_ns=10**18).ready().start()
        self.venue: list[AtVenue] = []
        self.inbox: list[Input] = []
        self.told: list[Input] = []
        self.trades = 0

    # ------------------------------------------------------------------ us
    @rule(side=SIDES, qty=QTYS, off=st.integers(min_value=0, max_value=99))
    def we_wish(self, side: Side, qty: str, off: int) -> None:
        if self.stage.puppet is None or not self.stage.engine.session_id:
            return
        price = f"{99 if side is Side.BUY else 101}.{off:02d}"
        for sent in only(SendOrder, self.stage.wishes(wish(side, qty, price))):
            order = sent.order
            made = AtVenue(order.client_order_id, order.side, order.qty, len(self.venue) + 1)
            self.venue.append(made)

    @rule()
    def we_cancel(self) -> None:
        for sent in only(SendCancel, self.stage.tell(command("cancel-all"))):
            assert self.stage.status_of(sent.cancel.client_order_id) in (
                "PENDING_CANCEL",
                "UNKNOWN",
            )

    @rule(ms=st.integers(min_value=1, max_value=1500))
    def time_passes(self, ms: int) -> None:
        self.stage.after(ms)
        self.stage.tell(MarketData(top(ts_ns=self.stage.now_ns)))

    # ------------------------------------------------------------------ the venue
    @precondition(lambda self: any(o.state == "road" for o in self.venue))
    @rule(pick=PICK, fate=st.sampled_from(["open", "open", "open", "rejected", "lost"]))
    def a_request_arrives(self, pick: int, fate: str) -> None:
        order = self.one_of("road", pick)
        order.state = fate
        if fate == "open":
            self.say(order)
        elif fate == "rejected":
            no = Reject(
                client_order_id=order.cid, instrument_id=BTC, code=-2010, reason="no", ts_recv_ns=0
            )
            self.inbox.append(VenueReject(no))

    @precondition(lambda self: any(o.state == "open" for o in self.venue))
    @rule(pick=PICK, part=st.sampled_from(["0.01", "0.05", "1"]))
    def it_trades(self, pick: int, part: str) -> None:
        order = self.one_of("open", pick)
        qty = min(Decimal(part), order.qty - order.filled)
        self.trades += 1
        one = fill(order.cid, self.trades, str(qty), side=order.side, venue_id=str(order.number))
        order.filled += qty
        order.fills.append(one)
        self.say(order, (one,))
        if order.filled == order.qty:
            order.state = "filled"

    @precondition(lambda self: any(o.state == "open" for o in self.venue))
    @rule(pick=PICK)
    def it_cancels(self, pick: int) -> None:
        order = self.one_of("open", pick)
        order.state = "canceled"
        self.say(order)

    # ------------------------------------------------------------------ what we hear
    @precondition(lambda self: self.inbox)
    @rule(pick=PICK)
    def we_hear_something(self, pick: int) -> None:
        item = self.inbox.pop(pick % len(self.inbox))
        self.told.append(item)
        self.stage.tell(item)

    @precondition(lambda self: self.told)
    @rule(pick=PICK)
    def we_hear_it_again(self, pick: int) -> None:
        self.stage.tell(self.told[pick % len(self.told)])

    @precondition(lambda self: self.inbox)
    @rule(pick=PICK)
    def something_is_never_heard(self, pick: int) -> None:
        del self.inbox[pick % len(self.inbox)]

    @precondition(lambda self: self.venue)
    @rule(pick=PICK)
    def silence(self, pick: int) -> None:
        order = self.venue[pick % len(self.venue)]
        self.stage.tell(OutcomeUnknown(order.cid, BTC, "place", "deadline"))

    @precondition(lambda self: self.venue)
    @rule(pick=PICK)
    def a_cancel_is_refused(self, pick: int) -> None:
        order = self.venue[pick % len(self.venue)]
        no = CancelReject(
            client_order_id=order.cid, instrument_id=BTC, code=-2011, reason="?", ts_recv_ns=0
        )
        self.stage.tell(VenueCancelReject(no))

    @precondition(lambda self: self.venue)
    @rule(pick=PICK)
    def we_ask_and_are_answered(self, pick: int) -> None:
        """The venue knows what arrived; "does not exist" while it is on the road, or was lost."""
        order = self.venue[pick % len(self.venue)]
        if order.state in ("road", "lost", "rejected"):
            gone = NotFound(client_order_id=order.cid, instrument_id=BTC, ts_recv_ns=0)
            self.stage.tell(OrderAbsent(gone))
            self._expire_roads()
        else:
            self.stage.tell(VenueReport(self.shown(order, tuple(order.fills), ReportSource.QUERY)))

    # ------------------------------------------------------------------ the truth
    @invariant()
    def the_venue_never_holds_more_than_the_caps(self) -> None:
        long = short = position = Decimal(0)
        for order in self.venue:
            signed = order.filled if order.side is Side.BUY else -order.filled
            position += signed
            rest = order.qty - order.filled if order.can_still_trade else Decimal(0)
            if order.side is Side.BUY:
                long += rest
            else:
                short += rest
        assert position + long <= CAP, f"long {position + long} beyond {CAP}"
        assert short - position <= CAP, f"short {short - position} beyond {CAP}"

    @invariant()
    def no_order_is_forgotten_while_it_can_trade(self) -> None:
        for order in self.venue:
            if order.state == "open":
                ours = self.stage.order(order.cid)
                assert ours.status is not OrderStatus.REJECTED, f"{order.cid} REJECTED, and open"

    # ------------------------------------------------------------------ details
    def at(self, cid: ClientOrderId) -> AtVenue:
        return next(order for order in self.venue if order.cid == cid)

    def one_of(self, state: str, pick: int) -> AtVenue:
        found = [order for order in self.venue if order.state == state]
        return found[pick % len(found)]

    def say(self, order: AtVenue, fills: tuple[Fill, ...] = ()) -> None:
        self.inbox.append(VenueReport(self.shown(order, fills, ReportSource.STREAM)))

    def shown(
        self, order: AtVenue, fills: tuple[Fill, ...], source: ReportSource
    ) -> ExecutionReport:
        return report(
            order.cid,
            order.status(),
            cum=str(order.filled),
            qty=str(order.qty),
            side=order.side,
            fills=fills,
            source=source,
            venue_id=str(order.number),
        )

    def _expire_roads(self) -> None:
        """A request cannot arrive after its window: what the settling time rests on."""
        settled = self.stage.now_ns - self.stage.config.unknown_settle_ns
        for order in self.venue:
            if order.state == "road" and self.stage.order(order.cid).ts_approved_ns <= settled:
                order.state = "lost"


Exposure.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestExposure = Exposure.TestCase


def test_the_model_can_trade_at_all() -> None:
    world = Exposure()
    world.we_wish(Side.BUY, "0.1", 0)
    world.a_request_arrives(0, "open")
    world.we_hear_something(0)
    world.it_trades(0, "0.05")
    world.we_hear_something(0)
    assert world.stage.position() == "0.05"
    assert dec("0.05") == world.venue[0].filled
