"""What a campaign must show before promotion: a frozen value, with strict defaults.

A TOML file may loosen or tighten it under `[promotion]`, down to a floor that stands in the code
(`PROMOTION_FLOOR`): below it nothing but a rehearsal is decided. Unknown keys are refused. A policy
file is signed by those who agreed on it (`FILE.dsse.json` beside it, a DSSE envelope), and the
signed terms are a part of every record: the live gate reads them there.
"""

import hashlib
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from daemon.model.records import POLICY_PREDICATE, below_floor
from evidence.read.dsse import EnvelopeError, Subject, open_envelope, seal, statement
from evidence.read.toml_text import TomlError, read_toml

SIGNED_SUFFIX = ".dsse.json"


class PolicyError(Exception):
    """A policy file that cannot be used; the text names the file and the fault."""


def _drills() -> list[str]:
    return ["kill-switch", "cap-rejection", "disconnect", "rate-limit", "reconcile", "gating"]


def _regions() -> dict[str, int]:
    return {"exposure_gross_numeraire_max": 50, "order_notional_quote_max": 50}


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The agreed terms. Ages in hours, durations in minutes, shares in percent."""

    sessions_min: int = 5
    """Qualifying sessions in a row, all bound to the same code, config, caps and account."""
    session_minutes_min: int = 60
    session_orders_min: int = 20
    session_fills_min: int = 5
    campaign_orders_min: int = 300
    campaign_minutes_min: int = 1440
    crashes_max: int = 0
    cap_regions_percent_min: dict[str, int] = msgspec.field(default_factory=_regions)
    """Cap name -> the use that it must have reached: a control that was never near is not shown."""
    drills_required: list[str] = msgspec.field(default_factory=_drills)
    drill_age_hours_max: int = 168
    anomalies_per_session_max: dict[str, int] = msgspec.field(default_factory=dict)
    """Kind -> unexplained ones tolerated in one session; a kind that is not named has 0."""
    gate_age_hours_max: int = 36
    record_valid_hours: int = 72
    outside_anchors_min: int = 1
    """Witnesses, time stamps, the venue's own history: so many must confirm each journal up to its
    last session's end. A file that somebody handed over is none."""
    unanchored_minutes_max: int = 60
    """The longest that a line may have stood before one of them knew of it."""
    uncovered_minutes_max: int = 60
    """So much at a journal's end may be covered by none of them. Nothing in it counts for the box;
    more of it could hide too much."""
    trials_required: list[str] = msgspec.field(default_factory=list)
    """Courses of `seatrial trial` whose reports must lie green beside the gates."""
    trials_bound: dict[str, dict[str, str | int]] = msgspec.field(default_factory=dict)
    """Course -> what its report must state: `bot_version`, `course_hash`, `seed`, `seatrial`."""

    def digest(self) -> str:
        """SHA-256 (hex) of the policy's canonical form."""
        text = msgspec.json.encode(self, order="deterministic")
        # A policy that asks for no trial has the digest that it had before trials could be asked.
        for unset in (b',"trials_required":[]', b',"trials_bound":{}'):
            text = text.replace(unset, b"")
        return hashlib.sha256(text).hexdigest()


def load_policy(path: Path | None) -> Policy:
    """Read a policy; the strict defaults where no file is given.

    Raises:
        PolicyError: missing, not TOML, an unknown key, a value of the wrong kind or below zero.
    """
    if path is None:
        return Policy()
    try:
        tables = read_toml(path)
        policy = msgspec.convert(tables.get("promotion", {}), Policy)
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror}") from error
    except (TomlError, msgspec.ValidationError) as error:
        raise PolicyError(f"{path}: {error}; see the keys of [promotion] in the manual") from error
    if unknown := set(tables) - {"promotion"}:
        raise PolicyError(f"{path}: unknown table {sorted(unknown)}; only [promotion] is read")
    for name, value in msgspec.to_builtins(policy).items():
        numbers = value.values() if isinstance(value, dict) else [value]
        if any(isinstance(number, int) and number < 0 for number in numbers):
            raise PolicyError(f"{path}: {name} is below zero")
    for course in policy.trials_required:
        if not policy.trials_bound.get(course, {}).get("bot_version"):
            raise PolicyError(
                f"{path}: write [promotion.trials_bound.{course}] with the bot_version of the bot "
                "that is promoted, as its report tells it"
            )
    if policy.sessions_min < 1:
        raise PolicyError(f"{path}: sessions_min must be at least 1")
    return policy


def sign_policy(policy: Policy, name: str, key: Ed25519PrivateKey) -> bytes:
    """Sign the terms of a policy; returns the envelope's bytes.

    Raises:
        PolicyError: it is below the floor, which nobody can agree on.
    """
    terms = msgspec.to_builtins(policy)
    if below := below_floor(terms):
        raise PolicyError(f"{name}: below the floor, never signed: {'; '.join(below)}")
    return seal(statement([Subject(name, policy.digest())], POLICY_PREDICATE, terms), key)


def read_signature(path: Path, policy: Policy, key: Ed25519PublicKey) -> bytes:
    """The envelope beside a policy file, checked.

    Raises:
        PolicyError: absent, not signed by this key, or of other terms.
    """
    signed = path.with_name(path.name + SIGNED_SUFFIX)
    mend = f"sign it: seatrial evidence sign-policy {path} --key KEY"
    try:
        raw = signed.read_bytes()
        terms = open_envelope(raw, key, POLICY_PREDICATE)["predicate"]
    except FileNotFoundError:
        raise PolicyError(f"{path}: not signed, {signed.name} is absent; {mend}") from None
    except OSError as error:
        raise PolicyError(f"{signed}: {error.strerror}") from error
    except EnvelopeError as error:
        raise PolicyError(f"{signed}: {error}; {mend}") from error
    if terms != msgspec.to_builtins(policy):
        raise PolicyError(f"{path}: not the terms that {signed.name} was signed over; {mend}")
    return raw
