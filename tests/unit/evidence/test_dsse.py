"""Our envelopes, judged by securesystemslib's DSSE (in-toto's own), and its envelopes by ours."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from evidence.read.dsse import (
    PAYLOAD_TYPE,
    EnvelopeError,
    Subject,
    canonical_json,
    open_envelope,
    pre_authentication_encoding,
    seal,
    statement,
)
from evidence.read.signing import key_id

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KIND = "urn:seatrial:test:1"
BODY = statement([Subject("journal-000001.jsonl", "0" * 64)], KIND, {"text": "für alle €"})


def their_key() -> SSlibKey:
    public = KEY.public_key().public_bytes_raw().hex()
    return SSlibKey(key_id(KEY.public_key()), "ed25519", "ed25519", {"public": public})


def test_they_verify_what_we_seal() -> None:
    envelope = Envelope.from_dict(json.loads(seal(BODY, KEY)))
    assert (envelope.payload, envelope.payload_type) == (BODY, PAYLOAD_TYPE)
    assert set(envelope.verify([their_key()], 1)) == {key_id(KEY.public_key())}
    envelope.payload += b" "
    with pytest.raises(VerificationError):
        envelope.verify([their_key()], 1)


def test_what_they_seal_has_our_bytes_and_opens() -> None:
    envelope = Envelope(BODY, PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(KEY, their_key()))
    raw = canonical_json(envelope.to_dict())
    assert raw == seal(BODY, KEY)
    assert open_envelope(raw, KEY.public_key(), KIND)["predicate"] == {"text": "für alle €"}
    with pytest.raises(EnvelopeError, match="canonical form"):
        open_envelope(json.dumps(envelope.to_dict()).encode(), KEY.public_key(), KIND)


@given(st.text(), st.binary())
def test_both_sign_the_same_bytes(kind: str, body: bytes) -> None:
    assert pre_authentication_encoding(kind, body) == Envelope(body, kind, {}).pae()
