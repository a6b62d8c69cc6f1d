"""A state directory on a real disk that is frozen, full, read-only: the orders go all the same."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bad_streams import SLOW_MACHINE_S, run
from tests.support.machines import needs
from tests.support.stop_stage import StopStage

FAULTS = {
    "frozen": (["fsfreeze", "-f", "{0}"], ["fsfreeze", "-u", "{0}"], 6),
    "read-only": (["mount", "--bind", "-o", "ro", "{0}", "{0}"], ["umount", "{0}"], 6),
    # An entry without its words is a latch, too: a name is all that fits.
    "full": (["dd", "if=/dev/zero", "of={0}/fill", "bs=512"], ["rm", "-f", "{0}/fill"], 0),
}
"""What spoils the disk, what mends it, and the exit code of a kill on it."""


def must(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=30)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    image, mounted = tmp_path / "image", tmp_path / "disk"
    mounted.mkdir()
    must("dd", "if=/dev/zero", f"of={image}", "bs=1M", "count=32")
    must("mkfs.ext4", "-q", str(image))
    if subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=False).returncode:
        pytest.skip("needs loop devices")
    yield mounted
    must("umount", str(mounted))


@pytest.mark.system
@pytest.mark.slow
@needs("mount", "mkfs.ext4", "fsfreeze", root=True)
@pytest.mark.parametrize("road", ["daemon", "direct"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_kill_does_not_wait_for_the_disk(
    tmp_path: Path, disk: Path, fault: str, road: str
) -> None:
    spoil, mend, code = FAULTS[fault]
    with StopStage(tmp_path, symbols=("BTCUSDT",), orders_per_symbol=2, round_trip=False) as stage:
        stage.state_dir = disk / "state"
        stage.socket = tmp_path / "c.sock"
        stage.write_config()
        stage.start_daemon()
        stage.fill()
        if road == "direct":
            stage.kill_hard()
        subprocess.run([word.format(disk) for word in spoil], capture_output=True, check=False)
        try:
            began_s = time.monotonic()
            if road == "direct":
                done = run(["kill", "--direct", "--config", str(stage.config)])
            else:
                done = run(["--socket", str(stage.socket), "kill"])
            took_s = time.monotonic() - began_s
            left = stage.venue_open()
        finally:
            must(*(word.format(disk) for word in mend))
        assert left == []
        assert done.returncode == code, (done.stdout + done.stderr).decode()
        assert took_s < 1 + SLOW_MACHINE_S
        stage.kill_hard()
