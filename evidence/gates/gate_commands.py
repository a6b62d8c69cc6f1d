"""`seatrial gate …` and `python -m evidence.gates …`: one command a gate.

Exit codes and errors: see `cli_frame`. The housekeeping commands (run history, bundle, dashboard
fetch, ops-status) stand in `cli_housekeeping` and are mounted into the same group.
"""

from datetime import datetime
from pathlib import Path

import click

from evidence.gates import (
    dry_run,
    live_pilot,
    live_readiness,
    prj_status,
    prk_health,
    shadow_testnet,
    stability,
)
from evidence.gates.artifact import DEFAULT_OUT_DIR
from evidence.gates.gate_frame import (
    common_options,
    conclude,
    conclude_scorecard,
    json_option,
    one_line_errors,
    runs_of,
    tell_missing,
    texts,
)
from evidence.gates.housekeeping_commands import HOUSEKEEPING
from evidence.gates.scorecard import EXIT_ERROR, EXIT_NOT_READY, EXIT_OK
from evidence.read.artifact_times import utc_now
from evidence.read.json_inputs import load_artifact, load_runs


@click.group("gate")
def gate_group() -> None:
    """The launch gates: each reads artifacts, decides, writes one artifact, and exits 0 or 2.

    A missing input is decided by the gate's own rule. A malformed one is no verdict: one line on
    stderr, exit code 1, and an older artifact of that name is renamed to `.stale`. Codes such as
    PR-BC are those of the launch procedure; docs/GLOSSARY.md explains each.
    """


@gate_group.command("stability")
@json_option(
    "--prk-runs-json", help="Dashboard runs (PR-K), newest first; default: ask gh, GitHub's client."
)
@json_option(
    "--prj-runs-json", help="Smoke runs (PR-J), newest first; default: ask gh, GitHub's client."
)
@click.option("--max-age-hours-prk", type=float, default=stability.AGE_HOURS_MAX, show_default=True)
@click.option("--max-age-hours-prj", type=float, default=stability.AGE_HOURS_MAX, show_default=True)
@click.option("--prk-workflow", default=stability.PRK_WORKFLOW, show_default=True)
@click.option("--prj-workflow", default=stability.PRJ_WORKFLOW, show_default=True)
@click.option("--branch", default="main", show_default=True)
@click.option("--limit", type=click.IntRange(1), default=60, show_default=True)
@common_options
def stability_command(
    *,
    prk_runs_json: str | None,
    prj_runs_json: str | None,
    max_age_hours_prk: float,
    max_age_hours_prj: float,
    prk_workflow: str,
    prj_workflow: str,
    branch: str,
    limit: int,
    out_dir: Path,
    now: datetime | None,
) -> None:
    """Stability (PR-BC): are the scheduled smoke runs and their dashboard green and fresh?"""
    moment = now or utc_now()
    with one_line_errors(out_dir, stability.STEM):
        prk_runs = runs_of("prk-runs", prk_runs_json, prk_workflow, branch, limit)
        prj_runs = runs_of("prj-runs", prj_runs_json, prj_workflow, branch, limit)
        prk = stability.judge_workflow(
            stability.PRK_NAME, prk_workflow, prk_runs.runs, moment, max_age_hours_prk
        )
        prj = stability.judge_workflow(
            stability.PRJ_NAME, prj_workflow, prj_runs.runs, moment, max_age_hours_prj
        )
        value = stability.stability_value(prk, prj, branch, moment, (prk_runs, prj_runs))
        tell_missing(prk_runs, prj_runs)
        conclude(
            out_dir,
            stability.STEM,
            value,
            stability.stability_markdown(value),
            verdict=f"overall_ok {str(value['overall_ok']).lower()}: "
            f"dashboard (PR-K) {prk.reason}, smoke (PR-J) {prj.reason}",
            code=EXIT_OK if value["overall_ok"] else EXIT_NOT_READY,
        )


@gate_group.command("live-readiness")
@json_option("--stability", help="stability_gate.json")
@json_option("--status", help="prj_status_latest.json")
@json_option("--health", help="prj_health_summary.json")
@click.option("--go-threshold", type=int, default=live_readiness.GO_THRESHOLD, show_default=True)
@common_options
def live_readiness_command(
    *,
    stability: str | None,
    status: str | None,
    health: str | None,
    go_threshold: int,
    out_dir: Path,
    now: datetime | None,
) -> None:
    """Live readiness (PR-BD): GO or NO_GO from stability, smoke status and dashboard health."""
    with one_line_errors(out_dir, live_readiness.STEM):
        value = live_readiness.judge_live_readiness(
            load_artifact("stability", stability),
            load_artifact("status", status),
            load_artifact("health", health),
            now or utc_now(),
            go_threshold,
        )
        conclude_scorecard(out_dir, live_readiness.STEM, live_readiness.TITLE, value, "GO")


@gate_group.command("shadow-testnet")
@json_option("--stability", help="stability_gate.json")
@json_option("--live-readiness", help="live_readiness_scorecard.json")
@json_option("--execution-evidence", help="execution_evidence.json (optional)")
@click.option(
    "--ready-threshold", type=int, default=shadow_testnet.READY_THRESHOLD, show_default=True
)
@common_options
def shadow_testnet_command(
    *,
    stability: str | None,
    live_readiness: str | None,
    execution_evidence: str | None,
    ready_threshold: int,
    out_dir: Path,
    now: datetime | None,
) -> None:
    """Shadow and testnet (PR-BE): may a testnet session start?"""
    with one_line_errors(out_dir, shadow_testnet.STEM):
        value = shadow_testnet.judge_shadow_testnet(
            load_artifact("stability", stability),
            load_artifact("live-readiness", live_readiness),
            load_artifact("execution-evidence", execution_evidence),
            now or utc_now(),
            ready_threshold,
        )
        conclude_scorecard(
            out_dir, shadow_testnet.STEM, shadow_testnet.TITLE, value, "READY_FOR_TESTNET"
        )


@gate_group.command("dry-run")
@json_option("--stability", help="stability_gate.json")
@json_option("--readiness", "--live-readiness", help="live_readiness_scorecard.json")
@click.option(
    "--drills",
    default=None,
    metavar="PATH",
    help="Results of `seatrial drill --all --json`, or a journal directory.",
)
@common_options
def dry_run_command(
    stability: str | None,
    readiness: str | None,
    drills: str | None,
    out_dir: Path,
    now: datetime | None,
) -> None:
    """The live dry-run checklist (NO_TRADE only)."""
    with one_line_errors(out_dir, dry_run.STEM):
        value = dry_run.judge_dry_run(
            load_artifact("stability", stability),
            load_artifact("live-readiness", readiness),
            now or utc_now(),
            dry_run.read_drills(drills) if drills else None,
        )
        failures = texts(value["hard_failures"])
        conclude(
            out_dir,
            dry_run.STEM,
            value,
            dry_run.dry_run_markdown(value),
            verdict=f"ok {str(value['ok']).lower()}"
            + (f": {', '.join(failures)}" * bool(failures)),
            code=EXIT_OK if value["ok"] else EXIT_NOT_READY,
        )


@gate_group.command("live-pilot")
@json_option("--stability", help="stability_gate.json")
@json_option("--live-readiness", help="live_readiness_scorecard.json")
@json_option("--shadow-testnet", help="shadow_testnet_scorecard.json")
@json_option("--execution-evidence", help="execution_evidence.json")
@click.option("--min-sample-size", type=int, default=live_pilot.SAMPLE_SIZE_MIN, show_default=True)
@click.option("--max-anomalies", type=int, default=live_pilot.ANOMALIES_MAX, show_default=True)
@common_options
def live_pilot_command(
    *,
    stability: str | None,
    live_readiness: str | None,
    shadow_testnet: str | None,
    execution_evidence: str | None,
    min_sample_size: int,
    max_anomalies: int,
    out_dir: Path,
    now: datetime | None,
) -> None:
    """Live pilot (PR-BI): the criterion for the promotion from testnet to a live pilot."""
    with one_line_errors(out_dir, live_pilot.STEM):
        value = live_pilot.judge_live_pilot(
            load_artifact("stability", stability),
            load_artifact("live-readiness", live_readiness),
            load_artifact("shadow-testnet", shadow_testnet),
            load_artifact("execution-evidence", execution_evidence),
            now or utc_now(),
            sample_size_min=min_sample_size,
            anomalies_max=max_anomalies,
        )
        conclude_scorecard(
            out_dir, live_pilot.STEM, live_pilot.TITLE, value, "READY_FOR_LIVE_PILOT"
        )


@gate_group.command("prj-status")
@click.option("--input", "input_path", required=True, metavar="FILE", help="Runs, newest first.")
@click.option("--stale-hours", type=float, default=prj_status.STALE_HOURS, show_default=True)
@click.option("--limit", type=click.IntRange(1), default=None, help="Only so many newest runs.")
@common_options
def prj_status_command(
    input_path: str, stale_hours: float, limit: int | None, out_dir: Path, now: datetime | None
) -> None:
    """Smoke status (PR-J): how the scheduled smoke runs stand. Exit 0; `policy` is the verdict."""
    with one_line_errors(out_dir, prj_status.STEM):
        source = load_runs("prj-runs", input_path)
        value = prj_status.status_value(source, now or utc_now(), stale_hours, limit)
        tell_missing(source)
        policy = value["policy"]
        reasons = texts(policy["reason_codes"]) if isinstance(policy, dict) else []
        conclude(
            out_dir,
            prj_status.STEM,
            value,
            prj_status.status_markdown(value),
            verdict=f"NO_TRADE: {', '.join(reasons)}" if reasons else "ok",
            code=EXIT_ERROR if source.is_missing else EXIT_OK,
        )


@gate_group.command("prk-health")
@click.option(
    "--input",
    "input_path",
    default=f"{DEFAULT_OUT_DIR}/{prj_status.STEM}.json",
    show_default=True,
    metavar="FILE",
    help="prj_status_latest.json",
)
@common_options
def prk_health_command(input_path: str, out_dir: Path, now: datetime | None) -> None:
    """Dashboard health (PR-K): the smoke status in one word. Exit 0; `status` is the verdict."""
    with one_line_errors(out_dir, prk_health.STEM):
        status = load_artifact("status", input_path)
        value = prk_health.health_value(status, now or utc_now())
        if status.is_missing:
            click.echo(f"warning: {input_path}: no such file; read as NO_TRADE", err=True)
        conclude(
            out_dir,
            prk_health.STEM,
            value,
            prk_health.health_markdown(value),
            verdict=str(value["status"]),
            code=EXIT_ERROR if status.is_missing else EXIT_OK,
        )


for _command in HOUSEKEEPING:
    gate_group.add_command(_command)
