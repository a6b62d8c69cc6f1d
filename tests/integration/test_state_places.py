"""Every command finds the state directory that the daemon has, wherever it is typed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from control.tool.daemon_lookup import default_config
from daemon.direct_kill import StopPlan
from daemon.settings import SettingsError, load_config
from daemon.shell.state.state_dir import read_identity
from tests.integration.test_daemon_process import ROOT, write
from tests.support.box import Box

PATHS = {"state_dir": '"state"', "key_file": '"keys.toml"'}


def test_a_relative_path_begins_at_the_configuration_for_everybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write(tmp_path, **PATHS)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = elsewhere / "linked.toml"
    link.symlink_to(config)
    for folder in (tmp_path, elsewhere, Path("/")):
        monkeypatch.chdir(folder)
        for named in (config, link, Path(os.path.relpath(config)), Path(os.path.relpath(link))):
            settings = load_config(named).settings
            plan = StopPlan.read(named)
            assert settings.state_dir == plan.state_dir == tmp_path / "state"
            assert settings.credentials.file == plan.key_file == tmp_path / "keys.toml"
            assert settings.socket_path == tmp_path / "state/control.sock"
        assert default_config(tmp_path / "state/control.sock", {}) == config


def test_every_path_of_the_configuration_keeps_the_rule(tmp_path: Path) -> None:
    config = write(tmp_path, **PATHS)
    text = config.read_text().replace(
        "[credentials]", '[credentials]\nlive_files = ["a/live.toml"]'
    )
    config.write_text(
        text + '\n[gating]\npromotion_record = "r.json"\npromotion_key = "k.pem"\n'
        '[control]\nsocket = "run/c.sock"\n'
    )
    settings = load_config(config).settings
    assert settings.credentials.live_files == (tmp_path / "a/live.toml",)
    assert settings.gating.promotion_record == tmp_path / "r.json"
    assert settings.gating.promotion_key == tmp_path / "k.pem"
    assert settings.socket_path == tmp_path / "run/c.sock"


@pytest.mark.parametrize("written", ['"~/state"', '"~"', '"~root/x"', '""'])
def test_a_home_or_nothing_is_refused_in_words_by_both(tmp_path: Path, written: str) -> None:
    config = write(tmp_path, state_dir=written)
    with pytest.raises(SettingsError, match="state_dir"):
        load_config(config)
    done = subprocess.run(
        [sys.executable, "-m", "daemon.direct_kill", "--config", str(config)],
        cwd="/", env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "write" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_direct_kill_from_elsewhere_finds_the_orders_and_the_latch(tmp_path: Path) -> None:
    with Box(tmp_path, strategy="quoter") as box:
        text = box.config.read_text().replace(f'"{tmp_path}/state"', '"state"')
        box.config.write_text(text)
        box.signal_daemon(9)
        box.wait_daemon()
        box.start_daemon()
        assert 'state_dir = "state"' in text
        box.must("start", "--yes")
        box.until(lambda status: len(box.open_at_venue()) >= 2)
        box.signal_daemon(9)
        box.wait_daemon()
        identity = box.directory / "state/identity.json"
        known = read_identity(box.directory / "state")
        assert known is not None
        identity.unlink()  # even then: the journal names the instance
        done = subprocess.run(
            [sys.executable, "-m", "daemon.direct_kill", "--config", str(box.config), "--json"],
            cwd="/", env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["verified"]
        assert not box.open_at_venue()
        assert list((box.directory / "state/kill-latch").iterdir())
