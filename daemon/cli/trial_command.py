"""`seatrial trial`: any bot, unmodified, through a course of trials against the simulated venue."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from control.tool.finite_range import FiniteRange
from daemon.cli.course_ending import CourseEnding
from daemon.demo.processes import DemoError
from daemon.model.copies import replace
from daemon.shell.process.clock import SystemClock, utc_text
from daemon.trials.bot import BotError, BotProcess, version_of
from daemon.trials.course_files import load_course
from daemon.trials.judging.course import Course, CourseError
from daemon.trials.judging.rejudge import canonical_hash, course_hash, observations_of
from daemon.trials.judging.report_html import as_html
from daemon.trials.judging.trial_report import (
    RunFacts,
    TrialRow,
    as_json,
    as_markdown,
    exit_code_of,
    listing,
    sentence_of,
)
from daemon.trials.judging.trial_verdict import ExitCode
from daemon.trials.passed import BESIDE_THE_GATES, OBSERVATIONS, REPORT
from daemon.trials.runner import Belief, BotEndedError, CourseRun, last_words
from daemon.trials.sandbox import Isolation, SandboxError, clean_environment, isolate
from daemon.trials.trial_gateway import FEE_SYMBOL, TRIAL_CAPS, TrialGateway
from daemon.trials.trial_venue import TrialVenue
from daemon.venues.sim.listed_symbols import SYMBOLS
from daemon.version import seatrial_version

_COULD_NOT_RUN = (BotError, CourseError, DemoError, SandboxError, OSError)


@click.command("trial", context_settings={"ignore_unknown_options": False})
@click.option("--course", default="standard", show_default=True, help="A name, or a TOML file.")
@click.option(
    "--direct/--through-gate",
    default=True,
    show_default=True,
    help="Whom the bot meets: the venue itself, or our daemon's gateway before it.",
)
@click.option(
    "--caps",
    default=TRIAL_CAPS,
    show_default=True,
    help="Through the gate: a preset, a TOML file, or `trial` (`bots`, but what the account has "
    "may be sold).",
)
@click.option("--seed", default=7, show_default=True, type=int, help="Same seed, same market.")
@click.option("--symbol", default="BTCUSDT", show_default=True, help="What {symbol} stands for.")
@click.option("--only", multiple=True, metavar="NAME", help="This trial (and `calm`); repeatable.")
@click.option(
    "--out-dir",
    "--out",
    "out",
    type=click.Path(path_type=Path),
    help="Default: reports/trials/COURSE-TIME.",
)
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A file or directory that belongs to the bot's version; repeatable.",
)
@click.option(
    "--patience",
    type=FiniteRange(1, 3_600),
    metavar="SECONDS",
    help="How long a trial waits until the bot trades.  [default: as the course says]",
)
@click.option(
    "--flow-rate",
    default=30.0,
    show_default=True,
    type=FiniteRange(0, 1_000),
    help="The market's pace: background events a second.",
)
@click.option(
    "--position",
    metavar="REGEX",
    help="How the bot's log tells its position in the base asset, in one group; it is compared.",
)
@click.option("--allow-network", is_flag=True, help="Let the bot reach more than loopback.")
@click.option(
    "--status-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Put the report here as trial_COURSE.json, too: where `seatrial promote` looks.",
)
@click.option("--list", "lists", is_flag=True, help="Explain each trial of the course, and end.")
@click.option("--json", "as_json_line", is_flag=True, help="The report on standard output, last.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def trial_command(
    *,
    course: str,
    direct: bool,
    caps: str,
    seed: int,
    symbol: str,
    only: tuple[str, ...],
    out: Path | None,
    files: tuple[Path, ...],
    patience: float | None,
    flow_rate: float,
    position: str | None,
    allow_network: bool,
    status_dir: Path | None,
    lists: bool,
    as_json_line: bool,
    command: tuple[str, ...],
) -> None:
    """Put a bot through trials: `seatrial trial -- python my_bot.py {config:ccxt}`.

    COMMAND and templates may use {rest} {ws_api} {streams} {key} {secret} {ed25519_key}
    {ed25519_pem} (a file) {symbol} {pair} {work}, the ready files {config:ccxt} {config:freqtrade}
    {config:json}, and {template:FILE} for a file of yours with the same words in it; the bot's
    environment has them as SEATRIAL_REST and so on.

    Exit codes: 0 every required trial is PASS, 2 findings, 3 no finding but a required trial was
    NOT SHOWN, 1 it could not run.
    """
    # Whatever ends the command ends the bot first.
    ending = CourseEnding()
    ending.install()
    try:
        chosen = _chosen(load_course(course), only)
        if lists:
            click.echo(listing(chosen))
            return
        if not command:
            raise BotError(
                "no COMMAND: write it after `--`, as in `seatrial trial -- python bot.py`"
            )
        if symbol not in SYMBOLS:
            raise BotError(f"--symbol {symbol}: the simulated venue has {', '.join(SYMBOLS)}")
        clock = SystemClock()
        stamp = utc_text(clock.now_ns())[:19].replace(":", "").replace("-", "")
        place = (out or Path("reports") / "trials" / f"{chosen.name}-{stamp}Z").absolute()
        run = _Run(
            course=chosen,
            command=command,
            files=files,
            out=place,
            caps=None if direct else caps,
            seed=seed,
            symbol=symbol,
            flow_rate=flow_rate,
            patience_s=patience or chosen.patience_s,
            status_dir=status_dir,
            position=position,
            ending=ending,
        )
        code = run.go(clock, allow_network=allow_network, as_json_line=as_json_line)
    except _COULD_NOT_RUN as error:
        click.echo(f"seatrial trial: {error}", err=True)
        sys.exit(ExitCode.COULD_NOT_RUN)
    sys.exit(code)


class _Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the command, from the namespaces to the report."""

    course: Course
    command: tuple[str, ...]
    files: tuple[Path, ...]
    out: Path
    caps: str | None
    """Of the gate; None: the bot meets the venue itself."""
    seed: int
    symbol: str
    flow_rate: float
    patience_s: float
    status_dir: Path | None
    position: str | None
    ending: CourseEnding

    def go(self, clock: SystemClock, *, allow_network: bool, as_json_line: bool) -> ExitCode:
        """Run the course and write the report; the exit code."""
        began_ns = clock.now_ns()
        bot_version, hashes = version_of(self.command, self.files)
        work = self.out / "work"
        work.mkdir(parents=True, exist_ok=True)
        if self.status_dir is not None:  # minutes before it is needed: it may not be allowed
            self.status_dir.mkdir(parents=True, exist_ok=True)
        isolation = Isolation(loopback_only=False, own_disk=False)
        if not allow_network:
            isolation = isolate(work)
        environment, taken = clean_environment(os.environ)
        venue = TrialVenue(
            self.out,
            work,
            seed=self.seed,
            symbols=",".join(dict.fromkeys((self.symbol, FEE_SYMBOL))),
            flow_rate=self.flow_rate,
        )
        rows = self._play(venue, work, environment, clock, isolation)
        observed = observations_of([(one.trial.name, one.observation) for one in rows])
        (self.out / OBSERVATIONS).write_text(json.dumps(observed) + "\n")
        facts = RunFacts(
            course=self.course.name,
            course_hash=course_hash(self.course),
            about=self.course.about,
            mode="direct" if self.caps is None else f"through the gate, caps {self.caps}",
            command=self.command,
            bot_version=bot_version,
            files=hashes,
            seed=self.seed,
            symbol=self.symbol,
            started=utc_text(began_ns)[:19] + "Z",
            seconds=round((clock.now_ns() - began_ns) / 1e9, 1),
            seatrial=seatrial_version(),
            python=platform.python_version(),
            observations_hash=canonical_hash(observed),
            loopback_only=isolation.loopback_only,
            environment_taken=tuple(taken),
        )
        report = as_json(facts, rows)
        text = json.dumps(report, indent=2) + "\n"
        (self.out / REPORT).write_text(text)
        if self.status_dir is not None:
            kept = {"course": msgspec.to_builtins(self.course), "observations": observed}
            for name, what in zip(BESIDE_THE_GATES, (text, json.dumps(kept) + "\n"), strict=True):
                (self.status_dir / name.format(course=self.course.name)).write_text(what)
        (self.out / "report.md").write_text(as_markdown(facts, rows))
        (self.out / "report.html").write_text(as_html(facts, rows))
        _say(f"{sentence_of(rows)} Report: {self.out / 'report.html'}")
        if as_json_line:
            click.echo(json.dumps(report))
        return exit_code_of(rows)

    def _play(
        self,
        venue: TrialVenue,
        work: Path,
        environment: dict[str, str],
        clock: SystemClock,
        isolation: Isolation,
    ) -> list[TrialRow]:
        log = self.out / "bot.log"
        gateway: TrialGateway | None = None
        if self.caps is not None:
            gateway = TrialGateway(
                self.out / "gate",
                venue,
                symbol=self.symbol,
                caps=self.caps,
                clock=clock,
                pause=self.ending.pause,
            )
        venue.start()
        bot: BotProcess | None = None
        try:
            if gateway is not None:
                gateway.start()
            bot = BotProcess(
                self.command,
                venue.values(self.symbol) if gateway is None else gateway.values(),
                work=work,
                log=log,
                environment=environment,
            )
            run = CourseRun(
                self.course,
                venue,
                bot,
                clock,
                gateway=gateway,
                own_disk=isolation.own_disk,
                patience_s=self.patience_s,
                belief=self._belief(log),
                say=_say,
                pause=self.ending.pause,
            )
            results = run.run()
            books = venue.ledger() if gateway is None else gateway.ledger()
            (self.out / "ledger.json").write_text(json.dumps(books) + "\n")
            return results
        except BotEndedError as error:
            raise BotError(
                f"{error} before it placed an order; its log ends: {last_words(log)}"
            ) from error
        finally:
            if bot is not None:
                bot.end()
            if gateway is not None:
                gateway.stop()
            venue.stop()

    def _belief(self, log: Path) -> Belief | None:
        base = SYMBOLS[self.symbol].base
        return None if self.position is None else Belief(self.position, log, base)


def _chosen(course: Course, only: Sequence[str]) -> Course:
    """The course with the trials that are asked for; the calm one stays, it is the measure."""
    names = {trial.name for trial in course.trials}
    for name in only:
        if name not in names:
            raise CourseError(f"--only {name}: the course has {', '.join(sorted(names))}")
    if not only:
        return course
    kept = tuple(one for one in course.trials if one.name in only or one.judge == "calm")
    return replace(course, trials=kept)


def _say(words: str) -> None:
    click.echo(words, err=True)
