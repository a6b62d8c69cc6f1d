"""What a simulated daemon asks the venue: one order, or all that it has of ours.

Each answer is read from the venue's books at its own moment, and told to the run that asked.
"""

from typing import TYPE_CHECKING, Any

from daemon.model.effects import QueryOrder, TakeSnapshot
from daemon.model.enums import ReportSource
from daemon.model.inputs import (
    Input,
    OrderAbsent,
    QueryFailed,
    SnapshotFailed,
    SnapshotTaken,
    VenueReport,
)
from daemon.model.reports import NotFound, VenueSnapshot
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from tests.support.builders import BTC
from tests.support.sim_words import DEADLINE_NS, SYMBOL, fill_of

if TYPE_CHECKING:
    from tests.support.sim_runner import SimRun


def send_query(run: "SimRun", query: QueryOrder) -> None:
    cid, iid = query.client_order_id, query.instrument_id
    generation = run.run_number
    if run.chance(run.menu.drop_query):
        run.later(DEADLINE_NS, lambda: run.tell(QueryFailed(cid, iid, "deadline")))
        return

    def arrive() -> None:
        item: Input
        try:
            order = run.venue.query("main", SYMBOL, client_order_id=cid)
        except DialectError:
            item = OrderAbsent(
                NotFound(client_order_id=cid, instrument_id=iid, ts_recv_ns=run.now_ns)
            )
        else:
            fills = run.venue.my_trades("main", SYMBOL, order_id=order.order_id)
            item = VenueReport(run.report_of(order, ReportSource.QUERY, fills))
        if generation == run.run_number:
            run.later(
                run.latency(),
                lambda: run.tell(item) if generation == run.run_number else None,
            )

    run.later(run.latency(), arrive)


def send_snapshot(run: "SimRun", asked: TakeSnapshot) -> None:
    generation = run.run_number
    got: dict[str, Any] = {}

    def trades() -> None:
        after = asked.trades_after.get(BTC, -1)
        got["fills"] = [
            fill_of(row, recovered=True)
            for row in run.venue.my_trades("main", SYMBOL, from_id=max(0, after - 3))
        ]
        run.later(run.latency(), orders)

    def orders() -> None:
        got["open"] = [
            run.report_of(order, ReportSource.QUERY)
            for order in run.venue.open_orders("main", SYMBOL)
        ]
        listed = {one.client_order_id for one in got["open"]}
        got["statuses"], got["absent"] = [], []
        for ref in asked.believed_open:
            if ref.client_order_id in listed:
                continue
            try:
                order = run.venue.query("main", SYMBOL, client_order_id=ref.client_order_id)
            except DialectError:
                got["absent"].append(
                    NotFound(
                        client_order_id=ref.client_order_id,
                        instrument_id=ref.instrument_id,
                        ts_recv_ns=run.now_ns,
                    )
                )
            else:
                rows = run.venue.my_trades("main", SYMBOL, order_id=order.order_id)
                got["statuses"].append(run.report_of(order, ReportSource.QUERY, rows))
        run.later(run.latency(), account)

    def account() -> None:
        if run.chance(run.menu.fail_snapshot):
            _tell_if(run, generation, SnapshotFailed("deadline"))
            return
        taken = VenueSnapshot(
            ts_ns=run.now_ns,
            balances=run.balances(),
            open_orders=tuple(got["open"]),
            statuses=tuple(got["statuses"]),
            absent=tuple(got["absent"]),
            fills=tuple(got["fills"]),
            reason=asked.reason,
        )
        _tell_if(run, generation, SnapshotTaken(taken))

    run.later(run.latency(), trades)


def _tell_if(run: "SimRun", generation: int, item: Input) -> None:
    if generation == run.run_number:
        run.tell(item)
