"""Configuration without secrets, for evidence that leaves the box.

Secrets have no place in a seatrial configuration; this file makes sure of it once more before
anything is packed: by the names of keys, and by credentials inside URLs.
"""

import re
from pathlib import Path

from evidence.read.toml_text import TomlError, read_toml

REDACTED = "REDACTED"
_SECRET_NAME = re.compile(
    r"secret|password|passphrase|passwd|token|credential|private|api_?key|signature", re.IGNORECASE
)
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


class ConfigError(Exception):
    """A configuration cannot be read, so it may hold a secret."""


def redacted_config(path: Path) -> dict[str, object]:
    """A TOML configuration as plain values, every secret replaced.

    Raises:
        ConfigError: it cannot be read as TOML.
    """
    try:
        value = read_toml(path)
    except (OSError, TomlError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: {why}; what cannot be read is not packed") from error
    return {key: redacted(item, key) for key, item in value.items()}


def redacted(value: object, name: str = "") -> object:
    """A plain value without secrets: every value under a secret's name is replaced."""
    if _SECRET_NAME.search(name):
        return REDACTED
    if isinstance(value, dict):
        return {str(key): redacted(item, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [redacted(item) for item in value]
    if isinstance(value, str):
        return _URL_CREDENTIALS.sub(f"{REDACTED}@", value)
    if value is None or isinstance(value, (bool, int)):
        return value
    return str(value)  # dates and floats: as text, exactly as they were written
