"""`seatrial notify test`: send a message to each service of `[notify]`, and say which took it.

Exit codes: 0 all took it, 1 one did not or the urls cannot be read, 2 wrong usage or none is set.
"""

from pathlib import Path

import click

from control.tool.failures import EXIT_USAGE
from daemon.assembly_notify import services_of
from daemon.cli.config_option import CONFIG, known_config
from daemon.errors import SeatrialError
from daemon.shell.health.notice_sender import NotSentError
from daemon.shell.health.notices import Notice, NoticeLevel
from daemon.shell.process.clock import SystemClock


@click.group("notify")
def notify_group() -> None:
    """Messages to people: Telegram, Slack, mail, ntfy and others; see `[notify]`."""


@notify_group.command("test")
@CONFIG
def notify_test(config_path: Path) -> None:
    """Send a message to each service now, whatever the level and the hours say."""
    settings = known_config(config_path, EXIT_USAGE).settings
    try:
        services = services_of(settings.notify)
    except (SeatrialError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    if not services:
        raise click.UsageError(f"{config_path}: [notify] names no url; set urls or urls_file")
    notice = Notice(
        NoticeLevel.INFO, "a test of [notify]", f"from {config_path}", SystemClock().now_ns()
    )
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
