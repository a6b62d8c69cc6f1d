"""`seatrial witness serve` as a process: what it refuses over the wire, and after a SIGKILL."""

import asyncio
import contextlib
import hashlib
import json
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner

from daemon.model.witness_words import EXPORT_PATH, HEADS_PATH
from evidence.evidence_commands import evidence_group
from evidence.witness.witness_commands import witness_group
from evidence.witness.witness_server import Connections
from tests.support.journal_maker import JournalMaker, encode, write_journal
from tests.support.witnessed import DEADLINE_S, Witnessed, WitnessProcess


def post(address: str, body: object) -> tuple[int, dict]:
    request = urllib.request.Request(
        address + HEADS_PATH, data=json.dumps(body).encode(), method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.fixture
def witnessed(tmp_path: Path) -> Witnessed:
    return Witnessed(tmp_path / "witness")


@pytest.fixture
def start(witnessed):
    """Start a witness on a free port of loopback; those that still run are killed at the end."""
    started: list[WitnessProcess] = []

    def run(*options: str, files_max: int = 0) -> WitnessProcess:
        started.append(WitnessProcess(witnessed, *options, files_max=files_max))
        return started[-1]

    yield run
    for one in started:
        one.end(signal.SIGKILL)


def test_a_witness_refuses_over_the_wire_and_after_a_kill(witnessed, start):
    def show(address: str, seq: int, head: str) -> tuple[int, str]:
        signed = witnessed.asked(seq, head)
        body = {"box": witnessed.box, "seq": seq, "head": head, "signature": signed}
        status, told = post(address, body)
        return status, told.get("code", told.get("head"))

    a, b = "a" * 64, "b" * 64
    first = start()
    assert show(first.address, 5, a) == (200, a)
    assert show(first.address, 9, a) == (200, a)
    assert show(first.address, 9, b) == (409, "second_head")
    assert show(first.address, 5, b) == (409, "second_head")
    assert show(first.address, 7, b) == (409, "lower_sequence")
    assert post(first.address, {"box": 1})[0] == 400
    unsigned = {"box": witnessed.box, "seq": 10, "head": a, "signature": ""}
    assert post(first.address, unsigned)[0] == 403
    assert first.end(signal.SIGKILL) == -signal.SIGKILL

    again = start()
    assert show(again.address, 9, b) == (409, "second_head")
    assert show(again.address, 9, a) == (200, a)
    assert show(again.address, 10, b) == (200, b)
    assert again.end(signal.SIGTERM) == 0

    shown = CliRunner().invoke(
        witness_group, ["show", "--state", str(witnessed.register_dir), "--json"]
    )
    [box] = json.loads(shown.output)["boxes"]
    assert (box["box"], box["heads"], box["seq"], box["head"]) == (witnessed.box, 3, 10, b)
    assert [one["code"] for one in box["refusals"]] == [
        "second_head",
        "second_head",
        "lower_sequence",
    ]  # the last is the first, asked again after the kill: kept once


def test_a_verifier_asks_the_witness_itself(witnessed, start, tmp_path):
    maker = JournalMaker(3, mode="testnet", exchange="binance-spot-testnet")
    maker.run_start()
    maker.session(8)
    maker.run_stop()
    honest = write_journal(tmp_path / "journal", encode(maker.records), is_anchored=True)
    lines = encode(maker.records)
    served = start()
    for seq in (10, len(lines)):
        head = hashlib.sha256(lines[seq - 1]).hexdigest()
        body = {"box": witnessed.box, "seq": seq, "head": head}
        assert post(served.address, {**body, "signature": witnessed.asked(seq, head)})[0] == 200
    del maker.records[4]
    maker.session(8)
    forged = write_journal(tmp_path / "forged", encode(maker.records), is_anchored=True)

    def intact(journal: Path) -> tuple[str, list[str]]:
        given = ("--witness", served.address, "--witness-key", str(witnessed.witness_pub))
        done = CliRunner().invoke(evidence_group, ["verify", str(journal), *given, "--json"])
        [found] = json.loads(done.output)["journals"].values()
        return found["intact"]["verdict"], found["intact"]["reasons"]

    assert intact(honest) == ("OK", [])
    verdict, reasons = intact(forged)
    assert verdict == "FAIL"
    assert any("seq 10" in reason and "witness" in reason for reason in reasons)
    assert served.end(signal.SIGTERM) == 0
    done = CliRunner().invoke(
        evidence_group,
        ["verify", str(honest), "--witness", served.address,
         "--witness-key", str(witnessed.witness_pub)],
    )  # fmt: skip
    assert done.exit_code == 1
    assert "does not answer" in done.output


def test_mutual_tls_keeps_strangers_out(start, tmp_path):
    """With `--tls-clients` a connection without a certificate of that CA is not taken."""
    ca, key = tmp_path / "ca.pem", tmp_path / "ca.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(ca),
         "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    served = start("--tls-certificate", str(ca), "--tls-key", str(key), "--tls-clients", str(ca))
    address = served.address.replace("127.0.0.1", "localhost") + EXPORT_PATH
    stranger = ssl.create_default_context(cafile=str(ca))
    with pytest.raises((urllib.error.URLError, ConnectionError, ssl.SSLError)):
        urllib.request.urlopen(address, timeout=DEADLINE_S, context=stranger)
    known = ssl.create_default_context(cafile=str(ca))
    known.load_cert_chain(ca, key)
    with urllib.request.urlopen(address, timeout=DEADLINE_S, context=known) as answer:
        assert json.loads(answer.read())["lines"] == 0  # let in; no head is signed yet
    assert served.end(signal.SIGTERM) == 0


def test_silent_dripping_and_strange_peers_shut_no_witness_and_fill_no_log(witnessed, start):
    """More connections than it may hold files; each sends nothing, half a request, or nonsense."""
    served = start(files_max=450)
    place = served.address.removeprefix("http://").split(":")
    head = "a" * 64
    body = {
        "box": witnessed.box, "seq": 5, "head": head, "signature": witnessed.asked(5, head),
    }  # fmt: skip
    with contextlib.ExitStack() as stack:
        for number in range(500):
            one = stack.enter_context(socket.create_connection((place[0], int(place[1])), 60))
            with contextlib.suppress(OSError):  # ended meanwhile
                if number % 3:
                    one.sendall(b"POST /v1/heads HTTP/1.1\r\nContent-Length: 900\r\n\r\n{"[:number])
        for _ in range(3):
            assert post(served.address, body)[0] == 200
        for target in ("/" + "x" * 20_000, "//[", "http://[", "/v1/export?box=%ff", "/other"):
            asked = stack.enter_context(socket.create_connection((place[0], int(place[1])), 60))
            asked.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            with asked.makefile("rb") as answer:
                assert answer.readline().split()[1][:1] == b"4", target[:20]
    assert served.end(signal.SIGTERM) == 0
    assert served.errors() == ""


def test_a_connection_that_asks_for_nothing_is_ended(monkeypatch):
    monkeypatch.setattr("evidence.witness.witness_server.FIRST_REQUEST_S", 0.05)
    monkeypatch.setattr("evidence.witness.witness_server.KEEPALIVE_S", 0.5)

    async def answer(request):
        return web.Response(text="ok")

    async def ended() -> list[bytes]:
        connections = Connections(answer)
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(connections, "127.0.0.1", 0)
        told = []
        slow = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"
        whole = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        for sent in (b"", b"GET / HT", slow, whole):
            reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
            writer.write(sent)
            told.append(await asyncio.wait_for(reader.read(), DEADLINE_S))
            writer.close()
        listening.close()
        return told

    *nothing, answered = asyncio.run(ended())
    assert nothing == [b"", b"", b""]
    assert answered.endswith(b"ok")


def test_a_witness_whose_clock_was_ahead_says_so_and_names_the_mend(witnessed, start):
    register = witnessed.register()
    witnessed.show(register, 5, "a" * 64, 4_102_444_800 * 10**9)
    register.close()
    served = start()
    assert served.end(signal.SIGTERM) == 0
    shown = CliRunner().invoke(witness_group, ["show", "--state", str(witnessed.register_dir)])
    for said in (served.errors(), shown.output):
        assert "is stamped 2100-01-01T00:00:00Z, which is still to come" in said
        assert "an empty --state with a new --key" in said


def test_half_of_a_tls_configuration_is_refused(witnessed, tmp_path):
    done = CliRunner().invoke(
        witness_group,
        ["serve", "--state", str(tmp_path / "r"), "--key", str(witnessed.witness_pem),
         "--box", str(witnessed.box_pub), "--tls-certificate", str(tmp_path / "c.pem")],
    )  # fmt: skip
    assert done.exit_code == 1
    assert "--tls-certificate and --tls-key belong together" in done.output
