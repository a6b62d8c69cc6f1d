"""What a witness has signed, on its disk: for each box one head a sequence number, only upwards.

Rules of this file:
1. A countersignature is on the disk before it leaves. What was never answered may be torn; it is
   cut off, and the box asks again.
2. Of a box only the newest head may be signed once more (a retry whose answer was lost); another
   head for a number that was signed, and every lower number, are refused and kept as refusals. What
   was signed before is refused again and not kept: the export shows it, so anybody can ask it.
3. One process holds the register. It reads no clock: the time is an argument, and never goes back.
"""

import base64
import binascii
import fcntl
import hashlib
import os
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from daemon.model.witness_words import countersigned_bytes, export_bytes, request_bytes
from evidence.read.signing import is_signed_by, key_hex
from evidence.read.witness_export import ExportEnd, WitnessLine, line_problem

SEQ_MAX = 2**63 - 1
REFUSALS_MAX = 1_000
"""Of each box; further ones are answered, and not kept."""
_HEX_64 = re.compile(r"[0-9a-f]{64}")
_SIGNATURE_BYTES = 64


class RegisterError(Exception):
    """A register that cannot be used; the text names the file and the mend."""


class WitnessRefusedError(Exception):
    """A head that is not countersigned. `code` is one of a closed list (docs/ANCHORS.md)."""

    def __init__(self, code: str, msg: str, last: WitnessLine | None = None) -> None:
        """`last` is the newest line of this box, where there is one."""
        self.code, self.msg, self.last = code, msg, last
        super().__init__(f"{code}: {msg}")


class RefusedHead(msgspec.Struct, frozen=True):
    """A refusal as it is kept: the box has signed the request, so it cannot deny it."""

    box: str
    seq: int
    head: str
    asked: str
    code: str
    ts_ns: int


class _Box(msgspec.Struct):
    key: Ed25519PublicKey
    file_fd: int
    last: WitnessLine | None
    refused: set[tuple[int, str]]
    """Numbers and heads of the refusals that are kept, each once."""


class WitnessRegister:
    """The signed heads of the boxes that this witness knows."""

    def __init__(
        self, directory: Path, key: Ed25519PrivateKey, boxes: Sequence[Ed25519PublicKey]
    ) -> None:
        """Open or make the register.

        Raises:
            RegisterError: another process holds it, or a file of it is not as this key signed it.
            OSError: the directory cannot be made, read or written.
        """
        self._directory = directory
        self._key = key
        self.witness = key_hex(key.public_key())
        self._guard = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock_fd = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._boxes: dict[str, _Box] = {}
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for box_key in boxes:
                self._boxes[key_hex(box_key)] = self._open(key_hex(box_key), box_key)
            self._sync_directory()
        except BlockingIOError:
            self.close()
            raise RegisterError(
                f"{directory}: another `seatrial witness serve` holds this register; stop it first"
            ) from None
        except (RegisterError, OSError):
            self.close()
            raise

    @property
    def boxes(self) -> list[str]:
        """The boxes that may ask."""
        return list(self._boxes)

    def close(self) -> None:
        """Release the files; a second time does nothing."""
        for box in self._boxes.values():
            os.close(box.file_fd)
        self._boxes.clear()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def countersign(
        self, box: str, seq: int, head: str, signature: str, now_ns: int
    ) -> WitnessLine:
        """Sign a head for a box, durably; the newest line once more when the same is asked.

        Args:
            box: the box's public key, 64 hex digits.
            seq: the line of its journal, from 1 on.
            head: the SHA-256 (hex) of that line.
            signature: the box's over `request_bytes`, in base64.
            now_ns: the witness's time, ns UTC.

        Raises:
            WitnessRefusedError: unknown_box, bad_signature, bad_form, second_head, lower_sequence.
            OSError: the disk did not take it; nothing was signed.
        """
        with self._guard:
            known = self._known(box, seq, head, signature)
            last = known.last
            if last is not None and seq <= last.seq:
                if (seq, head) == (last.seq, last.head):
                    return last
                raise self._refuse(known, RefusedHead(box, seq, head, signature, "", now_ns))
            ts_ns = max(now_ns, last.ts_ns if last else 0)
            signed = self._key.sign(countersigned_bytes(self.witness, box, seq, head, ts_ns))
            line = WitnessLine(
                box=box, seq=seq, head=head, ts_ns=ts_ns, asked=signature,
                witness=self.witness, signature=base64.b64encode(signed).decode("ascii"),
            )  # fmt: skip
            _append(known.file_fd, msgspec.json.encode(line) + b"\n")
            known.last = line
            return line

    def _known(self, box: str, seq: int, head: str, signature: str) -> _Box:
        known = self._boxes.get(box)
        if known is None:
            raise WitnessRefusedError("unknown_box", "this witness does not know the box's key")
        if not 0 < seq <= SEQ_MAX or not _HEX_64.fullmatch(head):
            raise WitnessRefusedError("bad_form", "seq is from 1 on, head is 64 hex digits")
        try:
            raw = base64.b64decode(signature, validate=True)
        except (ValueError, binascii.Error):
            raw = b""
        if len(raw) != _SIGNATURE_BYTES or not is_signed_by(
            known.key, raw, request_bytes(box, seq, head)
        ):
            raise WitnessRefusedError("bad_signature", "the request is not signed by the box's key")
        return known

    def _refuse(self, known: _Box, asked: RefusedHead) -> WitnessRefusedError:
        """Why a number that is not above the newest is refused; kept, so that it can be shown."""
        heads = heads_path(self._directory, asked.box)
        before = next((one for one in lines_of(heads) if one.seq == asked.seq), None)
        newest = known.last.seq if known.last else 0
        if before is not None and before.head != asked.head:
            code = "second_head"
            msg = f"seq {asked.seq} was signed with head {before.head[:16]}…, never with another"
        else:
            code, msg = "lower_sequence", f"seq {asked.seq} is below {newest}, the newest signed"
        is_replay = before is not None and before.head == asked.head
        place = (asked.seq, asked.head)
        if not is_replay and place not in known.refused and len(known.refused) < REFUSALS_MAX:
            path = refusals_path(self._directory, asked.box)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            file_fd = os.open(path, flags, 0o600)
            try:
                kept = msgspec.structs.replace(asked, code=code)
                _append(file_fd, msgspec.json.encode(kept) + b"\n")
            finally:
                os.close(file_fd)
            known.refused.add(place)
        return WitnessRefusedError(code, msg, known.last)

    def _open(self, box: str, key: Ed25519PublicKey) -> _Box:
        path = heads_path(self._directory, box)
        file_fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            last = self._last(path, file_fd)
        except (RegisterError, OSError):
            os.close(file_fd)
            raise
        kept = {(one.seq, one.head) for one in refusals_of(self._directory, box)}
        return _Box(key, file_fd, last, kept)

    def _last(self, path: Path, file_fd: int) -> WitnessLine | None:
        """The newest line; a torn one, which was never answered, is cut off."""
        raw = path.read_bytes()
        whole = raw.rfind(b"\n") + 1
        if whole < len(raw):
            os.ftruncate(file_fd, whole)
            os.fsync(file_fd)
        before, problem = 0, ""
        last: WitnessLine | None = None
        for last in lines_of(path):
            problem = problem or ("" if last.seq > before else "not above the one before")
            before = last.seq
        if last is not None and (problem := problem or line_problem(last, self._key.public_key())):
            raise RegisterError(
                f"{path}: up to seq {last.seq}: {problem}; this register was changed, or belongs "
                "to another key: restore it, or begin a new one in an empty directory with a new "
                "key"
            )
        return last

    def _sync_directory(self) -> None:
        directory_fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory_fd)
        finally:
            os.close(directory_fd)


def heads_path(directory: Path, box: str) -> Path:
    """The file of a box's countersigned heads."""
    return directory / f"{box}.jsonl"


def refusals_path(directory: Path, box: str) -> Path:
    """The file of what was refused to a box."""
    return directory / f"{box}.refused.jsonl"


def refusals_of(directory: Path, box: str) -> list[RefusedHead]:
    """What was refused to a box, oldest first.

    Raises:
        RegisterError: a line of another form.
    """
    path = refusals_path(directory, box)
    raw = path.read_bytes() if path.exists() else b""
    try:
        return [
            msgspec.json.decode(row, type=RefusedHead)
            for row in raw.splitlines(keepends=True)
            if row.endswith(b"\n")
        ]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RegisterError(f"{path}: not the refusals of a witness") from error


def boxes_in(directory: Path) -> list[str]:
    """The boxes that a register holds lines of."""
    names = (path.name.removesuffix(".jsonl") for path in directory.glob("*.jsonl"))
    return sorted(name for name in names if _HEX_64.fullmatch(name))


def lines_of(path: Path) -> Iterator[WitnessLine]:
    """The whole lines of a box's file, oldest first.

    Raises:
        RegisterError: a line of another form.
    """
    with path.open("rb") as opened:
        for number, raw in enumerate(opened, 1):
            if not raw.endswith(b"\n"):
                return
            try:
                yield msgspec.json.decode(raw, type=WitnessLine)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise RegisterError(f"{path}:{number}: not a line of a witness") from error


def export_of(directory: Path, box: str, key: Ed25519PrivateKey, now_ns: int, nonce: str) -> bytes:
    """Every line of a box, and a last one, signed, that counts them.

    Raises:
        RegisterError: no line of this box, or one of another form.
        OSError: the file cannot be read.
    """
    path = heads_path(directory, box)
    if not path.exists():
        raise RegisterError(f"{directory}: holds no line of box {box[:16]}…")
    body = b"".join(msgspec.json.encode(line) + b"\n" for line in lines_of(path))
    lines, digest = body.count(b"\n"), hashlib.sha256(body).hexdigest()
    witness = key_hex(key.public_key())
    signed = key.sign(
        export_bytes(witness, box, lines=lines, digest=digest, ts_ns=now_ns, nonce=nonce)
    )
    end = ExportEnd(
        witness=witness, box=box, lines=lines, sha256=digest, ts_ns=now_ns, nonce=nonce,
        signature=base64.b64encode(signed).decode("ascii"),
    )  # fmt: skip
    return body + msgspec.json.encode(end) + b"\n"


def _append(file_fd: int, line: bytes) -> None:
    """Write a line and make it durable; the file ends as before where the disk refuses.

    Raises:
        OSError: it is not on the disk.
    """
    size = os.fstat(file_fd).st_size
    try:
        if os.write(file_fd, line) < len(line):
            raise OSError("the disk took a part of the line; free space")
        os.fsync(file_fd)
    except OSError:
        os.ftruncate(file_fd, size)
        raise
