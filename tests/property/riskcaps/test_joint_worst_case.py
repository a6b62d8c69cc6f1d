"""What an order list holds is the worst that any sequence of trades of its orders could make of it.

The judge knows no holds. It plays every way in which the open orders may still trade (each order
alone by nothing, half or all of it; of an OCO one leg at most, and together never more than the
list's quantity; of an OTO what is pending only when the first order is filled wholly, and never
when that has ended with a rest) and takes the extremes of the position: the gate must say the same,
not more and not less. What may be traded in a day counts from the start: that is the same game
played without asking whose turn it is. Then a trade, an end or an acknowledgement happens, in any
order that a venue and its lost messages allow, and all is played again. A fill may be told late, of
the first order even after those of the orders behind it.
"""

import itertools
import random
from dataclasses import dataclass
from decimal import Decimal

from daemon.model.copies import replace
from daemon.model.enums import OrderType, Side
from daemon.model.ids import ClientOrderId, StrategyId
from daemon.model.intents import PlaceIntent
from daemon.model.list_legs import Contingency, ListLeg
from daemon.model.position import Balance
from riskcaps.gate.interceptor import Approved, Denied, Interceptor, ListVerdict
from riskcaps.state.risk_state import RiskState
from riskcaps.state.symbol_book import SymbolBook
from riskcaps.words.denials import DenyReason
from tests.unit.riskcaps.kit import (
    BTC,
    SYMBOL,
    T0,
    D,
    bare_gate,
    caps_of,
    fill,
    instrument,
    symbol_caps,
    tell,
    wish,
)

ZERO = Decimal(0)
HALF = Decimal("0.5")
WIDE = {
    "position_long_base_max": "900", "position_short_base_max": "900",
    "exposure_quote_max": "900000", "order_notional_quote_max": "9000", "orders_open_max": 100,
    "orders_per_minute_max": 9000, "collar_bps_max": 9000,
}  # fmt: skip
PORTFOLIO = {
    "exposure_gross_numeraire_max": "900000", "exposure_net_numeraire_max": "900000",
    "orders_open_max": 100, "orders_per_second_max": 9000, "messages_per_second_max": 9000,
    "orders_per_minute_max": 9000, "duplicate_window_ms": 1, "loss_session_numeraire_max": "90000",
    "loss_day_numeraire_max": "90000", "drawdown_numeraire_max": "90000", "loss_streak_max": 1000,
    "executions_without_human_max": 90000,
}  # fmt: skip
BOT = StrategyId("bot:ft")


@dataclass(slots=True)
class Leg:
    """One order as the judge knows it."""

    cid: ClientOrderId
    side: Side
    px: Decimal
    is_open: bool = True
    traded: Decimal = ZERO


@dataclass(slots=True)
class Part:
    """What trades together: one order, or the legs of an OCO."""

    qty: Decimal
    legs: list[Leg]
    done: Decimal = ZERO
    after: "Part | None" = None
    """Of an OTO's pending part: what must be filled before it works."""

    @property
    def left(self) -> Decimal:
        """What may still trade of it."""
        return self.qty - self.done

    def ways(self) -> list[tuple[Decimal, Decimal]]:
        """Each way that it may still trade: signed quantity, and what is paid or taken in quote."""
        left = self.qty - self.done
        able = [leg for leg in self.legs if leg.is_open]  # an end counts when the venue has told it
        found = [(ZERO, ZERO)]
        for leg, share in itertools.product(able, (HALF, Decimal(1))):
            qty = left * share
            found.append((qty if leg.side is Side.BUY else -qty, qty * leg.px))
        return found


def oco(side: Side, qty: str, down: str, up: str) -> list[PlaceIntent]:
    """A resting leg on the one side of the market, a stop on the other."""
    limit, stop = (down, up) if side is Side.BUY else (up, down)
    rests = wish(
        side.value, qty, limit, order_type=OrderType.LIMIT_MAKER, time_in_force=None,
        strategy_id=BOT,
    )  # fmt: skip
    waits = wish(
        side.value, qty, stop, order_type=OrderType.STOP_LOSS_LIMIT, stop_price=D(stop),
        strategy_id=BOT,
    )  # fmt: skip
    legs = [waits, rests] if side is Side.BUY else [rests, waits]
    return [
        replace(one, order_list=ListLeg(list_id="", contingency=Contingency.OCO, leg=leg, legs=2))
        for leg, one in enumerate(legs)
    ]


def may_work(part: Part, way: dict[int, Decimal] | None = None) -> bool:
    """Whether the venue would let it trade; `way`: what is traded meanwhile, by part."""
    before = part.after
    return before is None or before.left == (way or {}).get(id(before), ZERO)


class Venue:
    """A gate, and what its orders may still do."""

    def __init__(self, seed: int) -> None:
        self.rnd = random.Random(seed)
        self.now = T0
        table = {**PORTFOLIO, "bots": {"ft": {"orders_open_max": 90}}}
        data = caps_of(symbols={"BTCUSDT": symbol_caps(**{**SYMBOL, **WIDE})}, **table)
        self.data = data
        self.gate = tell(bare_gate(data))
        self.gate.risk.on_instruments([instrument(algo_orders_open_max=50)])
        money = [Balance("USDT", D(900_000), ZERO), Balance("BTC", D(900), ZERO)]
        self.gate.risk.on_balances(money, self.now)
        self.parts: list[Part] = []
        self.position = self.told = ZERO
        self.owed: list[tuple[Leg, Decimal]] = []
        """Trades that nobody has told yet, oldest first."""
        self.trades = self.fills = 0

    # ------------------------------------------------------------------ what happens
    def turn(self) -> None:
        self.now += 20_000_000
        if self.rnd.random() < 0.3:
            self.tell_fills()
        roll = self.rnd.random()
        if roll < 0.2 and len(self.parts) < 4:
            self.place_alone()
        elif roll < 0.45 and len(self.parts) < 4:
            self.place_oco()
        elif roll < 0.65 and len(self.parts) < 3:
            self.place_oto()
        elif self.parts:
            self.something(self.rnd.choice(self.parts))

    def place_alone(self) -> None:
        side, qty = self.rnd.choice(list(Side)), D(self.rnd.choice(["0.2", "0.6", "1"]))
        px = D(98 if side is Side.BUY else 102)
        answer = self.gate.review(wish(side.value, str(qty), str(px), strategy_id=BOT), self.now)
        if isinstance(answer, Denied):
            assert answer.reason is DenyReason.SELF_TRADE, answer
            return
        self.parts.append(Part(qty, [Leg(answer.order.client_order_id, side, px)]))

    def place_oco(self) -> None:
        side, qty = self.rnd.choice(list(Side)), D(self.rnd.choice(["0.2", "0.6", "1"]))
        down, up = self.rnd.choice(["98", "97.5"]), self.rnd.choice(["103", "104.5"])
        self.hold_list(oco(side, str(qty), down, up), qty)

    def place_oto(self) -> None:
        """An order, and behind it another one or a pair, on the other side or on its own."""
        side, behind = self.rnd.choice(list(Side)), self.rnd.choice(list(Side))
        qty, more = (D(self.rnd.choice(["0.2", "0.6", "1"])) for _ in range(2))
        pair = oco(behind, str(more), "97.5", "104.5")
        if self.rnd.random() < 0.5:
            pair = [one for one in pair if one.order_type is OrderType.LIMIT_MAKER]
        px = "98.5" if side is Side.BUY else "101.5"
        legs = [wish(side.value, str(qty), px, strategy_id=BOT), *pair]
        intents = [
            replace(
                one,
                order_list=ListLeg(
                    list_id="", contingency=Contingency.OTO, leg=leg, legs=len(legs)
                ),
            )
            for leg, one in enumerate(legs)
        ]
        verdict = self.gate.review_list(intents, Contingency.OTO, self.now)
        if verdict.order_list is None:
            self.withdraw(verdict)
            return
        first, *rest = (
            Leg(order.client_order_id, order.side, order.price or ZERO)
            for order in verdict.order_list.orders
        )
        self.parts.append(Part(qty, [first]))
        self.parts.append(Part(more, rest, after=self.parts[-1]))

    def withdraw(self, verdict: ListVerdict) -> None:
        """It crosses an own order: what was minted of it ends as never sent."""
        *minted, last = verdict.decided
        assert isinstance(last, Denied)
        assert last.reason is DenyReason.SELF_TRADE, last
        for one in minted:
            assert isinstance(one, Approved)
            self.gate.risk.on_terminal(one.order.client_order_id, self.now)

    def hold_list(self, intents: list[PlaceIntent], qty: Decimal) -> None:
        verdict = self.gate.review_list(intents, Contingency.OCO, self.now)
        if verdict.order_list is None:
            assert len(verdict.decided) == 1, "it was previewed: nothing was minted"
            self.withdraw(verdict)
            return
        legs = [
            Leg(order.client_order_id, order.side, order.price or ZERO)
            for order in verdict.order_list.orders
        ]
        self.parts.append(Part(qty, legs))

    def something(self, part: Part) -> None:
        """A trade at the venue, an end that we are told, or an acknowledgement."""
        leg = self.rnd.choice(part.legs)
        begun = [one for one in part.legs if one.traded]
        roll = self.rnd.random()
        if roll < 0.2:
            self.gate.risk.on_known(leg.cid, self.now)
        elif roll < 0.65 and leg.is_open and (not begun or leg in begun) and may_work(part):
            left = part.qty - part.done
            qty = left if self.rnd.random() < 0.5 else (left / 2).quantize(D("0.001"))
            if not qty:
                return
            self.trades += 1
            part.done += qty
            leg.traded += qty
            self.position += qty if leg.side is Side.BUY else -qty
            self.owed.append((leg, qty))
            if not self.is_first(part) or self.rnd.random() < 0.6:
                self.tell_fills(leg)
            if part.done == part.qty:
                leg.is_open = False
        elif leg.is_open:
            leg.is_open = False
            missing = sum((qty for one, qty in self.owed if one is leg), ZERO)
            if missing:
                self.gate.risk.on_leaves(leg.cid, missing)
                for risk in self.scopes(self.gate):
                    risk.books.never_fills(leg.cid)
            else:
                self.gate.risk.on_terminal(leg.cid, self.now)
        if not any(one.is_open for one in part.legs):
            self.parts.remove(part)

    def is_first(self, part: Part) -> bool:
        return any(one.after is part for one in self.parts)

    def tell_fills(self, leg: Leg | None = None) -> None:
        """The trades of an order that were not told yet; without one of all."""
        due = [one for one in self.owed if leg is None or one[0] is leg]
        self.owed = [one for one in self.owed if one not in due]
        for one, qty in due:
            self.fills += 1
            self.told += qty if one.side is Side.BUY else -qty
            told = fill(one.cid, one.side.value, str(qty), str(one.px), exec_id=str(self.fills))
            notices = self.gate.risk.on_fill(told, self.now)
            assert not notices, "a fill is no breach, in whatever order fills are told"

    # ------------------------------------------------------------------ the judge
    def judge(self) -> None:
        ways = [part.ways() for part in self.parts]
        reached = [
            (
                sum((qty for qty, _ in way if qty > 0), ZERO),
                sum((-qty for qty, _ in way if qty < 0), ZERO),
                sum((money for _, money in way), ZERO),
            )
            for way in itertools.product(*ways)
        ]
        positions = [
            self.position + sum((qty for qty, _ in way), ZERO)
            for way in itertools.product(*ways)
            if self.is_possible([qty for qty, _ in way])
        ]
        late = [sum((q for one, q in self.owed if one.side is side), ZERO) for side in Side]
        worst_buys = max(buys for buys, _, _ in reached) + late[0]
        worst_sells = max(sells for _, sells, _ in reached) + late[1]
        worst_money = max(money for _, _, money in reached)
        for risk in self.scopes(self.gate):
            book = self.book_of(risk)
            assert book.position == self.told
            assert (book.buys_open, book.sells_open) == (worst_buys, worst_sells)
            # What has traded and is not told may still stand on the other side as not traded.
            assert ZERO <= book.long_worst() - max(positions) <= late[1]
            assert ZERO <= book.short_worst() + min(positions) <= late[0]
            assert risk.books.account("USDT").open_notional >= worst_money
            open_orders = {leg.cid for part in self.parts for leg in part.legs if leg.is_open}
            open_orders |= {leg.cid for leg, _ in self.owed}
            assert book.open_count == len(risk.books.holds) == len(open_orders)
        if self.now % 5:
            return
        twin = bare_gate(self.data)
        twin.restore(self.gate.state())
        for mine, theirs in zip(self.scopes(self.gate), self.scopes(twin), strict=True):
            one, other = self.book_of(mine), self.book_of(theirs)
            assert (one.buys_open, one.sells_open) == (other.buys_open, other.sells_open)
            assert (one.long_worst(), one.short_worst()) == (
                other.long_worst(),
                other.short_worst(),
            )
        assert twin.state() == self.gate.state()

    def is_possible(self, way: list[Decimal]) -> bool:
        """Whether a venue would let it come so: nothing pending trades before its turn."""
        traded = {id(part): abs(qty) for part, qty in zip(self.parts, way, strict=True)}
        return all(
            not qty or may_work(part, traded) for part, qty in zip(self.parts, way, strict=True)
        )

    def scopes(self, gate: Interceptor) -> list[RiskState]:
        return [gate.risk, gate.risk.bots.by_name["ft"]]

    def book_of(self, risk: RiskState) -> SymbolBook:
        return risk.books.book(BTC)


def test_a_list_holds_what_the_worst_sequence_of_trades_could_make_of_it() -> None:
    trades = 0
    for seed in range(40):
        venue = Venue(seed)
        for _ in range(30):
            venue.turn()
            try:
                venue.judge()
            except AssertionError as error:
                error.args = (f"seed {seed}: {error}",)
                raise
        trades += venue.trades
    assert trades > 120, trades


def test_an_oco_of_all_that_may_be_sold_passes_and_twice_as_much_does_not() -> None:
    """The cap is full with one leg: the other one takes no more of it."""
    for qty, passes in (("2", True), ("2.001", False)):
        table = caps_of(
            symbols={
                "BTCUSDT": symbol_caps(
                    **{**WIDE, "position_short_base_max": "2", "order_qty_base_max": "9"}
                )
            },
            **PORTFOLIO,
        )
        gate = tell(bare_gate(table))
        intents = oco(Side.SELL, qty, "99.00", "103.00")
        verdict = gate.review_list(intents, Contingency.OCO, T0)
        assert (verdict.order_list is not None) is passes
        assert len(gate.risk.books.holds) == (2 if passes else 0), "what is denied holds nothing"
        assert gate.risk.books.book(BTC).sells_open == (D(qty) if passes else ZERO)
