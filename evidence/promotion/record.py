"""Promotion records: a READY decision, signed, that expires.

Rules of this file:
1. Only READY_FOR_LIVE_PILOT is ever signed; a rehearsal has no record.
2. A record names what it is for (binding), what it rests on (the SHA-256 of every journal segment)
   and until when. Out of its time or for another binding it says no.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from daemon.model.records import below_floor
from evidence.promotion.policy import Policy
from evidence.promotion.promotion_decision import Judgement, ReasonLevel
from evidence.read.artifact_times import format_time, parse_time
from evidence.read.dsse import EnvelopeError, Subject, open_envelope, seal, statement

RECORD_NAME = "promotion_record.dsse.json"
PREDICATE_TYPE = "urn:seatrial:promotion:1"


class RecordError(Exception):
    """A record that does not promote; the text says why."""


def make_record(
    judgement: Judgement,
    policy: Policy,
    segments: Sequence[Path],
    now: datetime,
    key: Ed25519PrivateKey,
) -> bytes:
    """Sign a READY decision.

    Raises:
        RecordError: the decision is not READY_FOR_LIVE_PILOT, or is a rehearsal.
        OSError: a segment cannot be read.
    """
    if judgement.is_rehearsal or judgement.level is not ReasonLevel.READY_FOR_LIVE_PILOT:
        raise RecordError(f"{judgement.decision} is never signed")
    terms = msgspec.to_builtins(policy)
    if below := below_floor(terms):
        raise RecordError(f"a policy below the floor is never signed for: {'; '.join(below)}")
    subjects = [Subject(_name(path), _sha256(path)) for path in segments]
    predicate = {
        "decision": judgement.decision,
        "binding": judgement.binding,
        "sessions": [session.session_id for session in judgement.qualifying],
        "statistics": judgement.statistics,
        "policy": terms,
        "policy_sha256": policy.digest(),
        "issued_at": format_time(now),
        "expires_at": format_time(now + timedelta(hours=policy.record_valid_hours)),
    }
    body = statement(sorted(subjects, key=lambda one: one.name), PREDICATE_TYPE, predicate)
    return seal(body, key)


def check_record(
    raw: bytes, key: Ed25519PublicKey, now: datetime, binding: Mapping[str, str]
) -> dict[str, object]:
    """Check that a record promotes this very binding now; returns its predicate.

    Raises:
        RecordError: forged, changed, expired, not yet valid, or for another binding.
    """
    try:
        predicate = open_envelope(raw, key, PREDICATE_TYPE).get("predicate")
    except EnvelopeError as error:
        raise RecordError(str(error)) from error
    if not isinstance(predicate, dict):
        raise RecordError("the record holds no decision")
    if predicate.get("decision") != ReasonLevel.READY_FOR_LIVE_PILOT.name:
        raise RecordError(f"the record's decision is {predicate.get('decision')}")
    issued, expires = (parse_time(predicate.get(name)) for name in ("issued_at", "expires_at"))
    if issued is None or expires is None or not issued <= now < expires:
        raise RecordError(
            f"valid from {predicate.get('issued_at')} until {predicate.get('expires_at')}, now is "
            f"{format_time(now)}"
        )
    terms = predicate.get("policy")
    if below := below_floor(terms if isinstance(terms, dict) else {}):
        raise RecordError(f"its policy is below the floor: {'; '.join(below)}; decide anew")
    bound = predicate.get("binding")
    for name in sorted({*binding, *(bound if isinstance(bound, dict) else {})}):
        theirs = bound.get(name) if isinstance(bound, dict) else None
        if theirs is None or theirs != binding.get(name):
            raise RecordError(f"for another {name}: {theirs}, here it is {binding.get(name)}")
    return predicate


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
