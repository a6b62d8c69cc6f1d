"""Every interleaving of a few orders' reports: nothing is held too little or kept too long.

The model is the dumbest possible: for each order the quantity that the reports have not yet taken
away. After every single report the gate's worst case must equal it, and after the last one nothing
may be left behind.
"""

from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations_with_replacement, product

import pytest

from daemon.model.ids import ClientOrderId
from riskcaps.gate.interceptor import Interceptor
from tests.unit.riskcaps.kit import (
    BTC,
    T0,
    approve,
    caps_of,
    fill,
    ready,
    symbol_caps,
    tell,
    wish,
)  # fmt: skip

# One order's quantity is 4 (hundredths of the cap, so that nothing is ever denied).
REPORTS = ("ack", "part", "rest", "again", "cancel", "reject", "unknown", "late")
"""part: a fill of 1; rest: a fill of all that is left; again: the last fill told again; late: a
fill of 1 whatever has ended."""


def interleavings(scripts: tuple[tuple[str, ...], ...]) -> Iterator[tuple[tuple[int, str], ...]]:
    """Every merge of the scripts that keeps each one's order."""
    lefts = [i for i, script in enumerate(scripts) if script]
    if not lefts:
        yield ()
        return
    for i in lefts:
        rest = tuple(s[1:] if k == i else s for k, s in enumerate(scripts))
        for tail in interleavings(rest):
            yield ((i, scripts[i][0]), *tail)


class Scope:
    """One gate, used for thousands of small worlds: each ends where it began."""

    def __init__(self) -> None:
        wide = symbol_caps(
            orders_per_minute_max=10**9, traded_qty_per_day_base_max="1000000000",
            position_long_base_max="100000000", position_short_base_max="100000000",
            exposure_quote_max="10000000000", orders_open_max=9,
        )  # fmt: skip
        self.gate: Interceptor = ready(
            caps_of(
                symbols={"BTCUSDT": wide}, orders_per_second_max=10**9, orders_per_minute_max=10**9,
                orders_per_hour_max=10**9, orders_per_day_max=10**9, messages_per_second_max=10**9,
                messages_per_minute_max=10**9, order_to_trade_grace_orders=10**9,
                traded_notional_per_day_numeraire_max="10000000000", loss_streak_max=10**9,
                executions_without_human_max=10**9, venue_reject_streak_max=10**9,
                exposure_gross_numeraire_max="10000000000", loss_day_numeraire_max="10000000000",
                exposure_net_numeraire_max="10000000000", drawdown_numeraire_max="10000000000",
                loss_session_numeraire_max="10000000000", balance_free_min={},
            )
        )  # fmt: skip
        self.trades = self.worlds = 0
        self.now = T0

    def play(self, sides: tuple[str, ...], story: tuple[tuple[int, str], ...]) -> None:
        """Place the orders, tell the story, and compare after every word of it."""
        gate = self.gate
        tell(gate, self.now)
        names = []
        for i, side in enumerate(sides):
            self.now += 2_000_000
            price = f"{99 - i}.00" if side == "BUY" else f"{101 + i}.00"
            names.append(approve(gate, wish(side, "0.4", price), self.now))
        left = [4] * len(sides)
        ended = [False] * len(sides)
        unknown = [False] * len(sides)
        position = 0
        last = [""] * len(sides)
        for i, report in story:
            qty = {"part": 1, "late": 1, "rest": 0 if ended[i] else left[i]}.get(report, 0)
            if report == "again" and last[i]:
                self.tell_fill(names[i], sides[i], 1, last[i])
            elif qty:
                self.trades += 1
                last[i] = str(self.trades)
                self.tell_fill(names[i], sides[i], qty, last[i])
                position += qty if sides[i] == "BUY" else -qty
                if not ended[i]:
                    left[i] = max(left[i] - qty, 0)
                    ended[i] = left[i] == 0
            elif report in {"cancel", "reject"}:
                end = gate.risk.on_terminal if report == "cancel" else gate.risk.on_venue_reject
                end(names[i], self.now)
                ended[i] = True
            elif report == "ack":
                gate.risk.on_known(names[i], self.now)
                unknown[i] = False
            elif report == "unknown":
                gate.risk.on_unknown(names[i], self.now)
                unknown[i] = True
            self.compare(sides, left, ended, unknown, position)
        for name in names:
            gate.risk.on_terminal(name, self.now)
        self.compare(sides, left, [True] * len(sides), unknown, position)
        self.nothing_is_left()
        self.worlds += 1

    def tell_fill(self, name: ClientOrderId, side: str, qty: int, exec_id: str) -> None:
        told = fill(name, side, str(Decimal(qty) / 10), "100", exec_id=f"{side}:{exec_id}")
        self.gate.risk.on_fill(told, self.now)

    def compare(
        self, sides: tuple[str, ...], left: list[int], ended: list[bool], unknown: list[bool],
        position: int,
    ) -> None:  # fmt: skip
        book = self.gate.risk.books.book(BTC)
        alive = [i for i in range(len(sides)) if not ended[i]]
        buys = sum(left[i] for i in alive if sides[i] == "BUY")
        sells = sum(left[i] for i in alive if sides[i] == "SELL")
        assert self.gate.risk.books.open_worst_case(BTC) == (
            Decimal(position + buys) / 10,
            Decimal(sells - position) / 10,
        )
        assert book.unknown_count == sum(unknown[i] for i in alive)
        assert book.open_count == len(alive) == len(self.gate.risk.books.holds)

    def nothing_is_left(self) -> None:
        gate, book = self.gate, self.gate.risk.books.book(BTC)
        assert not gate.risk.books.holds
        assert not book.buy_pxs
        assert not book.sell_pxs
        assert book.buys_open == book.sells_open == 0
        assert book.unknown_count == book.stops_open == 0
        for account in gate.risk.books.accounts.values():
            assert account.inflight == 0
            assert account.open_notional == 0
            assert account.unsettled >= 0
        gate.risk.wipe("next world", self.now)
        gate.risk.re_enable("model check", self.now)


def test_one_order_every_sequence_of_four_reports() -> None:
    scope = Scope()
    for story in product(REPORTS, repeat=4):
        scope.play(("BUY",), tuple((0, report) for report in story))
    assert scope.worlds == len(REPORTS) ** 4


SCRIPTS = (
    ("ack", "part", "cancel", "late"),
    ("unknown", "ack", "rest"),
    ("part", "ack", "again", "rest"),
    ("unknown", "late", "reject"),
    ("ack", "cancel", "late", "again"),
    ("reject", "late"),
)


@pytest.mark.parametrize("sides", [("BUY", "SELL"), ("BUY", "BUY")])
def test_two_orders_every_interleaving(sides: tuple[str, ...]) -> None:
    scope = Scope()
    for scripts in product(SCRIPTS, repeat=2):
        for story in interleavings(scripts):
            scope.play(sides, story)
    assert scope.worlds == 1266, "every world was lived through to its end"


def test_three_orders_every_interleaving() -> None:
    scope = Scope()
    short = (("ack", "rest"), ("unknown", "late"), ("part", "cancel"))
    for scripts in combinations_with_replacement(short, 3):
        for story in interleavings(scripts):
            scope.play(("BUY", "SELL", "BUY"), story)
    assert scope.worlds == 10 * 90, "every world was lived through to its end"
