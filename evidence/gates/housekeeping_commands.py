"""Housekeeping around the gates: run history, bundle, dashboard fetch, the operator's snapshot."""

from datetime import datetime
from pathlib import Path

import click

from evidence.gates import bundle, dashboard, ops_status, run_history
from evidence.gates.artifact import DEFAULT_OUT_DIR, to_json
from evidence.gates.gate_frame import (
    MomentType,
    common_options,
    json_option,
    one_line_errors,
    runs_of,
    tell_missing,
)
from evidence.gates.scorecard import EXIT_NOT_READY, EXIT_OK
from evidence.read.artifact_times import utc_now


@click.command("record-run")
@click.option("--history", "history_path", required=True, type=click.Path(path_type=Path))
@click.option("--workflow", required=True, help="Which scheduled job this was.")
@click.option("--conclusion", default=None, type=click.Choice(run_history.CONCLUSIONS))
@click.option(
    "--service-result",
    envvar="SERVICE_RESULT",
    default=None,
    help="In place of --conclusion: what systemd tells ExecStopPost in $SERVICE_RESULT.",
)
@click.option(
    "--event", type=click.Choice(run_history.EVENTS), default="schedule", show_default=True
)
@click.option("--started", type=MomentType(), default=None, help="ISO-8601; default: now.")
@click.option(
    "--keep",
    type=click.IntRange(1),
    default=run_history.RUNS_MAX,
    show_default=True,
    help="Runs kept.",
)
@click.option("--now", type=MomentType(), default=None, help="Fix the clock (ISO-8601).")
def record_run_command(
    *,
    history_path: Path,
    workflow: str,
    conclusion: str | None,
    service_result: str | None,
    event: str,
    started: datetime | None,
    keep: int,
    now: datetime | None,
) -> None:
    """Record one finished local run, in the form that the gates read (boxes without GitHub)."""
    moment = now or utc_now()
    ended_as = conclusion or (run_history.conclusion_of(service_result) if service_result else None)
    if ended_as is None:
        raise click.UsageError("say how it ended: --conclusion, or $SERVICE_RESULT from systemd")
    with one_line_errors():
        record = run_history.append_run(
            history_path,
            workflow=workflow,
            conclusion=ended_as,
            event=event,
            started=started or moment,
            ended=moment,
            runs_max=keep,
        )
    click.echo(f"run {record['databaseId']}: {ended_as} -> {history_path}")


@click.command("bundle")
@click.option("--workflow", default=bundle.WORKFLOW, show_default=True)
@click.option("--branch", default="main", show_default=True)
@click.option(
    "--runs", "inspected", type=click.IntRange(1), default=bundle.RUNS_INSPECTED, show_default=True
)
@click.option(
    "--take", "taken", type=click.IntRange(1), default=bundle.RUNS_TAKEN, show_default=True
)
@json_option("--runs-json", help="Runs, newest first (local history); default: ask gh.")
@click.option(
    "--events-dir",
    type=click.Path(path_type=Path),
    default=None,
    help="Local events: DIR/<run id>/…/execution_events.jsonl; default: download through gh.",
)
@common_options
def bundle_command(
    *,
    workflow: str,
    branch: str,
    inspected: int,
    taken: int,
    runs_json: str | None,
    events_dir: Path | None,
    out_dir: Path,
    now: datetime | None,
) -> None:
    """Events bundle (PR-BJ): join the events of the newest sessions that succeeded."""
    with one_line_errors(out_dir, bundle.META_STEM):
        runs = runs_of("prbj-runs", runs_json, workflow, branch, inspected)
        tell_missing(runs)
        meta = bundle.build_bundle(
            runs.runs,
            bundle.local_events(events_dir)
            if events_dir
            else bundle.download_events(out_dir / "downloads"),
            out_dir,
            now or utc_now(),
            workflow=workflow,
            branch=branch,
            runs_inspected=inspected,
            runs_taken=taken,
        )
    extras = meta["seatrial"]
    complete = isinstance(extras, dict) and extras["complete"] is True
    click.echo(
        f"{'complete' if complete else 'INCOMPLETE'}: {meta['line_count']} lines of runs "
        f"{meta['bundled_run_ids']} -> {out_dir / bundle.BUNDLE_NAME}"
    )
    click.get_current_context().exit(EXIT_OK if complete else EXIT_NOT_READY)


@click.command("fetch-prk-dashboard-artifacts")
@click.option("--run-id", default=None, help="Default: the newest successful run.")
@click.option("--workflow", default=dashboard.WORKFLOW, show_default=True)
@click.option("--branch", default="main", show_default=True)
@click.option("--limit", type=click.IntRange(1), default=dashboard.RUNS_LISTED, show_default=True)
@click.option(
    "--out-dir",
    type=click.Path(path_type=Path),
    default=dashboard.DEFAULT_OUT_DIR,
    show_default=True,
)
@click.option("--now", type=MomentType(), default=None, help="Fix the clock (ISO-8601).")
def fetch_command(
    *,
    run_id: str | None,
    workflow: str,
    branch: str,
    limit: int,
    out_dir: Path,
    now: datetime | None,
) -> None:
    """Download the newest status dashboard (PR-K) through gh, GitHub's client."""
    with one_line_errors():
        summary = dashboard.fetch_dashboard(
            out_dir,
            now or utc_now(),
            run_id=run_id,
            workflow=workflow,
            branch=branch,
            limit=limit,
        )
    click.echo(f"run {summary['run_id']} -> {summary['latest_dir']}")


@click.command("ops-status")
@click.option(
    "--status-dir",
    type=click.Path(path_type=Path),
    default=DEFAULT_OUT_DIR,
    show_default=True,
    help="Where the artifacts are.",
)
@click.option(
    "--live-pilot", type=click.Path(path_type=Path), default=None, help="live_pilot_scorecard.json"
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@click.option("--now", type=MomentType(), default=None, help="Fix the clock (ISO-8601).")
def ops_status_command(
    status_dir: Path, live_pilot: Path | None, as_json: bool, now: datetime | None
) -> None:
    """Step 0 of the launch: version control, artifacts with their ages, the pilot decision."""
    value = ops_status.snapshot(status_dir, now or utc_now(), live_pilot)
    if as_json:
        click.echo(to_json(value), nl=False)
    else:
        click.echo("\n".join(ops_status.snapshot_lines(value)))
    click.get_current_context().exit(EXIT_OK if value["ok"] else EXIT_NOT_READY)


HOUSEKEEPING = (record_run_command, bundle_command, fetch_command, ops_status_command)
