"""The gating of this daemon: what stands between a configuration and a host where money is real.

Rules of this file:
1. On sim and testnet nothing of it is asked for, and the status says so.
2. A live environment is refused at boot with every key that is missing: enabled, armed, a signed
   promotion for this very configuration, caps within the pilot's. The confirm token is the fifth:
   it is spent by the `start` that it was issued for.
3. With every key turned the frozen table of hosts still refuses: this build knows no live host.
4. A promotion is checked here with code of its own: nothing of the daemon imports the evidence.
"""

import base64
import json
import tomllib
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from control.gating import Binding, Gating, GatingEvent, GatingRefusal, Promotion
from daemon.errors import LiveBlocked
from daemon.model.enums import Mode
from daemon.model.inputs import Command
from daemon.model.records import POLICY_PREDICATE, below_floor
from daemon.settings import Config, GatingSettings
from daemon.shell.checks.preflight_pass import StartPermit, start_permit
from riskcaps.words.capset import CapConfigError, CapSet, capset_from_mapping

PILOT_PRESET = "live-pilot"
RECORD_BYTES_MAX = 1 << 20
PREDICATE_TYPE = "urn:seatrial:promotion:1"
READY = "READY_FOR_LIVE_PILOT"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_NS_PER_S = 1_000_000_000
_MENDS = {
    GatingRefusal.NOT_ENABLED: "[gating] enabled = true",
    GatingRefusal.NOT_ARMED: "[gating] armed = true",
    GatingRefusal.PROMOTION_MISSING: "[gating] promotion_record and promotion_key, from a READY "
    "`seatrial promote --key`",
    GatingRefusal.PROMOTION_UNSIGNED: "a promotion record signed by promotion_key, whose policy is "
    "signed by promotion_policy_key and not below the floor",
    GatingRefusal.PROMOTION_EXPIRED: "a promotion record that has not expired",
    GatingRefusal.PROMOTION_MISMATCH: "a promotion of this very config, caps and account",
    GatingRefusal.CAPS_ABOVE_PILOT: "caps within deploy/caps/live-pilot.toml",
    GatingRefusal.TOKEN_MISSING: "a confirm token: seatrial gating token, seatrial start --token",
}


class LiveGate:
    """The gating machine of one daemon, turned as far as its configuration says."""

    def __init__(self, config: Config, *, mode: Mode, binding: Mapping[str, Any]) -> None:
        """Read what the configuration turns; nothing is refused here."""
        wanted = config.settings.gating
        self._gating = Gating(
            mode=mode,
            binding=Binding(**{name: str(binding[name]) for name in _BOUND}),
            caps_within_pilot=within_pilot(config.capset) if mode is Mode.LIVE else False,
            dry_run=False,
            promotion=read_promotion(wanted) if mode is Mode.LIVE else None,
        )
        if wanted.enabled:
            self._gating.turn(GatingEvent.ENABLE)
        if wanted.armed:
            self._gating.turn(GatingEvent.ARM)
        self._wanted = wanted

    def check_boot(self, now_ns: int) -> None:
        """A live environment needs every key that can be turned before a start.

        Raises:
            LiveBlocked: naming each missing key and its mend.
        """
        found = [
            refusal
            for refusal in self._gating.decide(now_ns).refusals
            if self._gating.mode is Mode.LIVE and refusal is not GatingRefusal.TOKEN_MISSING
        ]
        if found:
            missing = "; ".join(f"{refusal.value} (needs {_MENDS[refusal]})" for refusal in found)
            raise LiveBlocked(f"live stays blocked: {missing}")

    def start_refusal(self, confirm_digest: str, now_ns: int) -> str:
        """Why no session may start now, or nothing.

        `confirm_digest` is that of the token which the control plane has redeemed for this start.
        """
        if self._gating.mode is not Mode.LIVE:
            return ""
        found = list(self._gating.decide(now_ns).refusals)
        if confirm_digest and GatingRefusal.TOKEN_MISSING in found:
            found.remove(GatingRefusal.TOKEN_MISSING)
        return "; ".join(f"{refusal.value} (needs {_MENDS[refusal]})" for refusal in found)

    def status(self) -> Mapping[str, Any]:
        """Its part of the status: how far the keys are turned, and what a token is bound to."""
        bound = self._gating.binding
        needed = self._gating.mode is Mode.LIVE
        note = (
            "live: every start needs a confirm token"
            if needed
            else f"{self._gating.mode.value}: no real money; gating and confirm tokens are "
            "irrelevant here, live stays blocked"
        )
        return {
            "gating": {
                "enabled": self._wanted.enabled,
                "armed": self._wanted.armed and self._wanted.enabled,
                "state": self._gating.state.value,
                "needed": needed,
                "note": note,
            },
            "binding": {
                **{name: getattr(bound, name) for name in _BOUND},
                "digest": bound.digest,
            },
        }


def mode_of(environment: str) -> Mode:
    """What kind of money an environment's orders move; what is not known counts as live."""
    return {"sim": Mode.SIM, "binance-spot-testnet": Mode.TESTNET}.get(environment, Mode.LIVE)


def check_live(config: Config, binding: Mapping[str, Any], now_ns: int) -> None:
    """Refuse a live environment: for each key that is missing, and then for want of a host.

    Raises:
        LiveBlocked: always on a live environment.
    """
    mode = mode_of(config.settings.venue.environment)
    if mode is not Mode.LIVE:
        return
    LiveGate(config, mode=mode, binding=binding).check_boot(now_ns)
    raise LiveBlocked(
        "live stays blocked: every key is turned, but this build has no live host in its table "
        '(daemon/venues/hosts.py); use environment = "binance-spot-testnet"'
    )


def start_rule(config: Config, gate: LiveGate) -> Callable[[Command, int], StartPermit]:
    """Who allows a session: the gating of a live host, and the pass of the preflight."""
    settings = config.settings

    def may_start(command: Command, now_ns: int) -> StartPermit:
        digest = str(command.params.get("confirm_digest", ""))
        if refusal := gate.start_refusal(digest, now_ns):
            return StartPermit(allowed=False, msg=refusal, code="live_blocked")
        return start_permit(
            settings.state_dir,
            environment=settings.venue.environment,
            config_hash=config.config_hash,
            now_ns=now_ns,
        )

    return may_start


_BOUND = ("config_hash", "caps_hash", "account", "host")


def within_pilot(capset: CapSet) -> bool:
    """Whether no cap is looser than the pilot preset's; a preset that is not there allows none."""
    try:
        from control.tool.init_wizard import presets  # noqa: PLC0415 - no testnet asks for it

        text = presets()[PILOT_PRESET].read_text(encoding="utf-8")
        pilot = capset_from_mapping(tomllib.loads(text)["caps"])
        pilot.tighten(_differences(pilot.to_plain(), capset.to_plain()))
    except (OSError, KeyError, UnicodeDecodeError, tomllib.TOMLDecodeError, CapConfigError):
        return False
    return True


def _differences(pilot: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Our caps that are not the pilot's, by dotted name, as `tighten` takes them."""
    found = {key: value for key, value in ours.items() if value != pilot.get(key)}
    symbols = found.pop("symbols", {})
    for symbol, row in symbols.items():
        theirs = pilot["symbols"].get(symbol, {})
        for key, value in row.items():
            if value != theirs.get(key):
                found[f"symbols.{symbol}.{key}"] = value
    return found


def read_promotion(wanted: GatingSettings) -> Promotion | None:
    """The signed record that the configuration names; None when there is none to read."""
    if wanted.promotion_record is None or wanted.promotion_key is None:
        return None
    try:
        pem = _read(wanted.promotion_key)
        body, signature = _opened(json.loads(_read(wanted.promotion_record)))
        statement = json.loads(body)
        predicate = statement["predicate"]
        bound = predicate["binding"]
        expires = datetime.fromisoformat(predicate["expires_at"])
        ready = statement["predicateType"] == PREDICATE_TYPE and predicate["decision"] == READY
        policy_key = wanted.promotion_policy_key
        on_terms = _is_on_agreed_terms(predicate, _read(policy_key) if policy_key else pem)
        return Promotion(
            config_hash=str(bound["config_hash"]),
            caps_hash=str(bound["caps_hash"]),
            account=str(bound["account"]),
            expires_ns=int(expires.timestamp()) * _NS_PER_S,
            signature_valid=_is_signed(pem, signature, body) and ready and on_terms,
        )
    except (OSError, LookupError, TypeError, ValueError):
        return None


def _is_on_agreed_terms(predicate: Mapping[str, Any], pem: bytes) -> bool:
    """Whether the record's policy is not below the floor, and signed by those who agree on it."""
    try:
        terms = predicate["policy"]
        body, signature = _opened(predicate["policy_signature"])
        agreed = json.loads(body)
        is_agreed = agreed["predicateType"] == POLICY_PREDICATE and agreed["predicate"] == terms
        return is_agreed and not below_floor(terms) and _is_signed(pem, signature, body)
    except (LookupError, TypeError, ValueError):
        return False


def _opened(envelope: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """The statement and the signature in a DSSE envelope."""
    body = base64.b64decode(envelope["payload"], validate=True)
    return body, base64.b64decode(envelope["signatures"][0]["sig"], validate=True)


def _is_signed(pem: bytes, signature: bytes, body: bytes) -> bool:
    """Whether the key has signed the body.

    Raises:
        ValueError: `pem` is no public key.
    """
    # Imported here: only a promotion record needs it, and every start waits for every import.
    from cryptography.exceptions import (  # noqa: PLC0415 - see above
        InvalidSignature,
        UnsupportedAlgorithm,
    )
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - see above
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see above
        load_pem_public_key,
    )

    try:
        key = load_pem_public_key(pem)
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, Ed25519PublicKey):
        return False
    kind = _PAYLOAD_TYPE.encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(RECORD_BYTES_MAX)
