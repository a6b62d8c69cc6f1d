"""Waiters: registered before the offer, answered by effects, never by silence."""

import asyncio
from decimal import Decimal

import pytest

from daemon.model.bots import BotDenial, DenialSource
from daemon.model.copies import replace
from daemon.model.effects import BotAnswered, BotOrderChanged
from daemon.model.enums import ExecType, VenueOrderStatus
from daemon.model.ids import InstrumentId
from daemon.model.inputs import BotCancelAll, Input
from daemon.shell.gateway.request_waiters import PatienceOver, RequestWaiters
from tests.unit.shell.gateway.test_views import row

BTC = InstrumentId("BTCUSDT@sim")


def ask(number: int) -> Input:
    return BotCancelAll(bot="ft", request=number, instrument_id=BTC)


async def test_an_answer_that_comes_inside_the_offer_is_not_missed() -> None:
    waiting: RequestWaiters

    def offer(item: Input) -> None:
        assert isinstance(item, BotCancelAll)
        waiting.follow(BotAnswered(bot="ft", request=item.request, rows=(row(1),)))

    waiting = RequestWaiters(offer)
    answer = await waiting.ask("ft", ask, patience_s=5, on_settled=lambda: None)
    assert answer.rows == (row(1),)
    assert len(waiting) == 0


async def test_the_answer_waits_until_the_row_tells_all() -> None:
    offered: list[Input] = []
    waiting = RequestWaiters(offered.append)
    whole = replace(row(1, VenueOrderStatus.FILLED), cum_qty=Decimal("0.002"))
    task = asyncio.get_running_loop().create_task(
        waiting.ask(
            "ft", ask, patience_s=5, satisfied=lambda one: one.cum_qty > 0, on_settled=lambda: None
        )
    )
    await asyncio.sleep(0)
    waiting.follow(BotAnswered(bot="ft", request=1, rows=(row(1),)))
    await asyncio.sleep(0)
    assert not task.done()
    waiting.follow(BotOrderChanged(bot="ft", row=whole, exec_type=ExecType.TRADE))
    assert (await task).rows == (whole,)


async def test_patience_ends_in_a_doubt_and_the_late_answer_settles_it() -> None:
    waiting = RequestWaiters(lambda _item: None)
    settled: list[bool] = []
    with pytest.raises(PatienceOver):
        await waiting.ask("ft", ask, patience_s=0.001, on_settled=lambda: settled.append(True))
    assert (waiting.unknown, settled) == (1, [])
    denial = BotDenial(source=DenialSource.LINK, reason="not_sent")
    waiting.follow(BotAnswered(bot="ft", request=1, denial=denial))
    waiting.follow(BotAnswered(bot="ft", request=1, denial=denial))
    assert settled == [True]


async def test_what_is_known_when_patience_ends_is_told() -> None:
    waiting: RequestWaiters

    def offer(item: Input) -> None:
        waiting.follow(BotAnswered(bot="ft", request=1, rows=(row(1),)))

    waiting = RequestWaiters(offer)
    answer = await waiting.ask(
        "ft", ask, patience_s=0.001, satisfied=lambda _row: False, on_settled=lambda: None
    )
    assert answer.rows == (row(1),)


async def test_another_bots_answer_is_not_taken() -> None:
    waiting: RequestWaiters

    def offer(item: Input) -> None:
        waiting.follow(BotAnswered(bot="other", request=1, rows=(row(1),)))

    waiting = RequestWaiters(offer)
    with pytest.raises(PatienceOver):
        await waiting.ask("ft", ask, patience_s=0.001, on_settled=lambda: None)
