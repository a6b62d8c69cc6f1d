"""Where a journal may begin: at its very first line, or where an archive's manifest says.

The manifest is written by `seatrial journal archive` (evidence/pack/journal_archive.py). Its
envelope is read here a second time, because the daemon does not import its accountant.
"""

import base64
from pathlib import Path
from typing import Any

import msgspec
import orjson

from daemon.model.records import ARCHIVE_KEY, ARCHIVE_MANIFEST, ARCHIVE_PREDICATE, GENESIS
from daemon.shell.journal.journal_writer import JournalError


class JournalOrigin(msgspec.Struct, frozen=True):
    """A journal that begins legitimately with line `seq`, which carries `head` as its `prev`."""

    seq: int
    head: str
    run_id: str
    """The run that line belongs to; empty where nothing was archived."""
    starts: frozenset[tuple[int, str]]
    """(seq, prev) of every line that a segment began with: an archiving that was cut short has
    removed some of what it had moved."""
    heads: tuple[tuple[int, str], ...]
    """(seq, hash) of the last line of each archived segment, for the anchors that name them."""


WHOLE = JournalOrigin(1, GENESIS, "", frozenset({(1, GENESIS)}), ())


def journal_origin(directory: Path) -> JournalOrigin:
    """The origin that the archive's manifest beside a journal states; `WHOLE` without one.

    Raises:
        JournalError: a manifest is there and is not as it was signed.
    """
    path = directory / ARCHIVE_MANIFEST
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return WHOLE
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}; let the daemon read it") from error
    try:
        predicate = _predicate(raw, (directory / ARCHIVE_KEY).read_bytes())
        begins, moved = predicate["begins"], predicate["segments"]
        return JournalOrigin(
            seq=int(begins["seq"]),
            head=str(begins["prev"]),
            run_id=str(begins["run_id"]),
            starts=frozenset(
                {(int(one["first_seq"]), str(one["prev"])) for one in moved}
                | {(int(begins["seq"]), str(begins["prev"]))}
            ),
            heads=tuple((int(one["last_seq"]), str(one["head"])) for one in moved),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise JournalError(
            f"{path}: not as it was signed ({type(error).__name__}); restore {ARCHIVE_MANIFEST} "
            f"and {ARCHIVE_KEY} from the archive's directory, where copies lie"
        ) from error


def _predicate(raw: bytes, pem: bytes) -> dict[str, Any]:
    """The signed text.

    Raises:
        ValueError, KeyError, TypeError: it is not as it was signed.
    """
    # Imported here: few journals have a manifest, and every boot would wait for this library.
    from cryptography.exceptions import (  # noqa: PLC0415 - see above
        InvalidSignature,
        UnsupportedAlgorithm,
    )
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - see above
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see above
        load_pem_public_key,
    )

    envelope = orjson.loads(raw)
    kind, body = envelope["payloadType"], base64.b64decode(envelope["payload"], validate=True)
    (signature,) = envelope["signatures"]
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(body), body)
    try:
        key = load_pem_public_key(pem)
        if not isinstance(key, Ed25519PublicKey):
            raise TypeError("not an Ed25519 key")
        key.verify(base64.b64decode(signature["sig"], validate=True), signed)
    except (InvalidSignature, UnsupportedAlgorithm) as error:
        raise ValueError("the signature does not fit") from error
    statement = orjson.loads(body)
    if statement["predicateType"] != ARCHIVE_PREDICATE:
        raise ValueError("a statement of another kind")
    predicate: dict[str, Any] = statement["predicate"]
    return predicate
