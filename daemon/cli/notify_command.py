"""`seatrial notify test`: send a message to each service of `[notify]`, and say which took it.

Exit codes: 0 all took it, 1 one did not or the urls cannot be read, 2 wrong usage or none is set.
"""

from pathlib import Path

import click

from control.tool.command_frame import wiring
from control.tool.daemon_lookup import default_config
from daemon.assembly_notify import services_of
from daemon.errors import SeatrialError
from daemon.settings import SettingsError, load_config
from daemon.shell.health.notice_sender import NotSentError
from daemon.shell.health.notices import Notice, NoticeLevel
from daemon.shell.process.clock import SystemClock


@click.group("notify")
def notify_group() -> None:
    """Messages to people: Telegram, Slack, mail, ntfy and others; see `[notify]`."""


@notify_group.command("test")
@click.option("--config", type=click.Path(path_type=Path), help="Configuration with [notify].")
@click.pass_context
def notify_test(ctx: click.Context, *, config: Path | None) -> None:
    """Send a message to each service now, whatever the level and the hours say."""
    path = config or default_config(wiring(ctx).socket_path)
    if path is None:
        raise click.UsageError("name the configuration with --config FILE")
    try:
        settings = load_config(path).settings
        services = services_of(settings.notify)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    except (SeatrialError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    if not services:
        raise click.UsageError(f"{path}: [notify] names no url; set urls or urls_file")
    notice = Notice(NoticeLevel.INFO, "a test of [notify]", f"from {path}", SystemClock().now_ns())
    failed = 0
    for name, service in services:
        try:
            service.send(notice, f"[seatrial] {notice.title}")
            click.echo(f"{name}  sent")
        except NotSentError as error:
            failed += 1
            click.echo(f"{name}  NOT sent: {error}")
    if failed:
        raise click.ClickException(f"{failed} of {len(services)} service(s) did not take it")
