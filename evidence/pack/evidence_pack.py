"""Evidence packs: one signed file with everything that is needed to judge a session again.

A pack holds `statement.dsse.json` (the signed list of every other file's SHA-256, with the session
manifest) and then: `journal/` (segments), `anchors/`, `config/` (redacted), `venue/` (the venue's
own books), `reports/` (made anew from the packed bytes), `extra/`, and `SHA256SUMS`.

Rules of this file:
1. Same inputs, same bytes: no clock, no paths, no owner; Ed25519 signatures are deterministic.
2. The reports are made by this tool from what is packed; a report from elsewhere is only `extra/`.
3. Checking a pack needs the pack and the public key, nothing else; a changed byte names its file.
"""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from evidence.pack.pack_archive import PackFormError, read_archive, write_archive
from evidence.pack.redaction import redacted_config
from evidence.read.build_digest import product_version
from evidence.read.dsse import EnvelopeError, Subject, open_envelope, seal, statement
from evidence.read.journal_sources import ANCHORS_FILE, segment_number, segments_in, streams_of
from evidence.read.venue_list import read_list
from evidence.report.report import Report, build_report, write_report

PREDICATE_TYPE = "urn:seatrial:evidence-pack:1"
ENVELOPE_NAME = "statement.dsse.json"
SUMS_NAME = "SHA256SUMS"
WITNESS_NAME = "witness.jsonl"
RECEIPTS_NAME = "anchor-receipts.jsonl"
PACK_SUFFIX = ".seatrial.tar"
CONFIG_NAME = "seatrial.toml"
COPIED_BYTES = 1 << 20
LEDGER_NAMES = ("ledger.json", "venue_history.json")
HISTORY_FOLDER, HISTORY_PATTERN = "venue-history", "venue-history-*.json"
"""Where `seatrial evidence venue-history` keeps the venue's lists of our orders."""


class PackError(Exception):
    """A pack that cannot be made; the text names the place and the mend."""


class PackInputs(msgspec.Struct, frozen=True):
    """What goes into a pack. `ledger` is the venue's own books."""

    segments: Sequence[Path]
    anchors: Sequence[Path] = ()
    config: Path | None = None
    ledger: Path | None = None
    witness: Path | None = None
    """A witness's export: signed, so it may come from the box's owner."""
    receipts: Path | None = None
    """What sinks of the box have answered, time stamps among it."""
    extra: Sequence[Path] = ()
    histories: Sequence[Path] = ()
    """Downloads of the venue's list of our orders."""


class PackVerdict(msgspec.Struct):
    """What checking a pack has found."""

    problems: list[str] = []
    files: int = 0
    manifest: dict[str, object] = {}

    @property
    def ok(self) -> bool:
        """The pack is as it was signed."""
        return not self.problems


def find_inputs(session: Path) -> PackInputs:
    """Find what belongs to a session: a state directory, or a demo's directory around it.

    Raises:
        PackError: there is no journal.
    """
    folders = (session, session / "journal", session / "state" / "journal")
    for folder in folders:
        segments = _segments(folder)
        if segments:
            break
    else:
        raise PackError(
            f"{session}: no journal-NNNNNN.jsonl here, in journal/ or in state/journal/; name a "
            "state directory"
        )
    around = [session, session.parent]
    anchors = [folder / ANCHORS_FILE]
    return PackInputs(
        segments=segments,
        anchors=[path for path in anchors if path.is_file()],
        config=_first_file([place / CONFIG_NAME for place in around]),
        ledger=_first_file([session / name for name in LEDGER_NAMES]),
        histories=sorted((session / HISTORY_FOLDER).glob(HISTORY_PATTERN)),
        witness=_first_file([session / WITNESS_NAME]),
        receipts=_first_file([session / RECEIPTS_NAME, session / "state" / RECEIPTS_NAME]),
    )


def _segments(folder: Path) -> list[Path]:
    """The journal's segments, archived ones included where they are at hand."""
    if not folder.is_dir() or not segments_in(folder.iterdir()):
        return []
    stream = streams_of([folder])[0]
    archived = stream.manifest.segments if stream.manifest else ()
    if archived and segment_number(archived[0].name) < segment_number(stream.files[0].name):
        raise PackError(
            f"{folder}: its beginning is archived in {archived[0].place} and not at hand; put the "
            "archive back there, then pack"
        )
    return stream.files


def _first_file(candidates: Sequence[Path]) -> Path | None:
    return next((path for path in candidates if path.is_file()), None)


def write_pack(inputs: PackInputs, target: Path, key: Ed25519PrivateKey) -> dict[str, object]:
    """Write a signed pack of the journal as it stands; returns its session manifest.

    A daemon may go on writing meanwhile: what it adds is not in the pack.

    Raises:
        PackError: nothing to pack, or two files of one name.
        ArchiveError: a file's name cannot stand in a pack, or a file changed while it was packed.
        ConfigError: the configuration cannot be read, so secrets in it cannot be ruled out.
        OSError: a file cannot be read, or the pack not be written.
    """
    if not inputs.segments:
        raise PackError("no journal segment: there is nothing to prove")
    with tempfile.TemporaryDirectory(prefix="seatrial-pack-") as place:
        return _write_pack(as_it_stands(inputs, Path(place)), target, key)


def as_it_stands(inputs: PackInputs, place: Path) -> PackInputs:
    """The inputs with the files that a running daemon appends to as they are now, copied.

    The heads come first: what they name is then in the journal's copy, too. A last line that has no
    newline although nothing more is written is torn, and stays so in the copy.
    """
    anchors = [_copied(path, place) for path in inputs.anchors]
    *closed, last = inputs.segments
    if not last.name.endswith((".zst", ".gz")):
        last = _copied(last, place)
    return msgspec.structs.replace(inputs, segments=[*closed, last], anchors=anchors)


def _copied(source: Path, place: Path) -> Path:
    """Copy a file up to its size as it is opened, and to the end of the line that stands there."""
    target = place / source.name
    with source.open("rb") as growing, target.open("wb") as copy:
        left = source.stat().st_size
        last = b"\n"
        while left > 0 and (chunk := growing.read(min(left, COPIED_BYTES))):
            copy.write(chunk)
            left, last = left - len(chunk), chunk[-1:]
        if last != b"\n":
            copy.write(growing.readline())
    return target


def _write_pack(inputs: PackInputs, target: Path, key: Ed25519PrivateKey) -> dict[str, object]:
    members: dict[str, Path | bytes] = {}
    _add(members, "journal", inputs.segments)
    outside = [path for path in (inputs.witness, inputs.receipts) if path is not None]
    _add(members, "anchors", [*inputs.anchors, *outside])
    _add(members, "venue", [inputs.ledger] if inputs.ledger else [])
    _add(members, HISTORY_FOLDER, inputs.histories)
    _add(members, "extra", inputs.extra)
    if inputs.config:
        members["config/seatrial.redacted.json"] = _json(redacted_config(inputs.config))
    report, files = _reports(inputs)
    members.update(files)
    manifest = session_manifest(report)
    members["session_manifest.json"] = _json(manifest)
    subjects = [Subject(name, _sha256(members[name])) for name in sorted(members)]
    sums = "".join(f"{subject.sha256}  {subject.name}\n" for subject in subjects)
    members[SUMS_NAME] = sums.encode("utf-8")
    subjects.append(Subject(SUMS_NAME, _sha256(members[SUMS_NAME])))
    body = statement(sorted(subjects, key=lambda one: one.name), PREDICATE_TYPE, manifest)
    members[ENVELOPE_NAME] = seal(body, key)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.tmp")
    try:
        with draft.open("wb") as out:
            write_archive(out, members, ENVELOPE_NAME)
        changed = verify_pack(draft, key.public_key()).problems
        if changed:
            raise PackError(f"{changed[0]} while it was packed; stop the daemon, then pack again")
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def session_manifest(report: Report) -> dict[str, object]:
    """What the sessions in a pack are bound to, and how they were judged when it was packed."""
    sessions = [
        {
            **{key: one[key] for key in ("session_id", "run_id", "mode", "exchange", "binding")},
            **{key: one[key] for key in ("started_ns", "duration_ms", "orders", "fills", "end")},
        }
        for journal in report.journals
        for one in journal.account.results()["sessions"]["sessions"]
    ]
    return {
        "producer": {"name": "seatrial", "version": product_version()},
        "verdict": report.verdict,
        "reasons": report.reasons,
        "modes": report.modes,
        "counts_as_testnet_evidence": report.counts_as_testnet_evidence,
        "sessions": sessions,
    }


def verify_pack(pack: Path, key: Ed25519PublicKey) -> PackVerdict:
    """Check a pack against a public key: signature, every file, every byte between them.

    Raises:
        OSError: the pack cannot be read.
    """
    verdict = PackVerdict()
    expected: dict[str, str] = {}
    with pack.open("rb") as source:
        try:
            for number, member in enumerate(read_archive(source)):
                if number == 0:
                    expected = _open_statement(member.name, member.content, key, verdict)
                    if verdict.problems:
                        return verdict
                    continue
                verdict.files += 1
                _check_member(member.name, member.sha256, expected, verdict)
        except PackFormError as error:
            verdict.problems.append(str(error))
            return verdict
    verdict.problems += [f"{name}: missing from the pack" for name in sorted(expected)]
    return verdict


def _open_statement(
    name: str, content: bytes | None, key: Ed25519PublicKey, verdict: PackVerdict
) -> dict[str, str]:
    if name != ENVELOPE_NAME or content is None:
        verdict.problems.append(f"{name}: a pack begins with {ENVELOPE_NAME}")
        return {}
    try:
        value = open_envelope(content, key, PREDICATE_TYPE)
    except EnvelopeError as error:
        verdict.problems.append(f"{ENVELOPE_NAME}: {error}")
        return {}
    manifest, subjects = value.get("predicate"), value.get("subject")
    if not isinstance(manifest, dict) or not isinstance(subjects, list):
        verdict.problems.append(f"{ENVELOPE_NAME}: not a statement of an evidence pack")
        return {}
    verdict.manifest = manifest
    return {subject["name"]: subject["digest"]["sha256"] for subject in subjects}


def _check_member(name: str, digest: str, expected: dict[str, str], verdict: PackVerdict) -> None:
    signed = expected.pop(name, None)
    if signed is None:
        verdict.problems.append(f"{name}: not in the signed list, or there twice")
    elif signed != digest:
        verdict.problems.append(f"{name}: changed (sha256 {digest}, signed {signed})")


def _reports(inputs: PackInputs) -> tuple[Report, dict[str, bytes]]:
    """The report and the verification output, made again from the packed bytes."""
    report = build_report(
        inputs.segments,
        ledger=inputs.ledger,
        anchors=inputs.anchors[0] if inputs.anchors else None,
        venue_lists=[read_list(path) for path in inputs.histories],
    )
    with tempfile.TemporaryDirectory(prefix="seatrial-pack-") as folder:
        write_report(report, Path(folder))
        made = sorted(Path(folder).iterdir())
        files = {f"reports/{path.name}": path.read_bytes() for path in made}
    verdicts = {one.account.name: one.verdicts.plain() for one in report.journals}
    plain = {"verdict": report.verdict, "reasons": report.reasons, "journals": verdicts}
    return report, {**files, "reports/verification.json": _json(plain)}


def _add(members: dict[str, Path | bytes], folder: str, paths: Sequence[Path]) -> None:
    for path in paths:
        name = f"{folder}/{path.name}"
        if name in members:
            raise PackError(f"{path}: another file of this name is in the pack; rename one")
        members[name] = path


def _sha256(source: Path | bytes) -> str:
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode("utf-8")
