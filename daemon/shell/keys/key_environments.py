"""Checks that a key is used with one environment only, and is no live key.

Rules of this file:
1. Our key is compared, before anything is connected, with every live key that this box knows:
   `live_…` names beside ours (systemd credentials, keyring, environment) and the files that
   `[credentials] live_files` names.
2. What was used on a real venue is remembered in the state directory as digests under a salt of its
   own, and compared at every later start, by every instance on this box that may read it.
3. What cannot be compared refuses: a doubt about a live key is no reason to go on. A stop asks none
   of this.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from daemon.errors import CredentialsRefused
from daemon.shell.keys.credentials import ENVIRONMENT_PREFIX, NAMES, ed25519_of, read_systemd
from daemon.shell.link.link_config import Credentials
from daemon.shell.process.whole_file import write_whole
from daemon.venues.hosts import SIM

LIVE_NAMES = tuple(f"live_{name}" for name in NAMES)
FILE_NAME = "keys-seen.json"
SEEN_MAX = 64
LIVE_FILE_BYTES_MAX = 1 << 20
SIBLINGS_MAX = 256
_PEM = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL
)
_BETWEEN_TOKENS = re.compile(rb"[^A-Za-z0-9+/_-]+")
_MEND = "make a key of its own on the testnet's own page (`seatrial keys new`)"


def check_distinct(
    mine: Credentials,
    environment: str,
    state_dir: Path,
    *,
    live_files: Iterable[Path] = (),
    keyring_service: str = "",
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Check that this key is used with `environment` alone, as far as this box knows.

    Raises:
        CredentialsRefused: it is a live key, or was seen with another environment, or that cannot
            be told.
    """
    for place, held in _known_live(keyring_service, environ):
        if shared := shared_with(held, mine):
            raise CredentialsRefused(f"{place} holds the same {shared}: a live key. {_MEND}")
    for path in live_files:
        if shared := shared_with(read_live_file(path), mine):
            raise CredentialsRefused(f"{path} holds the same {shared}: a live key. {_MEND}")
    if environment == SIM:
        return  # play money on loopback: its keys are made for each run
    for seen in _seen_files(state_dir):
        other = _environment_of(mine, seen)
        if other and other != environment:
            raise CredentialsRefused(
                f"this key was used with {other} before ({seen.parent}): testnet and live keys may "
                f"never be equal. {_MEND}"
            )


def remember(mine: Credentials, environment: str, state_dir: Path) -> None:
    """Note, as salted digests, that this key is used with `environment`; once is enough.

    Raises:
        CredentialsRefused: it cannot be noted.
    """
    if environment == SIM:
        return
    path = state_dir / FILE_NAME
    data = _read_seen(path)
    if _environment_of(mine, path) == environment:
        return
    salt = bytes.fromhex(data["salt"])
    digests = {name: _digest(salt, value) for name, value in _parts(mine).items()}
    data["seen"] = [*data["seen"], {"environment": environment, **digests}][-SEEN_MAX:]
    try:
        write_whole(path, [orjson.dumps(data) + b"\n"])
    except OSError as error:
        raise CredentialsRefused(f"{path}: {error.strerror}; check state_dir's owner") from error


def read_live_file(path: Path) -> bytes:
    """A file that holds live keys, in whatever form.

    Raises:
        CredentialsRefused: it cannot be read, or is too large to be a key file.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LIVE_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise CredentialsRefused(
            f"{path}: {error.strerror}: it cannot be shown that the keys differ; run it as a user "
            f"who may read it, or correct [credentials] live_files"
        ) from error
    if len(raw) > LIVE_FILE_BYTES_MAX:
        raise CredentialsRefused(
            f"{path} is too large to be a key file: it cannot be shown that the keys differ; "
            f"name the key file itself"
        )
    return raw


def tokens_of(raw: bytes) -> set[bytes]:
    """Every run of characters in a text that could be an API key."""
    return {token for token in _BETWEEN_TOKENS.split(raw) if token}


def shared_with(raw: bytes, mine: Credentials) -> str:
    """What some text shares with our key: "api_key", "api_secret", "private key" or nothing."""
    tokens = {hashlib.sha256(token).digest() for token in tokens_of(raw)}
    if hashlib.sha256(mine.api_key.encode()).digest() in tokens:
        return "api_key"
    if isinstance(mine.secret, bytes):
        return "api_secret" if mine.secret and mine.secret in raw else ""
    ours = mine.secret.private_bytes_raw()
    same = [hmac.compare_digest(ours, theirs) for theirs in _private_keys(raw)]
    return "private key" if any(same) else ""


def _known_live(keyring_service: str, environ: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Live keys that stand beside ours, each with where it stands."""
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if directory:
        held = read_systemd(Path(directory), LIVE_NAMES)
        yield from _named(f"systemd credentials in {directory}", held)
    if keyring_service:
        from daemon.shell.keys.keyring_source import read_keyring  # noqa: PLC0415 - slow, seldom used

        yield from _named(
            f"keyring service {keyring_service!r}", read_keyring(keyring_service, LIVE_NAMES)
        )
    told = {name: environ.get(ENVIRONMENT_PREFIX + name.upper(), "") for name in LIVE_NAMES}
    yield from _named("environment", told)


def _named(place: str, held: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    for name, value in held.items():
        if value:
            yield f"{place}: {name}", value.encode()


def _private_keys(raw: bytes) -> Iterator[bytes]:
    for block in _PEM.findall(raw.replace(b"\\n", b"\n")):
        with suppress(ValueError):  # encrypted, or of another kind: not our key in this form
            yield ed25519_of(block).private_bytes_raw()


# ------------------------------------------------------------------ what was seen before
def _parts(mine: Credentials) -> dict[str, bytes]:
    secret = mine.secret if isinstance(mine.secret, bytes) else mine.secret.private_bytes_raw()
    return {"api_key": mine.api_key.encode(), "secret": secret}


def _digest(salt: bytes, value: bytes) -> str:
    return hmac.new(salt, value, hashlib.sha256).hexdigest()


def _seen_files(state_dir: Path) -> list[Path]:
    """Our file of seen keys, and the readable ones of other instances."""
    mine = state_dir / FILE_NAME
    try:
        beside = sorted(state_dir.parent.glob(f"*/{FILE_NAME}"))[:SIBLINGS_MAX]
    except OSError:
        beside = []
    return [mine, *(path for path in beside if path != mine and _is_ours(path))]


def _is_ours(path: Path) -> bool:
    """Whether we may read it and nobody else could have put it there."""
    try:
        owner = path.stat().st_uid
    except OSError:
        return False
    return owner in {0, os.getuid()} and os.access(path, os.R_OK)


def _environment_of(mine: Credentials, path: Path) -> str:
    """The environment with which either half of this key was seen, or nothing."""
    data = _read_seen(path)
    salt = bytes.fromhex(data["salt"])
    digests = {name: _digest(salt, value) for name, value in _parts(mine).items()}
    for row in data["seen"]:
        if any(hmac.compare_digest(str(row[name]), digests[name]) for name in digests):
            return str(row["environment"])
    return ""


def _read_seen(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = orjson.loads(path.read_bytes())
        bytes.fromhex(data["salt"])
        for row in data["seen"]:
            _ = row["environment"], row["api_key"], row["secret"]
    except FileNotFoundError:
        return {"schema": 1, "salt": secrets.token_hex(32), "seen": []}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise CredentialsRefused(
            f"{path}: unreadable ({type(error).__name__}): it cannot be shown that this key was "
            f"used here only; restore it from a backup, or remove it when you are sure"
        ) from error
    return data
