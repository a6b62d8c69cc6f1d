"""The disk: a boot that waits for room and says so. A small tmpfs and a notify socket judge."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon import boot
from daemon.shell.process.disk import Disk, await_room
from daemon.shell.process.sdnotify import Notifier
from daemon.shell.process.signals import SignalThread
from tests.support.stop_stage import StopStage

WAITS = """
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from daemon.shell.process.disk import await_room
from daemon.shell.process.sdnotify import Notifier
await_room(Path(sys.argv[1]), Notifier())
print("room", flush=True)
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a tmpfs of its own")
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs may be mounted here: {mounted.stderr}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_what_is_left_is_what_the_kernel_says(tmp_path: Path) -> None:
    told = Disk(tmp_path).status()
    usage = shutil.disk_usage(tmp_path)
    assert told["disk_size_bytes"] == usage.total
    assert abs(told["disk_free_bytes"] - usage.free) < 1 << 30
    assert Disk(tmp_path / "gone").status() == {}


def test_with_room_nothing_is_left_behind(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        await_room(tmp_path / "state", notifier)
        notifier.close()
        with pytest.raises(BlockingIOError):
            manager.recv(100)
    assert not (tmp_path / "state").exists()


def test_a_boot_asks_for_room_before_it_touches_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    settings = SimpleNamespace(state_dir=tmp_path / "state")
    monkeypatch.setattr(boot, "load_config", lambda _: SimpleNamespace(settings=settings))
    monkeypatch.setattr(boot, "await_room", lambda path, _: asked.append(path))

    def refuse(*_: object) -> None:
        assert asked == [tmp_path / "state"]
        raise OSError("as far as this test goes")

    monkeypatch.setattr(boot, "Daemon", refuse)
    watch = SignalThread()  # never started: this process keeps its signals
    assert boot.boot(tmp_path / "seatrial.toml", watch=watch, log_dropped=lambda: 0) == 2
    assert asked


@pytest.mark.system
def test_a_terminal_waits_too_and_is_told(disk: Path) -> None:
    (disk / "ballast").write_bytes(bytes(3_500_000))
    with subprocess.Popen(
        [sys.executable, "-c", WAITS, str(disk / "state")],
        env={k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as waiting:  # fmt: skip
        assert waiting.stderr is not None
        assert "waiting until there is room" in waiting.stderr.readline()
        (disk / "ballast").unlink()
        assert waiting.communicate(timeout=60)[0] == "room\n"


@pytest.mark.system
def test_a_full_disk_is_waited_for_and_told(tmp_path: Path, disk: Path) -> None:
    (disk / "ballast").write_bytes(bytes(3_500_000))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        with subprocess.Popen(
            [sys.executable, "-c", WAITS, str(disk / "state")],
            env=os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")},
            stdout=subprocess.PIPE,
            text=True,
        ) as waiting:
            said = [manager.recv(1_000).decode() for _ in range(2)]
            assert said[0].startswith("EXTEND_TIMEOUT_USEC=")
            assert said[1].startswith("STATUS=waiting: No space left on device under")
            assert waiting.poll() is None
            (disk / "ballast").unlink()
            assert waiting.communicate(timeout=60)[0] == "room\n"
            assert waiting.returncode == 0
    assert not (disk / "state").exists()


FILLS_AT = """
import os
import {module} as module
from daemon.shell.process import disk
disk.WAIT_PERIOD_S = 0.2
real = module.{name}
def filling(*args, **more):
    if not os.path.exists({flag!r}):
        open({flag!r}, "w").close()
        with open({ballast!r}, "wb") as out:
            try:
                while True:
                    out.write(bytes(4096))
                    out.flush()
            except OSError:
                pass
    return real(*args, **more)
module.{name} = filling
"""
"""The disk runs full when a boot has come to `module.name`, the first time."""


WAITS_AT_BOOT = "waiting until there is room"
HALTED = "unhealthy: journal cannot be written"


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.parametrize(
    "at",
    [
        "daemon.app.take_state",
        "daemon.app.count_boot",
        "daemon.app.recover",
        "daemon.app.LatchStore",
        "daemon.app.ControlThread",
    ],
)
def test_a_disk_that_runs_full_in_the_middle_of_a_boot_is_waited_for(
    tmp_path: Path, disk: Path, at: str
) -> None:
    module, _, name = at.rpartition(".")
    ballast = disk / "ballast"
    fills = FILLS_AT.format(
        module=module, name=name, flag=str(tmp_path / "flag"), ballast=str(ballast)
    )
    with StopStage(tmp_path, symbols=("BTCUSDT",), orders_per_symbol=0, before_main=fills) as stage:
        stage.state_dir = disk / "state"
        stage.socket = disk / "state" / "control.sock"
        stage.write_config()
        mender = threading.Thread(target=_mend_when_told, args=(stage.log, ballast))
        mender.start()
        stage.start_daemon()
        mender.join()
        said = stage.log.read_text()
        # Where the boot had all but ended, what fits decides: it serves, HALTED, until there is
        # room, or begins anew.
        if at == "daemon.app.ControlThread" and "beginning anew" not in said:
            assert HALTED in said
        else:
            assert "beginning anew" in said
            assert WAITS_AT_BOOT in said


@pytest.mark.system
@pytest.mark.slow
def test_an_end_on_a_full_disk_is_an_end(tmp_path: Path, disk: Path) -> None:
    with StopStage(tmp_path, symbols=("BTCUSDT",), orders_per_symbol=2) as stage:
        stage.state_dir = disk / "state"
        stage.socket = disk / "state" / "control.sock"
        stage.write_config()
        stage.start_daemon()
        stage.fill()
        ballast = os.open(disk / "ballast", os.O_WRONLY | os.O_CREAT)
        for size in (65_536, 512):
            with contextlib.suppress(OSError):
                while True:
                    os.write(ballast, bytes(size))
        os.close(ballast)
        stage.until(lambda: stage.status()["trading_state"] == "HALTED", "no journal, no orders")
        stage.until(lambda: stage.venue_open() == [], "and none is left")
        stage.send_signal(signal.SIGTERM)
        assert stage.daemon is not None
        assert stage.daemon.wait(60) == 0
        assert "the end of this run is not in the journal" in stage.log.read_text()


def _mend_when_told(log: Path, ballast: Path) -> None:
    deadline_s = time.monotonic() + 60
    while not (log.exists() and any(words in log.read_text() for words in (WAITS_AT_BOOT, HALTED))):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    ballast.unlink()
