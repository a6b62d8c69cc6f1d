"""The promotion decision: each way not to be READY, alone, from a campaign that is READY."""

import copy
import json
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.model.records import PROMOTION_FLOOR, below_floor
from evidence.gates.gates_now import GateLight, LaunchGateState, read_gates
from evidence.promotion.campaign import (
    CampaignJournal,
    CampaignSession,
    DrillRun,
    Happening,
)
from evidence.promotion.decision_text import decision_markdown, decision_value
from evidence.promotion.policy import Policy, PolicyError, load_policy
from evidence.promotion.promotion_decision import ReasonLevel, decide, hold_to_floor
from evidence.promotion.record import PREDICATE_TYPE, RecordError, make_record
from evidence.promotion.statistics import statement, upper_bound_without_faults
from evidence.read.dsse import EnvelopeError, open_envelope

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
HOUR_NS = 3_600 * 10**9
KEY = Ed25519PrivateKey.from_private_bytes(b"seatrial test key, not a secret!")
BINDING = {
    "version": "0.1.0",
    "commit": "c0ffee",
    "config_hash": "11",
    "caps_hash": "22",
    "account": "acc",
    "environment": "binance-spot-testnet",
}
POLICY = Policy(campaign_orders_min=500, campaign_minutes_min=300)


def session(number: int, **changes) -> CampaignSession:
    base = CampaignSession(
        session_id=f"s{number}",
        journal="box",
        mode="testnet",
        started_ns=NOW_NS - (100 - number) * HOUR_NS,
        duration_ms=60 * 60_000,
        orders=100,
        fills=10,
        end="stopped",
        binding=dict(BINDING),
        fingerprint=f"f{number}",
    )
    return replace(base, **changes)


def journal(*sessions: CampaignSession, **changes) -> CampaignJournal:
    base = CampaignJournal(
        name="box",
        verdict="OK",
        reasons=[],
        modes=["testnet"],
        sessions=list(sessions) or [session(number) for number in range(1, 6)],
        drills=[DrillRun(name, NOW_NS - HOUR_NS, passed=True) for name in POLICY.drills_required],
        cap_percent_max=dict.fromkeys(POLICY.cap_regions_percent_min, 80),
        anchored_by=["witness 00"],
    )
    return replace(base, **changes)


def gates(**lights: GateLight) -> list[LaunchGateState]:
    stems = ("stability_gate", "live_readiness_scorecard", "live_pilot_scorecard")
    return [LaunchGateState(stem, lights.get(stem, GateLight.GREEN), 1.0, "") for stem in stems]


def judge(*journals: CampaignJournal, policy=POLICY, lights=None, **options):
    chosen = [journal()] if not journals else list(journals)
    return decide(chosen, gates(**(lights or {})), policy, NOW, **options)


def codes(judgement):
    return {(reason.level.name, reason.code) for reason in judgement.reasons}


@pytest.mark.parametrize(
    ("versions", "named"), [(["ab"] * 5, ""), (["ab"] * 4 + ["cd"], "1 of 5 sessions name cd"),
                            ([""] * 5, "5 of 5 sessions name none")],
)  # fmt: skip
def test_the_bot_of_the_trials_is_the_one_that_the_sessions_name(versions, named):
    bound = {"standard": {"bot_version": "ab"}}
    policy = msgspec.structs.replace(POLICY, trials_required=["standard"], trials_bound=bound)
    told = [session(n, bot_version=version) for n, version in enumerate(versions, 1)]
    judgement = judge(journal(*told), policy=policy)
    texts = [one.text for one in judgement.reasons if one.code == "TRIALS_OF_ANOTHER_BOT"]
    assert bool(texts) == bool(named)
    assert named in "".join(texts)


def test_what_no_anchor_covers_is_left_out_and_too_much_of_it_is_a_reason():
    told = [session(n, is_end_covered=n < 5) for n in range(1, 6)]
    judgement = judge(journal(*told, uncovered=["drill gating passed (seq 7)"]))
    short = {"TOO_FEW_SESSIONS", "TOO_FEW_ORDERS", "TOO_SHORT"}
    assert {code for _, code in codes(judgement)} == short
    why = dict(judgement.not_counted)
    assert why["s5"] == "UNANCHORED: no outside anchor covers its end"
    assert "drill gating passed (seq 7)" in why["box"]
    for minutes, level in ((60, "CONTINUE_TESTNET"), (61, "INSUFFICIENT")):
        judgement = judge(journal(*told, uncovered_minutes=minutes))
        assert judgement.decision == level
        assert (("INSUFFICIENT", "END_UNANCHORED") in codes(judgement)) == (minutes == 61)


def test_a_campaign_that_shows_everything_is_ready():
    judgement = judge()
    assert judgement.decision == "READY_FOR_LIVE_PILOT"
    assert judgement.reasons == []
    assert judgement.binding == BINDING
    assert judgement.statistics["sessions"] == 5
    assert judgement.statistics["session_upper_95"] == "0.450720"


def with_change(number: int, **changes):
    sessions = [session(n, **(changes if n == number else {})) for n in range(1, 6)]
    return journal(*sessions)


def happening(why=""):
    return [Happening(9, "order_reject", why)]


CASES = [
    # something is wrong
    ("a journal that fails", journal(verdict="NO_GO", reasons=["intact: cut"]),
     {("NO_GO", "JOURNAL_NO_GO")}),
    ("an unresolved incident", journal(unresolved=["i-1 (storm)"]),
     {("NO_GO", "INCIDENT_UNRESOLVED")}),
    ("an unexplained error", with_change(3, errors=happening()), {("NO_GO", "ERROR_UNEXPLAINED")}),
    ("an error before the first session", journal(outside=happening()),
     {("NO_GO", "ERROR_UNEXPLAINED")}),
    ("more happenings than can be listed", journal(beyond=3), {("NO_GO", "TOO_MANY_HAPPENINGS")}),
    ("a session cloned within a journal", with_change(3, fingerprint="f1"),
     {("NO_GO", "SESSION_TWICE")}),
    ("the simulator's books under the name of a testnet", journal(has_simulator_books=True),
     {("NO_GO", "SIMULATOR_AS_TESTNET")}),
    ("a drill that failed last", journal(drills=[
        *journal().drills, DrillRun("kill", NOW_NS - 1, passed=False)]),
     {("NO_GO", "DRILL_FAILED")}),
    ("a drill that nobody asked for but failed", journal(drills=[
        *journal().drills, DrillRun("other", NOW_NS - 1, passed=False)]),
     {("NO_GO", "DRILL_FAILED")}),
    # it cannot be known
    ("a journal that nothing confirms", journal(verdict="INSUFFICIENT", reasons=["corroborated"]),
     {("INSUFFICIENT", "JOURNAL_UNPROVEN")}),
    ("a drill that was never run", journal(drills=journal().drills[1:]),
     {("INSUFFICIENT", "DRILL_MISSING")}),
    ("sessions that do not say their code",
     journal(*[session(n, binding={**BINDING, "commit": "unknown"}) for n in range(1, 6)]),
     {("INSUFFICIENT", "UNBOUND")}),
    ("sessions of code that was not committed",
     journal(*[session(n, binding={**BINDING, "commit": "c0ffee-dirty"}) for n in range(1, 6)]),
     {("INSUFFICIENT", "UNBOUND")}),
    # nothing is wrong, not enough was shown
    ("an error that was explained", with_change(3, errors=happening("a known wipe")),
     {("CONTINUE_TESTNET", "ERROR_EXPLAINED")}),
    ("an anomaly above the tolerance", with_change(3, anomalies=happening()),
     {("CONTINUE_TESTNET", "ANOMALIES_ABOVE_TOLERANCE")}),
    ("a drill of last month", journal(drills=[
        DrillRun(run.name, NOW_NS - 168 * HOUR_NS, passed=True) for run in journal().drills]),
     {("CONTINUE_TESTNET", "DRILL_STALE")}),
    ("a cap that was never near its limit",
     journal(cap_percent_max={**journal().cap_percent_max, "exposure_gross_numeraire_max": 49}),
     {("CONTINUE_TESTNET", "CAP_REGION_NOT_VISITED")}),
    ("too few sessions, though long and busy",
     journal(*[session(n, orders=900, duration_ms=10**8) for n in range(1, 5)]),
     {("CONTINUE_TESTNET", "TOO_FEW_SESSIONS")}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_each_way_not_to_be_ready(case):
    _, given_journal, expected = case
    judgement = judge(given_journal)
    assert codes(judgement) == expected
    assert judgement.decision == next(iter(expected))[0]


LIGHTS = [
    (GateLight.RED, "NO_GO", "GATE_RED"),
    (GateLight.STALE, "INSUFFICIENT", "GATE_STALE"),
    (GateLight.MISSING, "INSUFFICIENT", "GATE_MISSING"),
    (GateLight.MALFORMED, "INSUFFICIENT", "GATE_MALFORMED"),
    (GateLight.REHEARSED, "INSUFFICIENT", "GATE_REHEARSED"),
]


@pytest.mark.parametrize(("light", "level", "code"), LIGHTS)
def test_each_light_of_a_gate_but_green(light, level, code):
    judgement = judge(lights={"stability_gate": light})
    assert codes(judgement) == {(level, code)}


def test_nothing_given_is_insufficient():
    assert decide([], [], POLICY, NOW).decision == "INSUFFICIENT"


SHORT = [
    {"duration_ms": 59 * 60_000},
    {"orders": 19},
    {"fills": 4},
    {"end": "crashed"},
    {"end": "open"},
]


@pytest.mark.parametrize("changes", SHORT, ids=str)
def test_a_short_or_crashed_session_does_not_count_but_its_errors_do(changes):
    judgement = judge(with_change(3, **changes))
    assert len(judgement.qualifying) == 4
    assert [name for name, _ in judgement.not_counted] == ["s3"]
    assert ("CONTINUE_TESTNET", "TOO_FEW_SESSIONS") in codes(judgement)
    with_error = judge(with_change(3, errors=happening(), **changes))
    assert with_error.decision == "NO_GO"


def test_a_crash_is_a_fault_and_a_reason():
    judgement = judge(with_change(3, end="crashed"), policy=replace_policy(sessions_min=1))
    assert ("CONTINUE_TESTNET", "SESSIONS_CRASHED") in codes(judgement)
    assert judgement.statistics["session_upper_95"] is None


def replace_policy(**changes):
    return Policy(**{"campaign_orders_min": 1, "campaign_minutes_min": 1, **changes})


@pytest.mark.parametrize("name", sorted(BINDING))
def test_a_change_of_any_binding_begins_the_count_anew(name):
    changed = {**BINDING, name: "another"}
    sessions = [session(n, binding=changed if n <= 3 else dict(BINDING)) for n in range(1, 9)]
    judgement = judge(journal(*sessions))
    assert [one.session_id for one in judgement.campaign] == [f"s{n}" for n in range(4, 9)]
    assert judgement.not_counted == [
        (f"s{n}", f"before a change of {name}: the count began anew") for n in (1, 2, 3)
    ]
    assert judgement.decision == "READY_FOR_LIVE_PILOT"


def test_going_back_to_an_old_binding_does_not_bring_its_sessions_back():
    other = {**BINDING, "config_hash": "other"}
    sessions = [session(n, binding=other if n == 5 else dict(BINDING)) for n in range(1, 9)]
    judgement = judge(journal(*sessions))
    assert [one.session_id for one in judgement.campaign] == ["s6", "s7", "s8"]
    assert judgement.decision == "CONTINUE_TESTNET"


def test_simulated_sessions_never_count():
    simulated = journal(*[session(n, mode="sim") for n in range(1, 6)], modes=["sim"])
    judgement = judge(simulated)
    assert judgement.decision == "INSUFFICIENT"
    assert judgement.campaign == []
    assert {why for _, why in judgement.not_counted} == {"mode sim: never counts"}


def test_a_testnet_session_in_a_journal_with_simulated_lines_does_not_count():
    mixed = journal(modes=["sim", "testnet"])
    judgement = judge(mixed)
    assert judgement.decision == "INSUFFICIENT"
    assert judgement.campaign == []


def test_padding_a_campaign_with_simulated_sessions_does_not_help():
    real = journal(*[session(n) for n in range(1, 4)])
    padding = journal(
        *[session(n, mode="sim", journal="sim-box") for n in range(4, 9)],
        name="sim-box", modes=["sim"],
    )  # fmt: skip
    judgement = judge(real, padding)
    assert judgement.decision == "INSUFFICIENT"
    assert ("CONTINUE_TESTNET", "TOO_FEW_SESSIONS") in codes(judgement)


def test_the_same_journal_given_twice_is_seen():
    twice = journal(name="copy")
    judgement = judge(journal(), twice)
    assert ("NO_GO", "SESSION_TWICE") in codes(judgement)


def test_a_rehearsal_says_so_in_every_word():
    simulated = journal(*[session(n, mode="sim") for n in range(1, 6)], modes=["sim"])
    judgement = judge(simulated, is_rehearsal=True)
    assert judgement.decision == "REHEARSAL_READY_FOR_LIVE_PILOT"
    value = decision_value(judgement, POLICY, NOW)
    assert (value["label"], value["rehearsal"]) == ("REHEARSAL", True)
    headings = [line for line in decision_markdown(value) if line.startswith("#")]
    assert len(headings) > 5
    assert all("REHEARSAL" in heading for heading in headings)


def test_the_agreed_tolerance_goes_by_kind_and_session():
    policy = replace_policy(anomalies_per_session_max={"order_reject": 2})
    rejects = [Happening(n, "order_reject", "") for n in range(2)]
    assert judge(with_change(3, anomalies=rejects), policy=policy).reasons == []
    timeouts = [Happening(7, "timeout", "")]
    assert codes(judge(with_change(3, anomalies=rejects + timeouts), policy=policy)) == {
        ("CONTINUE_TESTNET", "ANOMALIES_ABOVE_TOLERANCE")
    }
    explained = [Happening(7, "timeout", "the venue's maintenance")]
    judgement = judge(with_change(3, anomalies=rejects + explained), policy=policy)
    assert judgement.reasons == []
    assert judgement.explained == ["s3: seq 7 timeout: the venue's maintenance"]


def test_every_reason_is_listed_and_the_worst_one_decides():
    bad = with_change(3, anomalies=happening(), errors=happening())
    bad.drills = []
    judgement = judge(bad, lights={"stability_gate": GateLight.RED})
    levels = [reason.level for reason in judgement.reasons]
    assert levels == sorted(levels, reverse=True)
    assert {level.name for level in levels} == {"NO_GO", "INSUFFICIENT", "CONTINUE_TESTNET"}
    assert judgement.decision == "NO_GO"


def test_the_twin_holds_the_same_figures():
    value = decision_value(judge(with_change(3, fills=1)), POLICY, NOW)
    twin = "\n".join(decision_markdown(value))
    for reason in value["reasons"]:
        assert f"- {reason['level']} {reason['code']}: {reason['text']}" in twin
    for one in value["sessions"]:
        assert f"| {one['session_id']} | {one['mode']} |" in twin
    assert value["statistics"]["words"] in twin


@given(st.sets(st.sampled_from(range(len(CASES))), max_size=4))
def test_more_trouble_never_makes_a_better_decision(chosen):
    def level_of(indices):
        merged = journal()
        for index in indices:
            bad = copy.deepcopy(CASES[index][1])
            merged = replace(
                merged,
                verdict=max(merged.verdict, bad.verdict, key=["OK", "INSUFFICIENT", "NO_GO"].index),
                reasons=merged.reasons + bad.reasons,
                unresolved=merged.unresolved + bad.unresolved,
                outside=merged.outside + bad.outside,
                beyond=merged.beyond + bad.beyond,
                has_simulator_books=merged.has_simulator_books or bad.has_simulator_books,
            )
        return judge(merged).level

    ordered = sorted(chosen)
    levels = [level_of(ordered[:count]) for count in range(len(ordered) + 1)]
    assert levels == sorted(levels)


# ------------------------------------------------------------------ statistics
@pytest.mark.parametrize("trials", [1, 2, 3, 5, 10, 59, 100, 299, 1000, 2995])
def test_the_bound_is_exact_to_its_last_digit(trials):
    """(1 - p)^n <= 1/20 at the bound and > 1/20 one millionth below: integers only."""
    million = 10**6
    bound = int(upper_bound_without_faults(trials) * million)
    assert 20 * (million - bound) ** trials <= million**trials
    assert 20 * (million - bound + 1) ** trials > million**trials


def test_the_bound_of_nothing_is_everything_and_it_falls_with_trials():
    bounds = [upper_bound_without_faults(trials) for trials in range(200)]
    assert bounds[0] == Decimal(1)
    assert all(a > b for a, b in pairwise(bounds))


def test_the_statement_does_not_claim_a_bound_where_faults_were_seen():
    assert statement(5, 500, 1)["session_upper_95"] is None
    assert "nothing was tried" in statement(0, 0, 0)["words"]
    assert "45.072 %" in statement(5, 500, 0)["words"]


# ------------------------------------------------------------------ policy
def test_the_policy_file(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text("[promotion]\nsessions_min = 3\nanomalies_per_session_max = {timeout = 1}\n")
    policy = load_policy(path)
    assert (policy.sessions_min, policy.anomalies_per_session_max) == (3, {"timeout": 1})
    assert policy.session_minutes_min == Policy().session_minutes_min
    assert policy.digest() != Policy().digest()
    assert load_policy(None) == Policy()


@pytest.mark.parametrize(
    "text",
    [
        "[promotion]\nsession_min = 3",
        "[promotion]\nsessions_min = '3'",
        "[promotion]\nsessions_min = 0",
        "[promotion]\ndrill_age_hours_max = -1",
        "[promotion]\nanomalies_per_session_max = {timeout = -1}",
        "[other]\nx = 1",
        "[promotion",
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(tmp_path, text):
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(PolicyError, match=r"p\.toml"):
        load_policy(path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("sessions_min = 1", "sessions_min"),
        ("session_minutes_min = 0", "session_minutes_min"),
        ("session_orders_min = 0", "session_orders_min"),
        ("session_fills_min = 0", "session_fills_min"),
        ("campaign_orders_min = 1", "campaign_orders_min"),
        ("campaign_minutes_min = 0", "campaign_minutes_min"),
        ("crashes_max = 1000", "crashes_max"),
        ("drills_required = []", "drills_required leaves out kill-switch"),
        ('drills_required = ["kill-switch", "gating"]', "drills_required leaves out cap-rejection"),
        ("anomalies_per_session_max = {timeout = 1_000_000_000}", "anomalies_per_session_max"),
        ("cap_regions_percent_min = {}", "cap_regions_percent_min"),
        ("cap_regions_percent_min = {orders_open_max = 0}", "cap_regions_percent_min"),
        ("drill_age_hours_max = 100_000", "drill_age_hours_max"),
        ("gate_age_hours_max = 100_000", "gate_age_hours_max"),
        ("record_valid_hours = 100_000", "record_valid_hours"),
        ("outside_anchors_min = 0", "outside_anchors_min is 0, at least 1"),
        ("unanchored_minutes_max = 100_000", "unanchored_minutes_max"),
    ],
)
def test_no_policy_is_below_the_floor(tmp_path, text, named):
    path = tmp_path / "p.toml"
    path.write_text(f"[promotion]\n{text}\n")
    policy = load_policy(path)
    judgement = judge()
    assert judgement.level is ReasonLevel.READY_FOR_LIVE_PILOT
    hold_to_floor(judgement, policy)
    assert judgement.level is ReasonLevel.INSUFFICIENT
    assert [one.code for one in judgement.reasons] == ["POLICY_BELOW_FLOOR"]
    assert named in judgement.reasons[0].text
    rehearsal = judge(is_rehearsal=True)
    hold_to_floor(rehearsal, policy)
    assert rehearsal.reasons == []


def test_the_defaults_and_the_floor_itself_are_not_below_it():
    assert below_floor(msgspec.to_builtins(Policy())) == []
    # A policy may ask for no trials.
    floored = set(msgspec.to_builtins(Policy())) - {"trials_required", "trials_bound"}
    assert set(PROMOTION_FLOOR) == floored, "every other term has a floor"
    assert len(below_floor({})) >= len(PROMOTION_FLOOR)


def test_nothing_is_signed_for_a_policy_below_the_floor():
    trivial = Policy(sessions_min=1, drills_required=[])
    with pytest.raises(RecordError, match="floor"):
        make_record(judge(), trivial, [], NOW, KEY)


# ------------------------------------------------------------------ gates now
GREEN_FILES = {
    "stability_gate": {"overall_ok": True},
    "live_readiness_scorecard": {"decision": "GO"},
    "shadow_testnet_scorecard": {"decision": "READY_FOR_TESTNET"},
    "live_dryrun_checklist": {"ok": True},
    "live_pilot_scorecard": {"decision": "READY_FOR_LIVE_PILOT"},
}
FRESH = {"generated_at": "2026-01-31T11:00:00Z"}


def write_gates(folder, **changes):
    for stem, value in GREEN_FILES.items():
        content = {**FRESH, **value, **changes.get(stem, {})}
        (folder / f"{stem}.json").write_text(json.dumps(content))
    return {state.stem: state.light.value for state in read_gates(folder, NOW, 36)}


def test_fresh_green_gates(tmp_path):
    assert set(write_gates(tmp_path).values()) == {"GREEN"}


GATE_CASES = [
    ({"overall_ok": False}, "RED"),
    ({"overall_ok": "true"}, "RED"),
    ({"generated_at": "2026-01-29T11:00:00Z"}, "STALE"),
    ({"generated_at": "2026-02-01T11:00:00Z"}, "STALE"),
    ({"generated_at": None}, "STALE"),
    ({"generated_at": None, "seatrial": FRESH}, "GREEN"),
    ({"seatrial": {"remarks": ["REHEARSAL_SIMULATED_EVIDENCE"]}}, "REHEARSED"),
    ({"seatrial": {"remarks": ["EVIDENCE_WITHOUT_PROVENANCE"]}}, "REHEARSED"),
    ({"seatrial": {"remarks": ["DRILLS_NOT_EXECUTED"]}}, "GREEN"),
]


@pytest.mark.parametrize(("changes", "light"), GATE_CASES)
def test_each_light(tmp_path, changes, light):
    assert write_gates(tmp_path, stability_gate=changes)["stability_gate"] == light


def test_missing_and_malformed_gates(tmp_path):
    write_gates(tmp_path)
    (tmp_path / "stability_gate.json").unlink()
    (tmp_path / "live_pilot_scorecard.json").write_text("{")
    lights = {state.stem: state.light.value for state in read_gates(tmp_path, NOW, 36)}
    assert lights["stability_gate"] == "MISSING"
    assert lights["live_pilot_scorecard"] == "MALFORMED"


# ------------------------------------------------------------------ records
@pytest.fixture
def record(tmp_path):
    segment = tmp_path / "journal" / "journal-000001.jsonl"
    segment.parent.mkdir()
    segment.write_bytes(b"{}\n")
    return make_record(judge(), POLICY, [segment], NOW, KEY)


def test_a_record_names_its_binding_and_when_it_expires(record):
    predicate = open_envelope(record, KEY.public_key(), PREDICATE_TYPE)["predicate"]
    assert predicate["decision"] == "READY_FOR_LIVE_PILOT"
    assert predicate["binding"] == BINDING
    assert predicate["issued_at"] == "2026-01-31T12:00:00Z"
    assert predicate["expires_at"] == "2026-02-03T12:00:00Z"


def test_a_changed_record_is_no_record(record):
    for position in range(0, len(record), 7):
        changed = bytearray(record)
        changed[position] ^= 1
        with pytest.raises(EnvelopeError):
            open_envelope(bytes(changed), KEY.public_key(), PREDICATE_TYPE)


def test_only_a_real_ready_decision_is_signed():
    rehearsal = judge(is_rehearsal=True)
    assert rehearsal.level is ReasonLevel.READY_FOR_LIVE_PILOT
    for judgement in (rehearsal, judge(journal(beyond=1))):
        with pytest.raises(RecordError, match="never signed"):
            make_record(judgement, POLICY, [], NOW, KEY)
