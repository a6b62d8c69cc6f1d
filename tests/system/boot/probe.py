"""What the sandbox lets a hijacked seatriald do: one JSON object, attempt -> what happened."""

import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def attempt(action: Callable[[], object]) -> str:
    """`done`, or the name of the refusal."""
    try:
        action()
    except (OSError, subprocess.SubprocessError) as error:
        return type(error).__name__ + f" {getattr(error, 'errno', '')}"
    return "done"


def system_call(number: int, *arguments: int) -> None:
    """A raw system call; raises OSError when refused."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def main(state: Path) -> None:
    """Try everything."""
    tries: dict[str, Callable[[], object]] = {
        "write own state": lambda: (state / "probe.txt").write_text("x"),
        "write /etc": lambda: Path("/etc/seatrial/x").write_text("x"),
        "write /usr": lambda: Path("/opt/seatrial/x").write_text("x"),
        "write another state": lambda: Path("/var/lib/probe-other").mkdir(),
        "write another instance": lambda: Path("/var/lib/seatrial/other/x").write_text("x"),
        "read shadow": lambda: Path("/etc/shadow").read_text(),
        "list home": lambda: list(Path("/root").iterdir()),
        "see other processes": lambda: list(Path("/proc/1").iterdir()),
        "run a shell": lambda: subprocess.run(["/bin/sh", "-c", "true"], check=True),
        "run a program": lambda: subprocess.run(["/usr/bin/id"], check=True, capture_output=True),
        "make a program in the state": lambda: make_and_run(state),
        "make a program in /tmp": lambda: make_and_run(Path("/tmp")),
        "make a program in /run": lambda: make_and_run(Path("/run/seatrial") / state.name),
        "make a program in shared memory": lambda: make_and_run(Path("/dev/shm")),
        "packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
        "netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "udp to a private network": lambda: send("10.1.2.3"),
        "mount": lambda: system_call(165, 0, 0, 0, 0, 0),
        "ptrace": lambda: system_call(101, 0, 0, 0, 0),
        "user namespace": lambda: system_call(272, 0x10000000),
        "set the clock": lambda: system_call(227, 0, 0),
        "writable and executable memory": writable_and_executable,
        "become root": lambda: os.setuid(0),
    }
    print(json.dumps({name: attempt(action) for name, action in tries.items()}))
    sys.stdout.flush()


def make_and_run(directory: Path) -> None:
    """A program of one's own in the one place that can be written."""
    path = directory / "own-program"
    path.write_bytes(Path("/usr/bin/id").read_bytes())
    path.chmod(0o755)
    subprocess.run([str(path)], check=True, capture_output=True)


def send(host: str) -> None:
    """One datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(b"x", (host, 9))


def writable_and_executable() -> None:
    """mmap(PROT_READ|PROT_WRITE|PROT_EXEC)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    if libc.mmap(None, 4096, 7, 0x22, -1, 0) == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "refused")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
