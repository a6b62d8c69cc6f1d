"""Where keys come from. Never config, never argv, never the journal.

Rules of this file:
1. The first source that holds an `api_key` is taken, in this order: systemd credentials
   ($CREDENTIALS_DIRECTORY), the keyring, a file of mode 0600, the environment.
2. The environment is taken with a warning: every process of this user may have seen it. What was
   read from it is removed from it, so that no child inherits it.
3. A source that cannot be read is named in the refusal; no text of a source ever is.

systemd and keyring hold `api_key` and `api_secret` (HMAC) or `ed25519_private_key` (PEM) by name;
the file is TOML with the same names; the environment has them as SEATRIAL_API_KEY and so on.
"""

import hashlib
import os
import stat
import tomllib
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.errors import CredentialsRefused
from daemon.model.copies import replace
from daemon.model.user_text import text_of
from daemon.shell.link.link_config import Credentials

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAMES = ("api_key", "api_secret", "ed25519_private_key")
ENVIRONMENT_PREFIX = "SEATRIAL_"
FROM_SYSTEMD, FROM_KEYRING, FROM_FILE, FROM_ENVIRONMENT = (
    "systemd credentials", "keyring", "file", "environment",
)  # fmt: skip
ENVIRONMENT_WARNING = (
    "the key comes from the environment, where every process of this user and every crash report "
    "may see it; use systemd credentials, the keyring or a file of mode 0600"
)


def load_credentials(
    file: Path | None,
    environ: MutableMapping[str, str] = os.environ,
    *,
    keyring_service: str = "",
) -> Credentials:
    """Find the venue key; see the order above.

    Args:
        file: `[credentials] file`.
        environ: holds $CREDENTIALS_DIRECTORY, and keys as a last resort (which are removed).
        keyring_service: `[credentials] keyring_service`; empty: the keyring is not asked.

    Raises:
        CredentialsRefused: saying where it was looked for and what to do.
    """
    doubts: list[str] = []
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if directory and (Path(directory) / "api_key").exists():
        found = _build(read_systemd(Path(directory), NAMES), FROM_SYSTEMD, f"in {directory}")
        return _warned(found, _open_to_all(Path(directory)))
    if keyring_service:
        from daemon.shell.keys.keyring_source import read_keyring  # noqa: PLC0415 - slow, seldom used

        try:
            held = read_keyring(keyring_service, NAMES)
        except CredentialsRefused as error:
            doubts.append(str(error))
        else:
            if held.get("api_key"):
                return _build(held, FROM_KEYRING, f"service {keyring_service!r}")
            doubts.append(f"the keyring's service {keyring_service!r} has no api_key")
    if file is not None:
        return _warned(_build(_read_file(file), FROM_FILE, str(file)), doubts)
    told = _take_from_environment(environ)
    if told.get("api_key"):
        found = _build(told, FROM_ENVIRONMENT, f"${ENVIRONMENT_PREFIX}API_KEY")
        return _warned(found, [*doubts, ENVIRONMENT_WARNING])
    looked = f" ({'; '.join(doubts)})" if doubts else ""
    raise CredentialsRefused(
        f'no key{looked}: set [credentials] file = "…" (mode 0600) or keyring_service, or '
        "LoadCredential=api_key and api_secret in the unit"
    )


def account_fingerprint(api_key: str) -> str:
    """Which account, without the key: the first 16 hex digits of SHA-256 of the API key."""
    return hashlib.sha256(api_key.encode()).hexdigest()[:16]


def read_systemd(directory: Path, names: tuple[str, ...]) -> dict[str, str]:
    """The named credentials that the service manager passed.

    Raises:
        CredentialsRefused: one cannot be read.
    """
    found: dict[str, str] = {}
    for name in names:
        path = directory / name
        try:
            found[name] = path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise CredentialsRefused(f"{path}: {error.strerror}; check the unit's User=") from error
        except UnicodeDecodeError:
            raise CredentialsRefused(f"{path}: is not text; store the key as shown") from None
    return found


def _open_to_all(directory: Path) -> list[str]:
    """Sentences for key files that others may read; not refused: container secrets are so."""
    return [
        f"{directory / name}: every user here may read it; chmod 600 it, unless this is a container"
        for name in NAMES
        if (directory / name).exists() and (directory / name).stat().st_mode & stat.S_IRWXO
    ]


def _take_from_environment(environ: MutableMapping[str, str]) -> dict[str, str]:
    taken = {name: environ.pop(ENVIRONMENT_PREFIX + name.upper(), "") for name in NAMES}
    return {name: value for name, value in taken.items() if value}


def private_bytes(file: Path, key: str) -> bytes:
    """The bytes of a file that nobody else may read; `key` is what the configuration calls it.

    Raises:
        CredentialsRefused: it is no file, others may read or change it, or it cannot be read.
    """
    try:
        found = file.stat()
        mode = stat.S_IMODE(found.st_mode)
        if not stat.S_ISREG(found.st_mode):
            raise CredentialsRefused(f"{file}: is no file; check {key}")
        if mode & 0o077:
            raise CredentialsRefused(
                f"{file}: mode {mode:04o} lets others read it; chmod 600 {file}"
            )
        if os.getuid() != 0 and found.st_uid not in {0, os.getuid()}:
            raise CredentialsRefused(
                f"{file}: belongs to uid {found.st_uid}, who could change it; "
                f"chown {os.getuid()} {file} && chmod 600 {file}"
            )
        return file.read_bytes()
    except OSError as error:
        raise CredentialsRefused(f"{file}: {error.strerror}; check {key}") from error


def _read_file(file: Path) -> dict[str, str]:
    try:
        data = tomllib.loads(text_of(private_bytes(file, "credentials.file")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        # The parser's message could quote the line, and the line may be the secret.
        raise CredentialsRefused(f'{file}: is not TOML; write api_key = "…"') from None
    unknown = [key for key in data if key not in NAMES]
    if unknown:
        raise CredentialsRefused(f"{file}: unknown key {unknown[0]}; known: {', '.join(NAMES)}")
    return {key: str(value) for key, value in data.items()}


def _warned(found: Credentials, doubts: list[str]) -> Credentials:
    return replace(found, warnings=tuple(doubts))


def _build(found: Mapping[str, str], source: str, where: str) -> Credentials:
    place = where if source == FROM_FILE else f"{source} {where}"
    if not found.get("api_key"):
        raise CredentialsRefused(f"{place}: api_key is missing")
    if found.get("api_secret"):
        return Credentials(
            api_key=found["api_key"],
            secret=found["api_secret"].encode(),
            kind="hmac",
            source=source,
        )
    if not found.get("ed25519_private_key"):
        raise CredentialsRefused(f"{place}: api_secret or ed25519_private_key is missing")
    return _ed25519(found, source, place)


def _ed25519(found: Mapping[str, str], source: str, place: str) -> Credentials:
    try:
        key = ed25519_of(found["ed25519_private_key"].encode())
    except OtherKindError:
        raise CredentialsRefused(
            f"{place}: RSA and others are not taken; make an Ed25519 key with `seatrial keys new`"
        ) from None
    except ValueError:
        raise CredentialsRefused(
            f"{place}: ed25519_private_key is not an unencrypted PEM key; `seatrial keys new` "
            "makes one"
        ) from None
    return Credentials(api_key=found["api_key"], secret=key, kind="ed25519", source=source)


class OtherKindError(ValueError):
    """A private key, and not an Ed25519 one."""


def ed25519_of(pem: bytes) -> "Ed25519PrivateKey":
    """The private key of a PEM text.

    Raises:
        ValueError: it holds none that can be read without a password.
        OtherKindError: it is of another kind.
    """
    # Imported here: an HMAC key needs none of it, and a stop waits for every import.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see above
        load_pem_private_key,
    )

    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("not an unencrypted PEM private key") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise OtherKindError("not an Ed25519 key")
    return key
