"""Which adapter speaks for which environment: the one place that names an adapter's package.

An adapter is imported when it is asked for: a stop waits for every import.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from daemon.errors import HostRefused
from daemon.venues.hosts import environments

if TYPE_CHECKING:  # an HMAC key needs none of it
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from daemon.venues.adapter import VenueAdapter


def make_adapter(
    environment: str,
    symbols: Iterable[str],
    *,
    api_key: str,
    kind: Literal["hmac", "ed25519"],
    secret: "bytes | Ed25519PrivateKey",
    recv_window_ms: int,
) -> "VenueAdapter":
    """The adapter of one key; all environments of this build speak Binance Spot.

    Raises:
        CredentialsRefused: a kind of key, or a secret, that the venue does not take.
        HostRefused: no adapter speaks for the environment.
    """
    from daemon.venues.binance_spot.spot_adapter import BinanceSpot, signer_of  # noqa: PLC0415

    _check(environment)
    return BinanceSpot(
        environment,
        symbols,
        api_key=api_key,
        signer=signer_of(kind, secret),
        recv_window_ms=recv_window_ms,
    )


def public_adapter(environment: str, symbols: Iterable[str]) -> "VenueAdapter":
    """An adapter for public requests, before there is a key.

    Raises:
        HostRefused: no adapter speaks for the environment.
    """
    from daemon.venues.binance_spot.spot_adapter import public  # noqa: PLC0415

    _check(environment)
    return public(environment, symbols)


def _check(environment: str) -> None:
    if environment not in environments():
        raise HostRefused(f"no adapter speaks for the environment {environment!r}")
