"""The frozen table of addresses (promise P9): exact names, nothing else, asked at every connect.

Rules of this file:
1. A host is allowed by its exact name. No suffix or pattern: `data-api.binance.vision` is live and
   ends like the testnet (binance-spot.md §1).
2. `sim` is loopback only; every other environment refuses IP literals, plain text and odd ports.
3. Redirects are refused by the transports; what a redirect points to would be refused here too.
"""

import ipaddress
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

from daemon.errors import HostRefused
from daemon.model.copies import replace

SIM = "sim"
BINANCE_SPOT_TESTNET = "binance-spot-testnet"


class EndpointKind(StrEnum):
    """The three routes to a venue."""

    REST = "rest"
    WS_API = "ws_api"
    STREAMS = "streams"


class CheckedAddress(msgspec.Struct, frozen=True):
    """A checked address: where a transport may connect."""

    url: str
    scheme: str
    host: str
    port: int
    path: str


class Allowed(msgspec.Struct, frozen=True):
    """Exact names and ports of one route of one environment, and the paths it serves."""

    hosts: frozenset[str]
    ports: frozenset[int]
    paths: frozenset[str]


_TESTNET = {
    EndpointKind.REST: Allowed(
        hosts=frozenset({"testnet.binance.vision", "api1.testnet.binance.vision"}),
        ports=frozenset({443}),
        paths=frozenset({"", "/", "/api", "/api/"}),
    ),
    EndpointKind.WS_API: Allowed(
        hosts=frozenset({"ws-api.testnet.binance.vision"}),
        ports=frozenset({443, 9443}),
        paths=frozenset({"", "/", "/ws-api/v3"}),
    ),
    EndpointKind.STREAMS: Allowed(
        hosts=frozenset({"stream.testnet.binance.vision"}),
        ports=frozenset({443, 9443}),
        paths=frozenset({"", "/", "/ws", "/stream"}),
    ),
}
TABLE: dict[str, dict[EndpointKind, Allowed]] = {BINANCE_SPOT_TESTNET: _TESTNET}
"""Live hosts are not in it: no configuration can name them."""
LIVE_LOOKALIKES = frozenset(
    {
        "api.binance.com",
        "api-gcp.binance.com",
        "api1.binance.com",
        "api2.binance.com",
        "api3.binance.com",
        "api4.binance.com",
        "ws-api.binance.com",
        "stream.binance.com",
        "data-api.binance.vision",
        "data-stream.binance.vision",
    }
)
"""Only for a plainer sentence: they are refused because they are not in TABLE."""

_SCHEMES = {
    EndpointKind.REST: ("http", "https"),
    EndpointKind.WS_API: ("ws", "wss"),
    EndpointKind.STREAMS: ("ws", "wss"),
}
_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def environments() -> tuple[str, ...]:
    """Names that a configuration may use."""
    return (SIM, *TABLE)


def is_loopback(host: str) -> bool:
    """Whether `host` is a loopback literal (127.0.0.0/8, ::1) or the name `localhost`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_endpoint(environment: str, route: EndpointKind, url: str) -> CheckedAddress:
    """Admit one URL for one route of one environment.

    Raises:
        HostRefused: with a sentence that names the URL's fault and the mend.
    """
    if environment not in environments():
        raise HostRefused(
            f"environment {environment!r} is not known; use one of: {', '.join(environments())}"
        )
    endpoint = _split(environment, route, url)
    if environment == SIM:
        if not is_loopback(endpoint.host):
            raise HostRefused(
                f"{url!r}: environment 'sim' is loopback only, {endpoint.host!r} is not; "
                "use 127.0.0.1, [::1] or localhost"
            )
        # A name is what a resolver makes of it; the simulated venue gets the address itself.
        return replace(endpoint, host="127.0.0.1") if endpoint.host == "localhost" else endpoint
    _check_remote(environment, route, endpoint)
    return endpoint


def check_peer(environment: str, host: str, port: int) -> None:
    """The last look before bytes leave: the name a transport is about to connect to.

    Raises:
        HostRefused: when no route of the environment has this name and port.
    """
    if environment == SIM:
        if is_loopback(host):
            return
    elif any(
        host in allowed.hosts and port in allowed.ports
        for allowed in TABLE.get(environment, {}).values()
    ):
        return
    raise HostRefused(f"refused to connect to {host}:{port}: not an address of {environment!r}")


def _split(environment: str, route: EndpointKind, url: str) -> CheckedAddress:
    if not url.isascii() or any(c.isspace() or ord(c) < 32 or c == "\\" for c in url):
        raise HostRefused(f"{url!r}: only plain ASCII without spaces or backslashes is an address")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise HostRefused(f"{url!r} is not an address: {error}") from error
    plain, secure = _SCHEMES[route]
    wanted = (plain, secure) if environment == SIM else (secure,)
    if parts.scheme not in wanted:
        raise HostRefused(f"{url!r}: scheme must be {' or '.join(wanted)} for {environment!r}")
    if "@" in parts.netloc:
        raise HostRefused(f"{url!r}: user information in an address is refused; remove it")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise HostRefused(f"{url!r}: give the base address only, without query or fragment")
    host = (parts.hostname or "").lower()
    if not host:
        raise HostRefused(f"{url!r} names no host")
    return CheckedAddress(
        url=url,
        scheme=parts.scheme,
        host=host,
        port=_DEFAULT_PORTS[parts.scheme] if port is None else port,
        path=parts.path,
    )


def _check_remote(environment: str, route: EndpointKind, endpoint: CheckedAddress) -> None:
    allowed = TABLE[environment][route]
    names = ", ".join(sorted(allowed.hosts))
    if endpoint.host not in allowed.hosts:
        if endpoint.host.rstrip(".") in LIVE_LOOKALIKES:
            raise HostRefused(
                f"{endpoint.url!r} is a LIVE host; {environment!r} {route} is only: {names}"
            )
        raise HostRefused(
            f"{endpoint.url!r}: host {endpoint.host!r} is not in the table of "
            f"{environment!r} {route}; it is only: {names}"
        )
    if endpoint.port not in allowed.ports:
        ports = ", ".join(str(port) for port in sorted(allowed.ports))
        raise HostRefused(f"{endpoint.url!r}: port {endpoint.port} is refused; use {ports}")
    if endpoint.path not in allowed.paths:
        raise HostRefused(
            f"{endpoint.url!r}: path {endpoint.path!r} is refused; give the base address"
        )
