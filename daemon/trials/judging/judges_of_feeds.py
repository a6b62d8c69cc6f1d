"""Judges of what a bot does when what it hears is late, lost, doubled or old."""

from collections.abc import Mapping
from decimal import Decimal

from daemon.model.amounts import plain
from daemon.trials.judging.ledger_checks import (
    Judge,
    Params,
    Problem,
    decided,
    doubled,
    order_words,
    request_words,
    since,
)
from daemon.trials.judging.observation import S_NS, LedgerFill, Observation, WireRequest
from daemon.trials.judging.pace import OrderPace
from daemon.trials.judging.trial_verdict import Verdict, finding, not_shown, passed


def _user_stream(observation: Observation, pace: OrderPace, params: Params) -> Verdict:
    """`reconnect_s`: 0 asks for no new subscription; `notice_s`: for the fill meanwhile."""
    if not observation.has_user_stream:
        return not_shown("the bot has no user data stream")
    begin, notice_s = observation.start_ns, float(params.get("notice_s", 10.0))
    measures: dict[str, str] = {}
    reconnect_s = float(params.get("reconnect_s", 0))
    # Behind a gate the venue's stream may be lost without the bot's: nothing is to be opened again.
    was_lost = not observation.venue_requests or any(
        row.name == "WS close" for row in observation.between(begin)
    )
    if reconnect_s and was_lost:
        again = [
            row for row in observation.between(begin) if row.subscribes_user and row.status == 200
        ]
        if not again or (again[0].ts_ns - begin) / S_NS > reconnect_s:
            rows = [row for row in observation.between(begin) if not row.is_request]
            return finding(
                f"no new user data stream within {reconnect_s:g} s of the loss of the last",
                request_words(observation, rows),
            )
        measures["time to reconnect"] = f"{(again[0].ts_ns - begin) / S_NS:.1f} s"
    fills = _forced_fills(observation)
    if not fills:
        return not_shown("no order of the bot was filled while its stream was disturbed")
    slow, worst_s = _unnoticed(observation, fills, notice_s)
    if slow:
        return finding(
            f"{len(slow)} of {len(fills)} fills had no consequence within {notice_s:g} s: it asked "
            "for no order, trade or balance, and placed nothing",
            [_fill_words(observation, one) for one in slow],
            **measures,
        )
    measures["time to notice a fill"] = f"{worst_s:.1f} s"
    return decided(
        [doubled(observation, pace) or _fallen_silent(observation, pace, fills, notice_s)],
        f"{len(fills)} fills while the stream was disturbed, all noticed, none taken twice",
        **measures,
    )


def _notices_fill(observation: Observation, pace: OrderPace, params: Params) -> Verdict:
    """`notice_s`: until the bot asks for its orders or places again."""
    fills = _forced_fills(observation)
    if not fills:
        return not_shown("no order of the bot was filled")
    slow, worst_s = _unnoticed(observation, fills, float(params.get("notice_s", 10.0)))
    if slow:
        return finding(
            f"{len(slow)} of {len(fills)} fills had no consequence",
            [_fill_words(observation, one) for one in slow],
        )
    return decided(
        [doubled(observation, pace)],
        f"{len(fills)} fills, all noticed",
        **{"time to notice a fill": f"{worst_s:.1f} s"},
    )


def _forced_fills(observation: Observation) -> list[LedgerFill]:
    begin = observation.mark("fill")
    return [one for one in observation.fills if one.ours and one.ts_ns >= begin]


def _unnoticed(
    observation: Observation, fills: list[LedgerFill], within_s: float
) -> tuple[list[LedgerFill], float]:
    """(fills without a consequence, the longest time of the others in seconds)."""
    slow, worst_ns = [], 0
    for fill in fills:
        after = [
            row.ts_ns
            for row in observation.between(fill.ts_ns)
            if row.status == 200 and _answers(row, fill)
        ]
        if after and after[0] - fill.ts_ns <= within_s * S_NS:
            worst_ns = max(worst_ns, after[0] - fill.ts_ns)
        elif observation.end_ns - fill.ts_ns > within_s * S_NS:
            slow.append(fill)
    return slow, worst_ns / S_NS


def _fallen_silent(
    observation: Observation, pace: OrderPace, fills: list[LedgerFill], within_s: float
) -> Problem | None:
    """A side that the bot fills again in calm water, and has given up here."""
    for key in sorted(pace.replaces):
        last = [one for one in fills if (one.symbol, one.side) == key][-1:]
        if not last or observation.end_ns - last[0].ts_ns < within_s * S_NS:
            continue
        there = [
            one for one in observation.open_at(observation.end_ns) if (one.symbol, one.side) == key
        ]
        later = [
            one for one in observation.accepted(last[0].ts_ns) if (one.symbol, one.side) == key
        ]
        if not there and not later:
            return Problem(
                f"after its last fill on {key[0]} {key[1]} it placed no order there any more; in "
                "calm water it does so each time",
                (_fill_words(observation, last[0]),),
            )
    return None


def _answers(row: WireRequest, fill: LedgerFill) -> bool:
    """Whether a request shows that the bot knows of a fill, or is about to."""
    return (
        row.asks_for_orders or row.asks_for_account or (row.is_place and row.symbol == fill.symbol)
    )


def _fill_words(observation: Observation, fill: LedgerFill) -> str:
    return (
        f"{since(observation, fill.ts_ns)}  order {fill.order_id} {fill.symbol} {fill.side} filled "
        f"{plain(fill.qty)} at {plain(fill.price)}; nothing followed"
    )


def _notices_cancel(observation: Observation, pace: OrderPace, params: Params) -> Verdict:
    """`notice_s`: until the bot asks for its orders or places again after they were cancelled."""
    begin, notice_s = observation.mark("strike"), float(params.get("notice_s", 10.0))
    gone = [one for one in observation.cancels if abs(one.ts_ns - begin) < S_NS // 2]
    if not gone:
        return not_shown("the bot had no open order that could be cancelled under it")
    after = [
        row
        for row in observation.between(begin + 1)
        if row.status == 200 and (row.is_place or row.asks_for_orders)
    ]
    if not after or after[0].ts_ns - begin > notice_s * S_NS:
        return finding(
            f"{len(gone)} of its orders were cancelled, and for {notice_s:g} s it neither asked "
            "for them nor placed again",
            [f"{since(observation, one.ts_ns)}  order {one.order_id} cancelled" for one in gone],
        )
    placed = observation.places(begin)
    refused = [row for row in observation.between(begin) if row.is_cancel and row.code == -2011]
    if len(refused) > int(params.get("max_refused", 5)):
        return finding(
            f"{len(refused)} cancels of orders that were gone", request_words(observation, refused)
        )
    measures = {"time to notice a cancel": f"{(after[0].ts_ns - begin) / S_NS:.1f} s"}
    if placed:
        measures["first new order after"] = f"{(placed[0].ts_ns - begin) / S_NS:.1f} s"
        span = max((observation.end_ns - begin) / S_NS, 1.0)
        measures["new orders a second"] = f"{len(placed) / span:.2f}"
    words = f"{len(gone)} orders cancelled under it; it noticed"
    return decided([doubled(observation, pace)], words, **measures)


def _market_stream(observation: Observation, pace: OrderPace, params: Params) -> Verdict:
    """`reconnect_s`: until a market stream is open again."""
    if not observation.has_market_stream:
        return not_shown("the bot has no market stream")
    begin, within_s = observation.mark("strike"), float(params.get("reconnect_s", 10.0))
    again = [
        row for row in observation.between(begin) if row.name == "STREAM open" and row.status == 200
    ]
    if not again or (again[0].ts_ns - begin) / S_NS > within_s:
        rows = [row for row in observation.between(begin) if not row.is_request]
        return finding(
            f"no market stream within {within_s:g} s of the loss of the last",
            request_words(observation, rows),
        )
    measures = {"time to reconnect": f"{(again[0].ts_ns - begin) / S_NS:.1f} s"}
    return decided([doubled(observation, pace)], "it connected again", **measures)


def _stale_data(observation: Observation, pace: OrderPace, params: Params) -> Verdict:
    """`grace_s`: so long data may stand still before it is old; `seconds`: how long it does."""
    begin = observation.mark("strike")
    ends = begin + int(float(params["seconds"]) * S_NS)
    grace_ns = int(float(params.get("grace_s", 4.0)) * S_NS)
    looked = [row for row in observation.between(begin, ends) if row.asks_for_data]
    if not looked and not observation.has_market_stream:
        return not_shown("the bot looked at no market data")
    late = [
        one
        for one in observation.accepted(begin + grace_ns, ends)
        if one.type in {"LIMIT", "LIMIT_MAKER", "MARKET"}
    ]
    if late:
        return finding(
            f"{len(late)} orders were placed after the market data had stood still for more than "
            f"{grace_ns / S_NS:g} s, while the market moved",
            [order_words(observation, one) for one in late],
            **{"orders on old data": str(len(late))},
        )
    expected = pace.per_s * (ends - begin - grace_ns) / S_NS
    if expected < 1:
        return not_shown(
            f"it placed nothing, but it would not have in calm water either ({expected:.1f} orders "
            "were to be expected)"
        )
    return passed(
        f"no order once the data had stood still for {grace_ns / S_NS:g} s; in calm water there "
        f"were {expected:.0f}",
        **{"orders on old data": "0"},
    )


def _old_prices(observation: Observation, pace: OrderPace, params: Params) -> Verdict:
    """`mark`: the deed after which the new price is to be known; `grace_s`."""
    begin = observation.mark(str(params.get("mark", "strike")))
    begin += int(float(params.get("grace_s", 3.0)) * S_NS)
    placed = [one for one in observation.accepted(begin) if one.price > 0]
    moved = [
        one
        for one in placed
        if _distance(one.price, observation.prices_before.get(one.symbol))
        < _distance(one.price, observation.prices_after.get(one.symbol))
    ]
    if moved:
        old = observation.prices_before[moved[0].symbol]
        new = observation.prices_after[moved[0].symbol]
        return finding(
            f"{len(moved)} orders were priced off the old price ({plain(old)}; the market stood at "
            f"{plain(new)})",
            [order_words(observation, one) for one in moved],
            **{"orders on old data": str(len(moved))},
        )
    if not placed:
        return not_shown("the bot placed no limit order after the price had moved")
    words = f"{len(placed)} orders after the move, all at the new price"
    return decided([doubled(observation, pace)], words)


def _distance(price: Decimal, other: Decimal | None) -> Decimal:
    return Decimal("Infinity") if other is None else abs(price - other)


def _depth_gap(observation: Observation, _pace: OrderPace, params: Params) -> Verdict:
    """`within_s`: until a new snapshot of the book is asked for."""
    begin, within_s = observation.mark("strike"), float(params.get("within_s", 6.0))
    diffs = any("@depth" in row.streams for row in observation.requests)
    if not diffs:
        return not_shown("the bot keeps no book from a stream of differences")
    again = [
        row
        for row in observation.between(begin)
        if row.name in {"REST GET /api/v3/depth", "WS depth", "STREAM open"} and row.status == 200
    ]
    if not again or (again[0].ts_ns - begin) / S_NS > within_s:
        return finding(
            f"one difference of the book was missing, and for {within_s:g} s it took no new "
            "snapshot"
        )
    seconds = (again[0].ts_ns - begin) / S_NS
    return passed("it took a new snapshot", **{"time to notice": f"{seconds:.1f} s"})


FEED_JUDGES: Mapping[str, Judge] = {
    "user-stream": _user_stream,
    "notices-fill": _notices_fill,
    "notices-cancel": _notices_cancel,
    "market-stream": _market_stream,
    "stale-data": _stale_data,
    "old-prices": _old_prices,
    "depth-gap": _depth_gap,
}
