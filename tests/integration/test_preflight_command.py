"""`seatrial preflight`: everything right starts; each thing that is wrong alone does not."""

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from control.tool.mounted_commands import Tool
from daemon.demo.plan import toml_text
from daemon.settings import load_config
from daemon.shell.checks.preflight_pass import start_permit
from daemon.shell.process.clock import SystemClock
from tests.support.control_port import SNAPSHOT, FakePort
from tests.support.control_server import serving
from tests.support.open_directory import open_directory

ROOT = Path(__file__).resolve().parents[2]
TESTNET = "binance-spot-testnet"
KEY = "testnet-key-0123456789"
SECRET = "testnet-secret-0123456789"
NOW = "2026-01-31T12:00:00Z"
HOUR_AGO = "2026-01-31T11:00:00Z"
GATES: dict[str, dict[str, Any]] = {
    "stability_gate": {"overall_ok": True},
    "live_readiness_scorecard": {"decision": "GO", "score": 100},
    "shadow_testnet_scorecard": {"decision": "READY_FOR_TESTNET", "score": 100},
    "live_dryrun_checklist": {"ok": True},
}
READY = {
    **SNAPSHOT, "mode": "testnet", "environment": TESTNET, "latched": False, "incidents_open": 0,
}  # fmt: skip
CHECKS = [
    "stability_gate", "live_readiness_scorecard", "shadow_testnet_scorecard",
    "live_dryrun_checklist", "kill_switch_drill", "kill_switch_reachable", "daemon_ready",
    "daemon_config", "credentials_separate", "live_blocked", "caps_strict",
]  # fmt: skip


class Box:
    """A testnet box on disk, with a daemon that only answers."""

    def __init__(self, folder: Path, port: FakePort) -> None:
        self.folder = folder
        self.port = port
        port.snapshot = dict(READY)
        self.state = folder / "state"
        (self.state / "journal").mkdir(parents=True)
        (folder / "status").mkdir()
        self.keys = folder / "keys.toml"
        self.keys.touch(mode=0o600)
        self.keys.write_text(toml_text({"api_key": KEY, "api_secret": SECRET}))
        caps = tomllib.loads((ROOT / "deploy/caps/testnet-strict.toml").read_text())["caps"]
        self.table: dict[str, Any] = {
            "state_dir": str(self.state),
            "venue": {"environment": TESTNET, "symbols": ["BTCUSDT"]},
            "credentials": {"file": str(self.keys)},
            "control": {"socket": str(folder / "control.sock")},
            "caps": caps,
        }
        self.write_config()
        for stem, value in GATES.items():
            self.gate(stem, {**value, "generated_at": HOUR_AGO})
        self.journal()

    @property
    def config(self) -> Path:
        return self.folder / "seatrial.toml"

    def write_config(self) -> None:
        self.config.write_text(toml_text(self.table))

    def gate(self, stem: str, value: object) -> None:
        (self.folder / f"status/{stem}.json").write_text(json.dumps(value))

    def journal(self, *records: dict[str, Any], account: str = KEY) -> None:
        start = {
            "event_type": "run_start",
            "config_hash": load_config(self.config).config_hash,
            "account": hashlib.sha256(account.encode()).hexdigest()[:16],
        }
        drill = {
            "event_type": "drill", "drill": "kill-switch", "passed": True, "ts": HOUR_AGO,
            "mode": "testnet",
        }  # fmt: skip
        lines = [start, drill, *records]
        text = "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in lines)
        (self.state / "journal/journal-000001.jsonl").write_text(text)

    def preflight(self, *more: str) -> tuple[int, dict[str, Any]]:
        arguments = ["--config", str(self.config), "--status-dir", str(self.folder / "status")]
        done = CliRunner().invoke(
            Tool(name="seatrial"), ["preflight", *arguments, "--now", NOW, "--json", *more]
        )
        assert done.exit_code in {0, 2}, done.output
        return done.exit_code, json.loads(done.stdout)

    def refused_for(self, *more: str) -> dict[str, str]:
        """The checks that failed, with their reasons; nothing may then start."""
        code, value = self.preflight(*more)
        assert (code, value["passed"], value["decision"]) == (2, False, "NO_TRADE")
        assert value["expires_ns"] is None
        failed = [one for one in value["checks"] if not one["ok"]]
        assert all(one["mend"] for one in failed), "a check that fails says what to do"
        return {one["check"]: one["reason"] for one in failed}


@pytest.fixture
def box():
    with open_directory() as folder:
        port = FakePort()
        made = Box(folder, port)
        with serving(folder, port):
            yield made


def permit_of(box: Box, value: dict[str, Any], **changes: str):
    asked = {"environment": TESTNET, "config_hash": load_config(box.config).config_hash, **changes}
    return start_permit(box.state, now_ns=value["made_ns"] + 60 * 10**9, **asked)


def test_everything_right_may_start_and_the_daemon_agrees(box):
    code, value = box.preflight()
    assert (code, value["decision"], value["label"]) == (0, "MAY_START", ""), value["reasons"]
    assert [one["check"] for one in value["checks"]] == CHECKS
    assert value["expires_at"] == "2026-01-31T14:00:00Z"
    assert permit_of(box, value).allowed
    assert not permit_of(box, value, config_hash="another").allowed
    twin = (box.state / "preflight.md").read_text()
    assert twin.count("- [x] ") == len(CHECKS)


def test_the_pass_ends_with_the_first_thing_that_it_rests_on(box):
    _code, value = box.preflight("--drill-age-hours", "2")
    assert value["expires_at"] == "2026-01-31T13:00:00Z"


@pytest.mark.parametrize("stem", GATES)
@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "MISSING"),
        ({"generated_at": HOUR_AGO, "hard_blocks": ["X"]}, "RED"),
        ({"generated_at": "2026-01-28T11:00:00Z"}, "STALE"),
        ({"generated_at": "2026-01-31T13:00:00Z"}, "STALE"),
        ({}, "STALE"),
    ],
    ids=["missing", "red", "old", "future", "undated"],
)
def test_a_gate_that_is_not_green_and_fresh(box, stem, content, word):
    if content is None:
        (box.folder / f"status/{stem}.json").unlink()
    else:
        box.gate(stem, content if word == "RED" else {**GATES[stem], **content})
    refused = box.refused_for()
    assert list(refused) == [stem]
    assert refused[stem].startswith(word)


def test_a_shadow_scorecard_on_simulated_evidence_is_enough_to_start(box):
    remarks = {"seatrial": {"remarks": ["REHEARSAL_SIMULATED_EVIDENCE"]}}
    stem = "shadow_testnet_scorecard"
    box.gate(stem, {**GATES[stem], **remarks, "generated_at": HOUR_AGO})
    code, value = box.preflight()
    assert code == 0
    (row,) = [one for one in value["checks"] if one["check"] == stem]
    assert "REHEARSAL_SIMULATED_EVIDENCE" in row["reason"]


KILL = {"event_type": "kill", "ts": HOUR_AGO, "mode": "testnet", "reason": "drill"}


@pytest.mark.parametrize(
    ("record", "word"),
    [
        ({**KILL, "step": "not_verified"}, "did not work"),
        ({**KILL, "step": "verified_empty", "mode": "sim"}, "was on sim, not on testnet"),
        ({**KILL, "step": "verified_empty", "ts": "2026-01-01T00:00:00Z"}, "732.0 h ago"),
        ({**KILL, "step": "verified_empty", "ts": "2027-01-01T00:00:00Z"}, "of the future"),
        ({**KILL, "event_type": "drill", "drill": "kill-switch", "passed": False}, "did not work"),
    ],
    ids=["unverified", "sim", "old", "future", "failed"],
)
def test_the_newest_kill_proof_decides(box, record, word):
    box.journal(record)
    refused = box.refused_for()
    assert list(refused) == ["kill_switch_drill"]
    assert word in refused["kill_switch_drill"]


def test_a_kill_that_was_verified_empty_is_a_proof_too(box):
    box.journal({**KILL, "step": "verified_empty"}, {"event_type": "input", "step": "x"})
    code, _value = box.preflight()
    assert code == 0


def test_a_drill_of_this_very_second_is_not_of_the_future(box):
    """The clock of the command is cut to seconds, the journal's is not."""
    box.journal({**KILL, "step": "verified_empty", "ts": "2026-01-31T12:00:00.900000Z"})
    _code, value = box.preflight()
    (row,) = [one for one in value["checks"] if one["check"] == "kill_switch_drill"]
    assert (row["ok"], row["age_hours"]) == (True, 0.0)


def test_no_journal_no_proof(box):
    (box.state / "journal/journal-000001.jsonl").unlink()
    assert {"kill_switch_drill", "daemon_config"} <= set(box.refused_for())


@pytest.mark.parametrize(
    ("snapshot", "word"),
    [
        ({"latched": True, "latch_reason": "spread"}, "kill latch holds: spread"),
        ({"gate_state": "RECONCILING"}, "gate is RECONCILING"),
        ({"incidents_open": 2}, "2 incidents unresolved"),
        ({"journal_fault": "disk full"}, "disk full"),
    ],
)
def test_a_daemon_that_is_not_ready(box, snapshot, word):
    box.port.snapshot = {**READY, **snapshot}
    assert word in box.refused_for()["daemon_ready"]


def test_a_daemon_on_another_configuration(box):
    box.table["venue"]["symbols"] = ["ETHUSDT"]
    box.write_config()
    assert list(box.refused_for()) == ["daemon_config"]


def test_no_daemon_no_kill_switch(box):
    box.table["control"]["socket"] = str(box.folder / "nobody.sock")
    box.write_config()
    assert "no socket" in box.refused_for()["kill_switch_reachable"]


@pytest.mark.parametrize("gating", [{"enabled": True, "armed": False}, {"enabled": False}])
def test_live_keys_that_are_turned(box, gating):
    box.port.snapshot = {**READY, "gating": gating}
    assert list(box.refused_for()) == ["live_blocked"]


@pytest.mark.parametrize(
    ("live", "shared"),
    [
        (f'api_key = "{KEY}"\napi_secret = "other"', "api_key"),
        (f"LIVE_API_KEY={KEY}\n", "api_key"),
        (f'{{"secret": "{SECRET}"}}', "api_secret"),
    ],
)
def test_a_live_key_file_that_holds_the_testnet_key(box, live, shared):
    path = box.folder / "live.toml"
    path.write_text(live)
    refused = box.refused_for("--live-keys", str(path))
    assert refused["credentials_separate"].endswith(f"the same {shared}")
    assert KEY not in str(refused)


def test_a_shared_private_key_is_found_in_any_wrapping(box):
    made = Ed25519PrivateKey.generate()
    pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    box.keys.write_text(f'api_key = "{KEY}"\ned25519_private_key = """{pem}"""\n')
    live = box.folder / "live.json"
    live.write_text(json.dumps({"pem": pem}))
    refused = box.refused_for("--live-keys", str(live))
    assert refused["credentials_separate"].endswith("the same private key")


def test_other_live_keys_are_no_fault_and_a_missing_file_is(box):
    path = box.folder / "live.toml"
    path.write_text('api_key = "quite-another"\napi_secret = "again"\n')
    assert box.preflight("--live-keys", str(path))[0] == 0
    refused = box.refused_for("--live-keys", str(path), "--live-keys", str(box.folder / "none"))
    assert "cannot be shown" in refused["credentials_separate"]


def test_a_file_that_is_too_large_to_look_through_shows_nothing(box):
    path = box.folder / "live.dump"
    path.write_bytes(b" " * ((1 << 20) + 1) + KEY.encode())
    refused = box.refused_for("--live-keys", str(path))
    assert "cannot be shown" in refused["credentials_separate"]


@pytest.mark.parametrize(
    "line",
    [
        b'{"event_type":"kill","step":["verified_empty"],"ts":[1],"mode":{}}',
        b'{"event_type":"drill","drill":{"a":1},"passed":true}',
        b'{"event_type":"kill"',
        b'["x","event_type":"kill"]',
        b'\xff\xfe"event_type":"kill"',
        b'{"note":{"event_type":"kill","step":"verified_empty"}}',
    ],
)
def test_odd_lines_of_a_journal_prove_nothing_and_break_nothing(box, line):
    path = box.state / "journal/journal-000001.jsonl"
    path.write_bytes(path.read_bytes() + line + b"\n")
    assert box.preflight()[0] == 0, "the drill before it still counts"
    path.write_bytes(line + b"\n")
    assert "kill_switch_drill" in box.refused_for()


def test_the_newest_segment_is_believed_first(box):
    folder = box.state / "journal"
    failed = {**KILL, "step": "not_verified"}
    text = json.dumps(failed, separators=(",", ":")) + "\n"
    (folder / "journal-000002.jsonl").write_text(text)
    assert list(box.refused_for()) == ["kill_switch_drill"]


def test_keys_that_only_the_unit_sees_are_compared_by_the_account(box):
    """With systemd credentials the operator reads no key; the journal names the account."""
    del box.table["credentials"]
    box.write_config()
    box.journal()
    assert box.preflight()[0] == 0
    live = box.folder / "live.toml"
    live.write_text(f'api_key = "{KEY}"\n')
    assert "api_key" in box.refused_for("--live-keys", str(live))["credentials_separate"]


def test_a_key_file_that_others_may_read(box):
    box.keys.chmod(0o644)
    assert "lets others read it" in box.refused_for()["credentials_separate"]


@pytest.mark.parametrize(
    ("remove", "named"),
    [
        (("orders_per_hour_max",), "orders_per_hour_max"),
        (("drawdown_numeraire_max",), "drawdown_numeraire_max"),
        (("symbols", "BTCUSDT", "exposure_quote_max"), "symbols.BTCUSDT.exposure_quote_max"),
        (("symbols", "BTCUSDT"), "symbols.BTCUSDT"),
    ],
)
def test_a_cap_that_is_not_set(box, remove, named):
    table = box.table["caps"]
    for key in remove[:-1]:
        table = table[key]
    del table[remove[-1]]
    box.write_config()
    box.journal()
    refused = box.refused_for()
    assert list(refused) == ["caps_strict"]
    assert named in refused["caps_strict"]


def test_a_refusal_takes_an_earlier_pass_away(box):
    _code, value = box.preflight()
    assert permit_of(box, value).allowed
    (box.folder / "status/stability_gate.json").unlink()
    box.refused_for()
    assert not permit_of(box, value).allowed


def test_a_config_that_cannot_be_used_is_an_error_and_no_verdict(box):
    box.table["caps"]["orders_open_max"] = "unlimited"
    box.write_config()
    done = CliRunner().invoke(Tool(name="t"), ["preflight", "--config", str(box.config)])
    assert done.exit_code == 1
    assert "caps.orders_open_max" in done.output


def test_the_table_names_every_check_its_age_and_the_mend(box):
    (box.folder / "status/stability_gate.json").unlink()
    done = CliRunner().invoke(
        Tool(name="t"),
        ["preflight", "--config", str(box.config), "--status-dir", str(box.folder / "status"),
         "--now", NOW],
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines if line[:4] in {"ok  ", "FAIL"}] == CHECKS
    assert lines[0].startswith("FAIL  stability_gate")
    assert lines[1].strip().startswith("-> ")
    assert "1.00 h" in lines[2]
    assert lines[-1] == "NO_TRADE"


def test_a_simulated_venue_is_checked_the_same_and_labelled(box):
    sim = {
        "rest": "http://127.0.0.1:1",
        "ws_api": "ws://127.0.0.1:1",
        "streams": "ws://127.0.0.1:1",
    }
    box.table["venue"] = {"environment": "sim", "symbols": ["BTCUSDT"], **sim}
    box.write_config()
    box.journal({**KILL, "step": "verified_empty", "mode": "sim"})
    code, value = box.preflight()
    assert (code, value["decision"]) == (0, "REHEARSAL_MAY_START"), value["reasons"]
    assert not permit_of(box, value).allowed, "a rehearsal is no pass for a testnet"
    headings = [
        line for line in (box.state / "preflight.md").read_text().splitlines() if line[:1] == "#"
    ]
    assert all("REHEARSAL" in heading for heading in headings)


def test_the_clock_of_the_command_is_the_daemons(box):
    """Without --now the pass is made now, for the clock that the daemon asks with."""
    stamp = SystemClock().now_ns()
    done = CliRunner().invoke(
        Tool(name="t"),
        ["preflight", "--config", str(box.config), "--json"],
    )
    value = json.loads(done.stdout)
    assert abs(value["made_ns"] - stamp) < 30 * 10**9
