"""PR-BG, execution evidence: events in, `execution_evidence.json` and its Markdown twin out.

    python -m evidence.producer --out-dir reports/status --input EVENTS --input-format jsonl

Rules of this file:
1. The exit code is 0 for whatever the launch procedure decides, a missing input too: the artifact
   carries the verdict. An input that its text does not cover (another encoding or delimiter, a key
   that stands twice or is nearly one of its own, an unknown level) is read as well as can be, told,
   and exits 2. An artifact that cannot be made (unreadable or unwritable place) exits 1.
2. There are no mock profiles: evidence comes from recorded events or it is MISSING_INPUT.
3. The compatible keys count events; what they cannot say (where the events came from, whether they
   were simulated, what was unreadable or not understood) stands under `seatrial`; the gates of this
   package do not pass evidence that was not understood.
"""

from collections import Counter
from datetime import datetime
from pathlib import Path

import click
import msgspec

from evidence.gates.artifact import DEFAULT_OUT_DIR, bullets, write_artifact
from evidence.read.artifact_times import format_time, parse_time, utc_now
from evidence.read.build_digest import product_version
from evidence.read.event_classes import classify, event_type_of, is_plain_flag, word
from evidence.read.event_input import FORMATS, Event, Intake, read_events
from evidence.read.event_window import StatedWindow
from evidence.read.understanding import Doubts, look_at

STEM = "execution_evidence"
OK = "OK"
MISSING_INPUT = "MISSING_INPUT"
INPUT_PATH_NOT_FOUND = "INPUT_PATH_NOT_FOUND"
DISTINCT_MAX = 256
"""Distinct values that a tally keeps apart; the others are counted together as `(other)`."""
ENVIRONMENT_SIMULATED = "simulated"
ENVIRONMENT_TESTNET = "testnet"
ENVIRONMENT_LIVE = "live"
ENVIRONMENT_MIXED = "mixed"
ENVIRONMENT_UNKNOWN = "unknown"
MODE_UNSTATED = "(unstated)"
EXIT_NOT_UNDERSTOOD = 2


class EventCounts(msgspec.Struct):
    """One pass over the events."""

    sample_size: int = 0
    error_count: int = 0
    anomaly_count: int = 0
    unclear_flags: int = 0
    by_event_type: Counter[str] = msgspec.field(default_factory=Counter)
    by_mode: Counter[str] = msgspec.field(default_factory=Counter)
    first_ts: str | None = None
    last_ts: str | None = None

    def add(self, event: Event, place: str, doubts: Doubts) -> None:
        """Count one event, and tell what of it is not understood."""
        verdict, added = classify(event), look_at(event, place, doubts)
        self.sample_size += 1
        self.error_count += verdict.is_error or added.is_error
        self.anomaly_count += verdict.is_anomaly or added.is_anomaly
        self.unclear_flags += not (
            is_plain_flag(event.get("is_error")) and is_plain_flag(event.get("is_anomaly"))
        )
        _count(self.by_event_type, event_type_of(event) or "(untyped)")
        _count(self.by_mode, word(event.get("mode")) or MODE_UNSTATED)
        stamp = event.get("ts")
        if isinstance(stamp, str) and stamp:
            self.first_ts = self.first_ts or stamp
            self.last_ts = stamp

    def environment(self) -> str:
        """Where the events come from by their own `mode`: one word, `mixed` where they differ."""
        modes = set(self.by_mode)
        if not modes or MODE_UNSTATED in modes:
            return ENVIRONMENT_UNKNOWN
        if modes == {"testnet"}:
            return ENVIRONMENT_TESTNET
        if modes == {"live"}:
            return ENVIRONMENT_LIVE
        if modes & {"testnet", "live"}:
            return ENVIRONMENT_MIXED
        return ENVIRONMENT_SIMULATED


def _count(counter: Counter[str], key: str) -> None:
    if key in counter or len(counter) < DISTINCT_MAX:
        counter[key] += 1
    else:
        counter["(other)"] += 1


def build_evidence(
    input_path: Path | None,
    input_format: str,
    now: datetime,
    window_start: str | None = None,
    window_end: str | None = None,
) -> dict[str, object]:
    """Make the artifact's value from the events at `input_path`.

    Args:
        input_path: A file or a directory of segments; None where no path was given.
        input_format: `auto`, `json`, `jsonl` or `csv`.
        now: Stamped into `generated_at`, and into the window where it is not given.
        window_start: ISO-8601 start of the window that the evidence speaks for.
        window_end: ISO-8601 end of it.

    Raises:
        OSError: the input exists but cannot be read.
    """
    tally = EventCounts()
    intake = Intake()
    present = input_path is not None and input_path.exists()
    notes = []
    window = StatedWindow(window_start, window_end, now)
    window.check(intake.doubts)
    if input_path is not None and present:
        for event in read_events(input_path, input_format, intake):
            tally.add(event, intake.where, intake.doubts)
            window.hold(event, intake.where, intake.doubts)
    elif input_path is not None:
        notes.append(INPUT_PATH_NOT_FOUND)
    stamp = format_time(now)
    environment = tally.environment()
    return {
        "generated_at": stamp,
        "status": OK if present else MISSING_INPUT,
        "window_start": window_start or stamp,
        "window_end": window_end or stamp,
        "sample_size": tally.sample_size,
        "anomaly_count": tally.anomaly_count,
        "error_count": tally.error_count,
        "notes": notes,
        "seatrial": {
            "producer_version": product_version(),
            "inputs": [
                {"name": file.name, "sha256": file.sha256, "size_bytes": file.size_bytes}
                for file in intake.files
            ],
            "environment": environment,
            "counts_as_testnet": environment == ENVIRONMENT_TESTNET and not intake.doubts,
            "understood": not intake.doubts,
            "beyond_procedure": intake.doubts.is_beyond_the_procedure,
            "not_understood": [doubt.plain() for doubt in intake.doubts.all()],
            "by_mode": dict(sorted(tally.by_mode.items())),
            "by_event_type": dict(sorted(tally.by_event_type.items())),
            "first_ts": tally.first_ts,
            "last_ts": tally.last_ts,
            "malformed_count": intake.malformed_count,
            "malformed": intake.malformed,
            "unclear_flags": tally.unclear_flags,
        },
    }


def render_markdown(value: dict[str, object]) -> list[str]:
    """The artifact's Markdown twin, the same figures line by line."""
    extras = value["seatrial"]
    notes = value["notes"]
    if not isinstance(extras, dict) or not isinstance(notes, list):
        raise TypeError("not a value of build_evidence")
    lines = [
        "# Execution Evidence",
        "",
        *(f"- {key}: {value[key]}" for key in ("generated_at", "status")),
        *(f"- {key}: {value[key]}" for key in ("window_start", "window_end")),
        "",
        "## Counts",
        "",
        *(f"- {key}: {value[key]}" for key in ("sample_size", "anomaly_count", "error_count")),
        "",
        "## Notes",
        "",
        *bullets(notes),
        "",
        "## Provenance",
        "",
        f"- environment: {extras['environment']}",
        f"- counts_as_testnet: {str(extras['counts_as_testnet']).lower()}",
        f"- first_ts: {extras['first_ts'] or '(none)'}",
        f"- last_ts: {extras['last_ts'] or '(none)'}",
        f"- malformed_count: {extras['malformed_count']}",
        f"- unclear_flags: {extras['unclear_flags']}",
        f"- producer_version: {extras['producer_version']}",
        *(
            f"- input: {file['name']} ({file['size_bytes']} bytes, sha256 {file['sha256']})"
            for file in extras["inputs"]
        ),
    ]
    if extras["not_understood"]:
        lines += ["", "## Not understood", ""]
        lines += bullets(
            f"{one['first']}: {one['what']} ({one['count']} x); {one['mend']}"
            for one in extras["not_understood"]
        )
    if extras["malformed"]:
        lines += ["", "## Malformed places", "", *bullets(extras["malformed"])]
    return lines


def _window_time(_context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    if not text:
        return None
    moment = parse_time(text)
    if moment is None:
        raise click.BadParameter(
            f"{text!r} is not an ISO-8601 time; write it like 2026-01-31T12:00:00Z", param=option
        )
    return text if text.endswith("Z") else format_time(moment)


def _ordered(start: str | None, end: str | None) -> None:
    """Refuse a window that ends before it begins.

    Raises:
        click.BadParameter: it does.
    """
    first, last = parse_time(start), parse_time(end)
    if first is not None and last is not None and last < first:
        raise click.BadParameter(
            f"the window ends ({end}) before it begins ({start}): exchange them"
        )


@click.command(name="producer", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--out-dir", default=DEFAULT_OUT_DIR, show_default=True, help="Where artifacts go.")
@click.option("--input", "input_path", default=None, help="Events: a file, or a journal directory.")
@click.option(
    "--input-format",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="auto goes by the file's ending; an unknown ending is read as JSON.",
)
@click.option(
    "--window-start", callback=_window_time, help="ISO-8601 UTC; default: now.", default=None
)
@click.option(
    "--window-end", callback=_window_time, help="ISO-8601 UTC; default: now.", default=None
)
def produce(
    out_dir: str,
    input_path: str | None,
    input_format: str,
    window_start: str | None,
    window_end: str | None,
) -> None:
    """Make execution evidence (PR-BG) from recorded execution events."""
    _ordered(window_start, window_end)
    try:
        value = build_evidence(
            Path(input_path) if input_path else None,
            input_format,
            utc_now(),
            window_start,
            window_end,
        )
        path = write_artifact(Path(out_dir), STEM, value, render_markdown(value))
    except OSError as error:
        raise click.ClickException(
            f"{error.filename or input_path}: {error.strerror}; nothing was written: check the "
            "path and its permissions, then run this again"
        ) from error
    click.echo(f"{summary(value)} -> {path}")
    extras = value["seatrial"]
    if isinstance(extras, dict) and not extras["understood"]:
        for one in extras["not_understood"]:
            click.echo(f"not understood: {one['first']}: {one['what']}; {one['mend']}", err=True)
        if extras["beyond_procedure"]:
            click.get_current_context().exit(EXIT_NOT_UNDERSTOOD)


def summary(value: dict[str, object]) -> str:
    """The artifact in one line; no count of errors where the input was not understood."""
    extras, sample = value["seatrial"], value["sample_size"]
    errors, anomalies = value["error_count"], value["anomaly_count"]
    if isinstance(extras, dict) and not extras["understood"]:
        told = f"NOT UNDERSTOOD: {sample} events read, how many errors and anomalies is not known"
        seen = [
            f"{count} {name}"
            for count, name in ((errors, "errors"), (anomalies, "anomalies"))
            if count
        ]
        return f"{told} (at least {' and '.join(seen)})" if seen else told
    if value["status"] == OK and not sample:
        return "OK: the input is there and holds no event: it shows nothing"
    return f"{value['status']}: {sample} events, {errors} errors, {anomalies} anomalies"
