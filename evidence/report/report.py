"""Makes the report: one object, written as JSON, Markdown and HTML with the same figures.

Rules of this file:
1. It holds no clock and no path: the same journal gives the same bytes, wherever it lies.
2. Verdict first, then why, then the figures.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from evidence.folds.activity_fold import ActivityFold
from evidence.folds.allotment_fold import AllotmentsFold
from evidence.folds.balance_fold import BalancesFold
from evidence.folds.bot_fold import BotsFold
from evidence.folds.cap_fold import CapsFold
from evidence.folds.command_fold import DeedsFold
from evidence.folds.equity_fold import EquityFold
from evidence.folds.incident_fold import IncidentsFold
from evidence.folds.journal_fold import Fold, JournalFold
from evidence.folds.kill_fold import KillsFold
from evidence.folds.order_fold import OrdersFold
from evidence.folds.parallel import Progress, nothing_told, read_whole
from evidence.folds.position_fold import PositionsFold
from evidence.folds.running_totals import TotalsFold
from evidence.folds.session_fold import SessionsFold
from evidence.folds.state_fold import StatesFold
from evidence.folds.told_fold import ToldFold
from evidence.folds.trigger_fold import TriggersFold
from evidence.judge.anchor_scan import AnchorScan
from evidence.judge.anchoring import (
    BESIDE,
    FILE,
    Anchoring,
    AnchorSource,
    check_anchors,
    read_anchors,
)
from evidence.judge.crosscheck import compare_with_ledger
from evidence.judge.decision_recheck import DecisionsFold
from evidence.judge.ledger_comparison import LedgerComparison
from evidence.judge.uncovered import uncovered_of
from evidence.judge.venue_anchors import VenueAnchors
from evidence.judge.verdict import INSUFFICIENT, OK, Verdicts, judge, worst_of
from evidence.read.event_classes import classify
from evidence.read.event_input import Intake, read_events
from evidence.read.journal_reader import JournalReader, is_journal
from evidence.read.journal_sources import (
    JournalStream,
    SourceError,
    SourceFile,
    streams_of,
)
from evidence.read.understanding import Doubt, look_at
from evidence.read.venue_list import VenueList, read_json
from evidence.report.html_report import HTML_NAME, html_of
from evidence.report.report_text import json_of, markdown_of

SCHEMA = "seatrial.evidence.report/1"
JSON_NAME = "evidence_report.json"
MARKDOWN_NAME = "evidence_report.md"
LIMITS = (
    "A testnet pass is evidence about controls, not about profit or fill quality.",
    "Simulated sessions are rehearsals; they never count as testnet evidence.",
)


class ForeignEvents(msgspec.Struct):
    """Events of another stack. They are counted and prove nothing."""

    name: str
    sha256: str = ""
    events: int = 0
    errors: int = 0
    anomalies: int = 0
    malformed: int = 0
    malformed_at: list[str] = []
    by_type: dict[str, int] = {}
    not_understood: list[Doubt] = []

    def plain(self) -> dict[str, Any]:
        """Counts."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "events": self.events,
            "error_count": self.errors,
            "anomaly_count": self.anomalies,
            "malformed": self.malformed,
            "malformed_at": self.malformed_at,
            "by_type": dict(sorted(self.by_type.items())),
            "not_understood": [doubt.plain() for doubt in self.not_understood],
        }


class JournalReport(msgspec.Struct):
    """One journal, judged."""

    account: JournalFold
    verdicts: Verdicts
    comparison: LedgerComparison | None
    venue: VenueAnchors | None = None
    anchoring: Anchoring = msgspec.field(default_factory=Anchoring)

    def plain(self) -> dict[str, Any]:
        """The journal's part of the report."""
        notarised = {} if self.venue is None else {"venue_anchors": self.venue.plain()}
        tail = uncovered_of(self.account, self.anchoring)
        return {
            "name": self.account.name,
            "verdict": self.verdicts.overall,
            "verdicts": self.verdicts.plain(),
            "integrity": dict(self.account.chain.plain()),
            "counts": self.account.tally.result(),
            **self.account.results(),
            "anchoring": {
                **self.anchoring.plain(),
                **({"uncovered": tail.plain()} if tail is not None else {}),
            },
            "ledger": self.comparison.plain() if self.comparison else None,
            **notarised,
        }


class Report(msgspec.Struct):
    """Everything that was derived from the inputs."""

    journals: list[JournalReport]
    foreign: list[ForeignEvents]

    @property
    def verdict(self) -> str:
        """OK only when there is a journal and each is OK; foreign events alone are no evidence."""
        values = [journal.verdicts.overall for journal in self.journals]
        values += [] if values and not self.foreign else [INSUFFICIENT]
        return worst_of(values)

    @property
    def reasons(self) -> list[str]:
        """Why the verdict is not OK."""
        several = len(self.journals) > 1
        found = [
            f"{journal.account.name}: {reason}" if several else reason
            for journal in self.journals
            for reason in journal.verdicts.reasons
        ]
        if not self.journals:
            found.append("no seatrial journal among the inputs: nothing can be proven")
        for one in self.foreign:
            found.append(f"{one.name}: events of another stack prove nothing here")
            found += [f"not understood: {doubt.words()}" for doubt in one.not_understood]
        return found

    @property
    def modes(self) -> list[str]:
        """Every mode that any line has."""
        return sorted({m for journal in self.journals for m in journal.account.tally.by_mode})

    @property
    def counts_as_testnet_evidence(self) -> bool:
        """Only an OK report of lines that are all from a testnet."""
        return self.verdict == OK and self.modes == ["testnet"]

    def summary(self) -> dict[str, Any]:
        """The figures of a demo: counts of the venue's ledger against the first journal."""
        out: dict[str, Any] = {"verdict": self.verdict, "reasons": self.reasons}
        compared = next((j.comparison for j in self.journals if j.comparison), None)
        for name, value in (compared.plain() if compared else {}).items():
            if isinstance(value, Mapping):
                out[name] = value["count"]
            elif isinstance(value, int):
                out[name] = value
        return out

    def to_json(self) -> dict[str, Any]:
        """The whole report as plain values."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "reasons": self.reasons,
            "modes": self.modes,
            "counts_as_testnet_evidence": self.counts_as_testnet_evidence,
            "limits": list(LIMITS),
            "journals": [journal.plain() for journal in self.journals],
            "foreign": [one.plain() for one in self.foreign],
        }


def standard_folds(*, keep_all: bool) -> list[Fold]:
    """The folds of a report; `keep_all` for a cross-check with the venue's books."""
    return [
        OrdersFold(keep_all=keep_all),
        PositionsFold(),
        CapsFold(),
        SessionsFold(),
        IncidentsFold(),
        DecisionsFold(),
        TotalsFold(),
        DeedsFold(),
        StatesFold(),
        ToldFold(),
        BalancesFold(),
        KillsFold(),
        EquityFold(),
        TriggersFold(),
        BotsFold(),
        AllotmentsFold(),
        ActivityFold(),
    ]


def read_journal(
    stream: JournalStream, *, keep_all: bool, jobs: int = 1, progress: Progress = nothing_told
) -> JournalFold:
    """Read one journal to its end, with at most `jobs` processes."""
    make_folds = functools.partial(standard_folds, keep_all=keep_all)
    return read_whole(stream.name, stream.files, make_folds, jobs=jobs, progress=progress)


def build_report(
    inputs: Sequence[Path],
    *,
    ledger: Path | None = None,
    anchors: Path | None = None,
    outside: Sequence[AnchorSource] = (),
    venue_lists: Sequence[VenueList] = (),
    jobs: int = 1,
    progress: Progress = nothing_told,
) -> Report:
    """Read journals and events, judge them, and compare with the venue's ledger where given.

    Args:
        inputs: journal directories, segments, events files; packed with gzip or zstandard or not.
        ledger: the venue's own books (JSON), for the first journal.
        anchors: heads kept out of the writer's reach, beside those that lie beside the journal.
        outside: heads from others, already checked (a witness's, time stamps).
        venue_lists: downloads of the venue's list of our orders, for the first journal.
        jobs: processes that read one journal side by side.
        progress: called with the bytes of the journal read so far.

    Raises:
        SourceError: an input does not exist or cannot be opened, or the ledger is no JSON object.
    """
    books = read_ledger(ledger) if ledger else None
    report = Report([], [])
    for stream in streams_of(list(inputs)):
        if not is_journal(stream):
            report.foreign.extend(read_foreign(path) for path in stream.files)
            continue
        is_first = not report.journals
        keep_all = books is not None and is_first
        account = read_journal(stream, keep_all=keep_all, jobs=jobs, progress=progress)
        comparison = compare_with_ledger(account, books) if books and keep_all else None
        archived = stream.manifest
        sources = [*_anchors_of(stream, anchors), *outside]
        anchoring = check_anchors(stream.files, sources, account, archived)
        venue = venue_anchors(stream.files, venue_lists) if venue_lists and is_first else None
        if venue is not None:
            anchoring.add_venue(venue)
        verdicts = judge(account, anchoring, comparison=comparison, archived=archived, venue=venue)
        report.journals.append(JournalReport(account, verdicts, comparison, venue, anchoring))
    return report


def _anchors_of(stream: JournalStream, given: Path | None) -> list[AnchorSource]:
    """The heads beside a journal, and those of a file that the verifier was given elsewhere."""
    found = [AnchorSource(BESIDE, path.name, read_anchors([path])) for path in stream.anchors]
    own = {path.resolve().parent for path in stream.files}
    if given is not None and given.absolute() not in {path.absolute() for path in stream.anchors}:
        kind = BESIDE if given.absolute().parent.resolve() in own else FILE
        found.append(AnchorSource(kind, f"file {given.name}", read_anchors([given])))
    return found


def venue_anchors(files: Sequence[SourceFile], lists: Sequence[VenueList]) -> VenueAnchors:
    """Hold the venue's lists against the lines of a journal, in one more pass."""
    reader, scan = JournalReader(files), AnchorScan(lists)
    scan.read(reader.records())
    return scan.result(reader.chain.last_hash)


def read_foreign(path: Path) -> ForeignEvents:
    """Count the events of another stack by the launch procedure's rules."""
    intake, counted = Intake(), ForeignEvents(path.name)
    try:
        for event in read_events(path, "auto", intake):
            counted.events += 1
            judged, added = classify(event), look_at(event, intake.where, intake.doubts)
            counted.errors += judged.is_error or added.is_error
            counted.anomalies += judged.is_anomaly or added.is_anomaly
            kind = str(event.get("event_type") or event.get("type") or "").strip().lower()[:80]
            counted.by_type[kind] = counted.by_type.get(kind, 0) + 1
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    counted.malformed, counted.malformed_at = intake.malformed_count, list(intake.malformed)
    counted.not_understood = intake.doubts.all()
    counted.sha256 = intake.files[0].sha256 if intake.files else ""
    return counted


def read_ledger(path: Path) -> Mapping[str, Any]:
    """The venue's books.

    Raises:
        SourceError: the file cannot be read, or is no JSON object.
    """
    books = read_json(path)
    if not isinstance(books, dict):
        raise SourceError(f"{path}: a ledger is a JSON object")
    return books


def write_report(report: Report, out_dir: Path) -> tuple[Path, Path]:
    """Write `evidence_report.json` and its Markdown twin (returned), and the HTML page beside.

    Raises:
        OSError: the directory cannot be made or written.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    plain = report.to_json()
    json_path, markdown_path = out_dir / JSON_NAME, out_dir / MARKDOWN_NAME
    json_path.write_text(json_of(plain, indent=2), encoding="utf-8")
    for path, text in ((markdown_path, markdown_of(plain)), (out_dir / HTML_NAME, html_of(plain))):
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    return json_path, markdown_path
