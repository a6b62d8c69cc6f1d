"""Wishes that no type checker has seen: a strategy is somebody's own code."""

from decimal import Decimal
from typing import Any, cast

import pytest

from daemon.model.copies import replace
from daemon.model.ids import ClientOrderId, StrategyId
from daemon.model.inputs import VenueReport
from daemon.model.intents import CancelIntent, ReplaceIntent, TimerIntent, Wish
from tests.support.builders import dec, report, wish
from tests.support.screenplay import Stage

TEST = StrategyId("test")


@pytest.fixture
def stage() -> Stage:
    return Stage().ready().start()


@pytest.mark.parametrize(
    ("made", "field"),
    [
        (replace(wish(), time_in_force=cast("Any", "GTC")), "time_in_force"),
        (replace(wish(), side=cast("Any", "BUY")), "side"),
        (replace(wish(), order_type=cast("Any", "LIMIT")), "order_type"),
        (replace(wish(), instrument_id=cast("Any", ["BTCUSDT"])), "instrument_id"),
        (replace(wish(), reason=cast("Any", None)), "reason"),
        (replace(wish(), extras=cast("Any", {"iceberg_qty": 1})), "extras"),
        (CancelIntent(strategy_id=TEST, client_order_id=cast("Any", None)), "client_order_id"),
        (ReplaceIntent(strategy_id=TEST, client_order_id=ClientOrderId("x"), qty=dec("1"),
                       price=None, wish=replace(wish(), side=cast("Any", "SELL"))), "side"),
        (TimerIntent(strategy_id=TEST, name="later", at_ns=cast("Any", 1.5)), "at_ns"),
        (cast("Any", "buy one"), "not a wish: str"),
    ],
)  # fmt: skip
def test_a_wish_with_a_field_of_another_type_is_an_error_of_the_strategy(
    stage: Stage, made: Wish, field: str
) -> None:
    stage.wishes(made)
    assert stage.incidents() == ["strategy_error"]
    assert field in stage.facts_of("strategy_error")[0]["msg"]
    assert stage.facts_of("order_approved") == []


@pytest.mark.parametrize("qty", [0.1, "0.1", 1, None, Decimal("NaN"), Decimal("Infinity")])
def test_an_amount_that_is_none_is_denied_and_ends_nothing(stage: Stage, qty: Any) -> None:
    resting_id = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(resting_id)))
    wrong = replace(wish(), qty=qty)
    stage.wishes(wrong)
    as_replace = ReplaceIntent(
        strategy_id=TEST, client_order_id=resting_id, qty=qty, price=dec("99")
    )
    stage.wishes(as_replace)
    reasons = [one["deny_reason"] for one in stage.facts_of("order_denied")]
    assert reasons == ["malformed_order", "malformed_order"]
