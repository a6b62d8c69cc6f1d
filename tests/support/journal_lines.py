"""The lines of a journal that its daemon may be writing: one that is not whole yet is left out."""

import json
from pathlib import Path
from typing import Any


def journal_lines(state_dir: Path, event_type: str = "") -> list[dict[str, Any]]:
    """Every whole line of the unpacked segments, or those of one type, in their order."""
    rows = [
        row
        for path in sorted((state_dir / "journal").glob("journal-*.jsonl"))
        for row in path.read_bytes().split(b"\n")[:-1]
        if not event_type or f'"event_type":"{event_type}"'.encode() in row
    ]
    lines = [json.loads(row) for row in rows]
    return [one for one in lines if not event_type or one["event_type"] == event_type]
