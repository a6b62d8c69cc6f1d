"""A cancel and a placement in one request, in seeded worlds."""

from typing import TYPE_CHECKING

from daemon.model.bots import ReplaceMode
from daemon.model.effects import SendReplace
from daemon.model.enums import ReportSource
from daemon.model.inputs import VenueCancelReject, VenueReport
from daemon.venues.answers import Asked
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from tests.support.sim_words import SYMBOL

if TYPE_CHECKING:
    from tests.support.sim_runner import SimRun


def send_replace(run: "SimRun", effect: SendReplace) -> None:
    """As the venue does with STOP_ON_FAILURE: no new order unless the old one is cancelled."""
    order, target = effect.replace.order, effect.replace.target
    asked = Asked(
        kind="replace",
        client_order_id=target,
        instrument_id=order.instrument_id,
        new_client_order_id=order.client_order_id,
    )
    number = run._request_of(asked)
    if number is None:
        return
    travel = run._travel()
    if travel is None:
        return
    run.wire.coming[order.client_order_id] = (order.side, order.qty)
    run.checker.sent(order.client_order_id)

    def arrive() -> None:
        try:
            gone = run.venue.cancel(
                "main", SYMBOL, now_ns=run.now_ns, client_order_id=target,
                cancel_id=effect.replace.request_id,
            )  # fmt: skip
        except DialectError as error:
            no = VenueCancelReject(run._refused(target, order.instrument_id, error))
            if effect.replace.mode is ReplaceMode.ALLOW_FAILURE:
                run._answer(number, no, run._placed(order))
                run._pump_events()
                return
            run.wire.coming.pop(order.client_order_id, None)
            run._answer(number, no, run._rejected(order, error.code, "cancel failed"))
        else:
            canceled = VenueReport(run.report_of(gone, ReportSource.REPLY))
            run._answer(number, canceled, run._placed(order))
        run._pump_events()

    run.later(travel, arrive)
