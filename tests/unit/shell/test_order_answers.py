"""What an answer proves, request by request: a table without sockets."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.model.ids import ClientOrderId
from daemon.model.inputs import (
    NotSent,
    OutcomeUnknown,
    RequestKind,
    VenueAmendReject,
    VenueCancelReject,
    VenueReject,
    VenueReport,
)
from daemon.venues.answers import NO_ORDER, Answer, Asked, not_sent, unknown
from daemon.venues.binance_spot.error_answers import classify
from daemon.venues.binance_spot.order_rows import SpotRowReader
from daemon.venues.binance_spot.spot_answers import inputs_of
from daemon.venues.own_ids import OwnIds, SymbolNames
from tests.support.link_bench import BTC
from tests.support.spot_payloads import OWN, PLACED

NEW = ClientOrderId("stabc123-1-2")
KINDS: list[RequestKind] = ["place", "cancel", "replace", "amend"]


def reader() -> SpotRowReader:
    return SpotRowReader(SymbolNames("sim", ["BTCUSDT"]), OwnIds())


def asked(kind: RequestKind) -> Asked:
    return Asked(
        kind=kind,
        client_order_id=ClientOrderId(OWN),
        instrument_id=BTC,
        new_client_order_id=NEW if kind == "replace" else NO_ORDER,
    )


def answer(result: Any = None, *, status: int = 200, code: int = 0, msg: str = "") -> Answer:
    fault = None if status == 200 else classify(status, code, msg)
    return Answer(result=orjson.dumps(result), fault=fault, error_data=None, ts_recv_ns=9)


DEFINITE = [(400, -2010), (400, -1013), (429, -1015), (400, -1021), (401, -2015)]
UNPROVEN = [(504, -1007), (500, -1000), (400, -1001), (503, -1008), (502, 0), (403, 0)]


@pytest.mark.parametrize(("status", "code"), DEFINITE)
def test_a_definite_no(status: int, code: int) -> None:
    no = answer(status=status, code=code)
    (placed,) = inputs_of(asked("place"), no, reader())
    assert isinstance(placed, VenueReject)
    assert (placed.reject.client_order_id, placed.reject.code) == (OWN, code)
    (canceled,) = inputs_of(asked("cancel"), no, reader())
    assert isinstance(canceled, VenueCancelReject)
    (amended,) = inputs_of(asked("amend"), no, reader())
    assert isinstance(amended, VenueAmendReject)
    target, new = inputs_of(asked("replace"), no, reader())
    assert isinstance(target, VenueCancelReject)
    assert isinstance(new, VenueReject)
    assert new.reject.client_order_id == NEW


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("status", "code"), UNPROVEN)
def test_what_proves_nothing(kind: RequestKind, status: int, code: int) -> None:
    told = inputs_of(asked(kind), answer(status=status, code=code), reader())
    assert told == unknown(asked(kind), told[0].reason)  # type: ignore[union-attr]
    assert len(told) == (2 if kind == "replace" else 1)


def test_a_cancel_of_nothing() -> None:
    gone = answer(status=400, code=-2011, msg="Unknown order sent.")
    (reject,) = inputs_of(asked("cancel"), gone, reader())
    assert isinstance(reject, VenueCancelReject)


def test_an_answer_about_another_order_is_not_trusted() -> None:
    (told,) = inputs_of(asked("place"), answer({**PLACED, "clientOrderId": "other"}), reader())
    assert isinstance(told, OutcomeUnknown)
    assert told.client_order_id == OWN


def test_success() -> None:
    (told,) = inputs_of(asked("place"), answer(PLACED), reader())
    assert isinstance(told, VenueReport)
    row = {**PLACED, "origClientOrderId": OWN, "clientOrderId": "x", "status": "CANCELED"}
    (told,) = inputs_of(asked("cancel"), answer(row), reader())
    assert isinstance(told, VenueReport)
    assert told.report.client_order_id == OWN
    amended = {"transactTime": 5, "executionId": 1, "amendedOrder": {
        **PLACED, "qty": "0.2", "origClientOrderId": OWN, "status": "NEW", "executedQty": "0",
    }}  # fmt: skip
    (told,) = inputs_of(asked("amend"), answer(amended), reader())
    assert isinstance(told, VenueReport)
    assert (told.report.client_order_id, str(told.report.qty)) == (OWN, "0.2")


@pytest.mark.parametrize("kind", KINDS)
@given(result=st.recursive(st.none() | st.integers(0, 9) | st.text(), st.lists, max_leaves=4))
def test_nonsense_with_a_good_status_is_unknown(kind: RequestKind, result: Any) -> None:
    told = inputs_of(asked(kind), answer(result), reader())
    assert told
    assert all(isinstance(item, OutcomeUnknown) for item in told)


@pytest.mark.parametrize("kind", KINDS)
def test_not_sent_names_every_order(kind: RequestKind) -> None:
    told = not_sent(asked(kind), "why")
    assert all(isinstance(item, NotSent) and item.reason == "why" for item in told)
    if kind == "replace":
        assert [(i.client_order_id, i.request) for i in told] == [(OWN, "replace"), (NEW, "place")]  # type: ignore[union-attr]
