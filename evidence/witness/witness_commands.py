"""`seatrial witness serve|show|export`: this machine as witness of other boxes' journals.

Exit codes: 0 done, or ended by a signal; 1 a key, register or address cannot be used, told in one
line.
"""

import asyncio
import functools
import json
import ssl
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from evidence.read.artifact_times import utc_now_ns
from evidence.read.signing import KeyFileError, load_private_key, load_public_key
from evidence.witness.witness_register import (
    RefusedHead,
    RegisterError,
    WitnessRegister,
    boxes_in,
    export_of,
    heads_path,
    lines_of,
    refusals_of,
)
from evidence.witness.witness_server import WitnessServer

PATH = click.Path(path_type=Path)
STATE = click.option(
    "--state", "directory", type=PATH, required=True, help="The register's directory."
)
KEY = click.option("--key", type=PATH, required=True, help="The witness's private key (0600).")
DEFAULT_LISTEN = "127.0.0.1:8795"
CLOCK_STEP_NS = 60_000_000_000
PORT_MAX = 65_535


def one_line(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what cannot be used into one line on stderr and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except (KeyFileError, RegisterError, OSError, ValueError) as error:
            raise click.ClickException(str(error)) from error

    return wrapped


@click.group("witness")
def witness_group() -> None:
    """Countersign the journals of other boxes, so that their owners cannot rewrite them."""


@witness_group.command("serve")
@STATE
@KEY
@click.option(
    "--box",
    "boxes",
    type=PATH,
    multiple=True,
    required=True,
    help="Public key file of a box that may ask; may be repeated.",
)
@click.option("--listen", default=DEFAULT_LISTEN, show_default=True, help="HOST:PORT; 0: any port.")
@click.option("--tls-certificate", type=PATH, default=None, help="PEM; with --tls-key: HTTPS only.")
@click.option("--tls-key", type=PATH, default=None, help="PEM, mode 0600.")
@click.option("--tls-clients", type=PATH, default=None, help="PEM of the CA: boxes show a cert.")
@one_line
def serve_command(
    *,
    directory: Path,
    key: Path,
    boxes: tuple[Path, ...],
    listen: str,
    tls_certificate: Path | None,
    tls_key: Path | None,
    tls_clients: Path | None,
) -> None:
    """Serve until SIGTERM. Make both keys with `seatrial evidence keygen --key FILE`."""
    host, port = _address(listen)
    tls = _tls(tls_certificate, tls_key, tls_clients)
    private = load_private_key(key)
    register = WitnessRegister(directory, private, [load_public_key(box) for box in boxes])
    try:
        for box in boxes_in(directory):
            _tell_future(_shown(directory, box))
        server = WitnessServer(register, directory, private)
        asyncio.run(server.serve(host, port, tls, _say_up(register.witness)))
    finally:
        register.close()


@witness_group.command("show")
@STATE
@click.option("--refusals", "show_refusals", is_flag=True, help="Each refused head, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@one_line
def show_command(*, directory: Path, show_refusals: bool, as_json: bool) -> None:
    """Show each box: how many heads, the newest, and what was refused."""
    rows = [_shown(directory, box) for box in boxes_in(directory)]
    if as_json:
        click.echo(json.dumps({"boxes": rows}, indent=2))
        return
    if not rows:
        click.echo(f"{directory}: no box has asked yet")
    for row in rows:
        click.echo(
            f"{row['box']}  {row['heads']} heads up to seq {row['seq']} {row['head'][:16]}  "
            f"{len(row['refusals'])} refused"
        )
        _tell_future(row)
        for one in row["refusals"] if show_refusals else ():
            click.echo(f"  refused {one['code']}: seq {one['seq']} {one['head'][:16]}")


@witness_group.command("export")
@STATE
@KEY
@click.option("--box", default="", help="Public key in hex; needed where there are several.")
@click.option("--out", type=PATH, default=Path("witness.jsonl"), show_default=True)
@one_line
def export_command(*, directory: Path, key: Path, box: str, out: Path) -> None:
    """Write every head of a box, signed, for `seatrial evidence verify --witness`."""
    boxes = boxes_in(directory)
    if not box and len(boxes) != 1:
        names = "\n  ".join(boxes) or "none"
        raise ValueError(f"{directory}: name a box with --box; there are:\n  {names}")
    out.write_bytes(export_of(directory, box or boxes[0], load_private_key(key), utc_now_ns(), ""))
    click.echo(str(out))


def _shown(directory: Path, box: str) -> dict[str, Any]:
    heads, last = 0, None
    for line in lines_of(heads_path(directory, box)):
        heads, last = heads + 1, line
    refused: list[RefusedHead] = refusals_of(directory, box)
    return {
        "box": box,
        "heads": heads,
        "seq": last.seq if last else 0,
        "head": last.head if last else "",
        "ts_ns": last.ts_ns if last else 0,
        "refusals": [
            {"code": one.code, "seq": one.seq, "head": one.head, "ts_ns": one.ts_ns}
            for one in refused
        ],
    }


def _tell_future(row: dict[str, Any]) -> None:
    """Say that a box's newest head has a time that is still to come."""
    if row["ts_ns"] <= utc_now_ns() + CLOCK_STEP_NS:
        return
    until = datetime.fromtimestamp(row["ts_ns"] // 1_000_000_000, UTC)
    click.echo(
        f"seatrial: box {row['box'][:16]}…: its newest head is stamped {until:%Y-%m-%dT%H:%M:%SZ}, "
        "which is still to come: this witness's clock was ahead. Until then each head gets that "
        "time, which says too late and never too early when it was seen. For true times set the "
        "clock, and serve an empty --state with a new --key whose public key the boxes get.",
        err=True,
    )


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > PORT_MAX:
        raise ValueError(f"--listen {listen}: write HOST:PORT, as {DEFAULT_LISTEN}")
    return host.strip("[]"), int(port)


def _tls(certificate: Path | None, key: Path | None, clients: Path | None) -> ssl.SSLContext | None:
    if certificate is None and key is None and clients is None:
        return None
    if certificate is None or key is None:
        raise ValueError("--tls-certificate and --tls-key belong together; give both")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _say_up(witness: str) -> Callable[[str], None]:
    def say(address: str) -> None:
        click.echo(f"witness {witness} serves on {address}")
        sys.stdout.flush()

    return say
