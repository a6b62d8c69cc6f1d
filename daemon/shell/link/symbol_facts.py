"""What `seatrial init` asks a venue before there is a key: a symbol's filters and its price."""

import asyncio
from collections.abc import Mapping, Sequence

from daemon.errors import SeatrialError
from daemon.model.amounts import plain
from daemon.model.halt import HaltFlag
from daemon.shell.link.governor import Governor
from daemon.shell.link.link_config import VenueEndpoints
from daemon.shell.link.rest_session import HttpReply, RestSession
from daemon.shell.link.venue_urls import BINANCE_SPOT_TESTNET
from daemon.shell.process.clock import SystemClock
from daemon.venues.binance_spot import codec_rest
from daemon.venues.binance_spot.depth import decode_snapshot
from daemon.venues.binance_spot.instrument_rules import decode_exchange
from daemon.venues.binance_spot.own_ids import SymbolNames
from daemon.venues.binance_spot.request_signing import HmacSigner
from daemon.venues.hosts import Road

DEADLINE_S = 15.0
_REQUEST_S = 5.0


class SymbolFactsError(SeatrialError):
    """The venue was asked about symbols and did not answer what was asked."""


def symbol_facts(
    environment: str, urls: Mapping[str, str] | None, symbols: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Base, quote, lot, least notional and price of each symbol, amounts as text.

    Args:
        environment: `sim` or `binance-spot-testnet`.
        urls: rest, ws_api and streams of a simulated venue; None elsewhere.
        symbols: at most a few; one that the venue does not list is left out.

    Raises:
        SeatrialError: the venue cannot be reached, or its answer is not what it documents.
    """
    wanted = dict(urls) if urls is not None else BINANCE_SPOT_TESTNET
    endpoints = VenueEndpoints(environment=environment, **wanted)
    return asyncio.run(_bounded(endpoints, symbols))


async def _bounded(endpoints: VenueEndpoints, symbols: Sequence[str]) -> dict[str, dict[str, str]]:
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await _ask(endpoints, symbols)
    except TimeoutError:
        raise SymbolFactsError(f"the venue did not answer within {DEADLINE_S:g} s") from None


async def _ask(endpoints: VenueEndpoints, symbols: Sequence[str]) -> dict[str, dict[str, str]]:
    rest = RestSession(
        environment=endpoints.environment,
        endpoint=endpoints.endpoint(Road.REST),
        clock=SystemClock(),
        governor=Governor(),
        halt=HaltFlag(),
        on_limited=lambda _limited: None,
        deadline_s=_REQUEST_S,
    )
    # Nothing here is signed: the encoder is wanted for its public requests.
    encoder = codec_rest.SpotRestEncoder(api_key="", signer=HmacSigner(b""), recv_window_ms=5_000)
    await rest.open()
    try:
        found: dict[str, dict[str, str]] = {}
        for symbol in symbols:
            listed = await rest.call(encoder.exchange_info((symbol,)))
            if listed.status != 200:
                continue
            names = SymbolNames(endpoints.environment, (symbol,))
            (instrument,) = decode_exchange(listed.body, names).instruments
            depth = await rest.call(encoder.depth(symbol, 5))
            found[symbol] = {
                "base": instrument.base,
                "quote": instrument.quote,
                "lot": plain(instrument.lot),
                "notional_min": plain(instrument.notional_min),
                "price": _price(depth, symbol),
            }
        return found
    finally:
        await rest.close()


def _price(reply: HttpReply, symbol: str) -> str:
    """The best ask, or the best bid of a book with one side."""
    if reply.status != 200:
        raise SymbolFactsError(
            f"the venue does not tell the book of {symbol}: status {reply.status}"
        )
    book = decode_snapshot(reply.body)
    for side in (book.asks, book.bids):
        if side:
            return str(side[0][0])
    raise SymbolFactsError(f"the book of {symbol} is empty: it has no price to fit caps to")
