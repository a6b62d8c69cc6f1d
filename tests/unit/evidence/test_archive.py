"""A journal's beginning moved away: what is left is accepted, the parts verify together, and a
manifest that is missing or not as it was signed is refused with the mend."""

import hashlib
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from daemon.cli.journal_commands import journal_group
from daemon.model.records import ARCHIVE_KEY, ARCHIVE_MANIFEST, EventType
from daemon.shell.journal.journal_origin import journal_origin
from daemon.shell.journal.journal_writer import Journal, JournalError
from daemon.shell.journal.replay import recover
from daemon.shell.journal.segment_packing import housekeeping, look, pack
from daemon.shell.state.state_proof import prove_state
from evidence.judge.decision_recheck import recheck
from evidence.pack import journal_archive as archive_module
from evidence.pack.evidence_pack import PackError, find_inputs
from evidence.pack.journal_archive import JournalArchiveError, archive
from evidence.read.archive_manifest import ManifestError, read_manifest
from evidence.read.journal_sources import SourceError, segments_in, streams_of
from evidence.read.signing import load_private_key, make_key_pair
from evidence.report.fleet import fleet_report
from evidence.report.report import Report, build_report
from tests.support.journal_maker import JournalMaker, whole_story

SEGMENT_LINES = 60


def story(sessions: int = 3) -> JournalMaker:
    maker = JournalMaker(7)
    maker.run_start()
    for number in range(sessions):
        maker.session(orders=40)
        if number == sessions - 2:
            maker.write(EventType.CHECKPOINT, state={})
    maker.run_stop()
    return maker


def saved(directory: Path) -> tuple[Path, Path]:
    """A journal in segments, each but the last anchored, and the venue's books."""
    journal, ledger = story().save(directory, segment_lines=SEGMENT_LINES)
    anchors = []
    for path in segments_in(journal.iterdir())[:-1]:
        line = path.read_bytes().splitlines()[-1]
        seq, head = json.loads(line)["seq"], hashlib.sha256(line).hexdigest()
        anchors.append(json.dumps({"segment": path.name, "seq": seq, "head": head}))
    (journal / "anchors.jsonl").write_text("\n".join(anchors) + "\n")
    return journal, ledger


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    make_key_pair(path)
    return path


def judged(*inputs: Path, ledger: Path) -> Report:
    return build_report(inputs, ledger=ledger)


def test_what_is_left_and_the_archive_verify_together(tmp_path: Path, key: Path) -> None:
    journal, ledger = saved(tmp_path)
    whole = judged(journal, ledger=ledger)
    assert whole.verdict == "OK", whole.reasons
    found, boot = segments_in(journal.iterdir()), recover(journal)
    done = archive(journal, tmp_path / "away", load_private_key(key))
    assert len(done.moved) >= 3
    left = segments_in(journal.iterdir())
    assert [*(path.name for path in segments_in((tmp_path / "away").iterdir()))] == [
        path.name for path in found[: len(done.moved)]
    ]
    assert any(b'"event_type":"checkpoint"' in path.read_bytes() for path in left)
    # Boot, evidence alone (found by the recorded place), and both named, all agree with before.
    check_beginning(journal)
    assert recover(journal) == boot
    begins = json.loads(left[0].read_bytes().splitlines()[0])
    origin = journal_origin(journal)
    assert (origin.seq, origin.head, origin.run_id) == (
        begins["seq"], begins["prev"], begins["run_id"],
    )  # fmt: skip
    for inputs in ([journal], [tmp_path / "away", journal], [journal, tmp_path / "away"]):
        again = judged(*inputs, ledger=ledger)
        assert (again.verdict, len(again.journals)) == ("OK", 1), again.reasons
        chain = again.journals[0].account.chain
        assert chain.lines == whole.journals[0].account.chain.lines
        assert chain.last_hash == whole.journals[0].account.chain.last_hash
    assert recheck([journal])["is_agreed"]
    assert len(find_inputs(journal).segments) == len(found)


def test_an_archive_that_was_carried_away_is_named_and_the_rest_is_no_nogo(
    tmp_path: Path, key: Path
) -> None:
    journal, ledger = saved(tmp_path)
    archive(journal, tmp_path / "away", load_private_key(key))
    shutil.move(tmp_path / "away", tmp_path / "vault")
    alone = judged(journal, ledger=ledger)
    assert alone.verdict != "OK"
    assert not alone.journals[0].verdicts.intact.failed
    assert not alone.journals[0].verdicts.complete.failed
    assert any("are archived" in reason and "away" in reason for reason in alone.reasons)
    with pytest.raises(SourceError, match="are archived and not at hand"):
        recheck([journal])
    with pytest.raises(PackError, match=r"is archived in .* and not at hand"):
        find_inputs(journal)
    together = judged(tmp_path / "vault", journal, ledger=ledger)
    assert (together.verdict, together.reasons) == ("OK", [])


def test_it_is_done_again_and_again_and_goes_on_under_new_lines(tmp_path: Path, key: Path) -> None:
    journal, ledger = saved(tmp_path)
    private = load_private_key(key)
    first = archive(journal, tmp_path / "one", private)
    assert archive(journal, tmp_path / "one", private).moved == ()
    found = recover(journal)
    writer = Journal(
        journal, run_id="later", mode="sim", exchange="sim", seq=found.seq, head=found.head,
        segment_bytes_max=65_536,
    )  # fmt: skip
    for number in range(2_000):
        writer.append(EventType.CLOCK, {"offset_ns": number}, ts_ns=found.ts_ns, session_id="")
        if number == 1_500:
            writer.append(EventType.CHECKPOINT, {"state": {}}, ts_ns=found.ts_ns, session_id="")
        if number % 100 == 0:
            writer.flush()
    writer.close()
    assert look(journal) > 0  # packed, and archived as it is
    second = archive(journal, tmp_path / "two", private)
    assert second.moved
    assert second.moved[0].first_seq == first.moved[-1].last_seq + 1
    check_beginning(journal)
    manifest = read_manifest(journal)
    assert manifest is not None
    assert len(manifest.segments) == len(first.moved) + len(second.moved)
    report = judged(tmp_path / "one", tmp_path / "two", journal, ledger=ledger)
    assert len(report.journals) == 1
    assert not report.journals[0].account.chain.faults.counts
    assert report.journals[0].account.chain.first_seq == 1
    assert not report.journals[0].verdicts.intact.failed


def flip(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(bytes(body))


def other_key(path: Path) -> None:
    make_key_pair(path.with_name("other.pem"))
    path.write_bytes(path.with_name("other.pem.pub").read_bytes())


def forge(path: Path) -> None:
    """The manifest's text changed, with the signature of before."""
    envelope = orjson.loads(path.read_bytes())
    envelope["payload"] = envelope["payload"][:-8] + "AAAAAAA="
    path.write_bytes(orjson.dumps(envelope))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (ARCHIVE_MANIFEST, flip),
        (ARCHIVE_MANIFEST, forge),
        (ARCHIVE_MANIFEST, lambda path: path.write_bytes(b"")),
        (ARCHIVE_MANIFEST, lambda path: path.write_bytes(b'{"payload":[]}')),
        (ARCHIVE_KEY, Path.unlink),
        (ARCHIVE_KEY, other_key),
        (ARCHIVE_KEY, lambda path: path.write_bytes(b"no key")),
    ],
)
def test_a_manifest_that_is_not_as_it_was_signed_is_refused_with_the_mend(
    tmp_path: Path, key: Path, name: str, damage: Callable[[Path], None]
) -> None:
    journal, _ = saved(tmp_path)
    archive(journal, tmp_path / "away", load_private_key(key))
    damage(journal / name)
    with pytest.raises(JournalError, match=r"restore archived\.json and archived\.pub"):
        check_beginning(journal)
    with pytest.raises(ManifestError, match=r"restore archived\.json and archived\.pub"):
        build_report([journal])
    for lost in (ARCHIVE_MANIFEST, ARCHIVE_KEY):  # the mend, as it is told
        shutil.copy(tmp_path / "away" / lost, journal / lost)
    check_beginning(journal)


def test_a_missing_manifest_is_a_journal_that_begins_in_the_middle(
    tmp_path: Path, key: Path
) -> None:
    journal, ledger = saved(tmp_path)
    archive(journal, tmp_path / "away", load_private_key(key))
    (journal / ARCHIVE_MANIFEST).unlink()
    with pytest.raises(
        JournalError, match=r"segment\(s\) of the journal are missing, first journal-000001"
    ):
        check_beginning(journal)
    report = judged(journal, ledger=ledger)
    assert report.verdict == "NO_GO"
    assert any("no archive manifest accounts" in reason for reason in report.reasons)


def test_more_gone_than_the_manifest_says_is_refused(tmp_path: Path, key: Path) -> None:
    journal, ledger = saved(tmp_path)
    archive(journal, tmp_path / "away", load_private_key(key))
    segments_in(journal.iterdir())[0].unlink()
    with pytest.raises(JournalError, match=r"segment\(s\) of the journal are missing"):
        check_beginning(journal)
    assert judged(journal, ledger=ledger).verdict == "NO_GO"


def check_beginning(journal: Path) -> None:
    """What a boot says of where the journal begins."""
    proof = prove_state(journal.parent, account="", environment="sim", now_ns=2**62)
    for one in proof.findings:
        if one.code in {"archive", "segments_missing", "journal_beheaded"}:
            raise JournalError(str(one))


def test_a_shortened_journal_does_not_hide_behind_its_manifest(tmp_path: Path, key: Path) -> None:
    journal, _ = saved(tmp_path)
    archive(journal, tmp_path / "away", load_private_key(key))
    begins = read_manifest(journal)
    assert begins is not None
    for path in segments_in(journal.iterdir()):
        path.unlink()
    for name in ("anchors.jsonl", "../identity.json"):
        (journal / name).unlink(missing_ok=True)
    for back in (0, 1, 2):  # nothing is left; then older copies, which end where the archive does
        for path in segments_in((tmp_path / "away").iterdir())[:back]:
            shutil.copy(path, journal / path.name)
        proof = prove_state(journal.parent, account="", environment="sim", now_ns=2**62)
        assert "journal_before_archive" in {one.code for one in proof.findings}, back
        assert proof.run_number >= 1
        assert proof.instance == begins.begins.run_id.partition("-")[0], "no id is used again"


def test_a_damaged_packed_segment_is_a_finding_with_its_place(tmp_path: Path, key: Path) -> None:
    journal, _ = saved(tmp_path)
    archive(journal, tmp_path / "away", load_private_key(key))
    last = segments_in(journal.iterdir())[-1]
    last.with_name(last.name + ".zst").write_bytes(b"no zstandard")
    last.unlink()
    proof = prove_state(journal.parent, account="", environment="sim", now_ns=2**62)
    (found,) = (one for one in proof.findings if one.code == "journal_unreadable")
    assert last.name in found.what


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"payloadType":3,"payload":"","signatures":[{}]}']
)
def test_a_manifest_of_any_form_is_a_finding_and_not_more(
    tmp_path: Path, key: Path, body: str
) -> None:
    journal, _ = saved(tmp_path)
    archive(journal, tmp_path / "away", load_private_key(key))
    (journal / ARCHIVE_MANIFEST).write_text(body)
    proof = prove_state(journal.parent, account="", environment="sim", now_ns=2**62)
    found = {one.code for one in proof.findings}
    assert "archive" in found
    assert "segments_missing" not in found, "which ones are missing is what the manifest would say"


def test_copies_of_an_archive_and_a_later_one_are_no_journals_of_their_own(
    tmp_path: Path, key: Path
) -> None:
    journal, ledger = saved(tmp_path)
    archive(journal, tmp_path / "away", load_private_key(key))
    shutil.copytree(tmp_path / "away", tmp_path / "copy")
    for inputs in ([tmp_path / "copy", journal], [journal, tmp_path / "copy", tmp_path / "away"]):
        report = judged(*inputs, ledger=ledger)
        assert (report.verdict, len(report.journals)) == ("OK", 1), report.reasons


STEPS = ("copy", "partial", "sign_there", "sign_here", "first_removed")


class Killed(BaseException):
    """Stands for kill -9."""


def die_at(patched: pytest.MonkeyPatch, step: str) -> None:
    calls = {"copied": 0, "written": 0, "unlinked": 0}
    real_copied, real_write, real_unlink = (
        archive_module._copied, archive_module._write, Path.unlink,
    )  # fmt: skip

    def copied(*args: object) -> object:
        calls["copied"] += 1
        if step == "copy" and calls["copied"] == 2:
            raise Killed
        return real_copied(*args)  # type: ignore[arg-type]

    def write(path: Path, body: bytes) -> None:
        calls["written"] += 1
        if (step, calls["written"]) in {("sign_there", 2), ("sign_here", 4)}:
            raise Killed
        real_write(path, body)

    def unlink(path: Path, *, missing_ok: bool = False) -> None:
        calls["unlinked"] += 1
        if step == "first_removed" and calls["unlinked"] == 2:
            raise Killed
        real_unlink(path, missing_ok=missing_ok)

    def replace(path: Path, target: Path) -> Path:
        raise Killed

    patched.setattr(archive_module, "_copied", copied)
    patched.setattr(archive_module, "_write", write)
    patched.setattr(Path, "unlink", unlink)
    if step == "partial":
        patched.setattr(Path, "replace", replace)


@pytest.mark.parametrize("step", STEPS)
def test_an_archiving_that_is_cut_at_any_step_leaves_all_readable_and_is_ended_by_the_next(
    tmp_path: Path, key: Path, step: str
) -> None:
    journal, ledger = saved(tmp_path)
    private, names = load_private_key(key), [p.name for p in segments_in(journal.iterdir())]
    boot = recover(journal)
    with pytest.MonkeyPatch.context() as patched:
        die_at(patched, step)
        with pytest.raises(Killed):
            archive(journal, tmp_path / "away", private)
    check_beginning(journal)
    assert recover(journal) == boot
    assert judged(journal, ledger=ledger).verdict == "OK"
    archive(journal, tmp_path / "away", private)
    check_beginning(journal)
    assert recover(journal) == boot
    assert judged(journal, ledger=ledger).verdict == "OK"
    there = [p.name for p in segments_in((tmp_path / "away").iterdir())]
    here = [p.name for p in segments_in(journal.iterdir())]
    assert [*there, *here] == names
    assert not list((tmp_path / "away").glob(".*partial"))


def test_nothing_is_moved_that_is_not_anchored_chained_or_before_a_checkpoint(
    tmp_path: Path, key: Path
) -> None:
    journal, _ = saved(tmp_path)
    private, to = load_private_key(key), tmp_path / "away"
    anchors = (journal / "anchors.jsonl").read_text()
    (journal / "anchors.jsonl").write_text("\n".join(anchors.splitlines()[1:]) + "\n")
    assert archive(journal, to, private).moved == ()
    (journal / "anchors.jsonl").write_text(anchors)
    first = segments_in(journal.iterdir())[0]
    body = first.read_bytes()
    first.write_bytes(body.replace(b"run_start", b"run_stop!", 1))
    with pytest.raises(JournalArchiveError, match="nothing moved"):
        archive(journal, to, private)
    first.write_bytes(body)
    without = tmp_path / "without"
    maker = whole_story(sessions=2)
    plain, _ = maker.save(without, segment_lines=SEGMENT_LINES)
    shutil.copy(journal / "anchors.jsonl", plain)
    assert archive(plain, to, private).moved == ()  # it has no checkpoint


def test_two_boxes_do_not_share_an_archive_nor_a_key_change(tmp_path: Path, key: Path) -> None:
    journal, ledger = saved(tmp_path / "a")
    other, other_ledger = saved(tmp_path / "b")
    # The same story makes the same bytes: another journal begins otherwise.
    private, to = load_private_key(key), tmp_path / "away"
    archive(journal, to, private)
    make_key_pair(tmp_path / "key2.pem")
    with pytest.raises(JournalArchiveError, match="was begun with the key"):
        archive(journal, to, load_private_key(tmp_path / "key2.pem"))
    maker = JournalMaker(99)
    maker.run_start()
    maker.session(orders=90)
    maker.write(EventType.CHECKPOINT, state={})
    strange, _ = maker.save(tmp_path / "c", segment_lines=SEGMENT_LINES)
    with pytest.raises(JournalArchiveError, match="holds the archive of another journal"):
        archive(strange, to, private)
    assert judged(journal, ledger=ledger).verdict == "OK"
    assert judged(other, ledger=other_ledger).verdict == "OK"


def test_another_boxs_archive_is_not_taken_for_ours(tmp_path: Path, key: Path) -> None:
    journal, ledger = saved(tmp_path / "a")
    private = load_private_key(key)
    archive(journal, tmp_path / "a-away", private)
    maker = JournalMaker(99)
    maker.run_start()
    maker.session(orders=90)
    maker.write(EventType.CHECKPOINT, state={})
    strange, _ = maker.save(tmp_path / "c", segment_lines=SEGMENT_LINES)
    assert len(streams_of([strange, journal])) == 2
    shutil.rmtree(tmp_path / "a-away")
    report = judged(journal, strange, ledger=ledger)
    assert len(report.journals) == 2
    assert any("are archived" in reason for reason in report.journals[0].verdicts.reasons)


def test_the_command_moves_says_and_shows(tmp_path: Path) -> None:
    journal, ledger = saved(tmp_path / "state")
    run = CliRunner().invoke
    refused = run(journal_group, ["archive", "--to", str(tmp_path / "away")])
    assert (refused.exit_code, "--config FILE or with --dir" in refused.output) == (2, True)
    done = run(
        journal_group,
        ["archive", "--dir", str(tmp_path / "state"), "--to", str(tmp_path / "away"), "--json"],
    )
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert said["moved"]
    again = run(journal_group, ["archive", "--dir", str(journal), "--to", str(tmp_path / "away")])
    assert (again.exit_code, "nothing to archive" in again.output) == (0, True)
    shown = json.loads(run(journal_group, ["status", "--dir", str(journal), "--json"]).output)
    assert shown["begins_at_seq"] == said["begins_at_seq"]
    assert shown["archives"] == [str(tmp_path / "away")]
    assert judged(journal, ledger=ledger).verdict == "OK"
    for path in segments_in(journal.iterdir())[:1]:
        pack(path)
    flip(journal / ARCHIVE_MANIFEST)
    broken = run(journal_group, ["status", "--dir", str(journal)])
    assert (broken.exit_code, "restore archived.json" in broken.output) == (1, True)


def test_a_fleet_puts_the_parts_together_too(tmp_path: Path, key: Path) -> None:
    pytest.importorskip("fsspec", reason="the fleet extra is not installed")
    journal, _ = saved(tmp_path)
    archive(journal, tmp_path / "away", load_private_key(key))
    shutil.move(tmp_path / "away", tmp_path / "vault")
    urls = [journal.as_uri(), (tmp_path / "vault").as_uri()]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        together, alone = fleet_report(urls, pool), fleet_report(urls[:1], pool)
    here = build_report([tmp_path / "vault", journal])
    assert orjson.dumps(together.to_json()) == orjson.dumps(here.to_json())
    assert orjson.dumps(alone.to_json()) == orjson.dumps(build_report([journal]).to_json())
    assert not alone.journals[0].verdicts.complete.failed


def test_a_copy_that_is_damaged_keeps_what_was_not_removed_yet(tmp_path: Path, key: Path) -> None:
    journal, _ = saved(tmp_path)
    private, first = load_private_key(key), segments_in(journal.iterdir())[0]
    for path in segments_in(journal.iterdir())[:2]:
        pack(path)
    kept = journal / f"{first.name}.zst"
    body = kept.read_bytes()
    archive(journal, tmp_path / "away", private)
    kept.write_bytes(body)  # as if a kill had come before it was removed
    copy = tmp_path / "away" / kept.name
    copy.write_bytes(body[:-20])
    with pytest.raises(JournalArchiveError, match="no copy there has its bytes"):
        archive(journal, tmp_path / "away", private)
    assert kept.exists()
    copy.write_bytes(body)
    archive(journal, tmp_path / "away", private)
    assert not kept.exists()
    with pytest.raises(JournalArchiveError, match="is the journal itself"):
        archive(journal, journal, private)


def test_it_waits_for_the_packer_and_gives_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, _ = saved(tmp_path)
    words = ["archive", "--dir", str(journal), "--to", str(tmp_path / "away")]
    monkeypatch.setattr("daemon.cli.journal_commands.FREE_WITHIN_S", 0.3)
    with housekeeping(journal):
        refused = CliRunner().invoke(journal_group, words)
    assert (refused.exit_code, "another process packs" in refused.output) == (1, True)
    assert not (tmp_path / "away").exists()
    holder = housekeeping(journal)
    holder.__enter__()
    monkeypatch.setattr("daemon.cli.journal_commands.FREE_WITHIN_S", 20.0)
    monkeypatch.setattr(
        "daemon.cli.journal_commands.time.sleep", lambda _: holder.__exit__(None, None, None)
    )
    done = CliRunner().invoke(journal_group, words)
    assert done.exit_code == 0, done.output


def test_what_a_day_took_is_told_from_the_lines_own_times(tmp_path: Path) -> None:
    writer = Journal(tmp_path, run_id="r", mode="sim", exchange="sim")
    for number in range(1_001):  # ten days
        writer.append(EventType.CLOCK, {}, ts_ns=number * 864_000_000_000, session_id="")
    writer.close()
    words = ["status", "--dir", str(tmp_path)]
    shown = json.loads(CliRunner().invoke(journal_group, [*words, "--json"]).output)
    assert shown["bytes_per_day"] == shown["bytes"] // 10
    assert shown["days_left"] > 0
    assert "MB a day so far" in CliRunner().invoke(journal_group, words).output
