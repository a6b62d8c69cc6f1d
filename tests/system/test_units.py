"""The units in systemd/, judged by systemd's own tools; nothing is started here."""

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
TIMERS = sorted(path.name for path in UNITS.glob("*.timer"))
SOCKETS = sorted(path.name for path in UNITS.glob("*.socket"))
EXPOSURE_MAX = 1.5
PREFIX = "/opt/seatrial/bin"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def instantiate(target: Path) -> list[str]:
    """Copy every unit as an instance `demo`, with stand-ins for our commands."""
    commands = target / "bin"
    commands.mkdir()
    for name in ("seatriald", "seatrial", "python"):
        (commands / name).write_text("#!/bin/sh\n")
        (commands / name).chmod(0o755)
    made = []
    for unit in (*SERVICES, *TIMERS, *SOCKETS):
        name = unit.replace("@.", "@demo.")
        text = (UNITS / unit).read_text().replace(PREFIX, str(commands))
        (target / name).write_text(text)
        made.append(name)
    return made


def analyze(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def lines(unit: str) -> list[tuple[str, str]]:
    """Every `Key=value` of a unit, in order."""
    text = re.sub(r"^[#;].*$", "", (UNITS / unit).read_text(), flags=re.MULTILINE)
    return [
        (key, value) for key, _, value in (row.partition("=") for row in text.splitlines()) if value
    ]


def settings(unit: str) -> dict[str, str]:
    """The last value of each key of a unit."""
    return dict(lines(unit))


@needs_systemd
def test_every_unit_is_understood_without_a_word(tmp_path: Path) -> None:
    made = instantiate(tmp_path)
    done = analyze("verify", "--recursive-errors=yes", "--man=no", *made, cwd=tmp_path)
    mine = [line for line in done.stderr.splitlines() if "seatrial" in line]
    assert not mine, "\n".join(mine)
    assert done.returncode == 0, done.stderr


@needs_systemd
def test_an_unknown_key_would_not_pass(tmp_path: Path) -> None:
    instantiate(tmp_path)
    unit = tmp_path / "seatriald@demo.service"
    unit.write_text(unit.read_text().replace("[Service]\n", "[Service]\nProtectEverything=yes\n"))
    done = analyze("verify", "--recursive-errors=yes", "--man=no", unit.name, cwd=tmp_path)
    assert done.returncode != 0
    assert "ProtectEverything" in done.stderr


@needs_systemd
@pytest.mark.parametrize("service", SERVICES)
def test_exposure_is_low(service: str, tmp_path: Path) -> None:
    instantiate(tmp_path)
    name = service.replace("@.", "@demo.")
    done = analyze(
        "security", "--offline=true", f"--threshold={int(EXPOSURE_MAX * 10)}", name, cwd=tmp_path
    )
    figure = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert figure, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout
    assert float(figure[1]) <= EXPOSURE_MAX


@needs_systemd
def test_the_timers_fire_when_they_say(tmp_path: Path) -> None:
    for timer in TIMERS:
        done = analyze("calendar", "--iterations=2", settings(timer)["OnCalendar"], cwd=tmp_path)
        assert done.returncode == 0, f"{timer}: {done.stderr}"
        assert f"{timer.removesuffix('.timer')}.service" in SERVICES


def test_no_restart_can_resume_trading() -> None:
    daemon = settings("seatriald@.service")
    assert daemon["Restart"] == "on-failure"
    assert daemon["Type"] == "notify"
    assert int(daemon["WatchdogSec"]) > 0
    assert "2" in daemon["RestartPreventExitStatus"].split(), "a bad config is not restarted"
    assert int(daemon["StartLimitBurst"]) <= 5
    starts = [value for key, value in lines("seatriald@.service") if key.startswith("ExecStart")]
    assert not [value for value in starts if re.search(r"\bseatrial (start|re-arm)\b", value)]


def test_an_unclean_end_is_cancelled_at_the_venue() -> None:
    daemon = settings("seatriald@.service")
    assert "SERVICE_RESULT" in daemon["ExecStopPost"]
    assert "exited:2" in daemon["ExecStopPost"], "a config that cannot be used must not latch"
    assert "systemctl start seatrial-cancel@%i.service" in daemon["ExecStopPost"]
    assert "kill --direct" in settings("seatrial-cancel@.service")["ExecStart"]
    assert daemon["OnFailure"] == "seatrial-failure@%i.service"
    assert "kill --direct" in (UNITS / "seatrial-failure@.service").read_text()


def test_the_control_socket_can_tell_who_asks() -> None:
    """In a user namespace of its own every other user would be `nobody` (SO_PEERCRED)."""
    assert "PrivateUsers" not in settings("seatriald@.service")
    assert "DynamicUser" not in settings("seatriald@.service")


def test_systemds_socket_stands_where_the_daemons_own_would() -> None:
    held = settings("seatriald@.socket")
    assert held["ListenStream"] == "/run/seatrial/%i/control.sock"
    assert held["FileDescriptorName"] == "control"
    assert (held["SocketMode"], held["SocketGroup"]) == ("0660", "seatrial-stop")
    daemon = settings("seatriald@.service")
    assert daemon["SupplementaryGroups"] == held["SocketGroup"], "it may give its own away as well"
    assert daemon["RuntimeDirectoryPreserve"] == "yes", "the path must outlive the daemon"


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_sandbox(service: str) -> None:
    own = {
        "PrivateUsers", "PrivateNetwork", "RestrictAddressFamilies", "IPAddressDeny",
        "IPAddressAllow", "CapabilityBoundingSet",
    }  # fmt: skip
    wanted = sandbox("seatriald@.service")
    # The daemon gives its socket to a group; the others make none.
    wanted["SystemCallFilter"] = wanted["SystemCallFilter"].removesuffix(" @chown")
    if service == "seatriald@.service":
        own = own | {"SystemCallFilter"}
    assert {k: v for k, v in sandbox(service).items() if k not in own} == {
        k: v for k, v in wanted.items() if k not in own
    }


def sandbox(service: str) -> dict[str, str]:
    """The part of a service that shuts doors."""
    keys = re.compile(
        r"^(Protect|Private|Restrict|Lock|MemoryDeny|NoNew|RemoveIPC|Keyring|Device|SystemCall)"
    )
    joined: dict[str, str] = {}
    for key, value in lines(service):
        if keys.match(key):
            joined[key] = f"{joined[key]} {value}" if key in joined else value
    return joined


def test_no_key_is_in_a_unit_and_credentials_are_encrypted() -> None:
    loaded = [value for key, value in lines("seatriald@.service") if key.startswith("LoadCred")]
    assert {value.partition(":")[0] for value in loaded} == {
        "api_key",
        "api_secret",
        "ed25519_private_key",
    }
    for unit in SERVICES:
        assert "SetCredential" not in settings(unit), f"{unit} holds a secret in plain sight"


def test_the_sim_drop_in_leaves_only_loopback() -> None:
    reader = ConfigParser(strict=False, interpolation=None)
    reader.optionxform = str  # type: ignore[assignment,method-assign]
    reader.read_string((UNITS / "seatriald-sim.conf").read_text())
    assert dict(reader["Service"]) == {"IPAddressDeny": "any", "IPAddressAllow": "localhost"}


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="no systemd-sysusers")
def test_users_and_places_are_made_in_an_empty_root(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    users = subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", str(UNITS / "sysusers.d" / "seatrial.conf")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert users.returncode == 0, users.stderr
    made = (tmp_path / "etc" / "group").read_text()
    assert {"seatrial", "seatrial-stop", "seatrial-operate"} <= {
        line.partition(":")[0] for line in made.splitlines()
    }
    assert "seatrial:" in (tmp_path / "etc" / "passwd").read_text()
    places = subprocess.run(
        [
            "systemd-tmpfiles",
            f"--root={tmp_path}",
            "--create",
            str(UNITS / "tmpfiles.d" / "seatrial.conf"),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert places.returncode == 0, places.stderr
    assert (tmp_path / "etc" / "seatrial").stat().st_mode & 0o777 == 0o750
    assert [path.name for path in (tmp_path / "var" / "lib").iterdir()] == ["seatrial"]
