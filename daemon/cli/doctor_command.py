"""`seatrial doctor`: prove host, clock, key, account and subscriptions, step by step, in words.

Exit codes: 0 every step passed; 1 a step failed (its sentence says what, its mend what to do);
2 the configuration or credentials cannot be used.
"""

import asyncio
import json
import sys
from pathlib import Path

import click

from control.tool.command_frame import Failure
from daemon.assembly import own_credentials
from daemon.assembly_notify import INSTALL, AppriseAbsentError, services_of
from daemon.cli.config_option import CONFIG, known_config
from daemon.errors import AnchorUnusable, SeatrialError
from daemon.model.launch_checks import Check, failed, passed
from daemon.settings import Settings
from daemon.settings_notify import NotifySettings
from daemon.shell.anchors.sink_builder import sinks_of
from daemon.shell.checks.anchor_checks import anchor_steps, unit_limits
from daemon.shell.checks.venue_checks import run_preflight
from daemon.shell.health.notice_sender import NotSentError
from daemon.shell.health.notices import Notice, NoticeLevel
from daemon.shell.keys.credentials import account_fingerprint
from daemon.shell.link.price_paths import PriceCaps
from daemon.shell.link.venue_urls import urls_of
from daemon.shell.process.clock import SystemClock
from daemon.shell.process.secrecy import forbid_core_dumps
from daemon.shell.state.state_proof import in_future_text, prove_state
from daemon.shell.strategy_loader import StrategyConfigError, strategy_factory

EXIT_STEP_FAILED = 1
EXIT_UNUSABLE = 2


@click.command("doctor")
@CONFIG
@click.option("--send", is_flag=True, help="Also send a message to each service of [notify].")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def doctor_command(config_path: Path, *, send: bool, as_json: bool) -> None:
    """Check a configuration against its venue, step by step; nothing is placed."""
    forbid_core_dumps()
    config = known_config(config_path, EXIT_UNUSABLE, as_json=as_json)
    venue = config.settings.venue
    try:
        urls = urls_of(venue)
        credentials = own_credentials(config.settings)
    except SeatrialError as error:
        raise Failure(str(error), EXIT_UNUSABLE, as_json=as_json) from error
    steps = [
        passed("config", f"{config_path} is in order"),
        _state(config.settings, account_fingerprint(credentials.api_key)),
        *strategy_steps(config.settings),
        *notify_steps(config.settings.notify, is_sent=send),
        *_anchors(config.settings, config_path),
    ]
    steps += asyncio.run(
        run_preflight(
            environment=venue.environment,
            rest=urls["rest"],
            ws_api=urls["ws_api"],
            streams=urls["streams"],
            credentials=credentials,
            symbols=venue.symbols,
            clock=SystemClock(),
            recv_window_ms=venue.recv_window_ms,
            prices=PriceCaps(config.capset.numeraire, config.capset.conversions),
        )
    )
    if as_json:
        plain = [
            {"name": step.name, "ok": step.ok, "sentence": step.sentence, "mend": step.mend}
            for step in steps
        ]
        click.echo(json.dumps({"ok": all(step.ok for step in steps), "steps": plain}))
    else:
        for step in steps:
            click.echo(f"{'ok  ' if step.ok else 'FAIL'}  {step.name:<12} {step.sentence}")
            if step.mend:
                click.echo(f"                    -> {step.mend}")
        bad = [step.name for step in steps if not step.ok]
        if bad:
            click.echo(f"\nnot ready: mend {bad[0]!r} first, then run this again")
        else:
            click.echo(f"\nready: all {len(steps)} steps passed, and nothing was placed")
    sys.exit(0 if all(step.ok for step in steps) else EXIT_STEP_FAILED)


def strategy_steps(settings: Settings) -> list[Check]:
    """One step a strategy: whether its class can be imported and takes its parameters."""
    steps = []
    for name, strategy in settings.strategies.items():
        try:
            strategy_factory(name, strategy)
        except StrategyConfigError as error:
            sentence = "; ".join(str(error).splitlines())
            mend = f"mend [strategies.{name}] in the configuration, or the file of its class"
            steps.append(failed("strategy", sentence, mend))
        else:
            sentence = f"{name}: {strategy.class_path} takes its parameters"
            steps.append(passed("strategy", sentence))
    return steps


def notify_steps(notify: NotifySettings, *, is_sent: bool) -> list[Check]:
    """One step a url of `[notify]`; with `is_sent` a message goes to each that can be read."""
    mend = "mend notify.urls, or the file that notify.urls_file names"
    try:
        services = services_of(notify)
    except AppriseAbsentError as error:
        doubts = [failed("notify", one, mend) for one in error.doubts]
        return [failed("notify", str(error), INSTALL), *doubts]
    except (SeatrialError, ValueError) as error:
        return [failed("notify", str(error), mend)]
    steps = []
    for name, service in services:
        problem, done = service.problem(), "can be read"
        if not problem and is_sent:
            now_ns = SystemClock().now_ns()
            notice = Notice(NoticeLevel.INFO, "a test of [notify]", "from seatrial doctor", now_ns)
            try:
                service.send(notice, f"[seatrial] {notice.title}")
                done = "took a message"
            except NotSentError as error:
                problem = str(error)
        sentence = f"{name}: {problem or done}"
        steps.append(Check("notify", ok=not problem, sentence=sentence, mend=problem and mend))
    return steps


def _anchors(settings: Settings, config_path: Path) -> list[Check]:
    """Whether each anchor sink can be made and reached."""
    try:
        sinks = sinks_of(settings.anchors, box="")
    except AnchorUnusable as error:
        mend = "mend [anchors] in the configuration, or the file that it names"
        return [failed("anchors", str(error), mend)]
    unit = unit_limits(config_path) if sinks else None
    return list(anchor_steps(settings, unit))


def _state(settings: Settings, account: str) -> Check:
    """Whether a boot would take the state directory, and whether its clock was ever ahead."""
    where = settings.state_dir
    proof = prove_state(
        where,
        account=account,
        environment=settings.venue.environment,
        now_ns=SystemClock().now_ns(),
    )
    if proof.findings:
        first = proof.findings[0]
        return failed("state", f"{where}: {first.what}", first.mend)
    if clock := in_future_text(proof):
        return failed("state", clock)
    return passed("state", f"{where}: its parts agree")
