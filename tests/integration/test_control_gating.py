"""A configuration that names a live host: refused by the real daemon for each single missing key.

The promotion records are sealed by the accountant's own code, and read by the daemon's.
"""

import json
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control.gating import TOKEN_LIFE_NS
from daemon.assembly import binding_of
from daemon.demo.plan import toml_text
from daemon.errors import LiveBlocked
from daemon.live_gate import LiveGate, check_live, mode_of, read_promotion, within_pilot
from daemon.model.enums import Mode
from daemon.model.records import POLICY_PREDICATE
from daemon.settings import Config, GatingSettings, load_config
from daemon.shell.keys.credentials import account_fingerprint
from evidence.promotion.policy import Policy, sign_policy
from evidence.promotion.record import PREDICATE_TYPE
from evidence.read.artifact_times import format_time
from evidence.read.dsse import seal, statement
from evidence.read.signing import public_pem
from tests.support.forked import run
from tests.support.stop_stage import ROOT, StopStage

NOW = datetime.now(UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
API_KEY = "KEYofTHEPILOT"
SIGNER = Ed25519PrivateKey.generate()
PILOT = ROOT / "deploy" / "caps" / "live-pilot.toml"


class Box:
    """A configuration with every key of the gating turned, but the confirm token."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "seatrial.toml"
        keys = directory / "keys.toml"
        keys.touch(mode=0o600)
        keys.write_text(toml_text({"api_key": API_KEY, "api_secret": "s"}))
        caps: dict[str, Any] = tomllib.loads(PILOT.read_text())["caps"]
        self.table: dict[str, Any] = {
            "state_dir": str(directory / "state"),
            "venue": {"environment": "binance-spot-live", "symbols": ["BTCUSDT"]},
            "credentials": {"file": str(keys)},
            "gating": {
                "enabled": True,
                "armed": True,
                "promotion_record": str(directory / "record.json"),
                "promotion_key": str(directory / "signer.pub"),
            },
            "caps": caps,
        }
        self.promotion: dict[str, Any] = {
            "decision": "READY_FOR_LIVE_PILOT",
            "policy": msgspec.to_builtins(Policy()),
        }
        self.life = timedelta(hours=1)
        self.signer = self.policy_signer = SIGNER

    def config(self) -> Config:
        """Write it all, and read it as the daemon does."""
        self.path.write_text(toml_text(self.table))
        (self.directory / "signer.pub").write_bytes(public_pem(SIGNER.public_key()))
        config = load_config(self.path)
        predicate = {
            "binding": {
                "config_hash": config.config_hash,
                "caps_hash": config.capset.hash,
                "account": account_fingerprint(API_KEY),
            },
            "expires_at": format_time(NOW + self.life),
            **self._policy_signature(),
            **self.promotion,
        }
        sealed = seal(statement([], PREDICATE_TYPE, predicate), self.signer)
        (self.directory / "record.json").write_bytes(sealed)
        return config

    def _policy_signature(self) -> dict[str, Any]:
        terms = self.promotion.get("policy")
        agreed = seal(statement([], POLICY_PREDICATE, terms), self.policy_signer)
        return {"policy_signature": json.loads(agreed)}

    def boot(self) -> str:
        """What the real daemon says when it is started on it; it never starts."""
        self.config()
        done = run("daemon", ["--config", self.path])
        assert done.returncode == 2, done.stderr
        assert not (self.directory / "state").exists(), "nothing was begun"
        return done.stderr

    def gate(self) -> LiveGate:
        config = self.config()
        binding = binding_of(config, api_key=API_KEY)
        return LiveGate(config, mode=mode_of(config.settings.venue.environment), binding=binding)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def another_hash(box: Box) -> None:
    box.promotion |= {"binding": {"config_hash": "x", "caps_hash": "y", "account": "z"}}  # type: ignore[dict-item]


ABSENCES: dict[str, tuple[Callable[[Box], object], str]] = {
    "enabled": (lambda box: box.table["gating"].update(enabled=False), "not_enabled"),
    "armed": (lambda box: box.table["gating"].update(armed=False), "not_armed"),
    "promotion": (lambda box: box.table["gating"].pop("promotion_record"), "promotion_missing"),
    "its key": (lambda box: box.table["gating"].pop("promotion_key"), "promotion_missing"),
    "its signature": (
        lambda box: setattr(box, "signer", Ed25519PrivateKey.generate()),
        "promotion_unsigned",
    ),
    "its verdict": (lambda box: box.promotion.update(decision="NO_GO"), "promotion_unsigned"),
    "its policy": (lambda box: box.promotion.pop("policy"), "promotion_unsigned"),
    "one session is enough": (
        lambda box: box.promotion["policy"].update(sessions_min=1),
        "promotion_unsigned",
    ),
    "no drill is asked for": (
        lambda box: box.promotion["policy"].update(drills_required=[]),
        "promotion_unsigned",
    ),
    "any anomaly is tolerated": (
        lambda box: box.promotion["policy"].update(anomalies_per_session_max={"timeout": 10**9}),
        "promotion_unsigned",
    ),
    "its policy's signer": (
        lambda box: setattr(box, "policy_signer", Ed25519PrivateKey.generate()),
        "promotion_unsigned",
    ),
    "its time": (lambda box: setattr(box, "life", timedelta(seconds=-1)), "promotion_expired"),
    "its binding": (another_hash, "promotion_mismatch"),
    "caps": (lambda box: box.table["caps"].update(orders_open_max=5), "caps_above_pilot"),
}


@pytest.mark.parametrize("absent", list(ABSENCES))
def test_each_single_absence_refuses_the_boot_and_is_named(box: Box, absent: str) -> None:
    remove, refusal = ABSENCES[absent]
    remove(box)
    told = box.boot()
    assert f"live stays blocked: {refusal} (needs " in told
    others = {code for _, code in ABSENCES.values()} - {refusal}
    if absent != "enabled":  # without the first key the second cannot be turned
        assert not [code for code in others if code in told], told


@pytest.mark.parametrize(
    "command", [("doctor",), ("preflight",), ("keys", "check"), ("kill", "--direct")]
)
def test_no_command_of_the_tool_goes_to_a_live_host(box: Box, command: tuple[str, ...]) -> None:
    box.config()
    (box.directory / "state").mkdir()
    (box.directory / "state" / "identity.json").write_text(
        '{"instance": "abc123", "run_number": 1}'
    )
    done = run("tool", [*command, "--config", box.path])
    told = done.stdout + done.stderr
    assert "Traceback" not in told
    if command != ("keys", "check"):
        assert done.returncode != 0
        assert "binance-spot-live" in told or "live stays blocked" in told


def test_with_every_key_turned_this_build_has_no_live_host(box: Box) -> None:
    told = box.boot()
    assert "every key is turned, but this build has no live host in its table" in told


def test_the_default_names_everything_that_is_missing(box: Box) -> None:
    del box.table["gating"]
    box.table["caps"]["orders_open_max"] = 50
    told = box.boot()
    for code in ("not_enabled", "not_armed", "promotion_missing", "caps_above_pilot"):
        assert code in told


def test_the_fifth_key_is_asked_for_at_every_start(box: Box) -> None:
    gate = box.gate()
    gate.check_boot(NOW_NS)
    assert gate.start_refusal("", NOW_NS).startswith("token_missing (needs a confirm token")
    assert gate.start_refusal("digest-of-a-redeemed-token", NOW_NS) == ""
    later_ns = NOW_NS + 2 * 3_600 * 10**9 + TOKEN_LIFE_NS
    assert "promotion_expired" in gate.start_refusal("digest-of-a-redeemed-token", later_ns)
    status = gate.status()
    assert status["gating"]["needed"] is True
    assert (status["gating"]["enabled"], status["gating"]["armed"]) == (True, True)


def test_a_token_does_not_stand_for_another_key(box: Box) -> None:
    box.table["gating"]["armed"] = False
    assert "not_armed" in box.gate().start_refusal("digest", NOW_NS)


def test_an_environment_that_nobody_knows_counts_as_live(box: Box) -> None:
    assert mode_of("binance-spot-pilot-of-tomorrow") is Mode.LIVE
    config = box.config()
    with pytest.raises(LiveBlocked, match="no live host"):
        check_live(config, binding_of(config, api_key=API_KEY), NOW_NS)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_only_caps_that_are_nowhere_looser_are_within_the_pilots(box: Box, symbol: str) -> None:
    assert within_pilot(box.config().capset)
    row = dict(box.table["caps"]["symbols"]["BTCUSDT"])
    box.table["caps"]["symbols"][symbol] = {**row, "orders_open_max": row["orders_open_max"] + 1}
    assert not within_pilot(box.config().capset), "looser, or a symbol that the pilot has not"
    box.table["caps"]["symbols"] = {"BTCUSDT": {**row, "orders_open_max": 1}}
    box.table["caps"]["orders_per_hour_max"] = 10
    assert within_pilot(box.config().capset), "stricter is within"


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"payload": "!", "signatures": []}'])
def test_a_record_that_cannot_be_read_is_none(box: Box, damage: bytes) -> None:
    gating = box.config().settings.gating
    assert read_promotion(gating) is not None
    (box.directory / "record.json").write_bytes(damage)
    assert read_promotion(gating) is None
    assert read_promotion(GatingSettings()) is None


@pytest.mark.parametrize("terms", [{}, {"sessions_min": 9}])
def test_a_record_whose_policy_is_not_the_one_that_was_agreed_on_is_unsigned(
    box: Box, terms: dict[str, int]
) -> None:
    """The policy's signature is absent, or was made over other terms by the right key."""
    gating = box.config().settings.gating
    sound = read_promotion(gating)
    assert sound is not None
    assert sound.signature_valid
    agreed = json.loads(sign_policy(Policy(**terms), "p", SIGNER)) if terms else {}
    box.promotion["policy_signature"] = agreed
    box.config()
    found = read_promotion(gating)
    assert found is not None
    assert not found.signature_valid


def test_a_running_daemon_says_how_the_keys_stand_and_what_a_token_would_be_bound_to(
    tmp_path: Path,
) -> None:
    with StopStage(tmp_path, symbols=("BTCUSDT",), orders_per_symbol=0) as stage:
        stage.start_daemon()
        status = stage.status()
        assert status["gating"]["enabled"] is status["gating"]["armed"] is False
        assert status["gating"]["needed"] is False
        assert "irrelevant here, live stays blocked" in status["gating"]["note"]
        config = load_config(stage.config)
        assert status["binding"]["config_hash"] == config.config_hash
        assert status["binding"]["caps_hash"] == config.capset.hash
        assert status["binding"]["host"] == stage.sim.rest
        assert status["binding"]["account"] == account_fingerprint(stage.sim.api_key)
        assert len(status["binding"]["digest"]) == 64
        started = stage.call("start", reason="to see")
        assert started["gating"] == "sim: no real money; a confirm token is irrelevant here"
        stage.call("stop", reason="seen")
        done = run("tool", ["--socket", stage.socket, "status"])
        assert done.returncode == 0, done.stderr
        shown = done.stdout
    flat = " ".join(shown.split())
    assert "gating" not in flat  # on sim its keys change nothing
    assert "dead man's switch: none at this venue" in flat
