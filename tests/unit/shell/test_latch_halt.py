"""The last look before bytes leave: the latch on the disk, whoever wrote it and however late."""

import os
import random
from pathlib import Path

import pytest

from daemon.shell.process.clock import SystemClock
from daemon.shell.stop.kill_latch import LatchHalt, LatchStore


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at_ns = 1_000_000_000

    def now_ns(self) -> int:
        return self.at_ns

    def monotonic_ns(self) -> int:
        return self.at_ns


def kill(store: LatchStore, reason: str = "outside") -> None:
    store.latch(by_uid=1, by_name="op", reason=reason, ts_ns=5)


def test_a_latch_of_another_process_closes_the_flag_at_the_next_look(tmp_path: Path) -> None:
    store = LatchStore(tmp_path)
    halt = LatchHalt(store, SystemClock())
    assert not halt.look()
    assert not halt.closed
    kill(LatchStore(tmp_path))
    assert not halt.closed, "nobody has looked yet"
    assert halt.look()
    assert (halt.closed, halt.reason) == (True, "latched: outside")


@pytest.mark.parametrize("seed", range(20))
def test_no_order_of_kills_re_arms_and_looks_hides_a_latch(tmp_path: Path, seed: int) -> None:
    """The store's own listing is the judge; the directory's times are as coarse as they can be."""
    rng, clock, store = random.Random(seed), Hand(), LatchStore(tmp_path)
    halt = LatchHalt(store, clock)
    for _ in range(200):
        act = rng.choice(("kill", "re-arm", "look", "look", "wait"))
        if act == "kill":
            kill(store, f"{rng.random()}")
        elif act == "re-arm":
            store.clear()
            halt.open()
        elif act == "wait":
            clock.at_ns += rng.choice((1_000_000, 9_000_000, 60_000_000))
        tick_ns = clock.at_ns // 10_000_000 * 10_000_000
        if act in {"kill", "re-arm"}:
            os.utime(store.directory, ns=(tick_ns, tick_ns))
        if act == "look":
            assert halt.look() == (halt.closed or store.read() is not None)
            assert halt.closed == (store.read() is not None), "latched is closed, re-armed is open"


def test_a_look_at_an_open_latch_is_one_stat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, store = Hand(), LatchStore(tmp_path)
    halt = LatchHalt(store, clock)
    halt.look()
    clock.at_ns += 60_000_000
    halt.look()
    monkeypatch.setattr(LatchStore, "read", lambda _: pytest.fail("it was listed again"))
    assert not halt.look()


def test_a_directory_that_is_gone_or_not_readable_is_asked_of_the_store(tmp_path: Path) -> None:
    store = LatchStore(tmp_path)
    halt = LatchHalt(store, SystemClock())
    store.directory.rmdir()
    assert not halt.look(), "as the store says: there is none"
    store.directory.write_text("a file where the directory should be")
    assert halt.look(), "what cannot be listed counts as latched"
