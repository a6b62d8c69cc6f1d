"""Order lists on the wire: what we send, and the venue's documented answers."""

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest

from daemon.errors import Unencodable
from daemon.model.copies import replace
from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.model.ids import ClientOrderId, InstrumentId, StrategyId, first_of_list, list_id_of
from daemon.model.inputs import NotSent, OutcomeUnknown, VenueReject, VenueReport
from daemon.model.list_legs import Contingency, ListLeg
from daemon.model.orders import NewOrder, NewOrderList, OrderTerms
from daemon.venues.answers import Answer, Asked, not_sent, unknown
from daemon.venues.binance_spot.request_params import list_fields
from daemon.venues.binance_spot.request_signing import HmacSigner
from daemon.venues.binance_spot.spot_adapter import BinanceSpot
from daemon.venues.faults import Outcome

WHERE = InstrumentId("LTCBTC@binance-spot-testnet")
UP, DOWN, IN = (ClientOrderId(one) for one in ("stabc123o001k3x00001", "st-down", "st-in"))
DOCUMENTED: dict[str, Any] = {
    "orderListId": 1,
    "contingencyType": "OCO",
    "listStatusType": "EXEC_STARTED",
    "listOrderStatus": "EXECUTING",
    "listClientOrderId": "lH1YDkuQKWiXVXHPSKYEIp",
    "transactionTime": 1710485608839,
    "symbol": "LTCBTC",
    "orders": [
        {"symbol": "LTCBTC", "orderId": 10, "clientOrderId": UP},
        {"symbol": "LTCBTC", "orderId": 11, "clientOrderId": DOWN},
    ],
    "orderReports": [
        {
            "symbol": "LTCBTC", "orderId": 10, "orderListId": 1, "clientOrderId": UP,
            "transactTime": 1710485608839, "price": "1.00000000", "origQty": "5.00000000",
            "executedQty": "0.00000000", "origQuoteOrderQty": "0.000000",
            "cummulativeQuoteQty": "0.00000000", "status": "NEW", "timeInForce": "GTC",
            "type": "STOP_LOSS_LIMIT", "side": "SELL", "stopPrice": "1.00000000",
            "workingTime": -1, "icebergQty": "1.00000000", "selfTradePreventionMode": "NONE",
        },
        {
            "symbol": "LTCBTC", "orderId": 11, "orderListId": 1, "clientOrderId": DOWN,
            "transactTime": 1710485608839, "price": "3.00000000", "origQty": "5.00000000",
            "executedQty": "0.00000000", "origQuoteOrderQty": "0.000000",
            "cummulativeQuoteQty": "0.00000000", "status": "PENDING_NEW", "timeInForce": "GTC",
            "type": "LIMIT_MAKER", "side": "SELL", "workingTime": 1710485608839,
            "selfTradePreventionMode": "NONE",
        },
    ],
}  # fmt: skip
"""As rest-api.md shows the answer to an OCO; ids are ours, one order as an OTO shows it."""


def order(cid: ClientOrderId, kind: OrderType, **more: Any) -> NewOrder:
    shape: dict[str, Any] = {
        "price": Decimal(3), "stop_price": None, "time_in_force": None, "side": Side.SELL,
        "qty": Decimal(5),
    } | more  # fmt: skip
    return NewOrder(
        client_order_id=cid, strategy_id=StrategyId("bot:ft"), instrument_id=WHERE,
        order_type=kind, reduce_only=False, ts_ns=1, **shape,
    )  # fmt: skip


RESTS = order(UP, OrderType.LIMIT_MAKER)
STOPS = order(
    DOWN, OrderType.STOP_LOSS_LIMIT, price=Decimal(1), stop_price=Decimal("1.5"),
    time_in_force=TimeInForce.GTC,
)  # fmt: skip
ENTERS = order(IN, OrderType.LIMIT, side=Side.BUY, time_in_force=TimeInForce.GTC)


def listed(contingency: Contingency, *orders: NewOrder) -> NewOrderList:
    return NewOrderList(list_id="st-list", contingency=contingency, orders=orders)


OCO = listed(Contingency.OCO, RESTS, STOPS)


def adapter() -> BinanceSpot:
    return BinanceSpot(
        "binance-spot-testnet", ["LTCBTC"], api_key="k", signer=HmacSigner(b"s"),
        recv_window_ms=5000,
    )  # fmt: skip


def asked() -> Asked:
    return Asked(kind="place", client_order_id=UP, instrument_id=WHERE, others=(DOWN,))


def test_an_oco_says_once_what_its_orders_share() -> None:
    kind, fields = list_fields(OCO)
    assert kind == "oco"
    assert fields == {
        "symbol": "LTCBTC", "listClientOrderId": "st-list", "side": "SELL", "quantity": "5",
        "newOrderRespType": "FULL", "aboveType": "LIMIT_MAKER", "abovePrice": "3",
        "aboveClientOrderId": UP, "belowType": "STOP_LOSS_LIMIT", "belowPrice": "1",
        "belowStopPrice": "1.5", "belowTimeInForce": "GTC", "belowClientOrderId": DOWN,
    }  # fmt: skip


def test_an_oto_and_an_otoco_name_each_order_by_its_part() -> None:
    kind, fields = list_fields(listed(Contingency.OTO, ENTERS, RESTS))
    assert kind == "oto"
    assert {key: fields[key] for key in ("workingSide", "workingQuantity", "pendingSide")} == {
        "workingSide": "BUY", "workingQuantity": "5", "pendingSide": "SELL",
    }  # fmt: skip
    assert (fields["pendingQuantity"], fields["pendingType"]) == ("5", "LIMIT_MAKER")
    kind, fields = list_fields(listed(Contingency.OTO, ENTERS, RESTS, STOPS))
    assert kind == "otoco"
    assert (fields["pendingSide"], fields["pendingQuantity"]) == ("SELL", "5")
    assert (fields["pendingAboveType"], fields["pendingBelowStopPrice"]) == ("LIMIT_MAKER", "1.5")
    assert not [key for key in fields if key in ("pendingAboveSide", "pendingBelowQuantity")]


@pytest.mark.parametrize(("behind", "named"), [((RESTS,), "opo"), ((RESTS, STOPS), "opoco")])
def test_what_the_first_order_pays_for_is_sent_without_a_quantity(
    behind: tuple[NewOrder, ...], named: str
) -> None:
    made = listed(Contingency.OTO, ENTERS, *behind)
    kind, fields = list_fields(replace(made, pays=True))
    assert (kind, fields["workingQuantity"]) == (named, "5")
    assert [key for key in fields if "uantity" in key] == ["workingQuantity"]
    assert fields.keys() == list_fields(made)[1].keys() - {"pendingQuantity"}


def test_what_is_no_list_is_not_sent() -> None:
    other = order(DOWN, OrderType.LIMIT_MAKER, qty=Decimal(4))
    for made in (
        listed(Contingency.OCO, RESTS),
        listed(Contingency.OCO, RESTS, other),
        listed(Contingency.OCO, RESTS, order(DOWN, OrderType.LIMIT_MAKER, side=Side.BUY)),
        listed(Contingency.OTO, ENTERS, RESTS, STOPS, RESTS),
    ):
        with pytest.raises(Unencodable):
            list_fields(made)


def test_tags_are_the_lists_or_the_orders_own() -> None:
    tags = (("selfTradePreventionMode", "NONE"), ("strategyId", "7"))
    terms = OrderTerms(tags=tags)
    _, fields = list_fields(
        listed(
            Contingency.OCO,
            order(UP, OrderType.LIMIT_MAKER, terms=terms),
            order(DOWN, OrderType.LIMIT_MAKER, terms=OrderTerms(tags=tags[:1])),
        )
    )
    assert (fields["selfTradePreventionMode"], fields["aboveStrategyId"]) == ("NONE", 7)
    assert "belowStrategyId" not in fields


def test_both_roads_send_the_same_parameters() -> None:
    made = adapter()
    over_socket = made.order_codec().place_list(OCO, "9", 1_700_000_000_000)
    frame = json.loads(over_socket.payload)
    assert (frame["method"], over_socket.orders) == ("orderList.place.oco", 2)
    by_rest = made.encode.place_list(OCO, 1_700_000_000_000)
    path, _, query = by_rest.target.partition("?")
    assert (by_rest.method, path, by_rest.orders) == ("POST", "/api/v3/orderList/oco", 2)
    signing = {"apiKey", "signature"}
    params = {k: str(v) for k, v in frame["params"].items() if k not in signing}
    assert {k: v for k, v in parse_qsl(query) if k not in signing} == params


def answered(body: dict[str, Any], question: Asked) -> list[Any]:
    answer = Answer(result=json.dumps(body).encode(), fault=None, error_data=None, ts_recv_ns=5)
    return adapter().inputs_of(question, answer)


def test_the_documented_answer_proves_each_order() -> None:
    made = answered(DOCUMENTED, asked())
    assert all(isinstance(one, VenueReport) for one in made)
    reports = [one.report for one in made]
    assert [one.client_order_id for one in reports] == [UP, DOWN]
    assert {one.venue_list_id for one in reports} == {"1"}
    assert {str(one.venue_status) for one in reports} == {"NEW"}, "pending is there, too"


def test_an_answer_about_other_orders_proves_nothing() -> None:
    rows = DOCUMENTED["orderReports"][:1]
    for body in ({**DOCUMENTED, "orderReports": rows}, {}, {**DOCUMENTED, "orderReports": "x"}):
        made = answered(body, asked())
        assert [type(one) for one in made] == [OutcomeUnknown, OutcomeUnknown]
        assert [one.client_order_id for one in made] == [UP, DOWN]


def test_one_order_canceled_is_answered_with_its_whole_list() -> None:
    rows = [
        {**row, "status": "CANCELED", "origClientOrderId": row["clientOrderId"],
         "clientOrderId": "the-cancels"}
        for row in DOCUMENTED["orderReports"]
    ]  # fmt: skip
    question = Asked(kind="cancel", client_order_id=UP, instrument_id=WHERE)
    made = answered({**DOCUMENTED, "orderReports": rows}, question)
    assert [one.report.client_order_id for one in made] == [UP, DOWN]
    assert {str(one.report.venue_status) for one in made} == {"CANCELED"}
    alone = {**rows[0], "orderListId": -1}
    assert [one.report.client_order_id for one in answered(alone, question)] == [UP]
    all_gone = adapter().decode.canceled(
        json.dumps([alone, {**DOCUMENTED, "orderReports": rows}]).encode()
    )
    assert [row.order_id for row in all_gone] == [10, 10, 11]


def test_what_holds_of_one_order_of_a_list_holds_of_all() -> None:
    assert [type(one) for one in not_sent(asked(), "down")] == [NotSent, NotSent]
    assert [one.client_order_id for one in unknown(asked(), "lost")] == [UP, DOWN]  # type: ignore[union-attr]
    fault = adapter().fault(400, -2010, "The relationship of the prices is not correct.")
    assert fault.outcome is Outcome.REFUSED
    answer = Answer(result=b"", fault=fault, error_data=None, ts_recv_ns=5)
    made = adapter().inputs_of(asked(), answer)
    assert [type(one) for one in made] == [VenueReject, VenueReject]


def test_a_list_is_named_after_its_first_order() -> None:
    named = list_id_of(UP)
    assert named != UP
    assert len(named) == len(UP)
    assert first_of_list(named) == UP
    leg = ListLeg(list_id=named, contingency=Contingency.OTO, leg=1, legs=3)
    assert leg.is_pending
    assert leg.excludes_others
