"""Whether anchors can leave this box: addresses that the unit blocks, files that it cannot write.

Rules of this file:
1. Doctor runs outside of the unit, so it asks systemd what the unit allows, and says so where no
   unit is loaded for this configuration.
2. Every wait has a deadline; nothing is sent to a sink.
"""

import ipaddress
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from daemon.model.launch_checks import Check, failed, passed
from daemon.settings import Settings
from daemon.settings_anchors import AnchorSinkSettings

NAME = "anchors"
WAIT_S = 5.0
DROP_IN = "seatriald-anchors.conf"
_PORTS = {"http": 80, "https": 443}
_ASKED = ("LoadState", "IPAddressDeny", "IPAddressAllow", "ReadWritePaths")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class UnitLimits(msgspec.Struct, frozen=True):
    """What a loaded unit keeps from its daemon."""

    name: str
    denied: list[Network] = msgspec.field(default_factory=list)
    allowed: list[Network] = msgspec.field(default_factory=list)
    writable: list[Path] = msgspec.field(default_factory=list)

    def blocks(self, address: str) -> bool:
        """Whether packets to an address are dropped: allowed outranks denied."""
        found = ipaddress.ip_address(address)
        if any(found in network for network in self.allowed):
            return False
        return any(found in network for network in self.denied)


def unit_limits(config_path: Path) -> UnitLimits | None:
    """The limits of the unit of a configuration; None where systemd has none loaded."""
    name = f"seatriald@{config_path.stem}.service"
    try:
        told = subprocess.run(  # noqa: S603 - a fixed command, and a name of our own form
            ["systemctl", "show", name, *(f"--property={one}" for one in _ASKED)],  # noqa: S607
            capture_output=True, text=True, timeout=WAIT_S, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    values = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    if values.get("LoadState") != "loaded":
        return None
    paths = values.get("ReadWritePaths", "").split()
    return UnitLimits(
        name,
        _networks(values.get("IPAddressDeny", "")),
        _networks(values.get("IPAddressAllow", "")),
        [Path(one.lstrip("-+")) for one in paths],
    )


def anchor_steps(settings: Settings, unit: UnitLimits | None) -> Iterator[Check]:
    """One step a sink, or one that says that there is none."""
    sinks: Mapping[str, AnchorSinkSettings] = settings.anchors.sinks
    if not sinks and settings.venue.environment != "sim":
        sentence = "no sink is configured: the evidence of this box will be UNANCHORED"
        yield passed(NAME, sentence)
    for name, one in sinks.items():
        fault, mend = "", ""
        if one.url:
            fault, mend = _address_fault(one.url, unit)
        elif one.kind == "file" and one.path is not None:
            fault, mend = _file_fault(one.path, settings.state_dir, unit)
        if fault:
            yield failed(NAME, f"{name}: {fault}", mend)
        else:
            yield passed(NAME, f"{name}: a {one.kind} that can be reached")


def _address_fault(url: str, unit: UnitLimits | None) -> tuple[str, str]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return f"{host} has no address: {error.strerror}", "correct its url, or mend DNS"
    addresses = list(dict.fromkeys(str(row[4][0]).partition("%")[0] for row in rows))
    if unit is not None and (blocked := [one for one in addresses if unit.blocks(one)]):
        mend = (
            f"a drop-in with IPAddressAllow={' '.join(blocked)}, see {DROP_IN}; then systemctl "
            f"daemon-reload && systemctl restart {unit.name}"
        )
        return f"{unit.name} blocks {', '.join(blocked)} (IPAddressDeny)", mend
    try:
        socket.create_connection((host, port), timeout=WAIT_S).close()
    except OSError as error:
        return f"{host}:{port} does not answer: {error}", "start it, or open the firewall for it"
    return "", ""


def _file_fault(path: Path, state_dir: Path, unit: UnitLimits | None) -> tuple[str, str]:
    try:
        owner = path.stat().st_uid
    except OSError as error:
        return f"{path}: {error.strerror}", "let another user make it, and let this one append"
    if owner == _daemon_user(state_dir):
        mend = "chown it to another user and give this one the right to append (chattr +a, or ACL)"
        return f"{path}: the daemon's own user owns it, and can rewrite it", mend
    if unit is not None and not any(
        path.is_relative_to(one) for one in (*unit.writable, state_dir)
    ):
        mend = f"a drop-in with ReadWritePaths={path}, see {DROP_IN}"
        return f"{path}: {unit.name} cannot write there (ProtectSystem=strict)", mend
    return "", ""


def _daemon_user(state_dir: Path) -> int:
    """The user that the daemon runs as: the owner of its state directory, or we."""
    try:
        return state_dir.stat().st_uid
    except OSError:
        return os.getuid()


def _networks(text: str) -> list[Network]:
    found: list[Network] = []
    for word in text.split():
        try:
            found.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            continue  # a word that this systemd writes otherwise; nothing is known of it
    return found
