"""Keys that bots sign with: one file a bot (mode 0600) in `bots/` of the state directory.

Rules of this file:
1. Of an HMAC key the secret is kept, because its check needs it; of an Ed25519 key the public half
   alone. Neither is ever logged or journalled.
2. A file is replaced whole. A running daemon looks at the folder again when it has changed.
"""

import hashlib
import hmac
import os
import secrets
import stat
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import orjson

from daemon.errors import CredentialsRefused
from daemon.model.copies import replace
from daemon.shell.process.whole_file import write_whole
from daemon.venues.binance_spot.serving.registered_keys import (
    ApiKey,
    PublicKeyFileError,
    ed25519_key,
)

FOLDER = "bots"
_KEY_CHARS = 64
_LETTERS = string.ascii_letters + string.digits


class BotKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key; exactly one of `secret` (HMAC-SHA256) and `public_pem` (Ed25519) is set."""

    bot: str
    api_key: str
    secret: str = ""
    public_pem: str = ""
    created_ns: int = 0
    revoked_ns: int = 0
    """0: it is not."""

    def __repr__(self) -> str:
        return f"BotKey(bot={self.bot!r}, api_key={self.api_key!r}, created_ns={self.created_ns})"

    @property
    def kind(self) -> str:
        """`hmac` or `ed25519`; only the latter may log a session on."""
        return "ed25519" if self.public_pem else "hmac"

    @property
    def fingerprint(self) -> str:
        """What may be shown of it: 16 hex digits of the key's SHA-256."""
        return digest_of(self.api_key)[:16]

    def served(self, *, can_trade: bool) -> ApiKey:
        """As the dialect checks it.

        Raises:
            CredentialsRefused: its PEM text holds no Ed25519 public key.
        """
        if not self.public_pem:
            return ApiKey(
                api_key=self.api_key, account=self.bot, secret=self.secret, can_trade=can_trade
            )
        try:
            made = ed25519_key(self.public_pem.encode(), api_key=self.api_key, account=self.bot)
        except PublicKeyFileError as error:
            raise CredentialsRefused(
                f"the public key of {self.bot}: {error}; `seatrial keys new` makes a pair, and "
                "prints the public half"
            ) from None
        return replace(made, can_trade=can_trade)


def digest_of(api_key: str) -> str:
    """SHA-256 of an API key, in hex: what is compared and told instead of it."""
    return hashlib.sha256(api_key.encode("utf-8", "surrogateescape")).hexdigest()


def new_key(bot: str, now_ns: int, public_pem: str = "") -> BotKey:
    """Make a key: HMAC, or for an Ed25519 public key that the bot's owner has made.

    Raises:
        CredentialsRefused: the PEM text holds no Ed25519 public key.
    """
    made = BotKey(
        bot=bot,
        api_key=_random(),
        secret="" if public_pem else _random(),
        public_pem=public_pem,
        created_ns=now_ns,
    )
    made.served(can_trade=True)
    return made


def check_new(state_dir: Path, bot: str, *, replaces: bool) -> None:
    """Whether a key may be made for a bot; `replaces`: in the place of one that it has.

    Raises:
        CredentialsRefused: it has one, or had one that was revoked: the engine knows that name as
            revoked for ever, and so does the record.
        OSError: the file cannot be read.
    """
    path = state_dir / FOLDER / f"{bot}.json"
    if not path.exists():
        return
    if read_key(path).revoked_ns:
        raise CredentialsRefused(
            f"the key of {bot} was revoked, and a revoked name stays so; add a table "
            "[bots.ANOTHER_NAME] to the configuration, restart, and make a key for it"
        )
    if not replaces:
        raise CredentialsRefused(
            f"{bot} has a key already; --replace makes another in its place, and the old one is "
            "refused from then on"
        )


def write_key(state_dir: Path, key: BotKey) -> Path:
    """Write a key's file whole, durable when this returns.

    Raises:
        OSError: it cannot be written.
    """
    folder = state_dir / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{key.bot}.json"
    plain = msgspec.structs.asdict(key)
    write_whole(path, [orjson.dumps(plain)])
    return path


def read_key(path: Path) -> BotKey:
    """Read one key's file.

    Raises:
        CredentialsRefused: others may read it, or it is no key file.
        OSError: it cannot be read.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise CredentialsRefused(f"{path}: mode {mode:04o} lets others read it; chmod 600 {path}")
    try:
        told: dict[str, Any] = orjson.loads(path.read_bytes())
        return BotKey(**told)
    except (ValueError, TypeError):  # the parser's message could quote the secret
        raise CredentialsRefused(
            f"{path}: is no key file; remove it and make a new key with `seatrial bot new`"
        ) from None


def read_keys(state_dir: Path) -> list[BotKey]:
    """Every key of a state directory, by bot.

    Raises:
        CredentialsRefused, OSError: one of the files cannot be used; the message names it.
    """
    return [read_key(path) for path in sorted((state_dir / FOLDER).glob("*.json"))]


class KeyRing:
    """The keys of the bots that the configuration names, as the files say now."""

    def __init__(self, state_dir: Path, bots: Mapping[str, bool], *, venue_key_digest: str) -> None:
        """`bots`: by name, whether its key may trade.

        `venue_key_digest`: SHA-256 of the daemon's own API key (`digest_of`), never the key.

        Raises:
            CredentialsRefused, OSError: a key file cannot be used.
        """
        self._state_dir = state_dir
        self._folder = str(state_dir / FOLDER)
        self._bots = dict(bots)
        self._venue_key_digest = venue_key_digest
        self._changed_ns = -1
        self._files: frozenset[int] = frozenset()
        self.keys: Mapping[str, ApiKey] = {}
        """By API key; a key's account is its bot."""
        self.revoked: frozenset[str] = frozenset()
        """Bots whose key was revoked, also while no daemon ran."""
        self.refresh()

    def refresh(self, *, thorough: bool = False) -> frozenset[str]:
        """Look whether the folder has changed; returns bots whose key is gone or another one.

        `thorough`: at the files too, as two changes may bear the same time.

        Raises:
            CredentialsRefused, OSError: a key file cannot be used.
        """
        try:
            changed_ns = os.stat(self._folder).st_mtime_ns  # noqa: PTH116 - at every request
        except FileNotFoundError:
            return frozenset()
        if changed_ns == self._changed_ns and not thorough:
            return frozenset()
        with os.scandir(self._folder) as entries:
            files = frozenset(entry.inode() for entry in entries)  # each change is a new file
        if changed_ns == self._changed_ns and files == self._files:
            return frozenset()
        had = self.keys
        found = [key for key in read_keys(self._state_dir) if key.bot in self._bots]
        self.keys = {
            key.api_key: key.served(can_trade=self._bots[key.bot])
            for key in found
            if not key.revoked_ns
        }
        self.revoked = frozenset(key.bot for key in found if key.revoked_ns)
        self._changed_ns, self._files = changed_ns, files
        return frozenset(key.account for name, key in had.items() if name not in self.keys)

    def is_venue_key(self, api_key: str) -> bool:
        """Whether somebody uses the daemon's own key here; compared in constant time."""
        return hmac.compare_digest(digest_of(api_key), self._venue_key_digest)

    def signer_of(self, payload: bytes, signature: str, claimed: str) -> str:
        """Which *other* bot's key made a signature that `claimed`'s did not make; empty: none."""
        for key in self.keys.values():
            if key.account != claimed and key.accepts(payload, signature):
                return key.account
        return ""

    def bots(self) -> frozenset[str]:
        """Bots that have a key in force."""
        return frozenset(key.account for key in self.keys.values())


def _random() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_KEY_CHARS))
