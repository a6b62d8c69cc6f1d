"""Identity of a state directory: counted durably, never repeated."""

from pathlib import Path

import pytest

from daemon.model.ids import ClientOrderIdFactory, is_ours
from daemon.shell.state.state_dir import StateDirError, next_run, read_identity


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


def test_a_damaged_identity_is_refused_not_replaced(tmp_path: Path) -> None:
    next_run(tmp_path)
    (tmp_path / "identity.json").write_text("{")
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
