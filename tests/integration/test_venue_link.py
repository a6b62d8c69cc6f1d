"""The link against a venue that does just what the test says: what it proves, what it never does.

Sockets are real and on loopback; every wait has a deadline.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.errors import CredentialsRefused, HostRefused
from daemon.model.effects import (
    OrderRef,
    QueryOrder,
    SendCancel,
    SendOrder,
    SendReplace,
    TakeSnapshot,
)
from daemon.model.enums import ExecType, Link, OrderType, SymbolStatus, VenueOrderStatus
from daemon.model.ids import ClientOrderId, VenueOrderId
from daemon.model.inputs import (
    BalancesChanged,
    ClockSampled,
    Input,
    InstrumentsLoaded,
    LinkDown,
    LinkUp,
    MarketData,
    NotSent,
    OrderAbsent,
    OutcomeUnknown,
    PublicTrade,
    QueryFailed,
    RateLimited,
    SnapshotFailed,
    SnapshotTaken,
    VenueCancelReject,
    VenueReject,
    VenueReport,
)
from daemon.shell.link.venue_link import Credentials, VenueEndpoints
from tests.support.link_bench import BTC, Bench, cancel, order, replacement, running
from tests.support.scripted_venue import KEY, ScriptedVenue, json_response, reply, served
from tests.support.spot_payloads import BASE, TRADE, trade_row

OWN = ClientOrderId("stabc123-1-1")


@pytest.fixture
async def venue() -> AsyncIterator[ScriptedVenue]:
    made = ScriptedVenue()
    made.clock_ms = lambda: time.monotonic_ns() // 1_000_000 + 1_700_000_000_000
    async with served(made) as serving:
        yield serving


async def swallow(_socket: web.WebSocketResponse, _call: dict[str, Any]) -> None:
    """Take the request and never answer."""


# -------------------------------------------------------------------- coming up
async def test_it_comes_up_in_order(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        kinds = [type(item) for item in bench.inputs[:3]]
        assert kinds == [ClockSampled, InstrumentsLoaded, LinkUp]
        assert bench.got(LinkUp)[0].link is Link.REST
        (sample,) = bench.got(ClockSampled)
        assert sample.round_trip_ns > 0
        names = [name for name, _ in venue.requests]
        assert names.index("GET time") < names.index("userDataStream.subscribe.signature")
        facts = bench.link.facts()
        assert facts["links"]["order"]["up"] is True
        assert facts["in_flight"] == 0
        assert facts["limits"]["ORDERS_10S"] == 100


async def test_an_ed25519_key_logs_on_and_signs_only_that(venue: ScriptedVenue) -> None:
    key = Credentials(api_key=KEY, secret=Ed25519PrivateKey.generate(), kind="ed25519")
    async with running(Bench(venue.base, credentials=key)) as bench:
        await bench.up()
        bench.link.perform(SendOrder(order()))
        await bench.first(VenueReport)
    assert "signature" in venue.asked("session.logon")[0]
    assert venue.asked("userDataStream.subscribe") == [{}]
    placed = venue.asked("order.place")[0]
    assert "signature" not in placed
    assert "timestamp" in placed


def test_addresses_and_keys_are_checked_when_it_is_made() -> None:
    with pytest.raises(HostRefused):
        VenueEndpoints(
            environment="binance-spot-testnet",
            rest="https://testnet.binance.vision",
            ws_api="wss://ws-api.testnet.binance.vision",
            streams="wss://stream.binance.com",
        )
    bad = Credentials(api_key=KEY, secret=b"", kind="hmac")
    with pytest.raises(CredentialsRefused):
        Bench("127.0.0.1:1", credentials=bad)
    assert "secret" not in repr(Credentials(api_key="k", secret=b"hidden-value", kind="hmac"))[:20]
    assert "hidden-value" not in repr(Credentials(api_key="k", secret=b"hidden-value", kind="hmac"))


# -------------------------------------------------------------------- orders
async def test_place_then_cancel(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(SendOrder(order()))
        placed = await bench.first(VenueReport)
        assert placed.report.client_order_id == OWN
        assert placed.report.exec_type is ExecType.NEW
        bench.link.perform(SendCancel(cancel(venue_order_id=placed.report.venue_order_id)))
        await bench.until(lambda: len(bench.got(VenueReport)) == 2)
        report = bench.got(VenueReport)[1].report
        assert report.client_order_id == OWN, "the order's own id, not the cancel's"
        assert report.venue_status is VenueOrderStatus.CANCELED


async def test_a_definite_no_is_a_reject(venue: ScriptedVenue) -> None:
    async def refuse(socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        error = {"code": -2010, "msg": "Account has insufficient balance for requested action."}
        await reply(socket, call, error, status=400)

    venue.script("order.place", refuse)
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(SendOrder(order()))
        reject = (await bench.first(VenueReject)).reject
        assert (reject.client_order_id, reject.code) == (OWN, -2010)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (504, {"code": -1007, "msg": "Timeout waiting for response from backend server."}),
        (500, {"code": -1000, "msg": "An unknown error occurred."}),
        (400, {"code": -1006, "msg": "An unexpected response was received."}),
        (503, {"code": -1008, "msg": "Server is currently overloaded."}),
        (400, {"code": -2010, "msg": "Duplicate order sent."}),
    ],
)
async def test_an_answer_that_proves_nothing_is_unknown(
    venue: ScriptedVenue, status: int, error: dict[str, Any]
) -> None:
    async def answer(socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        await reply(socket, call, error, status=status)

    venue.script("order.place", answer)
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(SendOrder(order()))
        unknown = await bench.first(OutcomeUnknown)
        assert (unknown.client_order_id, unknown.request) == (OWN, "place")
        assert bench.got(VenueReject) == []
        assert len(venue.asked("order.place")) == 1, "never resent"


async def test_a_missed_deadline_is_unknown_and_a_late_answer_is_still_told(
    venue: ScriptedVenue,
) -> None:
    held: list[tuple[web.WebSocketResponse, dict[str, Any]]] = []

    async def hold(socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        held.append((socket, call))

    venue.script("order.place", hold)
    async with running(Bench(venue.base, reply_deadline_ms=60)) as bench:
        await bench.up()
        bench.link.perform(SendOrder(order()))
        unknown = await bench.first(OutcomeUnknown)
        assert "60 ms" in unknown.reason
        assert bench.link.facts()["in_flight"] == 0
        await bench.until(lambda: bool(held))
        socket, call = held[0]
        status, body = venue._answer("POST order", call["params"])
        await reply(socket, call, body, status=status)
        report = (await bench.first(VenueReport)).report
        assert report.client_order_id == OWN


async def test_a_lost_socket_makes_everything_on_it_unknown_before_the_link_is_down(
    venue: ScriptedVenue,
) -> None:
    venue.script("order.place", swallow)
    venue.script("order.cancel", swallow)
    venue.script("order.cancelReplace", swallow)
    async with running(Bench(venue.base, reply_deadline_ms=30_000)) as bench:
        await bench.up()
        bench.link.perform(SendOrder(order()))
        bench.link.perform(SendCancel(cancel("stabc123-1-7")))
        bench.link.perform(SendReplace(replacement("stabc123-1-8", "stabc123-1-9")))
        await bench.until(lambda: bool(venue.asked("order.cancelReplace")))
        await venue.drop_sockets()
        await bench.first(LinkDown)
        told = [(i.client_order_id, i.request) for i in bench.got(OutcomeUnknown)]
        assert told == [
            (OWN, "place"),
            ("stabc123-1-7", "cancel"),
            ("stabc123-1-8", "replace"),
            ("stabc123-1-9", "place"),
        ]
        down = bench.inputs.index(bench.got(LinkDown)[0])
        assert all(bench.inputs.index(item) < down for item in bench.got(OutcomeUnknown))
        await bench.until(lambda: [i.link for i in bench.got(LinkUp)].count(Link.ORDER) == 2)
        assert len(venue.asked("order.place")) == 1, "never resent after a reconnect"


async def test_a_half_open_connection_is_found_by_a_request_without_answer(
    venue: ScriptedVenue,
) -> None:
    venue.script("order.place", swallow)
    venue.script("ping", swallow)
    async with running(
        Bench(venue.base, ping_doubt_ms=50, ping_reply_ms=100, reply_deadline_ms=5_000)
    ) as bench:
        await bench.up()
        bench.link.perform(SendOrder(order()))
        assert "half-open" in (await bench.first(LinkDown)).reason
        assert (await bench.first(OutcomeUnknown)).client_order_id == OWN
        await bench.until(lambda: len(bench.got(LinkUp)) == 4)


async def test_a_quiet_connection_is_asked_whether_it_lives(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base, ping_idle_ms=1_000, ping_reply_ms=1_000)) as bench:
        await bench.up()
        await bench.until(lambda: len(venue.asked("ping")) >= 3)
        assert bench.got(LinkDown) == []
        venue.script("ping", swallow)
        assert "half-open" in (await bench.first(LinkDown)).reason


async def test_one_slow_answer_is_no_half_open_connection(venue: ScriptedVenue) -> None:
    venue.script("order.place", swallow)
    async with running(Bench(venue.base, ping_doubt_ms=30, reply_deadline_ms=200)) as bench:
        await bench.up()
        bench.link.perform(SendOrder(order()))
        await bench.first(OutcomeUnknown)
        await bench.until(lambda: bool(venue.asked("ping")))
        await bench.until(lambda: bench.link.facts()["links"]["order"]["up"])
        assert bench.got(LinkDown) == []


async def test_an_unreadable_answer_is_unknown(venue: ScriptedVenue) -> None:
    async def nonsense(socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        await reply(socket, call, {"symbol": "BTCUSDT"})

    venue.script("order.place", nonsense)
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(SendOrder(order()))
        assert (await bench.first(OutcomeUnknown)).request == "place"


async def test_a_frame_of_garbage_ends_the_connection(venue: ScriptedVenue) -> None:
    async def garble(socket: web.WebSocketResponse, _call: dict[str, Any]) -> None:
        await socket.send_str("<html>bad gateway</html>")

    venue.script("order.place", garble)
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(SendOrder(order()))
        assert (await bench.first(OutcomeUnknown)).client_order_id == OWN
        assert (await bench.first(LinkDown)).link is Link.ORDER
        await bench.until(lambda: len(bench.got(LinkUp)) == 4)


async def test_the_closed_flag_stops_placements_at_the_last_function(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(SendOrder(order("stabc123-1-2")))
        await bench.first(VenueReport)
        bench.halt.close("operator's kill")
        bench.link.perform(SendOrder(order()))
        bench.link.perform(SendReplace(replacement()))
        told = [(i.client_order_id, i.request) for i in bench.got(NotSent)]
        assert told == [(OWN, "place"), (OWN, "replace"), ("stabc123-1-2", "place")]
        assert "kill" in bench.got(NotSent)[0].reason
        bench.link.perform(SendCancel(cancel("stabc123-1-2")))
        await bench.until(lambda: len(bench.got(VenueReport)) == 2)
        assert len(venue.asked("order.place")) == 1
        assert venue.asked("order.cancelReplace") == []


async def test_an_order_that_cannot_be_said_is_not_sent(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(SendOrder(order(order_type=OrderType.STOP_LOSS)))
        assert "price" in (await bench.first(NotSent)).reason
        assert venue.asked("order.place") == []


async def test_without_a_connection_placements_are_not_sent_and_cancels_take_rest(
    venue: ScriptedVenue,
) -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=503)

    venue.script("connect", refuse, times=10_000)
    venue.add_order(OWN)
    async with running(Bench(venue.base)) as bench:
        await bench.until(lambda: any(i.link is Link.REST for i in bench.got(LinkUp)))
        bench.link.perform(SendOrder(order("stabc123-1-5")))
        assert "down" in (await bench.first(NotSent)).reason
        bench.link.perform(SendCancel(cancel()))
        report = (await bench.first(VenueReport)).report
        assert (report.client_order_id, report.exec_type) == (OWN, ExecType.CANCELED)
        bench.link.perform(SendCancel(cancel()))
        assert (await bench.first(VenueCancelReject)).reject.code == -2011
        venue.add_order("stabc123-1-6")
        bench.link.perform(SendCancel(cancel("stabc123-1-6")))
        await bench.until(lambda: len(bench.got(VenueReport)) == 2)
        assert len(venue.asked("DELETE order")) == 3
        down = [item for item in bench.got(LinkDown) if item.link is Link.ORDER]
        assert len(down) == 1, "an outage is told once"
        assert "503" in down[0].reason


async def test_the_rest_road_can_carry_placements(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base, order_road="rest")) as bench:
        await bench.up()
        bench.link.perform(SendOrder(order()))
        assert (await bench.first(VenueReport)).report.client_order_id == OWN

        async def page(_request: web.Request) -> web.Response:
            return web.Response(status=502, text="<html>bad gateway</html>")

        venue.script("POST order", page)
        bench.link.perform(SendOrder(order("stabc123-1-2")))
        assert (await bench.first(OutcomeUnknown)).client_order_id == "stabc123-1-2"
        assert venue.asked("order.place") == []


async def test_a_refused_cancel_is_told_as_such(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(SendCancel(cancel()))
        reject = (await bench.first(VenueCancelReject)).reject
        assert (reject.client_order_id, reject.code) == (OWN, -2011)
        bench.link.perform(SendCancel(cancel()))
        await bench.until(lambda: len(bench.got(VenueCancelReject)) == 2)
        assert bench.got(OutcomeUnknown) == []


REPLACE_CASES = [
    ("SUCCESS", "SUCCESS", 200, [VenueReport, VenueReport]),
    ("SUCCESS", "FAILURE", 409, [VenueReport, VenueReject]),
    ("FAILURE", "NOT_ATTEMPTED", 400, [VenueCancelReject, VenueReject]),
    ("SUCCESS", "FAILURE", 429, [VenueReport, VenueReject]),  # over the count, CANCEL_ONLY
]


@pytest.mark.parametrize(("canceled", "placed", "status", "kinds"), REPLACE_CASES)
async def test_cancel_replace_tells_both_halves(
    venue: ScriptedVenue, canceled: str, placed: str, status: int, kinds: list[type]
) -> None:
    row = {
        "symbol": "BTCUSDT", "orderId": 5, "clientOrderId": "stabc123-1-2", "origQty": "0.001",
        "executedQty": "0", "status": "NEW", "side": "BUY", "price": "50000", "transactTime": 1,
        "fills": [],
    }  # fmt: skip
    gone = {
        **row,
        "orderId": 4,
        "status": "CANCELED",
        "clientOrderId": "x",
        "origClientOrderId": OWN,
    }
    error = {"code": -2010, "msg": "Account has insufficient balance for requested action."}
    halves = {
        "cancelResult": canceled,
        "newOrderResult": placed,
        "cancelResponse": gone
        if canceled == "SUCCESS"
        else {"code": -2011, "msg": "Unknown order sent."},
        "newOrderResponse": {"SUCCESS": row, "FAILURE": error, "NOT_ATTEMPTED": None}[placed],
    }

    async def answer(socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        if status == 200:
            await reply(socket, call, halves)
        else:
            code = -2022 if status == 400 else -2021
            await reply(socket, call, {"code": code, "msg": "x", "data": halves}, status=status)

    venue.script("order.cancelReplace", answer)
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        await bench.until(lambda: bench.link.facts()["questions_waiting"] == 0)
        before = len(bench.inputs)
        bench.link.perform(SendReplace(replacement()))
        await bench.until(lambda: len(told_since(bench, before)) >= 2)
        told = told_since(bench, before)[:2]
        scopes = [limited.scope for limited in bench.got(RateLimited)]
        assert scopes == (["orders"] if status == 429 else []), "cancels may go on"
        assert [type(item) for item in told] == kinds
        first, second = told
        if isinstance(first, VenueReport):
            assert first.report.client_order_id == OWN
        if isinstance(second, VenueReport):
            assert second.report.client_order_id == "stabc123-1-2"
        if isinstance(second, VenueReject):
            assert second.reject.client_order_id == "stabc123-1-2"


def told_since(bench: Bench, before: int) -> list[Input]:
    about_orders = (VenueReport, VenueReject, VenueCancelReject, OutcomeUnknown)
    return [item for item in bench.inputs[before:] if isinstance(item, about_orders)]


# -------------------------------------------------------------------- user data and market data
async def test_user_events_become_inputs(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        await venue.event({**BASE, **TRADE})
        await venue.event(
            {
                "e": "outboundAccountPosition",
                "E": 1,
                "u": 2,
                "B": [{"a": "BTC", "f": "1.0", "l": "0"}],
            }
        )
        await venue.event({"e": "aNewKindOfEvent", "E": 1})
        report = (await bench.first(VenueReport)).report
        assert report.fills[0].exec_id == "BTCUSDT:901:77"
        changed = await bench.first(BalancesChanged)
        assert changed.balances[0].free == Decimal(1)
        assert changed.ts_venue_ns == 2_000_000
        await bench.until(lambda: bench.link.facts()["unknown_events"] == {"aNewKindOfEvent": 1})


async def test_a_terminated_stream_is_a_lost_link(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        await venue.event({"e": "eventStreamTerminated", "E": 1})
        assert "user data" in (await bench.first(LinkDown)).reason
        await bench.until(lambda: len(bench.got(LinkUp)) == 4)


async def test_a_shutdown_notice_renews_with_overlap_and_without_a_gap(
    venue: ScriptedVenue,
) -> None:
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        await venue.event({"e": "serverShutdown", "E": 1})
        await bench.until(lambda: len(venue.sockets) == 2)
        await bench.until(lambda: bench.link.facts()["links"]["order"]["opened"] == 2)
        bench.link.perform(SendOrder(order()))
        await bench.first(VenueReport)
        await bench.until(lambda: venue.sockets[0].closed)
        assert bench.got(LinkDown) == []
        assert len(bench.got(LinkUp)) == 3


async def test_connections_are_renewed_before_their_age_limit(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base, connection_age_max_ms=100)) as bench:
        await bench.up()
        await bench.until(lambda: len(venue.sockets) >= 2 and len(venue.streams) >= 2)
        assert bench.got(LinkDown) == []


async def test_market_frames_become_inputs(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        await venue.market(
            "btcusdt@bookTicker",
            {"u": 5, "s": "BTCUSDT", "b": "50000.1", "B": "2", "a": "50000.2", "A": "3"},
        )
        await venue.market("btcusdt@bookTicker", {"u": 6, "s": "BTCUSDT", "b": "x"})
        await venue.market(
            "btcusdt@trade",
            {"e": "trade", "E": 1, "s": "BTCUSDT", "t": 9, "p": "1", "q": "1", "T": 1, "m": False},
        )
        top = (await bench.first(MarketData)).top
        assert (top.bid_px, top.ask_px, top.update_id) == (
            Decimal("50000.1"),
            Decimal("50000.2"),
            5,
        )
        assert (await bench.first(PublicTrade)).trade.trade_id == 9
        assert venue.asked("stream") == [{"streams": "btcusdt@bookTicker/btcusdt@trade"}]


async def test_a_quiet_market_is_no_dead_connection(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base, stream_silence_max_ms=1_000)) as bench:
        await bench.up()
        await bench.until(lambda: len(venue.asked("LIST_SUBSCRIPTIONS")) >= 5)
        assert bench.got(LinkDown) == []


async def test_a_silent_market_stream_is_made_anew(venue: ScriptedVenue) -> None:
    venue.answers_stream_commands = False
    async with running(Bench(venue.base, stream_silence_max_ms=80)) as bench:
        await bench.up()
        down = await bench.first(LinkDown)
        assert (down.link, "no frame" in down.reason) == (Link.MARKET, True)
        await bench.until(lambda: [i.link for i in bench.got(LinkUp)].count(Link.MARKET) >= 2)


# -------------------------------------------------------------------- questions
async def test_a_query_finds_the_order_and_its_fills(venue: ScriptedVenue) -> None:
    row = venue.add_order(OWN, status="PARTIALLY_FILLED", executedQty="0.00050000")
    venue.trades.append(trade_row(row["orderId"], 31))
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(QueryOrder(OWN, BTC, None))
        report = (await bench.first(VenueReport)).report
        assert report.exec_type is ExecType.STATUS
        (fill,) = report.fills
        assert (fill.exec_id, fill.client_order_id) == (f"BTCUSDT:31:{row['orderId']}", OWN)
        assert fill.recovered is True


async def test_a_query_tells_absence_apart_from_failure(venue: ScriptedVenue) -> None:
    async def page(_request: web.Request) -> web.Response:
        return web.Response(status=502, text="<html>bad gateway</html>")

    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(QueryOrder(OWN, BTC, None))
        assert (await bench.first(OrderAbsent)).absent.client_order_id == OWN
        venue.script("GET order", page)
        bench.link.perform(QueryOrder(OWN, BTC, None))
        assert (await bench.first(QueryFailed)).client_order_id == OWN
        assert len(bench.got(OrderAbsent)) == 1


async def test_an_order_renamed_by_its_cancel_is_found_by_the_venues_id(
    venue: ScriptedVenue,
) -> None:
    row = venue.add_order("stabc123-1-1-c", status="CANCELED")
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(QueryOrder(OWN, BTC, VenueOrderId(str(row["orderId"]))))
        report = (await bench.first(VenueReport)).report
        assert (report.client_order_id, report.venue_status) == (OWN, VenueOrderStatus.CANCELED)


async def test_a_reused_venue_id_after_a_wipe_is_another_order(venue: ScriptedVenue) -> None:
    row = venue.add_order("stabc123-1-77", status="CANCELED")
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(QueryOrder(OWN, BTC, VenueOrderId(str(row["orderId"]))))
        assert (await bench.first(OrderAbsent)).absent.client_order_id == OWN


async def test_a_snapshot_gathers_orders_statuses_absences_trades_balances(
    venue: ScriptedVenue,
) -> None:
    open_row = venue.add_order(OWN)
    done = venue.add_order("stabc123-1-2", status="FILLED", executedQty="0.00100000")
    foreign = venue.add_order("web_123")
    old = venue.add_order("stabc123-1-0", status="FILLED", executedQty="0.00100000")
    venue.trades += [
        trade_row(old["orderId"], 95),
        trade_row(done["orderId"], 101),
        trade_row(done["orderId"], 102),
    ]
    refs = tuple(OrderRef(ClientOrderId(f"stabc123-1-{n}"), BTC, None) for n in (1, 2, 9))
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(TakeSnapshot("boot", refs, {BTC: 100}))
        snapshot = (await bench.first(SnapshotTaken)).snapshot
        assert {r.client_order_id for r in snapshot.open_orders} == {OWN, "web_123"}
        assert [r.client_order_id for r in snapshot.statuses] == ["stabc123-1-2"]
        assert [a.client_order_id for a in snapshot.absent] == ["stabc123-1-9"]
        fills = [(f.exec_id, f.client_order_id) for f in snapshot.fills]
        assert fills == [
            (f"BTCUSDT:95:{old['orderId']}", "stabc123-1-0"),
            (f"BTCUSDT:101:{done['orderId']}", "stabc123-1-2"),
            (f"BTCUSDT:102:{done['orderId']}", "stabc123-1-2"),
        ]
        assert {b.asset for b in snapshot.balances} == {"BTC", "USDT"}
        assert snapshot.reason == "boot"
        assert venue.asked("GET myTrades")[0]["fromId"] == "90", "with overlap, inclusive"
        assert open_row["orderId"] != foreign["orderId"]


async def test_trades_are_paged_to_the_end(venue: ScriptedVenue) -> None:
    row = venue.add_order(OWN, status="FILLED", executedQty="1")
    venue.trades += [trade_row(row["orderId"], n) for n in range(100, 2350)]
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(TakeSnapshot("gap", (), {BTC: 100}))
        snapshot = (await bench.first(SnapshotTaken)).snapshot
        assert len(snapshot.fills) == 2250
        assert [q["fromId"] for q in venue.asked("GET myTrades")] == ["90", "1100", "2100"]
        assert len({fill.exec_id for fill in snapshot.fills}) == 2250


async def test_before_the_first_trade_only_the_orders_own_trades_are_asked(
    venue: ScriptedVenue,
) -> None:
    row = venue.add_order(OWN, status="PARTIALLY_FILLED", executedQty="0.0005")
    stranger = venue.add_order("web_1", status="FILLED", executedQty="1")
    venue.trades += [trade_row(row["orderId"], 7), trade_row(stranger["orderId"], 8)]
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(TakeSnapshot("boot", (OrderRef(OWN, BTC, None),), {BTC: -1}))
        snapshot = (await bench.first(SnapshotTaken)).snapshot
        assert [fill.exec_id for fill in snapshot.fills] == [f"BTCUSDT:7:{row['orderId']}"]


@pytest.mark.parametrize("broken", ["GET account", "GET openOrders", "GET myTrades"])
async def test_half_a_snapshot_is_no_snapshot(venue: ScriptedVenue, broken: str) -> None:
    async def fail(_request: web.Request) -> web.Response:
        return json_response({"code": -1000, "msg": "An unknown error"}, status=500)

    venue.script(broken, fail)
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(TakeSnapshot("audit", (OrderRef(OWN, BTC, None),), {BTC: 5}))
        failed = await bench.first(SnapshotFailed)
        assert "audit" in failed.reason
        assert bench.got(SnapshotTaken) == []


async def test_questions_have_deadlines(venue: ScriptedVenue) -> None:
    release = asyncio.Event()

    async def never(_request: web.Request) -> web.Response:
        await release.wait()
        return json_response({})

    venue.script("GET openOrders", never)
    venue.script("GET order", never)
    async with running(Bench(venue.base, snapshot_deadline_ms=100, query_deadline_ms=100)) as bench:
        await bench.up()
        bench.link.perform(TakeSnapshot("audit", (), {}))
        bench.link.perform(QueryOrder(OWN, BTC, None))
        assert (await bench.first(SnapshotFailed)).reason
        assert (await bench.first(QueryFailed)).reason
        release.set()


async def test_before_run_nothing_is_sent_and_everything_is_answered() -> None:
    bench = Bench("127.0.0.1:1")
    for effect in (
        SendOrder(order()),
        SendCancel(cancel()),
        QueryOrder(OWN, BTC, None),
        TakeSnapshot("boot", (), {}),
    ):
        bench.link.perform(effect)
    assert [type(item) for item in bench.inputs] == [NotSent, NotSent, QueryFailed, SnapshotFailed]


# -------------------------------------------------------------------- limits, clock, symbols
async def test_what_a_turn_still_wants_while_the_link_ends_is_answered(
    venue: ScriptedVenue,
) -> None:
    """The engine turns on while the tasks of the link are cancelled: a signal on a signal."""
    bench = Bench(venue.base)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.link.run(), name="link-under-test")
        await bench.up()
        task.cancel()
        await asyncio.sleep(0)  # its group is told; its children have not ended yet
        assert not task.done()
        bench.link.perform(TakeSnapshot("end", (), {}))
        bench.link.perform(QueryOrder(OWN, BTC, None))
        bench.link.perform(SendCancel(cancel()))
    assert bench.got(SnapshotFailed)
    assert bench.got(QueryFailed)


async def test_a_ban_silences_everything(venue: ScriptedVenue) -> None:
    async def ban(socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        until = venue.clock_ms() + 60_000
        error = {"code": -1003, "msg": "Way too much", "data": {"retryAfter": until}}
        await reply(socket, call, error, status=418)

    venue.script("order.place", ban)
    async with running(Bench(venue.base, time_sync_period_ms=50)) as bench:
        await bench.up()
        bench.link.perform(SendOrder(order()))
        limited = await bench.first(RateLimited)
        assert (limited.status, limited.scope) == (418, "ban")
        assert abs(limited.until_ns - bench.clock.now_ns() - 60_000_000_000) < 2_000_000_000
        assert (await bench.first(VenueReject)).reject.client_order_id == OWN
        asked = len(venue.requests)
        bench.link.perform(SendOrder(order("stabc123-1-2")))
        bench.link.perform(SendCancel(cancel()))
        bench.link.perform(QueryOrder(OWN, BTC, None))
        await bench.first(QueryFailed)
        assert [i.request for i in bench.got(NotSent)] == ["place", "cancel"]
        await venue.drop_sockets()
        await bench.until(lambda: any(i.link is Link.ORDER for i in bench.got(LinkDown)))
        await bench.until(lambda: bench.link.facts()["links"]["order"]["failed"] >= 1)
        assert len(venue.requests) == asked, "neither time sync nor reconnect may be sent"
        assert bench.link.facts()["paused_until_ns"] == limited.until_ns


@pytest.mark.parametrize(("status", "scope"), [(418, "ban"), (429, "weight"), (403, "waf")])
async def test_a_handshake_refused_for_rate_is_waited_out(
    venue: ScriptedVenue, status: int, scope: str
) -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": "30"})

    venue.script("connect", refuse, times=100)
    async with running(Bench(venue.base)) as bench:
        limited = await bench.first(RateLimited)
        assert (limited.status, limited.scope) == (status, scope)
        assert abs(limited.until_ns - bench.clock.now_ns() - 30_000_000_000) < 2_000_000_000
        down = await bench.first(LinkDown)
        assert str(status) in down.reason
        assert len(bench.got(RateLimited)) == 1


async def test_a_clock_step_is_followed_closely(venue: ScriptedVenue) -> None:
    right = venue.clock_ms
    async with running(Bench(venue.base, time_sync_period_ms=60)) as bench:
        await bench.up()
        venue.clock_ms = lambda: right() + 3_000
        await bench.until(lambda: len(bench.got(ClockSampled)) >= 2)
        venue.clock_ms = right
        await bench.until(lambda: len(bench.got(ClockSampled)) >= 3)
        first, second, third = bench.got(ClockSampled)[:3]
        assert abs(second.offset_ns - first.offset_ns - 3_000_000_000) < 100_000_000
        assert abs(third.offset_ns - first.offset_ns) < 100_000_000


async def test_a_clock_refusal_is_a_definite_no_and_brings_a_new_sample(
    venue: ScriptedVenue,
) -> None:
    async def late(socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        error = {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}
        await reply(socket, call, error, status=400)

    venue.script("order.place", late)
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(SendOrder(order()))
        assert (await bench.first(VenueReject)).reject.code == -1021
        await bench.until(lambda: len(bench.got(ClockSampled)) == 2)
        assert venue.asked("order.place")[0]["recvWindow"] == 3000


async def test_symbol_changes_take_effect(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base, exchange_info_period_ms=50)) as bench:
        await bench.up()
        venue.status = "HALT"
        await bench.until(lambda: len(bench.got(InstrumentsLoaded)) == 2)
        assert bench.got(InstrumentsLoaded)[1].instruments[0].status is SymbolStatus.HALT


async def test_a_filter_refusal_reloads_the_symbols(venue: ScriptedVenue) -> None:
    async def refuse(socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        await reply(socket, call, {"code": -1013, "msg": "Filter failure: LOT_SIZE"}, status=400)

    venue.script("order.place", refuse)
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(SendOrder(order()))
        await bench.first(VenueReject)
        await bench.until(lambda: len(venue.asked("GET exchangeInfo")) == 2)
        assert len(bench.got(InstrumentsLoaded)) == 1, "told only when they changed"


async def test_rest_down_is_confirmed_and_told_once(venue: ScriptedVenue) -> None:
    async def fail(_request: web.Request) -> web.Response:
        return web.Response(status=502)

    async with running(Bench(venue.base, time_sync_period_ms=10)) as bench:
        await bench.up()
        venue.script("GET time", fail, times=12)
        await bench.until(lambda: any(i.link is Link.REST for i in bench.got(LinkDown)))
        await bench.until(lambda: [i.link for i in bench.got(LinkUp)].count(Link.REST) == 2)
        assert [i.link for i in bench.got(LinkDown)] == [Link.REST]


async def test_a_refused_key_is_told_in_plain_words(venue: ScriptedVenue) -> None:
    async def refuse(socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        error = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
        await reply(socket, call, error, status=401)

    venue.script("userDataStream.subscribe.signature", refuse, times=100)
    async with running(Bench(venue.base)) as bench:
        down = await bench.first(LinkDown)
        assert down.link is Link.ORDER
        assert "environment" in down.reason
        assert bench.link.facts()["links"]["order"]["up"] is False
