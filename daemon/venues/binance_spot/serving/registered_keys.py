"""API keys of the venue and the check of their signatures, always on the bytes as received."""

import hmac
from base64 import b64decode
from binascii import Error as Base64Error
from functools import cached_property
from urllib.parse import unquote

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key


class PublicKeyFileError(ValueError):
    """A file that holds no Ed25519 public key."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One key; exactly one of `secret` (HMAC-SHA256) and `public_key` (Ed25519) is set."""

    api_key: str
    account: str
    secret: str = ""
    public_key: Ed25519PublicKey | None = None
    can_trade: bool = True
    """False: the key may read, but every order call is refused."""

    @property
    def is_ed25519(self) -> bool:
        """Only these may log a session on."""
        return self.public_key is not None

    @cached_property
    def _keyed(self) -> hmac.HMAC:
        """Made once: OpenSSL looks its algorithms up for it.

        Some milliseconds after the last request that costs ten times the hashing.
        """
        return hmac.new(self.secret.encode(), digestmod="sha256")

    def accepts(self, payload: bytes, signature: str) -> bool:
        """Whether `signature` (hex or base64) signs exactly `payload`."""
        if self.public_key is None:
            mac = self._keyed.copy()
            mac.update(payload)
            return hmac.compare_digest(mac.hexdigest().encode(), signature.lower().encode())
        try:
            self.public_key.verify(b64decode(signature, validate=True), payload)
        except (InvalidSignature, Base64Error, ValueError):
            return False
        return True


def ed25519_key(pem: bytes, *, api_key: str, account: str) -> ApiKey:
    """A key from a PEM public key.

    Raises:
        PublicKeyFileError: when the text is no Ed25519 public key.
    """
    try:
        public_key = load_pem_public_key(pem)
    except ValueError as error:
        raise PublicKeyFileError("not a PEM public key") from error
    if not isinstance(public_key, Ed25519PublicKey):
        raise PublicKeyFileError("a PEM public key, but not an Ed25519 one")
    return ApiKey(api_key=api_key, account=account, public_key=public_key)


def raw_signature(*texts: bytes) -> str:
    """The `signature` of a REST request: query first, then body, percent-decoded."""
    for text in texts:
        for pair in text.split(b"&"):
            if pair.startswith(b"signature="):
                return unquote(pair[10:].decode("ascii", "replace"))
    return ""
