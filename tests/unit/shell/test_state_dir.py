"""Identity of a state directory: counted durably, never repeated."""

import re
from hashlib import sha256
from pathlib import Path

import pytest

from daemon.model.ids import ClientOrderIdFactory, is_ours
from daemon.shell.state.state_dir import StateDirError, head_of_journal, next_run, read_identity


def test_every_boot_has_its_own_run_and_the_same_instance(tmp_path: Path) -> None:
    seen = [next_run(tmp_path / "state") for _ in range(3)]
    assert len({instance for instance, _, _ in seen}) == 1
    assert [number for _, number, _ in seen] == [1, 2, 3]
    assert len({run for _, _, run in seen}) == 3
    known = read_identity(tmp_path / "state")
    assert known is not None
    assert (known.instance, known.run_number) == (seen[0][0], 3)


def test_order_ids_of_two_boots_never_meet_and_are_recognised(tmp_path: Path) -> None:
    instance, _, first = next_run(tmp_path)
    _, _, second = next_run(tmp_path)
    ids = [ClientOrderIdFactory(run).mint() for run in (first, second)]
    assert ids[0] != ids[1]
    assert all(is_ours(made, instance) for made in ids)
    assert not is_ours("x-somebody", instance)


@pytest.mark.parametrize("damage", ["{", '"seq": null', '"anchored": {}', '"instance": 5', "[]"])
def test_a_damaged_identity_is_refused_not_replaced(tmp_path: Path, damage: str) -> None:
    next_run(tmp_path)
    path = tmp_path / "identity.json"
    whole = path.read_text()
    name, colon, _ = damage.partition(":")
    edited = re.sub(rf"{name}:\s*(\d+|\"[^\"]*\")", damage, whole) if colon else damage
    assert edited != whole
    path.write_text(edited)
    with pytest.raises(StateDirError, match="put the file back as it was"):
        next_run(tmp_path)


def test_an_impossible_directory_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateDirError, match="check state_dir"):
        next_run(tmp_path / "file" / "state")


def test_an_identity_that_is_gone_beside_a_journal_is_not_made_anew(tmp_path: Path) -> None:
    """Under a new name, open orders of the runs before would be somebody else's."""
    next_run(tmp_path)
    (tmp_path / "journal").mkdir()
    assert next_run(tmp_path)[1] == 2
    (tmp_path / "journal" / "journal-000001.jsonl").write_bytes(b"{}\n")
    (tmp_path / "identity.json").unlink()
    with pytest.raises(StateDirError, match="missing beside a journal"):
        next_run(tmp_path)
    assert not (tmp_path / "identity.json").exists()


def test_the_head_of_a_journal_is_the_hash_of_its_last_whole_line(tmp_path: Path) -> None:
    """For a stop in another process: nothing is verified, nothing raises."""
    journal = tmp_path / "journal"
    assert head_of_journal(tmp_path) == ""
    journal.mkdir()
    first, second = b'{"seq":1}', b'{"seq":2}'
    (journal / "journal-000001.jsonl").write_bytes(first + b"\n" + second + b"\n")
    assert head_of_journal(tmp_path) == sha256(second).hexdigest()
    newest = journal / "journal-000002.jsonl"
    newest.write_bytes(b"")
    assert head_of_journal(tmp_path) == sha256(second).hexdigest(), "it was only just begun"
    newest.write_bytes(b'{"seq":3')
    assert head_of_journal(tmp_path) == sha256(second).hexdigest(), "its one line is torn"
    newest.write_bytes(b'{"seq":3}\n{"seq":4')
    assert head_of_journal(tmp_path) == sha256(b'{"seq":3}').hexdigest()
    long_line = b'{"seq":4,"x":"' + b"x" * (1 << 20) + b'"}'
    newest.write_bytes(b'{"seq":3}\n' + long_line + b"\n")
    assert head_of_journal(tmp_path) == sha256(second).hexdigest(), (
        "too long: an older head will do"
    )
