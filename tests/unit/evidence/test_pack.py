"""Evidence packs: same bytes from same inputs; any changed byte is found and named."""

import base64
import hashlib
import json
import random
import shutil
import subprocess
import tarfile

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evidence.pack import evidence_pack as pack_module
from evidence.pack.evidence_pack import (
    ENVELOPE_NAME,
    PREDICATE_TYPE,
    PackError,
    PackInputs,
    as_it_stands,
    find_inputs,
    verify_pack,
    write_pack,
)
from evidence.pack.pack_archive import PackFormError, write_archive
from evidence.pack.pack_commands import check_pack, keygen_command, pack_command
from evidence.read.dsse import Subject, pre_authentication_encoding, seal, statement
from evidence.read.signing import KeyFileError, load_private_key, load_public_key, make_key_pair
from tests.support.journal_maker import whole_story

KEY = Ed25519PrivateKey.from_private_bytes(b"seatrial test key, not a secret!")
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"another test key, not a secret!!")
CONFIG = """
[venue]
environment = "sim"
rest = "http://user:hunter2@127.0.0.1:9000"
symbols = ["BTCUSDT"]
[credentials]
api_key = "CANARY-KEY"
[control]
auth_token = "CANARY-TOKEN"
"""


@pytest.fixture
def session(tmp_path):
    """A demo's directory: configuration, journal in segments, anchors, the venue's books."""
    folder = tmp_path / "demo"
    maker = whole_story(sessions=2)
    journal, _ = maker.save(folder / "state", segment_lines=200)
    shutil.move(folder / "state/ledger.json", folder / "ledger.json")
    first = (journal / "journal-000001.jsonl").read_bytes().splitlines()[-1]
    anchor = {
        "segment": "journal-000001.jsonl",
        "seq": 200,
        "head": hashlib.sha256(first).hexdigest(),
    }
    (journal / "anchors.jsonl").write_text(json.dumps(anchor) + "\n")
    (folder / "seatrial.toml").write_text(CONFIG)
    return folder


@pytest.fixture
def pack(session, tmp_path):
    target = tmp_path / "a.seatrial.tar"
    write_pack(find_inputs(session), target, KEY)
    return target


def problems_of(path):
    return verify_pack(path, KEY.public_key()).problems


def test_a_pack_holds_everything_and_verifies(pack):
    verdict = verify_pack(pack, KEY.public_key())
    assert verdict.ok
    with tarfile.open(pack) as archive:
        names = archive.getnames()
    assert names[0] == ENVELOPE_NAME
    assert {name.split("/")[0] for name in names[1:]} == {
        *("SHA256SUMS", "session_manifest.json", "journal", "anchors", "config", "venue"),
        "reports",
    }
    assert [name for name in names if name.startswith("reports/")] == [
        "reports/evidence_report.html",
        "reports/evidence_report.json",
        "reports/evidence_report.md",
        "reports/verification.json",
    ]
    assert verdict.files == len(names) - 1
    bindings = [one["binding"]["config_hash"] for one in verdict.manifest["sessions"]]
    assert bindings == ["11", "11"]
    assert verdict.manifest["counts_as_testnet_evidence"] is False


def test_the_same_inputs_give_the_same_bytes(session, pack, tmp_path):
    copy = tmp_path / "elsewhere/copy"
    shutil.copytree(session, copy)
    again = tmp_path / "b.seatrial.tar"
    write_pack(find_inputs(copy), again, KEY)
    assert again.read_bytes() == pack.read_bytes()


def test_no_secret_of_the_configuration_is_packed(pack):
    raw = pack.read_bytes()
    for canary in (b"CANARY", b"hunter2"):
        assert canary not in raw
    assert b"REDACTED@127.0.0.1:9000" in raw


def test_a_configuration_that_cannot_be_read_is_not_packed(session, tmp_path):
    (session / "seatrial.toml").write_text("api_key = ")
    done = CliRunner().invoke(
        pack_command, [str(session), "--out", str(tmp_path / "x"), "--key", str(tmp_path / "k")]
    )
    assert done.exit_code == 1
    assert not (tmp_path / "x").exists()


def test_another_key_proves_nothing(pack):
    verdict = verify_pack(pack, OTHER_KEY.public_key())
    assert len(verdict.problems) == 1
    assert "signed by key" in verdict.problems[0]


def test_a_changed_file_is_named(pack, tmp_path):
    raw = pack.read_bytes()
    where = raw.index(b'"event_type":"fill"')
    changed = tmp_path / "changed.tar"
    changed.write_bytes(raw[:where] + raw[where:].replace(b'"fill"', b'"fi11"', 1))
    problems = problems_of(changed)
    assert len(problems) == 1
    assert problems[0].startswith("journal/journal-00000")
    assert "changed (sha256" in problems[0]


def tiny_pack(path):
    """A pack of three small files: every one of its bytes can be tried."""
    members = {"a.txt": b"alpha", "dir/b.txt": b"", "z.bin": bytes(600)}
    subjects = [Subject(name, hashlib.sha256(data).hexdigest()) for name, data in members.items()]
    members[ENVELOPE_NAME] = seal(statement(subjects, PREDICATE_TYPE, {"sessions": []}), KEY)
    with path.open("wb") as out:
        write_archive(out, members, ENVELOPE_NAME)
    return path


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.campaign)])
def test_every_single_byte_counts(tmp_path, every):
    path = tiny_pack(tmp_path / "tiny.tar")
    raw = bytearray(path.read_bytes())
    assert not problems_of(path)
    noise = random.Random(7)
    unseen = []
    for position in range(noise.randrange(every), len(raw), every):
        kept = raw[position]
        raw[position] ^= 1 << noise.randrange(8)
        path.write_bytes(raw)
        if not problems_of(path):
            unseen.append(position)
        raw[position] = kept
    assert unseen == []


@pytest.mark.parametrize("length", [0, 1, 511, 512, 1024, 5000, 10239])
def test_a_cut_pack_is_found(tmp_path, length):
    path = tiny_pack(tmp_path / "tiny.tar")
    path.write_bytes(path.read_bytes()[:length])
    assert problems_of(path)


def test_added_bytes_are_found(tmp_path):
    path = tiny_pack(tmp_path / "tiny.tar")
    for tail in (b"x", b"\0", bytes(10240)):
        whole = path.read_bytes()
        path.write_bytes(whole + tail)
        assert problems_of(path) == ["the end of the archive was changed, cut or added to"]
        path.write_bytes(whole)


def rebuild(path, change):
    """Read a tiny pack's members, change them, write them again under the old signature."""
    with tarfile.open(path) as archive:
        members = {
            info.name: archive.extractfile(info).read()  # type: ignore[union-attr]
            for info in archive.getmembers()
        }
    change(members)
    with path.open("wb") as out:
        write_archive(out, members, ENVELOPE_NAME)
    return problems_of(path)


def test_a_file_that_was_removed_added_or_swapped_is_named(tmp_path):
    path = tiny_pack(tmp_path / "tiny.tar")
    whole = path.read_bytes()
    assert rebuild(path, lambda m: m.pop("a.txt")) == ["a.txt: missing from the pack"]
    path.write_bytes(whole)
    added = rebuild(path, lambda m: m.update({"new.txt": b"?"}))
    assert added == ["new.txt: not in the signed list, or there twice"]
    path.write_bytes(whole)
    assert rebuild(path, lambda m: m.update({"a.txt": b"omega"}))[0].startswith("a.txt: changed")


def test_an_envelope_in_another_writing_is_refused(tmp_path):
    path = tiny_pack(tmp_path / "tiny.tar")

    def reindent(members):
        members[ENVELOPE_NAME] = json.dumps(json.loads(members[ENVELOPE_NAME]), indent=1).encode()

    assert "canonical form" in rebuild(path, reindent)[0]


def test_an_envelope_of_another_kind_is_refused(tmp_path):
    path = tiny_pack(tmp_path / "tiny.tar")
    other = seal(statement([], "urn:seatrial:promotion:1", {}), KEY)
    problems = rebuild(path, lambda members: members.update({ENVELOPE_NAME: other}))
    assert "another kind" in problems[0]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"signatures":[]}', b"\xff"])
def test_what_is_no_envelope_is_refused(tmp_path, content):
    path = tiny_pack(tmp_path / "tiny.tar")
    problems = rebuild(path, lambda members: members.update({ENVELOPE_NAME: content}))
    assert problems == [f"{ENVELOPE_NAME}: not a signed envelope: its bytes were changed"]


def test_what_is_signed_is_the_published_encoding():
    """The worked example of the DSSE protocol text."""
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_the_envelope_is_read_by_hand_with_the_library_alone(pack):
    with tarfile.open(pack) as archive:
        envelope = json.load(archive.extractfile(ENVELOPE_NAME))  # type: ignore[arg-type]
    body = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"]
    signed = f"DSSEv1 {len(kind)} {kind} {len(body)} ".encode() + body
    KEY.public_key().verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)
    value = json.loads(body)
    assert value["_type"] == "https://in-toto.io/Statement/v1"
    assert all(set(subject["digest"]) == {"sha256"} for subject in value["subject"])


@pytest.mark.skipif(not shutil.which("tar"), reason="no tar on this machine")
def test_ordinary_tools_unpack_and_check_it(pack, tmp_path):
    folder = tmp_path / "unpacked"
    folder.mkdir()
    subprocess.run(["tar", "xf", str(pack), "-C", str(folder)], check=True, timeout=30)
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_journal_that_grows_while_it_is_packed_is_packed_as_it_stood(
    session, tmp_path, monkeypatch
):
    target, key = tmp_path / "growing.tar", KEY.public_key()
    write_pack(find_inputs(session), tmp_path / "still.tar", KEY)
    segment = find_inputs(session).segments[-1]
    real_report = pack_module.build_report

    def grow_then_report(*args, **more):
        with segment.open("ab") as out:
            out.write(b'{"late":true}\n')
        return real_report(*args, **more)

    monkeypatch.setattr(pack_module, "build_report", grow_then_report)
    write_pack(find_inputs(session), target, KEY)
    assert verify_pack(target, key).ok
    assert target.read_bytes() == (tmp_path / "still.tar").read_bytes()


def test_a_pack_ends_at_a_whole_line_and_keeps_a_torn_one(session, tmp_path):
    """What has no newline when nothing more is written is torn, and stays so in the pack."""
    segment = find_inputs(session).segments[-1]
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-7])
    (copy,) = as_it_stands(PackInputs([segment]), tmp_path).segments
    assert copy.read_bytes() == whole[:-7]
    torn = write_pack(find_inputs(session), tmp_path / "torn.tar", KEY)
    assert any("torn_tail" in reason for reason in torn["reasons"])


def test_a_closed_segment_that_is_altered_while_it_is_packed_is_refused(
    session, tmp_path, monkeypatch
):
    target = tmp_path / "altered.tar"
    segment = find_inputs(session).segments[0]
    real_seal = pack_module.seal

    def seal_then_alter(body, key):
        segment.write_bytes(segment.read_bytes().replace(b"BTCUSDT", b"ETHUSDT", 1))
        return real_seal(body, key)

    monkeypatch.setattr(pack_module, "seal", seal_then_alter)
    with pytest.raises(PackError, match="while it was packed"):
        write_pack(find_inputs(session), target, KEY)
    assert not target.exists()


@pytest.mark.parametrize("name", ["../up", "/abs", "a//b", "a/./b", "ü", "n" * 101, "a\nb"])
def test_names_that_could_leave_the_pack_are_refused(tmp_path, name):
    with (tmp_path / "x.tar").open("wb") as out, pytest.raises(PackFormError):
        write_archive(out, {name: b""}, name)


def test_two_files_of_one_name_are_refused(session, tmp_path):
    other = tmp_path / "other/ledger.json"
    other.parent.mkdir()
    other.write_text("{}")
    found = find_inputs(session)
    inputs = PackInputs(found.segments, extra=[other, session / "ledger.json"])
    with pytest.raises(PackError, match="another file of this name"):
        write_pack(inputs, tmp_path / "x.tar", KEY)


def test_a_directory_without_journal_is_said(tmp_path):
    with pytest.raises(PackError, match="no journal-NNNNNN"):
        find_inputs(tmp_path)


# ------------------------------------------------------------------ keys
def test_keys_are_made_private_and_never_overwritten(tmp_path):
    path = tmp_path / "keys/k.pem"
    public = make_key_pair(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_private_key(path).public_key() == load_public_key(public)
    with pytest.raises(KeyFileError, match="never overwritten"):
        make_key_pair(path)


def test_a_private_key_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "k.pem"
    make_key_pair(path)
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_private_key(path)


@pytest.mark.parametrize("content", [b"", b"not a key", b"-----BEGIN PUBLIC KEY-----\n"])
def test_what_is_no_key_is_refused(tmp_path, content):
    path = tmp_path / "k.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    for load in (load_private_key, load_public_key):
        with pytest.raises(KeyFileError):
            load(path)
    with pytest.raises(KeyFileError, match="No such file"):
        load_public_key(tmp_path / "none")


# ------------------------------------------------------------------ command line
def test_pack_then_verify_then_change_one_byte(session, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(pack_command, [str(session)])
    assert done.exit_code == 0, done.output
    public = tmp_path / "config/seatrial/evidence-signing.pem.pub"
    target = tmp_path / "demo.seatrial.tar"
    assert check_pack(target, public, as_json=False) == 0
    assert "intact" in capsys.readouterr().out
    raw = bytearray(target.read_bytes())
    raw[len(raw) // 2] ^= 1
    target.write_bytes(raw)
    assert check_pack(target, public, as_json=True) == 2
    assert json.loads(capsys.readouterr().out)["problems"]


def test_keygen_prints_the_public_key(tmp_path):
    done = CliRunner().invoke(keygen_command, ["--key", str(tmp_path / "k")])
    assert (done.exit_code, done.output) == (0, f"{tmp_path / 'k.pub'}\n")
    again = CliRunner().invoke(keygen_command, ["--key", str(tmp_path / "k")])
    assert again.exit_code == 1
