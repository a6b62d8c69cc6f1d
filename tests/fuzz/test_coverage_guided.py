"""A short, seeded part of `make fuzz` with every test run, where atheris is installed."""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import is_installed, run_target
from tests.fuzz.targets import REFUSALS, SEEDS, Target, recorded_frames, targets

RUNS = 3_000
TARGETS = targets()
needs_atheris = pytest.mark.skipif(
    not is_installed(), reason="atheris is not installed; `make fuzz` installs it (Linux, x86-64)"
)


@pytest.mark.parametrize("name", TARGETS)
def test_every_reader_takes_its_seeds(name: str) -> None:
    """A harness that refuses everything finds nothing: some seed must reach a value."""
    target = TARGETS[name]
    taken = 0
    for seed in target.seeds:
        try:
            target.read(seed)
        except REFUSALS:
            continue
        taken += 1
    assert taken


def test_recorded_frames_are_among_the_seeds() -> None:
    frames = recorded_frames()
    if not frames:
        pytest.skip("the recorded frames are not beside this checkout")
    assert len(TARGETS["market-frame"].seeds) > len(SEEDS)
    assert len(frames) > 200


@needs_atheris
@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_a_seeded_part_of_the_search(name: str, tmp_path: Path) -> None:
    found = run_target(name, TARGETS[name], seconds=60, runs=RUNS, seed=7, home=tmp_path)
    assert found["executions"] >= RUNS
    assert found["findings"] == []


@needs_atheris
def test_a_planted_bug_is_found(tmp_path: Path) -> None:
    broken = Target(repr, (b"{}",))  # the child has a bug under this name
    found = run_target("planted", broken, seconds=30, runs=10, seed=7, home=tmp_path)
    assert len(found["findings"]) == 1
    assert "KeyError" in found["findings"][0]["error"]
