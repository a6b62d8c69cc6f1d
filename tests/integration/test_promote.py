"""Promotion end to end: journals and books on disk, gates on disk, one command."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rfc3161_client import TimestampRequestBuilder

from daemon.model.ids import chain_digest
from daemon.model.witness_words import stamped_bytes
from evidence.promotion import promote_command as promote_module
from evidence.promotion.promote_command import promote_command, sign_policy_command
from evidence.promotion.record import PREDICATE_TYPE
from evidence.read.dsse import open_envelope
from evidence.read.signing import key_hex, load_public_key, make_key_pair
from tests.support.journal_maker import DRILLED, START_NS, JournalMaker
from tests.support.time_authority import TimeAuthority
from tests.support.witnessed import Witnessed

NOW = datetime.fromtimestamp(START_NS / 10**9, UTC).replace(microsecond=0) + timedelta(hours=1)
STAMP = NOW.isoformat()
POLICY = """
[promotion]
sessions_min = 3
session_minutes_min = 10
session_orders_min = 5
session_fills_min = 1
campaign_orders_min = 50
campaign_minutes_min = 60
cap_regions_percent_min = { order_notional_quote_max = 10 }
anomalies_per_session_max = { order_reject = 20 }
"""
GATES = {
    "stability_gate": {"overall_ok": True},
    "live_readiness_scorecard": {"decision": "GO"},
    "shadow_testnet_scorecard": {"decision": "READY_FOR_TESTNET"},
    "live_dryrun_checklist": {"ok": True},
    "live_pilot_scorecard": {"decision": "READY_FOR_LIVE_PILOT"},
}


@pytest.fixture
def promote(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.toml").write_text(POLICY)
    status = tmp_path / "status"
    status.mkdir()
    for stem, value in GATES.items():
        (status / f"{stem}.json").write_text(json.dumps({**value, "generated_at": STAMP}))
    make_key_pair(tmp_path / "key.pem")
    Witnessed(tmp_path / "witness")

    def run(*arguments: str, sign: bool = True):
        options = ["--policy", "policy.toml", "--status-dir", "status", "--out-dir", "out"]
        if sign:
            CliRunner().invoke(sign_policy_command, ["policy.toml", "--key", "key.pem"])
        options += ["--policy-key", "key.pem.pub", "--witness-key", "witness/witness.pem.pub"]
        done = CliRunner().invoke(
            promote_command, [*arguments, *options, "--key", "key.pem", "--now", STAMP]
        )
        path = tmp_path / "out/promotion_decision.json"
        return done, json.loads(path.read_text()) if path.exists() else None

    return run


def save(maker: JournalMaker, folder: str) -> str:
    """Write journal and books; a testnet's books have none of the simulator's keys."""
    Path(folder).mkdir()
    books = maker.books()
    if maker.mode == "testnet":
        books = {key: books[key] for key in books.keys() - {"requests", "faults"}}
    maker.save(Path(folder))
    (Path(folder) / "ledger.json").write_text(json.dumps(books))
    lines, followed = maker.lines(), Witnessed(Path("boxes") / folder, Path("witness/witness.pem"))
    followed.export(lines, (*range(1, len(lines), 20), len(lines)), Path(folder) / "witness.jsonl")
    return folder


def story_of_a_testnet(seed: int, **kwargs) -> JournalMaker:
    return long_story(
        seed, mode="testnet", exchange="binance-spot-testnet", instance=f"box0{seed}", **kwargs
    )


def long_story(seed: int, *, orders: int, sessions: int = 1, **kwargs) -> JournalMaker:
    """Sessions of 21 minutes, after the drills that no policy may leave out."""
    maker = JournalMaker(seed, **kwargs)
    maker.run_start()
    for name in DRILLED:
        maker.drill(name)
    for _ in range(sessions):
        maker.session_start()
        maker.trade(orders)
        maker.wait(21 * 60_000)
        maker.session_stop()
    maker.run_stop()
    return maker


def test_three_good_testnet_sessions_are_promoted_and_signed(promote, tmp_path):
    folders = [save(story_of_a_testnet(seed, orders=30), f"s{seed}") for seed in (11, 12, 13)]
    done, value = promote(*folders)
    assert (done.exit_code, value["decision"]) == (0, "READY_FOR_LIVE_PILOT"), done.output
    assert [one["qualifies"] for one in value["sessions"]] == [True] * 3
    raw = (tmp_path / "out/promotion_record.dsse.json").read_bytes()
    key = load_public_key(tmp_path / "key.pem.pub")
    predicate = open_envelope(raw, key, PREDICATE_TYPE)["predicate"]
    assert predicate["binding"] == value["binding"]
    assert predicate["sessions"] == [one["session_id"] for one in value["sessions"]]


def test_simulated_sessions_are_insufficient_and_a_rehearsal_is_labelled(promote, tmp_path):
    folders = [
        save(long_story(seed, orders=30, instance=f"sim{seed}"), f"s{seed}") for seed in (1, 2, 3)
    ]
    done, value = promote(*folders)
    assert (done.exit_code, value["decision"]) == (2, "INSUFFICIENT")
    assert {one["code"] for one in value["reasons"]} >= {"NOT_TESTNET", "NO_TESTNET_SESSION"}
    rehearsed, value = promote(*folders, "--rehearsal")
    assert (rehearsed.exit_code, value["decision"]) == (2, "REHEARSAL_READY_FOR_LIVE_PILOT")
    assert all(line.lstrip().startswith("REHEARSAL") for line in rehearsed.output.splitlines())
    assert not (tmp_path / "out/promotion_record.dsse.json").exists()


def test_a_removed_reject_is_no_go(promote):
    story = story_of_a_testnet(11, orders=30)
    reject = next(r for r in story.records if r["event_type"] == "order_reject")
    cid = reject["client_order_id"]
    story.records = [
        record
        for record in story.records
        if not (record["event_type"] == "order_reject" and record["client_order_id"] == cid)
    ]
    done, value = promote(save(story, "s11"))
    assert (done.exit_code, value["decision"]) == (2, "NO_GO")


def test_a_missing_ledger_is_insufficient(promote):
    folder = save(story_of_a_testnet(11, orders=30), "s11")
    (Path(folder) / "ledger.json").unlink()
    _, value = promote(folder)
    assert value["decision"] == "INSUFFICIENT"
    assert "JOURNAL_UNPROVEN" in {one["code"] for one in value["reasons"]}


def test_an_older_record_is_set_aside_when_the_decision_turns(promote, tmp_path):
    folders = [save(story_of_a_testnet(seed, orders=30), f"s{seed}") for seed in (11, 12, 13)]
    promote(*folders)
    (tmp_path / "status/stability_gate.json").write_text(json.dumps({"overall_ok": False}))
    done, value = promote(*folders)
    assert (done.exit_code, value["decision"]) == (2, "NO_GO")
    assert not (tmp_path / "out/promotion_record.dsse.json").exists()


def test_a_directory_without_journal_is_one_line(promote, tmp_path):
    (tmp_path / "empty").mkdir()
    done, value = promote("empty")
    assert (done.exit_code, value) == (1, None)
    assert done.output.count("\n") == 1


def test_a_policy_below_the_floor_promotes_nothing(promote, tmp_path):
    folders = [save(story_of_a_testnet(seed, orders=30), f"s{seed}") for seed in (11, 12, 13)]
    (tmp_path / "policy.toml").write_text(POLICY + "drills_required = []\n")
    done, value = promote(*folders)
    assert (done.exit_code, value["decision"]) == (2, "INSUFFICIENT")
    assert {one["code"] for one in value["reasons"]} == {"POLICY_BELOW_FLOOR", "POLICY_UNSIGNED"}
    [floor] = [one for one in value["reasons"] if one["code"] == "POLICY_BELOW_FLOOR"]
    assert "drills_required leaves out kill-switch" in floor["text"]
    assert not (tmp_path / "out/promotion_record.dsse.json").exists()


def test_a_trivial_policy_is_refused_with_every_floor_that_it_undercuts(promote, tmp_path):
    (tmp_path / "policy.toml").write_text(
        "[promotion]\nsessions_min = 1\nsession_minutes_min = 0\nsession_orders_min = 0\n"
        "session_fills_min = 0\ncampaign_orders_min = 0\ncampaign_minutes_min = 0\n"
        "drills_required = []\ncap_regions_percent_min = {}\noutside_anchors_min = 0\n"
        "anomalies_per_session_max = { timeout = 1_000_000_000 }\n"
    )
    done, value = promote(save(story_of_a_testnet(11, orders=30), "s11"))
    assert (done.exit_code, value["decision"]) == (2, "INSUFFICIENT")
    [floor] = [one["text"] for one in value["reasons"] if one["code"] == "POLICY_BELOW_FLOOR"]
    for named in (
        "sessions_min is 1, at least 3", "session_minutes_min is 0, at least 10",
        "session_orders_min is 0", "campaign_orders_min is 0", "campaign_minutes_min is 0",
        "drills_required leaves out kill-switch", "cap_regions_percent_min",
        "outside_anchors_min is 0, at least 1", "anomalies_per_session_max allows 1000000000",
    ):  # fmt: skip
        assert named in floor
    refused = CliRunner().invoke(sign_policy_command, ["policy.toml", "--key", "key.pem"])
    assert refused.exit_code == 1
    assert "below the floor, never signed" in refused.output


def test_a_policy_that_nobody_signed_or_that_was_changed_since_promotes_nothing(promote, tmp_path):
    folders = [save(story_of_a_testnet(seed, orders=30), f"s{seed}") for seed in (11, 12, 13)]
    _, unsigned = promote(*folders, sign=False)
    promote(*folders)
    (tmp_path / "policy.toml").write_text(POLICY.replace("sessions_min = 3", "sessions_min = 4"))
    _, changed = promote(*folders, sign=False)
    for value, words in ((unsigned, "not signed"), (changed, "not the terms")):
        reasons = [one for one in value["reasons"] if one["code"] == "POLICY_UNSIGNED"]
        assert value["decision"] == "INSUFFICIENT"
        assert words in reasons[0]["text"]


def test_journals_that_nobody_outside_confirms_or_only_late_are_not_promoted(promote, tmp_path):
    story = story_of_a_testnet(11, orders=30)
    folders = [save(story, "s11")]
    folders += [save(story_of_a_testnet(seed, orders=30), f"s{seed}") for seed in (12, 13)]
    kept = (tmp_path / "s11/witness.jsonl").read_bytes()
    (tmp_path / "s11/witness.jsonl").unlink()
    _, value = promote(*folders)
    assert value["decision"] == "INSUFFICIENT"
    assert {one["code"] for one in value["reasons"]} == {"JOURNAL_UNPROVEN", "TOO_FEW_ANCHORS"}
    late, lines = Witnessed(tmp_path / "late", tmp_path / "witness/witness.pem"), story.lines()
    hours_ns = 3 * 3_600 * 10**9
    late.export(lines, (5, len(lines)), tmp_path / "s11/witness.jsonl", late_ns=hours_ns)
    _, value = promote(*folders)
    assert [one["code"] for one in value["reasons"]] == ["ANCHORED_TOO_LATE"]
    (tmp_path / "s11/witness.jsonl").write_bytes(kept)
    _, value = promote(*folders)
    assert value["decision"] == "READY_FOR_LIVE_PILOT"
    leaned_on = [f"witness {_witness(tmp_path)}…"]
    assert list(value["anchored_by"].values()) == [leaned_on] * 3


def test_time_stamps_are_a_second_anchor_where_the_policy_asks_for_two(promote, tmp_path):
    authority, stories = TimeAuthority(tmp_path / "tsa"), {}
    for seed in (11, 12, 13):
        stories[f"s{seed}"] = story_of_a_testnet(seed, orders=30)
        save(stories[f"s{seed}"], f"s{seed}")
    (tmp_path / "policy.toml").write_text(POLICY + "outside_anchors_min = 2\n")
    options = ("--tsa-root", str(authority.root))
    _, value = promote(*stories, *options)
    assert {one["code"] for one in value["reasons"]} == {"TOO_FEW_ANCHORS"}
    for folder, story in stories.items():
        lines = story.lines()
        head = hashlib.sha256(lines[-1]).hexdigest()
        query = TimestampRequestBuilder().data(stamped_bytes(len(lines), head)).build()
        response = base64.b64encode(authority.reply(query.as_bytes())).decode()
        kept = {"kind": "timestamp", "seq": len(lines), "head": head}
        receipt = json.dumps({**kept, "receipt": {"response": response}})
        (Path(folder) / "anchor-receipts.jsonl").write_text(receipt + "\n")
    _, value = promote(*stories, *options)
    assert value["decision"] == "READY_FOR_LIVE_PILOT", value["reasons"]
    assert [len(names) for names in value["anchored_by"].values()] == [2, 2, 2]
    assert "time stamps under CN=root" in value["anchored_by"]["s11"]


def listed_by_the_venue(maker: JournalMaker) -> dict[str, Any]:
    """What the venue would list of a story's orders, each renamed by an emergency stop.

    The digest of such a name is that of the journal's head when it was made.
    """
    lines, rows = maker.lines(), {}
    for line, record in zip(lines, maker.records, strict=True):
        cid, number = record.get("client_order_id", ""), record.get("order_id")
        if record["event_type"] == "order_state" and number:
            counter = int(cid.rpartition("-")[2], 36)
            digits = chain_digest(json.loads(line)["prev"])
            at_ms = record["ts_ns"] // 10**6
            rows[cid] = {
                "symbol": record["symbol"], "orderId": number, "time": at_ms, "updateTime": at_ms,
                "clientOrderId": f"st{maker.instance}k001000{_base36(counter):0>5}{digits}",
            }  # fmt: skip
    by_symbol: dict[str, list[Any]] = {}
    for row in rows.values():
        by_symbol.setdefault(row["symbol"], []).append(row)
    newest = maker.records[-1]["ts_ns"] + 3_600 * 10**9
    return {"all_orders": by_symbol, "fetched_ns": newest, "is_simulated": False}


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return digits[number] if number < 36 else _base36(number // 36) + digits[number % 36]


def test_the_venues_list_that_promote_fetches_itself_is_an_outside_anchor(
    promote, tmp_path, monkeypatch
):
    """Of two sessions the venue's list covers the first one's end: an order came after it."""
    lists, folders = {}, []
    for seed in (11, 12, 13):
        story = story_of_a_testnet(seed, orders=30, sessions=2)
        folders.append(save(story, f"s{seed}"))
        Path(folders[-1], "witness.jsonl").unlink()
        lists[str(Path(folders[-1], "journal"))] = listed_by_the_venue(story)
    _, value = promote(*folders)
    assert "TOO_FEW_ANCHORS" in {one["code"] for one in value["reasons"]}
    monkeypatch.setattr(promote_module, "fetch_list", lambda path, rest, key: lists[str(path)])
    (tmp_path / "reader.toml").write_text('api_key = "reads"\napi_secret = "only"\n')
    asking = ("--fetch-venue-history", "--credentials", "reader.toml")
    _, value = promote(*folders, *asking)
    assert value["decision"] == "READY_FOR_LIVE_PILOT", value["reasons"]
    assert list(value["anchored_by"].values()) == [["the venue's orders"]] * 3
    good = {one["session_id"]: one["qualifies"] for one in value["sessions"]}
    assert [name.endswith("-s1") for name, counts in good.items() if counts] == [True] * 3
    assert len(good) == 6
    left = {one["why"] for one in value["not_counted"]}
    assert "UNANCHORED: no outside anchor covers its end" in left
    forged = lists[str(Path("s12", "journal"))]["all_orders"]["BTCUSDT"][0]
    forged["clientOrderId"] = forged["clientOrderId"][:-16] + chain_digest("f" * 64)
    _, value = promote(*folders, *asking)
    assert value["decision"] == "NO_GO"
    assert any("do not fit this journal" in one["text"] for one in value["reasons"])


def test_a_list_that_is_to_be_fetched_without_a_key_is_one_line(promote):
    done, value = promote(save(story_of_a_testnet(11, orders=30), "s11"), "--fetch-venue-history")
    assert (done.exit_code, value, done.output.count("\n")) == (1, None, 1)
    assert "--credentials" in done.output


def _witness(folder: Path) -> str:
    return key_hex(load_public_key(folder / "witness/witness.pem.pub"))[:16]
