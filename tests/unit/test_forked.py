"""A fork runs what an executed program would: environment, arguments, streams, signals, its end."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from daemon.demo.plan import toml_text
from tests.support.forked import run, start
from tests.support.stop_stage import wide_caps


def test_a_fork_has_its_own_arguments_and_streams_and_tells_its_end(tmp_path: Path) -> None:
    told, errors = tmp_path / "out", tmp_path / "err"
    with told.open("wb") as out, errors.open("wb") as err:
        asked = start("daemon", ["--version"], stdout=out, stderr=err)
        assert asked.wait(60) == 0
        unusable = start("daemon", ["--config", str(tmp_path / "none")], stdout=out, stderr=err)
        assert unusable.wait(60) == 2
    assert told.read_text().startswith("seatriald, version")
    assert "none" in errors.read_text()


def test_a_run_has_input_a_directory_and_captured_words(tmp_path: Path) -> None:
    made = run("tool", ["keys", "new", "--out", "key.pem"], cwd=tmp_path)
    assert (made.returncode, made.stdout[:10]) == (0, "-----BEGIN")
    assert "keys file --key" in made.stderr
    words = ["keys", "file", "--key", "key.pem", "--out", tmp_path / "file"]
    assert run("tool", words, cwd=tmp_path).returncode == 1, "no API key was given"
    done = run("tool", words, given="TheApiKey123\n", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "TheApiKey123" in (tmp_path / "file").read_text()


def test_its_modules_are_looked_for_where_its_environment_says(tmp_path: Path) -> None:
    (tmp_path / "only_here.py").write_text("raise RuntimeError('found')\n")
    config = tmp_path / "seatrial.toml"
    keys, nowhere = tmp_path / "keys.toml", "127.0.0.1:9"
    keys.touch(mode=0o600)
    keys.write_text(toml_text({"api_key": "k", "api_secret": "s"}))
    table = {
        "state_dir": str(tmp_path / "state"),
        "venue": {
            "environment": "sim", "symbols": ["BTCUSDT"], "rest": f"http://{nowhere}",
            "ws_api": f"ws://{nowhere}", "streams": f"ws://{nowhere}",
        },
        "credentials": {"file": str(keys)},
        "strategies": {"x": {"class": "only_here:X", "symbols": ["BTCUSDT"]}},
        "caps": wide_caps(("BTCUSDT",)),
    }  # fmt: skip
    config.write_text(toml_text(table))
    said = {}
    for path in ("", str(tmp_path)):
        with (tmp_path / "log").open("w+b") as log:
            arguments = ["--config", str(config)]
            env = {**os.environ, "PYTHONPATH": path}
            asked = start("daemon", arguments, stdout=log, stderr=log, env=env)
            assert asked.wait(60) != 0
            said[path] = (tmp_path / "log").read_text()
    assert "No module named 'only_here'" in said[""]
    assert "found" in said[str(tmp_path)]


def test_it_is_stopped_and_killed_like_any_process(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        venue = start("sim", ["--seed", "1"], stdout=log, stderr=log)
    venue.send_signal(signal.SIGSTOP)
    assert venue.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        venue.wait(0)
    venue.kill()
    assert venue.wait(60) == -signal.SIGKILL
    assert venue.poll() == -signal.SIGKILL
    venue.terminate()  # of one that has ended it does nothing
