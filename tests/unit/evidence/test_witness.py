"""What a witness signs and refuses, what its export proves, and what a rewriter cannot do."""

import base64
import copy
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evidence.evidence_commands import evidence_group
from evidence.judge.anchoring import Anchoring
from evidence.judge.venue_anchors import VenueAnchors
from evidence.judge.verdict import judge
from evidence.read.journal_sources import SourceError
from evidence.read.signing import load_public_key, make_key_pair
from evidence.read.venue_list import Source
from evidence.read.witness_export import WitnessExportError, read_witness_export
from evidence.report.outside_anchors import witness_source
from evidence.report.report import build_report
from evidence.witness.witness_register import (
    RegisterError,
    WitnessRefusedError,
    heads_path,
    lines_of,
    refusals_of,
)
from tests.support.journal_maker import JournalMaker, encode, write_journal
from tests.support.witnessed import Witnessed

A, B, C = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def witnessed(tmp_path: Path) -> Witnessed:
    return Witnessed(tmp_path / "witness")


@pytest.fixture
def register(witnessed):
    made = witnessed.register()
    yield made
    made.close()


def refusal(witnessed, register, seq, head) -> str:
    with pytest.raises(WitnessRefusedError) as caught:
        witnessed.show(register, seq, head)
    return caught.value.code


# ------------------------------------------------------------------ the register
def test_a_second_head_for_a_signed_number_and_any_lower_number_are_refused(witnessed, register):
    for seq, head in ((5, A), (9, B)):
        witnessed.show(register, seq, head)
    assert refusal(witnessed, register, 9, C) == "second_head"
    assert refusal(witnessed, register, 5, C) == "second_head"
    assert refusal(witnessed, register, 5, A) == "lower_sequence"
    assert refusal(witnessed, register, 7, C) == "lower_sequence"
    assert [one.seq for one in lines_of(heads_path(witnessed.register_dir, witnessed.box))] == [
        5, 9,
    ]  # fmt: skip
    kept = refusals_of(witnessed.register_dir, witnessed.box)
    assert [(one.code, one.seq) for one in kept] == [
        ("second_head", 9), ("second_head", 5), ("lower_sequence", 7),
    ]  # fmt: skip


def test_who_asks_again_what_the_export_shows_fills_no_boxs_refusals(witnessed, register):
    """The signature of a request is in the export: a stranger without a key can send it again."""
    for seq, head in ((5, A), (9, B)):
        witnessed.show(register, seq, head)
    for _ in range(3):
        assert refusal(witnessed, register, 5, A) == "lower_sequence"
        assert refusal(witnessed, register, 9, C) == "second_head"
    kept = refusals_of(witnessed.register_dir, witnessed.box)
    assert [(one.code, one.seq) for one in kept] == [("second_head", 9)]
    register.close()
    again = witnessed.register()
    assert refusal(witnessed, again, 9, C) == "second_head"
    assert len(refusals_of(witnessed.register_dir, witnessed.box)) == 1
    again.close()


def test_a_retry_whose_answer_was_lost_is_answered_with_the_same_line(witnessed, register):
    assert witnessed.show(register, 5, A, 10) == witnessed.show(register, 5, A, 99)
    assert len(heads_path(witnessed.register_dir, witnessed.box).read_bytes().splitlines()) == 1


def test_who_is_not_known_or_has_not_signed_gets_nothing(witnessed, register):
    stranger = Ed25519PrivateKey.generate()
    for box, asked, code in (
        (A, witnessed.asked(5, A), "unknown_box"),
        (witnessed.box, witnessed.asked(5, A, stranger), "bad_signature"),
        (witnessed.box, witnessed.asked(6, A), "bad_signature"),
        (witnessed.box, "no base64", "bad_signature"),
    ):
        with pytest.raises(WitnessRefusedError) as caught:
            register.countersign(box, 5, A, asked, 1)
        assert caught.value.code == code
    for seq, head in ((0, A), (-1, A), (2**63, A), (5, A.upper()), (5, "a" * 63)):
        assert refusal(witnessed, register, seq, head) == "bad_form"
    assert not refusals_of(witnessed.register_dir, witnessed.box)


def test_time_never_goes_back(witnessed, register):
    clocks = ((1, 50), (2, 20), (3, 60))
    assert [witnessed.show(register, seq, A, now).ts_ns for seq, now in clocks] == [50, 50, 60]


def test_a_restart_forgets_nothing_and_cuts_off_what_was_never_answered(witnessed):
    first = witnessed.register()
    witnessed.show(first, 5, A)
    first.close()
    path = heads_path(witnessed.register_dir, witnessed.box)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    again = witnessed.register()
    assert path.read_bytes() == whole
    assert refusal(witnessed, again, 5, B) == "second_head"
    assert witnessed.show(again, 6, B).seq == 6
    again.close()


def test_a_register_has_one_holder_and_one_key(witnessed, register, tmp_path):
    with pytest.raises(RegisterError, match="another `seatrial witness serve`"):
        witnessed.register()
    witnessed.show(register, 5, A)
    register.close()
    other = Witnessed(tmp_path / "other")
    other.register_dir, other.box_pub = witnessed.register_dir, witnessed.box_pub
    with pytest.raises(RegisterError, match="not countersigned"):
        other.register()


def test_a_changed_register_is_not_continued(witnessed):
    made = witnessed.register()
    for seq in (5, 6):
        witnessed.show(made, seq, A)
    made.close()
    path = heads_path(witnessed.register_dir, witnessed.box)
    path.write_bytes(b"".join(reversed(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(RegisterError, match="not above"):
        witnessed.register()


# ------------------------------------------------------------------ the export
def stored(maker: JournalMaker, folder: Path) -> Path:
    return write_journal(folder, encode(maker.records), is_anchored=True)


def followed_story() -> JournalMaker:
    maker = JournalMaker(3, mode="testnet", exchange="binance-spot-testnet")
    maker.run_start()
    for _ in range(2):
        maker.session(8)
    maker.run_stop()
    return maker


def test_no_byte_of_an_export_can_change_and_no_line_can_be_left_out(witnessed, tmp_path):
    lines = encode(followed_story().records)
    raw = witnessed.export(lines, (5, 9, len(lines)), tmp_path / "w.jsonl").read_bytes()
    key = load_public_key(witnessed.witness_pub)
    assert [one.seq for one in read_witness_export(raw, key, name="w").lines] == [5, 9, len(lines)]
    rows = raw.splitlines(keepends=True)
    cuts = [b"".join(rows[:n] + rows[n + 1 :]) for n in range(len(rows))]
    flips = [raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :] for at in range(0, len(raw), 7)]
    for bad in (b"", *cuts, rows[-1], b"".join(rows[::-1]), *flips):
        with pytest.raises(WitnessExportError):
            read_witness_export(bad, key, name="w")
    with pytest.raises(WitnessExportError, match="nonce"):
        read_witness_export(raw, key, name="w", nonce="ab")


def test_an_export_of_another_key_or_box_is_refused(witnessed, tmp_path):
    out = witnessed.export(encode(followed_story().records), (5,), tmp_path / "w.jsonl")
    make_key_pair(tmp_path / "other.pem")
    for key, box, words in (
        (tmp_path / "other.pem.pub", "", "the key given"),
        (witnessed.witness_pub, A, "not of"),
        (tmp_path / "none.pub", "", "name the key file"),
    ):
        with pytest.raises(SourceError, match=words):
            witness_source(str(out), key, box)


# ------------------------------------------------------------------ the verifier
def judged(journal: Path, *outside):
    return build_report([journal], outside=outside).journals[0]


def test_a_journal_that_a_witness_has_followed_is_intact(witnessed, tmp_path):
    maker = followed_story()
    lines = maker.lines()
    journal = stored(maker, tmp_path / "journal")
    numbers = [*range(1, len(lines), 5), len(lines)]
    out = witnessed.export(lines, numbers, tmp_path / "w.jsonl")
    one = judged(journal, witness_source(str(out), witnessed.witness_pub))
    assert one.verdicts.intact.value == "OK"
    assert any("leans on witness" in remark for remark in one.verdicts.intact.remarks)
    [beside, witness] = one.anchoring.plain()["sources"]
    assert (beside["is_outside"], witness["is_outside"]) == (False, True)
    assert witness["last_seq"] == len(lines)


def test_a_longer_rewritten_chain_is_caught_against_the_countersigned_heads(witnessed, tmp_path):
    honest = followed_story()
    lines = honest.lines()
    out = witnessed.export(lines, (10, 40, len(lines)), tmp_path / "w.jsonl")
    rewritten = copy.deepcopy(honest)
    taken_out = 20
    del rewritten.records[taken_out]
    for _ in range(3):
        rewritten.session(8)  # longer than what the witness has seen, and chained anew
    source = witness_source(str(out), witnessed.witness_pub)
    found = judged(stored(rewritten, tmp_path / "forged"), source)
    assert found.account.chain.last_seq > len(lines)
    assert found.verdicts.intact.value == "FAIL"
    reasons = found.verdicts.intact.failed
    assert any("anchor_differs, first at seq 40" in one and "witness" in one for one in reasons)
    assert judged(stored(rewritten, tmp_path / "forged")).verdicts.intact.value == "UNANCHORED"


def test_a_journal_cut_below_a_countersigned_head_is_caught(witnessed, tmp_path):
    maker = followed_story()
    out = witnessed.export(maker.lines(), (10, 40), tmp_path / "w.jsonl")
    del maker.records[30:]
    found = judged(stored(maker, tmp_path / "cut"), witness_source(str(out), witnessed.witness_pub))
    assert any("anchored_line_absent" in one for one in found.verdicts.intact.failed)


def test_a_history_that_is_written_first_and_shown_afterwards_shows_as_late(witnessed, tmp_path):
    """The witness's own time counts: lines that were anchored two hours later were open so long."""
    maker, late_ns = followed_story(), 7_200 * 10**9
    out = witnessed.export(maker.lines(), (10,), tmp_path / "w.jsonl", late_ns=late_ns)
    source = witness_source(str(out), witnessed.witness_pub)
    found = judged(stored(maker, tmp_path / "journal"), source)
    tenth, first = maker.records[9]["ts_ns"], maker.records[0]["ts_ns"]
    assert (found.anchoring.longest_ns, found.anchoring.longest_at) == (tenth - first + late_ns, 1)


# ------------------------------------------------------------------ the command
def verify(*arguments) -> tuple[int, str]:
    done = CliRunner().invoke(evidence_group, ["verify", *map(str, arguments)])
    return done.exit_code, done.output


def test_unanchored_has_an_exit_code_of_its_own(witnessed, tmp_path):
    maker = JournalMaker(3, mode="testnet", exchange="binance-spot-testnet")
    maker.run_start()
    maker.session(8)
    maker.run_stop()
    journal, ledger = maker.save(tmp_path)
    books = {k: v for k, v in maker.books().items() if k not in {"requests", "faults"}}
    ledger.write_text(json.dumps(books))
    out = witnessed.export(maker.lines(), (10, len(maker.records)), tmp_path / "w.jsonl")
    code, text = verify(journal, "--ledger", ledger)
    assert (code, text.splitlines()[0]) == (3, "verdict: UNANCHORED")
    assert "no outside anchor" in text
    given = ("--witness", out, "--witness-key", witnessed.witness_pub)
    code, text = verify(journal, "--ledger", ledger, *given)
    assert (code, text.splitlines()[0]) == (0, "verdict: OK")
    assert "leans on witness" in text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--witness", "w.jsonl"), "needs --witness-key"),
        (("--witness-key", "w.pub"), "say nothing without --witness"),
        (("--witness", "http://127.0.0.1:1/x", "--witness-key", "PUB"), "nothing after it"),
        (("--witness", "none.jsonl", "--witness-key", "PUB"), "No such file"),
    ],
)
def test_what_cannot_be_believed_is_refused_in_one_line(witnessed, tmp_path, given, words):
    journal = stored(followed_story(), tmp_path / "journal")
    arguments = [str(witnessed.witness_pub) if one == "PUB" else one for one in given]
    code, text = verify(journal, *arguments)
    assert (code, text.count("\n")) == (1, 1)
    assert words in text


def test_a_signature_is_of_one_kind_only(witnessed, register):
    """A box's signature is no countersignature, whatever the numbers."""
    line = witnessed.show(register, 5, A)
    assert base64.b64decode(line.asked) != base64.b64decode(line.signature)
    forged = {**{f: getattr(line, f) for f in line.__struct_fields__}, "signature": line.asked}
    raw = json.dumps(forged, separators=(",", ":")).encode() + b"\n"
    with pytest.raises(WitnessExportError):
        read_witness_export(raw, load_public_key(witnessed.witness_pub), name="w")


# ------------------------------------------------------------------ the venue's own list
@pytest.mark.parametrize(
    ("mode", "source", "verdict"),
    [
        ("testnet", Source.FETCHED, "OK"),
        ("testnet", Source.HANDED_OVER, "UNANCHORED"),
        ("testnet", Source.SIMULATED, "UNANCHORED"),
        ("sim", Source.SIMULATED, "OK"),
    ],
)
def test_whose_list_of_orders_counts_as_an_outside_anchor(tmp_path, mode, source, verdict):
    exchange = "binance-spot-testnet" if mode == "testnet" else "sim"
    maker = JournalMaker(3, mode=mode, exchange=exchange)
    maker.run_start()
    maker.session(8)
    maker.run_stop()
    account = judged(stored(maker, tmp_path / "journal")).account
    anchoring = Anchoring()
    anchoring.add_venue(
        VenueAnchors((source,), ids=8, anchors=8, covered_seq=len(maker.records) - 2)
    )
    found = judge(account, anchoring, comparison=None).intact
    leans = [remark for remark in found.remarks if remark.startswith("leans on the ")]
    assert (found.value, bool(leans)) == (verdict, verdict == "OK")


def test_a_list_that_ends_before_the_last_session_does_not_reach_it(tmp_path):
    account = judged(stored(followed_story(), tmp_path / "journal")).account
    anchoring = Anchoring()
    anchoring.add_venue(VenueAnchors((Source.FETCHED,), ids=1, anchors=1, covered_seq=20))
    found = judge(account, anchoring, comparison=None).intact
    assert (found.value, "end at seq 20" in found.unanchored[0]) == ("UNANCHORED", True)
