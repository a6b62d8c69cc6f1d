"""`seatrial evidence pack`, `keygen`, and the pack's side of `verify`.

Exit codes: 0 done, or the pack is as it was signed; 2 the pack was changed; 1 a file or key cannot
be used, told in one line.
"""

import json
import os
from pathlib import Path

import click

from evidence.pack.evidence_pack import (
    PACK_SUFFIX,
    PackError,
    PackInputs,
    PackVerdict,
    find_inputs,
    verify_pack,
    write_pack,
)
from evidence.pack.pack_archive import PackFormError
from evidence.pack.redaction import ConfigError
from evidence.read.signing import KeyFileError, load_private_key, load_public_key, make_key_pair

EXIT_CHANGED = 2
KEY_FILE = "evidence-signing.pem"
FILE = click.Path(path_type=Path)


def default_key_path() -> Path:
    """Where the signing key is kept when none is named: the user's configuration directory."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "seatrial" / KEY_FILE


@click.command("keygen")
@click.option("--key", type=FILE, default=None, help="Private key; default: in ~/.config/seatrial.")
def keygen_command(key: Path | None) -> None:
    """Make a signing key (Ed25519, 0600) and its public key beside it."""
    try:
        click.echo(str(make_key_pair(key or default_key_path())))
    except (KeyFileError, OSError) as error:
        raise click.ClickException(str(error)) from error


@click.command("pack")
@click.argument("session", type=FILE)
@click.option("--out", type=FILE, default=None, help=f"Default: ./<session>{PACK_SUFFIX}")
@click.option(
    "--key", type=FILE, default=None, help="Signing key; default: ~/.config, made when absent."
)
@click.option("--config", type=FILE, default=None, help="Configuration; packed without secrets.")
@click.option("--ledger", type=FILE, default=None, help="The venue's own books (JSON).")
@click.option("--extra", type=FILE, multiple=True, help="Any further file; may be repeated.")
def pack_command(
    session: Path,
    *,
    out: Path | None,
    key: Path | None,
    config: Path | None,
    ledger: Path | None,
    extra: tuple[Path, ...],
) -> None:
    """Pack SESSION (a state directory, or a demo's directory) into one signed archive."""
    target = out or Path(f"{session.resolve().name}{PACK_SUFFIX}")
    key_path = key or default_key_path()
    try:
        if key is None and not key_path.exists():
            make_key_pair(key_path)
        signing_key = load_private_key(key_path)
        found = find_inputs(session)
        inputs = PackInputs(
            segments=found.segments,
            anchors=found.anchors,
            histories=found.histories,
            config=config or found.config,
            ledger=ledger or found.ledger,
            witness=found.witness,
            receipts=found.receipts,
            extra=extra,
        )
        manifest = write_pack(inputs, target, signing_key)
    except (PackError, PackFormError, ConfigError, KeyFileError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(_os_error(error)) from error
    click.echo(f"{manifest['verdict']} -> {target}")
    click.echo(f"check it with: seatrial evidence verify {target} --public-key {key_path}.pub")


def check_pack(pack: Path, public_key: Path, *, as_json: bool) -> int:
    """Check one pack and say what was found; returns the exit code (0 or 2).

    Raises:
        click.ClickException: the key or the pack cannot be read (exit code 1).
    """
    try:
        verdict = verify_pack(pack, load_public_key(public_key))
    except KeyFileError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(_os_error(error)) from error
    if as_json:
        click.echo(json.dumps(_plain(pack, verdict), indent=2))
    elif verdict.ok:
        click.echo(f"{pack.name}: intact, {verdict.files} files as they were signed")
        click.echo(f"verdict when it was packed: {verdict.manifest.get('verdict')}")
        for reason in _texts(verdict.manifest.get("reasons")):
            click.echo(f"  - {reason}")
    else:
        click.echo(f"{pack.name}: CHANGED")
        for problem in verdict.problems:
            click.echo(f"  - {problem}")
    return 0 if verdict.ok else EXIT_CHANGED


def _plain(pack: Path, verdict: PackVerdict) -> dict[str, object]:
    return {
        "pack": pack.name,
        "ok": verdict.ok,
        "files": verdict.files,
        "problems": verdict.problems,
        "manifest": verdict.manifest,
    }


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _os_error(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.strerror else str(error)
