"""Anchor sinks against real servers of loopback, and the sender that never makes anybody wait."""

import base64
import hashlib
import hmac
import json
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from daemon.errors import AnchorUnusable
from daemon.model.witness_words import stamped_bytes
from daemon.settings_anchors import AnchorSettings
from daemon.shell.anchors import anchor_sender
from daemon.shell.anchors.anchor_sender import RECEIPTS_NAME, AnchorSender
from daemon.shell.anchors.sink_builder import sinks_of
from evidence.read.journal_sources import SourceError
from evidence.report.outside_anchors import timestamp_source
from tests.support.time_authority import TimeAuthority
from tests.support.witnessed import DEADLINE_S, Witnessed, WitnessProcess

QUEUED_MAX = 8
PERIOD_MS = 86_400_000
"""Longer than any test: heads go when they are nudged."""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(anchor_sender, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(anchor_sender, "LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr(anchor_sender, "END_S", 0.05)


class Journal:
    """What a sender asks of a journal; `durable_seq` is behind where a test says so."""

    def __init__(self) -> None:
        self.seq = self.durable_seq = self.pending_lines = 0
        self.head = ""


class Stage:
    """A sender with one sink, and the journal that it looks at."""

    def __init__(self, state_dir: Path, table: dict[str, object], *, deadline_ms: int = 60_000):
        self.settings = AnchorSettings.model_validate(
            {"deadline_ms": deadline_ms, "sinks": {"one": {"period_ms": PERIOD_MS, **table}}},
            context={"base": state_dir},
        )
        self.journal, self.state_dir = Journal(), state_dir
        self.sender = AnchorSender(
            self.settings,
            sinks_of(self.settings, box="test"),
            journal=self.journal,
            run_id="r1",
            state_dir=state_dir,
        )
        self.sender.start()

    @property
    def one(self) -> dict:
        return self.sender.status()["anchors"]["sinks"]["one"]

    def grow(self, seq: int, salt: str = "") -> str:
        """Anchor a head now."""
        digest = hashlib.sha256(f"{seq}{salt}".encode()).hexdigest()
        self.sender.on_anchor(seq, digest)
        return digest

    def send(self, seq: int, salt: str = "") -> str:
        """Anchor a head now, and wait until it is acknowledged."""
        digest = self.grow(seq, salt)
        self.until(lambda: self.one["acked_seq"] >= seq)
        return digest

    def until(self, holds: Callable[[], bool]) -> None:
        end = monotonic() + DEADLINE_S
        beat = threading.Event()
        while not holds():
            assert monotonic() < end, self.sender.status()
            beat.wait(0.01)

    def receipts(self) -> list[dict]:
        path = self.state_dir / RECEIPTS_NAME
        return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def stage(tmp_path):
    made: list[Stage] = []

    def build(table: dict[str, object], **options) -> Stage:
        made.append(Stage(tmp_path, table, **options))
        return made[-1]

    yield build
    for one in made:
        one.sender.stop()


@pytest.fixture
def web():
    """Serve POSTs by a function of path, headers and body, which gives status and answer."""
    servers: list[ThreadingHTTPServer] = []

    def serve(answer: Callable[[dict, bytes], tuple[int, bytes]]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, told = answer(dict(self.headers), body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/hook"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


# ------------------------------------------------------------------ file, syslog, webhook
def test_a_file_of_another_user_gets_lines_and_is_never_made(stage, tmp_path):
    path = tmp_path / "elsewhere.jsonl"
    box = stage({"kind": "file", "path": str(path)})
    box.grow(5)
    box.until(lambda: "No such file" in box.one["fault"])
    assert not path.exists()
    path.touch()
    box.until(lambda: box.one["acked_seq"] == 5)
    nine = box.send(9)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [(one["seq"], one["run_id"]) for one in lines] == [(5, "r1"), (9, "r1")]
    assert lines[1]["head"] == nine
    assert box.one["fault"] == ""
    assert box.one["failed"] >= 1


def test_the_systems_log_gets_a_line(stage, tmp_path):
    log = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(log))
        listening.settimeout(DEADLINE_S)
        box = stage({"kind": "syslog", "path": str(log)})
        digest = box.send(5)
        priority, _, text = listening.recv(4096).decode().partition(">seatriald-test: ")
    assert priority == "<109"
    assert json.loads(text.removeprefix("seatrial anchor "))["head"] == digest


def test_a_webhook_is_signed_and_tried_again_until_it_takes_the_head(stage, web, tmp_path):
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("not a secret\n")
    taken: list[int] = []
    answers = iter((500, 302, 200, 201))

    def answer(headers: dict, body: bytes) -> tuple[int, bytes]:
        wanted = hmac.new(b"not a secret", body, hashlib.sha256).hexdigest()
        assert headers["X-Seatrial-Signature"] == f"sha256={wanted}"
        status = next(answers)
        if status // 100 == 2:
            taken.append(json.loads(body)["seq"])
        return status, b"no"

    box = stage({"kind": "webhook", "url": web(answer), "secret_file": str(secret)})
    box.send(5)
    assert box.one["failed"] == 2
    box.send(9)
    assert taken == [5, 9]


# ------------------------------------------------------------------ a witness
@pytest.fixture
def witness(tmp_path):
    witnessed = Witnessed(tmp_path / "witness")
    process = WitnessProcess(witnessed)
    yield witnessed, process
    process.end(signal.SIGKILL)


def sink_of(witnessed: Witnessed, process: WitnessProcess, **more: object) -> dict[str, object]:
    return {
        "kind": "witness", "url": process.address, "key": str(witnessed.box_pem),
        "witness_key": str(witnessed.witness_pub), **more,
    }  # fmt: skip


def test_a_witness_countersigns_and_the_box_keeps_the_receipt(stage, witness):
    box = stage(sink_of(*witness))
    box.send(5)
    digest = box.send(9)
    kept = box.receipts()
    assert [one["receipt"]["seq"] for one in kept] == [5, 9]
    assert (kept[1]["receipt"]["head"], kept[1]["receipt"]["box"]) == (digest, witness[0].box)


def test_a_rewritten_journal_is_refused_and_shown_until_somebody_looks(stage, witness):
    stage(sink_of(*witness)).send(9)
    forger = stage(sink_of(*witness))
    for seq in (9, 7):
        forger.grow(seq, "rewritten")
        forger.until(lambda: forger.one["refused"])
    assert "second_head" in forger.one["refused"]
    assert forger.sender.status()["anchors"]["refused"] == ["one"]
    forger.send(10, "rewritten")  # the witness cannot know; the verifier can
    assert "second_head" in forger.one["refused"]


def test_an_answer_of_anybody_else_is_no_acknowledgement(stage, witness, tmp_path):
    witnessed, process = witness
    other = Witnessed(tmp_path / "other")
    box = stage(sink_of(witnessed, process, witness_key=str(other.witness_pub)))
    box.grow(5)
    box.until(lambda: "is not the witness" in box.one["fault"])
    assert (box.one["acked"], box.one["queued"]) == (0, 1)


@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_nobody_on_the_wire_can_refuse_in_the_witnesses_name(stage, witness, web, signature):
    """A refusal that the witness did not sign is tried again, and no alarm."""
    refusal = {"code": "second_head", "msg": "no", "signature": signature}
    address = web(lambda *_: (409, json.dumps(refusal).encode())).removesuffix("/hook")
    box = stage(sink_of(*witness, url=address))
    box.grow(5)
    box.until(lambda: "is not the witness" in box.one["fault"])
    assert (box.one["refused"], box.one["queued"]) == ("", 1)


# ------------------------------------------------------------------ time stamps
@pytest.fixture
def authority(tmp_path, web):
    """A time stamp authority of OpenSSL's own; address, root certificate."""
    made = TimeAuthority(tmp_path / "tsa")

    def answer(headers: dict, body: bytes) -> tuple[int, bytes]:
        assert headers["Content-Type"] == "application/timestamp-query"
        return 200, made.reply(body)

    return web(answer), made.root


def test_a_time_stamp_is_checked_and_kept_as_openssl_verifies_it(stage, authority, tmp_path):
    url, root = authority
    box = stage({"kind": "timestamp", "url": url, "ca_file": str(root)})
    digest = box.send(9)
    [kept] = box.receipts()
    (tmp_path / "kept.tsr").write_bytes(base64.b64decode(kept["receipt"]["response"]))
    (tmp_path / "message").write_bytes(stamped_bytes(9, digest))

    def verified(message: str) -> int:
        return subprocess.run(
            ["openssl", "ts", "-verify", "-in", "kept.tsr", "-data", message,
             "-CAfile", str(root), "-untrusted", "tsa/tsa.pem"],
            cwd=tmp_path, capture_output=True, check=False,
        ).returncode  # fmt: skip

    (tmp_path / "another").write_bytes(stamped_bytes(8, digest))
    assert (verified("message"), verified("another")) == (0, 1)
    # the accountant's own look at the same receipts
    receipts = tmp_path / RECEIPTS_NAME
    source = timestamp_source(receipts, root)
    assert [(one["seq"], one["head"]) for one in source.heads] == [(9, digest)]
    assert abs(source.heads[0]["ts_ns"] - kept["ts_ns"]) < 3_600 * 10**9
    for seq, head in ((8, digest), (9, "f" * 64)):
        receipts.write_text(json.dumps({**kept, "seq": seq, "head": head}) + "\n")
        with pytest.raises(SourceError, match="does not verify"):
            timestamp_source(receipts, root)


def test_a_stamp_of_another_authority_is_none(stage, authority, tmp_path):
    url, _ = authority
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=root", "-keyout", "k", "-out", "other.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    box = stage({"kind": "timestamp", "url": url, "ca_file": str(tmp_path / "other.pem")})
    box.grow(5)
    box.until(lambda: "does not verify" in box.one["fault"])
    assert box.one["acked"] == 0


# ------------------------------------------------------------------ the sender
class Silent:
    """A sink of one's own that never answers while it is closed."""

    opened: threading.Event

    async def send(self, head):
        if not Silent.opened.is_set():
            raise ZeroDivisionError("a bug of its own")
        return {"ticket": head.seq}

    async def close(self):
        pass


def test_a_silent_sink_costs_a_bounded_queue_and_nobodys_time(stage, monkeypatch):
    monkeypatch.setattr(anchor_sender, "QUEUED_MAX", QUEUED_MAX)
    Silent.opened = threading.Event()
    box = stage({"kind": "plugin", "class": f"{__name__}:Silent"})
    for seq in range(1, 3 * QUEUED_MAX):
        box.grow(seq)
        newest = seq
        box.until(lambda: box.sender._queues[0].last_seq >= newest)  # noqa: B023
    assert box.one["queued"] == QUEUED_MAX
    assert box.one["dropped"] == 3 * QUEUED_MAX - 1 - QUEUED_MAX
    Silent.opened.set()
    box.until(lambda: box.one["queued"] == 0)
    assert box.one["acked_seq"] == 3 * QUEUED_MAX - 1
    assert [one["receipt"] for one in box.receipts()][-1] == {"ticket": 3 * QUEUED_MAX - 1}


def test_the_end_of_a_run_sends_its_last_head(stage, monkeypatch):
    monkeypatch.setattr(anchor_sender, "END_S", float(DEADLINE_S))
    Silent.opened = threading.Event()
    Silent.opened.set()
    box = stage({"kind": "plugin", "class": f"{__name__}:Silent"})
    box.send(5)
    box.grow(6)
    box.sender.stop()
    assert box.one["acked_seq"] == 6


def test_a_line_is_told_when_it_is_durable(stage):
    """The newest head is noted on each beat of the main loop, and sent when its line is synced."""
    Silent.opened = threading.Event()
    Silent.opened.set()
    box = stage({"kind": "plugin", "class": f"{__name__}:Silent", "period_ms": 1_000})
    box.journal.seq, box.journal.head = 6, "a" * 64
    for _ in range(3):
        box.sender.look()
    assert box.sender._durable[0] == 0
    box.journal.durable_seq = 6
    box.until(lambda: box.one["acked_seq"] == 6)
    box.journal.pending_lines, box.journal.seq = 1, 7
    box.sender.look()
    assert box.sender._coming[0] == 6, "what the kernel does not have is not even noted"


def test_without_a_sink_there_is_no_thread_and_no_word(tmp_path):
    none = AnchorSender(AnchorSettings(), {}, journal=Journal(), run_id="r", state_dir=tmp_path)
    none.start()
    none.on_anchor(5, "a")
    none.stop()
    assert none.status() == {}


# ------------------------------------------------------------------ what is refused
@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"kind": "file"}, "needs path"),
        ({"kind": "file", "path": "x", "url": "http://x"}, "has no url"),
        ({"kind": "witness", "url": "http://x"}, "needs key, witness_key"),
        ({"kind": "timestamp", "url": "ftp://x", "ca_file": "c"}, "is no address"),
        ({"kind": "plugin"}, "needs class"),
        ({"kind": "witness", "url": "http://x/y", "key": "k", "witness_key": "w"}, "alone"),
        ({"kind": "pigeon"}, "Input should be"),
    ],
)
def test_a_sink_that_cannot_be_meant_is_refused(tmp_path, table, words):
    with pytest.raises(ValueError, match=words):
        AnchorSettings.model_validate({"sinks": {"one": table}}, context={"base": tmp_path})


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"kind": "webhook", "url": "http://x", "secret_file": "none"}, "No such file"),
        ({"kind": "webhook", "url": "http://x", "secret_file": "open"}, "chmod 600"),
        ({"kind": "witness", "url": "http://x", "key": "shut", "witness_key": "open"}, "PEM"),
        ({"kind": "timestamp", "url": "http://x", "ca_file": "open"}, "no PEM certificate"),
        ({"kind": "plugin", "class": "no.such.module:Thing"}, "package.module:Class"),
    ],
)
def test_a_file_or_class_that_cannot_be_used_is_told_at_boot(tmp_path, table, words):
    (tmp_path / "open").touch(mode=0o644)
    (tmp_path / "shut").touch(mode=0o600)
    settings = AnchorSettings.model_validate({"sinks": {"one": table}}, context={"base": tmp_path})
    with pytest.raises(AnchorUnusable, match=words) as caught:
        sinks_of(settings, box="test")
    assert str(caught.value).startswith("anchors.sinks.one: ")


# ------------------------------------------------------------------ the sink of the handbook
HANDBOOK = Path(__file__).resolve().parents[3] / "docs" / "ANCHORS.md"


def test_the_rekor_sink_of_the_handbook_has_its_entries_accepted(stage, web, tmp_path, monkeypatch):
    """By a stand-in for Rekor that checks what the log checks: the signature over the hash."""
    text = HANDBOOK.read_text().split("```python\n")[1].partition("```")[0]
    (tmp_path / "rekor_sink.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    key = generate_private_key(SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "rekor.pem").write_bytes(pem)
    logged: list[str] = []

    def log(_headers: dict, body: bytes) -> tuple[int, bytes]:
        entry = json.loads(body)
        spec = entry["spec"]
        wanted = (entry["kind"], entry["apiVersion"], spec["data"]["hash"]["algorithm"])
        if wanted != ("hashedrekord", "0.0.1", "sha256"):
            return 400, b"of another form"
        digest = spec["data"]["hash"]["value"]
        public = load_pem_public_key(base64.b64decode(spec["signature"]["publicKey"]["content"]))
        signature = base64.b64decode(spec["signature"]["content"])
        public.verify(signature, bytes.fromhex(digest), ECDSA(Prehashed(SHA256())))
        logged.append(digest)
        if len(logged) == 1:
            return 503, b"come again"
        return 201, json.dumps({f"uuid{len(logged)}": {"logIndex": len(logged)}}).encode()

    params = {"url": web(log).removesuffix("/hook"), "key": str(tmp_path / "rekor.pem")}
    box = stage({"kind": "plugin", "class": "rekor_sink:RekorSink", "params": params})
    head = box.send(5)
    assert logged == [hashlib.sha256(stamped_bytes(5, head)).hexdigest()] * 2
    assert box.receipts()[-1]["receipt"] == {"uuid2": {"logIndex": 2}}
