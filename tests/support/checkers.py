"""What must hold after each step of a simulated session, judged by the venue's own books.

Nothing here trusts the engine's counters: exposure is computed from the venue's orders and trades
and from what the test's network still carries.
"""

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from daemon.core.canonical import canonical
from daemon.model.effects import Effect, Record, SendOrder, SendOrderList, SendReplace
from daemon.model.enums import OrderStatus, Side, TradingState
from daemon.model.ids import ClientOrderId
from daemon.model.inputs import Turn
from daemon.model.records import EventType
from daemon.venues.binance_spot.serving.units import decimal_of_e8
from tests.support.sim_lists import open_at_venue

if TYPE_CHECKING:
    from tests.support.sim_runner import SimRun

ZERO = Decimal(0)
FALSE_STOPS = {
    "position_mismatch",
    "testnet_wipe",
    "foreign_order",
    "lifecycle",
    "overfill",
    "unknown_own_order",
    "strategy_error",
}
"""Nothing in these runs may cause them: an incident of this kind is a false stop (promise P11)."""
CANCELS_PER_ORDER_MAX = 40


class Checker:
    """Holds a run to the promises, step by step and at rest."""

    def __init__(self, run: "SimRun") -> None:
        self.run = run
        self.approved: set[ClientOrderId] = set()
        self.was_sent: set[ClientOrderId] = set()
        self.cancels: Counter[ClientOrderId] = Counter()
        self.cum: dict[ClientOrderId, Decimal] = {}
        self.incidents: list[str] = []
        self.expected: set[str] = set()
        """Incidents that this run provokes on purpose."""
        self.foreign: set[int] = set()
        """Venue ids of orders on our account that others placed."""
        self.denied = 0
        self.fills = 0
        self.amended = 0
        self.orders = 0
        self._was_halted = True
        self._position = ZERO
        self._trades_seen = 0

    # ------------------------------------------------------------------ each step
    def before(self) -> None:
        self._was_halted = self.run.engine.trading_state is TradingState.HALTED

    def after(self, turn: Turn, effects: tuple[Effect, ...]) -> None:
        starting = getattr(turn.input, "method", "") == "start"
        for effect in effects:
            if isinstance(effect, Record):
                self._record(effect)
            elif isinstance(effect, SendOrder | SendReplace):
                order = effect.order if isinstance(effect, SendOrder) else effect.replace.order
                cid = order.client_order_id
                assert cid in self.approved, f"{cid} left without an approved record before it"
                assert starting or not self._was_halted, f"{cid} left while HALTED"
                self.orders += 1
            elif isinstance(effect, SendOrderList):
                ids = {one.client_order_id for one in effect.order_list.orders}
                assert ids <= self.approved, f"{ids} left without approved records before them"
                assert not self._was_halted, f"{ids} left while HALTED"
                self.orders += len(ids)
        self._exposure()
        self._quantities()

    def _record(self, record: Record) -> None:
        kind, fields = record.event_type, record.fields
        if kind is EventType.ORDER_APPROVED:
            assert fields["client_order_id"] not in self.approved, "a client order id used twice"
            self.approved.add(fields["client_order_id"])
        elif kind is EventType.FILL:
            self.fills += 1
        elif kind is EventType.ORDER_AMENDED:
            self.amended += 1
        elif kind is EventType.ORDER_DENIED:
            self.denied += 1
        elif kind is EventType.INCIDENT_OPENED:
            self.incidents.append(fields["trigger"])
            unwanted = FALSE_STOPS - self.expected
            assert fields["trigger"] not in unwanted, f"false stop: {fields['msg']}"

    def sent(self, cid: ClientOrderId) -> None:
        assert cid not in self.was_sent, f"{cid} was sent twice"
        self.was_sent.add(cid)

    def canceled(self, cid: ClientOrderId) -> None:
        self.cancels[cid] += 1
        assert self.cancels[cid] <= CANCELS_PER_ORDER_MAX, f"cancel storm on {cid}"

    def _exposure(self) -> None:
        """Position + open + on the wire, each side apart, never beyond the caps at the venue."""
        position = self.venue_position()
        long, short = position, -position
        orders = self.run.venue.accounts["main"].open_orders.values()
        ours = open_at_venue(one for one in orders if one.order_id not in self.foreign)
        for side, qty in (*ours, *self.run.wire.coming.values()):
            if side is Side.BUY:
                long += qty
            else:
                short += qty
        caps = self.run.capset.symbols["BTCUSDT"]
        assert long <= caps.position_long_base_max, f"long {long} beyond the cap at the venue"
        assert short <= caps.position_short_base_max, f"short {short} beyond the cap at the venue"

    def _quantities(self) -> None:
        for cid, order in self.run.engine._ctx.books.open.items():
            before = self.cum.get(cid, ZERO)
            assert order.cum_qty >= before, f"{cid}: cumulative quantity fell"
            assert order.cum_qty <= order.qty, f"{cid}: filled beyond its quantity"
            self.cum[cid] = order.cum_qty

    def venue_position(self) -> Decimal:
        """Σ signed trades less base fees, from the venue's own trade list."""
        rows = self.run.venue.accounts["main"].trades_from("BTCUSDT", 0)
        for row in rows[self._trades_seen :]:
            sign = 1 if row.side is Side.BUY else -1
            self._position += sign * decimal_of_e8(row.qty)
            if row.fee_asset == "BTC":
                self._position -= decimal_of_e8(row.fee)
        self._trades_seen = len(rows)
        return self._position

    def position_is_reset(self) -> None:
        """A wipe: the venue's trades began anew."""
        self._position = ZERO
        self._trades_seen = 0

    # ------------------------------------------------------------------ recovery and replay
    def recovery(self) -> None:
        """A recovered engine equals the live one, at this very turn."""
        run = self.run
        twin, gate, _ = run.new_engine(run.run_number)
        run.recover(twin, run.facts)
        twin.finish_recovery(run.now_ns)
        run.gate.risk.usage(run.now_ns)
        gate.risk.usage(run.now_ns)
        if twin.state_hash() != run.engine.state_hash():
            live, made = canonical(run.engine.state()), canonical(twin.state())
            differing = [key for key in live if live[key] != made[key]]
            raise AssertionError(f"recovered state differs in {_where(live, made)} {differing}")

    def replay(self) -> None:
        """Re-stepping the inputs of the last boot gives the same effects and hash."""
        run = self.run
        again, _, halt = run.new_engine(run.run_number)
        if run.facts_at_boot:
            run.recover(again, run.facts[: run.facts_at_boot])
            again.finish_recovery(run.booted_ns)
        for turn, effects in run.turns:
            made = again.step(turn)
            assert made == effects, f"turn {turn.seq} gave other effects when re-stepped"
            for effect in made:
                name = type(effect).__name__
                if name == "CloseHalt":
                    halt.close(effect.reason)  # type: ignore[union-attr]  # by its name
                elif name == "OpenHalt":
                    halt.open()
        assert again.state_hash() == run.engine.state_hash()

    # ------------------------------------------------------------------ at rest
    def at_rest(self) -> None:
        run = self.run
        books = run.engine._ctx.books
        venue = run.venue.accounts["main"]
        assert not venue.open_orders, "orders of ours are open at the venue"
        for order in books.orders.values():
            assert order.status.is_terminal or (
                order.status is OrderStatus.UNKNOWN and "unknown_order" in self.incidents
            ), f"{order.client_order_id} ended as {order.status}"
        held = run.gate.risk.books.positions().get(order_iid())
        ours = ZERO if held is None else held.qty
        assert ours == self.venue_position(), f"position {ours}, venue {self.venue_position()}"
        rows = venue.trades_from("BTCUSDT", 0)
        at_venue = {f"BTCUSDT:{row.trade_id}:{row.order_id}" for row in rows}
        booked = [f["exec_id"] for f in run.facts if f["event_type"] == "fill"]
        assert len(booked) == len(set(booked)), "a fill is booked twice"
        assert set(booked) == at_venue, "fills booked and fills at the venue differ"
        self._truth(venue)

    def _truth(self, venue: Any) -> None:
        """Order by order: REJECTED never was at the venue; what ended there ended here alike."""
        for order in self.run.engine._ctx.books.orders.values():
            at_venue = venue.history.named("BTCUSDT", order.client_order_id)
            if order.status is OrderStatus.REJECTED:
                assert at_venue is None, f"{order.client_order_id} REJECTED, and at the venue"
            elif at_venue is not None and order.status is not OrderStatus.UNKNOWN:
                theirs = str(at_venue.status).replace("EXPIRED_IN_MATCH", "EXPIRED")
                assert order.status == theirs, f"{order.client_order_id}: {order.status}, {theirs}"
                assert order.cum_qty == decimal_of_e8(at_venue.executed)
                leg, qty = order.order_list, decimal_of_e8(at_venue.qty)
                is_unsized = leg is not None and leg.is_paid and not qty  # its entry never filled
                assert is_unsized or order.qty == qty, f"{order.client_order_id}: amends"


def order_iid() -> Any:
    return "BTCUSDT@sim"


def _where(one: Any, other: Any, path: str = "") -> str:
    """The first place where two plain values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            if one.get(key) != other.get(key):
                return _where(one.get(key), other.get(key), f"{path}.{key}")
    if isinstance(one, list) and isinstance(other, list):
        for number, (left, right) in enumerate(zip(one, other, strict=False)):
            if left != right:
                return _where(left, right, f"{path}[{number}]")
    return f"{path}: live {one!r}, recovered {other!r}"[:600]
