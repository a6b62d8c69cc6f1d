"""Reads TOML that people wrote: UTF-8, with or without a byte order mark.

Rules of this file:
1. A byte-order mark of UTF-8 is no fault: editors write it. Any other encoding is named.
2. The text of an error never quotes the file: it may hold a key.
"""

import codecs
import tomllib
from pathlib import Path
from typing import Any

_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class TomlError(ValueError):
    """It is no TOML; the text says what it is, where the fault lies, and the mend."""


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a file.

    Raises:
        OSError: it cannot be read.
        TomlError: it is in another encoding, or no TOML.
    """
    raw = path.read_bytes()
    for mark, encoding in _MARKS.items():
        if raw.startswith(mark):
            raise TomlError(f"it is {encoding}; save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise TomlError(f"line {line} is not UTF-8; save it as UTF-8") from None
    if "\0" in text:
        raise TomlError("it holds zero bytes, as UTF-16 without its mark does; save it as UTF-8")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise TomlError("its values are nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        _, _, place = str(error).rpartition("(at ")
        where = f" (at {place}" if place.startswith("line") else ""
        raise TomlError(f"it is not TOML{where}; correct that line") from None
