"""What `seatrial up` says before it starts anything."""

import pytest

from daemon.cli.up_command import of_a_new_box, up_command


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
