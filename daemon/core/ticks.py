"""Which inputs are ticks, and which of them had no consequence.

Rules of this file:
1. A tick tells of a state that the next one tells anew: a quote, a public trade, the venue's
   budget, the housekeeping timer. Reports, commands, snapshots and links are never ticks.
2. A tick without a consequence left no effect but the clockwork's own: the timer armed again, the
   heartbeat. A strategy that keeps something of it all the same says so (`needs_every_tick`).
"""

from collections.abc import Iterable

from daemon.model.effects import ArmTimer, Effect, Record
from daemon.model.inputs import BudgetSampled, Input, MarketData, PublicTrade, TimerFired
from daemon.model.records import EventType

HOUSEKEEPING = "housekeeping"
_TICKS = frozenset({MarketData, PublicTrade, BudgetSampled})


def had_no_consequence(item: Input, effects: Iterable[Effect]) -> bool:
    """Whether a turn was a tick that changed nothing which a fact, an order or a person sees."""
    kind = type(item)
    if kind in _TICKS:
        return not effects
    if isinstance(item, TimerFired) and item.timer_id == HOUSEKEEPING:
        return all(map(_is_clockwork, effects))
    return False


def _is_clockwork(effect: Effect) -> bool:
    if isinstance(effect, ArmTimer):
        return effect.timer_id == HOUSEKEEPING
    return isinstance(effect, Record) and effect.event_type is EventType.HEARTBEAT
