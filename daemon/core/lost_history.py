"""Orders of ours that the venue knows and the journal does not: a backup may have been restored.

The venue's history alone knows how far we went; it is asked once a run.
"""

from daemon.core.execution import Execution
from daemon.core.made_reports import as_recovered
from daemon.core.turn_context import TurnContext
from daemon.model.effects import HistoryAfter
from daemon.model.ids import InstrumentId, VenueOrderId, rank_of
from daemon.model.reports import VenueSnapshot
from daemon.model.stop_triggers import StopTrigger


def history_after(ctx: TurnContext) -> HistoryAfter:
    """What to ask the venue for: everything of ours after the newest order that we know."""
    after: dict[InstrumentId, VenueOrderId] = {}
    for order in ctx.books.orders.values():
        shown, iid = order.venue_order_id, order.instrument_id
        if shown is not None and shown.isdigit() and int(shown) > int(after.get(iid, "-1")):
            after[iid] = shown
    return HistoryAfter(ctx.config.instance, ctx.ledger.newest_id, after)


def take_lost(ctx: TurnContext, execution: Execution, snapshot: VenueSnapshot) -> None:
    """Count the orders that only the venue knows, and open an incident that says why."""
    lost = [one for one in snapshot.lost if one.client_order_id not in ctx.books.orders]
    if not lost:
        return
    for report in lost:
        order = execution.adopt(report)
        execution.absorb(order, as_recovered(report))
    newest = max(lost, key=lambda one: rank_of(one.client_order_id)).client_order_id
    ctx.trouble(
        StopTrigger.HISTORY_LOST,
        f"the venue knows {len(lost)} order(s) of ours that the journal does not, up to "
        f"{newest}: it is an older copy or lacks its end. They were counted against the caps "
        "as of now; put the newest state back, or resolve this with the reason",
        "",
        {"orders": len(lost), "newest": newest},
    )
