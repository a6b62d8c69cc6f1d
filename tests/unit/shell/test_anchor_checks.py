"""`doctor` about anchors: what a unit blocks, judged by what systemd says of it."""

import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.settings_anchors import AnchorSettings
from daemon.shell.checks.anchor_checks import UnitLimits, anchor_steps, unit_limits

SHIPPED = """LoadState=loaded
IPAddressAllow=127.0.0.0/8 ::1/128
IPAddressDeny=10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 fe80::/64 fc00::/7
ReadWritePaths=-/var/log/seatrial-anchors
"""
"""As systemd 252 answers for the unit that we ship."""


@pytest.fixture
def systemctl(tmp_path, monkeypatch):
    """A systemctl that prints a text."""

    def says(text: str, code: int = 0) -> None:
        made = tmp_path / "bin" / "systemctl"
        made.parent.mkdir(exist_ok=True)
        made.write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\nexit {code}\n")
        made.chmod(0o755)
        monkeypatch.setenv("PATH", f"{made.parent}:{os.environ['PATH']}")

    return says


def limits(systemctl, text: str, code: int = 0) -> UnitLimits | None:
    systemctl(text, code)
    return unit_limits(Path("/etc/seatrial/box.toml"))


def steps(tmp_path, unit, *, environment="sim", **sinks):
    settings = SimpleNamespace(
        anchors=AnchorSettings.model_validate({"sinks": sinks}, context={"base": tmp_path}),
        venue=SimpleNamespace(environment=environment),
        state_dir=tmp_path,
    )
    return list(anchor_steps(settings, unit))


def hook(tmp_path, address: str) -> dict[str, str]:
    return {"kind": "webhook", "url": f"http://{address}", "secret_file": str(tmp_path / "s")}


def test_what_systemd_says_of_the_unit_is_what_counts(systemctl):
    unit = limits(systemctl, SHIPPED)
    assert unit is not None
    assert unit.name == "seatriald@box.service"
    told = {
        "10.1.2.3": True, "192.168.7.7": True, "fd00::1": True, "169.254.1.1": True,
        "127.0.0.1": False, "::1": False, "203.0.113.7": False,
    }  # fmt: skip
    assert {address: unit.blocks(address) for address in told} == told
    more = SHIPPED.replace("::1/128", "::1/128 192.168.7.7/32")
    allowed = limits(systemctl, more)
    assert allowed is not None
    assert not allowed.blocks("192.168.7.7")


@pytest.mark.parametrize(("text", "code"), [("LoadState=not-found\n", 0), ("", 1), ("noise\n", 0)])
def test_without_a_loaded_unit_nothing_is_claimed(systemctl, text, code):
    assert limits(systemctl, text, code) is None


def test_a_sink_that_the_unit_blocks_is_named_with_the_drop_in(systemctl, tmp_path):
    unit = limits(systemctl, SHIPPED)
    [step] = steps(tmp_path, unit, one=hook(tmp_path, "192.168.7.7:8795"))
    assert not step.ok
    assert "seatriald@box.service blocks 192.168.7.7 (IPAddressDeny)" in step.sentence
    assert "IPAddressAllow=192.168.7.7" in step.mend
    assert "seatriald-anchors.conf" in step.mend


def test_a_sink_that_listens_passes_and_one_that_does_not_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        [step] = steps(tmp_path, None, one=hook(tmp_path, address))
        assert step.ok, step
    [step] = steps(tmp_path, None, one=hook(tmp_path, address))
    assert not step.ok
    assert "does not answer" in step.sentence


def test_a_file_must_be_there_of_another_user_and_within_what_the_unit_may_write(
    systemctl, tmp_path
):
    unit = limits(systemctl, SHIPPED)
    [absent] = steps(tmp_path, None, one={"kind": "file", "path": str(tmp_path / "none")})
    assert "No such file" in absent.sentence
    (tmp_path / "own").touch()
    [own] = steps(tmp_path, None, one={"kind": "file", "path": str(tmp_path / "own")})
    assert "the daemon's own user owns it" in own.sentence
    if os.getuid() == 0:
        os.chown(tmp_path, 12_345, 12_345)
        [inside] = steps(tmp_path, unit, one={"kind": "file", "path": str(tmp_path / "own")})
        assert inside.ok
        [outside] = steps(tmp_path, unit, one={"kind": "file", "path": "/etc/hosts"})
        assert "ReadWritePaths=/etc/hosts" in outside.mend


def test_a_testnet_box_without_a_sink_is_told_what_follows(tmp_path):
    assert steps(tmp_path, None) == []
    [step] = steps(tmp_path, None, environment="binance-spot-testnet")
    assert step.ok
    assert "UNANCHORED" in step.sentence
