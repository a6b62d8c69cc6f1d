"""A new user's way, measured: from a bare Debian to the first evidence report, by the README."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.machines import needs, unpack

ROOT = Path(__file__).resolve().parents[2]
VERDICT_S_MAX = 300.0
COMMANDS_MAX = 6


@pytest.mark.system
@pytest.mark.system_long
@pytest.mark.timeout(900)
@needs("mmdebstrap", "chroot", root=True)
def test_from_a_bare_debian_to_a_verdict_in_five_minutes(tmp_path: Path) -> None:
    machine = unpack("bare", tmp_path / "machine")
    done = subprocess.run(
        [str(ROOT / "tests/system/fresh_machine.sh"), str(machine), "20"],
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-4_000:]
    told = json.loads(done.stdout.splitlines()[-1])
    print(told)
    assert told["verdict_s"] <= VERDICT_S_MAX
    assert told["commands"] <= COMMANDS_MAX, "apt update, apt install, git clone, cd, make demo"
    assert re.search(r"verdict: OK", done.stdout + done.stderr)
    assert re.fullmatch(r"[\d/]+ tests collected .*", told["collected"]), told["collected"]
