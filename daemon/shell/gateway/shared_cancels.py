"""Cancels of one thing that are under way: who asks again shares the first one's answer."""

import asyncio
from collections.abc import Awaitable, Callable

from daemon.model.ids import InstrumentId
from daemon.venues.binance_spot.serving.dialect_errors import unknown_outcome


class SharedCancels:
    """Lives on the gateway's loop."""

    def __init__(self) -> None:
        """None is under way."""
        self._under_way: dict[tuple[str, InstrumentId, str], asyncio.Future[object]] = {}

    async def once(
        self,
        key: tuple[str, InstrumentId, str],
        ask: Callable[[], Awaitable[object]],
    ) -> object:
        """Repeated cancels of one order share the first one's answer."""
        under_way = self._under_way.get(key)
        if under_way is not None:
            return await asyncio.shield(under_way)
        mine: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._under_way[key] = mine
        try:
            result = await ask()
        except BaseException as error:
            told = error if isinstance(error, Exception) else unknown_outcome()
            mine.set_exception(told)
            mine.exception()  # looked at: nobody else need have waited
            raise
        else:
            mine.set_result(result)
            return result
        finally:
            del self._under_way[key]
