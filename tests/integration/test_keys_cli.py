"""`seatrial keys`: a key made, stored and found on the box; OpenSSL and the simulator judge it."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.demo.plan import toml_text
from tests.support.forked import run
from tests.support.stop_stage import ROOT, StopStage

KEYS_FILE = ["keys", "file"]


def tool(*args: object, given: str = "", place: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return run("tool", args, given=given, cwd=place)


def test_the_public_half_is_openssls_and_the_private_half_stays_in_its_file(tmp_path: Path) -> None:
    out = tmp_path / "key.pem"
    done = tool("keys", "new", "--out", out)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    judged = subprocess.run(
        ["openssl", "pkey", "-in", out, "-pubout"], capture_output=True, text=True, check=True
    )
    assert done.stdout == judged.stdout
    secret = out.read_text().splitlines()[1]
    assert secret not in done.stdout + done.stderr
    assert "seatrial keys file --key" in done.stderr


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "key.pem"
    out.write_text("precious")
    done = tool("keys", "new", "--out", out)
    assert done.returncode == 1
    assert "is never overwritten" in done.stderr
    assert out.read_text() == "precious"
    missing = tool("keys", "new", "--out", tmp_path / "no" / "key.pem")
    assert missing.returncode == 1
    assert "No such file or directory" in missing.stderr


def test_the_credentials_file_is_one_that_the_daemon_takes(tmp_path: Path) -> None:
    key, out = tmp_path / "key.pem", tmp_path / "credentials.toml"
    tool("keys", "new", "--out", key)
    done = tool("keys", "file", "--key", key, "--out", out, given="TheApiKey123\n")
    assert done.returncode == 0, done.stderr
    assert "ed25519 key of account " in done.stdout
    assert "TheApiKey123" not in done.stdout + done.stderr
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    again = tool("keys", "file", "--key", key, "--out", out, given="Another\n")
    assert (again.returncode, "never overwritten" in again.stderr) == (1, True)


def test_the_commands_of_the_page_fill_the_file_that_init_wrote(tmp_path: Path) -> None:
    page = (ROOT / "docs/tutorial/first-testnet-session.md").read_text()
    lines = [one.partition("#")[0].split()[1:] for one in page.splitlines()]
    words = [one for one in lines if one[:1] == ["init"] or one[:2] in (["keys", "new"], KEYS_FILE)]
    assert len(words) == 3
    for one in words:
        done = tool(*one, given="TheApiKey123\n", place=tmp_path)
        assert done.returncode == 0, done.stderr
    box = tmp_path / "seatrial-box"
    checked = tool("keys", "check", "--config", box / "seatrial.toml")
    assert "ed25519 key of account " in checked.stdout, checked.stderr
    assert stat.S_IMODE((box / "credentials.toml").stat().st_mode) == 0o600
    assert {one.name for one in box.iterdir()} == {"seatrial.toml", "credentials.toml"}
    assert tool(*words[-1], given="Other\n", place=tmp_path).returncode == 1


@pytest.mark.parametrize("given", ["", "two words\n", 'quo"te\n', "x" * 600 + "\n"])
def test_what_is_no_api_key_writes_nothing(tmp_path: Path, given: str) -> None:
    key, out = tmp_path / "key.pem", tmp_path / "credentials.toml"
    tool("keys", "new", "--out", key)
    done = tool("keys", "file", "--key", key, "--out", out, given=given)
    assert done.returncode == 1
    assert "nothing is written" in done.stderr
    assert not out.exists()


def test_what_is_no_private_key_writes_nothing(tmp_path: Path) -> None:
    key, out = tmp_path / "key.pem", tmp_path / "credentials.toml"
    key.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    done = tool("keys", "file", "--key", key, "--out", out, given="TheApiKey123\n")
    assert done.returncode == 1
    assert "not an unencrypted PEM key" in done.stderr
    assert not out.exists()


def test_check_names_the_source_and_refuses_a_live_key(tmp_path: Path) -> None:
    stage = StopStage(tmp_path, symbols=("BTCUSDT",), orders_per_symbol=0)
    stage.sim.ready = {
        "api_key": "CANARYKEY",
        "api_secret": "CANARYSECRET",
        "rest": "http://127.0.0.1:9",
        "ws_api": "ws://127.0.0.1:9/ws-api/v3",
        "streams": "ws://127.0.0.1:9",
    }
    live = tmp_path / "live.toml"
    live.write_text(toml_text({"api_key": "LIVEKEY", "api_secret": "LIVESECRET"}))
    stage._settings = {"credentials": {"live_files": [str(live)]}}
    stage.write_config()
    done = tool("keys", "check", "--config", stage.config)
    assert done.returncode == 0, done.stderr
    assert "hmac key of account " in done.stdout
    assert "from file" in done.stdout
    live.write_text(toml_text({"api_key": "LIVEKEY", "api_secret": "CANARYSECRET"}))
    for command in (
        ["control.main", "keys", "check", "--config", stage.config],
        ["daemon", "--config", stage.config],
    ):
        refused = subprocess.run(
            [sys.executable, "-m", *map(str, command)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert refused.returncode in {1, 2}
        assert f"{live} holds the same api_secret: a live key" in refused.stderr
        assert "CANARYSECRET" not in refused.stderr
