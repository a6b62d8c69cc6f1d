"""Reads what a witness has countersigned, and believes only its signatures.

Rules of this file:
1. Every line, and the last one that counts them, is signed by the key that the verifier holds; a
   line of another form, key or order makes the whole export unusable, never shorter.
2. Requests are signed by the box itself: a witness cannot make up what a box has shown it.
"""

import base64
import binascii
import hashlib

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from daemon.model.witness_words import countersigned_bytes, export_bytes, request_bytes
from evidence.read.signing import is_signed_by, key_hex


class WitnessExportError(Exception):
    """An export that proves nothing; the text says where and why."""


class WitnessLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One countersigned head. Keys are public keys in hex, signatures base64, `ts_ns` UTC."""

    box: str
    seq: int
    head: str
    ts_ns: int
    asked: str
    """The box's signature over the request."""
    witness: str
    signature: str


class ExportEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last line of an export: so many lines, with this digest, at this time."""

    witness: str
    box: str
    lines: int
    sha256: str
    ts_ns: int
    nonce: str
    signature: str


class WitnessExport(msgspec.Struct, frozen=True):
    """A checked export."""

    witness: str
    box: str
    lines: list[WitnessLine] = []
    ts_ns: int = 0
    """When it was made, by the witness's clock."""


def read_witness_export(
    raw: bytes, key: Ed25519PublicKey, *, name: str, nonce: str | None = None
) -> WitnessExport:
    """Check an export and return its heads.

    Args:
        raw: the export's bytes.
        key: the witness's public key, had from the witness itself and not from the box.
        name: how errors call it.
        nonce: what the witness was asked to sign with it; None: whatever it says.

    Raises:
        WitnessExportError: not signed by this key, changed, cut, or of another form.
    """
    rows = raw.splitlines(keepends=True)
    if not rows:
        raise WitnessExportError(f"{name}: empty; `seatrial witness export` writes one")
    try:
        end = msgspec.json.decode(rows[-1], type=ExportEnd)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WitnessExportError(
            f"{name}: its last line is not a witness's count: cut short, or no export"
        ) from error
    witness = key_hex(key)
    if end.witness != witness:
        raise WitnessExportError(
            f"{name}: made by witness {end.witness[:16]}…, the key given is {witness[:16]}…"
        )
    body = b"".join(rows[:-1])
    signed = export_bytes(
        witness, end.box, lines=end.lines, digest=end.sha256, ts_ns=end.ts_ns, nonce=end.nonce
    )
    if not is_signed_by(key, _decoded(end.signature), signed):
        raise WitnessExportError(f"{name}: its last line is not signed by the witness's key")
    if hashlib.sha256(body).hexdigest() != end.sha256 or len(rows) - 1 != end.lines:
        raise WitnessExportError(f"{name}: its lines are not those that the witness has counted")
    if nonce is not None and end.nonce != nonce:
        raise WitnessExportError(f"{name}: an older answer: it does not carry our nonce")
    return WitnessExport(witness, end.box, _lines(rows[:-1], end.box, key, name), end.ts_ns)


def line_problem(line: WitnessLine, key: Ed25519PublicKey) -> str:
    """Why a line is not one that this witness signed for a box that asked; empty if it is."""
    text = countersigned_bytes(key_hex(key), line.box, line.seq, line.head, line.ts_ns)
    if line.witness != key_hex(key) or not is_signed_by(key, _decoded(line.signature), text):
        return "not countersigned by the witness's key"
    box_key = public_key_from_hex(line.box)
    asked = request_bytes(line.box, line.seq, line.head)
    if box_key is None or not is_signed_by(box_key, _decoded(line.asked), asked):
        return "not asked for by the box's key"
    return ""


def public_key_from_hex(text: str) -> Ed25519PublicKey | None:
    """The key that a party is named by; None when the name is none."""
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    except ValueError:
        return None


def _lines(rows: list[bytes], box: str, key: Ed25519PublicKey, name: str) -> list[WitnessLine]:
    found: list[WitnessLine] = []
    for number, row in enumerate(rows, 1):
        try:
            line = msgspec.json.decode(row, type=WitnessLine)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise WitnessExportError(f"{name}:{number}: not a line of a witness") from error
        problem = line_problem(line, key)
        if line.box != box:
            problem = "of another box"
        elif not problem and found and line.seq <= found[-1].seq:
            problem = "not above the line before"
        if problem:
            raise WitnessExportError(f"{name}:{number}: seq {line.seq}: {problem}")
        found.append(line)
    return found


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""
