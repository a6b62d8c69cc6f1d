"""The second process' road: what it refuses, and what it does in spite of everything."""

import json
from pathlib import Path

import pytest

from control.control_errors import ControlError
from daemon.direct_kill import StopPlan, direct_kill, main

CONFIG = """
state_dir = "{state}"
[venue]
environment = "sim"
symbols = ["BTCUSDT"]
rest = "http://127.0.0.1:9"
ws_api = "ws://127.0.0.1:9/ws-api/v3"
streams = "ws://127.0.0.1:9"
[credentials]
file = "{keys}"
[caps]
this_is = "no cap at all"
[strategies.broken]
class = 5
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    state = tmp_path / "state"
    state.mkdir()
    (state / "identity.json").write_text('{"instance": "abc123", "run_number": 3}')
    keys = tmp_path / "keys.toml"
    keys.write_text('api_key = "k"\napi_secret = "s"\n')
    keys.chmod(0o600)
    path = tmp_path / "seatrial.toml"
    path.write_text(CONFIG.format(state=state, keys=keys))
    return path


def kill(path: Path | None) -> None:
    direct_kill(config=path, socket=Path("/no/control.sock"), by="op", uid=1, reason="test")


def latches(path: Path) -> list[str]:
    directory = path.parent / "state" / "kill-latch"
    entries = directory.iterdir() if directory.exists() else ()
    return [json.loads(entry.read_text())["reason"] for entry in entries]


def test_mistakes_elsewhere_in_the_configuration_do_not_matter(config: Path) -> None:
    plan = StopPlan.read(config)
    assert (plan.environment, plan.symbols, plan.recv_window_ms) == ("sim", ("BTCUSDT",), 3_000)
    assert set(plan.urls) == {"rest", "ws_api", "streams"}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("[venue]", "[elsewhere]"), "venue is missing"),
        (('state_dir = "', 'other_dir = "'), "state_dir is missing"),
        (("[venue]", "[venue"), "cannot be used"),
        (('symbols = ["BTCUSDT"]', "symbols = 5"), "cannot be used"),
        (("class = 5", f"class = {'[' * 5_000}"), "cannot be used"),
    ],
)
def test_what_a_stop_needs_must_be_there(config: Path, edit: tuple[str, str], said: str) -> None:
    config.write_text(config.read_text().replace(*edit))
    with pytest.raises(ControlError, match=said):
        kill(config)


def test_without_a_configuration_it_asks_for_one() -> None:
    with pytest.raises(ControlError, match="add --config"):
        kill(None)


def test_a_state_directory_that_was_never_used_is_latched_and_the_venue_is_asked(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon may be at its first start there, or the disk of one that has orders is away."""
    monkeypatch.setattr("daemon.direct_kill.DEADLINE_S", 0.3)
    for name in ("CONFIG_DEADLINE_S", "LATCH_DEADLINE_S"):  # the machine may be slow
        monkeypatch.setattr(f"daemon.direct_kill.{name}", 60.0)
    (config.parent / "state" / "identity.json").unlink()
    told = direct_kill(
        config=config, socket=Path("/no/control.sock"), by="op", uid=1, reason="test"
    )
    assert (told["verified"], told["latched"]) == (False, True)
    assert "was never used, or its disk is not mounted; " in told["msg"]
    assert "not verified empty within" in told["msg"]
    assert latches(config) == ["test"]


def test_a_key_that_cannot_be_used_is_told_after_the_latch(config: Path) -> None:
    (config.parent / "keys.toml").chmod(0o644)
    with pytest.raises(ControlError, match="latched, but nothing is canceled"):
        kill(config)
    assert latches(config) == ["test"]


def test_an_address_that_is_no_venue_is_told_after_the_latch(config: Path) -> None:
    config.write_text(config.read_text().replace("http://127.0.0.1:9", "http://example.com"))
    with pytest.raises(ControlError, match="latched, but nothing is canceled"):
        kill(config)
    assert latches(config) == ["test"]


def test_a_venue_that_does_not_answer_is_not_called_empty(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("daemon.direct_kill.DEADLINE_S", 0.3)
    with pytest.raises(SystemExit) as ended:
        main(["--config", str(config), "--reason", "nobody there", "--json", "--direct"])
    assert ended.value.code == 1
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert (result["verified"], result["empty_ms"], result["settled_ms"]) == (False, None, None)
    assert "NOT verified empty" in said.err
    assert latches(config) == ["nobody there"]


@pytest.mark.parametrize("content", [None, "garbage", "[]"])
def test_without_an_identity_it_latches_and_says_what_is_left_to_do(
    config: Path, content: str | None
) -> None:
    identity = config.parent / "state" / "identity.json"
    identity.unlink()
    (config.parent / "state" / "journal").mkdir()
    (config.parent / "state" / "journal" / "journal-000001.jsonl").write_bytes(b"{}\n")
    if content is not None:
        identity.write_text(content)
    with pytest.raises(ControlError, match=r"latched in .* nothing is canceled.*by hand"):
        kill(config)
    assert latches(config) == ["test"]
