"""A network namespace with nothing but loopback: no client can reach a live host from it.

`python -m tests.support.loopback_only doctor …` runs one `seatrial` command inside.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys

EXIT_REFUSED = 77
"""The kernel lets us make no namespace."""
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


def enter() -> bool:
    """Move this process into such a namespace; False when the kernel does not let us.

    Call it first in a process of its own: threads and sockets made before stay outside.
    """
    flags = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWNET | _CLONE_NEWUSER
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        name = b"lo".ljust(16, b"\0")
        answer = fcntl.ioctl(probe, _SIOCGIFFLAGS, name + b"\0" * 16)
        (now,) = struct.unpack_from("H", answer, 16)
        fcntl.ioctl(probe, _SIOCSIFFLAGS, name + struct.pack("H", now | _IFF_UP) + b"\0" * 14)
    return True


def reaches_outside() -> bool:
    """Whether any route leads out (a UDP connect sends nothing, it only asks the routing table)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return False
    return True


def main() -> None:
    """Run a `seatrial` command in such a namespace."""
    if not enter() or reaches_outside():
        sys.exit(EXIT_REFUSED)
    from control.main import main as seatrial  # noqa: PLC0415 - first the namespace, then all else

    seatrial()


if __name__ == "__main__":
    main()
