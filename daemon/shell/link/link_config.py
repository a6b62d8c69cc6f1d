"""What a venue link is built from: addresses, keys, bounds. Values only."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from daemon.venues.hosts import CheckedAddress, EndpointKind, check_endpoint
from daemon.venues.registry import make_adapter

if TYPE_CHECKING:  # an HMAC key needs none of it, and a stop waits for every import
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from daemon.venues.adapter import VenueAdapter


STOP_WINDOW_MS = 5_000
"""A stop's cancels may arrive late: they only take risk away."""


class VenueEndpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Base addresses of one environment; each is checked against the frozen table when made.

    Raises:
        HostRefused: on construction, for any address that the table does not hold.
    """

    environment: str
    rest: str
    ws_api: str
    streams: str

    def __post_init__(self) -> None:
        for route in EndpointKind:
            self.endpoint(route)

    def endpoint(self, route: EndpointKind) -> CheckedAddress:
        """The checked address of one route."""
        url = {
            EndpointKind.REST: self.rest,
            EndpointKind.WS_API: self.ws_api,
            EndpointKind.STREAMS: self.streams,
        }[route]
        return check_endpoint(self.environment, route, url)


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """One key. Its repr never shows the key or the secret."""

    api_key: str
    secret: "bytes | Ed25519PrivateKey"
    kind: Literal["hmac", "ed25519"]
    source: str = ""
    """Where it was found: for the record, never the key."""
    warnings: tuple[str, ...] = ()
    """What an operator should hear about that place."""

    def __repr__(self) -> str:
        return f"Credentials(kind={self.kind!r}, api_key='***', secret='***')"


class LinkConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one venue link; every wait of it has one of these as its deadline."""

    symbols: tuple[str, ...]
    recv_window_ms: int = 3_000
    """Small on purpose: it bounds how long a stuck request can still be executed."""
    reply_deadline_ms: int = 5_000
    """A placement or cancel without a trusted answer by then is OutcomeUnknown."""
    query_deadline_ms: int = 5_000
    snapshot_deadline_ms: int = 20_000
    connect_deadline_ms: int = 10_000
    stream_silence_max_ms: int = 30_000
    """No frame for so long: the market connection is taken for half-open and made anew."""
    ping_idle_ms: int = 10_000
    ping_reply_ms: int = 5_000
    ping_doubt_ms: int = 1_000
    """A request unanswered for so long, and not a word since: ask whether the connection lives."""
    backoff_min_ms: int = 100
    backoff_max_ms: int = 30_000
    backoff_reset_ms: int = 10_000
    """A connection that lived so long was a good one: the next backoff starts small again."""
    connection_age_max_ms: int = 23 * 3_600_000
    """Connections are renewed with overlap before the venue's 24 h limit."""
    overlap_ms: int = 2_000
    """How long the old connection lives on beside the new one."""
    snapshot_overlap: int = 10
    """Trade ids that are fetched again before the last booked one (history lags the matching)."""
    snapshot_lookups_max: int = 100
    """Order look-ups that one snapshot may make for trades whose order it does not know."""
    questions_max: int = 256
    """Queries and REST cancels that may wait at once."""
    time_sync_period_ms: int = 60_000
    exchange_info_period_ms: int = 300_000
    budget_period_ms: int = 10_000
    order_road: Literal["ws", "rest"] = "ws"
    """`rest`: placements and cancels go by REST, the WebSocket API still carries user data."""
    depth_symbols: tuple[str, ...] = ()
    """Symbols whose top of book comes from a synced depth book; the others take bookTicker."""
    with_trades: bool = True
    """Subscribe the public trades beside the top of book."""


def adapter_of(
    credentials: Credentials,
    environment: str,
    symbols: Sequence[str],
    recv_window_ms: int = STOP_WINDOW_MS,
) -> "VenueAdapter":
    """The adapter that speaks with this key; each link, and each stop, has one of its own.

    Raises:
        CredentialsRefused: the venue takes no such key.
    """
    return make_adapter(
        environment,
        symbols,
        api_key=credentials.api_key,
        kind=credentials.kind,
        secret=credentials.secret,
        recv_window_ms=recv_window_ms,
    )
