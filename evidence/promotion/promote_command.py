"""`seatrial promote SESSIONS…`: decide, write the decision, sign it when it is READY.

Exit codes: 0 READY_FOR_LIVE_PILOT; 2 any other decision, and every rehearsal; 1 an input that
cannot be read, told in one line.
"""

from datetime import datetime
from pathlib import Path

import click

from evidence.gates.artifact import (
    DEFAULT_OUT_DIR,
    set_aside,
    to_json,
    write_artifact,
    write_atomically,
)
from evidence.gates.gate_frame import MomentType
from evidence.gates.gates_now import LaunchGateState, read_gates
from evidence.gates.scorecard import EXIT_NOT_READY, EXIT_OK
from evidence.gates.trial_reports import JudgeAgain
from evidence.pack.evidence_pack import PackError, PackInputs, find_inputs
from evidence.promotion.campaign import CampaignJournal, campaign_of
from evidence.promotion.decision_text import STEM, decision_markdown, decision_value
from evidence.promotion.policy import (
    SIGNED_SUFFIX,
    Policy,
    PolicyError,
    load_policy,
    read_signature,
    sign_policy,
)
from evidence.promotion.promotion_decision import (
    REHEARSAL,
    Judgement,
    ReasonLevel,
    add_reason,
    decide,
    hold_to_floor,
)
from evidence.promotion.record import RECORD_NAME, make_record
from evidence.read.artifact_times import utc_now
from evidence.read.journal_sources import SourceError
from evidence.read.signing import KeyFileError, load_private_key, load_public_key
from evidence.read.venue_list import Source, list_of, read_list
from evidence.report.outside_anchors import timestamp_source, witness_source
from evidence.report.report import build_report
from evidence.report.venue_history import Key, fetch_list, read_key

FILE = click.Path(path_type=Path)


@click.command("promote")
@click.argument("sessions", nargs=-1, required=True, type=FILE)
@click.option("--rehearsal", is_flag=True, help="Judge simulated sessions as if they counted.")
@click.option(
    "--status-dir", type=FILE, default=DEFAULT_OUT_DIR, show_default=True, help="The gates now."
)
@click.option("--out-dir", type=FILE, default=DEFAULT_OUT_DIR, show_default=True)
@click.option("--policy", "policy_path", type=FILE, default=None, help="TOML with [promotion].")
@click.option("--policy-key", type=FILE, default=None, help="Public key that signed --policy.")
@click.option(
    "--witness-key", type=FILE, default=None, help="Public key of the witness of SESSIONS' exports."
)
@click.option("--tsa-root", type=FILE, default=None, help="Root certificate of their time stamps.")
@click.option(
    "--fetch-venue-history",
    "fetch",
    is_flag=True,
    help="Ask the venue for its list of the orders now, with your own key: an outside anchor.",
)
@click.option("--credentials", type=FILE, default=None, help="TOML with a key that may read.")
@click.option("--rest", default="", help="Base address; default: by the journals' environment.")
@click.option("--key", type=FILE, default=None, help="Signs a READY decision (Ed25519).")
@click.option("--json", "as_json", is_flag=True, help="Print the decision as one JSON object.")
@click.option("--now", type=MomentType(), default=None, help="Fix the clock (ISO-8601).")
def promote_command(
    sessions: tuple[Path, ...],
    *,
    rehearsal: bool,
    status_dir: Path,
    out_dir: Path,
    policy_path: Path | None,
    policy_key: Path | None,
    witness_key: Path | None,
    tsa_root: Path | None,
    fetch: bool,
    credentials: Path | None,
    rest: str,
    key: Path | None,
    as_json: bool,
    now: datetime | None,
    judge_again: JudgeAgain | None = None,
) -> None:
    """Decide promotion over SESSIONS: state directories, each with its venue's books.

    A witness's export beside the journal (witness.jsonl) is checked with --witness-key, the box's
    time stamps (anchor-receipts.jsonl) with --tsa-root; the venue's list is fetched with
    --fetch-venue-history.
    """
    moment = now or utc_now()
    try:
        ask = _ask(credentials, rest) if fetch else None
        policy = load_policy(policy_path)
        signing_key = load_private_key(key) if key else None
        found = [find_inputs(path) for path in sessions]
        judgement = decide(
            [
                journal
                for path, inputs in zip(sessions, found, strict=True)
                for journal in _journals(path, inputs, witness_key, tsa_root, ask)
            ],
            _gates(status_dir, policy, moment, judge_again),
            policy,
            moment,
            is_rehearsal=rehearsal,
        )
        hold_to_floor(judgement, policy)
        policy_signature = _policy_signature(judgement, policy, policy_path, policy_key)
        value = decision_value(judgement, policy, moment)
        path = write_artifact(out_dir, STEM, value, decision_markdown(value))
        is_ready = judgement.level is ReasonLevel.READY_FOR_LIVE_PILOT and not rehearsal
        record = out_dir / RECORD_NAME
        if is_ready and signing_key:
            segments = [segment for inputs in found for segment in inputs.segments]
            sealed = make_record(
                judgement, policy, segments, moment, signing_key, policy_signature=policy_signature
            )
            write_atomically(record, sealed.decode("utf-8"))
        else:
            _set_record_aside(out_dir)
    except (PackError, PolicyError, KeyFileError, SourceError) as error:
        set_aside(out_dir, STEM)
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(to_json(value), nl=False)
    else:
        _tell(judgement, path, record if is_ready and signing_key else None)
    click.get_current_context().exit(EXIT_OK if is_ready else EXIT_NOT_READY)


def _gates(
    status_dir: Path, policy: Policy, now: datetime, judge_again: JudgeAgain | None
) -> list[LaunchGateState]:
    """The gates as they stand now, and the trials that the policy asks for."""
    return read_gates(
        status_dir, now, policy.gate_age_hours_max, policy.trials_required, policy.trials_bound,
        judge_again=judge_again,
    )  # fmt: skip


def _ask(credentials: Path | None, rest: str) -> tuple[Key, str]:
    if credentials is None:
        raise SourceError("--fetch-venue-history needs --credentials: a key that may read")
    return read_key(credentials), rest


def _policy_signature(
    judgement: Judgement, policy: Policy, path: Path | None, key: Path | None
) -> bytes:
    """The signature of a policy file, or a reason against any decision but a rehearsal's."""
    if path is None or judgement.is_rehearsal:
        return b""
    try:
        if key is None:
            raise PolicyError(
                f"{path}: name the public key of those who agreed on it with --policy-key"
            )
        return read_signature(path, policy, load_public_key(key))
    except PolicyError as error:
        add_reason(judgement, ReasonLevel.INSUFFICIENT, "POLICY_UNSIGNED", str(error))
        return b""


def _journals(
    path: Path,
    inputs: PackInputs,
    witness_key: Path | None,
    tsa_root: Path | None,
    ask: tuple[Key, str] | None,
) -> list[CampaignJournal]:
    """Re-derive one session directory's journal in this process.

    `ask`: the key and the address to fetch the venue's list with. It is looked at alone then: what
    the box hands over beside its journal would make a list of both the box's own.
    """
    outside = []
    if ask is not None:
        found = fetch_list(inputs.segments[0].parent, ask[1], ask[0])
        lists = [list_of(found, "the venue", Source.FETCHED)]
    else:
        lists = [read_list(path) for path in inputs.histories]
    if inputs.witness is not None and witness_key is not None:
        outside.append(witness_source(str(inputs.witness), witness_key))
    if inputs.receipts is not None and tsa_root is not None:
        outside.append(timestamp_source(inputs.receipts, tsa_root))
    report = build_report(
        inputs.segments,
        ledger=inputs.ledger,
        anchors=inputs.anchors[0] if inputs.anchors else None,
        venue_lists=lists,
        outside=outside,
    )
    return campaign_of(report, str(path))


def _set_record_aside(out_dir: Path) -> None:
    old = out_dir / RECORD_NAME
    if old.exists():
        old.replace(old.with_name(old.name + ".stale"))


def _tell(judgement: Judgement, path: Path, record: Path | None) -> None:
    mark = f"{REHEARSAL} " if judgement.is_rehearsal else ""
    click.echo(f"{judgement.decision} -> {path}")
    for reason in judgement.reasons:
        click.echo(f"  {mark}{reason.level.name:17} {reason.code}: {reason.text}")
    for session_id, why in judgement.not_counted:
        click.echo(f"  {mark}{'not counted':17} {session_id}: {why}")
    click.echo(f"  {mark}{judgement.statistics['words']}")
    if record:
        click.echo(f"signed record -> {record}")
    elif judgement.level is ReasonLevel.READY_FOR_LIVE_PILOT and not judgement.is_rehearsal:
        click.echo("not signed: give --key to sign a promotion record")


@click.command("sign-policy")
@click.argument("policy_path", metavar="POLICY", type=FILE)
@click.option("--key", type=FILE, required=True, help="Private key of those who agree on it.")
def sign_policy_command(policy_path: Path, *, key: Path) -> None:
    """Sign POLICY (TOML with [promotion]) into POLICY.dsse.json beside it."""
    try:
        sealed = sign_policy(load_policy(policy_path), policy_path.name, load_private_key(key))
        signed = policy_path.with_name(policy_path.name + SIGNED_SUFFIX)
        write_atomically(signed, sealed.decode("utf-8"))
    except (PolicyError, KeyFileError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(str(signed))
