"""Orders and messages in every rolling window of the caps, counted where their bytes leave.

Rules of this file:
1. The gate counts approvals, and an approval may wait: for the journal, a long turn, a connection.
   What waits longer than what follows it comes closer to it, in a window of any length. So the
   caps are kept a second time at the bytes, whatever was approved when.
2. A send happened somewhere between the clock before and the clock after it; each side is taken for
   the worse. The venue stamps what arrives, and one order may travel faster than another: each
   window is widened by `TRAVEL_NS`.
3. What finds no room has not left: the order is ended as never sent.
4. Cancels and amends are counted with the messages and never held back: they take risk away.
5. A new run knows of the runs before what the gate knows: when each was approved. Its bytes left by
   `RESTART_NS` later, or by the boot.
"""

from collections.abc import Callable
from itertools import accumulate, chain
from typing import TYPE_CHECKING

from riskcaps.state.windows import MINUTE_NS, SECOND_NS, CancelCounts, OrderCounts, RollingCount

if TYPE_CHECKING:  # a second process that stops us has no caps, and waits for every import
    from riskcaps.state.risk_state import RiskState
    from riskcaps.words.capset import CapSet

TRAVEL_NS = 100_000_000
"""How much longer the way of one order to the venue may be than that of another."""
RESTART_NS = SECOND_NS
"""How long an approval of an earlier run may have waited for its bytes."""
_ENDLESS = 1 << 62
_NAMES = (
    "orders_per_second",
    "orders_per_minute",
    "orders_per_hour",
    "orders_per_day",
    "messages_per_second",
    "messages_per_minute",
)


class _Travelling:
    """Keeps what has left by so much longer than its window."""

    __slots__ = ()

    def _prune(self, now_ns: int) -> None:
        super()._prune(now_ns - TRAVEL_NS)  # type: ignore[misc] # a mixin of _Stamps


class _Orders(_Travelling, OrderCounts):
    __slots__ = ()


class _Messages(_Travelling, CancelCounts):
    __slots__ = ()


class _Symbol(_Travelling, RollingCount):
    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(MINUTE_NS)


class OrderRate:
    """One per venue link, for both of its routes."""

    __slots__ = ("_messages", "_orders", "_room", "_room_by", "_rooms", "_symbols", "caps")

    def __init__(self, caps: "Callable[[], CapSet] | None" = None) -> None:
        """`caps`: those that are in force now; None: there are none."""
        self.caps = caps
        self._orders = _Orders()
        self._messages = _Messages()
        self._symbols: dict[str, _Symbol] = {}
        self._room = 0
        self._rooms: dict[str, int] = {}
        """Orders that fit for sure, of all and of a symbol, by the caps `_room_by`: what was left
        at the last look, less what has left since. What leaves a window only makes more."""
        self._room_by: CapSet | None = None

    def refusal(self, symbol: str, now_ns: int, orders: int = 1) -> str:
        """Why an order, or a list of `orders`, may not leave now, or empty.

        Call `left` right after its bytes.
        """
        if self.caps is None:
            return ""
        caps = self.caps()
        if caps is self._room_by and orders <= self._room and orders <= self._rooms.get(symbol, 0):
            return ""
        if caps is not self._room_by:
            self._room_by = caps
            self._rooms.clear()
        at_ns = now_ns - TRAVEL_NS
        counted = (*self._orders.counts(at_ns), *self._messages.counts(at_ns))
        limits = (
            caps.orders_per_second_max,
            caps.orders_per_minute_max,
            caps.orders_per_hour_max,
            caps.orders_per_day_max,
            caps.messages_per_second_max,
            caps.messages_per_minute_max,
        )
        self._room = min(limit - count for limit, count in zip(limits, counted, strict=True))
        of_symbol = caps.for_instrument(symbol)
        room = _ENDLESS
        if of_symbol is not None:
            room = of_symbol.orders_per_minute_max - self._of(symbol).count(at_ns)
        self._rooms[symbol] = room
        for name, count, limit in zip(_NAMES, counted, limits, strict=True):
            if count + orders > limit:
                return _full(name, count + orders - 1, limit)
        if of_symbol is None or orders <= room:
            return ""
        limit = of_symbol.orders_per_minute_max
        return _full(f"orders_per_minute of {symbol}", limit - room + orders - 1, limit)

    def left(self, symbol: str, now_ns: int, orders: int = 1) -> None:
        """The bytes of an order, or of a list of `orders`, have left, at the latest now."""
        if self.caps is None:
            return
        for _ in range(orders):
            self._orders.add(now_ns)
            self._messages.add(now_ns)
            self._of(symbol).add(now_ns)
        self._room -= orders
        if symbol in self._rooms:
            self._rooms[symbol] -= orders

    def message_left(self, now_ns: int) -> None:
        """The bytes of a cancel or an amend have left, at the latest now."""
        if self.caps is not None:
            self._messages.add(now_ns)
            self._room -= 1

    def follow(self, gate: "RiskState | None", now_ns: int) -> None:
        """Take the gate's caps, and what earlier runs sent by the approvals that it has kept."""
        if gate is None:
            return
        self.caps, self._room_by = lambda: gate.capset, None
        orders = _left_at(gate.windows.orders, now_ns)
        self._orders.restore(_deltas(orders))
        self._messages.restore(
            _deltas(sorted(chain(orders, _left_at(gate.windows.cancels, now_ns))))
        )
        for instrument_id, book in gate.books.by_id.items():
            self._of(instrument_id).restore(_deltas(_left_at(book.minute, now_ns)))

    def _of(self, symbol: str) -> _Symbol:
        found = self._symbols.get(symbol)
        if found is None:
            found = self._symbols[symbol] = _Symbol()
        return found


def _full(name: str, count: int, limit: int) -> str:
    return f"{name}: {count} have left within the window, cap {limit}"


def _left_at(kept: OrderCounts | CancelCounts | RollingCount, now_ns: int) -> list[int]:
    return [min(stamp + RESTART_NS, now_ns) for stamp in accumulate(kept.state(now_ns))]


def _deltas(stamps: list[int]) -> list[int]:
    return [stamp - before for stamp, before in zip(stamps, [0, *stamps], strict=False)]
