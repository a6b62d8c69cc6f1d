"""The evidence's Ed25519 keys: kept in 0600 files and named by the public key's hash.

Rules of this file:
1. A private key file that others can read is refused: what anyone could sign proves nothing.
2. Keys are PEM (PKCS #8 and SubjectPublicKeyInfo), as every other tool writes and reads them.
"""

import hashlib
import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)


class KeyFileError(Exception):
    """A key file that cannot be used; the text names the file and the mend."""


def make_key_pair(private_path: Path) -> Path:
    """Write a new private key (0600) and, beside it, the public key as `<name>.pub`.

    Returns:
        The public key's path.

    Raises:
        KeyFileError: a file of that name is already there (a key is never overwritten).
        OSError: the place cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    public_path = private_path.with_name(private_path.name + ".pub")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write_new(private_path, pem, 0o600)
    _write_new(public_path, public_pem(key.public_key()), 0o644)
    return public_path


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key.

    Raises:
        KeyFileError: missing, readable by others, or not an Ed25519 key.
    """
    raw = _read(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise KeyFileError(f"{path}: others can read this private key; run `chmod 600 {path}`")
    try:
        key = load_pem_private_key(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path}: not an unencrypted PEM private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: not an Ed25519 key; make one with `seatrial evidence keygen`")
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Read a public key.

    Raises:
        KeyFileError: missing, or not an Ed25519 public key.
    """
    return public_key_of(_read(path), str(path))


def public_key_of(pem: bytes, name: str) -> Ed25519PublicKey:
    """A public key from its text.

    Raises:
        KeyFileError: not an Ed25519 public key.
    """
    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{name}: not a PEM public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{name}: not an Ed25519 public key")
    return key


def public_pem(key: Ed25519PublicKey) -> bytes:
    """The public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def key_id(key: Ed25519PublicKey) -> str:
    """The key's name: SHA-256 (hex) of its DER form."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def key_hex(key: Ed25519PublicKey) -> str:
    """The public key itself, 32 bytes in hex: the name of a box or a witness."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def is_signed_by(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is this key's over `message`."""
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}; name the key file that exists") from error


def _write_new(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise KeyFileError(f"{path}: already there; a key is never overwritten") from error
    with os.fdopen(handle, "wb") as out:
        out.write(content)
