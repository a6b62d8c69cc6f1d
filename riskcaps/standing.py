"""What stands between orders: health, throttles and losses, looked at once for many decisions.

Rules of this file:
1. Whoever changes an input of `standing_of` sets `keeper.standing = None`; it is made again by the
   next decision. (The property tests compare every decision with an oracle that keeps nothing.)
2. `clear` says that every rule over these inputs passes whatever the order: the screen starts
   from it. When it is false the table goes through them and names the verdict.
3. What can change without a fact (the halt flag, the age of the clock) is not in here.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from daemon.model.amounts import NS_PER_MS
from daemon.model.enums import TradingState
from riskcaps.behaviour import ACCOUNT

if TYPE_CHECKING:
    from riskcaps.keeper import Keeper


@dataclass(frozen=True, slots=True)
class Standing:
    """One look at the gate's standing."""

    clear: bool
    clock_until_ns: int
    """The last moment at which the clock sample is young enough."""
    plain: dict[str, Any]
    """The same as a decision records it."""


def standing_of(keeper: "Keeper") -> Standing:
    """Look at everything that stands between orders."""
    caps = keeper.capset
    behaviour = keeper.behaviour
    ledger = keeper.ledger
    rules = ledger.rules.values()
    clear = (
        keeper.trading_state is TradingState.ACTIVE
        and keeper.journal_ok
        and keeper.clock_ns >= 0
        and not drifts(keeper)
        and not keeper.caps_unset
        and not behaviour.tripped
        and ledger.equity is not None
        and not any(rule.latched or rule.used >= rule.limit for rule in rules)
        and not any(
            (used + 1) * 100 > limit * caps.venue_budget_percent_max
            for used, limit in keeper.budget.values()
        )
    )
    plain = {
        "trading_state": keeper.trading_state,
        "journal_ok": keeper.journal_ok,
        "clock": [keeper.clock_offset_ns, keeper.clock_rtt_ns, keeper.clock_ns],
        "streaks": [
            behaviour.executions_since_human,
            behaviour.rejects.get(ACCOUNT, 0),
            behaviour.losses.get(ACCOUNT, 0),
        ],
        "budget": {name: list(pair) for name, pair in keeper.budget.items()},
        "budget_ns": keeper.budget_ns,
        "equity": _text(ledger.equity),
        "losses": [[str(r.used), str(r.limit), r.action, r.latched] for r in rules],
    }
    return Standing(clear, keeper.clock_ns + caps.clock_age_ms_max * NS_PER_MS, plain)


def plain_for(keeper: "Keeper", standing: Standing, instrument_id: str) -> dict[str, Any]:
    """The standing as a decision on one instrument records it: with the streaks of that one."""
    behaviour = keeper.behaviour
    if not behaviour.rejects and not behaviour.losses:
        return standing.plain
    streaks = [behaviour.executions_since_human, *behaviour.streaks(instrument_id)]
    return {**standing.plain, "streaks": streaks}


def drifts(keeper: "Keeper") -> bool:
    """Whether offset plus half the round trip is beyond the cap (doubled: no half nanoseconds)."""
    drift_ns = abs(keeper.clock_offset_ns) * 2 + keeper.clock_rtt_ns
    return drift_ns > keeper.capset.clock_offset_ms_max * NS_PER_MS * 2


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)
