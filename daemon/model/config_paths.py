"""Where a path of the configuration lies. One rule for everybody who reads one.

An absolute path is what it says. A relative one begins at the folder of the configuration file
(links resolved), never at the folder where a command happens to be typed: the daemon, the stop from
a second process and every other command must find the same state directory. `~` is refused: it
means another folder for the service's user than for the person who types.
"""

from pathlib import Path


def place_of(written: str | Path, base: Path) -> Path:
    """The absolute path that is meant. `base` is the folder of the configuration file.

    Raises:
        ValueError: it is empty or begins with `~`; the message names the mend.
    """
    text = str(written)
    if not text or "\0" in text:
        raise ValueError("is empty; write a path")
    if text.startswith("~"):
        raise ValueError(f"{text!r}: `~` is another folder for every user; write the path in full")
    return base / text


def base_of(config: Path) -> Path:
    """The folder at which relative paths of a configuration file begin."""
    return config.resolve().parent
