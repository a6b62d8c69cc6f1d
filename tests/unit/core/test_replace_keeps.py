"""A replace is the same order at another price: what its target was approved with comes along."""

from decimal import Decimal

import pytest

from daemon.model.copies import replace
from daemon.model.effects import SendOrder, SendReplace
from daemon.model.enums import Side
from daemon.model.ids import ClientOrderId, StrategyId
from daemon.model.inputs import InstrumentsLoaded, VenueReport
from daemon.model.intents import ReplaceIntent
from daemon.model.order_features import Feature, OrderExtras
from riskcaps.words.capset import capset_from_mapping
from tests.support.builders import CAPS, SYMBOL_CAPS, fill, instrument, report, wish
from tests.support.screenplay import Stage, only

ICEBERG = OrderExtras(iceberg_qty=Decimal("0.05"))


@pytest.fixture
def stage() -> Stage:
    row = {**SYMBOL_CAPS, "order_features": ["ICEBERG"]}
    symbols = {"BTCUSDT": row, "ETHUSDT": row}
    made = Stage(capset=capset_from_mapping({**CAPS, "symbols": symbols})).ready()
    made.tell(
        InstrumentsLoaded(
            tuple(
                replace(
                    instrument(one), iceberg_parts_max=10, features=frozenset({Feature.ICEBERG})
                )
                for one in ("BTCUSDT", "ETHUSDT")
            )
        )
    )
    return made.start()


def replaced(stage: Stage, cid: str, qty: str, price: str) -> SendReplace:
    (sent,) = only(
        SendReplace,
        stage.wishes(
            ReplaceIntent(
                strategy_id=StrategyId("test"),
                client_order_id=ClientOrderId(cid),
                qty=Decimal(qty),
                price=Decimal(price),
            )
        ),
    )
    return sent


def twin_of(stage: Stage) -> Stage:
    """A recovered engine; also by the way of a checkpoint."""
    folded = Stage()
    for fact in stage.facts:
        folded.engine.apply_fact(fact)
    twin = Stage()
    twin.engine.restore(folded.engine.state())
    return twin


def test_a_reduce_only_order_stays_reduce_only(stage: Stage) -> None:
    bought = stage.place(wish(qty="0.4")).client_order_id
    one = fill(bought, 1, "0.4")
    stage.tell(VenueReport(report(bought, qty="0.4", cum="0.4", fills=(one,))))
    away = replace(wish(Side.SELL, "0.2", "101.00"), reduce_only=True)
    (placed,) = only(SendOrder, stage.wishes(away))
    cid = placed.order.client_order_id
    stage.tell(VenueReport(report(cid, side=Side.SELL, qty="0.2", price="101.00", venue_id="2")))
    assert twin_of(stage).order(cid).reduce_only is True
    sent = replaced(stage, cid, "0.2", "102.00")
    assert sent.replace.order.reduce_only is True


def test_an_iceberg_stays_an_iceberg(stage: Stage) -> None:
    (placed,) = only(SendOrder, stage.wishes(replace(wish(), extras=ICEBERG)))
    cid = placed.order.client_order_id
    stage.tell(VenueReport(report(cid)))
    assert twin_of(stage).order(cid).extras == ICEBERG
    sent = replaced(stage, cid, "0.1", "98.00")
    assert sent.replace.order.extras == ICEBERG


def test_what_no_longer_fits_is_refused_in_words(stage: Stage) -> None:
    (placed,) = only(SendOrder, stage.wishes(replace(wish(qty="0.2"), extras=ICEBERG)))
    stage.tell(VenueReport(report(placed.order.client_order_id, qty="0.2")))
    stage.wishes(
        ReplaceIntent(
            strategy_id=StrategyId("test"),
            client_order_id=placed.order.client_order_id,
            qty=Decimal("0.9"),
            price=Decimal("98.00"),
        )
    )
    assert stage.facts_of("order_denied")[-1]["deny_reason"]
    assert stage.status_of(placed.order.client_order_id) == "ACCEPTED"
