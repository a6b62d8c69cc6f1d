"""`seatrial preflight`: may a session start? Every precondition of the launch, in one list.

Exit codes: 0 a session may start (the pass is in the state directory, and `start` asks for it);
2 it may not; 1 the configuration cannot be used or the pass cannot be written, so none is left.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from control.control_errors import ControlError
from control.tool.client import call
from control.tool.gating_drills import run_gating_drills
from daemon.cli.config_option import CONFIG, known_config
from daemon.errors import SeatrialError
from daemon.live_gate import mode_of
from daemon.model.enums import Mode
from daemon.model.launch_checks import Check, failed, passed
from daemon.settings import Config, TrialSettings
from daemon.shell.keys.credentials import account_fingerprint, load_credentials
from daemon.shell.keys.key_environments import read_live_file, shared_with, tokens_of
from daemon.shell.link.link_config import Credentials
from daemon.shell.link.venue_urls import endpoints_of
from daemon.shell.process.secrecy import forbid_core_dumps
from daemon.trials.bot import version_of
from daemon.trials.course_files import load_course
from daemon.trials.judging.course import CourseError
from daemon.trials.passed import AskedCourse, why_not_passed
from daemon.version import seatrial_version
from evidence.gates.artifact import DEFAULT_OUT_DIR, set_aside, to_json, write_artifact
from evidence.gates.gate_frame import MomentType
from evidence.gates.preflight import (
    DRILL_AGE_HOURS_MAX,
    GATE_AGE_HOURS_MAX,
    STEM,
    VALID_MINUTES,
    JournalFacts,
    gate_checks,
    kill_drill_check,
    preflight_lines,
    preflight_markdown,
    preflight_value,
    read_journal,
)
from evidence.read.artifact_times import utc_now

EXIT_MAY_START, EXIT_UNUSABLE, EXIT_NO_TRADE = 0, 1, 2
STATUS_DEADLINE_S = 5.0
PORTFOLIO_ASKED = (
    "orders_per_hour_max",
    "orders_per_day_max",
    "exposure_gross_numeraire_max",
    "drawdown_numeraire_max",
    "loss_day_numeraire_max",
)
SYMBOL_ASKED = ("order_qty_base_max", "order_notional_quote_max", "exposure_quote_max")
"""What the launch procedure names: sizing, orders an hour and day, exposure, drawdown."""
FILE = click.Path(path_type=Path)


@click.command("preflight")
@CONFIG
@click.option(
    "--status-dir", type=FILE, default=DEFAULT_OUT_DIR, show_default=True, help="The gates now."
)
@click.option("--journal", type=FILE, default=None, help="Default: the state directory's.")
@click.option("--live-keys", type=FILE, multiple=True, help="A live key file; may be repeated.")
@click.option("--gate-age-hours", default=GATE_AGE_HOURS_MAX, show_default=True,
              type=click.IntRange(1))  # fmt: skip
@click.option("--drill-age-hours", default=DRILL_AGE_HOURS_MAX, show_default=True,
              type=click.IntRange(1))  # fmt: skip
@click.option("--valid-minutes", default=VALID_MINUTES, show_default=True,
              type=click.IntRange(1, 1440))  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
@click.option("--now", type=MomentType(), default=None, help="Fix the clock (ISO-8601).")
def preflight_command(
    *,
    config_path: Path,
    status_dir: Path,
    journal: Path | None,
    live_keys: tuple[Path, ...],
    gate_age_hours: int,
    drill_age_hours: int,
    valid_minutes: int,
    as_json: bool,
    now: datetime | None,
) -> None:
    """May a session start? Gates, kill drill, credentials, caps, live blocked, in one list."""
    forbid_core_dumps()
    moment = now or utc_now()
    config = known_config(config_path, EXIT_UNUSABLE, as_json=as_json)
    settings = config.settings
    facts = read_journal(journal or settings.state_dir / "journal")
    mode = mode_of(settings.venue.environment)
    status = _ask_status(settings.socket_path)
    checks = [
        *gate_checks(status_dir, moment, gate_age_hours),
        kill_drill_check(facts, mode.value, moment, drill_age_hours),
        *daemon_checks(status, facts, config),
        credentials_check(config, facts, live_keys),
        live_blocked_check(config, status),
        caps_check(config),
        *trial_checks(settings.trials, config_path.parent, moment),
    ]
    value = preflight_value(checks, binding_of(config, facts), moment, valid_minutes=valid_minutes)
    try:
        set_aside(settings.state_dir, STEM)
        write_artifact(settings.state_dir, STEM, value, preflight_markdown(value))
    except OSError as error:
        raise click.ClickException(
            f"{error.filename}: {error.strerror}; run it as the daemon's user"
        ) from error
    click.echo(to_json(value).rstrip() if as_json else "\n".join(preflight_lines(value)))
    click.get_current_context().exit(EXIT_MAY_START if value["passed"] else EXIT_NO_TRADE)


def binding_of(config: Config, facts: JournalFacts) -> dict[str, str]:
    """What a pass is for."""
    return {
        "environment": config.settings.venue.environment,
        "config_hash": config.config_hash,
        "caps_hash": config.capset.hash,
        "account": _account(facts),
    }


# ------------------------------------------------------------------ the bot's trials
def trial_checks(trials: TrialSettings, base: Path, now: datetime) -> Iterator[Check]:
    """Each course that is asked for was passed by the bot's present version."""
    if not trials.required:
        return
    reports = trials.reports or base / "reports" / "trials"
    for name in trials.required:
        try:
            version, _ = version_of(trials.command, trials.files, base)
            asked = AskedCourse(
                course=load_course(name, base),
                bot_version=version,
                seed=trials.seed,
                seatrial=seatrial_version(),
                age_hours_max=trials.age_hours_max,
            )
        except (CourseError, OSError) as error:
            yield failed("trial", f"course {name}: {error}")
            continue
        problem = why_not_passed(reports, asked, now)
        if not problem:
            yield passed("trial", f"course {name} passed with bot version {version[:12]}")
            continue
        files = "".join(f" --file {file}" for file in trials.files)
        words = f"--course {name} --seed {trials.seed}{files} -- {' '.join(trials.command)}"
        yield failed("trial", f"course {name}: {problem}", f"`seatrial trial {words}`")


# ------------------------------------------------------------------ the running daemon
def _ask_status(socket: Path) -> Mapping[str, Any] | str:
    """The daemon's status, or why there is none."""
    try:
        return call(socket, "status", timeout_s=STATUS_DEADLINE_S)
    except ControlError as error:
        return str(error)


def daemon_checks(
    status: Mapping[str, Any] | str, facts: JournalFacts, config: Config
) -> Iterator[Check]:
    """Kill switch reachable; the daemon knows its venue, is unlatched, runs this very file."""
    if isinstance(status, str):
        yield failed("kill_switch_reachable", status)
        return
    socket = config.settings.socket_path
    yield passed("kill_switch_reachable", f"the daemon answers on {socket}")
    open_incidents = status.get("incidents_open", 0)
    gate = status.get("gate_state")
    faults = [
        (gate != "READY", f"gate is {gate}", "wait for READY, or see `seatrial doctor`"),
        (status.get("latched") is not False, f"kill latch holds: {status.get('latch_reason')}",
         "`seatrial re-arm --reason …`"),
        (open_incidents != 0, f"{open_incidents} incidents unresolved", "`seatrial incident`"),
        (bool(status.get("journal_fault")), f"journal: {status.get('journal_fault')}", "its disk"),
    ]  # fmt: skip
    found = [(what, mend) for is_bad, what, mend in faults if is_bad]
    yield Check(
        name="daemon_ready",
        ok=not found,
        sentence="; ".join(what for what, _ in found) or "READY, latch open, incidents resolved",
        mend="; ".join(mend for _, mend in found),
    )
    running = str((facts.run_start or {}).get("config_hash", "unknown"))
    if running == config.config_hash:
        yield passed("daemon_config", "the daemon runs on this configuration")
    else:
        told = f"booted with config {running[:12]}, this is {config.config_hash[:12]}"
        yield failed("daemon_config", f"the daemon was {told}")


# ------------------------------------------------------------------ credentials
def credentials_check(config: Config, facts: JournalFacts, live_files: tuple[Path, ...]) -> Check:
    """The testnet key stands in no live key file that was named."""
    name = "credentials_separate"
    try:
        keys = config.settings.credentials
        mine: Credentials | None = load_credentials(keys.file, keyring_service=keys.keyring_service)
        unread = ""
    except SeatrialError as error:
        mine, unread = None, str(error)
    if mine is not None:
        account = account_fingerprint(mine.api_key)
    elif facts.run_start is not None and "lets others read it" not in unread:
        account = _account(facts)  # systemd credentials: only the unit sees the key itself
    else:
        return failed(name, unread, "mend the credentials file")
    live_files = (*live_files, *config.settings.credentials.live_files)
    for path in live_files:
        try:
            raw = read_live_file(path)
        except SeatrialError as error:
            return failed(name, str(error), "see the reason")
        if shared := _shared_with(raw, account, mine):
            return failed(name, f"{path} holds the same {shared}")
    compared = f"in none of {len(live_files)} live key files"
    if not live_files:
        compared = "no live key file named (--live-keys) to compare with"
    return passed(name, f"account {account}: {compared}")


def _shared_with(raw: bytes, account: str, mine: Credentials | None) -> str:
    """What a live key file shares with our key: "key", "secret" or nothing."""
    if account in {account_fingerprint(token.decode()) for token in tokens_of(raw)}:
        return "api_key"
    return shared_with(raw, mine) if mine is not None else ""


def _account(facts: JournalFacts) -> str:
    return str((facts.run_start or {}).get("account", ""))


# ------------------------------------------------------------------ live, caps
def live_blocked_check(config: Config, status: Mapping[str, Any] | str) -> Check:
    """No live host can be reached, and the keys of one are not turned."""
    name = "live_blocked"
    environment = config.settings.venue.environment
    try:
        endpoints_of(config.settings.venue)
    except SeatrialError as error:
        return failed(name, str(error))
    turned = status.get("gating") if isinstance(status, Mapping) else None
    gating = turned if isinstance(turned, Mapping) else {"enabled": False, "armed": False}
    mode = status.get("mode") if isinstance(status, Mapping) else None
    if mode == Mode.LIVE.value:
        return failed(name, "the daemon is in mode live", "stop it")
    if gating.get("enabled") is not False or gating.get("armed") is not False:
        reason = f"gating: enabled={gating.get('enabled')}, armed={gating.get('armed')}"
        return failed(name, reason.lower(), "disarm, then disable")
    weak = [drill.drill for drill in run_gating_drills() if not drill.passed]
    if weak:
        reason = f"gating drills failed: {', '.join(weak)}"
        return failed(name, reason, "do not use this installation")
    reason = f"enabled=false, armed=false; hosts are {environment}'s own; gating drills A-G refuse"
    return passed(name, reason)


def caps_check(config: Config) -> Check:
    """Every cap that the procedure asks for is set, for every symbol; none is unlimited."""
    capset = config.capset
    plain = capset.to_plain()
    missing = [*capset.unset(), *(key for key in PORTFOLIO_ASKED if not getattr(capset, key))]
    loose = [key for key, value in plain.items() if value == "unlimited"]
    for symbol in config.settings.venue.symbols:
        caps = capset.symbols.get(symbol)
        if caps is None:
            missing.append(f"symbols.{symbol}")
            continue
        lacking = {*caps.unset(), *(key for key in SYMBOL_ASKED if not getattr(caps, key))}
        missing += [f"symbols.{symbol}.{key}" for key in sorted(lacking)]
        loose += [f"symbols.{symbol}.{k}" for k, v in caps.to_plain().items() if v == "unlimited"]
    faults = [f"not set: {', '.join(dict.fromkeys(missing))}" * bool(missing),
              f"unlimited: {', '.join(loose)}" * bool(loose)]  # fmt: skip
    reason = "; ".join(fault for fault in faults if fault)
    return Check(
        name="caps_strict",
        ok=not reason,
        sentence=reason
        or f"all set for {len(config.settings.venue.symbols)} symbols, none unlimited",
    )
