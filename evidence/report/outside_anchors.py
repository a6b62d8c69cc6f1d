"""Gets heads from those who keep them for a box, checked by keys that the verifier holds.

Rules of this file:
1. Without the witness's public key nothing of it is believed, and it is not asked.
2. A witness that is asked signs our nonce: an older or shortened answer shows.
3. Every wait has a deadline, every answer a bound; redirects and proxies are not followed.
"""

import base64
import http.client
import importlib
import json
import secrets
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from cryptography import x509

from daemon.model.witness_words import EXPORT_PATH, stamped_bytes
from evidence.judge.anchoring import TIMESTAMP, WITNESS, AnchorSource
from evidence.read.journal_sources import SourceError
from evidence.read.signing import KeyFileError, load_public_key
from evidence.read.witness_export import WitnessExport, WitnessExportError, read_witness_export

TIMEOUT_S = 30.0
EXPORT_BYTES_MAX = 1 << 30
NONCE_BYTES = 16


def outside_of(
    inputs: Sequence[Path],
    *,
    witness: str | None,
    witness_key: Path | None,
    box: str,
    timestamps: Path | None,
    tsa_root: Path | None,
) -> list[AnchorSource]:
    """The outside anchors that a command names.

    Raises:
        SourceError: they cannot be had, or prove nothing.
    """
    found = []
    if (timestamps is None) != (tsa_root is None):
        raise SourceError("--timestamps and --tsa-root belong together; give both")
    if (timestamps is not None or witness is not None) and len(inputs) != 1:
        raise SourceError("--witness and --timestamps are for one journal; judge each by itself")
    if timestamps is not None and tsa_root is not None:
        found.append(timestamp_source(timestamps, tsa_root))
    if witness is None:
        if witness_key is not None or box:
            raise SourceError("--witness-key and --box say nothing without --witness FILE or URL")
        return found
    if witness_key is None:
        raise SourceError(
            "--witness needs --witness-key: the witness's public key, had from the witness itself; "
            "without it anybody could have written this"
        )
    return [*found, witness_source(witness, witness_key, box)]


def witness_source(witness: str, witness_key: Path, box: str = "") -> AnchorSource:
    """The countersigned heads of an export file, or of a witness that is asked now.

    Args:
        witness: a path, or an http(s) address.
        witness_key: file of the witness's public key.
        box: the public key of the box in hex; needed where the witness knows several.

    Raises:
        SourceError: not readable, not reachable, or not signed by this key.
    """
    try:
        key = load_public_key(witness_key)
        if witness.startswith(("http://", "https://")):
            nonce = secrets.token_hex(NONCE_BYTES)
            raw = _fetched(witness, {"nonce": nonce, **({"box": box} if box else {})})
            export = read_witness_export(raw, key, name=witness, nonce=nonce)
        else:
            export = read_witness_export(Path(witness).read_bytes(), key, name=witness)
    except (KeyFileError, WitnessExportError) as error:
        raise SourceError(str(error)) from error
    except OSError as error:
        raise SourceError(f"{witness}: {error.strerror or error}") from error
    if box and export.box != box:
        raise SourceError(f"{witness}: heads of box {export.box[:16]}…, not of {box[:16]}…")
    return _source(export)


def timestamp_source(receipts: Path, root: Path) -> AnchorSource:
    """The heads of a box's receipts whose time stamps verify against an authority's root.

    Args:
        receipts: `anchor-receipts.jsonl` of a state directory; other kinds of receipts are skipped.
        root: PEM of the root certificate, had from the authority itself.

    Raises:
        SourceError: a stamp does not verify, a file cannot be read, or the extra is not installed.
    """
    try:
        client = importlib.import_module("rfc3161_client")
        roots = x509.load_pem_x509_certificates(root.read_bytes())
        rows = receipts.read_bytes().splitlines()
    except ImportError as error:
        raise SourceError("--timestamps needs pip install 'seatrial[timestamp]'") from error
    except OSError as error:
        raise SourceError(f"{error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise SourceError(f"{root}: no PEM certificate: {error}") from error
    made = client.VerifierBuilder()
    for one in roots:
        made = made.add_root_certificate(one)
    verifier, heads = made.build(), []
    for number, row in enumerate(rows, 1):
        try:
            line = json.loads(row)
            if line["kind"] != TIMESTAMP:
                continue
            response = base64.b64decode(line["receipt"]["response"], validate=True)
            answer = client.decode_timestamp_response(response)
            verifier.verify_message(answer, stamped_bytes(int(line["seq"]), str(line["head"])))
        except (LookupError, TypeError, ValueError, client.VerificationError) as error:
            raise SourceError(
                f"{receipts}:{number}: the time stamp does not verify: {error}"
            ) from (error)
        stamped = answer.tst_info.gen_time - datetime.fromtimestamp(0, UTC)
        ts_ns = stamped // timedelta(microseconds=1) * 1_000
        heads.append({"seq": line["seq"], "head": line["head"], "ts_ns": ts_ns})
    subject = roots[0].subject.rfc4514_string()
    return AnchorSource(TIMESTAMP, f"time stamps under {subject}", heads)


def _source(export: WitnessExport) -> AnchorSource:
    heads = [{"seq": one.seq, "head": one.head, "ts_ns": one.ts_ns} for one in export.lines]
    return AnchorSource(WITNESS, f"witness {export.witness[:16]}…", heads)


def _fetched(address: str, query: dict[str, str]) -> bytes:
    parts = urlsplit(address)
    if not parts.hostname or parts.path.strip("/") or parts.query:
        raise SourceError(f"{address}: write http(s)://HOST:PORT and nothing after it")
    made: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        made = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=TIMEOUT_S, context=context
        )
    else:
        made = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
    try:
        made.request("GET", f"{EXPORT_PATH}?{urlencode(query)}")
        answer = made.getresponse()
        body = answer.read(EXPORT_BYTES_MAX + 1)
    except (OSError, http.client.HTTPException) as error:
        raise SourceError(f"{address}: the witness does not answer: {error}") from error
    finally:
        made.close()
    if answer.status != http.client.OK:
        told = body[:200].decode("utf-8", "replace")
        raise SourceError(f"{address}: the witness refuses ({answer.status}): {told}")
    if len(body) > EXPORT_BYTES_MAX:
        raise SourceError(f"{address}: an export of more than {EXPORT_BYTES_MAX} bytes")
    return body
