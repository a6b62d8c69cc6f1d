"""A pack on another machine: nothing but the pack, the public key, and the tool as installed."""

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from evidence.pack.evidence_pack import find_inputs, verify_pack, write_pack
from tests.support.journal_maker import whole_story

ROOT = Path(__file__).resolve().parents[2]
KEY = Ed25519PrivateKey.from_private_bytes(b"seatrial test key, not a secret!")
LOADED = """
import sys
from pathlib import Path
from evidence.pack.pack_commands import check_pack
code = check_pack(Path(sys.argv[1]), Path(sys.argv[3]), as_json=False)
mine = ("daemon", "control", "riskcaps")
print(*sorted(n for n in sys.modules if n.partition(".")[0] in mine), sep="\\n")
sys.exit(code)
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A directory that holds a pack and a public key; where they were made is gone."""
    workshop, place = tmp_path / "workshop", tmp_path / "elsewhere"
    whole_story(sessions=1).save(workshop / "state")
    shutil.move(workshop / "state/ledger.json", workshop / "ledger.json")
    place.mkdir()
    write_pack(find_inputs(workshop), place / "p.seatrial.tar", KEY)
    shutil.rmtree(workshop)
    raw = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (place / "signer.pub").write_bytes(raw)
    return place


def verify(place: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command, "p.seatrial.tar", "--public-key", "signer.pub"],
        cwd=place, env={"PYTHONPATH": str(ROOT), "HOME": str(place), "PATH": ""},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_pack_and_the_key_are_enough(elsewhere: Path) -> None:
    before = sorted(elsewhere.iterdir())
    done = verify(elsewhere, "-m", "control.main", "evidence", "verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert "intact" in done.stdout
    assert sorted(elsewhere.iterdir()) == before, "checking writes nothing"


def test_it_needs_of_the_daemon_only_the_schema(elsewhere: Path) -> None:
    done = verify(elsewhere, "-c", LOADED)
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = [line for line in done.stdout.splitlines() if line.startswith("daemon")]
    assert loaded == ["daemon", "daemon.model", "daemon.model.records"]
    assert "control" not in done.stdout


def test_one_changed_byte_in_any_file_names_that_file(elsewhere: Path) -> None:
    pack = elsewhere / "p.seatrial.tar"
    raw = pack.read_bytes()
    with tarfile.open(pack) as archive:
        members = [(one.name, one.offset_data) for one in archive.getmembers() if one.size]
    assert len(members) >= 7
    for name, offset in members:
        changed = bytearray(raw)
        changed[offset + 1] ^= 1
        pack.write_bytes(changed)
        assert any(name in problem for problem in verify_pack(pack, KEY.public_key()).problems)


def test_the_changed_file_is_named_on_the_command_line(elsewhere: Path) -> None:
    pack = elsewhere / "p.seatrial.tar"
    raw = bytearray(pack.read_bytes())
    raw[raw.index(b'"order_approved"') + 3] ^= 1
    pack.write_bytes(raw)
    done = verify(elsewhere, "-m", "control.main", "evidence", "verify", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"]) == (2, False)
    assert [problem.split(":")[0] for problem in found["problems"]] == [
        "journal/journal-000001.jsonl"
    ]
