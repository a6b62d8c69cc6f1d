"""Writing an artifact: JSON (UTF-8, two-space indent, newline at the end) and its Markdown twin.

Rules of this file:
1. A reader never sees half an artifact: each file is written beside its place, then renamed.
2. The Markdown twin is written first, so that a JSON file never stands without its twin.
3. What seatrial adds to a compatible artifact stands under the one key `seatrial`.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

DEFAULT_OUT_DIR = "reports/status"


def write_atomically(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path` in one step; parents are made.

    Raises:
        OSError: the place cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(text, encoding="utf-8", newline="\n", errors="backslashreplace")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def to_json(value: object) -> str:
    """The JSON text of an artifact. A float that JSON lacks (a foreign NaN) becomes null."""
    return json.dumps(_sayable(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _sayable(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _sayable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_sayable(item) for item in value]
    return value


def write_artifact(
    out_dir: Path, stem: str, value: Mapping[str, object], markdown: Iterable[str]
) -> Path:
    """Write `<stem>.json` and `<stem>.md` into `out_dir`; returns the JSON file's path."""
    path = out_dir / f"{stem}.json"
    text = to_json(value)
    write_atomically(out_dir / f"{stem}.md", "\n".join(markdown) + "\n")
    write_atomically(path, text)
    return path


def set_aside(out_dir: Path, stem: str) -> None:
    """Rename an older artifact to `.stale`, so that an outdated verdict is not read."""
    for suffix in (".json", ".md"):
        old = out_dir / f"{stem}{suffix}"
        if old.exists():
            old.replace(old.with_name(old.name + ".stale"))


def bullets(items: Iterable[object]) -> list[str]:
    """Markdown bullets; `(none)` where there is nothing to list."""
    lines = [f"- {one_line(item)}" for item in items]
    return lines or ["- (none)"]


def one_line(value: object) -> str:
    """Text for one line of Markdown: line ends cannot forge a heading or another bullet."""
    return " ".join(str(value).split())
