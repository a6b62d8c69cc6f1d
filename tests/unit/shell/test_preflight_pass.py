"""The pass of the preflight: only a fresh one, for this configuration, lets a session start."""

import json
from pathlib import Path
from typing import Any

import pytest

from daemon.shell.checks.preflight_pass import LIFE_NS_MAX, PASS_NAME, StartPermit, start_permit

MADE_NS = 1_700_000_000_000_000_000
MINUTE_NS = 60 * 10**9
GOOD: dict[str, Any] = {
    "passed": True,
    "made_ns": MADE_NS,
    "expires_ns": MADE_NS + 120 * MINUTE_NS,
    "binding": {"environment": "binance-spot-testnet", "config_hash": "c1"},
}


def ask(
    folder: Path, *, environment: str = "binance-spot-testnet", minutes: int = 5
) -> StartPermit:
    return start_permit(
        folder, environment=environment, config_hash="c1", now_ns=MADE_NS + minutes * MINUTE_NS
    )


def leave(folder: Path, content: object) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / PASS_NAME).write_text(text)


def test_a_fresh_pass_for_this_configuration_allows(tmp_path):
    leave(tmp_path, GOOD)
    permit = ask(tmp_path)
    assert permit == StartPermit(True, "passed 5 min ago for this configuration")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"passed": False}, "did not pass"),
        ({"passed": "yes"}, "did not pass"),
        ({"made_ns": None}, "does not say when"),
        ({"expires_ns": True}, "does not say when"),
        ({"made_ns": MADE_NS + 60 * MINUTE_NS}, "from the future"),
        ({"expires_ns": MADE_NS + 5 * MINUTE_NS}, "is stale"),
        ({"binding": {"environment": "sim", "config_hash": "c1"}}, "for sim, not for"),
        ({"binding": {**GOOD["binding"], "config_hash": "c2"}}, "another configuration"),
        ({"binding": None}, "not for binance-spot-testnet"),
    ],
)
def test_anything_else_refuses_and_says_why(tmp_path, change, why):
    leave(tmp_path, {**GOOD, **change})
    permit = ask(tmp_path)
    assert not permit.allowed
    assert why in permit.msg
    assert "seatrial preflight" in permit.msg


@pytest.mark.parametrize("content", ["", "[]", "null", "{", '{"passed": true}', "\x00"])
def test_what_cannot_be_read_is_no_pass(tmp_path, content):
    leave(tmp_path, content)
    assert not ask(tmp_path).allowed


def test_without_a_pass_the_place_is_named(tmp_path):
    permit = ask(tmp_path)
    assert not permit.allowed
    assert str(tmp_path / PASS_NAME) in permit.msg


def test_no_pass_counts_for_longer_than_a_day_whatever_it_says(tmp_path):
    leave(tmp_path, {**GOOD, "expires_ns": MADE_NS + 100 * LIFE_NS_MAX})
    assert ask(tmp_path, minutes=23 * 60).allowed
    assert not ask(tmp_path, minutes=24 * 60).allowed


def test_a_simulated_venue_is_exempt_and_says_so(tmp_path):
    permit = ask(tmp_path, environment="sim")
    assert permit.allowed
    assert permit.msg.startswith("exempt: a simulated venue")
