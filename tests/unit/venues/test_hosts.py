"""The frozen table of hosts: what it refuses matters more than what it admits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import HostRefused
from daemon.venues.hosts import (
    BINANCE_SPOT_TESTNET,
    LIVE_LOOKALIKES,
    TABLE,
    EndpointKind,
    check_endpoint,
    check_peer,
)

ADMITTED = [
    (EndpointKind.REST, "https://testnet.binance.vision"),
    (EndpointKind.REST, "https://api1.testnet.binance.vision/api"),
    (EndpointKind.REST, "https://TESTNET.binance.vision:443/"),
    (EndpointKind.WS_API, "wss://ws-api.testnet.binance.vision/ws-api/v3"),
    (EndpointKind.WS_API, "wss://ws-api.testnet.binance.vision:9443"),
    (EndpointKind.STREAMS, "wss://stream.testnet.binance.vision:9443/stream"),
]
REFUSED = {
    "live": "https://api.binance.com",
    "live with a dot": "https://api.binance.com.",
    "live data on the same suffix": "https://data-api.binance.vision",
    "live stream on the same suffix": "https://data-stream.binance.vision",
    "demo": "https://demo-api.binance.com",
    "retired": "https://testnet.binance.vision/ws-api/v3",
    "suffix look-alike": "https://testnet.binance.vision.example.org",
    "prefix look-alike": "https://evil-testnet.binance.vision",
    "sub-domain": "https://a.testnet.binance.vision",
    "trailing dot": "https://testnet.binance.vision.",
    "user information": "https://testnet.binance.vision@example.org",
    "user information before": "https://key:secret@testnet.binance.vision",
    "empty user information": "https://@testnet.binance.vision",
    "odd port": "https://testnet.binance.vision:8443",
    "port zero": "https://testnet.binance.vision:0",
    "no port number": "https://testnet.binance.vision:https",
    "plain text": "http://testnet.binance.vision",
    "wrong scheme": "wss://testnet.binance.vision",
    "file": "file:///etc/hosts",
    "IP literal": "https://13.32.99.1",
    "IPv6 literal": "https://[2606:4700::1111]",
    "integer IP": "https://2130706433",
    "loopback": "https://127.0.0.1",
    "query": "https://testnet.binance.vision?x=1",
    "empty query": "https://testnet.binance.vision?",
    "fragment": "https://testnet.binance.vision#x",
    "backslash": "https://testnet.binance.vision\\@example.org",
    "space": "https://testnet.binance.vision /",
    "line feed": "https://testnet.binance.vision\n.example.org",
    "unicode look-alike": "https://testnet.binance.v\u0131sion",
    "full-width dot": "https://testnet\uff0ebinance.vision",
    "nothing": "",
    "no host": "https://",
    "no scheme": "testnet.binance.vision",
    "broken bracket": "https://[::1",
}


@pytest.mark.parametrize(("road", "url"), ADMITTED)
def test_the_testnet_is_admitted(road: EndpointKind, url: str) -> None:
    endpoint = check_endpoint(BINANCE_SPOT_TESTNET, road, url)
    assert endpoint.scheme in {"https", "wss"}
    check_peer(BINANCE_SPOT_TESTNET, endpoint.host, endpoint.port)


@pytest.mark.parametrize("url", REFUSED.values(), ids=REFUSED.keys())
def test_everything_else_is_refused(url: str) -> None:
    with pytest.raises(HostRefused):
        check_endpoint(BINANCE_SPOT_TESTNET, EndpointKind.REST, url)


@pytest.mark.parametrize("host", sorted(LIVE_LOOKALIKES))
@pytest.mark.parametrize("road", list(EndpointKind))
def test_live_hosts_are_named_as_live(host: str, road: EndpointKind) -> None:
    scheme = "https" if road is EndpointKind.REST else "wss"
    with pytest.raises(HostRefused, match="LIVE"):
        check_endpoint(BINANCE_SPOT_TESTNET, road, f"{scheme}://{host}")


def test_roads_do_not_lend_each_other_hosts() -> None:
    with pytest.raises(HostRefused):
        check_endpoint(
            BINANCE_SPOT_TESTNET, EndpointKind.WS_API, "wss://stream.testnet.binance.vision"
        )


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080", "http://127.9.8.7:1", "http://[::1]:8080", "http://localhost:80"],
)
def test_sim_takes_loopback(url: str) -> None:
    endpoint = check_endpoint("sim", EndpointKind.REST, url)
    assert endpoint.url == url
    assert endpoint.host in {"127.0.0.1", "127.9.8.7", "::1"}, "an address, never a name"


@pytest.mark.parametrize(
    "url",
    [
        "http://testnet.binance.vision",
        "http://192.168.1.1",
        "http://0.0.0.0:80",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
        "http://127.0.0.1@example.org",
        "http://[::ffff:8.8.8.8]:80",
        "https://api.binance.com",
    ],
)
def test_sim_takes_nothing_else(url: str) -> None:
    with pytest.raises(HostRefused):
        check_endpoint("sim", EndpointKind.REST, url)


@pytest.mark.parametrize("environment", ["", "live", "binance", "SIM", "demo"])
def test_unknown_environments_are_refused(environment: str) -> None:
    with pytest.raises(HostRefused, match="not known"):
        check_endpoint(environment, EndpointKind.REST, "http://127.0.0.1")


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("api.binance.com", 443),
        ("testnet.binance.vision", 80),
        ("127.0.0.1", 443),
        ("testnet.binance.vision.", 443),
    ],
)
def test_the_last_look_refuses_too(host: str, port: int) -> None:
    with pytest.raises(HostRefused):
        check_peer(BINANCE_SPOT_TESTNET, host, port)


def test_the_table_holds_no_live_host() -> None:
    for roads in TABLE.values():
        for allowed in roads.values():
            assert not allowed.hosts & LIVE_LOOKALIKES
            assert all(
                host.endswith(".testnet.binance.vision") or host == "testnet.binance.vision"
                for host in allowed.hosts
            )


@given(st.text(max_size=60))
def test_any_text_is_an_endpoint_or_refused(text: str) -> None:
    for environment in ("sim", BINANCE_SPOT_TESTNET):
        try:
            endpoint = check_endpoint(environment, EndpointKind.REST, text)
        except HostRefused:
            continue
        assert endpoint.host
