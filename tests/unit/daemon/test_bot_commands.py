"""`seatrial bot` without a daemon: keys, their files, the snippets."""

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from control.tool.command_frame import Wiring, wiring
from daemon.cli import bot_commands
from daemon.cli.bot_commands import bot_group
from daemon.cli.caps_commands import explain_command
from daemon.shell.gateway.bot_keys import read_key
from daemon.shell.gateway.snippets import CLIENTS

CONFIG = """
state_dir = "state"
[venue]
environment = "sim"
symbols = ["BTCUSDT"]
rest = "http://127.0.0.1:1"
ws_api = "ws://127.0.0.1:1/ws-api/v3"
streams = "ws://127.0.0.1:1"
[gateway]
listen = "127.0.0.1:8790"
[bots.ft]
symbols = ["BTCUSDT"]
"""
CAPS = Path(__file__).resolve().parents[3] / "deploy" / "caps" / "bots.toml"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "seatrial.toml"
    path.write_text(CONFIG + CAPS.read_text())
    return path


def bot(config: Path, *words: str) -> Result:
    wiring = Wiring(socket=config.parent / "no.sock")
    return CliRunner().invoke(bot_group, [*words, "--config", str(config)], obj=wiring)


def test_a_secret_is_shown_once_and_never_again(config: Path) -> None:
    made = bot(config, "new", "ft", "--json")
    assert made.exit_code == 0, made.output
    shown = json.loads(made.stdout)
    path = config.parent / "state" / "bots" / "ft.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert not path.parents[1].stat().st_mode & 0o077, "the state directory as the daemon makes it"
    assert read_key(path).secret == shown["secret"]
    listed = bot(config, "list")
    assert "hmac" in listed.stdout
    assert shown["secret"] not in listed.stdout
    assert shown["api_key"] not in listed.stdout
    again = bot(config, "new", "ft")
    assert again.exit_code == 1
    assert "--replace makes another" in again.output
    replaced = bot(config, "new", "ft", "--replace", "--json")
    assert json.loads(replaced.stdout)["secret"] != shown["secret"]


def test_of_an_ed25519_key_the_public_half_is_registered(config: Path, tmp_path: Path) -> None:
    public = tmp_path / "public.pem"
    key = Ed25519PrivateKey.generate().public_key()
    public.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    made = bot(config, "new", "ft", "--json", "--ed25519-public-key", str(public))
    assert json.loads(made.stdout).keys() == {"bot", "kind", "api_key"}
    assert json.loads(made.stdout)["kind"] == "ed25519"
    public.write_text("rubbish")
    refused = bot(config, "new", "ft", "--replace", "--ed25519-public-key", str(public))
    assert refused.exit_code == 1
    assert "not a PEM public key" in refused.output


def test_a_revoked_key_keeps_no_secret_and_its_name_stays_revoked(config: Path) -> None:
    bot(config, "new", "ft")
    done = bot(config, "revoke", "ft", "--reason", "test")
    assert done.exit_code == 0
    assert "the daemon was not told" in done.stdout
    key = read_key(config.parent / "state" / "bots" / "ft.json")
    assert key.revoked_ns
    assert not key.secret
    assert "revoked" in bot(config, "list").stdout
    again = bot(config, "new", "ft", "--replace")
    assert again.exit_code == 1
    assert "a revoked name stays so" in again.output


def test_a_bot_that_the_configuration_lacks_has_no_key(config: Path) -> None:
    done = bot(config, "new", "stranger")
    assert done.exit_code == 1
    assert "no table [bots.stranger]; it has: ft" in done.output


@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_a_snippet_names_the_gateway_and_no_other_host(config: Path, client: str) -> None:
    done = bot(config, "snippet", "ft", "--client", client)
    assert done.exit_code == 0
    assert "127.0.0.1:8790" in done.stdout
    hosts = re.findall(r"(?:https?|wss?)://([^/:\"']+)", done.stdout)
    assert set(hosts) == {"127.0.0.1"}
    if client == "freqtrade":
        assert json.loads(done.stdout)["exchange"]["pair_whitelist"] == ["BTC/USDT"]
    else:
        compile(done.stdout, client, "exec")


def test_the_command_that_comes_next_works_as_printed(config: Path) -> None:
    printed = bot(config, "new", "ft").stderr.rpartition("seatrial bot ")[2].split()
    done = CliRunner().invoke(bot_group, printed, obj=Wiring(socket=config.parent / "no.sock"))
    assert (done.exit_code, printed[:2]) == (0, ["snippet", "ft"]), done.output


def test_the_configuration_is_found_by_the_environment_and_by_the_boxs_socket(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEATRIAL_CONFIG", raising=False)
    socket = config.parent / "state" / "control.sock"
    for command, words in ((bot_group, ["list"]), (explain_command, [])):
        found = CliRunner().invoke(command, words, obj=Wiring(socket=socket))
        assert found.exit_code == 0, found.output
        nowhere = Wiring(socket=Path("/nowhere/at/all.sock"))
        lost = CliRunner().invoke(command, words, obj=nowhere)
        assert (lost.exit_code, "$SEATRIAL_CONFIG" in lost.output) == (2, True)
        told = {"SEATRIAL_CONFIG": str(config)}
        assert CliRunner().invoke(command, words, obj=nowhere, env=told).exit_code == 0


def test_the_list_asks_the_daemon_of_its_own_configuration(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def ask(ctx: click.Context, method: str) -> dict[str, Any]:
        asked.append((method, wiring(ctx).socket_path))
        return {"bots": {"ft": {"state": "active", "orders_open": 2}}}

    monkeypatch.setattr(bot_commands, "ask", ask)
    listed = CliRunner().invoke(bot_group, ["list", "--config", str(config)], obj=Wiring())
    assert asked == [("status", config.parent / "state" / "control.sock")]
    assert "active" in listed.stdout
