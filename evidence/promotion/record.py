"""Promotion records: a READY decision, signed, that expires.

Rules of this file:
1. Only READY_FOR_LIVE_PILOT is ever signed; a rehearsal has no record.
2. A record names what it is for (binding), what it rests on (the SHA-256 of every journal segment)
   and until when. The daemon's live gate holds all of it against its own binding and clock.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.model.records import below_floor
from evidence.promotion.policy import Policy, sign_policy
from evidence.promotion.promotion_decision import Judgement, ReasonLevel
from evidence.read.artifact_times import format_time
from evidence.read.dsse import Subject, seal, statement

RECORD_NAME = "promotion_record.dsse.json"
PREDICATE_TYPE = "urn:seatrial:promotion:1"


class RecordError(Exception):
    """A decision that may not be signed; the text says why."""


def make_record(
    judgement: Judgement,
    policy: Policy,
    segments: Sequence[Path],
    now: datetime,
    key: Ed25519PrivateKey,
    *,
    policy_signature: bytes = b"",
) -> bytes:
    """Sign a READY decision.

    `policy_signature` is the envelope over the policy; without one (the defaults of the code) `key`
    signs the policy, too.

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
        "policy_signature": json.loads(policy_signature or sign_policy(policy, "defaults", key)),
        "issued_at": format_time(now),
        "expires_at": format_time(now + timedelta(hours=policy.record_valid_hours)),
    }
    body = statement(sorted(subjects, key=lambda one: one.name), PREDICATE_TYPE, predicate)
    return seal(body, key)


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
