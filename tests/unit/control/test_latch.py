import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.shell.stop.kill_latch import DIRECTORY_NAME, ENTRIES_MAX, LatchError, LatchStore


def kill(store: LatchStore, reason: str = "spread is insane", ts_ns: int = 5) -> None:
    store.latch(by_uid=7, by_name="ada", reason=reason, ts_ns=ts_ns)


def entries(state_dir: Path) -> list[Path]:
    return sorted((state_dir / DIRECTORY_NAME).iterdir())


def test_a_fresh_directory_is_not_latched(tmp_path: Path) -> None:
    assert LatchStore(tmp_path).read() is None


def test_another_store_on_the_same_directory_sees_who_and_why(tmp_path: Path) -> None:
    kill(LatchStore(tmp_path))
    latch = LatchStore(tmp_path).read()
    assert latch is not None
    assert (latch.by_uid, latch.by_name, latch.reason, latch.ts_ns) == (
        7,
        "ada",
        "spread is insane",
        5,
    )


def test_the_first_kill_names_the_latch(tmp_path: Path) -> None:
    store = LatchStore(tmp_path)
    kill(store, "first", 5)
    kill(store, "second", 9)
    latch = store.read()
    assert latch is not None
    assert latch.reason == "first"
    assert len(latch.entries) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"by_uid": 1}', b"null"])
def test_damage_counts_as_latched(tmp_path: Path, content: bytes) -> None:
    store = LatchStore(tmp_path)
    kill(store)
    entries(tmp_path)[0].write_bytes(content)
    latch = store.read()
    assert latch is not None
    assert not latch.readable
    assert "kill-latch" in latch.reason


def test_a_foreign_directory_entry_counts_as_latched(tmp_path: Path) -> None:
    (tmp_path / DIRECTORY_NAME / "what").mkdir(parents=True)
    latch = LatchStore(tmp_path).read()
    assert latch is not None
    assert not latch.readable


def test_a_file_in_place_of_the_directory_counts_as_latched(tmp_path: Path) -> None:
    (tmp_path / DIRECTORY_NAME).write_text("oops")
    assert LatchStore(tmp_path).read() is not None


def test_clearing_opens(tmp_path: Path) -> None:
    store = LatchStore(tmp_path)
    kill(store)
    assert store.clear() is True
    assert store.read() is None


def test_clearing_a_damaged_latch_opens_too(tmp_path: Path) -> None:
    store = LatchStore(tmp_path)
    kill(store)
    entries(tmp_path)[0].write_bytes(b"{")
    assert store.clear() is True


def test_a_kill_that_comes_while_an_operator_re_arms_stays(tmp_path: Path) -> None:
    store = LatchStore(tmp_path)
    kill(store, "first")
    shown = store.read()
    kill(LatchStore(tmp_path), "second", 9)
    assert store.clear(shown) is False
    latch = store.read()
    assert latch is not None
    assert latch.reason == "second"


def test_a_storm_of_kills_is_bounded(tmp_path: Path) -> None:
    store = LatchStore(tmp_path)
    for number in range(ENTRIES_MAX + 10):
        kill(store, ts_ns=number)
    assert len(entries(tmp_path)) == ENTRIES_MAX


def test_two_kills_of_the_same_instant_both_stand(tmp_path: Path) -> None:
    store = LatchStore(tmp_path)
    kill(store)
    kill(store)
    assert len(entries(tmp_path)) == 2


def test_a_missing_state_directory_is_an_error_not_a_new_directory(tmp_path: Path) -> None:
    with pytest.raises(LatchError, match="cannot be written"):
        kill(LatchStore(tmp_path / "typo"))
    assert not (tmp_path / "typo").exists()


def test_file_and_directory_are_synced_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def spy(file_fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{file_fd}").readlink().name)
        real(file_fd)

    monkeypatch.setattr(os, "fsync", spy)
    kill(LatchStore(tmp_path))
    assert synced[0] == tmp_path.name
    assert synced[1].endswith(".json")
    assert synced[2] == DIRECTORY_NAME


def test_it_works_from_a_second_process_while_the_first_is_stopped(tmp_path: Path) -> None:
    """SIGSTOP in the middle of everything: no lock is held that the second process would want."""
    code = (
        "import sys; from pathlib import Path\n"
        "from daemon.shell.stop.kill_latch import LatchStore\n"
        "store = LatchStore(Path(sys.argv[1]))\n"
        "store.latch(by_uid=1, by_name='first', reason='r', ts_ns=1)\n"
        "print('latched', flush=True)\n"
        "sys.stdin.read()\n"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert first.stdout is not None
    assert first.stdin is not None
    try:
        assert first.stdout.readline() == b"latched\n"
        first.send_signal(19)
        kill(LatchStore(tmp_path), "second")
        latch = LatchStore(tmp_path).read()
        assert latch is not None
        assert len(latch.entries) == 2
        assert latch.by_name == "first"
    finally:
        first.kill()
        first.stdin.close()
        first.stdout.close()
        first.wait()


def _latch_in_child(state_dir: str, number: int) -> None:
    LatchStore(Path(state_dir)).latch(
        by_uid=number, by_name=str(number), reason="race", ts_ns=number
    )


def test_racing_processes_lose_no_kill(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    children = [
        context.Process(target=_latch_in_child, args=(str(tmp_path), number)) for number in range(8)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * 8
    latch = LatchStore(tmp_path).read()
    assert latch is not None
    assert latch.by_uid == 0
    assert len(latch.entries) == 8


def test_the_file_holds_plain_json_for_a_person(tmp_path: Path) -> None:
    kill(LatchStore(tmp_path))
    assert json.loads(entries(tmp_path)[0].read_text()) == {
        "by_uid": 7,
        "by_name": "ada",
        "reason": "spread is insane",
        "ts_ns": 5,
    }
