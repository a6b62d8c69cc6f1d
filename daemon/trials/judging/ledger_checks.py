"""Questions that several judges ask of one observation; each answer is a problem or none."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from daemon.model.amounts import plain
from daemon.trials.judging.observation import S_NS, LedgerOrder, Observation, WireRequest
from daemon.trials.judging.pace import OrderPace
from daemon.trials.judging.trial_verdict import Verdict, finding, passed

Params: TypeAlias = Mapping[str, Any]
Judge: TypeAlias = Callable[[Observation, OrderPace, Params], Verdict]
FEW = 3
"""Refusals that prove no hammering yet."""
SLACK_S = 0.5
"""Deeds take a moment: so much less than asked may be watched."""


class Problem(msgspec.Struct, frozen=True):
    """One thing that the ledger holds against the bot."""

    words: str
    evidence: tuple[str, ...] = ()


def decided(
    problems: Iterable[Problem | None],
    because: str,
    shown: Iterable[str] = (),
    **measures: object,
) -> Verdict:
    """A finding of all problems that there are; without one, a pass with what is `shown`."""
    found = [problem for problem in problems if problem is not None]
    if not found:
        return passed(because, shown, **measures)
    evidence = [line for problem in found for line in problem.evidence]
    return finding("; ".join(problem.words for problem in found), evidence, **measures)


def since(observation: Observation, ts_ns: int) -> str:
    """Seconds of the trial, as evidence lines print them."""
    return f"{(ts_ns - observation.start_ns) / S_NS:7.3f} s"


def order_words(observation: Observation, order: LedgerOrder) -> str:
    """One line of evidence about one order."""
    return (
        f"{since(observation, order.ts_ns)}  order {order.order_id} {order.symbol} {order.side} "
        f"{plain(order.qty)} at {plain(order.price)}: {order.status}, "
        f"{plain(order.executed)} executed"
    )


def request_words(observation: Observation, rows: Collection[WireRequest]) -> tuple[str, ...]:
    """Lines of evidence about requests."""
    return tuple(row.words(observation.start_ns) for row in rows)


def doubled(
    observation: Observation, pace: OrderPace, from_ns: int | None = None
) -> Problem | None:
    """More orders open at once on one symbol and side than the bot keeps in calm water."""
    if not pace.most_open:
        return None  # its pace is not known
    for key, (count, moment) in observation.most_open(from_ns).items():
        allowed = pace.allows_open(key)
        if count <= allowed:
            continue
        symbol, side = key
        there = [one for one in observation.open_at(moment) if (one.symbol, one.side) == key]
        return Problem(
            f"{count} orders of the bot stood open at once on {symbol} {side}; in calm water it "
            f"keeps at most {pace.most_open.get(key, allowed)}",
            tuple(order_words(observation, one) for one in there),
        )
    return None


def blind_resends(observation: Observation) -> tuple[list[WireRequest], Problem | None]:
    """(placements without a clear answer, what was sent again without a look at the first)."""
    places = observation.places()
    unclear = [row for row in places if row.was_unclear]
    evidence: list[str] = []
    count = 0
    for row in unclear:
        later = [
            one
            for one in places
            if one.ts_ns > row.ts_ns and (one.symbol, one.side) == (row.symbol, row.side)
        ]
        made = observation.order_of(row)
        if not later or made is None or observation.has_user_stream:
            continue
        again = later[0]
        if again.client_order_id and again.client_order_id == row.client_order_id:
            continue  # the venue refuses the second of one id: sending it again is safe
        if any(_tells_of(look, row) for look in observation.between(row.ts_ns, again.ts_ns)):
            continue
        count += 1
        evidence += [
            *request_words(observation, [row]),
            f"           the venue had executed it: order {made.order_id}, {made.status}",
            *request_words(observation, [again]),
        ]
    if not count:
        return unclear, None
    words = (
        f"{count} of {len(unclear)} orders whose answer was not clear were sent again without a "
        "question about the first, which the venue had taken"
    )
    return unclear, Problem(words, tuple(evidence))


def _tells_of(look: WireRequest, lost: WireRequest) -> bool:
    """Whether a request would show, or settle, what became of a lost placement."""
    if look.status != 200:
        return False
    named = lost.client_order_id and look.orig_client_order_id == lost.client_order_id
    return look.asks_for_orders or look.cancels_all or (look.is_cancel and bool(named))


def hammering(
    observation: Observation, from_ns: int, until_ns: int, max_per_s: float
) -> tuple[int, float, Problem | None]:
    """(refused order requests, highest rate of one kind in a second, a rate above the bound).

    One kind is one call, symbol, side and code; the first FEW of each kind are free.
    """
    groups: defaultdict[tuple[str, str, str, int], list[WireRequest]] = defaultdict(list)
    for row in observation.between(from_ns, until_ns):
        if row.refused and (row.is_place or row.is_cancel):
            groups[(row.name, row.symbol, row.side, row.code)].append(row)
    if not groups:
        return 0, 0.0, None
    total = sum(len(rows) for rows in groups.values())
    (name, symbol, side, code), rows = max(groups.items(), key=lambda item: len(item[1]))
    seconds = max((until_ns - rows[0].ts_ns) / S_NS, 1.0)
    rate = len(rows) / seconds
    if len(rows) <= FEW or rate <= max_per_s:
        return total, rate, None
    words = (
        f"{len(rows)} times in {seconds:.1f} s the bot asked for what the venue had refused with "
        f"{code} ({name} {symbol} {side}): {rate:.1f} a second, bound {max_per_s:g}"
    )
    return total, rate, Problem(words, request_words(observation, rows))


def recovery(
    observation: Observation, pace: OrderPace, from_ns: int, within_s: float
) -> tuple[float | None, Problem | None]:
    """(seconds until the first accepted order, or None; a problem when there is none in time).

    Of a bot whose gate has stopped trading no recovery is asked: it is denied until an operator
    comes.
    """
    accepted = observation.accepted(from_ns)
    if observation.gate_stops and not accepted:
        return None, None
    if accepted:
        seconds = (accepted[0].ts_ns - from_ns) / S_NS
        if seconds <= within_s:
            return seconds, None
        return seconds, Problem(f"it traded again only after {seconds:.1f} s, bound {within_s:g} s")
    watched = (observation.end_ns - from_ns) / S_NS
    if watched < within_s - SLACK_S or pace.longest_gap_s > watched:
        return None, None
    rows = observation.between(from_ns)
    return None, Problem(
        f"no order of the bot was accepted in {watched:.1f} s after the fault had ended; in calm "
        f"water it is never longer than {pace.longest_gap_s:.1f} s without one",
        request_words(observation, rows[-6:]),
    )
