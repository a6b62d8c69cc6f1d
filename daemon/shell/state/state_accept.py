"""An operator's word that a state directory is to be gone on with as it is.

It changes as little as can be: nothing is deleted. The journal goes on where it ends (or, set
aside, is begun anew), ids go beyond every run that any part names, and the next boot journals who
accepted what and why. What was lost is counted again from the venue's history, before any start.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import orjson

from daemon.model.records import ARCHIVE_KEY, ARCHIVE_MANIFEST
from daemon.shell.journal.journal_writer import lock_journal
from daemon.shell.journal.replay import has_checkpoint
from daemon.shell.journal.segments import segments
from daemon.shell.state.state_dir import (
    Identity,
    StateDirError,
    new_instance,
    write_identity,
)
from daemon.shell.state.state_proof import (
    ANCHORS_NAME,
    Proof,
    StateRefused,
    in_future_text,
    prove_state,
)

_NEVER = frozenset({"environment"})
_NOT_TO_GO_ON_WITH = frozenset(
    {
        "archive",
        "journal_before_archive",
        "journal_beheaded",
        "journal_forked",
        "journal_of_another",
        "journal_unreadable",
    }
)


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """What was accepted, for whoever asked."""

    findings: tuple[str, ...]
    set_aside: Path | None


def accept_state(
    state_dir: Path,
    *,
    environment: str,
    now_ns: int,
    by: Mapping[str, Any],
    reason: str,
    set_aside: bool,
    new_key: bool,
) -> Acceptance:
    """Take a state as it is. Empty findings: nothing was to be accepted, nothing was changed.

    Raises:
        JournalError: a daemon runs on it.
        StateDirError: it cannot be accepted like this; the message says how, or what else to do.
    """
    if not state_dir.is_dir():
        raise StateDirError(f"{state_dir}: no such directory; there is nothing to accept")
    lock_fd = lock_journal(state_dir / "journal")
    try:
        proof = prove_state(state_dir, account="", environment=environment, now_ns=now_ns)
        findings = [f"{one.code}: {one.what}" for one in proof.findings]
        if new_key:
            findings.append("account: another key of the same account")
        if proof.ahead_ns:
            findings.append(f"clock: {in_future_text(proof)}")
        if not findings and not set_aside:
            return Acceptance(findings=(), set_aside=None)
        moved = _judge(proof, state_dir / "journal", set_aside=set_aside)
        aside = _set_aside(state_dir) if moved else None
        if aside is None:
            _anchor(proof, state_dir / "journal", reason)
        known = proof.identity
        instance = known.instance if known else proof.instance or new_instance()
        accepted = {
            "findings": findings or ["journal set aside"],
            "reason": reason,
            "accepted_ns": now_ns,
            "clock_back_ns": proof.ahead_ns if aside is None else 0,
            **by,
        }
        seq = 0 if aside is not None else proof.seq
        identity = Identity(
            instance=instance,
            run_number=proof.run_number,
            account="" if new_key or known is None else known.account,
            environment=environment,
            seq=seq,
            anchored=seq,
            first_run=proof.first_run if seq else 0,
            accepted=accepted,
        )
        write_identity(state_dir, identity)
        return Acceptance(findings=tuple(accepted["findings"]), set_aside=aside)
    finally:
        os.close(lock_fd)


def _judge(proof: Proof, directory: Path, *, set_aside: bool) -> bool:
    """Whether the journal must be set aside to go on, and may be."""
    codes = {one.code for one in proof.findings}
    never = [one for one in proof.findings if one.code in _NEVER]
    if never:
        raise StateRefused(f"cannot be accepted: {never[0]}")
    if set_aside:
        return True
    needs = sorted(codes & _NOT_TO_GO_ON_WITH)
    if (
        proof.seq
        and "segments_missing" in codes
        and not any(map(has_checkpoint, segments(directory)))
    ):
        needs.append("no checkpoint stands in what is left")
    if needs:
        raise StateRefused(
            f"the journal cannot be gone on with ({', '.join(needs)}); with --set-aside it is "
            "moved to journal-set-aside-N, a new one is begun, and all that the venue still knows "
            "of our orders is counted from there"
        )
    return not proof.seq and any(directory.glob("*.jsonl*"))


def _set_aside(state_dir: Path) -> Path:
    """Move what is there of a journal out of the way, lock excepted."""
    number = 1
    while (aside := state_dir / f"journal-set-aside-{number}").exists():
        number += 1
    try:
        aside.mkdir(mode=0o700)
        journal = state_dir / "journal"
        manifest = [journal / name for name in (ARCHIVE_MANIFEST, ARCHIVE_KEY)]
        for path in (*sorted(journal.glob("*.jsonl*")), *filter(Path.exists, manifest)):
            path.rename(aside / path.name)
    except OSError as error:
        raise StateDirError(f"{aside}: {error.strerror}; check the directory's owner") from error
    return aside


def _anchor(proof: Proof, directory: Path, reason: str) -> None:
    """From here on the anchors begin again; those before stay, and the accountant reads them."""
    line = {
        "segment": proof.segment,
        "seq": proof.seq,
        "head": proof.head,
        "accepted": reason,
    }
    try:
        with (directory / ANCHORS_NAME).open("ab") as out:
            out.write(b"\n" if _is_torn(directory / ANCHORS_NAME) else b"")
            out.write(orjson.dumps(line) + b"\n")
    except OSError as error:
        raise StateDirError(f"{directory / ANCHORS_NAME}: {error.strerror}") from error


def _is_torn(path: Path) -> bool:
    content = path.read_bytes()
    return bool(content) and not content.endswith(b"\n")
