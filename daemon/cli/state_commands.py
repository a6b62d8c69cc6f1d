"""`seatrial state`: whether the state directory is what it was, and going on when it is not.

Exit codes: 0 the parts agree, or were accepted; 1 they do not agree; 2 it cannot be done, the
message says what to do instead.
"""

import json
import os
import pwd
import sys
from pathlib import Path

import click

from control.tool.command_frame import Failure
from daemon.cli.config_option import CONFIG, known_config
from daemon.shell.process.clock import SystemClock
from daemon.shell.state.state_accept import accept_state
from daemon.shell.state.state_proof import in_future_text, prove_state

EXIT_DIFFERS = 1
EXIT_UNUSABLE = 2


@click.group("state")
def state_group() -> None:
    """The state directory: prove that its parts agree, or go on when they do not."""


@state_group.command("check")
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def check_command(config_path: Path, *, as_json: bool) -> None:
    """Say where journal, anchors and identity disagree; changes nothing."""
    settings = known_config(config_path, EXIT_UNUSABLE, as_json=as_json).settings
    proof = prove_state(
        settings.state_dir,
        account="",  # the key is often the unit's alone; a boot compares it
        environment=settings.venue.environment,
        now_ns=SystemClock().now_ns(),
    )
    clock = in_future_text(proof)
    if as_json:
        found = [{"code": one.code, "what": one.what, "mend": one.mend} for one in proof.findings]
        click.echo(json.dumps({"state_dir": str(settings.state_dir), "findings": found,
                               "clock": clock, "seq": proof.seq}))  # fmt: skip
    else:
        for one in proof.findings:
            click.echo(f"{one.code}: {one}")
        if clock:
            click.echo(f"clock: {clock}")
        if not proof.findings:
            click.echo(f"{settings.state_dir}: journal, anchors and identity agree")
    sys.exit(EXIT_DIFFERS if proof.findings else 0)


@state_group.command("accept")
@CONFIG
@click.option("--reason", required=True, help="Why; goes into the journal of the next boot.")
@click.option(
    "--yes", is_flag=True, expose_value=False, help="Taken as everywhere; nothing is asked."
)
@click.option("--new-key", is_flag=True, help="The key was changed, the account is the same.")
@click.option("--set-aside", is_flag=True, help="Begin a new journal; keep the old one beside it.")
def accept_command(config_path: Path, reason: str, *, new_key: bool, set_aside: bool) -> None:
    """Go on with the state as it is; the daemon must be stopped.

    Nothing is deleted. The next boot journals what was accepted, and counts from the venue's
    history what it can no longer know, before any session may start.
    """
    settings = known_config(config_path, EXIT_UNUSABLE).settings
    if not reason.strip():
        raise Failure("--reason: say why", EXIT_UNUSABLE)
    uid = os.getuid()
    try:
        done = accept_state(
            settings.state_dir,
            environment=settings.venue.environment,
            now_ns=SystemClock().now_ns(),
            by={"by": _name_of(uid), "uid": uid},
            reason=reason.strip(),
            set_aside=set_aside,
            new_key=new_key,
        )
    except OSError as error:
        raise Failure(str(error), EXIT_UNUSABLE) from error
    if not done.findings:
        click.echo(f"{settings.state_dir}: everything agrees; there is nothing to accept")
        return
    for one in done.findings:
        click.echo(f"accepted: {one}")
    if done.set_aside is not None:
        click.echo(f"the journal of before is in {done.set_aside}")
    click.echo("start the daemon: it journals this, and looks at the venue's history first")


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
