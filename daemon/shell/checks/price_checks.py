"""`seatrial doctor`'s question of prices: can everything be valued that trading will bring?

Rule of this file: it asks the venue how fees are paid, and which pairs it lists; `price_paths`
decides.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from daemon.errors import SeatrialError, VenueRefusal
from daemon.model.instrument import Instrument
from daemon.shell.link.price_paths import MissingPrice, PriceCaps, missing_prices, offer
from daemon.shell.link.rest_session import HttpReply
from daemon.shell.link.time_sync import TimeSync
from daemon.venues.binance_spot import codec_rest
from daemon.venues.requests import HttpRequest

_SYMBOLS_ASKED_MAX = 20
_USUAL_FEE_ASSET = "BNB"

Call = Callable[[HttpRequest], Awaitable[HttpReply]]


@dataclass(frozen=True, slots=True)
class PriceVerdict:
    """What a step says: whether it passed, what was found, and the lines that mend it."""

    ok: bool
    sentence: str
    mend: str = ""


class PriceQuestions:
    """Asks one venue about one account."""

    def __init__(
        self, signed: Call, public: Call, encoder: codec_rest.SpotRestEncoder, sync: TimeSync
    ) -> None:
        self._signed = signed
        self._public = public
        self._encoder = encoder
        self._sync = sync

    async def judge(
        self, instruments: Sequence[Instrument], held: frozenset[str], caps: PriceCaps
    ) -> PriceVerdict:
        """Every asset that trading will bring has a path to the numeraire, or which has none."""
        symbols = [one.symbol for one in instruments]
        fees, unsure = await self._fee_assets(symbols, held)
        missing = missing_prices(instruments, caps.numeraire, caps.conversions, fees)
        if not missing:
            paid = f"; fees may be paid in {', '.join(fees)}" if fees else ""
            sentence = f"everything traded has a price in {caps.numeraire}{paid}{unsure}"
            return PriceVerdict(ok=True, sentence=sentence)
        mends = [await self._offer(one, symbols, caps) for one in missing]
        sentence = "; ".join(one.sentence for one in missing)
        return PriceVerdict(
            ok=False,
            sentence=f"{sentence}: after the first fill every new order would be denied{unsure}",
            mend="; ".join(mends),
        )

    async def _fee_assets(
        self, symbols: Sequence[str], held: frozenset[str]
    ) -> tuple[list[str], str]:
        """What fees may be paid in beside base and quote, and what could not be learnt of it."""
        assets: set[str] = set()
        for symbol in symbols[:_SYMBOLS_ASKED_MAX]:
            try:
                reply = await self._signed(self._encoder.commission(symbol, self._sync.venue_ms()))
                if reply.status != 200:
                    fault = codec_rest.decode_error(reply.status, reply.body)
                    raise VenueRefusal(fault.status, fault.code, fault.message)
                row = codec_rest.decode_commission(reply.body)
            except SeatrialError as error:
                # A venue that does not say may charge the usual asset, where some is held.
                usual = sorted(held & {_USUAL_FEE_ASSET})
                return usual, f" (how fees are paid could not be asked: {error})"
            if row.other_asset in held:
                assets.add(row.other_asset)
        return sorted(assets), ""

    async def _offer(self, missing: MissingPrice, symbols: Sequence[str], caps: PriceCaps) -> str:
        """The lines that would give a price, with a pair that the venue lists."""
        declared = caps.conversions.get(missing.asset)
        if declared:
            absent = [symbol for symbol in declared if symbol not in symbols]
            named = ", ".join(f'"{symbol}"' for symbol in absent)
            return f"add {named} to venue.symbols" if absent else f"correct the path {declared}"
        for pair in (missing.asset + caps.numeraire, caps.numeraire + missing.asset):
            reply = await self._public(self._encoder.exchange_info((pair,)))
            if reply.status == 200:
                return offer(missing, pair, has_symbol=pair in symbols)
        return f"declare a path for {missing.asset} in [caps.conversions], over venue.symbols"
