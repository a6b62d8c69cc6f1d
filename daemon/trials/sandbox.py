"""Where a bot runs: a network namespace that holds loopback alone, and a small disk of its own.

The whole command moves into the namespaces before it starts anything, so that venue and bot meet
on their loopback. Nothing but the kernel is asked: a bot cannot reach a real exchange from there,
whatever its configuration says.
"""

import ctypes
import fcntl
import os
import re
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

import msgspec

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_SECRET = re.compile(
    r"KEY|SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|MNEMONIC|"
    r"BINANCE|BYBIT|KRAKEN|COINBASE|OKX|KUCOIN|BITFINEX|BITGET|HUOBI|DERIBIT|FREQTRADE__EXCHANGE",
    re.IGNORECASE,
)
_PROXY = re.compile(r"_proxy$", re.IGNORECASE)
DISK_MB = 256
"""What the bot may write; freqtrade's candles and a day of logs fit."""


class SandboxError(RuntimeError):
    """The machine does not give what was asked; the text says what and the mend."""


class Isolation(msgspec.Struct, frozen=True):
    """What the kernel gave."""

    loopback_only: bool
    own_disk: bool


def isolate(work: Path) -> Isolation:
    """Move this process into namespaces of its own; `work` becomes a disk of DISK_MB.

    Raises:
        SandboxError: the kernel does not allow it, or other threads run already.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    wanted = _CLONE_NEWNET | _CLONE_NEWNS
    if libc.unshare(wanted) != 0 and libc.unshare(wanted | _CLONE_NEWUSER) == 0:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    if any(name != "lo" for _, name in socket.if_nameindex()):
        reason = os.strerror(ctypes.get_errno()) if ctypes.get_errno() else "no reason given"
        raise SandboxError(
            f"this machine gives no network namespace ({reason}), so that the bot could reach a "
            "real exchange. Run as root, allow user namespaces (sysctl "
            "kernel.unprivileged_userns_clone=1, user.max_user_namespaces above 0), or say "
            "--allow-network if it may"
        )
    try:
        _raise_loopback()
    except OSError as error:
        raise SandboxError(
            f"the network namespace gives no loopback ({error.strerror}): this machine restricts "
            "user namespaces (AppArmor: sysctl kernel.apparmor_restrict_unprivileged_userns=0). "
            "Run as root, or say --allow-network"
        ) from error
    return Isolation(loopback_only=True, own_disk=_mount_disk(libc, work))


def _mount_disk(libc: ctypes.CDLL, work: Path) -> bool:
    if libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        return False
    options = f"size={DISK_MB}m,mode=0700".encode()
    return bool(libc.mount(b"tmpfs", os.fsencode(work), b"tmpfs", 0, options) == 0)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(asked, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(asked, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text)
    except OSError as error:
        raise SandboxError(
            f"{path}: {error.strerror}; say --allow-network to run without"
        ) from error


def clean_environment(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """(what the bot may see, the names that were taken out).

    Whatever looks like a key, names an exchange, or leads out of the machine stays out.
    """
    taken = sorted(name for name in environment if _SECRET.search(name) or _PROXY.search(name))
    return {name: value for name, value in environment.items() if name not in taken}, taken


def fill_disk(work: Path) -> None:
    """Write until nothing more goes onto the bot's disk."""
    block = b"\0" * (1 << 20)
    with (work / ".full").open("wb", buffering=0) as file:
        for size in (len(block), 4_096, 1):
            try:
                while True:
                    file.write(block[:size])
            except OSError:
                continue


def free_disk(work: Path) -> None:
    """Give the room back."""
    (work / ".full").unlink(missing_ok=True)
