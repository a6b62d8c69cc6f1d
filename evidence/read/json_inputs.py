"""Reading a gate's inputs: JSON artifacts and arrays of CI runs.

Rules of this file:
1. Missing and malformed are two things. A file that is not there (or holds `null`) is a missing
   input and the gate's own rule decides. A file that is there but cannot be read as what it should
   be is an error: one line on stderr naming the file and the mend, exit code 1, no verdict.
2. Every input that was read is named in the artifact's provenance with its SHA-256.
3. Absent fields have the meaning that the gate's rule gives them; a field of the wrong kind is
   malformed, it never counts as a good value.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

import msgspec

JsonObject = dict[str, object]


class MalformedInputError(Exception):
    """An input that is there but cannot be used; the text names the file, the fault, the mend."""

    def __init__(self, path: Path | str, fault: str, mend: str) -> None:
        super().__init__(f"{path}: {fault}; {mend}")


class Artifact(msgspec.Struct, frozen=True):
    """A JSON object that another gate wrote, or its absence."""

    role: str
    path: Path | None
    value: JsonObject | None
    sha256: str | None = None
    size_bytes: int | None = None

    @property
    def is_missing(self) -> bool:
        """No file, or a file that holds `null`."""
        return self.value is None

    def get(self, key: str) -> object:
        """A field; None when the artifact or the field is absent."""
        return None if self.value is None else self.value.get(key)

    def text(self, key: str, default: str) -> str:
        """A text field; `default` when it is absent, null or empty.

        Raises:
            MalformedInputError: the field is neither text nor absent.
        """
        value = self.get(key)
        if value is None or value == "":
            return default
        if not isinstance(value, str):
            raise self.wrong(key, "text")
        return value

    def count(self, key: str) -> int:
        """A whole number; 0 when it is absent. Digits in text are taken.

        Raises:
            MalformedInputError: the field is there and is not a whole number.
        """
        if self.value is None or key not in self.value:
            return 0
        value = self.value[key]
        if isinstance(value, str) and value.strip().removeprefix("+").isdecimal():
            return int(value)
        if isinstance(value, float) and value.is_integer() and value >= 0:
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.wrong(key, "a whole number that counts something")
        return value

    def wrong(self, key: str, wanted: str) -> MalformedInputError:
        """The error for a field of the wrong kind."""
        return MalformedInputError(self.path or self.role, f"`{key}` is not {wanted}", _MAKE_AGAIN)

    def provenance(self) -> JsonObject:
        """What the artifact says about this input."""
        return _provenance(self)


class RunList(msgspec.Struct, frozen=True):
    """CI runs, newest first, and where they were read."""

    role: str
    path: Path | None
    runs: Sequence[JsonObject]
    is_missing: bool = False
    sha256: str | None = None
    size_bytes: int | None = None

    def provenance(self) -> JsonObject:
        """What the artifact says about this input."""
        return _provenance(self)


def _provenance(read: Artifact | RunList) -> JsonObject:
    return {
        "role": read.role,
        "name": read.path.name if read.path else None,
        "present": not read.is_missing,
        "sha256": read.sha256,
        "size_bytes": read.size_bytes,
    }


_MAKE_AGAIN = "make it again with the command that writes it, or point at the right file"


def load_artifact(role: str, path_text: str | None) -> Artifact:
    """Read a JSON object.

    Raises:
        MalformedInputError: the file is there and does not hold a JSON object.
    """
    if not path_text:
        return Artifact(role, None, None)
    path = Path(path_text)
    raw = _read(path)
    if raw is None:
        return Artifact(role, path, None)
    value = _parse(path, raw)
    digest = hashlib.sha256(raw).hexdigest()
    if value is None:
        return Artifact(role, path, None, digest, len(raw))
    if not isinstance(value, dict):
        raise MalformedInputError(path, f"holds {_kind(value)}, not a JSON object", _MAKE_AGAIN)
    for key in value:
        meant = _DECIDING.get(_plain(key), key)
        if meant != key and meant not in value:
            raise MalformedInputError(path, f"{key!r} looks like {meant!r}", _MAKE_AGAIN)
    return Artifact(role, path, value, digest, len(raw))


def _plain(key: str) -> str:
    """A key without case and separators."""
    return "".join(letter for letter in key.lower() if letter.isalnum())


_DECIDING = {
    _plain(name): name
    for name in ("status", "sample_size", "error_count", "anomaly_count", "overall_ok", "decision")
}
"""Keys that decide a gate: one that is nearly such a key is told, not taken as absent."""


def load_runs(role: str, path_text: str) -> RunList:
    """Read an array of CI runs, or the GitHub API's `{"workflow_runs": […]}`.

    A missing file is an empty list: no run can be shown.

    Raises:
        MalformedInputError: the file is there and does not hold an array of objects.
    """
    path = Path(path_text)
    raw = _read(path)
    if raw is None:
        return RunList(role, path, (), is_missing=True)
    value = _parse(path, raw)
    if isinstance(value, dict) and isinstance(value.get("workflow_runs"), list):
        value = value["workflow_runs"]
    return RunList(
        role,
        path,
        check_runs(path, value),
        is_missing=value is None,
        sha256=hashlib.sha256(raw).hexdigest(),
        size_bytes=len(raw),
    )


def check_runs(source: Path | str, value: object) -> list[JsonObject]:
    """An array of run objects; null is an empty one.

    Raises:
        MalformedInputError: it is not an array of objects.
    """
    if value is None:
        return []
    mend = "write the output of `gh run list --json …` or of the local run history there"
    if not isinstance(value, list):
        raise MalformedInputError(source, f"holds {_kind(value)}, not an array of runs", mend)
    for index, run in enumerate(value, start=1):
        if not isinstance(run, dict):
            raise MalformedInputError(source, f"run {index} is {_kind(run)}, not an object", mend)
    return value


def number(value: object) -> float | None:
    """A finite or infinite number; None for anything else (text, true, NaN, null)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        as_float = float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    return None if math.isnan(as_float) else as_float


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise MalformedInputError(
            path, f"cannot be read ({error.strerror})", "check the path and its permissions"
        ) from error


def _parse(path: Path, raw: bytes) -> object:
    try:
        return json.loads(raw.decode("utf-8-sig"), object_pairs_hook=once_each)
    except UnicodeDecodeError as error:
        raise MalformedInputError(path, "is not UTF-8 text", _MAKE_AGAIN) from error
    except json.JSONDecodeError as error:
        fault = f"is not JSON (line {error.lineno}, column {error.colno}: {error.msg})"
        raise MalformedInputError(path, fault, _MAKE_AGAIN) from error
    except (ValueError, RecursionError) as error:
        raise MalformedInputError(path, f"is not usable JSON ({error})", _MAKE_AGAIN) from error


def once_each(pairs: list[tuple[str, object]]) -> JsonObject:
    """A JSON object, refused when a key stands twice in it.

    Raises:
        ValueError: one does; which of the two counts, each reader would decide for itself.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {twice!r} stands twice in one object")
    return made


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return {dict: "an object", list: "an array", str: "text", bool: "true or false"}.get(
        type(value), "a number"
    )
