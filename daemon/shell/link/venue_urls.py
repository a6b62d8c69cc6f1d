"""From the configuration's environment name to the venue's URLs.

Real venues' URLs are built in; only `sim` takes them from the configuration (loopback, checked by
`daemon.venues.hosts` at construction and again at every connection).
"""

from typing import TYPE_CHECKING

from daemon.errors import HostRefused
from daemon.shell.link.link_config import VenueEndpoints

if TYPE_CHECKING:  # the stop of a second process has no time for the whole of the settings
    from daemon.settings import VenueSettings

BINANCE_SPOT_TESTNET = {
    "rest": "https://testnet.binance.vision",
    "ws_api": "wss://ws-api.testnet.binance.vision/ws-api/v3",
    "streams": "wss://stream.testnet.binance.vision",
}


def endpoints_of(venue: "VenueSettings") -> VenueEndpoints:
    """The URLs of a venue, checked.

    Raises:
        HostRefused: a URL is not on the environment's list.
    """
    return VenueEndpoints(environment=venue.environment, **urls_of(venue))


def urls_of(venue: "VenueSettings") -> dict[str, str]:
    """The URLs of a venue by route: rest, ws_api, streams; not checked yet.

    Raises:
        HostRefused: the environment has no host in this build: every live one.
    """
    if venue.environment == "binance-spot-testnet":
        return BINANCE_SPOT_TESTNET
    if venue.environment != "sim":
        raise HostRefused(
            f"live stays blocked: this build knows no host of {venue.environment!r}; "
            'use environment = "binance-spot-testnet"'
        )
    return {
        "rest": venue.rest or "",
        "ws_api": venue.ws_api or "",
        "streams": venue.streams or "",
    }
