"""Binance Spot behind the venue seam: its parts, named as `daemon.venues.adapter` wants them."""

from collections.abc import Iterable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

from daemon.errors import CredentialsRefused
from daemon.venues.binance_spot import bans, costs
from daemon.venues.binance_spot.codec_stop import SpotStopCodec
from daemon.venues.binance_spot.error_answers import classify
from daemon.venues.binance_spot.request_signing import Ed25519Signer, HmacSigner, Signer
from daemon.venues.contract import Costs, RateLimitRow, RatePlan, VenueCapabilities
from daemon.venues.own_ids import OwnIds, SymbolNames

if TYPE_CHECKING:  # a stop waits for every import, and needs none of these
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from daemon.model.inputs import Input
    from daemon.venues.answers import Answer, Asked
    from daemon.venues.binance_spot.codec_rest import SpotRestEncoder
    from daemon.venues.binance_spot.codec_ws import WsCodec
    from daemon.venues.binance_spot.market_streams import MarketStreams
    from daemon.venues.binance_spot.order_rows import SpotRowReader
    from daemon.venues.binance_spot.spot_bodies import Bodies

CAPABILITIES = VenueCapabilities(cancel_all=True, usual_fee_asset="BNB")
COSTS = Costs(
    place=costs.ORDER_PLACE,
    cancel=costs.ORDER_CANCEL,
    replace=costs.CANCEL_REPLACE,
    amend=costs.AMEND,
    ping=costs.PING,
    connect=costs.CONNECT,
    charged_always=frozenset({"amend"}),
)


def header_of(row: RateLimitRow) -> str:
    """The answer header that carries the count of a limit; empty where none does."""
    suffix = f"{row.interval_num}{row.interval[:1]}"
    if row.rate_limit_type == "REQUEST_WEIGHT":
        return f"X-MBX-USED-WEIGHT-{suffix}"
    if row.rate_limit_type == "ORDERS":
        return f"X-MBX-ORDER-COUNT-{suffix}"
    return ""


RATES = RatePlan(
    documented=(
        RateLimitRow("REQUEST_WEIGHT", "MINUTE", 1, 6_000),
        RateLimitRow("RAW_REQUESTS", "MINUTE", 5, 61_000),
        RateLimitRow("ORDERS", "SECOND", 10, 50),
        RateLimitRow("ORDERS", "DAY", 1, 160_000),
        RateLimitRow("CONNECTIONS", "MINUTE", 5, 300),
    ),
    header_of=header_of,
    scopes={403: "waf", 418: "ban", 429: "weight"},
    retry_at_ms=bans.retry_at_ms,
    until_ms_in=bans.until_ms_in,
)
"""The lowest numbers that the venue's pages name (venues/binance-spot.md §6)."""


class BinanceSpot:
    """The adapter of one key in one environment."""

    capabilities = CAPABILITIES
    costs = COSTS
    rates = RATES
    fault = staticmethod(classify)

    def __init__(
        self,
        environment: str,
        symbols: Iterable[str],
        *,
        api_key: str,
        signer: Signer,
        recv_window_ms: int,
    ) -> None:
        self._names = names = SymbolNames(environment, symbols)
        self.symbols = names.symbols
        self.instrument = names.instrument
        self.ids = OwnIds()
        self._environment = environment
        self._key: dict[str, Any] = {
            "api_key": api_key, "signer": signer, "recv_window_ms": recv_window_ms
        }  # fmt: skip

    def stop_codec(self) -> SpotStopCodec:
        """For a new connection of a stop."""
        return SpotStopCodec(**self._key)

    def order_codec(self) -> "WsCodec":
        """For one new order connection."""
        from daemon.venues.binance_spot.codec_ws import WsCodec  # noqa: PLC0415 - as above

        return WsCodec(**self._key, reader=self.reader)

    @cached_property
    def encode(self) -> "SpotRestEncoder":
        """REST requests."""
        from daemon.venues.binance_spot.codec_rest import SpotRestEncoder  # noqa: PLC0415 - as above

        return SpotRestEncoder(**self._key)

    @cached_property
    def decode(self) -> "Bodies":
        """REST answers."""
        from daemon.venues.binance_spot.spot_bodies import Bodies  # noqa: PLC0415 - as above

        return Bodies(self._environment)

    @cached_property
    def reader(self) -> "SpotRowReader":
        """Rows to reports."""
        from daemon.venues.binance_spot.order_rows import SpotRowReader  # noqa: PLC0415 - as above

        return SpotRowReader(self._names, self.ids)

    @cached_property
    def market(self) -> "MarketStreams":
        """Market data."""
        from daemon.venues.binance_spot.market_streams import MarketStreams  # noqa: PLC0415 - as above

        return MarketStreams(self._names)

    @cached_property
    def inputs_of(self) -> "Callable[[Asked, Answer], list[Input]]":
        """What an answer to an order request proves for the engine."""
        from daemon.venues.binance_spot.spot_answers import inputs_of  # noqa: PLC0415 - as above

        return partial(inputs_of, reader=self.reader)


def signer_of(kind: Literal["hmac", "ed25519"], secret: "bytes | Ed25519PrivateKey") -> Signer:
    """The signer of a key.

    Raises:
        CredentialsRefused: when the kind and the secret do not fit.
    """
    if kind == "hmac" and isinstance(secret, bytes) and secret:
        return HmacSigner(secret)
    if kind == "ed25519" and not isinstance(secret, bytes):
        return Ed25519Signer(secret)
    raise CredentialsRefused(
        f"a {kind!r} key with such a secret is not taken; use HMAC or Ed25519 (not RSA)"
    )


def public(environment: str, symbols: Iterable[str]) -> BinanceSpot:
    """For public requests only: nothing that it signs is taken."""
    return BinanceSpot(
        environment, symbols, api_key="", signer=HmacSigner(b""), recv_window_ms=5_000
    )
