"""A pack on another machine: a new virtual environment with only what the README says.

The locked packages and the built wheel, nothing of this checkout; first the pack as it was signed,
then with one byte changed.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evidence.pack.evidence_pack import find_inputs, write_pack
from evidence.read.signing import load_private_key, make_key_pair
from tests.support.journal_maker import whole_story

pytestmark = [pytest.mark.system_long, pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parents[2]


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {"PATH": os.defpath, "HOME": str(cwd), "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**plain, **environment},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def seatrial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tool, installed from locks and wheel into an environment of its own."""
    place = tmp_path_factory.mktemp("machine")
    built = run(
        "bash", ROOT / "deploy/build-dist.sh", place / "dist", cwd=place, PYTHON=sys.executable
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (place / "dist").glob("seatrial-*.whl")
    lock = place / "requirements.lock"
    lock.write_bytes((ROOT / "requirements.lock").read_bytes())
    registry = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    for config in (Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"):
        if config.exists():
            registry.setdefault("PIP_CONFIG_FILE", str(config))
    python = place / "venv/bin/python"
    for command in (
        (sys.executable, "-m", "venv", place / "venv"),
        (python, "-m", "pip", "install", "-q", "--require-hashes", "-r", lock),
        (python, "-m", "pip", "install", "-q", "--no-deps", wheel),
    ):
        done = run(*command, cwd=place, **registry)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return place / "venv/bin/seatrial"


def test_verify_in_a_clean_environment_and_with_a_changed_byte(
    seatrial: Path, tmp_path: Path
) -> None:
    workshop, place = tmp_path / "workshop", tmp_path / "elsewhere"
    whole_story(sessions=1).save(workshop)
    place.mkdir()
    public = make_key_pair(workshop / "key.pem")
    pack, key = place / "p.seatrial.tar", place / "signer.pub"
    write_pack(find_inputs(workshop), pack, load_private_key(workshop / "key.pem"))
    key.write_bytes(Path(public).read_bytes())
    check = (seatrial, "evidence", "verify", pack.name, "--public-key", key.name)

    good = run(*check, cwd=place)
    assert (good.returncode, good.stderr) == (0, ""), good.stdout
    assert "intact" in good.stdout

    raw = bytearray(pack.read_bytes())
    raw[raw.index(b'"order_approved"') + 3] ^= 1
    pack.write_bytes(raw)
    changed = run(*check, cwd=place)
    assert changed.returncode == 2
    assert "journal/journal-000001.jsonl: changed" in changed.stdout


def test_nothing_of_this_checkout_was_used(seatrial: Path, tmp_path: Path) -> None:
    code = "import evidence, daemon.model.records as r; print(evidence.__file__, r.__file__)"
    done = run(seatrial.parent / "python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(ROOT) not in done.stdout
