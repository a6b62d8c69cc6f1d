"""A read that the venue limits is told to a bot with the end of the limit, not as it came."""

import asyncio

import pytest

from daemon.shell.gateway.public import no_answer
from daemon.shell.gateway.public_market import PublicReply, PublicRequestFailed
from daemon.shell.link.rest_session import HttpReply
from daemon.shell.public_reads import PublicReads
from daemon.venues.requests import HttpRequest, Purpose

UNTIL_NS = 5_000_000_000


def reply(status: int, body: bytes, **more: int) -> HttpReply:
    return HttpReply(status=status, headers={}, body=body, ts_sent_ns=0, ts_recv_ns=0, **more)


async def asked(answer: HttpReply) -> PublicReply:
    async def call(request: HttpRequest) -> HttpReply:
        assert request.purpose is Purpose.READ
        return answer

    reads = PublicReads(call, asyncio.get_running_loop())
    return await asyncio.wrap_future(reads.get("/api/v3/depth", "symbol=BTCUSDT", 5))


async def test_the_end_of_a_limit_is_told() -> None:
    with pytest.raises(PublicRequestFailed) as failed:
        await asked(reply(429, b"{}", paused_until_ns=UNTIL_NS))
    assert failed.value.until_ns == UNTIL_NS


def test_a_bot_is_told_until_when_and_else_to_try_again() -> None:
    limited = no_answer(PublicRequestFailed("limited", UNTIL_NS))
    assert (limited.status, limited.code, limited.data) == (429, -1003, {"retryAfter": 5_000})
    assert no_answer(PublicRequestFailed("lost")).status == 503


async def test_any_other_answer_is_told_as_it_came() -> None:
    assert await asked(reply(400, b"no")) == PublicReply(400, b"no")
