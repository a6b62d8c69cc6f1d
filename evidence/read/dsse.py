"""Signed statements: an in-toto Statement inside a DSSE envelope, as standard tools read them.

Rules of this file:
1. What is signed is the pre-authentication encoding: type and body, each with its length.
2. One canonical form: a statement that means the same in other bytes is refused, so that no byte of
   an envelope can change unseen.
3. It is our own, because rule 2 and the reasons of a refusal are most of it: securesystemslib (by
   in-toto) would replace the encoding alone. The tests hold both against each other, byte for byte.
"""

import base64
import binascii
import json

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from evidence.read.signing import is_signed_by, key_id

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"


class EnvelopeError(Exception):
    """The envelope cannot be trusted; the text says why."""


class Subject(msgspec.Struct, frozen=True):
    """A file that a statement speaks of."""

    name: str
    sha256: str


def canonical_json(value: object) -> bytes:
    """The canonical bytes of a JSON value: sorted keys, no blanks, UTF-8."""
    text = json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return text.encode("utf-8")


def statement(subjects: list[Subject], predicate_type: str, predicate: object) -> bytes:
    """An in-toto Statement over files."""
    return canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": subject.name, "digest": {"sha256": subject.sha256}} for subject in subjects
            ],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )


def pre_authentication_encoding(payload_type: str, body: bytes) -> bytes:
    """The bytes that DSSE signs."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


def seal(body: bytes, key: Ed25519PrivateKey) -> bytes:
    """Sign a statement; returns the envelope file's bytes."""
    signature = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, body))
    return _envelope_bytes(body, key_id(key.public_key()), signature)


def open_envelope(raw: bytes, key: Ed25519PublicKey, predicate_type: str) -> dict[str, object]:
    """Check an envelope against a key and return its statement.

    Raises:
        EnvelopeError: it is not an envelope, not signed by this key, of another kind, or not in
            canonical form.
    """
    body, named_key, signature = _parts(raw)
    if named_key != key_id(key):
        raise EnvelopeError(
            f"signed by key {named_key[:16]}…, the key given is {key_id(key)[:16]}…"
        )
    if not is_signed_by(key, signature, pre_authentication_encoding(PAYLOAD_TYPE, body)):
        raise EnvelopeError("the signature does not fit the statement")
    if _envelope_bytes(body, named_key, signature) != raw:
        raise EnvelopeError("the envelope is not in its canonical form: its bytes were changed")
    value = json.loads(body)
    if not isinstance(value, dict) or value.get("_type") != STATEMENT_TYPE:
        raise EnvelopeError("the envelope holds no in-toto statement")
    if value.get("predicateType") != predicate_type:
        raise EnvelopeError(f"a statement of another kind: {value.get('predicateType')}")
    return value


def _envelope_bytes(body: bytes, named_key: str, signature: bytes) -> bytes:
    return canonical_json(
        {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(body).decode("ascii"),
            "signatures": [
                {"keyid": named_key, "sig": base64.b64encode(signature).decode("ascii")}
            ],
        }
    )


def _parts(raw: bytes) -> tuple[bytes, str, bytes]:
    try:
        value = json.loads(raw)
        first = value["signatures"][0]
        if value["payloadType"] != PAYLOAD_TYPE or len(value["signatures"]) != 1:
            raise EnvelopeError("an envelope of another kind")
        body = base64.b64decode(value["payload"], validate=True)
        return body, str(first["keyid"]), base64.b64decode(first["sig"], validate=True)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError, binascii.Error) as error:
        raise EnvelopeError("not a signed envelope: its bytes were changed") from error
