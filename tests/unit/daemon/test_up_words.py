"""What `seatrial up` says before it starts anything."""

from pathlib import Path

import pytest

from daemon.cli.up_command import of_a_new_box, of_this_venue, up_command
from daemon.demo.processes import DemoError
from daemon.settings import VenueSettings


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], ""),
        (["--no-start"], ""),
        (["--symbol", "ETHUSDT", "--symbol", "BTCUSDT"], "--symbol"),
        (["--caps", "testnet-strict", "--strategy", "heartbeat"], "--strategy, --caps"),
    ],
)
def test_options_that_a_box_of_before_does_not_take_are_named(words: list[str], told: str) -> None:
    with up_command.make_context("up", words) as ctx:
        assert of_a_new_box(ctx) == told


def venue(port: int) -> VenueSettings:
    host = f"127.0.0.1:{port}"
    return VenueSettings(
        environment="sim",
        symbols=("BTCUSDT",),
        rest=f"http://{host}",
        ws_api=f"ws://{host}/ws-api/v3",
        streams=f"ws://{host}",
    )


def test_a_box_of_another_venue_is_refused_at_once() -> None:
    """As the README's two first runs share a directory: it waited 60 s and did not say why."""
    testnet = VenueSettings(environment="binance-spot-testnet", symbols=("BTCUSDT",))
    for box in (venue(1), testnet):
        with pytest.raises(DemoError, match="name another --dir"):
            of_this_venue(Path("seatrial.toml"), box, {"rest": "http://127.0.0.1:2"})
    of_this_venue(Path("seatrial.toml"), venue(2), {"rest": "http://127.0.0.1:2"})
