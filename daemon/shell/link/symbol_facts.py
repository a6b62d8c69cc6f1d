"""What is asked of a venue before there is a key: a symbol's filters and its price."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal

from daemon.errors import SeatrialError
from daemon.model.amounts import ZERO, plain
from daemon.model.enums import Side
from daemon.model.halt import HaltFlag
from daemon.model.instrument import Instrument
from daemon.shell.link.governor import Governor
from daemon.shell.link.link_config import VenueEndpoints
from daemon.shell.link.rest_session import HttpReply, RestSession
from daemon.shell.link.venue_urls import BINANCE_SPOT_TESTNET
from daemon.shell.process.clock import SystemClock
from daemon.venues.adapter import VenueAdapter
from daemon.venues.hosts import EndpointKind
from daemon.venues.registry import public_adapter

DEADLINE_S = 15.0
_REQUEST_S = 5.0


class SymbolFactsError(SeatrialError):
    """The venue was asked about symbols and did not answer what was asked."""


def symbol_facts(
    environment: str, urls: Mapping[str, str] | None, symbols: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Filters, price and traded value of each symbol, as text; an amount of 0 is not known.

    Args:
        environment: `sim` or `binance-spot-testnet`.
        urls: rest, ws_api and streams of a simulated venue; None elsewhere.
        symbols: at most a few; one that the venue does not list is left out.

    Raises:
        SeatrialError: the venue cannot be reached, or its answer is not what it documents.
    """
    wanted = dict(urls) if urls is not None else BINANCE_SPOT_TESTNET
    found = asyncio.run(_bounded(VenueEndpoints(environment=environment, **wanted), symbols))
    return {
        symbol: {
            "base": instrument.base,
            "quote": instrument.quote,
            "lot": plain(instrument.lot),
            "tick": plain(instrument.tick),
            "orders_open": str(instrument.orders_open_max),
            "order_types": " ".join(sorted(instrument.order_types)),
            "notional_min": plain(instrument.notional_min),
            "price": plain(price),
            "day_volume": plain(volume),
        }
        for symbol, (instrument, price, volume) in found.items()
    }


def listed_at(
    endpoints: VenueEndpoints, symbols: Sequence[str]
) -> dict[str, tuple[Instrument, Decimal]]:
    """Each symbol that the venue lists, and a price of its book.

    Raises:
        SeatrialError: the venue cannot be reached, or its answer is not what it documents.
    """
    found = asyncio.run(_bounded(endpoints, symbols))
    return {symbol: (instrument, price) for symbol, (instrument, price, _) in found.items()}


async def _bounded(
    endpoints: VenueEndpoints, symbols: Sequence[str]
) -> dict[str, tuple[Instrument, Decimal, Decimal]]:
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await _ask(endpoints, symbols)
    except TimeoutError:
        raise SymbolFactsError(f"the venue did not answer within {DEADLINE_S:g} s") from None


async def _ask(
    endpoints: VenueEndpoints, symbols: Sequence[str]
) -> dict[str, tuple[Instrument, Decimal, Decimal]]:
    venue = public_adapter(endpoints.environment, symbols)
    rest = RestSession(
        environment=endpoints.environment,
        endpoint=endpoints.endpoint(EndpointKind.REST),
        clock=SystemClock(),
        governor=Governor(venue.rates),
        halt=HaltFlag(),
        on_limited=lambda _limited: None,
        read_error=venue.decode.error,
        deadline_s=_REQUEST_S,
    )
    await rest.open()
    try:
        found: dict[str, tuple[Instrument, Decimal, Decimal]] = {}
        for symbol in symbols:
            listed = await rest.call(venue.encode.exchange_info((symbol,)))
            if listed.status != 200:
                continue
            found_one = venue.decode.listed(listed.body, (symbol,))
            if found_one.absent:
                raise SymbolFactsError(f"{symbol}: {found_one.absent[symbol]}")
            (instrument,) = found_one.instruments
            depth = await rest.call(venue.encode.depth(symbol, 5))
            day = await rest.call(venue.encode.day_ticker(symbol))
            volume = venue.decode.day_volume(day.body) if day.status == 200 else ZERO
            found[symbol] = (instrument, _price(venue, depth, symbol), volume)
        return found
    finally:
        await rest.close()


def _price(venue: VenueAdapter, reply: HttpReply, symbol: str) -> Decimal:
    """The best ask, or the best bid of a book with one side."""
    if reply.status != 200:
        raise SymbolFactsError(
            f"the venue does not tell the book of {symbol}: status {reply.status}"
        )
    book = venue.decode.depth(reply.body)
    best = book.top(Side.SELL) or book.top(Side.BUY)
    if best is not None:
        return best[0]
    raise SymbolFactsError(f"the book of {symbol} is empty: there is no price to begin with")
