"""Orders of ours that only the venue knows: a restored or shortened journal does not hold them.

Asked once a run, at the first reconciliation: the venue's own history is the high-water mark of our
ids that no file on this box can take back.
"""

from collections.abc import Sequence

from daemon.errors import Undecodable
from daemon.model.effects import HistoryAfter
from daemon.model.ids import is_lost, own_id_of
from daemon.shell.link.venue_requests import PAGE, VenueRequests
from daemon.venues.binance_spot import codec_rest
from daemon.venues.binance_spot.order_rows import SpotOrderRow

PAGES_MAX = 100
"""A symbol with more than 100,000 orders since the newest that we know is not read to its end."""


async def lost_orders(
    ask: VenueRequests, history: HistoryAfter, symbols: Sequence[str]
) -> list[tuple[SpotOrderRow, str]]:
    """Rows of the venue that are ours and later than the newest that the journal knows.

    Each with our own client order id, whatever the venue shows after a cancel.

    Raises:
        SeatrialError: the venue did not answer; nothing may be concluded.
    """
    found: list[tuple[SpotOrderRow, str]] = []
    for symbol in symbols:
        for row in await _orders_after(ask, symbol, history):
            own = own_id_of(row.client_order_id)
            if is_lost(own, history.instance, history.newest):
                found.append((row, own))
    return found


async def _orders_after(
    ask: VenueRequests, symbol: str, history: HistoryAfter
) -> list[SpotOrderRow]:
    """All from a known order on; without one the newest, and all when lost ones fill those."""
    known = history.after.get(ask.reader.names.instrument(symbol))
    after = 0 if known is None else int(known)
    if known is None:
        newest = await _page(ask, symbol, None)
        if len(newest) < PAGE or not any(
            is_lost(own_id_of(row.client_order_id), history.instance, history.newest)
            for row in newest
        ):
            return newest
    rows: list[SpotOrderRow] = []
    for _ in range(PAGES_MAX):
        page = await _page(ask, symbol, after)
        rows += page
        if len(page) < PAGE:
            return rows
        after = page[-1].order_id + 1
    raise Undecodable(f"{symbol}: more than {PAGES_MAX} pages of orders since {after}")


async def _page(ask: VenueRequests, symbol: str, from_id: int | None) -> list[SpotOrderRow]:
    request = ask.encoder.all_orders(symbol, from_id, PAGE, ask.sync.venue_ms())
    body = await ask.body_of_symbol(symbol, request)
    return [] if body is None else codec_rest.decode_orders(body)
