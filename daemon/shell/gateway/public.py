"""What needs no signature: time, and the venue's public data as the cache has it."""

from collections.abc import Callable, Iterable

import orjson

from daemon.model.amounts import NS_PER_MS
from daemon.shell.gateway.gateway_rules import BotRules
from daemon.shell.gateway.public_market import MarketCache, PublicReply, PublicRequestFailed
from daemon.venues.binance_spot.serving.call_table import Endpoint
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.params import Params
from daemon.venues.binance_spot.serving.refusals import try_again
from daemon.venues.binance_spot.serving.shown_exchange_info import cut


def no_answer(error: PublicRequestFailed) -> DialectError:
    """What a bot is told of a read that the venue does not answer; of a limit, its end."""
    if not error.until_ns:
        return try_again()
    text = "Too much request weight used; seatrial: the venue's budget for reads is out"
    return DialectError(-1003, text, 429, {"retryAfter": error.until_ns // NS_PER_MS})


class PublicCalls:
    """Lives on the gateway's loop."""

    def __init__(
        self,
        cache: MarketCache,
        rules: Iterable[BotRules],
        *,
        venue_ms: Callable[[], int],
    ) -> None:
        self._cache = cache
        self._rules = tuple(rules)
        self._venue_ms = venue_ms
        self._all_symbols = tuple(
            dict.fromkeys(symbol for one in self._rules for symbol in one.symbols)
        )

    async def answer(self, endpoint: Endpoint, params: Params, bot: BotRules | None) -> PublicReply:
        """The answer to a public call; `bot`: whose key came with it, if any.

        Raises:
            DialectError: -1003 when the budget of reads is used up, -1001 without a venue.
        """
        if endpoint.name == "ping":
            return PublicReply(200, b"{}")
        if endpoint.name == "time":
            return PublicReply(200, b'{"serverTime":%d}' % self._venue_ms())
        try:
            if endpoint.name == "exchangeInfo":
                return await self._exchange_info(endpoint, params, bot)
            return await self._cache.get(endpoint, params)
        except PublicRequestFailed as error:
            raise no_answer(error) from None

    async def _exchange_info(
        self, endpoint: Endpoint, params: Params, bot: BotRules | None
    ) -> PublicReply:
        """The venue's, cut to what the bot may trade, with the bot's own limits."""
        symbols = bot.symbols if bot is not None else self._all_symbols
        asked = Params({"symbols": orjson.dumps(list(symbols)).decode()})
        reply = await self._cache.get(endpoint, asked)
        if reply.status != 200:
            return reply
        told = cut(
            orjson.loads(reply.body),
            params,
            symbols,
            [rule.row() for rule in (bot or self._rules[0]).limits],
            clock_ms=self._venue_ms(),
        )
        return PublicReply(200, orjson.dumps(told))
