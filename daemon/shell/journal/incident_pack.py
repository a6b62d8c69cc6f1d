"""Incident packs: what is known of an incident, gathered the moment it opens, off the main loop.

`<state_dir>/incidents/<incident_id>/` holds `note.md` (for humans, with room for their words),
`journal.jsonl` (the lines around it, byte for byte), `status.json` (the daemon's status as last
published) and `SHA256SUMS`.

Rules of this file:
1. The main loop only queues; a thread reads the journal and writes. A full queue loses nothing but
   time: the next event, or the next boot, writes the pack.
2. What a human wrote below the marker of `note.md` is kept at every rewrite.
3. A pack that cannot be written is logged; trading has been halted by then anyway.
"""

import hashlib
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from daemon.model.incident_note import MARKER, note
from daemon.model.records import EventType
from daemon.shell.journal.segments import segments, tail_of

log = logging.getLogger("seatriald.incidents")

DIRECTORY_NAME = "incidents"
BEFORE_NS = 60_000_000_000
AFTER_NS = 120_000_000_000
SEGMENT_BYTES_MAX = 16 * 1024 * 1024
"""So much of the end of a segment is read."""
LINES_MAX = 20_000
SETTLE_S = 0.25
"""Lines of the same burst come together; the pack is written once for them."""
_QUEUE_MAX = 256
_STOP_S = 10.0
_CONCERNING = frozenset(
    {
        EventType.INCIDENT_OPENED,
        EventType.INCIDENT_RESOLVED,
        EventType.EXPLANATION,
        EventType.SESSION_STOP,
        EventType.KILL,
        EventType.RE_ARM,
    }
)
"""After one of these, the packs that are still written on are written anew."""
_LATER = frozenset({"incident_resolved", "explanation", "kill", "re_arm", "session_stop"})


class IncidentPacks:
    """A `RecordSink` on the main loop, and the thread that writes."""

    hears = _CONCERNING

    def __init__(
        self,
        state_dir: Path,
        *,
        status: Callable[[], Mapping[str, Any]],
        run_id: str,
        binding: Mapping[str, Any],
    ) -> None:
        """Nothing is read or written before `start`; `binding` is what this run is bound to."""
        self._directory = state_dir / DIRECTORY_NAME
        self._journal = state_dir / "journal"
        self._status = status
        self._queue: queue.Queue[str | None] = queue.Queue(maxsize=_QUEUE_MAX)
        self._open: set[str] = set()
        self._bindings: dict[str, Mapping[str, Any]] = {run_id: binding}
        """By run id: an incident of an earlier run has that run's."""
        self._thread = threading.Thread(target=self._run, name="incident-packs", daemon=True)

    # ------------------------------------------------------------------ the main loop's side
    def on_record(self, event_type: EventType, fields: Mapping[str, Any], ts_ns: int) -> None:
        """One line was appended to the journal; nothing is waited for."""
        del event_type, ts_ns
        try:
            self._queue.put_nowait(str(fields.get("incident_id") or ""))
        except queue.Full:
            log.warning("incident packs: the queue is full; the next event writes them")

    def start(self, known: Iterable[str]) -> None:
        """Begin; `known` are unresolved incidents of earlier runs, whose packs are completed."""
        for incident_id in known:
            self._open.add(incident_id)
        if self._open:
            self._queue.put_nowait("")
        self._thread.start()

    def stop(self) -> None:
        """Write what is queued and end the thread."""
        if not self._thread.is_alive():
            return
        self._queue.put(None)
        self._thread.join(timeout=_STOP_S)

    # ------------------------------------------------------------------ the thread
    def _run(self) -> None:
        going = True
        while going:
            wanted, going = self._next()
            self._open |= {incident_id for incident_id in wanted if incident_id}
            for incident_id in sorted(self._open):
                try:
                    if self.write(incident_id):
                        self._open.discard(incident_id)
                except (OSError, ValueError, KeyError, TypeError) as error:
                    log.exception("incident %s: its pack cannot be written: %s", incident_id, error)

    def _next(self) -> tuple[set[str], bool]:
        """Wait for work and for the burst around it; False at the end."""
        wanted = {self._queue.get()}
        while None not in wanted:
            try:
                wanted.add(self._queue.get(timeout=SETTLE_S))
            except queue.Empty:
                break
        return {one for one in wanted if one is not None}, None not in wanted

    def write(self, incident_id: str) -> bool:
        """Write one pack from the journal as it is now; True when the incident is resolved.

        Raises:
            OSError: the journal cannot be read or the pack not be written.
        """
        raw, lines = self._lines_of(incident_id)
        opened = next((line for line in lines if _opens(line, incident_id)), None)
        if opened is None:
            return False  # not flushed yet, or beyond what is read: the next event asks again
        directory = self._directory / incident_id
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        note_path = directory / "note.md"
        binding = self._bindings.get(str(opened.get("run_id")), {})
        status = orjson.dumps(dict(self._status()), default=str, option=orjson.OPT_INDENT_2)
        files = {
            "journal.jsonl": b"".join(data + b"\n" for data in raw),
            "note.md": (note(opened, lines, binding) + _handwritten(note_path)).encode(),
        }
        if not (directory / "status.json").exists():
            files["status.json"] = status
        for name, data in files.items():
            _write_whole(directory / name, data)
        _write_whole(directory / "SHA256SUMS", _sums(directory))
        return any(_resolves(line, incident_id) for line in lines)

    def _lines_of(self, incident_id: str) -> tuple[list[bytes], list[dict[str, Any]]]:
        """Lines around the incident and later ones that concern it, in order.

        Returned as they stand in the journal, and read, without the inputs: those are by far the
        most, and nobody reads them here.
        """
        before: deque[tuple[int, bytes]] = deque(maxlen=LINES_MAX)
        found: list[bytes] = []
        opened_ns: int | None = None
        for data in self._tail():
            try:
                line = orjson.loads(data)
                ts_ns, kind = int(line["ts_ns"]), str(line["event_type"])
            except (KeyError, TypeError, ValueError):
                continue
            if kind == EventType.RUN_START:
                self._bindings.setdefault(str(line.get("run_id")), line)
            if _opens(line, incident_id):
                opened_ns = ts_ns
                found = [one for at_ns, one in before if at_ns >= ts_ns - BEFORE_NS]
            if opened_ns is None:
                before.append((ts_ns, data))
                while before[0][0] < ts_ns - BEFORE_NS:
                    before.popleft()
            elif (kind in _LATER and line.get("incident_id", incident_id) == incident_id) or (
                ts_ns <= opened_ns + AFTER_NS and len(found) < 2 * LINES_MAX
            ):
                found.append(data)
        read = (orjson.loads(data) for data in found)
        return found, [line for line in read if line["event_type"] != EventType.INPUT]

    def _tail(self) -> Iterable[bytes]:
        for path in segments(self._journal)[-2:]:
            yield from tail_of(path, SEGMENT_BYTES_MAX)


def _opens(line: Mapping[str, Any], incident_id: str) -> bool:
    return (line.get("event_type"), line.get("incident_id")) == ("incident_opened", incident_id)


def _resolves(line: Mapping[str, Any], incident_id: str) -> bool:
    return (line.get("event_type"), line.get("incident_id")) == ("incident_resolved", incident_id)


def _handwritten(path: Path) -> str:
    """The text below the marker of an existing note."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return text.partition(MARKER + "\n")[2]


def _sums(directory: Path) -> bytes:
    """The content of SHA256SUMS, as `sha256sum --check` reads it."""
    names = sorted(path.name for path in directory.iterdir() if path.suffix in {".jsonl", ".json"})
    rows = [f"{hashlib.sha256((directory / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    return "".join(rows).encode()


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    partial.replace(path)
