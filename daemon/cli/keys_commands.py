"""`seatrial keys`: an Ed25519 key made on the box, and put where the daemon finds it.

Rules of this file:
1. A private key or an API key is never printed and never an argument.
2. Files are made with mode 0600 from their first byte, and never over one that is there, but for a
   credentials file whose keys are still empty, as `init` writes it.

Exit codes: 0 done; 1 refused or failed: the message says why and what to do.
"""

import contextlib
import os
import sys
import tomllib
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from control.tool.command_frame import Failure
from daemon.assembly import own_credentials
from daemon.cli.config_option import CONFIG, known_config
from daemon.errors import SeatrialError
from daemon.model.user_text import text_of
from daemon.shell.keys.credentials import account_fingerprint, load_credentials
from daemon.shell.process.secrecy import forbid_core_dumps

FILE = click.Path(dir_okay=False, path_type=Path)
API_KEY_CHARS_MAX = 512


@click.group("keys")
def keys_group() -> None:
    """Make a key on this box, store it, see where the daemon's key comes from."""
    forbid_core_dumps()


@keys_group.command("new")
@click.option(
    "--out", type=FILE, default=Path("key.pem"), show_default=True, help="The private key's file."
)
def keys_new(out: Path) -> None:
    """Make an Ed25519 key: the private half into a file (0600), the public half on stdout.

    Paste the public half at the testnet's own page; it answers with an API key.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write_new(out, pem)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    click.echo(public.decode(), nl=False)
    click.echo(
        f"seatrial: the private key is in {out} (mode 0600) and nowhere else. Paste the public key "
        f"above at the testnet's own page, then: seatrial keys file --key {out} "
        "--out FILE (what `[credentials] file` names)",
        err=True,
    )


@keys_group.command("file")
@click.option("--key", type=FILE, required=True, help="The private key's file, from `keys new`.")
@click.option(
    "--out",
    type=FILE,
    default=Path("credentials.toml"),
    show_default=True,
    help="The file for `[credentials] file`; one of `init` without keys is filled.",
)
def keys_file(key: Path, out: Path) -> None:
    """Put the private key and the API key into one credentials file (0600).

    The API key is asked for at a hidden prompt, or read from a pipe.
    """
    try:
        pem = key.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise Failure(
            f"{key}: cannot be read as a PEM key; make one with `seatrial keys new`"
        ) from None
    if sys.stdin.isatty():
        api_key = click.prompt("API key (from the testnet's page)", hide_input=True)
    else:
        api_key = sys.stdin.readline()
    api_key = api_key.strip()
    if not (api_key.isascii() and api_key.isalnum() and len(api_key) <= API_KEY_CHARS_MAX):
        raise Failure("an API key is letters and digits: copy the whole of it; nothing is written")
    text = f'api_key = "{api_key}"\ned25519_private_key = """\n{pem.strip()}\n"""\n'
    if '"""' in pem or "\\" in pem:
        raise Failure(f"{key}: is no PEM key; make one with `seatrial keys new`")
    made = out.with_name(f"{out.name}.new") if _is_empty(out) else out
    _write_new(made, text.encode())
    try:
        found = load_credentials(made, {})
    except SeatrialError as error:
        made.unlink()
        raise Failure(f"{error}; nothing was written") from error
    made.replace(out)
    account = account_fingerprint(found.api_key)
    click.echo(f"{out}: {found.kind} key of account {account}, mode 0600")
    click.echo(f"seatrial: now shred --remove {key}, or keep it somewhere safer", err=True)


@keys_group.command("check")
@CONFIG
def keys_check(config_path: Path) -> None:
    """Say where the daemon's key comes from, and that it belongs to its environment alone."""
    config = known_config(config_path)
    try:
        found = own_credentials(config.settings)
    except SeatrialError as error:
        raise Failure(str(error)) from error
    environment = config.settings.venue.environment
    click.echo(
        f"{found.kind} key of account {account_fingerprint(found.api_key)} from {found.source}; "
        f"no live key that this box knows, and of {environment} alone"
    )
    for warning in found.warnings:
        click.echo(f"seatrial: warning: {warning}", err=True)


def _is_empty(out: Path) -> bool:
    """Whether it is a credentials file that has no key yet."""
    try:
        told = tomllib.loads(text_of(out.read_bytes()))
        return "api_key" in told and not any(told.values())
    except (OSError, ValueError):
        return False


def _write_new(path: Path, content: bytes) -> None:
    """A file that was not there, for our eyes only, on the disk when this returns."""
    try:
        file_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Failure(
            f"{path} is there already and is never overwritten; take another --out"
        ) from None
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}; take another --out") from error
    try:
        with os.fdopen(file_fd, "wb") as out:
            os.fchmod(out.fileno(), 0o600)  # whatever the umask says
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise Failure(f"{path}: {error.strerror}; nothing was kept") from error
