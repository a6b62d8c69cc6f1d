"""The product's programs as forks of one process that has imported them: a start without imports.

A start costs a process 0.2 to 0.3 s of imports, and the tests make hundreds. What is forked is a
process like any other: it has arguments, environment, directory and streams of its own, it is
killed, stopped and waited for. The programs' own starts are tested where they are executed.

    python -m tests.support.forked DESCRIPTOR      (the server; `start` makes one a test process)
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self

from daemon.shell.process.child_processes import end_with_parent

PROGRAMS = {
    "sim": "daemon.cli.sim_command:sim_command",
    "daemon": "daemon.__main__:main",
    "tool": "control.main:main",
}
WARM = (
    "daemon.__main__", "daemon.boot", "daemon.shell.stop.loop_waits",
    "daemon.venues.binance_spot.spot_adapter", "daemon.cli.sim_command", "encodings.idna",
    "control.main", "control.tool.mounted_commands",
)  # fmt: skip
"""What is imported once; what a program imports only when it needs it, each fork imports."""
ROOT = Path(__file__).resolve().parents[2]
START_S = RUN_S = 60.0
_REQUEST_BYTES = 1 << 20
_PR_SET_PDEATHSIG = 1


class ForkedProcess:
    """A program that runs: what tests use of `subprocess.Popen`."""

    def __init__(self, pid: int, told: socket.socket, args: Sequence[str]) -> None:
        self.pid = pid
        self.args = args
        self.returncode: int | None = None
        self._told = told
        self._descriptor = os.pidfd_open(pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.wait()

    def poll(self) -> int | None:
        """Its exit code as `Popen` has it, None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(list(self.args), timeout or 0)
            said = self._told.recv(64)
            assert said, "the server of the forks has ended"
            self.returncode = int(said)
            self._told.close()
            os.close(self._descriptor)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[None, None]:
        """Wait; its streams are files of the caller."""
        self.wait(timeout)
        return None, None

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Server:
    """The process that forks, as its user sees it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __spec__.name, str(theirs.fileno())],
                cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            )  # fmt: skip
        atexit.register(self.end)

    def end(self) -> None:
        """Its end ends what it has forked."""
        if self.owner == os.getpid():
            self._ours.close()
            self._process.wait()

    def start(
        self, request: Mapping[str, Any], streams: Sequence[int]
    ) -> tuple[int, socket.socket]:
        """The number of a new fork, and where its end will be told."""
        told, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            text = json.dumps(request).encode()
            socket.send_fds(self._ours, [text], [*streams, theirs.fileno()])
        assert select.select([told], [], [], START_S)[0], "the server of the forks does not answer"
        return int(told.recv(64)), told


_server: _Server | None = None
is_executed = False
"""Whether `start` executes instead: a bench measures starts, and processes as users have them."""


def start(
    program: str,
    arguments: Sequence[str],
    *,
    stdout: int | BinaryIO,
    stderr: int | BinaryIO,
    stdin: int | BinaryIO | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
) -> "ForkedProcess | subprocess.Popen[bytes]":
    """Start a program of `PROGRAMS`, without input where none is given.

    It is killed when this process ends.
    """
    global _server  # noqa: PLW0603 - one a process, for its whole life
    if is_executed:
        return subprocess.Popen(
            [sys.executable, "-m", PROGRAMS[program].partition(":")[0], *arguments],
            cwd=cwd, stdin=subprocess.DEVNULL if stdin is None else stdin, stdout=stdout,
            stderr=stderr, env=env, preexec_fn=end_with_parent(),  # noqa: PLW1509
        )  # fmt: skip
    if _server is None or _server.owner != os.getpid():
        _server = _Server()
    request = {
        "program": program, "arguments": list(arguments), "env": dict(env or os.environ),
        "cwd": str(cwd),
    }  # fmt: skip
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - no Path
        three = (nothing if stdin is None else stdin, stdout, stderr)
        streams = [one if isinstance(one, int) else one.fileno() for one in three]
        pid, told = _server.start(request, streams)
    return ForkedProcess(pid, told, [program, *arguments])


def run(
    program: str,
    arguments: Sequence[object],
    *,
    given: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
) -> "subprocess.CompletedProcess[str]":
    """Run a program of `PROGRAMS` to its end, as `subprocess.run` with captured text does."""
    words = [str(one) for one in arguments]
    with (
        tempfile.TemporaryFile("w+") as told,
        tempfile.TemporaryFile("w+") as errors,
        tempfile.TemporaryFile("w+") as asked,
    ):
        asked.write(given)
        asked.seek(0)
        process = start(
            program, words, stdin=asked.fileno(), stdout=told.fileno(), stderr=errors.fileno(),
            env=env, cwd=cwd,
        )  # fmt: skip
        try:
            code = process.wait(RUN_S)
        finally:
            process.kill()
        told.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess([program, *words], code, told.read(), errors.read())


# ---------------------------------------------------------------------- the server
def serve(requests: socket.socket) -> Mapping[str, Any] | None:
    """Fork at each request, and tell each end on the request's own socket.

    Returns in a fork: what it has to become; in the server: None, once the other end is closed.
    """
    prctl = ctypes.CDLL(None).prctl
    running: dict[int, tuple[int, socket.socket]] = {}
    watch = select.poll()
    watch.register(requests.fileno(), select.POLLIN)
    while True:
        for descriptor, _ in watch.poll():
            if descriptor in running:
                watch.unregister(descriptor)
                pid, told = running.pop(descriptor)
                os.close(descriptor)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with told, contextlib.suppress(OSError):  # nobody asks any more
                    told.send(str(code).encode())
                continue
            text, streams, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, 4)
            if not text:
                return None
            *streams, last = streams
            told = socket.socket(fileno=last)
            pid = os.fork()
            if pid == 0:
                prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
                os.closerange(3, max(*streams, last, *running, 3) + 1)
                return dict(json.loads(text))
            for stream in streams:
                os.close(stream)
            told.send(str(pid).encode())
            pidfd = os.pidfd_open(pid)
            running[pidfd] = (pid, told)
            watch.register(pidfd, select.POLLIN)


if __name__ == "__main__":
    for name in WARM:
        importlib.import_module(name)
    gc.freeze()  # a fork shares what nobody collects
    gc.disable()
    wanted = serve(socket.socket(fileno=int(sys.argv[1])))
    if wanted is not None:
        os.environ.clear()
        os.environ.update(wanted["env"])
        os.chdir(wanted["cwd"])
        places = wanted["env"].get("PYTHONPATH", "").split(os.pathsep)
        sys.path[1:1] = [place for place in places if place and place not in sys.path]
        module, _, function = PROGRAMS[wanted["program"]].partition(":")
        sys.argv = [module, *wanted["arguments"]]
        getattr(sys.modules[module], function)()
