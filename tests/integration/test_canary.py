"""Secrets stay inside: planted keys are looked for in everything that a bad day leaves behind.

The key and the secret of the venue's account are the canaries. A session runs through a storm, a
strategy error, an incident, a kill and a crash with a traceback; then every byte that came out of
it is searched, in every spelling that a careless line would use.
"""

import base64
import contextlib
import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control.control_errors import RpcError
from tests.support.forked import run
from tests.support.journal_lines import journal_lines
from tests.support.ports import kept_port
from tests.support.sim_process import ROOT
from tests.support.stop_stage import StopStage

PR_GET_DUMPABLE = 3


def spellings(canary: str) -> dict[str, bytes]:
    """How a secret might stand in an output."""
    raw = canary.encode()
    return {
        "as it is": raw,
        "in hex": raw.hex().encode(),
        "in base64": base64.b64encode(raw).rstrip(b"="),
        "in a URL": urllib.parse.quote(canary, safe="").encode(),
        "backwards": raw[::-1],
        "its first half": raw[: len(raw) // 2],
        "its second half": raw[len(raw) // 2 :],
    }


def sightings(outputs: dict[str, bytes], canaries: dict[str, str]) -> list[str]:
    """Where a canary sings."""
    return [
        f"{name} stands {how} in {place}"
        for name, canary in canaries.items()
        for how, needle in spellings(canary).items()
        for place, data in outputs.items()
        if needle in data
    ]


def files_below(directory: Path, without: set[Path]) -> Iterator[tuple[str, bytes]]:
    for path in sorted(directory.rglob("*")):
        if path.is_file() and path not in without:
            yield str(path.relative_to(directory)), path.read_bytes()


def tool(*arguments: object, env: dict[str, str] | None = None) -> bytes:
    """Everything that a run of the operator's tool says."""
    done = run("tool", arguments, env={**os.environ, **(env or {})})
    return (done.stdout + done.stderr).encode()


def bad_day(stage: StopStage, port: int) -> dict[str, bytes]:
    """A session with everything that goes wrong; what was told while it ran."""
    told: dict[str, bytes] = {}
    stage.start_daemon()
    assert stage.daemon is not None
    proc = Path(f"/proc/{stage.daemon.pid}")
    told["cmdline"] = (proc / "cmdline").read_bytes()
    told["environ"] = (proc / "environ").read_bytes()
    assert "Max core file size        0                    0" in (proc / "limits").read_text()
    stage.fill()
    # The incident's own cancels have no known outcome, and then all else goes wrong by chance.
    unknown = {"kind": "unknown_1007_before", "rate": 1.0, "purposes": ["place", "cancel"]}
    stage.sim.load_faults([unknown])
    (stage.signals / "raise").write_text("a strategy with a bug")
    stage.until(lambda: stage.status()["incidents_open"], "a strategy error is an incident")
    (stage.signals / "raise").unlink()
    stage.until(lambda: journal_lines(stage.state_dir, "timeout"), "a cancel is not answered")
    stage.sim.load_faults(
        [
            {"kind": "error_5xx_after", "rate": 0.3, "purposes": ["place", "cancel", "query"]},
            {**unknown, "rate": 0.3},
            {"kind": "waf_403", "rate": 0.2, "purposes": ["query", "data"]},
        ]
    )
    stage.sim.admin_post("strike", kind="abrupt_close", target="all")
    stage.until(lambda: journal_lines(stage.state_dir, "disconnected"), "a connection is lost")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        told["metrics"] = answer.read()
    told["status"] = json.dumps(stage.call("status")).encode()
    told["events"] = json.dumps(stage.call("events", tail=1_000)).encode()
    for command in ("status", "orders", "caps", "positions"):
        told[f"seatrial {command}"] = tool("--socket", stage.socket, command)
    told["kill"] = json.dumps(stage.kill()).encode()
    return told


WAF_PAUSE_AND_MORE_S = 120.0
"""A firewall's page among the day's faults makes the daemon wait a minute before it asks again."""


def crash(stage: StopStage) -> None:
    """The daemon comes back, is let go again, and dies with a traceback."""
    stage.sim.load_faults([])
    stage.until(lambda: _resolve(stage), "every incident is resolved", WAF_PAUSE_AND_MORE_S)
    stage.re_arm()
    (stage.signals / "crash").write_text("nothing catches this")
    stage.call("start", reason="to crash")
    assert stage.daemon is not None
    assert stage.daemon.wait(timeout=60) != 0
    assert b"Traceback" in stage.log.read_bytes()


def _resolve(stage: StopStage) -> bool:
    status: dict[str, Any] = stage.status()
    for incident in status["incidents"]:
        if not incident["resolved_by"]:
            answers = dict.fromkeys(("root_cause", "remediation", "follow_up"), "as planted")
            with contextlib.suppress(RpcError):  # resolved already: the status is a moment old
                stage.call("incident-resolve", incident_id=incident["incident_id"], **answers)
            return False
    return bool(status["gate_state"] == "READY" and not status["incidents_open"])


@pytest.mark.campaign
@pytest.mark.timeout(300)
def test_no_output_of_a_bad_day_holds_a_secret(tmp_path: Path) -> None:
    port = kept_port()
    settings = {"metrics": {"enabled": True, "port": port}}
    symbols = ("BTCUSDT", "ETHUSDT")
    with StopStage(tmp_path, symbols=symbols, orders_per_symbol=4, settings=settings) as stage:
        canaries = {"the API key": stage.sim.api_key, "the secret": stage.sim.api_secret}
        told = bad_day(stage, port)
        crash(stage)
        ledger = tmp_path / "ledger.json"
        ledger.write_text(json.dumps(stage.ledger_since(0)))
        told["kill --direct"] = tool("kill", "--direct", "--config", stage.config, "--json")
    key = tmp_path / "signing.key"
    out = tmp_path / "pack.tar.gz"
    told["evidence keygen"] = tool("evidence", "keygen", "--key", key)
    told["evidence report"] = tool(
        *("evidence", "report", stage.state_dir / "journal", "--out-dir", tmp_path / "evidence")
    )
    told["evidence pack"] = tool(
        *("evidence", "pack", stage.state_dir, "--out", out, "--key", key),
        *("--config", stage.config, "--ledger", ledger),
    )
    assert out.exists(), told["evidence pack"].decode()
    unpacked = tmp_path / "unpacked"
    subprocess.run([sys.executable, "-m", "tarfile", "-e", out, unpacked], check=True, timeout=30)
    outputs = told | dict(files_below(tmp_path, without={stage.keys, key}))
    for expected in ("seatriald.log", "evidence/evidence_report.json"):
        assert outputs[expected]
    kinds = {json.loads(line)["event_type"] for line in _journal(stage)}
    assert {"strategy_error", "incident_opened", "kill", "timeout", "disconnected"} <= kinds
    assert any("incidents/" in name and name.endswith("note.md") for name in outputs)
    assert any(name.startswith("unpacked/") for name in outputs)
    assert sightings(outputs, canaries) == []


@pytest.mark.slow
@pytest.mark.parametrize("source", ["systemd credentials", "keyring", "environment"])
def test_no_output_holds_a_secret_of_another_source(tmp_path: Path, source: str) -> None:
    """A session, a kill and a kill from a second process, with the key from elsewhere."""
    if source == "keyring":
        pytest.importorskip("keyring", reason="the locked dev packages have it: `make test`")
    stage = StopStage(tmp_path, symbols=("BTCUSDT",), orders_per_symbol=2)
    with stage:
        held = {"api_key": stage.sim.api_key, "api_secret": stage.sim.api_secret}
        env, planted = plant(tmp_path, source, held)
        stage._env = env
        config = stage.config.read_text().replace(f'file = "{stage.keys}"', WANTED[source])
        stage.config.write_text(config)
        stage.keys.unlink()
        stage.start_daemon()
        stage.fill()
        assert stage.daemon is not None
        proc = Path(f"/proc/{stage.daemon.pid}")
        told = {"cmdline": (proc / "cmdline").read_bytes()}
        if source == "environment":
            # What a process was started with stays there for root; for root alone, though.
            assert (proc / "environ").stat().st_uid == 0
        else:
            told["environ"] = (proc / "environ").read_bytes()
        told["status"] = json.dumps(stage.call("status")).encode()
        told["events"] = json.dumps(stage.call("events", tail=1_000)).encode()
        told["seatrial status"] = tool("--socket", stage.socket, "status")
        told["keys check"] = tool("keys", "check", "--config", stage.config, env=env)
        told["kill"] = json.dumps(stage.kill()).encode()
        told["kill --direct"] = tool("kill", "--direct", "--config", stage.config, env=env)
        stage.kill_hard()
    outputs = told | dict(files_below(tmp_path, without=planted))
    assert (
        sightings(outputs, {"the API key": held["api_key"], "the secret": held["api_secret"]}) == []
    )
    (start,) = [json.loads(line) for line in _journal(stage) if '"run_start"' in line]
    assert start["key_source"] == source
    warned = source == "environment"
    assert bool(start["warnings"]) is warned, "journalled"
    assert (b"comes from the environment" in outputs["seatriald.log"]) is warned, "printed"
    assert (b"WARNING: the key comes" in told["seatrial status"]) is warned, "shown"
    assert f"from {source}".encode() in told["keys check"]
    assert b" canceled" in told["kill --direct"], told["kill --direct"].decode()


WANTED = {
    "systemd credentials": "",
    "environment": "",
    "keyring": 'keyring_service = "seatrial-canary"',
}


def plant(directory: Path, source: str, held: dict[str, str]) -> tuple[dict[str, str], set[Path]]:
    """Put the key where the source has it: the environment that finds it, and the files of it."""
    if source == "environment":
        return {f"SEATRIAL_{name.upper()}": value for name, value in held.items()}, set()
    if source == "keyring":
        keyring = directory / "keyring.json"
        keyring.touch(mode=0o600)
        keyring.write_text(json.dumps({"seatrial-canary": held}))
        backend = "tests.support.box_keyring.BoxKeyring"
        return {"PYTHON_KEYRING_BACKEND": backend, "BOX_KEYRING": str(keyring)}, {keyring}
    place = directory / "credentials"
    place.mkdir()
    for name, value in held.items():
        (place / name).write_text(value)
        (place / name).chmod(0o400)
    return {"CREDENTIALS_DIRECTORY": str(place)}, set(place.iterdir())


def _journal(stage: StopStage) -> list[str]:
    return [
        line
        for path in sorted((stage.state_dir / "journal").glob("journal-*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def test_a_canary_would_be_seen() -> None:
    """The search itself can fail."""
    canaries = {"the secret": "S3cretOfTheVenue"}
    for data in (
        b"x S3cretOfTheVenue",
        b"UzNjcmV0T2ZUaGVWZW51ZQ",
        b"S3cretOf",
        b"euneVehTfOterc3S",
    ):
        assert sightings({"log": data}, canaries), data
    assert sightings({"log": b"nothing here"}, canaries) == []


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        ('api_key = "CANARYKEY"\napi_secret = "CANARYSECRET"\n', 0o644),
        ('api_key = "CANARYKEY"\napi_secret = CANARYSECRET\n', 0o600),
        ('api_key = "CANARYKEY"\napi_secrets = "CANARYSECRET"\n', 0o600),
        ('api_key = "CANARYKEY"\ned25519_private_key = "CANARYSECRET"\n', 0o600),
        ('CANARYKEY = "CANARYSECRET"\n', 0o600),
    ],
)
def test_a_credentials_file_that_is_refused_is_not_quoted(
    tmp_path: Path, content: str, mode: int
) -> None:
    stage = StopStage(tmp_path, symbols=("BTCUSDT",), orders_per_symbol=0)
    stage.sim.ready = {
        "api_key": "CANARYKEY",
        "api_secret": "CANARYSECRET",
        "rest": "http://127.0.0.1:9",
        "ws_api": "ws://127.0.0.1:9/ws-api/v3",
        "streams": "ws://127.0.0.1:9",
    }
    stage.write_config()
    stage.keys.write_text(content)
    stage.keys.chmod(mode)
    done = subprocess.run(
        [sys.executable, "-m", "daemon", "--config", str(stage.config)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert str(stage.keys).encode() in done.stderr
    assert b"CANARYSECRET" not in done.stdout + done.stderr
    direct = tool("kill", "--direct", "--config", stage.config, "--json")
    assert b"CANARYSECRET" not in direct


def test_core_dumps_are_forbidden_to_collectors_too() -> None:
    program = (
        "import ctypes, resource\n"
        "from daemon.shell.process.secrecy import forbid_core_dumps\n"
        "forbid_core_dumps()\n"
        f"print(ctypes.CDLL(None).prctl({PR_GET_DUMPABLE}, 0, 0, 0, 0))\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, timeout=30
    )
    assert done.stdout.split(b"\n")[:2] == [b"0", b"(0, 0)"]
