"""What rules need and no input says: prices, the room to reduce, values with the order in them.

Rules of this file:
1. Each function stands in the table before the first rule that reads what it works out, and is
   reached only when every rule before it has passed.
2. Nothing is rounded in our favour; comparisons that follow multiply instead of dividing.
"""

from daemon.model.amounts import ZERO, floor_to
from daemon.model.enums import TradingState
from riskcaps.gate.rule import Case
from riskcaps.state.behaviour import duplicate_key
from riskcaps.state.conversion import PAR, worst_value
from riskcaps.words.order_kinds import BPS


def work_out_prices(case: Case) -> None:
    """`px`, unless the venue gives the price, and `ref_px`: mid, or the last trade."""
    top, caps, intent = case.top, case.caps, case.intent
    if case.is_market:
        far = top.ask_px if case.is_buy else top.bid_px
        stop, slip = intent.stop_price, caps.market_slippage_bps
        if stop is not None:
            far = max(stop, far) if case.is_buy else min(stop, far)
        if intent.extras is not None:
            trail = intent.extras.trailing_bps
            far = far * (BPS + trail if case.is_buy else BPS - trail) / BPS
        case.px = far * (BPS + slip if case.is_buy else BPS - slip) / BPS
    else:
        case.px = intent.price
    is_mid = caps.collar_reference == "mid"
    case.ref_px = (top.bid_px + top.ask_px) / 2 if is_mid else case.book.last


def work_out_room(case: Case) -> None:
    """`px` of a pegged order, `room`, `reducing` and `added`; a cut may make `qty` smaller."""
    given = case.given
    if case.is_pegged:
        edge = case.caps.collar_bps_max
        case.px = case.ref_px * (BPS + edge if case.is_buy else BPS - edge) / BPS
    if case.is_buy:
        room = -given.position - given.buys_open + given.buys_covered
    else:
        room = given.position - given.sells_open + given.sells_covered
    case.room = room = room + given.cover
    case.reducing = 0 < case.qty <= room
    if not case.reducing and room > 0 and must_reduce(case):
        cut = floor_to(room, case.book.qty_step)
        if cut > 0 and case.portfolio.reduce_oversized == "cut":
            case.qty, case.reducing = cut, True
    case.added = max(case.qty - given.cover, ZERO) if given.cover else case.qty


def must_reduce(case: Case) -> bool:
    """Whether only what strictly shrinks the position may pass."""
    is_reducing = case.risk.health.trading_state is TradingState.REDUCING
    return case.intent.reduce_only or is_reducing


def work_out_values(case: Case) -> None:
    """`order_px` and `value_px`: what the order is worth, and what its side is valued at."""
    px, ask, own = case.px or ZERO, case.top.ask_px, case.given.own_px.highest
    case.order_px = order_px = ask if ask > px else px  # noqa: FURB136 - max() costs thrice
    case.value_px = own if own is not None and own > order_px else order_px


def work_out_worth(case: Case) -> None:
    """`worth` and `raises`: the portfolio's worst case with the order in it."""
    given, rate = case.given, case.given.rate
    if case.reducing or rate is None:
        return
    long_worst = given.position + given.buys_open - given.buys_covered
    short_worst = given.sells_open - given.sells_covered - given.position
    if case.is_buy:
        case.raises = long_worst + case.added > max(short_worst, ZERO)
        long_worst += case.added
    else:
        case.raises = short_worst + case.added > max(long_worst, ZERO)
        short_worst += case.added
    gross, net_long, net_short = worst_value(
        long_worst, short_worst, case.value_px, case.top.bid_px, rate
    )
    valuation, active = case.risk.valuation, case.risk.books.active
    for other_id in given.others:
        worth = valuation.worst(active[other_id])
        if worth is not None:
            gross += worth[0]
            net_long += worth[1]
            net_short += worth[2]
    case.worth = gross, net_long, net_short


def work_out_turnover(case: Case) -> None:
    """`total`: value of the day, traded, open, and this order."""
    given, quote = case.given, case.book.quote
    total, own = ZERO, case.qty * case.order_px
    for asset, traded, is_open, rate in given.turnover:
        value = traded + is_open
        if asset == quote:
            value, own = value + own, ZERO
        if rate is None:
            case.total = asset
            return
        total += value if rate is PAR else value * rate[1]
    if own and given.rate is None:
        case.total = quote
        return
    case.total = total + own * given.rate[1] if own and given.rate is not None else total


def look_for_twin(case: Case) -> None:
    """`key`, and when such an order was last approved."""
    intent = case.intent
    px = intent.stop_price if intent.price is None else intent.price
    owner = case.given.owner
    case.key = duplicate_key(case.instrument_id, owner, px, case.qty, is_buy=case.is_buy)
    case.given.duplicate_ns = case.risk.behaviour.last_seen_ns(case.key, case.now_ns)
