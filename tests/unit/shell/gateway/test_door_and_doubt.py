"""What one peer does harms no other: shared buckets, reused ids, answers that nobody reads."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from daemon.model.bots import BotDenial, BotOrderRow, BotState, BotView, DenialSource
from daemon.model.copies import replace
from daemon.model.effects import BotAnswered, BotOrderChanged
from daemon.model.enums import ExecType, VenueOrderStatus
from daemon.model.inputs import BotCancel, BotPlace, Input
from daemon.shell.gateway import gateway_ws
from daemon.shell.gateway.bot_authentication import BAD_SIGNATURE, Authentication
from daemon.shell.gateway.bot_calls import BotCalls
from daemon.shell.gateway.bot_keys import KeyRing, digest_of, new_key, write_key
from daemon.shell.gateway.gateway_rules import BotAsked, BotRules, Counts
from daemon.shell.gateway.public_market import PublicReply
from daemon.shell.gateway.request_waiters import RequestWaiters
from daemon.shell.gateway.views import Views
from daemon.shell.sim_host.sim_connection import OUTBOX_BYTES_MAX, Backlog, SimConnection
from daemon.venues.binance_spot.serving.call_table import ENDPOINTS
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.params import Params
from tests.unit.shell.gateway.test_views import row

RULES = BotRules(
    name="ft", symbols=("BTCUSDT",), can_trade=True, patience_s=0.02, requests_per_second=100,
    requests_burst=100, cancels_per_second=10, orders_10s=100, orders_day=1_000,
)  # fmt: skip
FILLED = VenueOrderStatus.FILLED


class StillClock:
    """Stands where it is put."""

    def __init__(self) -> None:
        self.at_ns = 1_000_000_000_000

    def now_ns(self) -> int:
        return self.at_ns

    def monotonic_ns(self) -> int:
        return self.at_ns


def door(state_dir: Path, clock: StillClock) -> Authentication:
    return Authentication(
        KeyRing(state_dir, {"ft": True}, venue_key_digest=digest_of("x")),
        [RULES],
        told={},
        clock=clock,
        offset_ns=lambda: 0,
        on_incident=lambda _what, _bot: None,
        on_revoked=lambda _bot: None,
        on_replaced=lambda _bot: None,
    )


@pytest.mark.parametrize("key", ["", "k" * 64])
def test_a_hammer_without_a_key_of_ours_bans_nobody(tmp_path: Path, key: str) -> None:
    clock = StillClock()
    made = door(tmp_path, clock)
    refused = set()
    for _ in range(2_000):
        try:
            made.charge(key, None)
        except DialectError as error:
            refused.add(error.status)
    assert refused == {429}
    made.charge("s" * 64 if not key else "", None)  # the others have a bucket of their own
    clock.at_ns += 1_000_000_000
    made.charge(key, None)


def test_who_has_a_bots_api_key_and_not_its_secret_uses_up_nothing_of_its(tmp_path: Path) -> None:
    key = new_key("ft", 7)
    write_key(tmp_path, key)
    made = door(tmp_path, StillClock())
    wrong = DialectError(BAD_SIGNATURE, "Signature for this request is not valid.")
    refused = set()
    for name in ("order.cancel", "account.status"):
        for _ in range(1_000):
            made.charge(key.api_key, ENDPOINTS[name])
            try:
                made.refused(wrong, key.api_key, b"x", "00")
            except DialectError as error:
                refused.add(error.status)
    assert refused == {429}, "they have a bound of their own"
    assert made.throttles["ft"].refused == 0
    for number in range(RULES.cancels_per_second):
        made.charge(key.api_key, ENDPOINTS["order.cancel"], f"order {number}")
    with pytest.raises(DialectError):
        made.charge(key.api_key, ENDPOINTS["order.cancel"], "one more")


class Stage:
    """The calls of one bot, and what they offer to the engine."""

    def __init__(self, *rows: BotOrderRow) -> None:
        self.offered: list[Any] = []
        view = BotView(
            bot="ft", state=BotState.ACTIVE, reason="", symbols=("BTCUSDT",), orders=rows,
            balances=(),
        )  # fmt: skip
        self.views = Views([view])
        self.waiting = RequestWaiters(self._offer)
        self.calls = BotCalls(
            environment="sim",
            views=self.views,
            waiting=self.waiting,
            account=cast("Any", None),
            counts={"ft": Counts(RULES)},
            now_ns=lambda: 0,
        )

    def _offer(self, item: Input) -> None:
        self.offered.append(item)

    async def ask(self, name: str, **params: str) -> object:
        asked = BotAsked(bot=RULES, params=Params({"symbol": "BTCUSDT", **params}), now_ns=0)
        return await self.calls.handlers[name](asked)

    async def code(self, name: str, **params: str) -> int:
        with pytest.raises(DialectError) as caught:
            await self.ask(name, **params)
        return caught.value.code

    async def place(self) -> int:
        return await self.code(
            "order.place", side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.001",
            price="50000", newClientOrderId="same",
        )  # fmt: skip


ENDED = replace(row(1, FILLED, "same"), cum_qty=Decimal("0.002"))


async def test_a_reused_id_in_doubt_is_neither_the_old_order_nor_absent() -> None:
    stage = Stage(ENDED)
    assert await stage.code("order.cancel", origClientOrderId="same") == -2011
    assert await stage.place() == -1007
    assert await stage.code("order.status", origClientOrderId="same") == -1007
    old = await stage.ask("order.status", orderId="1")
    assert cast("dict[str, object]", old)["status"] == "FILLED"
    # The cancel must reach the engine, which knows the new order.
    assert await stage.code("order.cancel", origClientOrderId="same") == -1007
    assert [type(one) for one in stage.offered] == [BotPlace, BotCancel]
    new = row(2, VenueOrderStatus.NEW, "same")
    stage.views.follow(BotOrderChanged(bot="ft", row=new, exec_type=ExecType.NEW))
    told = cast("dict[str, object]", await stage.ask("order.status", origClientOrderId="same"))
    assert told["orderId"] == 2


async def test_when_the_new_one_is_refused_the_id_means_the_old_order_again() -> None:
    stage = Stage(ENDED)
    assert await stage.place() == -1007
    denial = BotDenial(source=DenialSource.CAPS, reason="order_qty")
    stage.waiting.follow(BotAnswered(bot="ft", request=1, denial=denial))
    told = cast("dict[str, object]", await stage.ask("order.status", origClientOrderId="same"))
    assert told["orderId"] == 1
    assert await stage.code("order.cancel", origClientOrderId="same") == -2011


async def test_a_second_placement_under_an_open_orders_id_hides_it_not() -> None:
    stage = Stage(row(1, VenueOrderStatus.NEW, "same"))
    assert await stage.place() == -1007
    told = cast("dict[str, object]", await stage.ask("order.status", origClientOrderId="same"))
    assert told["orderId"] == 1


class Transport:
    """Remembers whether it was cut."""

    is_cut = False

    def abort(self) -> None:
        self.is_cut = True


def connected(transport: Transport, sent: asyncio.Event, backlog: Backlog) -> SimConnection:
    class Socket:
        async def send_frame(self, _frame: bytes, _kind: object) -> None:
            sent.set()

    request = cast("web.BaseRequest", type("Request", (), {"transport": transport})())
    socket = cast("web.WebSocketResponse", Socket())
    return SimConnection("user", socket, request, 0, backlog)


def test_however_many_read_nothing_what_waits_is_bounded_and_who_reads_is_not_cut_off() -> None:
    backlog, frame = Backlog(), b"x" * 30_000
    deaf = [Transport() for _ in range(200)]
    hogs = [connected(each, asyncio.Event(), backlog) for each in deaf]
    most = 0
    for _ in range(200):
        for hog in hogs:
            hog.send(frame, 1)
            most = max(most, backlog.held)
    assert most <= 2 * OUTBOX_BYTES_MAX
    assert any(each.is_cut for each in deaf)
    for each in hogs:
        each.drop()
    full, reader = Backlog(), Transport()
    hogs = [connected(Transport(), asyncio.Event(), full) for _ in range(20)]
    for number in range(2_000):
        hogs[number % 20].send(frame, 1)
    reads = connected(reader, asyncio.Event(), full)
    reads.send(frame, 1)
    assert not reader.is_cut
    for each in (*hogs, reads):
        each.drop()
    assert (backlog.held, full.held) == (0, 0)


async def test_answers_that_nobody_reads_are_bounded_in_bytes() -> None:
    transport, sent = Transport(), asyncio.Event()
    connection = connected(transport, sent, Backlog())
    frame = b"x" * (OUTBOX_BYTES_MAX // 4)
    for _ in range(4):
        connection.send(frame, 1)
    assert not transport.is_cut
    writer = asyncio.get_running_loop().create_task(connection.write_forever())
    await sent.wait()
    for _ in range(4):  # what was read is room again
        connection.send(frame, 1)
    assert not transport.is_cut
    connection.send(frame, 1)
    assert transport.is_cut
    writer.cancel()


@pytest.mark.parametrize("body", [b"<html>403</html>", b"[]", b'{"code":"x"}', b""])
def test_an_answer_of_what_stands_before_the_venue_is_a_refusal_in_the_protocol(
    body: bytes,
) -> None:
    told = gateway_ws.refused_by_venue(PublicReply(403, body))
    assert (told.code, told.status) == (-1001, 503)
    own = gateway_ws.refused_by_venue(PublicReply(400, b'{"code":-1121,"msg":"Invalid symbol."}'))
    assert (own.code, own.msg, own.status) == (-1121, "Invalid symbol.", 400)
