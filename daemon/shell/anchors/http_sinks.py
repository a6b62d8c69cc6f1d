"""Sinks over HTTP: a webhook, a witness, a time stamp authority (RFC 3161).

Rules of this file:
1. An answer counts when it proves itself: the witness's by its key, a time stamp by its
   certificate; of a webhook a 2xx is all that there is.
2. Redirects and proxies are not followed, answers are bounded. The sender sets the deadline.
3. Keys are read when the sink is made, so that a wrong file is told at boot.
"""

import base64
import binascii
import hashlib
import hmac
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from daemon.errors import AnchorUnusable, CredentialsRefused
from daemon.model.witness_words import (
    HEADS_PATH,
    countersigned_bytes,
    refusal_bytes,
    request_bytes,
    stamped_bytes,
)
from daemon.shell.anchors.sink import Head, SinkError, SinkRefusedError
from daemon.shell.keys.credentials import ed25519_of, private_bytes
from daemon.shell.process.web_client import aiohttp, tls_of

ANSWER_BYTES_MAX = 1 << 18
SIGNATURE_HEADER = "X-Seatrial-Signature"
_OK, _CONFLICT = 200, 409
_TOLD_CHARS_MAX = 200


class HttpPost:
    """One address that bodies are POSTed to, over one connection that is kept."""

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        """Nothing is connected before the first `post`."""
        self._url = url
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of the answer.

        Raises:
            SinkError: no answer, or a larger one than there is a use for.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=1, ssl=self._tls or tls_of(urlsplit(self._url).scheme)
                ),
                auto_decompress=False,
            )
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                told = await answer.content.read(ANSWER_BYTES_MAX + 1)
                while len(told) <= ANSWER_BYTES_MAX:
                    more = await answer.content.read(ANSWER_BYTES_MAX + 1)
                    if not more:
                        return answer.status, told
                    told += more
        except aiohttp.ClientError as error:
            raise SinkError(f"{self._url}: {str(error) or type(error).__name__}") from error
        raise SinkError(f"{self._url}: an answer of more than {ANSWER_BYTES_MAX} bytes")

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None


class WebhookSink:
    """POSTs a head as JSON; `X-Seatrial-Signature: sha256=` the HMAC of the body."""

    def __init__(self, url: str, secret_file: Path, tls: ssl.SSLContext | None) -> None:
        """Read the secret.

        Raises:
            AnchorUnusable: it cannot be read, others can, or it is empty.
        """
        self._http = HttpPost(url, tls)
        self._secret = private_file(secret_file).strip()
        if not self._secret:
            raise AnchorUnusable(f"{secret_file}: empty; write the HMAC secret into it")

    async def send(self, head: Head) -> Mapping[str, Any]:
        """POST it; any 2xx is the acknowledgement."""
        body = json.dumps(head.plain()).encode()
        signature = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", SIGNATURE_HEADER: f"sha256={signature}"}
        status, told = await self._http.post(body, headers)
        if status // 100 != _OK // 100:
            raise SinkError(f"answers {status}: {_text(told)}")
        return {}

    async def close(self) -> None:
        """Close the connection."""
        await self._http.close()


class WitnessSink:
    """Has heads countersigned by another box; both sides sign what they say."""

    def __init__(self, url: str, key: Path, witness_key: Path, tls: ssl.SSLContext | None) -> None:
        """Read both keys.

        Raises:
            AnchorUnusable: one cannot be used.
        """
        self._http = HttpPost(url.rstrip("/") + HEADS_PATH, tls)
        self._key, self._box = _private_key(key)
        self._witness_key, self._witness = _public_key(witness_key)

    async def send(self, head: Head) -> Mapping[str, Any]:
        """Have it countersigned; the receipt is the witness's line."""
        signed = self._key.sign(request_bytes(self._box, head.seq, head.head))
        asked = base64.b64encode(signed).decode("ascii")
        body = {"box": self._box, "seq": head.seq, "head": head.head, "signature": asked}
        headers = {"Content-Type": "application/json"}
        status, raw = await self._http.post(json.dumps(body).encode(), headers)
        try:
            told = json.loads(raw)
            if status == _CONFLICT:
                code = str(told["code"])
                refused = (self._witness, self._box, head.seq, head.head, code)
                self._check(told["signature"], refusal_bytes(*refused))
                raise SinkRefusedError(f"the witness refuses, {code}: {told['msg']}")
            if status != _OK:
                raise SinkError(f"the witness answers {status}: {_text(raw)}")
            signed = (self._witness, self._box, head.seq, head.head, int(told["ts_ns"]))
            self._check(told["signature"], countersigned_bytes(*signed))
        except (ValueError, LookupError, TypeError) as error:
            raise SinkError(f"the witness's answer ({status}) is of another form") from error
        return dict(told)

    async def close(self) -> None:
        """Close the connection."""
        await self._http.close()

    def _check(self, signature: str, words: bytes) -> None:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see _public_key

        try:
            self._witness_key.verify(base64.b64decode(signature, validate=True), words)
        except (InvalidSignature, binascii.Error):
            raise SinkError(
                "whoever answers is not the witness whose key is configured: check witness_key"
            ) from None


class TimestampSink:
    """Has heads stamped by a time stamp authority; the receipt is its token."""

    def __init__(self, url: str, ca_file: Path) -> None:
        """Read the authority's root.

        Raises:
            AnchorUnusable: it cannot be read, or `seatrial[timestamp]` is not installed.
        """
        self._http = HttpPost(url)
        try:
            import rfc3161_client  # noqa: PLC0415 - an extra, and this sink alone needs it
            from cryptography import x509  # noqa: PLC0415 - every start waits for every import
        except ImportError as error:
            raise AnchorUnusable(
                "a sink of kind timestamp needs pip install 'seatrial[timestamp]'"
            ) from error
        try:
            self._roots = x509.load_pem_x509_certificates(ca_file.read_bytes())
        except (OSError, ValueError) as error:
            raise AnchorUnusable(f"{ca_file}: no PEM certificate: {error}") from error
        self._client = rfc3161_client

    async def send(self, head: Head) -> Mapping[str, Any]:
        """Have it stamped, and check the stamp."""
        message = stamped_bytes(head.seq, head.head)
        asked = self._client.TimestampRequestBuilder().data(message).build()
        headers = {"Content-Type": "application/timestamp-query"}
        status, raw = await self._http.post(asked.as_bytes(), headers)
        if status != _OK:
            raise SinkError(f"the time stamp authority answers {status}: {_text(raw)}")
        try:
            answer = self._client.decode_timestamp_response(raw)
            made = self._client.VerifierBuilder.from_request(asked)
            for root in self._roots:
                made = made.add_root_certificate(root)
            made.build().verify_message(answer, message)
        except (ValueError, self._client.VerificationError) as error:
            raise SinkError(f"the time stamp does not verify: {error}") from error
        return {"response": base64.b64encode(raw).decode("ascii")}

    async def close(self) -> None:
        """Close the connection."""
        await self._http.close()


def tls_context(
    ca_file: Path | None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext | None:
    """The TLS context of a sink; None: the system's.

    Raises:
        AnchorUnusable: a file cannot be used.
    """
    if ca_file is None and certificate is None:
        return None
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except OSError as error:
        raise AnchorUnusable(
            f"{ca_file or certificate}: cannot be used for TLS: {error}; name PEM files"
        ) from error
    return context


def private_file(path: Path) -> bytes:
    """A file that nobody else may read.

    Raises:
        AnchorUnusable: it cannot be read, or others can.
    """
    try:
        return private_bytes(path, "the file that [anchors] names")
    except CredentialsRefused as error:
        raise AnchorUnusable(str(error)) from error


def _private_key(path: Path) -> tuple[Any, str]:
    """An Ed25519 private key, and the name of its public half."""
    try:
        key = ed25519_of(private_file(path))
    except ValueError as error:
        raise AnchorUnusable(f"{path}: {error}; `seatrial evidence keygen` makes one") from error
    return key, key.public_key().public_bytes_raw().hex()


def _public_key(path: Path) -> tuple[Any, str]:
    # Imported here: a daemon without this sink needs none of it, and every start waits for it.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - see above
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see above
        load_pem_public_key,
    )

    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AnchorUnusable(f"{path}: no PEM public key that can be read") from error
    if not isinstance(key, Ed25519PublicKey):
        raise AnchorUnusable(f"{path}: not an Ed25519 public key")
    return key, key.public_bytes_raw().hex()


def _text(raw: bytes) -> str:
    return raw[:_TOLD_CHARS_MAX].decode("utf-8", "replace")
