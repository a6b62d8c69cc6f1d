"""`seatrial doctor`'s question of prices: can everything be valued that trading will bring?

Rule of this file: it asks the venue how fees are paid, and which pairs it lists; `price_paths`
decides.
"""

from collections.abc import Awaitable, Callable, Sequence

from daemon.errors import SeatrialError, VenueRefusal
from daemon.model.instrument import Instrument
from daemon.model.launch_checks import Check, failed, passed
from daemon.shell.link.price_paths import MissingPrice, PriceCaps, missing_prices, offer
from daemon.shell.link.rest_session import HttpReply
from daemon.shell.link.time_sync import TimeSync
from daemon.venues.adapter import VenueAdapter
from daemon.venues.requests import HttpRequest

_SYMBOLS_ASKED_MAX = 20

Call = Callable[[HttpRequest], Awaitable[HttpReply]]


class PriceQuestions:
    """Asks one venue about one account."""

    def __init__(self, call: Call, adapter: VenueAdapter, sync: TimeSync) -> None:
        self._call = call
        self._adapter = adapter
        self._sync = sync

    async def judge(
        self, instruments: Sequence[Instrument], held: frozenset[str], caps: PriceCaps
    ) -> Check:
        """Every asset that trading will bring has a path to the numeraire, or which has none."""
        symbols = [one.symbol for one in instruments]
        fees, unsure = await self._fee_assets(symbols, held)
        missing = missing_prices(instruments, caps.numeraire, caps.conversions, fees)
        if not missing:
            paid = f"; fees may be paid in {', '.join(fees)}" if fees else ""
            sentence = f"everything traded has a price in {caps.numeraire}{paid}{unsure}"
            return passed("valuation", sentence)
        mends = [await self._offer(one, symbols, caps) for one in missing]
        sentence = "; ".join(one.sentence for one in missing)
        return failed(
            "valuation",
            f"{sentence}: after the first fill every new order would be denied{unsure}",
            "; ".join(mends),
        )

    async def _fee_assets(
        self, symbols: Sequence[str], held: frozenset[str]
    ) -> tuple[list[str], str]:
        """What fees may be paid in beside base and quote, and what could not be learnt of it."""
        assets: set[str] = set()
        for symbol in symbols[:_SYMBOLS_ASKED_MAX]:
            try:
                request = self._adapter.encode.commission(symbol, self._sync.venue_ms())
                reply = await self._call(request)
                if reply.status != 200:
                    fault = self._adapter.decode.error(reply.status, reply.body)
                    raise VenueRefusal(fault.status, fault.code, fault.message)
                other = self._adapter.decode.fee_asset(reply.body)
            except SeatrialError as error:
                # A venue that does not say may charge the usual asset, where some is held.
                usual = sorted(held & {self._adapter.capabilities.usual_fee_asset})
                return usual, f" (how fees are paid could not be asked: {error})"
            if other in held:
                assets.add(other)
        return sorted(assets), ""

    async def _offer(self, missing: MissingPrice, symbols: Sequence[str], caps: PriceCaps) -> str:
        """The lines that would give a price, with a pair that the venue lists."""
        declared = caps.conversions.get(missing.asset)
        if declared:
            absent = [symbol for symbol in declared if symbol not in symbols]
            named = ", ".join(f'"{symbol}"' for symbol in absent)
            return f"add {named} to venue.symbols" if absent else f"correct the path {declared}"
        for pair in (missing.asset + caps.numeraire, caps.numeraire + missing.asset):
            reply = await self._call(self._adapter.encode.exchange_info((pair,)))
            if reply.status == 200:
                return offer(missing, pair, has_symbol=pair in symbols)
        return f"declare a path for {missing.asset} in [caps.conversions], over venue.symbols"
