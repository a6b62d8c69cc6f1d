"""Orders of bots, from bytes to an input: each form is understood, and nothing is dropped."""

import contextlib
from decimal import Decimal
from typing import Any

import pytest

from daemon.model.bots import ReplaceMode
from daemon.model.enums import OrderType, TimeInForce
from daemon.model.ids import instrument_id
from daemon.model.inputs import (
    BotAmend,
    BotCancel,
    BotCancelAll,
    BotPlace,
    BotPlaceList,
    BotReplace,
)
from daemon.model.list_legs import Contingency
from daemon.model.order_features import OrderExtras, PegPrice
from daemon.model.orders import NewOrder, OrderTerms
from daemon.venues.binance_spot.codec_rest import SpotRestEncoder
from daemon.venues.binance_spot.request_signing import HmacSigner
from daemon.venues.binance_spot.serving.bot_forms import UNSERVED
from daemon.venues.binance_spot.serving.call_table import ENDPOINTS, CallKind
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.parameters import KNOWN
from tests.support.adapters import ws_codec
from tests.support.link_bench import order
from tests.support.served_wishes import (
    ED_NAME,
    HMAC_NAME,
    NOW_MS,
    SECRET,
    VENUE,
    Wish,
    rest_wish,
    signed_frame,
    signed_query,
    signed_query_ed25519,
    ws_wish,
)

BTC = instrument_id("BTCUSDT", VENUE)
LIMIT = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
    "quantity": "0.0100", "price": "60000", "newClientOrderId": "x-TKT5PX2F1",
}  # fmt: skip
MARKET = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.01"}
STOP = {**LIMIT, "type": "STOP_LOSS_LIMIT", "stopPrice": "59000"}
FORMS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "limit": (LIMIT, {"price": Decimal(60000), "time_in_force": TimeInForce.GTC}),
    "ioc": (
        {**LIMIT, "timeInForce": "IOC"},
        {"price": Decimal(60000), "time_in_force": TimeInForce.IOC},
    ),
    "fok": (
        {**LIMIT, "timeInForce": "FOK"},
        {"price": Decimal(60000), "time_in_force": TimeInForce.FOK},
    ),
    "limit maker": (
        {k: v for k, v in LIMIT.items() if k != "timeInForce"} | {"type": "LIMIT_MAKER"},
        {"order_type": OrderType.LIMIT_MAKER, "price": Decimal(60000)},
    ),
    "market": (MARKET, {"order_type": OrderType.MARKET}),
    "market by quote": (
        {k: v for k, v in MARKET.items() if k != "quantity"} | {"quoteOrderQty": "25.5"},
        {"order_type": OrderType.MARKET, "qty": None, "quote_qty": Decimal("25.5")},
    ),
    "stop": (
        {**MARKET, "type": "STOP_LOSS", "stopPrice": "59000"},
        {"order_type": OrderType.STOP_LOSS, "stop_price": Decimal(59000)},
    ),
    "stop limit": (
        STOP,
        {
            "order_type": OrderType.STOP_LOSS_LIMIT, "stop_price": Decimal(59000),
            "price": Decimal(60000), "time_in_force": TimeInForce.GTC,
        },
    ),
    "take profit": (
        {**MARKET, "type": "TAKE_PROFIT", "stopPrice": "61000"},
        {"order_type": OrderType.TAKE_PROFIT, "stop_price": Decimal(61000)},
    ),
    "take profit limit": (
        {**STOP, "type": "TAKE_PROFIT_LIMIT", "timeInForce": "IOC"},
        {
            "order_type": OrderType.TAKE_PROFIT_LIMIT, "stop_price": Decimal(59000),
            "price": Decimal(60000), "time_in_force": TimeInForce.IOC,
        },
    ),
    "trailing": (
        {**MARKET, "type": "STOP_LOSS", "trailingDelta": "100"},
        {"order_type": OrderType.STOP_LOSS, "extras": OrderExtras(trailing_bps=100)},
    ),
    "iceberg": (
        {**LIMIT, "icebergQty": "0.001"},
        {
            "price": Decimal(60000), "time_in_force": TimeInForce.GTC,
            "extras": OrderExtras(iceberg_qty=Decimal("0.001")),
        },
    ),
    "pegged": (
        {k: v for k, v in LIMIT.items() if k != "price"}
        | {"pegPriceType": "PRIMARY_PEG", "pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": "2"},
        {
            "time_in_force": TimeInForce.GTC,
            "extras": OrderExtras(peg=PegPrice.PRIMARY_PEG, peg_levels=2),
        },
    ),
    "tagged": (
        {**MARKET, "strategyId": "5", "strategyType": "1000001",
         "selfTradePreventionMode": "EXPIRE_TAKER"},
        {
            "order_type": OrderType.MARKET,
            "tags": (
                ("selfTradePreventionMode", "EXPIRE_TAKER"), ("strategyId", "5"),
                ("strategyType", "1000001"),
            ),
        },
    ),
}  # fmt: skip


def expected(sent: dict[str, str], own: dict[str, Any], bot: str) -> BotPlace:
    values: dict[str, Any] = {
        "client_order_id": sent.get("newClientOrderId", "made-up"),
        "order_type": OrderType.LIMIT, "qty": Decimal("0.01"), "proof": "p",
    }  # fmt: skip
    values |= own
    return BotPlace(bot=bot, request=7, instrument_id=BTC, side=_side(sent), **values)


def _side(sent: dict[str, str]) -> Any:
    return next(side for side in type(order().side) if side.value == sent["side"])


@pytest.mark.parametrize("name", FORMS)
def test_every_form_over_every_way_in(name: str) -> None:
    sent, own = FORMS[name]
    query, ed_query = signed_query(sent), signed_query_ed25519(sent)
    assert rest_wish("POST", "order", query) == expected(sent, own, "ft")
    assert rest_wish("POST", "order", b"", query) == expected(sent, own, "ft")
    assert rest_wish("POST", "order", ed_query, key=ED_NAME) == expected(sent, own, "naut")
    assert ws_wish(signed_frame("order.place", dict(sent))) == expected(sent, own, "ft")
    frame = signed_frame("v3/order.place", dict(sent), ED_NAME)
    assert ws_wish(frame) == expected(sent, own, "naut")
    test = rest_wish("POST", "order/test", query)
    assert test == expected(sent, {**own, "is_test": True}, "ft")


def ours(kind: OrderType, number: int, terms: OrderTerms | None = None) -> NewOrder:
    """An order of our own, as the adapter gets it."""
    is_limit = "LIMIT" in kind
    return order(
        f"stabc123-1-{number}",
        order_type=kind,
        qty=Decimal(number) / 1000,
        price=Decimal("50000.12") if is_limit else None,
        stop_price=Decimal(49000) if "STOP" in kind or "TAKE" in kind else None,
        time_in_force=TimeInForce.IOC if is_limit and kind != "LIMIT_MAKER" else None,
        terms=terms,
    )


TERMS = {
    "none": None,
    "tags": OrderTerms(tags=(("strategyId", "5"), ("strategyType", "1000001"))),
    "other tags": OrderTerms(tags=(("selfTradePreventionMode", "EXPIRE_BOTH"),)),
}


@pytest.mark.parametrize("kind", list(OrderType))
def test_what_our_own_adapter_writes_reads_as_the_same_order(kind: OrderType) -> None:
    """Two texts that do not know each other: the adapter encodes and signs, the server reads."""
    names = {"api_key": HMAC_NAME, "signer": HmacSigner(SECRET.encode()), "recv_window_ms": 3000}
    by_rest, by_ws = SpotRestEncoder(**names), ws_codec(**names)
    terms = dict(TERMS)
    if kind is OrderType.MARKET:
        terms["by quote"] = OrderTerms(quote_qty=Decimal("25.5"))
    for number, (name, more) in enumerate([*terms.items(), *terms.items()], start=1):
        made = ours(kind, number, more)
        by_quote = None if more is None else more.quote_qty
        expected = (
            made.client_order_id, made.side, kind, made.qty if by_quote is None else None, by_quote,
            made.price, made.stop_price, made.time_in_force, set(more.tags if more else ()),
        )  # fmt: skip
        query = by_rest.place(made, NOW_MS).target.partition("?")[2]
        frame = by_ws.place(made, str(number), NOW_MS).payload
        for wish in (rest_wish("POST", "order", query.encode()), ws_wish(frame)):
            assert isinstance(wish, BotPlace)
            told = (
                wish.client_order_id, wish.side, wish.order_type, wish.qty, wish.quote_qty,
                wish.price, wish.stop_price, wish.time_in_force, set(wish.tags),
            )  # fmt: skip
            assert told == expected, name


VALUES = {
    "symbol": "ETHUSDT", "side": "SELL", "type": "LIMIT_MAKER", "timeInForce": "IOC",
    "quantity": "0.02", "quoteOrderQty": "10", "price": "60001", "newClientOrderId": "other",
    "strategyId": "9", "strategyType": "1000009", "stopPrice": "58000", "trailingDelta": "50",
    "icebergQty": "0.002", "selfTradePreventionMode": "EXPIRE_BOTH",
    "pegPriceType": "MARKET_PEG", "pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": "3",
}  # fmt: skip
ONLY_OF_THE_ANSWER = {"newOrderRespType", "computeCommissionRates"}


@pytest.mark.parametrize("name", sorted(KNOWN["order.place"] - ONLY_OF_THE_ANSWER))
@pytest.mark.parametrize("form", FORMS)
def test_no_parameter_of_an_order_is_dropped(form: str, name: str) -> None:
    """Each either makes another wish, or is refused; none is taken and forgotten."""
    sent, _ = FORMS[form]
    before = rest_wish("POST", "order", signed_query(sent))
    after = None
    with contextlib.suppress(DialectError):
        after = rest_wish("POST", "order", signed_query({**sent, name: VALUES[name]}))
    assert after != before or sent.get(name) == VALUES[name]


def test_the_values_above_name_every_parameter() -> None:
    assert set(VALUES) == KNOWN["order.place"] - ONLY_OF_THE_ANSWER


@pytest.mark.parametrize("name", ["quantity", "price", "stopPrice", "icebergQty", "trailingDelta"])
def test_an_amount_of_zero_is_refused(name: str) -> None:
    sent = {**STOP, name: "0"}
    with pytest.raises(DialectError) as refused:
        rest_wish("POST", "order", signed_query(sent))
    assert refused.value.code in {-1013, -1102}


@pytest.mark.parametrize(
    ("extra", "code"),
    [("goodTillDate", -1104), ("reduceOnly", -1104), ("marginType", -1104), ("price ", -1104)],
)
def test_an_unknown_parameter_is_refused(extra: str, code: int) -> None:
    with pytest.raises(DialectError) as refused:
        rest_wish("POST", "order", signed_query({**LIMIT, extra: "1"}))
    assert refused.value.code == code


def refusal(call: Any, *args: Any) -> DialectError:
    with pytest.raises(DialectError) as refused:
        call(*args)
    return refused.value


def test_cancels() -> None:
    by_name = {"symbol": "BTCUSDT", "origClientOrderId": "mine", "newClientOrderId": "gone"}
    told = BotCancel(
        bot="ft", request=7, instrument_id=BTC, client_order_id="mine", new_client_order_id="gone"
    )
    assert rest_wish("DELETE", "order", signed_query(by_name)) == told
    assert ws_wish(signed_frame("order.cancel", dict(by_name))) == told
    by_id = rest_wish("DELETE", "order", signed_query({"symbol": "BTCUSDT", "orderId": "77"}))
    assert isinstance(by_id, BotCancel)
    assert (by_id.venue_order_id, by_id.client_order_id) == ("77", None)
    assert by_id.new_client_order_id == "made-up-c"
    every = rest_wish("DELETE", "openOrders", signed_query({"symbol": "BTCUSDT"}))
    assert every == BotCancelAll(bot="ft", request=7, instrument_id=BTC)
    nobody = refusal(rest_wish, "DELETE", "order", signed_query({"symbol": "BTCUSDT"}))
    assert nobody.code == -1102
    restricted = signed_query({**by_name, "cancelRestrictions": "ONLY_NEW"})
    assert refusal(rest_wish, "DELETE", "order", restricted).code == -1020


@pytest.mark.parametrize("mode", list(ReplaceMode))
def test_cancel_replace_in_both_modes(mode: ReplaceMode) -> None:
    sent = {
        **LIMIT, "cancelReplaceMode": mode.value, "cancelOrigClientOrderId": "old",
        "cancelNewClientOrderId": "gone",
    }  # fmt: skip
    for wish in (
        rest_wish("POST", "order/cancelReplace", signed_query(sent)),
        ws_wish(signed_frame("order.cancelReplace", dict(sent))),
    ):
        assert isinstance(wish, BotReplace)
        assert wish.mode is mode
        assert wish.cancel.client_order_id == "old"
        assert wish.cancel.new_client_order_id == "gone"
        assert wish.place.client_order_id == "x-TKT5PX2F1"
        assert wish.place.price == Decimal(60000)
        assert {wish.bot, wish.cancel.bot, wish.place.bot} == {"ft"}
        assert {wish.request, wish.cancel.request, wish.place.request} == {7}


def test_cancel_replace_that_cannot_be_kept_is_refused() -> None:
    sent = {**LIMIT, "cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": "1"}
    for extra in (
        {"orderRateLimitExceededMode": "CANCEL_ONLY"},
        {"cancelRestrictions": "ONLY_NEW"},
    ):
        query = signed_query({**sent, **extra})
        assert refusal(rest_wish, "POST", "order/cancelReplace", query).code == -1020
    zero = signed_query({**sent, "quantity": "0"})
    assert refusal(rest_wish, "POST", "order/cancelReplace", zero).code == -1013


def test_amends() -> None:
    sent = {"symbol": "BTCUSDT", "origClientOrderId": "mine", "newQty": "0.005"}
    told = BotAmend(
        bot="ft", request=7, instrument_id=BTC, client_order_id="mine", new_qty=Decimal("0.005")
    )
    path = "order/amend/keepPriority"
    assert rest_wish("PUT", path, signed_query(sent)) == told
    kept = {**sent, "newClientOrderId": "mine"}
    assert rest_wish("PUT", path, signed_query(kept)) == told
    assert ws_wish(signed_frame("order.amend.keepPriority", dict(kept))) == told
    renamed = signed_query({**sent, "newClientOrderId": "new"})
    assert refusal(rest_wish, "PUT", path, renamed).code == -1020
    nothing = signed_query({**sent, "newQty": "0"})
    assert refusal(rest_wish, "PUT", path, nothing).code == -1013


OCO = {
    "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01", "aboveType": "LIMIT_MAKER",
    "abovePrice": "61000", "belowType": "STOP_LOSS_LIMIT", "belowStopPrice": "59000",
    "belowPrice": "58900", "belowTimeInForce": "GTC", "listClientOrderId": "pair",
    "aboveClientOrderId": "up", "belowClientOrderId": "down", "belowStrategyId": "7",
    "selfTradePreventionMode": "NONE",
}  # fmt: skip


def test_an_oco_is_two_orders_under_the_names_that_the_bot_gave() -> None:
    wish: Wish = rest_wish("POST", "orderList/oco", signed_query(OCO))
    assert isinstance(wish, BotPlaceList)
    assert (wish.list_id, wish.contingency) == ("pair", Contingency.OCO)
    up, down = wish.orders
    assert (up.client_order_id, up.order_type, up.price) == ("up", "LIMIT_MAKER", Decimal(61000))
    assert (down.client_order_id, down.order_type) == ("down", "STOP_LOSS_LIMIT")
    assert (down.price, down.stop_price) == (Decimal(58900), Decimal(59000))
    assert {one.qty for one in wish.orders} == {Decimal("0.01")}
    assert {one.side for one in wish.orders} == {"SELL"}
    assert up.tags == (("selfTradePreventionMode", "NONE"),)
    assert down.tags == (("selfTradePreventionMode", "NONE"), ("strategyId", "7"))
    assert ws_wish(signed_frame("orderList.place.oco", dict(OCO))) == wish


def test_the_old_call_of_an_oco_is_the_same_list() -> None:
    old = {
        "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01", "price": "61000",
        "stopPrice": "59000", "stopLimitPrice": "58900", "stopLimitTimeInForce": "GTC",
        "listClientOrderId": "pair", "limitClientOrderId": "up", "stopClientOrderId": "down",
        "stopStrategyId": "7", "selfTradePreventionMode": "NONE",
    }  # fmt: skip
    new: Wish = rest_wish("POST", "orderList/oco", signed_query(OCO))
    assert rest_wish("POST", "order/oco", signed_query(old)) == new


def test_an_oco_with_an_amount_of_zero_is_refused() -> None:
    for name in ("quantity", "abovePrice", "belowStopPrice"):
        assert refusal(rest_wish, "POST", "orderList/oco", signed_query({**OCO, name: "0"})).code


ENTRY = {
    "symbol": "BTCUSDT", "listClientOrderId": "bracket", "workingType": "LIMIT",
    "workingSide": "BUY", "workingPrice": "59000", "workingQuantity": "0.01",
    "workingTimeInForce": "GTC", "workingClientOrderId": "in", "pendingSide": "SELL",
}  # fmt: skip


def test_an_oto_is_the_working_order_and_then_the_pending_one() -> None:
    sent = {**ENTRY, "pendingType": "MARKET", "pendingQuantity": "0.02",
            "pendingClientOrderId": "out"}  # fmt: skip
    wish: Wish = rest_wish("POST", "orderList/oto", signed_query(sent))
    assert isinstance(wish, BotPlaceList)
    assert wish.contingency is Contingency.OTO
    first, behind = wish.orders
    assert (first.client_order_id, first.side, first.qty) == ("in", "BUY", Decimal("0.01"))
    assert (behind.client_order_id, behind.side, behind.qty) == ("out", "SELL", Decimal("0.02"))
    assert (behind.order_type, behind.price, behind.time_in_force) == ("MARKET", None, None)


def test_an_otoco_has_a_pair_behind_the_working_order() -> None:
    sent = {
        **ENTRY, "pendingQuantity": "0.01", "pendingAboveType": "LIMIT_MAKER",
        "pendingAbovePrice": "61000", "pendingAboveClientOrderId": "up",
        "pendingBelowType": "STOP_LOSS_LIMIT", "pendingBelowStopPrice": "58000",
        "pendingBelowPrice": "57900", "pendingBelowTimeInForce": "GTC",
        "pendingBelowClientOrderId": "down",
    }  # fmt: skip
    wish: Wish = rest_wish("POST", "orderList/otoco", signed_query(sent))
    assert isinstance(wish, BotPlaceList)
    assert [one.client_order_id for one in wish.orders] == ["in", "up", "down"]
    assert [one.side for one in wish.orders] == ["BUY", "SELL", "SELL"]
    assert {one.qty for one in wish.orders} == {Decimal("0.01")}
    assert wish.orders[2].stop_price == Decimal(58000)


def test_an_entry_pays_for_what_is_sold_behind_it() -> None:
    """The order behind it bears its quantity: the most that it can be."""
    opo = {**ENTRY, "pendingType": "MARKET", "pendingSide": "SELL"}
    wish: Wish = rest_wish("POST", "orderList/opo", signed_query(opo))
    assert isinstance(wish, BotPlaceList)
    assert (wish.pays, [one.qty for one in wish.orders]) == (True, [Decimal("0.01")] * 2)


def test_what_is_not_served_is_refused_in_plain_words() -> None:
    opo = {**ENTRY, "workingSide": "SELL", "pendingType": "MARKET", "pendingSide": "BUY"}
    refused = refusal(rest_wish, "POST", "orderList/opo", signed_query(opo))
    assert refused.code == -1020
    assert refused.msg.startswith("This operation is not supported. seatrial: a sell that pays")


def test_every_call_that_places_or_cancels_is_served_or_refused_by_name() -> None:
    served = {
        "order.place", "order.cancel", "order.cancelReplace", "order.amend.keepPriority",
        "openOrders.cancelAll", "orderList.place", "orderList.place.oco", "orderList.cancel",
        "orderList.place.oto", "orderList.place.otoco", "orderList.place.opo",
        "orderList.place.opoco",
    }  # fmt: skip
    changing = {
        name
        for name, endpoint in ENDPOINTS.items()
        if endpoint.kind in {CallKind.PLACE, CallKind.CANCEL}
    }
    assert changing == served | (set(UNSERVED) & changing)
    assert not served & set(UNSERVED)


def test_a_wish_holds_no_secret() -> None:
    wish: Wish = rest_wish("POST", "order", signed_query(LIMIT))
    assert HMAC_NAME not in repr(wish)
